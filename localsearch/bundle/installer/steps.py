"""Install a bundle into a folder, upgrade what is there, and go back.

Until the last step nothing that is in use is touched: an installation that was killed is begun again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .layout import SCRATCH, Layout, alone, call, end, has_index, program, reads, run, runs, use, works
from .manifest import MANIFEST, InstallError, Manifest, digest_of, files, verify

_BYTECODE = 1.3
"""What compiled modules add to unpacked wheels; measured 1.15 to 1.25."""
_COPIES = 3
"""Times that an index is written while it is upgraded: a backup, and a trial of the new release on it."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Installed:
    """What was done: the release now in use, the one before (if any), and the program to run."""

    release: str
    previous: str
    program: str
    home: str
    backup: str = ""
    restored: bool = False


def install(bundle: Path, layout: Layout, home: Path | None = None, say: Say = print) -> Installed:
    """Verify a bundle and install it into a folder, or upgrade what is there; the index and the models stay.

    The release before stays installed beside it, and a backup of the index made by it, for `rollback`. Until the last
    step nothing that is in use is touched: an installation that was killed is begun again. Raises InstallError.
    """
    manifest = verify(bundle)
    _check_machine(manifest)
    home = _home(layout, home)
    before, name = layout.current, manifest.id
    if before == name and works(layout, home, name):
        say(f"{name} is installed already.")
        return Installed(name, layout.previous(name), str(layout.program), str(home))
    _check_space(bundle, manifest, layout, home)
    say(f"Installing {name} into {layout.folder}")
    layout.record.write_text(json.dumps({"home": layout.name_of(home)}), "utf-8")
    if before == name or not (layout.whole(name) and works(layout, home, name)):
        _environment(bundle, manifest, layout, say)
    _place_models(bundle, manifest, layout, home, say)
    _place_settings(bundle / "settings.toml", home, say)
    backup = _place_index(bundle, manifest, layout, home, say)
    if before != name:
        (layout.release(name) / "previous").write_text(before, "utf-8")
    os.sync()
    use(layout, name, home)
    _drop_others(layout, say)
    say(f"Done. Run: {layout.program} --help")
    if before not in ("", name):
        say(f"What runs already goes on with {before} until it is started again. Back to it: --rollback")
    return Installed(name, before, str(layout.program), str(home), backup)


def rollback(layout: Layout, say: Say = print) -> Installed:
    """Return to the release before the last upgrade; another `rollback` leads forward again.

    The index stays as it is where that release can read it; else it is set aside, and the backup made before the
    upgrade takes its place. Raises InstallError.
    """
    now, home = layout.current, layout.home()
    before = layout.previous(now)
    if not before or home is None:
        raise InstallError(f"{layout.folder} has no release to go back to", "Install an earlier bundle.")
    restored = has_index(home) and not reads(layout, home, before)
    if restored:
        aside = _put_back(layout, before, home)
        say(f"{before} cannot read the index of {now}: the backup made before the upgrade is in its place.")
        say(f"The newer index is in {aside}")
    (layout.release(before) / "previous").write_text(now, "utf-8")
    use(layout, before, home)
    say(f"{before} is in use again. Start anew what still runs with {now}.")
    return Installed(before, now, str(layout.program), str(home), restored=restored)


def _check_machine(manifest: Manifest) -> None:
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    machine = f"{sys.platform}-{os.uname().machine}" if hasattr(os, "uname") else sys.platform
    if manifest.platform != machine:
        hint = f"Build one with: localsearch bundle build OUT.tar --platform {machine} --python {here}"
        raise InstallError(f"this bundle is for {manifest.platform}, this is {machine}", hint)
    if manifest.python != here:
        there = shutil.which(f"python{manifest.python}")
        build = f"Build one with: localsearch bundle build OUT.tar --python {here}"
        hint = f"Run: python{manifest.python} install.py --to DIR" if there else build
        raise InstallError(f"this bundle is for Python {manifest.python}, this is {here}", hint)


