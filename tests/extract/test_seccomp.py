"""Readers make the system calls of a list and no other: the filter as the kernel runs it, and a process under it."""

from __future__ import annotations

import errno
import json
import platform
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localsearch.errors import UnavailableError
from localsearch.extract import process
from localsearch.platform import seccomp
from localsearch.settings import ExtractSettings

PID = 4321


def verdict(code: bytes, machine: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel runs it: jumps count from the next instruction, arguments are read as 32 bits."""
    lines = list(struct.iter_unpack("=HBBI", code))
    data = struct.pack("<IIQ6Q", number, machine, 0, *(arguments + (0,) * 6)[:6])
    at, loaded = 0, 0
    while True:
        operation, yes, no, value = lines[at]
        at += 1
        if operation == 0x06:
            return int(value)
        if operation == 0x20:
            (loaded,) = struct.unpack_from("<I", data, value)
        else:
            met = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[operation]
            at += yes if met else no


@pytest.mark.parametrize("machine", seccomp.MACHINES)
@pytest.mark.parametrize("programs", [True, False])
@given(number=st.integers(0, 2**32 - 1) | st.integers(0, 500), argument=st.integers(0, 2**32 - 1))
def test_what_is_not_listed_is_refused(machine: str, programs: bool, number: int, argument: int) -> None:
    code = seccomp.filter_for(machine, PID, programs=programs)
    audit = seccomp.MACHINES[machine][1]
    tables = [seccomp._CALLS, seccomp._GUARDED, *([seccomp._PROGRAMS] if programs else [])]
    listed = {value for table in tables for value in seccomp._numbers(machine, table).values()}
    if number not in listed:
        assert verdict(code, audit, number, argument, argument) == seccomp.DENY
    assert verdict(code, audit ^ 1, number, argument) == seccomp.DENY


@pytest.mark.parametrize("machine", seccomp.MACHINES)
@pytest.mark.parametrize("programs", [True, False])
def test_calls_with_conditions(machine: str, programs: bool) -> None:
    code = seccomp.filter_for(machine, PID, programs=programs)
    audit, numbers = seccomp.MACHINES[machine][1], seccomp._numbers(machine, seccomp._GUARDED)
    thread, fork = 0x3D0F00, 0x1200011
    for flags, allowed in [
        (thread, True),
        (fork, programs),
        (0x4111, programs),
        *[
            (thread | new, False)
            for new in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
        ],
    ]:
        assert (verdict(code, audit, numbers["clone"], flags) == seccomp.ALLOW) is allowed, hex(flags)
    assert verdict(code, audit, numbers["clone3"]) == seccomp.MISSING
    for name, arguments, allowed in [
        ("ioctl", (0, 0x5401), True), ("ioctl", (0, 0x5412), False), ("prctl", (15,), True), ("prctl", (1,), False),
        ("prctl", (4,), False), ("prlimit64", (0,), True), ("prlimit64", (PID,), True), ("prlimit64", (1,), False),
        ("tgkill", (PID,), True), ("tgkill", (1,), False), ("fcntl", (5, 1030), True), ("fcntl", (5, 4), True),
        ("fcntl", (5, 8), False), ("fcntl", (5, 10), False), ("fcntl", (5, 15), False), ("fcntl", (5, 1024), False),
        ("fcntl", (5, 1026), False), ("fcntl", (5, 1031), False),
    ]:  # fmt: skip
        assert (verdict(code, audit, numbers[name], *arguments) == seccomp.ALLOW) is allowed, (
            name,
            arguments,
        )


TRIED = {
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "utimensat": 280, "utime": 132, "setxattr": 188, "fsetxattr": 190,
    "getxattr": 191, "removexattr": 197, "add_key": 248, "request_key": 249, "keyctl": 250, "shmget": 29, "shmat": 30,
    "semget": 64, "msgget": 68, "unshare": 272, "setns": 308, "chroot": 161, "pivot_root": 155, "mount": 165, "setpriority": 141,
    "sched_setscheduler": 144, "sched_setaffinity": 203, "ioprio_set": 251, "kill": 62, "tkill": 200, "rt_sigqueueinfo": 129,
    "pidfd_open": 434, "pidfd_send_signal": 424, "pidfd_getfd": 438, "setsid": 112, "setpgid": 109, "ptrace": 101,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "socket": 41, "socketpair": 53, "connect": 42, "bind": 49,
    "rename": 82, "link": 86, "symlink": 88, "unlink": 87, "mkdir": 83, "mknod": 133, "truncate": 76, "setuid": 105, "capset": 126,
    "personality": 135, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "fanotify_init": 300, "inotify_init1": 294, "mq_open": 240, "timer_create": 222, "fork": 57,
    "vfork": 58, "execve": 59, "execveat": 322, "swapon": 167, "reboot": 169, "init_module": 175, "quotactl": 179, "acct": 163,
    "memfd_create": 319, "memfd_secret": 447, "a call of a kernel to come": 600,
}  # fmt: skip


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
def test_a_confined_process_is_refused_each_of_these() -> None:
    script = (
        "import ctypes, json, os, sys\n"
        "from localsearch.platform.confine import Room, confine\n"
        "tried = json.loads(sys.argv[1])\n"
        "call = ctypes.CDLL(None, use_errno=True).syscall\n"
        "found = confine(Room(512 << 20))\n"
        "if not found.get('seccomp', '').startswith('no sockets'): print('null'); sys.exit()\n"
        "def result(number):\n"
        "    ctypes.set_errno(0)\n"
        "    return ctypes.get_errno() if call(number, *[ctypes.c_long(-1)] * 6) == -1 else 0\n"
        "print(json.dumps({name: result(number) for name, number in tried.items()}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(TRIED)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    if found is None:
        pytest.skip("this kernel has no seccomp")
    assert {name: errno.errorcode.get(code) for name, code in found.items()} == dict.fromkeys(TRIED, "EPERM")


ESCAPES = """
import fcntl, json, os, resource, signal
from localsearch.platform.confine import Room, confine
found = confine(Room(512 << 20))
if not found.get("seccomp", "").startswith("no sockets"): print("null"); raise SystemExit
def tried(act):
    try: act()
    except (OSError, ValueError) as error: return type(error).__name__
    return "possible"
ours, theirs = os.pipe()
print(json.dumps({
    "own signals": tried(lambda: fcntl.fcntl(ours, 8, os.getppid())),
    "choose them": tried(lambda: fcntl.fcntl(ours, 10, signal.SIGKILL)),
    "lease": tried(lambda: fcntl.fcntl(ours, 1024, fcntl.F_WRLCK)),
    "widen a pipe": tried(lambda: fcntl.fcntl(ours, 1031, 1 << 20)),
    "file in memory": tried(lambda: os.memfd_create("x")),
    "raise a limit": tried(lambda: resource.setrlimit(resource.RLIMIT_DATA, (1 << 40, 1 << 40))),
    "capabilities": next(line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")),
    "many descriptors": tried(lambda: [os.dup(0) for _ in range(400)]),
}))
"""


def test_a_confined_process_signals_nobody_and_hoards_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", ESCAPES], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    if found is None:
        pytest.skip("this kernel has no seccomp")
    assert int(found.pop("capabilities"), 16) & ~(1 << 2) == 0
    assert [name for name, outcome in found.items() if outcome == "possible"] == []


@pytest.mark.parametrize(
    "end", ["os._exit(3)", "os.kill(os.getpid(), 9)", "os.close(int(sys.argv[1])); time.sleep(600)"]
)
def test_no_child_outlives_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """A program that a reader has started is of its group, and ends with it, however the reader ends."""
    told = tmp_path / "pid"
    script = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen(['sleep', '600'])\nopen({str(told)!r}, 'w').write(str(child.pid))\n{end}\n"
    )

    def spawn(self: process.Worker, descriptor: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", script, str(descriptor)]
        return subprocess.Popen(command, pass_fds=[descriptor], start_new_session=True)

    monkeypatch.setattr(process.Worker, "_spawn", spawn)
    worker = process.Worker(ExtractSettings())
    with pytest.raises(UnavailableError):
        worker.start()
    worker.close()
    child, deadline = int(told.read_text()), time.monotonic() + 20
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    """Whether a process does anything any more: one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
