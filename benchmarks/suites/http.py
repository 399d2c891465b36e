"""The real server under load: 1, 8 and 32 clients, questions never asked before and questions asked again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import homes
from benchmarks.context import Context
from benchmarks.machine import ROOT

CLIENTS = (1, 8, 32)
INDEXED_MEANWHILE = 300


def run(context: Context) -> dict[str, Any]:
    """Figures by number of clients, and searches while files are being indexed (on a copy of the index)."""
    home, _ = homes.ensure(context, context.sizes.main)
    figures: dict[str, Any] = {"passages": context.sizes.main, "seconds": context.sizes.http_seconds}
    figures["clients"] = {str(clients): _load(context, home, clients) for clients in CLIENTS}
    figures["workers"] = _workers(context, home)
    figures["while_indexing"] = _while_indexing(context, home)
    figures["start_to_answer_s"] = _start(context, home)
    return figures


def _while_indexing(context: Context, home: str) -> dict[str, Any]:
    """Eight clients on a copy of the index, into which files are indexed meanwhile."""
    seconds = max(4 * context.sizes.http_seconds, 10.0)
    more = ("--mix", "distinct", "--indexing", str(INDEXED_MEANWHILE))
    with context.folder() as folder:
        copy = shutil.copytree(home, Path(folder) / "home")
        try:
            return dict(_load(context, str(copy), 8, *more, seconds=seconds)["while_indexing"])
        except RuntimeError as error:
            return {"cannot": str(error).splitlines()[-1]}


def _workers(context: Context, home: str) -> dict[str, Any]:
    """One process against two, by turns, at the most clients."""
    told = ("--seconds", str(context.sizes.http_seconds), "--clients", str(max(CLIENTS)))
    return _report(context, "benchmarks.workers", "--home", home, *told)


def _environment(context: Context) -> dict[str, str]:
    return {**os.environ, "LOCALSEARCH_MODELS": str(context.models.absolute()), "LOCALSEARCH_OFFLINE": "1"}


def _load(
    context: Context, home: str, clients: int, *more: str, seconds: float | None = None
) -> dict[str, Any]:
    context.say(f"http: {clients} clients")
    told = ("--seconds", str(seconds or context.sizes.http_seconds), "--clients", str(clients))
    return _report(context, "benchmarks.load", "--home", home, *told, *more)


def _report(context: Context, module: str, *words: str) -> dict[str, Any]:
    """What a module of the benchmark prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=_environment(context),
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-1000:])
    return dict(json.loads(done.stdout))


def _start(context: Context, home: str) -> float:
    """Seconds from starting `serve` to its first answer by words and meaning."""
    import urllib.request

    began = time.perf_counter()
    command = [sys.executable, "-m", "localsearch", "--home", home, "serve", "--port", "0", "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=_environment(context))
    try:
        assert process.stderr
        line = next(line for line in process.stderr if "http://127.0.0.1:" in line)
        port = line.split("http://127.0.0.1:")[1].split("/")[0].split()[0].rstrip(".")
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/search?q=renew+the+certificate", timeout=30
        ) as answer:
            json.load(answer)
        return round(time.perf_counter() - began, 3)
    finally:
        process.terminate()
        process.wait(30)
