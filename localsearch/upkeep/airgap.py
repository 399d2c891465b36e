"""Whether anything connects out: what is set, and a small run through everything, watched where there is no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from localsearch.platform.network import Traffic, is_here, read_trace, traced, without_network
from localsearch.settings import Settings
from localsearch.upkeep.doctor import Finding

_LONGEST_S = 900
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a small run did and asked of the network.

    `empty` tells whether it ran where there is no network, `traced` whether every system call of every program was
    followed; else `traffic` is what Python itself asked for. `steps` are what was done, `failed` what was not.
    """

    steps: tuple[str, ...]
    failed: tuple[str, ...]
    traffic: Traffic
    empty: bool
    traced: bool


def examine(settings: Settings) -> list[Finding]:
    """Look at what the settings allow, then at what a rehearsal asked of the network."""
    return [*_settings(settings), *_findings(rehearse(settings))]


def _settings(settings: Settings) -> Iterator[Finding]:
    if settings.offline:
        yield Finding("airgap", "good", "offline is set: no outbound connection is attempted")
    else:
        yield Finding(
            "airgap", "bad", "models may be downloaded", "Set LOCALSEARCH_OFFLINE=1 or offline = true."
        )
    if settings.alerts.command:
        command = Path(settings.alerts.command[0]).name
        yield Finding("airgap", "note", f"alerts are handed to {command}, which is yours to judge")
    if settings.server.host not in ("127.0.0.1", "localhost", "::1"):
        yield Finding("airgap", "note", f"the server listens beyond this machine, on {settings.server.host}")


def rehearse(settings: Settings) -> Rehearsal:
    """Index, search, serve, answer over MCP, back up and restore in an index of its own, with these settings.

    It runs in an empty network namespace, under strace, as far as the system allows. Where there is a network that
    it could reach, it runs offline, whatever is set.
    """
    room = without_network()
    with tempfile.TemporaryDirectory(prefix="localsearch-rehearsal-") as name:
        folder = Path(name)
        (folder / "home").mkdir()
        if (settings.home / "settings.toml").exists():
            shutil.copyfile(settings.home / "settings.toml", folder / "home" / "settings.toml")
        trace = traced(folder / "trace")
        command = [*room, *trace, sys.executable, "-m", "localsearch.upkeep.rehearsal", str(folder)]
        # Libraries that tell their makers what they do are silent where CI is set, and would be here alone.
        environment = {key: value for key, value in os.environ.items() if key != "CI"}
        environment["LOCALSEARCH_MODELS"] = str(settings.models)
        environment["LOCALSEARCH_OFFLINE"] = "1" if settings.offline or not room else "0"
        done = subprocess.run(
            command + ["--loopback"] * bool(room),
            capture_output=True,
            text=True,
            env=environment,
            timeout=_LONGEST_S,
        )
        outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        said = [f"{one['step']}: {one['said']}" for one in outcomes if not one["ok"]]
        if done.returncode:
            said.append(f"the rehearsal ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        steps = [f"{one['step']} ({one['said']})" for one in outcomes if one["ok"]]
        return Rehearsal(tuple(steps), tuple(said), _traffic(folder), bool(room), bool(trace))


def _traffic(folder: Path) -> Traffic:
    """What strace saw where it ran, and what Python asked for."""
    asked = _read_asked(_lines(folder / "asked"))
    seen = read_trace(_lines(folder / "trace"))
    return Traffic(max(seen.local, asked.local), seen.outbound + asked.outbound, seen.lookups + asked.lookups)


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8", "replace").splitlines() if file.exists() else []


def _read_asked(lines: Iterable[str]) -> Traffic:
    """What the audit events tell that a rehearsal wrote down."""
    local, outbound, lookups = 0, [], []
    for line in lines:
        event, asked = json.loads(line)
        call = event.rpartition(".")[2]
        if call in ("connect", "sendto", "sendmsg"):
            host = asked[0] if isinstance(asked, list) else None
            if not isinstance(host, str):
                continue  # a socket of this machine, or one that is connected
            if _numeric(host) and is_here(host):
                local += 1
            else:
                outbound.append(f"{call} {host} port {asked[1]}")
        elif (host := asked[0] if isinstance(asked, list) else asked) and not _numeric(host):
            lookups.append(f"{call} {host}")
    return Traffic(local, tuple(outbound), tuple(lookups))


def _numeric(host: Any) -> bool:
    try:
        ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return True


def _findings(rehearsal: Rehearsal) -> Iterator[Finding]:
    traffic = rehearsal.traffic
    where = "without a network" if rehearsal.empty else "offline, on this machine's network"
    how = "every program under strace" if rehearsal.traced else "Python's own calls watched"
    counts = (
        f"{traffic.local} connections within this machine, {len(traffic.outbound)} beyond it,"
        f" {len(traffic.lookups)} look-ups of names"
    )
    good = not (traffic.outbound or traffic.lookups or rehearsal.failed)
    yield Finding("rehearsal", "good" if good else "bad", f"{where}, {how}: {counts}")
    if rehearsal.steps:
        yield Finding("rehearsal", "good", f"done: {', '.join(rehearsal.steps)}")
    for failure in rehearsal.failed:
        yield Finding("rehearsal", "bad", f"failed: {failure}", "Run the same by hand with --offline.")
    attempts = dict.fromkeys((*traffic.outbound, *traffic.lookups))
    if attempts:
        listed = ", ".join(list(attempts)[:_MOST_NAMED])
        more = f" and {len(attempts) - _MOST_NAMED} more" if len(attempts) > _MOST_NAMED else ""
        remedy = "Set LOCALSEARCH_OFFLINE=1, install the model; if it stays, report it: it is a mistake."
        yield Finding("rehearsal", "bad", f"attempted: {listed}{more}", remedy)
    if not rehearsal.empty:
        what = "not tried: an empty network namespace, which unshare may not make here"
        yield Finding("rehearsal", "note", what, "Run it as root, or where user namespaces are allowed.")
    if not rehearsal.traced:
        what = "not seen: what libraries ask of the system without Python; strace is missing or may not trace"
        yield Finding("rehearsal", "note", what, "Install strace.")
