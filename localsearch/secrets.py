"""Secrets by content: private keys, password stores, tokens and wallets, whatever their names.

One table, used for files on disk and for members of archives alike. Each rule is the published form of the thing; a
page that only speaks of keys has none of them.
"""

from __future__ import annotations

import os
import re

from localsearch.patterns import regex

HEAD = 1 << 16
"""Bytes from the start of a file that are looked at: a key may stand behind its chain of certificates."""
_SCHEMA = 1 << 18
"""The same of a database, whose tables may be described on pages further on."""
_FIRST = 4096
"""Bytes in which all but keys must show."""

_ARMOUR = regex(
    rb"^[ \t>]*-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"  # PEM of OpenSSL and OpenSSH, OpenPGP
    rb"|^---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----"
    rb"|^PuTTY-User-Key-File-\d+: "
    rb"|^AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{40,}"
    rb"|^untrusted comment: [^\n]{0,200}secret key"  # minisign, rsign, signify
    rb"|^\(\d+:(?:protected-|shadowed-)?private-key|^Key: \((?:protected-|shadowed-)?private-key"  # GnuPG's agent
    rb"|^== ed25519v1-secret: type\d ==\0"  # Tor
    rb"|^\$ANSIBLE_VAULT;"
    rb"|^-----BEGIN OpenVPN Static key V1-----"
    rb"|^-----BEGIN TOR (?:ED25519 )?PRIVATE KEY-----",
    re.MULTILINE,
)
_EMBEDDED = regex(
    rb"PRIVATE KEY(?: BLOCK)?-----(?:\\r)?\\n[A-Za-z0-9+/]{40}"  # in a string of JSON, YAML or a shell
    rb"|<(?:key|tls-auth|tls-crypt(?:-v2)?)>\s*(?:#[^\n]*\s+)*-----BEGIN "  # OpenVPN
    rb"|^[^\S\n]*client-key-data:\s*[A-Za-z0-9+/=]{100}",  # Kubernetes
    re.MULTILINE,
)
"""Keys that stand in a file of settings, wherever in it."""
_MARKS = (b"PRIVATE KEY", b"private-key", b"secret", b"SECRET-KEY-", b"PuTTY-User-Key", b"client-key-data:",
          b"ENCRYPTED", b"$ANSIBLE", b"Static key")  # fmt: skip
