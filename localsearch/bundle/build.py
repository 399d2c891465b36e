"""Put a bundle together: wheels, models, settings and, if asked, an index; then its lists, and one tar file."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localsearch.bundle import archive, installer
from localsearch.bundle.inventory import licences, sbom
from localsearch.bundle.wheels import OWN, Target, Wheel, collect, own_wheel
from localsearch.errors import LocalSearchError, UsageError
from localsearch.models import Card, ModelStore
from localsearch.models.manifest import MANIFEST, Manifest
from localsearch.settings import Settings, load
from localsearch.types import Progress, Report, no_report
from localsearch.upkeep.backup import restore

_INDEX = "index.backup"
_STEPS = 5


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bundle is to hold. `index` is a file that `backup` wrote; `links` are folders with wheels."""

    target: Target
    models: tuple[str, ...]
    extras: tuple[str, ...] = ()
    settings: Path | None = None
    index: Path | None = None
    wheel: Path | None = None
    links: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """A finished bundle. `sha256` is of the archive: carry it by another way, and give it to `bundle verify`."""

    file: str
    id: str
    platform: str
    python: str
    packages: int
    models: tuple[str, ...]
    index: bool
    bytes: int
    sha256: str


def here() -> Target:
    """This machine, as `Target` names it."""
    machine = os.uname().machine if hasattr(os, "uname") else ""
    return Target(f"{sys.platform}-{machine}", f"{sys.version_info[0]}.{sys.version_info[1]}")


def build(file: Path, contents: Contents, settings: Settings, report: Report = no_report) -> Built:
    """Write a bundle. Raises UsageError for a file that exists, ModelError, LocalSearchError with what pip said.

    The time in it is SOURCE_DATE_EPOCH where that is set.
    """
    file = file.expanduser().absolute()
    _check(file)
    created = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    with tempfile.TemporaryDirectory(prefix=".localsearch-bundle-", dir=file.parent) as scratch:
        folder = Path(scratch) / "bundle"
        (folder / "wheels").mkdir(parents=True)
        cards = _models(folder, contents, settings, report)
        _settings(folder, contents)
        _index(folder, contents, Path(scratch))
        _told(report, 2, "wheels")
        wheels = _wheels(folder, contents, Path(scratch))
        _told(report, 3, "lists")
        (folder / "licences.md").write_text(licences(wheels, cards), "utf-8")
        (folder / "sbom.cdx.json").write_text(sbom(wheels, cards, created), "utf-8")
        shutil.copyfile(installer.__file__, folder / "install.py")
        manifest = _manifest(folder, contents.target, wheels, created)
        _told(report, 4, "packing")
        digest = archive.pack(
            folder, file, f"{OWN}-{manifest['release']}-{contents.target.platform}", created
        )
    _told(report, _STEPS, "done")
    return Built(
        str(file),
        manifest["id"],
        contents.target.platform,
        contents.target.python,
        len(wheels),
        tuple(card.name for card in cards),
        contents.index is not None,
        file.stat().st_size,
        digest,
    )


def _told(report: Report, done: int, what: str) -> None:
    report(Progress("bundle", done, _STEPS, "steps", what))


def _check(file: Path) -> None:
    if file.exists():
        raise UsageError(f"{file} exists.", hint="Choose another name; nothing is overwritten.")
    if not file.parent.is_dir():
        raise UsageError(f"{file.parent} is no folder.", hint="Make it first.")
    if missing := [
        name for name in ("cyclonedx", "packaging", "pip") if importlib.util.find_spec(name) is None
    ]:
        raise LocalSearchError(
            f"{', '.join(missing)} is not installed.", hint="Run: pip install 'localsearch[bundle]'"
        )


def _models(folder: Path, contents: Contents, settings: Settings, report: Report) -> list[Card]:
    """Copy each model, verified: the files of its card, of which the room builds its own; else all as installed."""
    store = ModelStore(settings)
    cards = []
    for name in contents.models:
        if not store.installed(name):
            store.pull(name, report)
        cards.append(store.verify(name))
        source, target = store.folder / name, folder / "models" / name
        original = cards[-1].files
        whole = not original or not all((source / one).is_file() for one in original)
        for one in [*Manifest.read(source).files, MANIFEST] if whole else original:
            (target / one).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / one, target / one)
    return cards


def _settings(folder: Path, contents: Contents) -> None:
    if contents.settings is not None:
        shutil.copyfile(contents.settings, folder / "settings.toml")
        load(folder)  # a mistake in it is told here, not in the room


def _index(folder: Path, contents: Contents, scratch: Path) -> None:
    if contents.index is not None:
        restore(contents.index, scratch / "restored")  # every byte is checked here, not in the room
        shutil.rmtree(scratch / "restored")
        shutil.copyfile(contents.index, folder / _INDEX)


def _wheels(folder: Path, contents: Contents, scratch: Path) -> list[Wheel]:
    """Fetch the wheels and pin each in requirements.txt; pip itself installs, and is not installed."""
    made = scratch / "made"
    made.mkdir()
    own = own_wheel(contents.target, made, contents.wheel)
    wheels = collect(contents.target, own, contents.extras, folder / "wheels", contents.links)
    pins = [
        f"{wheel.name}=={wheel.metadata.version} --hash=sha256:{wheel.sha256}\n"
        for wheel in wheels
        if wheel.name != "pip"
    ]
    (folder / "requirements.txt").write_text("".join(pins), "utf-8")
    return wheels


def _manifest(folder: Path, target: Target, wheels: list[Wheel], created: int) -> dict[str, Any]:
    """Write manifest.json: every file with size and SHA-256. A bundle's id is its release and a digest of these."""
    files = {
        path.relative_to(folder).as_posix(): {"sha256": archive.sha256(path), "bytes": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    by_name = {wheel.name: wheel for wheel in wheels}
    release = str(by_name[OWN].metadata.version)
    models = sorted({name.split("/")[1] for name in files if name.startswith("models/")})
    manifest = {
        "format": installer.FORMAT,
        "id": f"{release}-{hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:8]}",
        "release": release,
        "platform": target.platform,
        "python": target.python,
        "created": created,
        "pip": f"wheels/{by_name['pip'].file.name}",
        "models": {name: f"models/{name}/{MANIFEST}" in files for name in models},
        "index": _INDEX if _INDEX in files else "",
        "files": files,
    }
    (folder / installer.MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
    return manifest
