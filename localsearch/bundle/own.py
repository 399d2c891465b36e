"""The wheel of localsearch itself: given, made of the checkout that runs, or packed again from the installation."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import shutil
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackagePath, distribution
from pathlib import Path, PurePosixPath

from localsearch.bundle.target import Target
from localsearch.bundle.wheels import OWN, run_pip
from localsearch.errors import DamagedError, UsageError

_MADE_BY_INSTALLING = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
_DAY_ZERO = (1980, 1, 1, 0, 0, 0)
_REINSTALL = "Install localsearch again, or name a wheel with --wheel."


def own_wheel(target: Target, folder: Path, given: Path | None) -> Path:
    """Put the wheel of localsearch for a machine into a folder. Raises UsageError, DamagedError, LocalSearchError."""
    if given is not None:
        if not given.is_file() or given.suffix != ".whl" or not given.name.startswith(f"{OWN}-"):
            hint = "`make wheels` makes them in dist/."
            raise UsageError(f"{given} is no wheel of localsearch.", hint=hint)
        return Path(shutil.copy2(given, folder))
    source = Path(__file__).parents[2]
    if (source / "hatch_build.py").is_file():
        return _of_checkout(source, target, folder)
    return _of_installation(distribution(OWN), target, folder)


def _of_checkout(source: Path, target: Target, folder: Path) -> Path:
    here = all(importlib.util.find_spec(name) for name in ("hatchling", "ziglang"))
    isolation = ["--no-build-isolation"] if here else []
    words = ["--no-deps", *isolation, "--wheel-dir", str(folder), str(source)]
    run_pip("wheel", *words, more={"LOCALSEARCH_WHEEL": target.machine})
    return next(folder.glob(f"{OWN}-*.whl"))


def _of_installation(installed: Distribution, target: Target, folder: Path) -> Path:
    """Pack what was installed into a wheel again, each file held against the record of its installation."""
    tag = _tag(installed)
    if not tag.endswith(("-any", f"_{target.machine}")):
        raise UsageError(
            f"This localsearch is installed for {tag}, not for {target.platform}.",
            hint="Name a wheel with --wheel; `make wheels` makes them in a checkout.",
        )
    wheel = folder / f"{OWN}-{installed.version}-{tag}.whl"
    record = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in _members(installed):
            packed.writestr(zipfile.ZipInfo(name, _DAY_ZERO), data, zipfile.ZIP_DEFLATED)
            record.append(f"{name},sha256={_digest(data)},{len(data)}\n")
        name = f"{OWN}-{installed.version}.dist-info/RECORD"
        packed.writestr(zipfile.ZipInfo(name, _DAY_ZERO), "".join([*record, f"{name},,\n"]))
    return wheel


def _tag(installed: Distribution) -> str:
    lines = (installed.read_text("WHEEL") or "").splitlines()
    tags = [line.partition(": ")[2] for line in lines if line.startswith("Tag: ")]
    if len(tags) != 1 or not installed.files:
        raise UsageError("This localsearch was not installed from a wheel.", hint=_REINSTALL)
    return tags[0]


def _members(installed: Distribution) -> Iterator[tuple[str, bytes]]:
    """Names in a wheel, and what they hold, of all that was installed from it: not what installing added."""
    data = PurePosixPath(f"{OWN}-{installed.version}.data/data")
    scripts = {point.name for point in installed.entry_points if point.group == "console_scripts"}
    for path in sorted(installed.files or ()):
        added = path.parent.name.endswith(".dist-info") and path.name in _MADE_BY_INSTALLING
        if added or path.suffix == ".pyc" or (path.name in scripts and path.parent.name == "bin"):
            continue
        outside = path.parts[0] == ".."
        place = Path(str(path.locate())).resolve()
        name = data / place.relative_to(Path(sys.prefix).resolve()).as_posix() if outside else path
        yield str(name), _content(path, place)


def _content(path: PackagePath, place: Path) -> bytes:
    try:
        content = place.read_bytes()
    except OSError as error:
        raise DamagedError(f"{place} cannot be read: {error.strerror}.", hint=_REINSTALL) from error
    if path.hash is None or path.hash.value != _digest(content):
        raise DamagedError(f"{place} is not as it was installed.", hint=_REINSTALL)
    return content


def _digest(content: bytes) -> str:
    """As RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
