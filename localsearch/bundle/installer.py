"""Install localsearch from an unpacked bundle, upgrade it in place, and go back. Needs Python 3.11 and nothing else.

This file is also `install.py` in every bundle, where localsearch is not installed yet: it imports the standard library
alone. What it makes in a folder:

    bin/localsearch        runs the current release, offline, on the index and the models below
    current, previous      links to releases
    releases/ID/           an environment of its own for each release; the last two are kept
    models/  index/        shared by all releases
    backups/               the index as it was before each upgrade
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

FORMAT = 1
MANIFEST = "manifest.json"
LOWEST_PYTHON = (3, 11)
Say = Callable[[str], None]


class InstallError(Exception):
    """What stands in the way; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Installed:
    """What was done: the release now in use, the one before (if any), and the program to run."""

    release: str
    previous: str
    program: str
    home: str
    backup: str = ""
    restored: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths in an installation's folder."""

    folder: Path

    @property
    def program(self) -> Path:
        return self.folder / "bin" / "localsearch"

    @property
    def current(self) -> Path:
        return self.folder / "current"

    @property
    def previous(self) -> Path:
        return self.folder / "previous"

    @property
    def models(self) -> Path:
        return self.folder / "models"

    @property
    def record(self) -> Path:
        """What outlives a release: where the index is."""
        return self.folder / "installation.json"

    def release(self, name: str) -> Path:
        return self.folder / "releases" / name

    def backup(self, name: str) -> Path:
        """The index as it was before that release."""
        return self.folder / "backups" / f"before-{name}.backup"

    def home(self, wanted: Path | None = None) -> Path:
        """The index folder: the one of the first installation, whatever is wanted later."""
        if self.record.exists():
            return Path(json.loads(self.record.read_text("utf-8"))["home"])
        return wanted or self.folder / "index"


