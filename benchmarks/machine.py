"""Where and on what a result was made: the machine, the commit, the versions of what does the work."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = (
    "onnxruntime",
    "faiss-cpu",
    "tantivy",
    "tokenizers",
    "numpy",
    "starlette",
    "uvicorn",
    "kreuzberg",
)
ENGINE = ("localsearch", "models")
"""What decides how an index looks and performs."""
MEASURED = (*ENGINE, "benchmarks/*.py", "benchmarks/packages.txt", "benchmarks/suites", "benchmarks/peers")
"""What decides a figure: the engine and the way it is measured."""
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


@cache
def commit() -> str:
    """The commit, with a plus where the measured files differ from it; `none` outside a repository."""
    return (_git("rev-parse", "--short=10", "HEAD") or "none") + ("+" if _dirty() else "")


def _dirty(paths: tuple[str, ...] = ENGINE) -> bool:
    return bool(_git("status", "--porcelain", "--untracked-files=no", "--", *paths))


@cache
def state(paths: tuple[str, ...] = MEASURED) -> str:
    """A name for the contents of these files: what was made under the same name need not be made again."""
    digest = blake2b(digest_size=6)
    digest.update(_git("ls-files", "-s", "--", *paths).encode())
    if _dirty(paths):
        digest.update(_git("diff", "HEAD", "--", *paths).encode())
    return digest.hexdigest()


def _processor() -> tuple[str, list[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine(), []
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", fields.get("Features", "")).split()
    return fields.get("model name", platform.machine()), [flag for flag in _FLAGS if flag in flags]


def describe() -> dict[str, Any]:
    """What a reader needs to judge the figures."""
    model, flags = _processor()
    return {
        "name": name(),
        "processor": model,
        "instructions": flags,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "libraries": {library: _version(library) for library in LIBRARIES},
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"


@cache
def name() -> str:
    """A short name of the kind of machine, without its host name: architecture, cores, processor."""
    model, _ = _processor()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    digest = blake2b(f"{model}{cores}{psutil.virtual_memory().total >> 30}".encode(), digest_size=3)
    return f"{platform.machine().replace('_', '-')}-{cores}c-{digest.hexdigest()}"
