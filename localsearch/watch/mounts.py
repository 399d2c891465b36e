"""Name the file systems that report no change that another machine makes. For `watch.watcher` only."""

from __future__ import annotations

import os
import re

_REMOTE = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "lustre", "ocfs2", "gfs2"}
    | {"davfs", "drvfs", "vboxsf", "prl_fs", "vmhgfs"}
)
_FUSE_LOCAL = frozenset({"fuse.ntfs-3g", "fuse.exfat", "fuse.mergerfs", "fuse.bindfs", "fuse.gocryptfs"})


def remote_filesystem(raw: bytes, mounts: str = "/proc/self/mountinfo") -> str:
    """The type of the file system a path lies on when it is shared with others, else the empty string."""
    try:
        with open(mounts, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    kind = _type_at(os.path.realpath(raw), lines)
    shared = kind in _REMOTE or (kind.startswith("fuse.") and kind not in _FUSE_LOCAL)
    return kind if shared else ""


def _type_at(path: bytes, lines: list[bytes]) -> str:
    """The type of the mount that covers a path: the longest mount point, the last one where several are stacked."""
    best, kind = -1, b""
    for line in lines:
        fields, _, rest = line.partition(b" - ")
        point = _unescape(fields.split(b" ")[4]).rstrip(b"/")
        if (path == point or path.startswith(point + b"/")) and len(point) >= best:
            best, kind = len(point), rest.split(b" ")[0]
    return kind.decode("ascii", "replace")


def _unescape(field: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), field)
