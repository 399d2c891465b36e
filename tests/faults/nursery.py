"""A process that has loaded everything once and forks a child for each fault, one at a time.

Reads lines of JSON: {"actor", "home", "seed", "told", "gate"}; answers {"pid"} and, when the child ended, {"status"}.
A child waits until the file `gate` exists, so that a tracer can attach first.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy
import world
from actors import ACTORS

from localsearch.vectors.graph import _faiss


def main() -> None:
    world.passages()
    _faiss()
    numpy.dot(numpy.ones(2), numpy.ones(2))
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            child(order)
        say({"pid": pid})
        _, status = os.waitpid(pid, 0)
        say({"status": os.waitstatus_to_exitcode(status)})


def say(value: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def child(order: dict[str, Any]) -> None:
    code = 0
    try:
        os.setpgid(0, 0)
        told = os.open(order["told"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        def tell(kind: str, value: Any) -> None:
            os.write(told, json.dumps([kind, value]).encode() + b"\n")

        while not os.path.exists(order["gate"]):
            time.sleep(0.002)
        ACTORS[order["actor"]](Path(order["home"]), order["seed"], tell)
    except BaseException:
        code = 1
        with open(order["told"] + ".error", "w", encoding="utf-8") as file:
            traceback.print_exc(file=file)
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
