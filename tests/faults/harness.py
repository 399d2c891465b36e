"""Children that meet a fault: killed after a time, or at one system call that strace picks."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from allowed import Allowed, Step

HERE = Path(__file__).parent
CALLS = (
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "ftruncate",
    "unlink",
    "openat",
    "link",
    "mkdir",
)
"""System calls at which a child is killed: those that change files, and opening."""
_LINE = re.compile(r"^(\d+)\s+(\w+)\(")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens: SIGKILL after some seconds, or `action` (signal=KILL, error=EIO) at one system call."""

    after_s: float | None = None
    calls: tuple[str, ...] = ()
    action: str = ""
    when: str = ""

    def __str__(self) -> str:
        at = f"{'/'.join(self.calls)} {self.action} when {self.when}" if self.calls else f"{self.after_s} s"
        return at if self.calls or self.after_s else "none"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended, what it told, the error it died of, and how long it ran."""

    status: int
    told: Sequence[tuple[str, Any]]
    error: str
    seconds: float

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL

    def allowed(self, held: Mapping[str, str]) -> Allowed:
        """What may be there, where `held` was before."""
        steps = [value for kind, value in self.told if kind in ("begin", "done")]
        once = {json.dumps(step): step for step in steps}.values()
        return Allowed(held, [Step(effect(step), ("done", step) in self.told) for step in once])

    def of(self, kind: str) -> list[Any]:
        """What was told under this word."""
        return [value for word, value in self.told if word == kind]


def effect(step: Mapping[str, Any]) -> dict[str, str | None]:
    """What an actor told, by key: the text that it put, or None where it deleted."""
    return {**step.get("put", {}), **dict.fromkeys(step.get("delete", ()))}


def need_strace() -> None:
    """Skip where strace is missing or may not trace; where everything is required, fail."""
    if shutil.which("strace"):
        tried = subprocess.run(["strace", "-qq", "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return
    missing("strace is not installed or may not trace")


def need_root(what: str) -> None:
    if os.geteuid() != 0:
        pytest.skip(f"{what} needs root")


def missing(what: str) -> None:
    """Skip with a word, or fail where LOCALSEARCH_REQUIRE_ALL is set."""
    if os.environ.get("LOCALSEARCH_REQUIRE_ALL") == "1":
        pytest.fail(what)
    pytest.skip(what)


class Nursery:
    """Starts children one at a time."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._number = 0
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "nursery.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])},
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def run(self, actor: str, home: Path, seed: int, fault: Fault | None = None) -> Outcome:
        """One child, to its end."""
        self._number += 1
        told, gate = self._scratch / f"told-{self._number}", self._scratch / f"gate-{self._number}"
        order = {"actor": actor, "home": str(home), "seed": seed, "told": str(told), "gate": str(gate)}
        self._write(order)
        pid = self._read()["pid"]
        tracer = _attach(pid, fault) if fault and fault.calls else None
        began = time.monotonic()
        gate.touch()
        if fault and fault.after_s is not None:
            time.sleep(fault.after_s)
            _kill(pid)
        status = self._read()["status"]
        seconds = time.monotonic() - began
        if tracer:
            tracer.wait(30)
        return Outcome(status, _lines(told), _text(Path(f"{told}.error")), seconds)

    def census(self, actor: str, home: Path, seed: int) -> tuple[Outcome, list[tuple[str, int]]]:
        """Let a child run through; every system call of interest it made, with its number in its thread."""
        log = self._scratch / f"census-{actor}-{seed}"
        fault = Fault(calls=CALLS, action=f"log:{log}")
        outcome = self.run(actor, home, seed, fault)
        counts: dict[tuple[str, str], int] = {}
        events = []
        for line in log.read_text("utf-8", "replace").splitlines():
            if found := _LINE.match(line):
                key = (found[1], found[2])
                counts[key] = counts.get(key, 0) + 1
                events.append((found[2], counts[key]))
        return outcome, events

    def _write(self, order: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _read(self) -> dict[str, int]:
        assert self._process.stdout is not None
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer


def _attach(pid: int, fault: Fault) -> subprocess.Popen[bytes]:
    """Trace a child that waits at its gate; returns when strace holds it."""
    command = ["strace", "-f", "-p", str(pid), "-e", "trace=" + ",".join(fault.calls), "-e", "signal=none"]
    if fault.action.startswith("log:"):
        command += ["-o", fault.action.removeprefix("log:")]
    else:
        when = f":when={fault.when}" if fault.when else ""
        command += ["-e", f"inject={','.join(fault.calls)}:{fault.action}{when}", "-o", "/dev/null"]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert tracer.stderr is not None
    line = tracer.stderr.readline()
    assert b"attached" in line, line
    return tracer


def _kill(pid: int) -> None:
    """SIGKILL to the child and to the readers it has started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _lines(told: Path) -> list[tuple[str, Any]]:
    return [(kind, value) for kind, value in map(json.loads, _text(told).splitlines())]


def _text(file: Path) -> str:
    return file.read_text("utf-8") if file.exists() else ""
