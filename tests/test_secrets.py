"""Secrets are known by their content: a table of formats, made by the programs that make them where these are here."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from localsearch.engine import Engine
from localsearch.secrets import HEAD, secret_content
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
    "Firefox keys": b"SQLite format 3\0" + bytes(200) + b"CREATE TABLE metaData (id PRIMARY KEY)",
}  # fmt: skip

PUBLIC = {
    "empty": b"", "prose": b"How to read a PRIVATE KEY, and where -----BEGIN is to be found.\n", "a certificate": pem(b"CERTIFICATE"),
    "a public key": pem(b"PUBLIC KEY"), "an OpenPGP public key": pem(b"PGP PUBLIC KEY BLOCK"), "a signature": pem(b"PGP SIGNATURE"),
    "a page that shows a key": b"# TLS\n\n" + b"A key file looks like this, and nobody else may read it.\n" * 40 + pem(b"PRIVATE KEY")[:100],
    "a page on tokens": b"GitHub tokens begin with ghp_" + b"a" * 36 + b" and so on.\n", "a link": b"https://example.org/a:b@c\n",
    "a mail address": b"mailto:anon@example.org\n", "JSON": b'{"type": "book", "d": 1, "title": "x"}', "a list": b'[{"kty": "EC"}]',
    "a database": b"SQLite format 3\0" + bytes(200) + b"CREATE TABLE notes (id, text)", "DER certificate": b"\x30\x82\x03\x00\x30\x82\x02\x00" + bytes(50),
    "npm settings": b"registry=https://registry.example.org/\n", "an SSH public key": b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG me\n",
    "WireGuard, told": b"The [Interface] section has a PrivateKey = line.\n", "zeros": bytes(HEAD), "a photograph": b"\xff\xd8\xff\xe0" + bytes(100),
}  # fmt: skip


@pytest.mark.parametrize("name", SECRET)
def test_secret(name: str) -> None:
    assert secret_content(SECRET[name][:HEAD])


@pytest.mark.parametrize("name", PUBLIC)
def test_public(name: str) -> None:
    assert secret_content(PUBLIC[name][:HEAD]) == ""


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
    with Engine.open(settings=replace(load(tmp_path / "home", environ={}), models=tmp_path)) as opened:
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
