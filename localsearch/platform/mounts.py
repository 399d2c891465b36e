"""Which file systems show the running system instead of files: processes with their environments, devices, keys.

Reference: proc_pid_mountinfo(5).
"""

from __future__ import annotations

import os

_VIEWS = frozenset(
    b"""
    proc sysfs debugfs tracefs securityfs selinuxfs cgroup cgroup2 devtmpfs devpts pstore bpf configfs efivarfs
    fusectl mqueue hugetlbfs binfmt_misc rpc_pipefs nfsd nsfs functionfs
    """.split()
)


def system_views(mounts: str = "/proc/self/mountinfo") -> frozenset[int]:
    """Numbers of the devices of such file systems, as `os.stat_result.st_dev` has them; none where it is not told."""
    try:
        with open(mounts, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return frozenset()
    return frozenset(device for line in lines if (device := _view(line)) is not None)


def _view(line: bytes) -> int | None:
    fields, _, rest = line.partition(b" - ")
    if rest.split(b" ")[0] not in _VIEWS:
        return None
    major, _, minor = fields.split(b" ")[2].partition(b":")
    return os.makedev(int(major), int(minor))
