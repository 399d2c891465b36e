"""Put a bundle together: wheels, models, settings and, if asked, an index; then its lists, and one tar file."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from localsearch.bundle import archive, installer
from localsearch.bundle.installer.manifest import FORMAT, MANIFEST, Manifest, Pin, digest_of, files, identity
from localsearch.bundle.inventory import licences, sbom
from localsearch.bundle.own import own_wheel
from localsearch.bundle.target import Target
from localsearch.bundle.wheels import OWN, Wheel, collect
from localsearch.errors import LocalSearchError, UsageError
from localsearch.models import Card, ModelStore
from localsearch.models import manifest as installed_models
from localsearch.settings import Settings, load
from localsearch.types import Progress, Report, no_report
from localsearch.upkeep.backup import restore

_INDEX = "index.backup"
_SETTINGS = "settings.toml"
_STEPS = ("models", "index", "packages", "lists", "packing")
_START = '''\
"""Installs this bundle: python3 install.py --to DIR. Every Python can read this file, and say that it is too old."""
import sys

if sys.version_info < (3, 11):
    sys.exit("error: Python 3.11 or newer is needed, this is %d.%d" % sys.version_info[:2])
sys.dont_write_bytecode = True  # nothing is added to the folder, which is verified
from installer.steps import main

sys.exit(main())
'''


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bundle is to hold. `index` is a file that `backup` wrote; `links` are folders with wheels.

    `settings` are for the room: where `own_settings`, those of this machine, which may name none of its paths.
    """

    target: Target
    models: tuple[str, ...]
    extras: tuple[str, ...] = ()
    settings: Path | None = None
    own_settings: bool = False
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


def build(file: Path, contents: Contents, settings: Settings, report: Report = no_report) -> Built:
    """Write a bundle. Raises UsageError for a file that exists, ModelError, LocalSearchError with what pip said.

    The time in it is SOURCE_DATE_EPOCH where that is set.
    """
    file = Path(os.path.expanduser(file)).absolute()
    _check(file)
    with tempfile.TemporaryDirectory(prefix=".localsearch-bundle-", dir=file.parent) as name:
        scratch, folder = Path(name), Path(name) / "bundle"
        for part in ("wheels", "models"):
            (folder / part).mkdir(parents=True)
        _settings(folder, contents)
        _told(report, "models")
        cards = [_model(folder / "models", one, settings, report) for one in contents.models]
        _told(report, "index")
        _index(folder, contents, scratch)
        _told(report, "packages")
        own = own_wheel(contents.target, scratch, contents.wheel)
        wheels = collect(contents.target, own, contents.extras, folder / "wheels", contents.links)
        return seal(folder, file, contents.target, wheels, cards, report)


def seal(
    folder: Path,
    file: Path,
    target: Target,
    wheels: Sequence[Wheel],
    cards: Sequence[Card],
    report: Report = no_report,
) -> Built:
    """Add to a folder of wheels, models, settings and an index all that makes it a bundle, and pack it into `file`."""
    created = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    _told(report, "lists")
    (folder / "requirements.txt").write_text("".join(_pins(wheels)), "utf-8")
    (folder / "licences.md").write_text(licences(wheels, cards), "utf-8")
    (folder / "sbom.cdx.json").write_text(sbom(wheels, cards, created), "utf-8")
    (folder / "install.py").write_text(_START, "utf-8")
    (folder / "installer").mkdir(exist_ok=True)
    for module in sorted(Path(installer.__file__).parent.glob("*.py")):
        shutil.copyfile(module, folder / "installer" / module.name)
    manifest = _manifest(folder, target, wheels)
    told = {"format": FORMAT, "created": created, **asdict(manifest)}
    (folder / MANIFEST).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    _told(report, "packing")
    digest = archive.pack(folder, file, f"{OWN}-{manifest.release}-{target.platform}", created)
    report(Progress("bundle", len(_STEPS), len(_STEPS), "steps", "done"))
    return Built(
        str(file),
        manifest.id,
        target.platform,
        target.python,
        len(wheels),
        tuple(card.name for card in cards),
        bool(manifest.index),
        file.stat().st_size,
        digest,
    )


def _told(report: Report, step: str) -> None:
    report(Progress("bundle", _STEPS.index(step), len(_STEPS), "steps", step))


def _check(file: Path) -> None:
    if file.exists():
        raise UsageError(f"{file} exists.", hint="Choose another name; nothing is overwritten.")
    if not file.parent.is_dir():
        raise UsageError(f"{file.parent} is no folder.", hint="Make it first.")
    needed = ("cyclonedx", "packaging", "pip")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        message = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed."
        raise LocalSearchError(message, hint="Run: pip install 'localsearch[bundle]'")


def _model(folder: Path, name: str, settings: Settings, report: Report) -> Card:
    """Copy a model, verified: the files of its card, of which the room builds its own; else all as installed."""
    store = ModelStore(settings)
    if not store.installed(name):
        store.pull(name, report)
    card = store.verify(name)
    source, original = store.folder / name, card.files
    whole = not original or not all((source / one).is_file() for one in original)
    there = [*installed_models.Manifest.read(source).files, installed_models.MANIFEST]
    for one in there if whole else original:
        (folder / name / one).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / one, folder / name / one)
    return card


def _settings(folder: Path, contents: Contents) -> None:
    """Copy the settings; a mistake in them is told here, not in the room."""
    if contents.settings is None:
        return
    if not contents.settings.is_file():
        raise UsageError(f"There is no file {contents.settings}.", hint="Name a settings.toml.")
    shutil.copyfile(contents.settings, folder / _SETTINGS)
    load(folder, environ={})
    paths = sorted(set(_paths(tomllib.loads((folder / _SETTINGS).read_text("utf-8")))))
    if paths and contents.own_settings:
        message = f"{contents.settings} names paths of this machine: {', '.join(paths)[:300]}"
        raise UsageError(message, hint="Write the room's settings into a file: --settings FILE")


def _paths(value: Any) -> Iterator[str]:
    """Every absolute path in settings."""
    if isinstance(value, str) and value.startswith(("/", "~")):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _paths(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner)


def _index(folder: Path, contents: Contents, scratch: Path) -> None:
    """Copy a backup of an index, every byte of which is checked here, not in the room."""
    if contents.index is not None:
        restore(contents.index, scratch / "restored")
        shutil.rmtree(scratch / "restored")
        shutil.copyfile(contents.index, folder / _INDEX)


def _pins(wheels: Sequence[Wheel]) -> Iterator[str]:
    """Each package with its version and hash; pip itself installs, and is not installed."""
    for wheel in wheels:
        if wheel.name != "pip":
            yield f"{wheel.name}=={wheel.metadata.version} --hash=sha256:{wheel.sha256}\n"


def _manifest(folder: Path, target: Target, wheels: Sequence[Wheel]) -> Manifest:
    """What is in a folder."""
    there: dict[str, Pin] = {name: digest_of(folder / name) for name in sorted(files(folder))}
    by_name = {wheel.name: wheel for wheel in wheels}
    release = str(by_name[OWN].metadata.version)
    models = sorted({name.split("/")[1] for name in there if name.startswith("models/")})
    return Manifest(
        id=identity(release, there),
        release=release,
        platform=target.platform,
        python=target.python,
        pip=f"wheels/{by_name['pip'].file.name}",
        index=_INDEX if _INDEX in there else "",
        models={name: f"models/{name}/{installed_models.MANIFEST}" in there for name in models},
        files=there,
    )