def read_manifest(text: bytes) -> dict[str, Any]:
    """The manifest of a bundle. InstallError for one of another format, or a file named outside of the bundle."""
    try:
        manifest: dict[str, Any] = json.loads(text)
        format_, files = manifest["format"], manifest["files"]
        sound = all(
            _inside(name) and len(pin["sha256"]) == 64 and pin["bytes"] >= 0 for name, pin in files.items()
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InstallError(f"{MANIFEST} does not parse: {error}", "Copy the bundle again.") from error
    if format_ != FORMAT:
        raise InstallError(f"this bundle has format {format_}", "Use the installer that is inside of it.")
    if not sound:
        raise InstallError(f"{MANIFEST} names what no bundle has", "Build the bundle again.")
    return manifest


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def verify(bundle: Path) -> dict[str, Any]:
    """The manifest of an unpacked bundle, every file of it there and as it was built, and none besides."""
    try:
        manifest = read_manifest((bundle / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise InstallError(
            f"{bundle} is no bundle: it has no {MANIFEST}", "Unpack the archive first."
        ) from error
    there = {
        path.relative_to(bundle).as_posix()
        for path in bundle.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }
    compare(manifest, there, lambda name: _digest(bundle / name))
    return manifest


def compare(manifest: dict[str, Any], there: set[str], digest: Callable[[str], tuple[str, int]]) -> None:
    """Hold names, sizes and hashes against a manifest; InstallError names the first that differs."""
    listed = manifest["files"]
    for name in sorted({*listed, MANIFEST} ^ there):
        what = "is missing" if name in listed else "is not in the manifest"
        raise InstallError(f"{name} {what}", "Copy the bundle again.")
    for name, pin in listed.items():
        if digest(name) != (pin["sha256"], pin["bytes"]):
            raise InstallError(
                f"{name} is not as it was built: its SHA-256 differs", "Copy the bundle again."
            )


def _digest(path: Path) -> tuple[str, int]:
    if path.is_symlink():
        raise InstallError(f"{path.name} is a link, which no bundle has", "Copy the bundle again.")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def install(bundle: Path, folder: Path, home: Path | None = None, say: Say = print) -> Installed:
    """Verify a bundle and install it into a folder, or upgrade what is there; the index and the models stay.

    The release before stays installed beside it, and a backup of the index made by it, for `rollback`. Until the last
    step nothing that is in use is touched. Raises InstallError.
    """
    manifest = verify(bundle)
    _check_machine(manifest)
    layout = Layout(folder.expanduser().absolute())
    name, home = manifest["id"], layout.home(home and home.expanduser().absolute())
    before = _pointed(layout.current)
    if before == name:
        say(f"{name} is installed already.")
        return Installed(name, _pointed(layout.previous), str(layout.program), str(home))
    say(f"Installing {name} into {layout.folder}")
    _environment(bundle, manifest, layout.release(name))
    backup = _backup(layout, name, home) if before else ""
    _write_program(layout, home)
    _place_models(bundle, manifest, layout, layout.release(name), home)
    _place_settings(bundle, home)
    _point(layout, current=name, previous=before)
    if before:
        _try(layout, home, name, before)
    elif manifest["index"] and not (home / "index.db").exists():
        say("Restoring the index of the bundle")
        _run(layout.current, layout, home, "restore", str(bundle / manifest["index"]))
    _drop_others(layout)
    say(f"Done. Run: {layout.program} --help")
    if before:
        say(f"What runs already goes on with {before} until it is started again. Back to it: --rollback")
    return Installed(name, before, str(layout.program), str(home), backup)


def rollback(folder: Path, say: Say = print) -> Installed:
    """Return to the release before the last upgrade.

    The index stays as it is where that release can read it; else it is set aside, and the backup made before the
    upgrade takes its place. Raises InstallError.
    """
    layout = Layout(folder.expanduser().absolute())
    now, before = _pointed(layout.current), _pointed(layout.previous)
    if not before:
        raise InstallError(f"{layout.folder} has no release to go back to", "Install an earlier bundle.")
    home = layout.home()
    _point(layout, current=before, previous=now)
    restored = _has_index(home) and not _reads(layout.current, layout, home)
    if restored:
        aside = _put_back(layout, now, home)
        say(f"{before} cannot read the index of {now}: the backup made before the upgrade is in its place.")
        say(f"The newer index is in {aside}")
    say(f"{before} is in use again.")
    return Installed(before, now, str(layout.program), str(home), restored=restored)


def _check_machine(manifest: dict[str, Any]) -> None:
    if sys.version_info[:2] < LOWEST_PYTHON:
        raise InstallError("Python 3.11 or newer is needed", "Run this file with another Python.")
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    machine = f"{sys.platform}-{os.uname().machine}" if hasattr(os, "uname") else sys.platform
    if (manifest["platform"], manifest["python"]) != (machine, here):
        raise InstallError(
            f"this bundle is for {manifest['platform']} with Python {manifest['python']},"
            f" this is {machine} with {here}",
            f"Build one with: localsearch bundle build OUT.tar --platform {machine} --python {here}",
        )


def _environment(bundle: Path, manifest: dict[str, Any], release: Path) -> None:
    """An environment with exactly the wheels of the bundle, each held against its hash once more by pip."""
    shutil.rmtree(release, ignore_errors=True)
    release.mkdir(parents=True)
    python = release / "venv" / "bin" / "python"
    _call(
        [sys.executable, "-m", "venv", "--without-pip", str(release / "venv")], "the environment was not made"
    )
    pip = [
        str(python),
        str(bundle / manifest["pip"] / "pip"),
        "--isolated",
        "--disable-pip-version-check",
        "install",
    ]
    wanted = ["--no-index", "--no-deps", "--require-hashes", "--no-cache-dir", "--quiet"]
    sources = ["--find-links", str(bundle / "wheels"), "--requirement", str(bundle / "requirements.txt")]
    _call([*pip, *wanted, *sources], "the packages were not installed")
    shutil.copyfile(bundle / MANIFEST, release / MANIFEST)


def _write_program(layout: Layout, home: Path) -> None:
    """A program that finds its folder wherever it is mounted or linked from."""
    index = "$folder/index" if home == layout.folder / "index" else shlex.quote(str(home))
    layout.record.write_text(json.dumps({"home": str(home)}), "utf-8")
    layout.program.parent.mkdir(exist_ok=True)
    partial = layout.program.with_name(".localsearch")
    partial.write_text(
        "#!/bin/sh\n"
        'folder=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)\n'
        f'export LOCALSEARCH_OFFLINE=1 LOCALSEARCH_MODELS="${{LOCALSEARCH_MODELS:-$folder/models}}"\n'
        f'export LOCALSEARCH_HOME="${{LOCALSEARCH_HOME:-{index}}}"\n'
        'exec "$folder/current/venv/bin/python" -m localsearch "$@"\n',
        "utf-8",
    )
    partial.chmod(0o755)
    os.replace(partial, layout.program)


def _place_models(bundle: Path, manifest: dict[str, Any], layout: Layout, release: Path, home: Path) -> None:
    """Import each model, which checks it against its card and builds it for this processor; one that is there stays."""
    layout.models.mkdir(exist_ok=True)
    for name, built in manifest["models"].items():
        if (layout.models / name / "model.json").exists():
            _run(release, layout, home, "models", "verify", name)
        elif built:
            partial = layout.models / f".{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(bundle / "models" / name, partial)
            os.rename(partial, layout.models / name)
            _run(release, layout, home, "models", "verify", name)
        else:
            _run(release, layout, home, "models", "import", str(bundle / "models" / name), "--name", name)


def _place_settings(bundle: Path, home: Path) -> None:
    """The settings of the bundle, where the index has none of its own."""
    source, target = bundle / "settings.toml", home / "settings.toml"
    if source.exists() and not target.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(source, target)


def _backup(layout: Layout, name: str, home: Path) -> str:
    """The index as the present release sees it, for the way back; nothing where there is none."""
    if not _has_index(home):
        return ""
    target = layout.backup(name)
    target.parent.mkdir(exist_ok=True, mode=0o700)
    target.unlink(missing_ok=True)
    _run(layout.current, layout, home, "backup", str(target))
    return str(target)


def _try(layout: Layout, home: Path, name: str, before: str) -> None:
    """Ask the new release about the index; the one before stays in use where it cannot tell."""
    if _has_index(home) and not _reads(layout.current, layout, home):
        _point(layout, current=before, previous=_pointed(layout.previous) if before != name else "")
        raise InstallError(
            f"{name} cannot read the index in {home}; {before} stays in use",
            f"See: {layout.release(name)}/venv/bin/python -m localsearch --home {home} status",
        )


def _put_back(layout: Layout, now: str, home: Path) -> Path:
    """Set the index aside and restore the backup made before a release; where it was put."""
    saved = layout.backup(now)
    if not saved.exists():
        raise InstallError(f"there is no backup from before {now}", "Restore one of your own with `restore`.")
    aside = home.with_name(f"{home.name}.of-{now}.{int(time.time())}")
    os.rename(home, aside)
    _place_settings(aside, home)
    _run(layout.current, layout, home, "restore", "--trust", str(saved))
    return aside


def _has_index(home: Path) -> bool:
    return (home / "index.db").exists()


def _reads(release: Path, layout: Layout, home: Path) -> bool:
    return _program(release, layout, home, "status", "--json").returncode == 0


def _run(release: Path, layout: Layout, home: Path, *words: str) -> None:
    done = _program(release, layout, home, *words)
    if done.returncode:
        raise InstallError(f"`localsearch {' '.join(words)}` failed: {done.stderr.strip()[-2000:]}")


def _program(release: Path, layout: Layout, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a release's own localsearch on the index of this installation."""
    environment = {**os.environ, "LOCALSEARCH_OFFLINE": "1", "LOCALSEARCH_MODELS": str(layout.models)}
    environment["LOCALSEARCH_HOME"] = str(home)
    command = [str(release / "venv" / "bin" / "python"), "-m", "localsearch", "-q", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=layout.folder)


def _call(command: Sequence[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InstallError(f"{what}: {(done.stderr or done.stdout).strip()[-2000:]}")


def _pointed(link: Path) -> str:
    return Path(os.readlink(link)).name if link.is_symlink() else ""


def _point(layout: Layout, *, current: str, previous: str) -> None:
    """Turn both links, each at once."""
    for link, name in ((layout.previous, previous), (layout.current, current)):
        if not name:
            link.unlink(missing_ok=True)
            continue
        partial = link.with_name(f".{link.name}")
        partial.unlink(missing_ok=True)
        os.symlink(Path("releases") / name, partial)
        os.replace(partial, link)


def _drop_others(layout: Layout) -> None:
    """Delete releases that neither link names, with the backups that only they could use."""
    kept = {_pointed(layout.current), _pointed(layout.previous)}
    for release in (layout.folder / "releases").iterdir():
        if release.name not in kept:
            shutil.rmtree(release)
            layout.backup(release.name).unlink(missing_ok=True)


def main(argv: Sequence[str] | None = None) -> int:
    """`python3 install.py --to DIR`"""
    parser = argparse.ArgumentParser(
        description="Install localsearch from this bundle. Nothing is downloaded."
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="the folder to install into, or to upgrade")
    parser.add_argument("--home", type=Path, metavar="DIR", help="the index folder; by default DIR/index")
    parser.add_argument(
        "--verify", action="store_true", help="hold every file against the manifest, install nothing"
    )
    parser.add_argument(
        "--rollback", action="store_true", help="return to the release before the last upgrade"
    )
    args = parser.parse_args(argv)
    bundle = Path(__file__).resolve().parent
    try:
        if args.verify:
            print(f"{verify(bundle)['id']}: every file is as it was built.")
        elif args.to is None:
            parser.error("name a folder with --to DIR")
        elif args.rollback:
            rollback(args.to)
        else:
            install(bundle, args.to, args.home)
    except (InstallError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        if hint := getattr(error, "hint", ""):
            print(f"  {hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
