"""What keeps a worker in: Landlock for files and network, a list of the system calls that it may make, resource limits.

Everything here is Linux's own, called through ctypes, and works without privileges. Each measure is taken if the
kernel has it; `confine` returns what is in force, as words for people, and `probe` tries what should now be impossible.
References: landlock(7), seccomp(2), linux/landlock.h, linux/seccomp.h, linux/filter.h.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import resource
import socket
import struct
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localsearch.platform import seccomp

LONGEST_REPORT = 4_000_000
"""Bytes that a worker may write to any file, its standard error among them."""

NO_PROGRAMS = "no other programs"
"""In the words of `confine` for seccomp, where a process can start no other."""
_MOST_OPEN = 256
"""Descriptors: what stands in pipes and sockets is in no other limit."""
_CAPABILITY_VERSION, _READ_ANY = 0x20080522, 1 << 2
"""Version 3 of linux/capability.h; CAP_DAC_READ_SEARCH, for libraries in another user's folder."""
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH, _VERSION_FLAG = 1, 1
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_WRITE = 1 << 1 | 1 << 8 | 1 << 14
"""Write, make and truncate files."""
_FILE_RIGHTS = ((1, 13), (2, 14), (3, 15), (5, 16))
"""Landlock versions, and how many file rights (bits from 0) each knows."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a confined process may use. `memory` is bytes of its own, `mapped` bytes of files mapped beside them.

    `libraries` are what it imports when it is confined already, `readable` further files and folders. `programs` lets
    it start others (tesseract), under the same confinement. Files of at most `longest` bytes may be written below the
    folder `writable`, if there is one.
    """

    memory: int
    libraries: tuple[str, ...] = ()
    programs: bool = False
    readable: tuple[str, ...] = ()
    writable: Path | None = None
    longest: int = LONGEST_REPORT
    mapped: int = 0


def confine(room: Room) -> dict[str, str]:
    """Take every measure this kernel has, for good; what is in force, by name."""
    measures = {"memory": _limit_memory(room), "files": "not confined", "network": "not confined"}
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        measures |= _drop_capabilities()
        measures |= _landlock(_readable(room), room.writable)
        measures |= _seccomp(room.programs)
    return measures


def probe() -> dict[str, str]:
    """Try what should be impossible by now: "refused" or "possible" for each."""
    return {
        "open a file": _tried(_open_file),
        "open a socket": _tried(_open_socket),
        "write a file": _tried(_write_file),
        "signal a process": _tried(lambda: os.kill(os.getppid(), 0)),
    }


def _tried(act: object) -> str:
    try:
        act()  # type: ignore[operator]
    except PermissionError:
        return "refused"
    except OSError as error:
        return f"refused ({error.strerror})"
    return "possible"


def _open_file() -> None:
    os.close(os.open("/etc/hostname" if os.path.exists("/etc/hostname") else "/etc/passwd", os.O_RDONLY))


def _open_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()


def _write_file() -> None:
    os.close(os.open(f"/tmp/localsearch-{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(f"/tmp/localsearch-{os.getpid()}")


def _limit_memory(room: Room) -> str:
    """Bound what the process may allocate: private writable memory, and addresses as a second line."""
    set_limit(resource.RLIMIT_CORE, 0)
    set_limit(resource.RLIMIT_NOFILE, _MOST_OPEN)
    set_limit(resource.RLIMIT_FSIZE, room.longest)
    set_limit(resource.RLIMIT_AS, room.memory + room.mapped + (1 << 30))
    limited = set_limit(resource.RLIMIT_DATA, room.memory)
    return f"{room.memory // 1_000_000} MB" if limited else "not limited by this system"


def set_limit(kind: int, size: int) -> bool:
    """Lower a resource limit for good, never above what it is; whether the system took it."""
    hard = resource.getrlimit(kind)[1]
    bound = size if hard == resource.RLIM_INFINITY else min(size, hard)
    try:
        resource.setrlimit(kind, (bound, bound))
    except (ValueError, OSError):
        return False
    return True


def _readable(room: Room) -> list[Path]:
    """Where the libraries are that readers load when first needed: Python's, ours, the system's; and fixed files."""
    places = [Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib")]
    places += [Path(__file__).resolve().parents[1], *map(_home_of, room.libraries)]
    places += map(Path, ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib"))
    places += map(Path, ("/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/proc/self", *room.readable))
    if room.programs:
        places += map(
            Path,
            ("/usr/bin", "/usr/local/bin", "/usr/share", os.environ.get("TESSDATA_PREFIX", "/usr/share")),
        )
    return [place for place in dict.fromkeys(places) if place.exists()]


def _home_of(library: str) -> Path:
    """The folder to read a library from: all of site-packages where it is there, else its own."""
    spec = importlib.util.find_spec(library)
    if spec is None or spec.origin is None:
        return Path("/dev/null")
    folder = Path(spec.origin).resolve().parent
    return folder.parent if folder.parent.name in ("site-packages", "dist-packages") else folder


def _drop_capabilities() -> dict[str, str]:
    """Give up what root may do beyond its files, raising limits again among it; capset(2)."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION, 0), 8)
    held = ctypes.create_string_buffer(24)
    if _LIBC.capget(header, held):
        return {"capabilities": os.strerror(ctypes.get_errno())}
    kept = struct.unpack("=6I", held.raw)[1] & _READ_ANY
    done = _LIBC.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0))
    return {
        "capabilities": os.strerror(ctypes.get_errno()) if done else "none but reading" if kept else "none"
    }


def _landlock(readable: Iterable[Path], writable: Path | None) -> dict[str, str]:
    version = _LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    if version < 1:
        return {"landlock": "this kernel has none"}
    rights = max(count for least, count in _FILE_RIGHTS if version >= least)
    network = 0b11 if version >= 4 else 0
    scoped = 0b11 if version >= 6 else 0
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("=QQQ", (1 << rights) - 1, network, scoped)[:size]
    ruleset = _LIBC.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return {"landlock": os.strerror(ctypes.get_errno())}
    try:
        for place in readable:
            _allow(ruleset, place, _EXECUTE | _READ_FILE | (_READ_DIR if place.is_dir() else 0))
        if writable:
            _allow(ruleset, writable, ((1 << rights) - 1) & (_READ_FILE | _READ_DIR | _WRITE))
        done = _LIBC.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    if done:
        return {"landlock": os.strerror(ctypes.get_errno())}
    found = {
        "landlock": f"version {version}",
        "files": f"reads libraries and what is handed to it, writes {'one folder' if writable else 'nothing'}",
    }
    return found | ({"network": "no TCP"} if network else {})


def _allow(ruleset: int, place: Path, rights: int) -> None:
    """Give rights to a file, or to all that is below a folder."""
    try:
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        _LIBC.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _seccomp(programs: bool) -> dict[str, str]:
    machine = platform.machine()
    if machine not in seccomp.MACHINES or ctypes.sizeof(ctypes.c_void_p) != 8:
        return {"seccomp": f"not for {machine}"}
    code = seccomp.filter_for(machine, os.getpid(), programs=programs)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    if _LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0):
        return {"seccomp": os.strerror(ctypes.get_errno())}
    runs = "runs other programs" if programs else NO_PROGRAMS
    return {"seccomp": f"no sockets, {runs}", "network": "no sockets of any kind"}
