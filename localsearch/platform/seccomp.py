"""The system calls that a reader of files needs; all others are refused with EPERM.

A list of what is allowed holds against calls that nobody thought of and against those of kernels to come: changing
modes, times, attributes or names of files, keys, System V memory, namespaces, mounts, tracing, priorities, limits and
signals of other processes, sockets to anyone else. A process cannot leave its group either, so that whoever kills the
group ends all.

References: seccomp(2), linux/filter.h, linux/sched.h, syscalls(2).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_CALLS = """
    read 0 63|write 1 64|readv 19 65|writev 20 66|pread64 17 67|preadv 295 69|close 3 57|close_range 436 436
    fstat 5 80|newfstatat 262 79|stat 4 -|lstat 6 -|statx 332 291|fstatfs 138 44|statfs 137 43|lseek 8 62
    open 2 -|openat 257 56|openat2 437 437|access 21 -|faccessat 269 48|faccessat2 439 439|readlink 89 -
    readlinkat 267 78|getdents64 217 61|getcwd 79 17|dup 32 23|dup2 33 -|dup3 292 24|pipe 22 -|pipe2 293 59
    flock 73 32|fsync 74 82|fdatasync 75 83|ftruncate 77 46|poll 7 -|ppoll 271 73|select 23 -
    pselect6 270 72|epoll_create1 291 20|epoll_ctl 233 21|epoll_wait 232 -|epoll_pwait 281 22|eventfd2 290 19
    mmap 9 222|munmap 11 215|mprotect 10 226|mremap 25 216|madvise 28 233|brk 12 214|msync 26 227|mincore 27 232
    mlock 149 228|munlock 150 229|membarrier 324 283|futex 202 98|set_robust_list 273 99
    get_robust_list 274 100|rseq 334 293|sched_yield 24 124|sched_getaffinity 204 123|sched_getparam 143 121
    sched_getscheduler 145 120|wait4 61 260|waitid 247 95|exit 60 93|exit_group 231 94|set_tid_address 218 96
    gettid 186 178|getpid 39 172|getppid 110 173|getpgid 121 155|getpgrp 111 -|getsid 124 156|getuid 102 174
    geteuid 107 175|getgid 104 176|getegid 108 177|getgroups 115 158|getresuid 118 148|getresgid 120 150
    rt_sigaction 13 134|rt_sigprocmask 14 135|rt_sigreturn 15 139|rt_sigsuspend 130 133|rt_sigtimedwait 128 137
    sigaltstack 131 132|restart_syscall 219 128|alarm 37 -|setitimer 38 103|getitimer 36 102|clock_gettime 228 113
    clock_getres 229 114|clock_nanosleep 230 115|nanosleep 35 101|gettimeofday 96 169|time 201 -|times 100 153
    getrandom 318 278|getrusage 98 165|getrlimit 97 163|setrlimit 160 164|sysinfo 99 179|uname 63 160
    arch_prctl 158 -|getcpu 309 168|sendmsg 46 211|recvmsg 47 212|sendto 44 206|recvfrom 45 207|shutdown 48 210
    getsockopt 55 209|getsockname 51 204|getpeername 52 205
"""
"""Name, number on x86-64, number on AArch64; - where a machine has none."""

_PROGRAMS = "execve 59 221|execveat 322 281|vfork 58 -"
_GUARDED = """
    clone 56 220|clone3 435 435|fcntl 72 25|ioctl 16 29|prctl 157 167|prlimit64 302 261|tgkill 234 131
    socketpair 53 199
"""

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the table, and the name of the machine in linux/audit.h."""

_LOAD, _EQUAL, _ABOVE, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
ALLOW, DENY, MISSING = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_X32_BIT = 0x40000000
_CLONE_THREAD = 0x00010000
_CLONE_NEW = 0x7E020000
"""Flags of linux/sched.h that make namespaces."""
_TERMINAL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""What is asked of a descriptor: is it a terminal, its size, bytes waiting; and non-blocking, close on exec."""
_DESCRIPTORS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
"""fcntl: duplicate, read and set flags, locks, the size of a pipe. No owner: its signals would go to any process."""
_LOCAL = (1,)
"""AF_UNIX: a pair of ends that only this process has; kreuzberg's runtime makes one."""
_NAMES = (15, 16, 0x53564D41)
"""prctl: name this thread, tell its name, name a mapping."""


@dataclass(frozen=True, slots=True)
class _Only:
    """Allow a call whose argument is one of these values."""

    argument: int
    values: Sequence[int]

    def lines(self) -> list[tuple[int, int, int, int]]:
        count = len(self.values)
        tests = [(_EQUAL, count - at, 0, value) for at, value in enumerate(self.values)]
        return [
            (_LOAD, 0, 0, _ARGUMENTS + 8 * self.argument),
            *tests,
            (_RETURN, 0, 0, DENY),
            (_RETURN, 0, 0, ALLOW),
        ]


@dataclass(frozen=True, slots=True)
class _Flags:
    """Allow a call whose first argument has none of some bits and, where asked, one of others."""

    without: int
    needed: int = 0

    def lines(self) -> list[tuple[int, int, int, int]]:
        load = (_LOAD, 0, 0, _ARGUMENTS)
        if not self.needed:
            return [load, (_BITS, 0, 1, self.without), (_RETURN, 0, 0, DENY), (_RETURN, 0, 0, ALLOW)]
        return [load, (_BITS, 1, 0, self.without), (_BITS, 1, 0, self.needed), (_RETURN, 0, 0, DENY),
                (_RETURN, 0, 0, ALLOW)]  # fmt: skip


def filter_for(machine: str, pid: int, *, programs: bool) -> bytes:
    """A classic BPF program for a process of this machine; `programs` lets it start others, under the same filter."""
    plain = set(_numbers(machine, _CALLS).values())
    guarded = _numbers(machine, _GUARDED)
    if programs:
        plain |= set(_numbers(machine, _PROGRAMS).values())
    lines = [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, MACHINES[machine][1]), (_RETURN, 0, 0, DENY)]
    lines += [(_LOAD, 0, 0, _NUMBER), (_ABOVE, 0, 1, _X32_BIT), (_RETURN, 0, 0, DENY)]
    # The C library asks for clone when clone3, whose flags a filter cannot see, is said to be missing.
    lines += [(_EQUAL, 0, 1, guarded["clone3"]), (_RETURN, 0, 0, MISSING)]
    rules: dict[str, _Only | _Flags] = {
        "clone": _Flags(_CLONE_NEW, 0 if programs else _CLONE_THREAD),
        "fcntl": _Only(1, _DESCRIPTORS),
        "ioctl": _Only(1, _TERMINAL),
        "prctl": _Only(0, _NAMES),
        "prlimit64": _Only(0, (0, pid)),
        "tgkill": _Only(0, (pid,)),
        "socketpair": _Only(0, _LOCAL),
    }
    for name, rule in rules.items():
        body = rule.lines()
        lines += [(_EQUAL, 0, len(body), guarded[name]), *body]
    for number in sorted(plain):
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, ALLOW)]
    lines.append((_RETURN, 0, 0, DENY))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _numbers(machine: str, table: str) -> dict[str, int]:
    column = 1 + MACHINES[machine][0]
    rows = [row.split() for line in table.split("\n") for row in line.split("|") if row.strip()]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