"""What a file must hold for one of the above to be looked for."""
_NEAR = 400
"""Bytes of comments that may stand before a key."""
_BASE64 = regex(rb"[A-Za-z0-9+/=]{32,}|-----[A-Za-z0-9 ]+-----|(?:[0-9A-Fa-f]{2}:){8,}(?:[0-9A-Fa-f]{2})?")
"""A line of a key or a certificate, or of the dump that OpenSSL writes before one."""
_HOLDERS = regex(
    rb"^(?:\xef\xbb\xbf)?(?:"
    rb"//[^\s=]+/:_(?:authToken|password|auth)\s*=\s*\S+"  # npmrc
    rb"|[^\S\n]*(?:aws_|gs_)?secret_(?:access_)?key\s*=\s*[\"']?[A-Za-z0-9+/=]{30,}"  # AWS, boto, s3cmd, rclone
    rb"|\[(?:client|mysql\w*)\]\s*\n(?:[^\[\n]*\n){0,20}?password\s*=\s*\S"  # MySQL
    rb"|[^\S\n]*password\s*[=:]\s*pypi-AgEI"
    rb"|[^\S\n]+oauth_token:\s*\S{20}"  # GitHub's command line
    rb"|credentials \"[^\"\n]+\" \{\s*token\s*=\s*\"[^\"\n]{14}"  # Terraform
    rb"|network=\{[^}]{0,400}?\n\s*psk=\S|\[wifi-security\][^\[]{0,400}?\npsk=\S"  # wireless networks
    rb"|[^\s:]+:\$(?:apr1|1|2[abxy]|5|6|7|y|argon2\w*|scrypt)\$\S{20}"  # htpasswd, shadow
    rb"|DefaultEndpointsProtocol=https?;AccountName=[^;\s]+;AccountKey=[A-Za-z0-9+/]{80}"  # Azure
    rb"|\[Interface\]\s+(?:[^\[]*\n)?\s*PrivateKey\s*=\s*[A-Za-z0-9+/]{43}="  # WireGuard
    rb"|# (?:Netscape )?HTTP Cookie File"
    rb"|kind:[ \t]*Secret[ \t\r]*\n(?:[^\n]*\n){0,20}?(?:stringD|d)ata:[ \t\r]*\n(?:[ \t]+[\w.-]+:[^\n]*\n){0,20}?"
    rb"[ \t]+[\w.-]+:[ \t]*[A-Za-z0-9+/]{16,}={0,2}[ \t\r]*$"  # Kubernetes, and its kubeconfig
    rb"|kind:[ \t]*Config[ \t\r]*\n(?:[^\n]*\n){0,60}?[ \t]+token:[ \t]*[A-Za-z0-9._-]{20,}[ \t\r]*$"
    rb")",
    re.MULTILINE,
)
_TOKEN = regex(
    rb"(?:export\s+)?(?:[A-Za-z_][A-Za-z0-9_-]*\s*[=:]\s*)?(?:Bearer\s+)?[\"']?(?:"
    rb"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20,}"
    rb"|xox[abposr]-[A-Za-z0-9-]{20,}|sk_live_[A-Za-z0-9]{20,}|rk_live_[A-Za-z0-9]{20,}"
    rb"|AKIA[0-9A-Z]{16}|hf_[A-Za-z]{30,}|npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{50,}"
    rb"|hvs\.[A-Za-z0-9_-]{24,}|dop_v1_[a-f0-9]{64}|AIza[A-Za-z0-9_-]{35}"
    rb"|sk-(?:ant|proj|svcacct|or)-[A-Za-z0-9_-]{40,}|sk-[A-Za-z0-9]{40,}|gsk_[A-Za-z0-9]{40,}|r8_[A-Za-z0-9]{37}"
    rb"|SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|sntry[su]_[A-Za-z0-9_=+/-]{40,}"
    rb"|ya29\.[A-Za-z0-9_-]{30,}|dckr_pat_[A-Za-z0-9_-]{27,}|tskey-[a-z]+-[A-Za-z0-9]+-[A-Za-z0-9]{20,}|lin_api_[A-Za-z0-9]{40}"
    rb"|xapp-\d-[A-Za-z0-9-]{30,}|pul-[a-f0-9]{40}|dp\.pt\.[A-Za-z0-9]{40,}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}"
    rb"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    rb")[\"']?[,;]?"
)
"""A line that is one token and nothing else; pages that show one among their text are documents."""
_NETRC = regex(rb"\A(?:\s|#[^\n]*\n)*machine\s+\S+\s+(?:(?:login|account)\s+\S+\s+){0,2}password\s+\S+")
_GIT = regex(rb"https?://[^\s/:@]+:[^\s/@]+@\S+")
_OTP = regex(
    rb"otpauth://[ht]otp/\S*[?&]secret=[A-Za-z2-7]{16,}\S*|otpauth-migration://offline\?data=\S{20,}"
)
_PGPASS = regex(rb"[^:\s]+:(?:\*|\d{4,5}):[^:\s]+:[^:\s]+:\S+")
_VARIABLE = regex(rb"(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*(.*)")
_TELLING = regex(rb".*(?:SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|SECRET_KEY|PRIVATE_KEY|ACCESS_KEY)(?:_BASE)?")
_PLACEHOLDER = regex(rb"change|your|example|placeholder|dummy|x{4}|\*{3}|\.{3}|[<>]|\$\{|\{\{", re.IGNORECASE)
_PASSWORD_COLUMNS = frozenset({b"password", b"login_password"})
_SITE_COLUMNS = frozenset({b"url", b"login_uri", b"web site", b"website", b"hostname", b"origin"})
_LEDGERS = (b"\x62\x31\x05\x00", b"\x00\x05\x31\x62")
"""How a tree of Berkeley DB begins, at byte 12."""
_CHAINS = (b"\xf9\xbe\xb4\xd9", b"\x0b\x11\x09\x07", b"\xfa\xbf\xb5\xda", b"\x1c\x16\x3f\x28")
"""Networks of Bitcoin, which mark a wallet in SQLite as its application, at byte 68."""
_MAGIC = (
    b"\x03\xd9\xa2\x9a",  # KeePass
    b"PWS3",  # Password Safe
    b"\xfe\xed\xfe\xed",  # Java key store
    b"\xce\xce\xce\xce",  # Java key store, JCEKS
    b"kych",  # macOS keychain
    b"GnomeKeyring\n",
    b"KWALLET\n",
    b"SQLite format 3\0",
)
_DATABASES = regex(
    rb"CREATE TABLE (?:moz_logins|moz_cookies|metaData|nssPrivate|logins ?\(|cookies ?\(|autofill|credit_cards"
    rb"|genp|inet|cookies\(|keychain|secrets ?\()"
)
_JSON = regex(
    rb"\A\s*\{(?=.*\"(?:private_key|encrypted_key|ciphertext|refresh_token|client_secret|d)\"\s*:)"
    rb"(?=.*\"(?:type\"\s*:\s*\"(?:service_account|authorized_user)|crypto\"\s*:|kty\"\s*:|auths\"\s*:"
    rb"|logins\"\s*:|access_token\"\s*:|installed\"\s*:|web\"\s*:))",
    re.DOTALL | re.IGNORECASE,
)
_STORES = regex(
    rb"\A\s*\{\s*\"(?:auths|nextId|encrypted)\"\s*:.*\"(?:auth|encryptedPassword|data)\"\s*:", re.DOTALL
)
_PAIRS = tuple(
    tuple(regex(rb'"%s"\s*:\s*(?:"[^"]|\[|true|false|\d)' % key) for key in keys.split())
    for keys in (
        b"credential_type secret", b"clientSecret tenantId", b"accessToken startUrl", b"SecretAccessKey AccessKeyId",
        b"seed_version wallet_type", b"encrypted folders items", b"domain httpOnly value", b"refreshToken clientId",
    )
)  # fmt: skip
"""Keys of JSON: Azure, AWS, Electrum, Bitwarden, cookies."""
_SECRET_PACKETS = frozenset({5, 7})
"""OpenPGP: secret key and secret subkey (RFC 9580, 5.5)."""


