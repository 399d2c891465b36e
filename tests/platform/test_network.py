"""What strace tells of the network, parsed from lines that it wrote and from a program that really asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from localsearch.platform.network import Traffic, is_here, read_trace, traced, without_network

NOTHING = Traffic()
LINES = {
    '7 connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (No such file)': NOTHING,
    '7 sendto(18, ""..., 266, 0, NULL, 0) = 266': NOTHING,
    '7 openat(AT_FDCWD, "/etc/nsswitch.conf", O_RDONLY|O_CLOEXEC) = 3': NOTHING,
    "7 connect(3, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 0": NOTHING,
    '7 connect(3, {sa_family=AF_INET, sin_port=htons(8765), sin_addr=inet_addr("127.0.0.1")}, 16) = 0': Traffic(
        1
    ),
    '7 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("0.0.0.0")}, 16) = 0': Traffic(
        1
    ),
    '7 connect(3, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = 0': Traffic(
        1
    ),
    '7 connect(3, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::ffff:192.0.2.1", &sin6_addr), sin6_scope_id=0}, 28 <unfinished ...>': Traffic(
        0, ("connect ::ffff:192.0.2.1 port 443",)
    ),
    '7 sendto(4, ""..., 5, 0, {sa_family=AF_INET6, sin6_port=htons(9), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = -1 EADDRNOTAVAIL': Traffic(
        0, ("sendto 2001:db8::1 port 9",)
    ),
    '7 sendmsg(3, {msg_name={sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("192.0.2.1")}, msg_namelen=16, msg_iov=[...]}, 0) = 5': Traffic(
        0, ("sendmsg 192.0.2.1 port 9",)
    ),
    "7 connect(3, {sa_family=AF_VSOCK, svm_cid=0x2, svm_port=0x1}, 16) = 0": Traffic(
        0, ("connect AF_VSOCK",)
    ),
    # a name server on loopback asks on
    '7 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 0': Traffic(
        0, (), ("connect 127.0.0.53 port 53",)
    ),
    '7 openat(AT_FDCWD, "/etc/resolv.conf", O_RDONLY|O_CLOEXEC) = 23': Traffic(
        0, (), ("openat /etc/resolv.conf",)
    ),
    '7 connect(3, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io.systemd.Resolve"}, 42) = 0': Traffic(
        0, (), ("connect /run/systemd/resolve/io.systemd.Resolve",)
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_one_line_of_a_trace(line: str) -> None:
    assert read_trace([line]) == LINES[line]


ASKS = """
import socket
def tried(act):
    try:
        act()
    except OSError:
        pass
udp = lambda family: socket.socket(family, socket.SOCK_DGRAM)
tried(lambda: socket.socket().connect(("192.0.2.1", 443)))
tried(lambda: udp(socket.AF_INET).sendto(b"x", ("192.0.2.2", 9)))
tried(lambda: udp(socket.AF_INET).sendmsg([b"x"], [], 0, ("192.0.2.3", 9)))
tried(lambda: socket.socket().connect(("127.0.0.1", 1)))
tried(lambda: socket.getaddrinfo("127.0.0.1", 1))
"""


def trace_of(code: str, tmp_path: Path) -> Traffic:
    room, trace = without_network(), traced(tmp_path / "trace")
    if not room or not trace:
        pytest.skip("needs unshare (util-linux) and leave to make namespaces, and strace")
    subprocess.run([*room, *trace, sys.executable, "-c", code], check=True)
    return read_trace((tmp_path / "trace").read_text().splitlines())


def test_what_a_program_asks_is_seen_where_nothing_can_answer(tmp_path: Path) -> None:
    found = trace_of(ASKS, tmp_path)
    assert found.outbound == (
        "connect 192.0.2.1 port 443",
        "sendto 192.0.2.2 port 9",
        "sendmsg 192.0.2.3 port 9",
    )
    assert found.lookups == ()
    assert found.local == 1


def test_a_name_that_is_looked_up_is_seen(tmp_path: Path) -> None:
    assert (
        "openat /etc/resolv.conf"
        in trace_of(
            "import socket\ntry: socket.getaddrinfo('nowhere.invalid', 80)\nexcept OSError: pass", tmp_path
        ).lookups
    )


def test_in_the_empty_namespace_loopback_is_up(tmp_path: Path) -> None:
    room = without_network()
    if not room:
        pytest.skip("needs unshare (util-linux) and leave to make namespaces")
    code = (
        "from localsearch.platform.network import raise_loopback; raise_loopback(); import socket;"
        "server = socket.create_server(('127.0.0.1', 0)); client = socket.create_connection(server.getsockname());"
        "print(client.getpeername()[0], open('/proc/net/route').read().count(chr(10)))"
    )
    done = subprocess.run([*room, sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "127.0.0.1 1\n", done.stderr  # the heading, and no route


@pytest.mark.parametrize(
    ("address", "here"),
    [("127.8.9.1", True), ("::1", True), ("::", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False), ("fe80::1", False)],
)  # fmt: skip
def test_which_addresses_are_this_machine(address: str, here: bool) -> None:
    assert is_here(address) is here
