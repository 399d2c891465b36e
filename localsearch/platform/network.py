"""A network namespace in which there is nothing but loopback, and what programs asked of the network, as strace tells.

References: unshare(1), network_namespaces(7), netdevice(7), strace(1).
"""

from __future__ import annotations

import fcntl
import re
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_WAYS_IN = (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"])
_RAISE = "from localsearch.platform.network import raise_loopback; raise_loopback()"
_CALLS = "connect,sendto,sendmsg,sendmmsg,openat,?open"
_LINE = re.compile(r"\d+ +(connect|sendto|sendmsg|sendmmsg|openat|open)\((.*)")
_FAMILY = re.compile(r"\{sa_family=(AF_\w+|0x\w+)")
_IPV4 = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([\d.]+)"\)')
_IPV6 = re.compile(r'sin6_port=htons\((\d+)\), .*?inet_pton\(AF_INET6, "([\da-fA-F:.]+)"')
_ON_THIS_MACHINE = frozenset({"AF_UNIX", "AF_NETLINK", "AF_UNSPEC", "AF_INET", "AF_INET6"})
"""Families that lead nowhere else, or whose addresses are looked at."""
_NAME_PORTS = frozenset({"53", "853", "5353", "5355"})
"""DNS, DNS over TLS, multicast DNS, LLMNR: asked on loopback, too, they ask on."""
_NAME_FILES = re.compile(r'"(/etc/(?:resolv\.conf|hosts|host\.conf))"')
"""What the C library reads when a name is looked up, and never for an address in numbers."""
_NAME_SOCKETS = re.compile(r'sun_path="([^"]*(?:io\.systemd\.Resolve|avahi-daemon/socket))"')


@dataclass(frozen=True, slots=True)
class Traffic:
    """What programs asked of the network: how often of this machine, and each attempt beyond it or at a name."""

    local: int = 0
    outbound: tuple[str, ...] = ()
    lookups: tuple[str, ...] = ()


def without_network() -> list[str]:
    """The beginning of a command that runs in an empty network namespace; nothing where that is not allowed."""
    if shutil.which("unshare"):
        for way in _WAYS_IN:
            tried = subprocess.run([*way, sys.executable, "-c", _RAISE], capture_output=True)
            if tried.returncode == 0:
                return list(way)
    return []


def raise_loopback() -> None:
    """Bring up the loopback interface, which is down in a new namespace. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(handle, _GET_FLAGS, request), 16)
        fcntl.ioctl(handle, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))


def traced(log: Path) -> list[str]:
    """The beginning of a command whose calls, and those of all that it starts, go into a log; nothing without strace.

    No text that is sent or read is in the log.
    """
    if shutil.which("strace"):
        for faster in (["--seccomp-bpf"], []):  # stops programs at these calls alone
            tried = subprocess.run(
                ["strace", "-f", *faster, "-qq", "-o", "/dev/null", "true"], capture_output=True
            )
            if tried.returncode == 0:
                words = ["-f", *faster, "-qq", "-s", "0", "-e", f"trace={_CALLS}", "-o", str(log)]
                return ["strace", *words]
    return []


def read_trace(lines: Iterable[str]) -> Traffic:
    """What a log of `traced` tells."""
    local, outbound, lookups = 0, [], []
    for line in lines:
        found = _LINE.match(line)
        if not found:
            continue
        call, words = found.groups()
        lookups += [f"{call} {name}" for name in _NAME_FILES.findall(words) if call.startswith("open")]
        lookups += [f"{call} {name}" for name in _NAME_SOCKETS.findall(words)]
        outbound += [f"{call} {one}" for one in _FAMILY.findall(words) if one not in _ON_THIS_MACHINE]
        for port, address in (*_IPV4.findall(words), *_IPV6.findall(words)):
            if port in _NAME_PORTS:
                lookups.append(f"{call} {address} port {port}")
            if not is_here(address):
                outbound.append(f"{call} {address} port {port}")
            elif port not in _NAME_PORTS:
                local += 1
    return Traffic(local, tuple(outbound), tuple(lookups))


def is_here(address: str) -> bool:
    """Whether an address in numbers is loopback, or none at all, which leads to loopback."""
    parsed = ip_address(address)
    inner = getattr(parsed, "ipv4_mapped", None) or parsed
    return bool(inner.is_loopback or inner.is_unspecified)
