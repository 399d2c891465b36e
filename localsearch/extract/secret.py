"""Members of archives and attachments that look like secrets, by name or by their first bytes.

Files on disk are judged when folders are walked; this is for what only shows itself once a container is open.
"""

from __future__ import annotations

import re

from localsearch.secrets import HEAD, secret_content

_FOLDERS = re.compile(r"(?:^|/)\.(?:ssh|gnupg|password-store|aws|azure|kube|mozilla)/")
_NAMES = re.compile(
    r"(?:^|/)(?:\.env(?!\.(?:example|sample|template|dist|defaults)$)(?:\.\w+)?|\.envrc|[._]netrc|\.pgpass"
    r"|\.git-credentials|\.htpasswd|\.(?:bash|zsh|sh|python|psql|mysql)_history"
    r"|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|[^/]*\.(?:kdbx?|psafe3|keystore|jks|p12|pfx|ppk|ovpn))$"
)


def looks_secret(name: str, data: bytes) -> bool:
    """Whether a member is a private key, a password store, a private history or lies in a folder of such."""
    if _FOLDERS.search(name) or _NAMES.search(name):
        return True
    return bool(secret_content(data[:HEAD]))
