"""Whose a connection within this machine is. Owners are told apart by giving a socket away, which takes root."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localsearch.platform.peers import SocketOwners

STRANGER = 65534
LINUX = Path("/proc/net/tcp").exists()
pytestmark = pytest.mark.skipif(not LINUX, reason="only Linux tells whose a socket is")
FAMILIES = [
    (socket.AF_INET, "127.0.0.1", socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET6, "::1", socket.AF_INET6, "::1"),
    (socket.AF_INET6, "::", socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET6, "::", socket.AF_INET6, "::ffff:127.0.0.1"),
    (socket.AF_INET, "127.0.0.1", socket.AF_INET6, "::ffff:127.0.0.1"),
]


@pytest.fixture(params=["sock_diag", "/proc/net"])
def owners(request: pytest.FixtureRequest) -> Iterator[SocketOwners]:
    one = SocketOwners()
    if request.param == "/proc/net":
        one.close()
    yield one
    one.close()


@contextmanager
def connected(
    family: socket.AddressFamily, host: str, client_family: socket.AddressFamily, address: str
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection: the client's, the server's."""
    with socket.socket(family) as listener, socket.socket(client_family) as client:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, 0))
        listener.listen()
        client.connect((address, listener.getsockname()[1]))
        accepted, _ = listener.accept()
        with accepted:
            yield client, accepted


@pytest.mark.parametrize("ends", FAMILIES)
def test_the_other_end_is_this_user(owners: SocketOwners, ends: tuple[object, ...]) -> None:
    with connected(*ends) as (client, accepted):  # type: ignore[arg-type]
        assert owners.peer(accepted) == os.geteuid()
        client.shutdown(socket.SHUT_WR)
        assert owners.peer(accepted) == os.geteuid()


@pytest.mark.parametrize("ends", FAMILIES)
def test_the_other_end_is_another_user(owners: SocketOwners, ends: tuple[object, ...]) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a socket to another user needs root")
    with connected(*ends) as (client, accepted):  # type: ignore[arg-type]
        os.fchown(client.fileno(), STRANGER, -1)
        assert owners.peer(accepted) == STRANGER


@pytest.mark.parametrize("ends", FAMILIES)
def test_a_socket_that_nobody_holds_is_nobodys_and_not_roots(
    owners: SocketOwners, ends: tuple[object, ...]
) -> None:
    with connected(*ends) as (client, accepted):  # type: ignore[arg-type]
        client.sendall(b"sent before it closed")
        client.close()
        assert owners.peer(accepted) is None


def test_a_listener_at_the_clients_port_does_not_speak_for_it(owners: SocketOwners) -> None:
    with connected(*FAMILIES[0]) as (client, accepted):
        port = client.getsockname()[1]
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen()
            assert owners.uid(("127.0.0.1", port), accepted.getsockname()) is None


def test_where_nothing_tells_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_NETLINK")
    owners = SocketOwners(tables=tmp_path)
    assert not owners.available
    assert SocketOwners().available
    with connected(*FAMILIES[0]) as (_, accepted):
        assert owners.peer(accepted) is None


def test_an_address_that_is_none_is_nobodys() -> None:
    assert SocketOwners().uid(("nowhere", 1), ("127.0.0.1", 2)) is None