def _home(layout: Layout, wanted: Path | None) -> Path:
    """Where the index is or will be. InstallError where that contradicts what is there already."""
    there = layout.home()
    wanted = wanted and Path(os.path.expanduser(wanted)).absolute()
    if there is None:
        if any(not path.name.startswith(".") for path in layout.folder.iterdir()):
            hint = "Name a new or empty folder, or one that was installed into before."
            raise InstallError(f"{layout.folder} holds something else already", hint)
        return wanted or layout.folder / "index"
    if wanted and os.path.normpath(wanted) != os.path.normpath(there):
        hint = f"Leave out --home, or move the index and change {layout.record}."
        raise InstallError(f"the index of this installation is in {there}", hint)
    return Path(os.path.normpath(there))


def _check_space(bundle: Path, manifest: Manifest, layout: Layout, home: Path) -> None:
    needed = _COPIES * ((home / "index.db").stat().st_size if has_index(home) else 0)
    for name, pin in manifest.files.items():
        if name.startswith("models/"):
            needed += 2 * pin.bytes
        elif name.endswith(".whl"):
            with zipfile.ZipFile(bundle / name) as wheel:
                needed += int(_BYTECODE * sum(entry.file_size for entry in wheel.infolist()))
    free = shutil.disk_usage(layout.folder).free
    if free < needed:
        message = f"{layout.folder} has {free / 1e6:,.0f} MB free, {needed / 1e6:,.0f} MB are needed"
        raise InstallError(message, "Free some space, or name another folder.")


def _environment(bundle: Path, manifest: Manifest, layout: Layout, say: Say) -> None:
    """An environment with exactly the wheels of the bundle, each held against its hash once more by pip."""
    say(f"  {sum(name.endswith('.whl') for name in manifest.files) - 1} packages")
    release = layout.release(manifest.id)
    shutil.rmtree(release, ignore_errors=True)
    release.mkdir(parents=True)
    python = str(release / "venv" / "bin" / "python")
    made = [sys.executable, "-I", "-m", "venv", "--without-pip", str(release / "venv")]
    call(layout, made, "the environment was not made", "On Debian, the package python3-venv is needed.")
    pip = [python, "-I", str(bundle / manifest.pip / "pip"), "--isolated", "--disable-pip-version-check"]
    wanted = [
        "install",
        "--no-index",
        "--no-deps",
        "--require-hashes",
        "--no-cache-dir",
        "--no-compile",
        "--quiet",
    ]
    sources = ["--find-links", str(bundle / "wheels"), "--requirement", str(bundle / "requirements.txt")]
    call(layout, [*pip, *wanted, *sources], "the packages were not installed")
    _compile(layout, python, release)
    shutil.copyfile(bundle / MANIFEST, release / f".{MANIFEST}")
    os.replace(release / f".{MANIFEST}", release / MANIFEST)


def _compile(layout: Layout, python: str, release: Path) -> None:
    """Compile all modules on all cores; packages have some that are templates or tests, and do not compile."""
    words = [python, "-I", "-m", "compileall", "-q", "-q", "-j", "0", str(release / "venv" / "lib")]
    subprocess.run(words, capture_output=True, pass_fds=[layout.lock])


def _place_models(bundle: Path, manifest: Manifest, layout: Layout, home: Path, say: Say) -> None:
    """Import each model, which checks it against its card and builds it for this processor; one that is there stays."""
    layout.models.mkdir(exist_ok=True)
    for name, whole in manifest.models.items():
        source, target = bundle / "models" / name, layout.models / name
        if (target / "model.json").exists():
            others = [one for one in files(source) if (target / one).exists()]
            if any(
                digest_of(source / one) != digest_of(target / one) for one in others if one != "model.json"
            ):
                say(f"  model {name}: the one that is installed stays; that of the bundle is another")
            continue
        say(f"  model {name}")
        if not whole:
            run(layout, home, manifest.id, "models", "import", str(source), "--name", name)
            continue
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=layout.folder) as scratch:
            shutil.copytree(source, Path(scratch) / name)
            os.rename(Path(scratch) / name, target)
        run(layout, home, manifest.id, "models", "verify", name)