def beginning(descriptor: int) -> bytes:
    """As much of the start of an open file as tells whether it holds a secret. Raises OSError."""
    head = os.pread(descriptor, HEAD, 0)
    return os.pread(descriptor, _SCHEMA, 0) if head.startswith(b"SQLite format 3\0") else head


def secret_content(head: bytes) -> str:
    """What secret a file holds that begins so, in words; empty when none is known."""
    if head.startswith(b"PK\x03\x04") or head[257:262] == b"ustar":
        return ""  # its members are judged one by one
    text = _narrow(head)
    first = text[:_FIRST]
    if _is_armoured(text):
        return "holds a private key"
    if (
        _HOLDERS.search(first)
        or _NETRC.match(first)
        or _is_listed(first, len(text) > _FIRST)
        or _is_exported(first)
    ):
        return "holds a password or a token"
    if _is_store(head):
        return "is a password store, a wallet or a browser's data"
    if _is_settings(first):
        return "holds a password or a token"
    return "holds a private key" if _is_secret_packet(head) or _is_der_key(head) else ""


def _is_armoured(head: bytes) -> bool:
    """Whether a key in text begins near the start, or stands among base64; a page about keys is mostly words."""
    if not any(mark in head for mark in _MARKS):
        return False
    found = _ARMOUR.search(head)
    if found is None or found.start() < _NEAR:
        return found is not None or _EMBEDDED.search(head) is not None
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    if 2 * sum(1 for line in lines if _BASE64.fullmatch(line)) >= len(lines):
        return True
    return _EMBEDDED.search(head) is not None


def _is_listed(first: bytes, cut: bool) -> bool:
    """Whether each line is a token or a seed, a row of pgpass or git's, or a variable and one a secret.

    `cut`: more follows.
    """
    lines = [line.strip() for line in (first[: first.rfind(b"\n") + 1] if cut else first).splitlines()]
    told = [line for line in lines if line and not line.startswith(b"#")]
    if not told:
        return False
    if any(all(map(row.fullmatch, told)) for row in (_TOKEN, _PGPASS, _GIT, _OTP)):
        return True
    if not all(map(_VARIABLE.fullmatch, told)):
        return False
    return any(_is_telling(found[1], found[2]) for found in map(_VARIABLE.fullmatch, told) if found)


