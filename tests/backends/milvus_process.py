"""A real Milvus as a process: the standalone server of the `milvus` wheel, in a folder and on ports of its own."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import yaml
from milvus import MilvusServer, MilvusServerConfig, _initialize_data_files

STARTS = 3
STARTS_S = 120.0
"""Seconds that a start may take on a busy machine; 5 to 21 are usual."""
_COMPOSE = Path(__file__).parents[2] / "deploy" / "scale" / "compose.yml"


class MilvusProcess:
    """Starts, kills and stops one server, which keeps its folder and its port from start to start."""

    def __init__(self, folder: Path, *, exact_when_new: bool = False) -> None:
        """`exact_when_new` takes the settings of deploy/scale, by which each row that has no graph yet is compared."""
        self.folder = folder
        self._settings = deployed() if exact_when_new else {}
        self.process: subprocess.Popen[bytes] | None = None
        config = MilvusServerConfig()
        ports = {name: free_port() for name in config.configurable_items if name.endswith("_port")}
        config.update(data_dir=str(folder), system_log_level="error", **ports)
        config.resolve()
        self.port = int(config.get("proxy_port"))
        self.health = free_port()
        self._etcd = folder / "configs" / "etcd.yaml"
        self._etcd.write_text(_etcd(int(config.get("etcd_port")), free_port()), "utf-8")
        _initialize_data_files(config.base_data_dir)
        self._executable = Path(MilvusServer(config).get_milvus_executable_path())

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it says that it is healthy.

        One that ends at once is started again: it takes ports for its parts by itself, and so may another just then.
        """
        for _ in range(STARTS - 1):
            try:
                self._start()
            except RuntimeError:
                continue
            return
        self._start()

    def _start(self) -> None:
        environment = {
            **os.environ,
            **self._settings,
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(self.health),
            "MILVUS_RUN_DIR": str(self.folder / "run"),
            "LD_LIBRARY_PATH": str(self._executable.parent),
            "ETCD_CONFIG_PATH": str(self._etcd),
            "GOMAXPROCS": "2",
            # Seconds after which a server that was killed is known to be gone: 30 unless told, before which its next
            # start loads nothing.
            "COMMON_SESSION_TTL": "3",
        }
        with open(self.folder / "milvus.log", "ab") as log:
            self.process = subprocess.Popen(
                [self._executable, "run", "standalone"],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + STARTS_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"milvus ended with {self.process.returncode}: see {self.folder}/milvus.log"
                )
            if self._is_healthy():
                return
            time.sleep(0.2)
        self.kill()
        raise TimeoutError("milvus did not start")

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/healthz", timeout=5) as answer:
                return b"OK" in answer.read()
        except OSError:
            return False

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def deployed() -> dict[str, str]:
    """What deploy/scale sets for the query nodes of Milvus, as environment variables."""
    variables = yaml.safe_load(_COMPOSE.read_text("utf-8"))["services"]["milvus"]["environment"]
    return {name: value for name, value in variables.items() if name.startswith("QUERYNODE_")}


def _etcd(client: int, peer: int) -> str:
    """The settings of its etcd, whose own ports are fixed: two servers on one machine would meet there."""
    return f"""name: default
listen-client-urls: http://127.0.0.1:{client}
advertise-client-urls: http://127.0.0.1:{client}
listen-peer-urls: http://127.0.0.1:{peer}
initial-advertise-peer-urls: http://127.0.0.1:{peer}
initial-cluster: default=http://127.0.0.1:{peer}
"""


def free_port() -> int:
    """A port that nobody listens on now, below those that the system gives to clients: it stays free from start to start."""
    while True:
        port = random.randrange(10_000, 32_768)
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
