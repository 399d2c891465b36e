"""Members of archives and attachments that look like secrets, by name or by their first bytes.

Files on disk are judged when folders are walked; this is for what only shows itself once a container is open.
"""

from __future__ import annotations

from itertools import accumulate

from localsearch.secret_names import is_secret_folder, is_secret_name
from localsearch.secrets import HEAD, secret_content


def looks_secret(name: str, data: bytes) -> bool:
    """Whether a member is a private key, a password store, a private history or lies in a folder of such."""
    *folders, base = name.encode("utf-8", "surrogatepass").split(b"/")
    paths = accumulate(folders, lambda path, folder: path + b"/" + folder, initial=b"")
    if is_secret_name(base) or any(map(is_secret_folder, folders, list(paths)[1:])):
        return True
    return bool(secret_content(data[:HEAD]))
