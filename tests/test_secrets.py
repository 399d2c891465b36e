"""Secrets are known by their content: a table of formats, made by the programs that make them where these are here."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import os
import shutil
import sqlite3
import subprocess
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import ONE_READER

from localsearch.engine import Engine
from localsearch.extract.secret import looks_secret
from localsearch.scan.rules import secret_file
from localsearch.secrets import HEAD, beginning, secret_content
from localsearch.settings import load

LINES = base64.encodebytes(bytes(range(256)) * 6)
JWT = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"


def pem(kind: bytes) -> bytes:
    return b"-----BEGIN " + kind + b"-----\n" + LINES + b"-----END " + kind + b"-----\n"


SECRET = {
    "PKCS 8": pem(b"PRIVATE KEY"), "PKCS 8, encrypted": pem(b"ENCRYPTED PRIVATE KEY"), "RSA": pem(b"RSA PRIVATE KEY"),
    "EC": pem(b"EC PRIVATE KEY"), "DSA": pem(b"DSA PRIVATE KEY"), "OpenSSH": pem(b"OPENSSH PRIVATE KEY"),
    "OpenPGP": pem(b"PGP PRIVATE KEY BLOCK"), "with Windows line ends": pem(b"PRIVATE KEY").replace(b"\n", b"\r\n"),
    "a comment before it": b"# deploy key of the web server\n\n" + pem(b"PRIVATE KEY"),
    "a certificate before it": pem(b"CERTIFICATE") + pem(b"PRIVATE KEY"), "a BOM before it": b"\xef\xbb\xbf" + pem(b"PRIVATE KEY"),
    "in UTF-16": pem(b"PRIVATE KEY").decode().encode("utf-16"), "PuTTY": b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
    "ssh.com": b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: x\n", "OpenVPN": pem(b"OpenVPN Static key V1"),
    "age": b"# created: 2024-01-01T00:00:00Z\n# public key: age1xyz\nAGE-SECRET-KEY-1" + b"Q" * 58 + b"\n",
    "minisign": b"untrusted comment: minisign encrypted secret key\nRWRTY0Iy\n", "Ansible": b"$ANSIBLE_VAULT;1.1;AES256\n6162\n",
    "WireGuard": b"[Interface]\nPrivateKey = " + b"A" * 43 + b"=\nAddress = 10.0.0.1/24\n",
    "netrc": b"machine example.org login anon password hunter22\n", "git": b"https://anon:hunter22@example.org\n",
    "npm": b"//registry.example.org/:_authToken=0123456789abcdef\n",
    "AWS": b"[default]\naws_access_key_id = AKIAABCDEFGHIJKLMNOP\naws_secret_access_key = " + b"a" * 40 + b"\n",
    "cookies": b"# Netscape HTTP Cookie File\n.example.org\tTRUE\t/\tTRUE\t0\tsid\tx\n",
    "GitHub": b"ghp_" + b"a" * 36 + b"\n", "GitLab": b"glpat-" + b"a" * 20, "Slack": b'TOKEN="xoxb-' + b"1" * 24 + b'"\n',
    "Stripe": b"sk_live_" + b"a" * 24, "a JSON web token": JWT, "Vault": b"hvs." + b"a" * 30, "Google": b"AIza" + b"a" * 35,
    "KeePass": b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5" + bytes(100), "Password Safe": b"PWS3" + bytes(100),
    "Java": b"\xfe\xed\xfe\xed\0\0\0\x02" + bytes(100), "macOS": b"kych\0\1\0\0" + bytes(100),
    "GNOME": b"GnomeKeyring\n\r\0\n" + bytes(100), "KDE": b"KWALLET\n\r\0\r\n" + bytes(100),
    "a service account": b'{\n "type": "service_account",\n "private_key_id": "x",\n "private_key": "y"\n}',
    "an Ethereum wallet": b'{"address":"00","crypto":{"cipher":"aes-128-ctr","ciphertext":"00"},"version":3}',
    "a JSON web key": b'{"kty":"EC","crv":"P-256","x":"a","y":"b","d":"c"}', "Docker": b'{"auths":{"r.example.org":{"auth":"eA=="}}}',
    "Firefox": b'{"nextId":2,"logins":[{"hostname":"x","encryptedPassword":"y"}]}',
    "Chrome": b"SQLite format 3\0" + bytes(200) + b"CREATE TABLE logins (origin_url VARCHAR NOT NULL)",
    "behind its chain": pem(b"CERTIFICATE") * 4 + pem(b"PRIVATE KEY"),
    "behind dumps of certificates": (b"Certificate:\n    Data:\n" + b"        00:a1:b2:c3:d4:e5:f6:00:a1:b2:c3:d4:e5:f6:01:\n" * 30 + pem(b"CERTIFICATE")) * 3 + pem(b"RSA PRIVATE KEY"),
    "in UTF-16 without a mark": pem(b"PRIVATE KEY").decode().encode("utf-16-le"), "in UTF-16, big end first": pem(b"PRIVATE KEY").decode().encode("utf-16-be"),
    "a token in UTF-16": ("ghp_" + "a" * 36).encode("utf-16"), "PuTTY 2": b"PuTTY-User-Key-File-2: ssh-rsa\r\nEncryption: none\r\n",
    "signify": b"untrusted comment: release 7 secret key\nRWRCSwAA\n", "cosign": pem(b"ENCRYPTED COSIGN PRIVATE KEY"),
    "GnuPG's agent": b"Created: 20240101T000000\nKey: (private-key (ecc (curve Ed25519)(q #40#)(d #00#)))\n", "the agent, before": b"(11:private-key(3:rsa(1:n257:",
    "Tor": b"== ed25519v1-secret: type0 ==\0\0\0" + bytes(64), "OpenVPN, inline": b"client\nremote vpn.example.org 1194\n" + b"verb 3\n" * 80 + b"<ca>\n" + pem(b"CERTIFICATE") + b"</ca>\n<key>\n" + pem(b"PRIVATE KEY") + b"</key>\n",
    "a key in a string": b"app:\n  name: shop\n" + b"  flag: true\n" * 60 + b'  key: "-----BEGIN PRIVATE KEY-----\\n' + b"A" * 64 + b'\\n"\n',
    "kubeconfig": b"apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: " + b"L" * 5000 + b"\nusers:\n- name: me\n  user:\n    client-key-data: " + b"L" * 2000 + b"\n",
    "netrc on lines": b"machine example.org\n  login anon\n  password hunter22\n", "netrc without a login": b"machine example.org password hunter22\n",
    "pgpass": b"# servers\ndb.example.org:5432:shop:anon:hunter22\n*:*:*:root:hunter23\n", "MySQL": b"[client]\nuser=anon\npassword=hunter22\n",
    "PyPI": b"[distutils]\nindex-servers = pypi\n\n[pypi]\nusername = __token__\npassword = pypi-AgEIcHlwaS5vcmcCJ\n",
    "rclone": b"[remote]\ntype = s3\naccess_key_id = x\nsecret_access_key = " + b"a" * 40 + b"\n", "s3cmd": b"[default]\nsecret_key = " + b"a" * 40 + b"\n",
    "htpasswd": b"anon:$apr1$abcdefgh$0123456789abcdefghijkl\n", "shadow": b"root:$6$abcdefgh$" + b"a" * 86 + b":19000:0:99999:7:::\n",
    "Azure": b"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=" + b"a" * 86 + b"==;EndpointSuffix=core.windows.net\n",
    "Azure's cache": b'{"RefreshToken": {"a": {"credential_type": "RefreshToken", "secret": "0.AAAA"}}}', "Azure, a principal": b'{"clientId": "a", "clientSecret": "b", "tenantId": "c"}',
    "AWS, signed on": b'{"startUrl": "https://example.org", "region": "eu", "accessToken": "eyJ"}', "AWS, a session": b'{"Credentials": {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t"}}',
    "Google's user": b'{"client_id": "a", "client_secret": "b", "refresh_token": "c", "type": "authorized_user"}', "GitHub's command line": b"github.com:\n    user: anon\n    oauth_token: gho_0123456789abcdef0123\n",
    "Terraform": b'credentials "app.example.org" {\n  token = "abcdefghijklmn.atlasv1.xyz"\n}\n', "a wireless network": b'ctrl_interface=/run\nnetwork={\n  ssid="home"\n  psk="hunter22"\n}\n',
    "NetworkManager": b"[connection]\nid=home\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=hunter22\n",
    "tokens, one a line": JWT + b"\n" + JWT + b"\n" + b"ghp_" + b"b" * 36 + b"\n", "a bearer": b"Bearer " + JWT, "many tokens": (JWT + b"\n") * 200,
    "variables": b"# shop\nDEBUG=1\nexport DATABASE_PASSWORD='hunter2222'\n\nAPP_NAME=shop\n", "a key of signing": b"SECRET_KEY_BASE=" + b"a1" * 32 + b"\n",
    "passwords from Chrome": b"name,url,username,password,note\nexample,https://example.org,anon,hunter22,\n", "passwords from Firefox": b'"url","username","password","httpRealm","guid"\r\n',
    "passwords from KeePass": b'"Account","Login Name","Password","Web Site","Comments"\n', "passwords from Bitwarden": b"folder,favorite,type,name,notes,fields,reprompt,login_uri,login_username,login_password,login_totp\n",
    "Bitwarden": b'{"encrypted": false, "folders": [], "items": []}', "cookies in JSON": b'[{"domain": ".example.org", "httpOnly": true, "name": "sid", "value": "x"}]',
    "Bitcoin": bytes(12) + b"\x62\x31\x05\x00" + bytes(4000) + b"\x04main" + bytes(20), "Bitcoin in SQLite": b"SQLite format 3\0" + bytes(52) + b"\xf9\xbe\xb4\xd9" + bytes(100),
    "Electrum": b'{"seed_version": 17, "seed": "x", "wallet_type": "standard"}', "Electrum, encrypted": b"QklFMQ" + b"A" * 400,
    "OpenAI": b"sk-proj-" + b"a1" * 40 + b"\n", "OpenAI, before": b"OPENAI=sk-" + b"a1" * 24 + b"\n", "Anthropic": b"sk-ant-api03-" + b"a1" * 40,
    "Sentry": b"sntrys_" + b"a1" * 40, "SendGrid": b"SG." + b"a" * 22 + b"." + b"b" * 43, "Shopify": b"shpat_" + b"a1" * 16, "Docker Hub": b"dckr_pat_" + b"a" * 27,
    "DigitalOcean": b"access-token: dop_v1_" + b"ab12" * 16 + b"\n", "seeds of one-time passwords": b"otpauth://totp/Shop:anon?secret=JBSWY3DPEHPK3PXP&issuer=Shop\n" * 2,
    "seeds, carried over": b"otpauth-migration://offline?data=" + b"a" * 40, "a Secret of Kubernetes": b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: tls\ndata:\n  tls.key: " + b"TFM0" * 200 + b"\n",
    "kubeconfig with a token": b"apiVersion: v1\nkind: Config\nusers:\n- name: me\n  user:\n    token: " + b"a1" * 20 + b"\n",
    "Firefox keys": b"SQLite format 3\0" + bytes(200) + b"CREATE TABLE metaData (id PRIMARY KEY)",
}  # fmt: skip

PUBLIC = {
    "empty": b"", "prose": b"How to read a PRIVATE KEY, and where -----BEGIN is to be found.\n", "a certificate": pem(b"CERTIFICATE"),
    "a public key": pem(b"PUBLIC KEY"), "an OpenPGP public key": pem(b"PGP PUBLIC KEY BLOCK"), "a signature": pem(b"PGP SIGNATURE"),
    "a page that shows a key": b"# TLS\n\n" + b"A key file looks like this, and nobody else may read it.\n" * 40 + pem(b"PRIVATE KEY")[:100],
    "a page on tokens": b"GitHub tokens begin with ghp_" + b"a" * 36 + b" and so on.\n", "a link": b"https://example.org/a:b@c\n",
    "a mail address": b"mailto:anon@example.org\n", "JSON": b'{"type": "book", "d": 1, "title": "x"}', "a list": b'[{"kty": "EC"}]',
    "a database": b"SQLite format 3\0" + bytes(200) + b"CREATE TABLE notes (id, text)", "DER certificate": b"\x30\x82\x03\x00\x30\x82\x02\x00" + bytes(50),
    "a page on netrc": b"# Accounts\n\nIt reads netrc:\n\nmachine example.org login anon password hunter22\nhttps://anon:hunter22@example.org\n",
    "a flake8 list": b"a.py:12:80:E501:line\n", "passwd": b"root:x:0:0:root:/root:/bin/sh\n", "a template": b"DB_PASSWORD=changeme123\nAPI_KEY=<your key here>\n",
    "a makefile": b"CC=gcc\nPASSWORD_FILE=passwords.txt\n", "a table of people": b"name,username,password policy\n", "a table with one column of it": b"user,password\nanon,x\n",
    "OpenAPI": b'{"items": {"properties": {"login": {"type": "string"}, "password": {"type": "string"}}}}', "a page on kubeconfig": b"The field client-key-data: holds the key.\n",
    "UTF-16 prose": "Words about a PRIVATE KEY and where it is kept.".encode("utf-16-le"), "a Berkeley database": bytes(12) + b"\x62\x31\x05\x00" + bytes(4000),
    "a page that shows OpenVPN": b"Put the key between <key> and </key>.\n", "many certificates": pem(b"CERTIFICATE") * 8,
    "a page on seeds": b"The address is otpauth://totp/Shop:anon?secret=JBSWY3DPEHPK3PXP and nothing else.\n", "a Secret in a chart": b"apiVersion: v1\nkind: Secret\ndata:\n  password: {{ .Values.password | b64enc }}\n",
    "a ConfigMap": b"apiVersion: v1\nkind: ConfigMap\ndata:\n  greeting: aGVsbG8gd29ybGQgYWdhaW4\n", "a word that begins so": b"sk-learn-pipelines\nsk-image\n",
    "npm settings": b"registry=https://registry.example.org/\n", "an SSH public key": b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG me\n",
    "WireGuard, told": b"The [Interface] section has a PrivateKey = line.\n", "zeros": bytes(HEAD), "a photograph": b"\xff\xd8\xff\xe0" + bytes(100),
}  # fmt: skip


@pytest.mark.parametrize("name", SECRET)
def test_secret(name: str) -> None:
    assert secret_content(SECRET[name][:HEAD])


@pytest.mark.parametrize("name", PUBLIC)
def test_public(name: str) -> None:
    assert secret_content(PUBLIC[name][:HEAD]) == ""


@pytest.mark.parametrize("page", [512, 1024, 4096, 32768])
@pytest.mark.parametrize("table", ["moz_cookies (id", "logins (id", "cookies(id", "moz_logins (id"])
def test_databases_as_sqlite_writes_them(tmp_path: Path, page: int, table: str) -> None:
    """The schema stands at the end of the first page, or on others where it is long."""
    with sqlite3.connect(tmp_path / "x") as db:
        db.execute(f"PRAGMA page_size = {page}")
        for number in range(30):
            db.execute(f"CREATE TABLE other{number} ({', '.join(f'column{at} TEXT' for at in range(20))})")
        db.execute(f"CREATE TABLE {table} INTEGER PRIMARY KEY, value TEXT)")
    descriptor = os.open(tmp_path / "x", os.O_RDONLY)
    try:
        assert secret_content(beginning(descriptor))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    "name",
    ["ID_RSA", "id_rsa.bak", ".env", ".ENV", ".env.local", ".env~", ".env.production.old", ".netrc.save", "Wallet.dat", "secrets.KDBX",
     "vault.kdbx.bak", "krb5.keytab", "a.PPK", ".pgpass", "rclone.conf", ".git-credentials", "default.keyring"],
)  # fmt: skip
def test_secret_names(name: str) -> None:
    assert secret_file(os.fsencode(name))
    assert looks_secret(f"backup/{name}", b"words")


@pytest.mark.parametrize(
    "name",
    [".env.example", ".ENV.Sample", "id_rsa.pub", "environment.md", "passwords.md", "old.txt", "key.bak"],
)
def test_public_names(name: str) -> None:
    assert secret_file(os.fsencode(name)) is None
    assert not looks_secret(f"backup/{name}", b"words")


@pytest.mark.parametrize(
    "folder", [".ssh", "home/.gnupg", "home/.config/gcloud", ".local/share/keyrings/old"]
)
def test_members_of_secret_folders(folder: str) -> None:
    assert looks_secret(f"{folder}/notes.txt", b"words")
    assert not looks_secret(f"{folder.replace('.', '')}/notes.txt", b"words")


@given(st.binary(max_size=200) | st.sampled_from(sorted(SECRET.values())).flatmap(
    lambda whole: st.integers(0, len(whole)).map(lambda at: whole[:at])))  # fmt: skip
def test_whatever_a_file_begins_with_is_judged(head: bytes) -> None:
    assert isinstance(secret_content(head), str)


@pytest.mark.parametrize(
    "piece",
    [
        b"[client]\n",
        b"network={\n",
        b"machine a login ",
        b"A=\n",
        b"-----BEGIN ",
        b'{"a":',
        b"<key> ",
        b"a:1:",
        b"kind: Secret\ndata:\n",
        b"kind: Config\n a: b\n\n",
        b" \n a: \n",
        b"\n\n ",
    ],
)
def test_no_content_takes_long(piece: bytes) -> None:
    """Time grows with the length and no faster: ten times the text takes no more than forty times as long."""

    def spent(size: int) -> float:
        data = (piece * (size // len(piece)) + b"PRIVATE KEY")[-size:]
        began = time.process_time()
        for _ in range(20):
            secret_content(data)
        return time.process_time() - began

    spent(HEAD // 10)
    assert spent(HEAD) <= 40 * max(spent(HEAD // 10), 0.002)


def made(folder: Path, *command: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    subprocess.run(
        command, cwd=folder, check=True, capture_output=True, env=os.environ | {"GNUPGHOME": str(folder)}
    )


@pytest.mark.parametrize(
    "command",
    [
        "openssl genpkey -algorithm RSA -outform DER -out k", "openssl genpkey -algorithm ED25519 -outform DER -out k",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out k",
        "openssl genpkey -algorithm RSA -out k", "openssl ecparam -name prime256v1 -genkey -noout -outform DER -out k",
        "openssl genrsa -traditional -out k 2048", "ssh-keygen -q -t ed25519 -N secret -f k", "ssh-keygen -q -t rsa -m PEM -N secret -f k",
    ],
)  # fmt: skip
def test_keys_as_their_programs_write_them(tmp_path: Path, command: str) -> None:
    made(tmp_path, *command.split(" "))
    assert secret_content((tmp_path / "k").read_bytes()[:HEAD]) == "holds a private key"


@pytest.mark.parametrize("armour", [[], ["--armor"]], ids=["binary", "armoured"])
@pytest.mark.parametrize("kind", ["rsa2048", "ed25519"])
def test_openpgp_keys(tmp_path: Path, kind: str, armour: list[str]) -> None:
    tmp_path.chmod(0o700)
    quiet = ["gpg", "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
    made(tmp_path, *quiet, "--quick-generate-key", "Anon <anon@example.org>", kind)
    made(tmp_path, *quiet, *armour, "--output", "secret", "--export-secret-keys")
    made(tmp_path, *quiet, *armour, "--output", "public", "--export")
    subprocess.run(["gpgconf", "--homedir", str(tmp_path), "--kill", "all"], check=False)
    assert secret_content((tmp_path / "secret").read_bytes()[:HEAD]) == "holds a private key"
    assert secret_content((tmp_path / "public").read_bytes()[:HEAD]) == ""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    settings = replace(load(tmp_path / "home", environ={}), models=tmp_path, extract=ONE_READER)
    with Engine.open(settings=settings) as opened:
        yield opened


def test_a_secret_is_neither_indexed_nor_listed_under_any_name(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for number, data in enumerate(SECRET.values()):
        (folder / f"note{number}.txt").write_bytes(data)
    (folder / "deploy_key").write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\npumpernickel\n")
    (folder / "plain.txt").write_text("pumpernickel is bread")
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.writestr("deploy_key", "-----BEGIN OPENSSH PRIVATE KEY-----\npumpernickel\n")
        archive.writestr("plain.txt", "pumpernickel in an archive")
    report = engine.index(folder, embed=False)
    assert dict(report.rules) == {"secret": len(SECRET) + 1}
    hits = engine.search("pumpernickel", mode="lexical")
    assert sorted(hit.location.get("member", hit.title) for hit in hits) == ["plain.txt", "plain.txt"]
    assert engine.ledger.troubled("skipped") == []
    assert engine.ledger.counts()["skipped"] == len(SECRET) + 1
    assert engine.index(folder / "deploy_key", embed=False).files.new == 1


@pytest.mark.parametrize(
    "name", ["behind its chain", "in UTF-16", "OpenSSH", "pgpass", "variables", "passwords from Chrome"]
)
@pytest.mark.parametrize("how", ["attached", "zipped and attached", "a zip in a zip", "compressed in a zip"])
def test_a_secret_inside_of_something_is_not_found(
    engine: Engine, tmp_path: Path, name: str, how: str
) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("notes.txt", SECRET[name])
    message = EmailMessage()
    message["Subject"] = "pumpernickel"
    message.set_content("The file is attached.")
    folder = tmp_path / "notes"
    folder.mkdir()
    if " in a zip" in how:
        packed = how.startswith("compressed")
        with zipfile.ZipFile(folder / "outer.zip", "w") as outer:
            outer.writestr(
                "notes.gz" if packed else "inner.zip",
                gzip.compress(SECRET[name]) if packed else inner.getvalue(),
            )
            outer.writestr("plain.txt", "pumpernickel")
    else:
        data, kind = (SECRET[name], "plain") if how == "attached" else (inner.getvalue(), "zip")
        message.add_attachment(
            data,
            maintype="text" if kind == "plain" else "application",
            subtype=kind,
            filename=f"notes.{kind}",
        )
        (folder / "mail.eml").write_bytes(message.as_bytes())
    assert engine.index(folder, embed=False).files.new == 1
    assert engine.search("pumpernickel", mode="lexical").total == 1
    kept = " ".join(row[0] for row in engine.ledger.db.query("SELECT text FROM bodies"))
    assert "hunter" not in kept
    assert "PRIVATE" not in kept


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
@pytest.mark.parametrize(
    "name", ["OpenSSH", "in UTF-16", "variables", "passwords from Chrome", "OpenVPN, inline"]
)
def test_a_secret_that_is_compressed_is_neither_indexed_nor_listed(
    engine: Engine, tmp_path: Path, name: str, suffix: str
) -> None:
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[suffix]
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / f"pumpernickel.txt.{suffix}").write_bytes(pack(SECRET[name]))
    (folder / f"id_rsa.{suffix}").write_bytes(pack(b"pumpernickel"))
    (folder / f"plain.txt.{suffix}").write_bytes(pack(b"pumpernickel is bread"))
    engine.index(folder, embed=False)
    assert [hit.title for hit in engine.search("pumpernickel", mode="lexical")] == [f"plain.txt.{suffix}"]
    assert engine.search("rsa", mode="lexical").total == 0
    (kept,) = [row[0] for row in engine.ledger.db.query("SELECT text FROM bodies WHERE text != ''")]
    assert kept == "pumpernickel is bread"
