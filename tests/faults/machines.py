"""A machine that runs systemd: a root folder of `containers`, booted by systemd-nspawn with a network of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """One that has started. `pid` is its systemd, by its number outside."""

    pid: int

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A line of a shell of root's."""
        enter = [
            "nsenter",
            f"--target={self.pid}",
            "--mount",
            "--pid",
            "--net",
            "--ipc",
            "--uts",
            "--cgroup",
            "--root",
            "--wd",
        ]
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
        }
        return subprocess.run(
            [*enter, "/bin/bash", "-c", command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def says(self, command: str) -> str:
        """What a command that must succeed writes to its standard output."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def booted(root: Path, log: Path, seconds: float = 120.0) -> Iterator[Machine]:
    """Boot it, wait until its services have started, and shut it down after the block."""
    command = ["systemd-nspawn", "--quiet", f"--directory={root}", "--boot", "--private-network"]
    command += ["--register=no", "--keep-unit", "--console=pipe"]
    environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    with log.open("ab") as output:
        outer = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        until = time.monotonic() + seconds
        while (machine := _of(outer.pid)) is None or machine.run(
            "systemctl is-system-running"
        ).stdout.strip() not in (
            "running",
            "degraded",
        ):
            assert outer.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.5)
        yield machine
    finally:
        outer.send_signal(signal.SIGTERM)
        try:
            outer.wait(60)
        except subprocess.TimeoutExpired:
            outer.kill()


def _of(pid: int) -> Machine | None:
    with suppress(OSError, IndexError):
        return Machine(int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]))
    return None