def _place_settings(source: Path, home: Path, say: Say) -> None:
    """Copy settings to where the index has none of its own."""
    target = home / "settings.toml"
    if source.exists() and not target.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(source, target)
    elif source.exists() and source.read_bytes() != target.read_bytes():
        say(f"  {target} stays; that of the bundle is another")


def _place_index(bundle: Path, manifest: Manifest, layout: Layout, home: Path, say: Say) -> str:
    """Restore the bundle's index where there is none; else back up the one there, and try the new release on a copy.

    Returns the backup's name.
    """
    name, before = manifest.id, layout.current
    if not has_index(home):
        if manifest.index:
            say("  index of the bundle; its folders are read again after: localsearch trust")
            run(layout, home, name, "restore", str(bundle / manifest.index))
        return ""
    if manifest.index:
        say(f"  the index in {home} stays; that of the bundle is not taken")
    saved = layout.backup(name)
    saved.parent.mkdir(exist_ok=True, mode=0o700)
    saved.unlink(missing_ok=True)
    say("  backup of the index, and a trial of the new release on it")
    run(layout, home, before if before and works(layout, home, before) else name, "backup", str(saved))
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=layout.folder) as scratch:
        done = program(layout, Path(scratch) / "home", name, "restore", str(saved))
    if done.returncode:
        message = f"{name} cannot take over the index in {home}: {end(done.stderr)}"
        raise InstallError(message, f"Nothing was changed; {before or 'nothing'} is in use.")
    return str(saved)


def _put_back(layout: Layout, before: str, home: Path) -> Path:
    """Restore the backup made before the release in use, and set its index aside; where that was put."""
    saved = layout.backup(layout.current)
    if not saved.exists():
        hint = f"Restore one of your own into an empty folder with: {layout.program} restore"
        raise InstallError(f"{before} cannot read the index, and there is no backup from before", hint)
    _check_idle(home)
    fresh = home.with_name(f"{SCRATCH}{home.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    _place_settings(home / "settings.toml", fresh, print)
    run(layout, fresh, before, "restore", "--trust", str(saved))
    aside = home.with_name(f"{home.name}.of-{layout.current}.{int(time.time())}")
    os.rename(home, aside)
    os.rename(fresh, home)
    return aside


def _check_idle(home: Path) -> None:
    """InstallError while a process holds the index: it would go on writing into what was set aside."""
    import fcntl

    with open(home / "owner.lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            hint = "Stop the server, or wait until indexing has ended."
            raise InstallError(f"the index in {home} is in use", hint) from error


def _drop_others(layout: Layout, say: Say) -> None:
    """Delete releases but this and the one before, with the backups that only they could use."""
    kept = {layout.current, layout.previous(layout.current)}
    for release in (layout.folder / "releases").iterdir():
        if release.name in kept:
            continue
        if runs(release):
            say(f"  {release.name} stays installed: a program still runs with it")
            continue
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
    bundle = Path(__file__).resolve().parents[1]
    if not args.verify and args.to is None:
        parser.error("name a folder with --to DIR")
    try:
        if args.verify:
            print(f"{verify(bundle).id}: every file is as it was built.")
            return 0
        with alone(args.to) as layout:
            if args.rollback:
                rollback(layout)
            else:
                install(bundle, layout, args.home)
    except (InstallError, OSError, KeyboardInterrupt) as error:
        what = str(error) or "interrupted; what was in use still is. Run it again to go on"
        print(f"error: {what}", file=sys.stderr)
        if hint := getattr(error, "hint", ""):
            print(f"  {hint}", file=sys.stderr)
        return 1
    return 0
