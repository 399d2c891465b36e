"""Whose process holds the other end of a TCP connection within this machine. Linux tells; other systems do not.

The kernel is asked for the one socket whose addresses are those of the connection, swapped (sock_diag(7), a query of
about 30 microseconds), or, where a container forbids that, its table in /proc/net. A socket that nobody holds any more
is listed as root's: it counts as unknown, and so does one that is not the connection's to the last bit.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

Address = tuple[str, int]
"""IP address and port."""

_SOCK_DIAG, _NLM_F_REQUEST, _SOCK_DIAG_BY_FAMILY, _NLMSG_ERROR = 4, 1, 20, 2
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI")
_ANSWER = struct.Struct("=BBBB48sIIIII")
_ANY_COOKIE = b"\0" * 4 + b"\xff" * 8
"""Interface 0, and no cookie."""
_HELD = frozenset({1, 4, 5})
"""States in which a client may hold its socket: ESTABLISHED, FIN_WAIT1, FIN_WAIT2 (include/net/tcp_states.h)."""
_PATIENCE_S = 0.5


class SocketOwners:
    """Answers whose a socket is. For one thread; keeps one descriptor until `close`.

    How to ask is found out once, with a connection of its own; `available` is False where neither way answers.
    """

    def __init__(self, tables: Path = Path("/proc/net")) -> None:
        self._tables = tables
        self._sequence = 0
        self._kernel = _kernel()
        self.available = self._tells()
        if not self.available and self._kernel:
            self.close()
            self.available = self._tells()

    def close(self) -> None:
        """Give the descriptor back; from then on /proc/net is read."""
        if self._kernel:
            self._kernel.close()
            self._kernel = None

    def uid(self, here: Address, there: Address) -> int | None:
        """The user whose socket has the address `here` and is connected to `there`; None when nobody can tell."""
        try:
            ends = _packed(*here), _packed(*there)
            return self._ask(self._kernel, *ends) if self._kernel else self._read(*ends)
        except (OSError, ValueError, struct.error):
            return None

    def peer(self, connection: socket.socket) -> int | None:
        """The user at the other end of a connection."""
        try:
            return self.uid(connection.getpeername()[:2], connection.getsockname()[:2])
        except OSError:
            return None

    def _tells(self) -> bool:
        """Whether the owner of a connection that this process makes is told."""
        try:
            with (
                socket.create_server(("127.0.0.1", 0)) as listener,
                socket.create_connection(listener.getsockname(), _PATIENCE_S),
                listener.accept()[0] as accepted,
            ):
                return self.peer(accepted) == os.geteuid()
        except OSError:
            return False

    def _ask(self, kernel: socket.socket, here: tuple[bytes, int], there: tuple[bytes, int]) -> int | None:
        """By sock_diag(7)."""
        self._sequence += 1
        family = socket.AF_INET if len(here[0]) == 4 else socket.AF_INET6
        body = (
            _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + _socket_id(here, there) + _ANY_COOKIE
        )
        head = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, self._sequence, 0)
        kernel.sendto(head + body, (0, 0))
        while True:
            answer, sender = kernel.recvfrom(4096)
            _, kind, _, sequence, _ = _HEADER.unpack_from(answer)
            if sender[0] == 0 and sequence == self._sequence:
                break
        if kind != _SOCK_DIAG_BY_FAMILY:
            return None
        _, state, _, _, found, _, _, _, uid, inode = _ANSWER.unpack_from(answer, _HEADER.size)
        name = found[: len(body) - _REQUEST.size - len(_ANY_COOKIE)]
        if name != _socket_id(here, there) and name != _socket_id(
            *((_mapped(a), b) for a, b in (here, there))
        ):
            return None
        return uid if state in _HELD and inode else None

    def _read(self, here: tuple[bytes, int], there: tuple[bytes, int]) -> int | None:
        """By /proc/net/tcp and tcp6; a socket of the latter may have addresses of IPv4."""
        wanted = [
            ("tcp6", f"{_hex(_mapped(here[0]))}:{here[1]:04X}", f"{_hex(_mapped(there[0]))}:{there[1]:04X}")
        ]
        if len(here[0]) == 4:
            wanted.insert(0, ("tcp", f"{_hex(here[0])}:{here[1]:04X}", f"{_hex(there[0])}:{there[1]:04X}"))
        for table, local, remote in wanted:
            with suppress(OSError), open(self._tables / table, encoding="ascii") as rows:
                for row in rows:
                    if local in row and remote in row:
                        fields = row.split()
                        if fields[1:3] == [local, remote] and int(fields[3], 16) in _HELD and int(fields[9]):
                            return int(fields[7])
        return None


def _kernel() -> socket.socket | None:
    with suppress(OSError, AttributeError):
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _SOCK_DIAG)
        kernel.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, int(_PATIENCE_S * 1e6))
        )
        return kernel
    return None


def own_uid() -> int | None:
    """This process's user; None where it cannot be told from a stranger: the user that others are shown as."""
    uid = os.geteuid()
    try:
        strangers = int(Path("/proc/sys/kernel/overflowuid").read_text("ascii"))
    except (OSError, ValueError):
        return uid
    return None if uid == strangers and _mapped_users() else uid


def _mapped_users() -> bool:
    """Whether this process is in a user namespace that does not know every user of the machine."""
    try:
        rows = [line.split() for line in Path("/proc/self/uid_map").read_text("ascii").splitlines()]
    except OSError:
        return False
    return rows != [["0", "0", "4294967295"]]


def _packed(host: str, port: int) -> tuple[bytes, int]:
    return _bytes(host), port


@lru_cache(maxsize=256)
def _bytes(host: str) -> bytes:
    address = ipaddress.ip_address(host.partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address).packed


def _socket_id(here: tuple[bytes, int], there: tuple[bytes, int]) -> bytes:
    return struct.pack("!HH16s16s", here[1], there[1], here[0], there[0])


def _mapped(address: bytes) -> bytes:
    return address if len(address) == 16 else b"\0" * 10 + b"\xff\xff" + address


def _hex(address: bytes) -> str:
    """As /proc/net has it: words of four bytes, each in the machine's order."""
    words = struct.unpack(f"={len(address) // 4}I", address)
    return "".join(f"{word:08X}" for word in words)
