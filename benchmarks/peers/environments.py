"""Make the environments that the peers run in: one venv each, under the cache, made once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.client import HERE, Peer

WITH_TORCH = ("stack", "txtai", "chroma", "lancedb", "qdrant")
IN_VENV = (*WITH_TORCH, "bm25s")
KEYS = (*IN_VENV, "fts5", "recoll")
SYSTEM_PYTHON = Path("/usr/bin/python3")


def ours() -> Peer:
    return Peer("localsearch", Path(sys.executable), HERE / "with_localsearch.py")


def find(cache: Path) -> dict[str, Peer]:
    """Every peer by key; one whose environment is not there has no Python."""
    return {key: Peer(key, _python(key, cache), HERE / f"with_{key}.py") for key in KEYS}


def _python(key: str, cache: Path) -> Path | None:
    if key == "fts5":
        return Path(sys.executable)
    if key == "recoll":
        return SYSTEM_PYTHON if shutil.which("recollindex") and _has_recoll() else None
    venv = cache / f"venv-{key}"
    return venv / "bin" / "python" if (venv / "ready").exists() else None


def _has_recoll() -> bool:
    asked = [str(SYSTEM_PYTHON), "-c", "from recoll import recoll"]
    return SYSTEM_PYTHON.exists() and subprocess.run(asked, capture_output=True).returncode == 0


def missing(cache: Path) -> dict[str, str]:
    """What is not installed, and the command that installs it."""
    say = {"recoll": "apt-get install recollcmd python3-recoll"}
    peers = find(cache)
    return {key: say.get(key, "python -m benchmarks --prepare") for key in KEYS if not peers[key].ready}


def create(cache: Path) -> None:
    """Make the virtual environments that are missing. Torch goes first, so that its CPU build is kept."""
    for key in IN_VENV:
        venv = cache / f"venv-{key}"
        if (venv / "ready").exists():
            continue
        print(f"making the environment of {key}", file=sys.stderr)
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        if key in WITH_TORCH:
            _install(venv, HERE / "torch.txt")
        _install(venv, HERE / f"{key}.txt")
        (venv / "ready").touch()


def _install(venv: Path, requirements: Path) -> None:
    pip: list[str | Path] = [
        venv / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "-r", requirements], check=True)


def model_folder(models: Path, cache: Path, name: str = "all-MiniLM-L6-v2") -> Path:
    """The same weights as a folder that sentence-transformers loads: our files, with its own small settings."""
    target = cache / f"st-{name}"
    if not (target / "ready").exists():
        from benchmarks.peers.model import write

        write(models / name, target)
        (target / "ready").touch()
    return target