def _is_telling(name: bytes, value: bytes) -> bool:
    """Whether a variable of this name and value is a secret, not the place of one."""
    bare = value.strip(b"\"' ")
    return bool(_TELLING.fullmatch(name)) and len(bare) >= 8 and not _PLACEHOLDER.search(bare)


def _is_exported(first: bytes) -> bool:
    """Whether a table of sites and passwords begins here, as browsers and password stores export them."""
    head = first.partition(b"\n")[0].lower()
    columns = (
        {column.strip(b'"\r ') for column in re.split(rb"[,;\t]", head)} if b"password" in head else set()
    )
    return not columns.isdisjoint(_PASSWORD_COLUMNS) and not columns.isdisjoint(_SITE_COLUMNS)


def _is_store(head: bytes) -> bool:
    """Whether a database of passwords, cookies or coins begins here."""
    if head[12:16] in _LEDGERS:
        return any(mark in head for mark in (b"\x04main", b"mkey", b"ckey", b"wkey"))
    if not head.startswith(b"SQLite"):
        return head.startswith(_MAGIC)
    return head[68:72] in _CHAINS or _DATABASES.search(head) is not None


def _is_settings(first: bytes) -> bool:
    """Whether JSON with credentials, or a wallet of Electrum, begins here."""
    if first.startswith(b"QklFMQ"):
        return re.fullmatch(rb"[A-Za-z0-9+/=\s]{200,}", first) is not None
    if first.lstrip()[:1] not in (b"{", b"["):
        return False
    if _JSON.search(first) or _STORES.search(first):
        return True
    return any(all(key.search(first) for key in keys) for keys in _PAIRS)


def _narrow(head: bytes) -> bytes:
    """Text without its byte order mark, that in UTF-16 as single bytes."""
    start = head[:64]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head[2:].replace(b"\0", b"")
    for nulls, letters in ((start[1::2], start[::2]), (start[::2], start[1::2])):
        if len(start) > 8 and not any(nulls) and all(letters):
            return head.replace(b"\0", b"")
    return head.removeprefix(b"\xef\xbb\xbf")


def _is_secret_packet(head: bytes) -> bool:
    """Whether an OpenPGP packet of a secret key begins here: tag, length, then version 3 to 6 of a key."""
    if len(head) < 20 or not head[0] & 0x80:
        return False
    if head[0] & 0x40:
        tag, first = head[0] & 0x3F, head[1]
        body = 2 if first < 192 else 3 if first < 224 else 6
    else:
        tag, body = head[0] >> 2 & 0x0F, 1 + (1, 2, 4, 0)[head[0] & 3]
    return tag in _SECRET_PACKETS and head[body] in (3, 4, 5, 6) and head[body + 5] in _ALGORITHMS


_ALGORITHMS = frozenset({1, 2, 3, 16, 17, 18, 19, 22, 25, 26, 27, 28})


def _is_der_key(head: bytes) -> bool:
    """Whether a PKCS #1, #8, #12 or SEC 1 private key in DER begins here (RFC 8017, 5958, 7292, 5915)."""
    if head[:1] != b"\x30" or len(head) < 20:
        return False
    size = head[1]
    at = 2 if size < 0x80 else 2 + (size & 0x7F)
    if at > 6:
        return False
    inner = head[at : at + 24]
    if inner[:3] == b"\x02\x01\x03":  # PKCS #12: version 3, then a content info of PKCS #7
        return b"\x2a\x86\x48\x86\xf7\x0d\x01\x07" in inner
    if inner[:3] not in (b"\x02\x01\x00", b"\x02\x01\x01"):
        return False
    rest = inner[3:]
    pkcs8 = rest[:1] == b"\x30" and b"\x06" in rest[1:4]
    pkcs1 = rest[:2] in (b"\x02\x82", b"\x02\x81", b"\x02\x41") and inner[:3] == b"\x02\x01\x00"
    sec1 = inner[:3] == b"\x02\x01\x01" and rest[:2] in (b"\x04\x20", b"\x04\x30", b"\x04\x42")
    return pkcs8 or pkcs1 or sec1
