"""Secrets by content: private keys, password stores, tokens and wallets, whatever their names.

One table, used for files on disk and for members of archives alike. Each rule is the published form of the thing; a
page that only speaks of keys has none of them.
"""

from __future__ import annotations

import re

HEAD = 4096
"""Bytes from the start of a file that are looked at."""

_ARMOUR = re.compile(
    rb"^[ \t>]*-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"  # PEM of OpenSSL and OpenSSH, OpenPGP
    rb"|^---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----"
    rb"|^PuTTY-User-Key-File-\d+: "
    rb"|^AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{40,}"
    rb"|^untrusted comment: (?:minisign|rsign|signify) (?:encrypted )?secret key"
    rb"|^\$ANSIBLE_VAULT;"
    rb"|^-----BEGIN OpenVPN Static key V1-----"
    rb"|^-----BEGIN TOR (?:ED25519 )?PRIVATE KEY-----",
    re.MULTILINE,
)
_NEAR = 400
"""Bytes of comments that may stand before a key."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/=]{40,}|-----[A-Z0-9 ]+-----")
_HOLDERS = re.compile(
    rb"^(?:\xef\xbb\xbf)?(?:"
    rb"machine\s+\S+\s+login\s+\S+\s+password\s+\S+"  # netrc
    rb"|https?://[^\s/:@]+:[^\s/@]+@\S+\s*$"  # git-credentials
    rb"|//[^\s=]+/:_(?:authToken|password|auth)\s*=\s*\S+"  # npmrc
    rb"|aws_secret_access_key\s*=\s*\S{30,}"
    rb"|\[Interface\]\s+(?:[^\[]*\n)?\s*PrivateKey\s*=\s*[A-Za-z0-9+/]{43}="  # WireGuard
    rb"|# (?:Netscape )?HTTP Cookie File"
    rb")",
    re.MULTILINE,
)
_TOKEN = re.compile(
    rb"\A\s*(?:[A-Za-z_][A-Za-z0-9_]*\s*[=:]\s*)?[\"']?(?:"
    rb"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20,}"
    rb"|xox[abposr]-[A-Za-z0-9-]{20,}|sk_live_[A-Za-z0-9]{20,}|rk_live_[A-Za-z0-9]{20,}"
    rb"|AKIA[0-9A-Z]{16}|hf_[A-Za-z]{30,}|npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{50,}"
    rb"|hvs\.[A-Za-z0-9_-]{24,}|dop_v1_[a-f0-9]{64}|AIza[A-Za-z0-9_-]{35}"
    rb"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    rb")[\"']?\s*\Z"
)
"""A file that is one token and nothing else; pages that show one among their text are documents."""
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
_DATABASES = re.compile(
    rb"CREATE TABLE (?:moz_logins|moz_cookies|metaData|nssPrivate|logins ?\(|cookies ?\(|autofill|credit_cards"
    rb"|genp|inet)"
)
_JSON = re.compile(
    rb"\A\s*\{(?=.*\"(?:private_key|encrypted_key|ciphertext|refresh_token|client_secret|d)\"\s*:)"
    rb"(?=.*\"(?:type\"\s*:\s*\"(?:service_account|authorized_user)|crypto\"\s*:|kty\"\s*:|auths\"\s*:"
    rb"|logins\"\s*:|access_token\"\s*:|installed\"\s*:|web\"\s*:))",
    re.DOTALL | re.IGNORECASE,
)
_STORES = re.compile(
    rb"\A\s*\{\s*\"(?:auths|nextId|encrypted)\"\s*:.*\"(?:auth|encryptedPassword|data)\"\s*:", re.DOTALL
)
_SECRET_PACKETS = frozenset({5, 7})
"""OpenPGP: secret key and secret subkey (RFC 9580, 5.5)."""


def secret_content(head: bytes) -> str:
    """What secret a file holds that begins so, in words; empty when none is known."""
    if _is_armoured(_narrow(head)):
        return "holds a private key"
    if _HOLDERS.search(head) or _TOKEN.search(head):
        return "holds a password or a token"
    if head.startswith(_MAGIC) and (not head.startswith(b"SQLite") or _DATABASES.search(head)):
        return "is a password store, a wallet or a browser's data"
    if _JSON.search(head) or _STORES.search(head):
        return "holds a password or a token"
    return "holds a private key" if _is_secret_packet(head) or _is_der_key(head) else ""


def _is_armoured(head: bytes) -> bool:
    """Whether a key in text begins near the start, or stands among base64; a page about keys is mostly words."""
    found = _ARMOUR.search(head)
    if found is None or found.start() < _NEAR:
        return found is not None
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    return 2 * sum(1 for line in lines if _BASE64.fullmatch(line)) >= len(lines)


def _narrow(head: bytes) -> bytes:
    """Text without its byte order mark, that in UTF-16 as single bytes."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head[2:].replace(b"\0", b"")
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
