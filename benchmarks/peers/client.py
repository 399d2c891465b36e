"""The harness's side of an adapter: start it in its environment, ask it, stop it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

HERE = Path(__file__).parent


class PeerError(Exception):
    """What an adapter answered instead of a result."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A system to compare with: its adapter, the Python that runs it, and variables of the environment for it."""

    key: str
    python: Path | None
    script: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return self.python is not None and self.python.exists()


class Running:
    """An adapter's process. Attributes are its operations: `running.search(queries=[...], mode="hybrid")`."""

    def __init__(self, peer: Peer, log: Path) -> None:
        self.peer = peer
        self._log = log.open("ab")
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "true",
            "ANONYMIZED_TELEMETRY": "False",
            "PYTHONWARNINGS": "ignore",
            **peer.variables,
        }
        self.process = subprocess.Popen(
            [str(peer.python), str(peer.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            text=True,
        )

    def __getattr__(self, operation: str) -> Any:
        return lambda **arguments: self.ask(operation, **arguments)

    def ask(self, operation: str, **arguments: Any) -> Any:
        """Send one request and wait. Raises PeerError with the adapter's own words."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"op": operation, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise PeerError(f"{self.peer.key} ended with code {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self.peer.key} {operation}: {answer['error']}")
        return answer["ok"]

    def memory(self) -> dict[str, int]:
        """Resident and proportional bytes of the process and its children, as the system counts them."""
        tree = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        full = [process.memory_full_info() for process in tree]
        return {"rss": sum(info.rss for info in full), "uss": sum(info.uss for info in full)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


@contextmanager
def running(peer: Peer, log: Path) -> Iterator[Running]:
    """A peer's process for the time of a block."""
    with Running(peer, log) as process:
        yield process
