"""Real servers for tests: a real engine behind real sockets on the loopback interface, in a thread of the process."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from localsearch.settings import ExtractSettings, LimitSettings, ServerSettings, Settings
from localsearch.types import Record

if TYPE_CHECKING:
    from localsearch.engine import Engine
    from localsearch.server.service import Service

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients without TLS. By default each reads all certificates, which takes 30 ms: more than most requests."""
ONE_READER = ExtractSettings(workers=1)
"""Where a test is about what becomes of files, not about reading them side by side: each process that reads takes a quarter of
a second of processor time to start."""
SAMPLE = Path(__file__).parents[1] / "data" / "sample"

NOTES = {
    "kiln": "Let the kiln cool for a whole day before you open its door, or the glaze will crack.",
    "glaze": "A celadon glaze turns green in a reduction firing and stays grey in an electric kiln.",
    "bread": "Rye bread wants a sourdough starter, a long rest and a very hot oven.",
    "bees": "Bees gather propolis from poplar buds and seal every crack of the hive with it.",
    "tide": "Spring tides come at new and full moon, neap tides at the quarters.",
}


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs: its address, what is behind it, and a client that talks to it."""

    url: str
    port: int
    engine: Engine
    service: Service
    client: httpx.Client
    stop: Callable[[], None]
    connections: Callable[[], set[Any]]

    def search(self, query: str, **more: Any) -> dict[str, Any]:
        """The answer to POST /search, which must be 200."""
        answer = self.client.post("/search", json={"query": query, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def socket(self, timeout: float = 10.0) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout)


@contextmanager
def serving(engine: Engine, settings: Settings, **more: Any) -> Iterator[Served]:
    """Serve until the block ends."""
    # Imported here, so that tests of other parts, which load this file too, do not load the server.
    from localsearch.server.app import create_app
    from localsearch.server.listener import listen
    from localsearch.server.run import Server

    listener = listen(settings.server.host, 0)
    port = int(listener.getsockname()[1])
    settings = replace(settings, server=replace(settings.server, port=port))
    app = create_app(engine, settings, **more)
    ready = threading.Event()
    server = Server(app, app.state.service, settings, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()

    def stop() -> None:
        server.stop()
        thread.join(30)
        assert not thread.is_alive(), "the server did not stop"

    try:
        assert ready.wait(30), "the server did not start"
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=30.0, verify=PLAIN) as client:
            yield Served(
                url, port, engine, app.state.service, client, stop, lambda: server.server_state.connections
            )
    finally:
        stop()
        listener.close()


def settings_at(home: Path, limits: LimitSettings | None = None, **server: Any) -> Settings:
    """Settings of a home folder without a model: searches are answered by words."""
    return Settings(
        home=home,
        models=home / "no-models",
        offline=True,
        extract=ONE_READER,
        server=ServerSettings(limits=limits or LimitSettings(), **server),
    )


@contextmanager
def notes(home: Path, limits: LimitSettings | None = None, **server: Any) -> Iterator[Served]:
    """A server over five short notes."""
    from localsearch.engine import Engine

    settings = settings_at(home, limits, **server)
    with Engine.open(settings=settings) as engine:
        engine.add(
            [Record(text, id, id.title(), {"year": 2020 + n}) for n, (id, text) in enumerate(NOTES.items())]
        )
        with serving(engine, settings) as served:
            yield served


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over five short notes, for tests that leave it as it was."""
    with notes(tmp_path_factory.mktemp("served") / "home") as one:
        yield one


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[Served]:
    """A server over data/sample with every passage embedded by the real model."""
    from localsearch.engine import Engine

    home = tmp_path_factory.mktemp("sample") / "home"
    settings = replace(settings_at(home), models=model_folder)
    with Engine.open(settings=settings) as engine:
        engine.index(SAMPLE)
        with serving(engine, settings) as one:
            yield one


def error_of(answer: httpx.Response) -> dict[str, str]:
    """The error of an answer, whose shape must be the one that is promised."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "hint"}
    assert all(isinstance(text, str) for text in body["error"].values())
    found: dict[str, str] = body["error"]
    return found
