"""What happens in the room: run by `test_room`, where there is no network. Prints a line of JSON for each step."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from localsearch.platform.network import raise_loopback

PLAN = json.loads(sys.argv[1])
FOLDER = Path(PLAN["folder"])
APP = FOLDER / "app"
INSTALL = [PLAN["python"], f"{PLAN['unpacked']}/install.py", "--to", str(APP)]
PROGRAM = [str(APP / "bin" / "localsearch")]
UPGRADE = [*PROGRAM, "bundle", "install", PLAN["newer"], "--to", str(APP)]


def step(name: str, command: list[str], **more: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=PLAN["env"] | more, cwd=FOLDER)
    said = done.stdout + done.stderr if done.returncode or "bundle" in command else done.stdout
    print(json.dumps({"name": name, "code": done.returncode, "out": said}), flush=True)


def kill(name: str, when: Callable[[], bool]) -> None:
    """Begin an upgrade and kill it, with all that it started, as soon as something is so; then use what is there."""
    process = subprocess.Popen(
        UPGRADE, env=PLAN["env"], cwd=FOLDER, start_new_session=True, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not when():
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    print(json.dumps({"name": f"killed {name}", "code": process.wait(), "out": ""}), flush=True)
    step(f"version, killed {name}", [*PROGRAM, "--version"])
    step(f"search, killed {name}", [*PROGRAM, "--json", "search", "when may the kiln be opened"])


raise_loopback()
(FOLDER / "home").mkdir()
(FOLDER / "nobody").mkdir()
step("install", [*INSTALL, "--home", str(FOLDER / "home")])
step("install again", INSTALL)
step("version", [*PROGRAM, "--version"])
python = str(APP / "releases" / PLAN["id"] / "venv" / "bin" / "python")
settings = {"LOCALSEARCH_OFFLINE": "1", "LOCALSEARCH_MODELS": str(APP / "models")}
step("rehearsal", [python, "-m", "localsearch.upkeep.rehearsal", str(FOLDER)], **settings)
packages = APP / "releases" / PLAN["later"] / "venv" / "lib"
kill("while packages were installed", lambda: any(packages.glob("*/site-packages/*.dist-info")))
kill("while the index was tried", lambda: (APP / "backups" / f"before-{PLAN['later']}.backup").exists())
step("upgrade", UPGRADE)
step("version, upgraded", [*PROGRAM, "--version"])
step("search, upgraded", [*PROGRAM, "--json", "search", "when may the kiln be opened"])
step("search, picture", [*PROGRAM, "--json", "search", "celadon", "--mode", "lexical"])
step("rollback", [*INSTALL, "--rollback"])
step("version, back", [*PROGRAM, "--version"])
step("search, back", [*PROGRAM, "--json", "search", "when may the kiln be opened"])
