"""The folder of an installation, held by one process at a time, and the programs that are run in it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .manifest import MANIFEST, InstallError

SCRATCH = ".scratch-"
"""Begins the names of what an installation may delete of another that was killed."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths in an installation's folder. `lock` is inherited by what it starts, and so held while that runs."""

    folder: Path
    lock: int

    @property
    def program(self) -> Path:
        return self.folder / "bin" / "localsearch"

    @property
    def current(self) -> str:
        """The release in use; empty before the first installation."""
        link = self.folder / "current"
        return Path(os.readlink(link)).name if link.is_symlink() else ""

    @property
    def models(self) -> Path:
        return self.folder / "models"

    @property
    def record(self) -> Path:
        """What outlives a release: where the index is."""
        return self.folder / "installation.json"

    def release(self, name: str) -> Path:
        return self.folder / "releases" / name

    def previous(self, name: str) -> str:
        """The release that was in use before another; empty where there was none, or it is gone."""
        file = self.release(name) / "previous"
        before = file.read_text("utf-8") if name and file.exists() else ""
        return before if before and self.whole(before) else ""

    def whole(self, name: str) -> bool:
        """Whether all of a release was installed: its manifest comes last."""
        return (self.release(name) / MANIFEST).exists()

    def backup(self, name: str) -> Path:
        """The index as it was before that release."""
        return self.folder / "backups" / f"before-{name}.backup"

    def name_of(self, home: Path) -> str:
        """An index folder as it is written down: below this folder by its name there, which may be moved with it."""
        return str(home.relative_to(self.folder) if home.is_relative_to(self.folder) else home)

    def home(self) -> Path | None:
        """The index folder that the first installation chose; None before it."""
        try:
            home: str = json.loads(self.record.read_text("utf-8"))["home"]
            return self.folder / home
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            hint = 'Write {"home": "index"} into it, or the folder of the index.'
            raise InstallError(f"{self.record} does not parse", hint) from error


@contextmanager
def alone(folder: Path) -> Iterator[Layout]:
    """Hold a folder against other installations into it, and clear what a killed one left."""
    import fcntl  # this module is read on Windows, too

    folder = Path(os.path.expanduser(folder)).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            hint = "Wait until it ends."
            raise InstallError(f"another installation into {folder} is running", hint) from error
        for remains in folder.glob(SCRATCH + "*"):
            shutil.rmtree(remains, ignore_errors=True)
        yield Layout(folder, file.fileno())


def use(layout: Layout, name: str, home: Path) -> None:
    """Write the program, which finds its folder wherever that is mounted, and turn the link to a release at once."""
    index = shlex.quote(layout.name_of(home))
    if home.is_relative_to(layout.folder):
        index = f'"$folder"/{index}'
    text = (
        "#!/bin/sh\n"
        'folder=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)\n'
        'release=$(readlink -f "$folder/current")\n'
        "unset PYTHONPATH PYTHONHOME\n"
        "export LOCALSEARCH_OFFLINE=1 PYTHONSAFEPATH=1\n"
        'export LOCALSEARCH_MODELS="${LOCALSEARCH_MODELS:-$folder/models}"\n'
        f"index={index}\n"
        'export LOCALSEARCH_HOME="${LOCALSEARCH_HOME:-$index}"\n'
        'exec "$release/venv/bin/python" -m localsearch "$@"\n'
    )
    layout.program.parent.mkdir(exist_ok=True)
    partial = layout.program.with_name(".localsearch")
    partial.write_text(text, "utf-8")
    partial.chmod(0o755)
    os.replace(partial, layout.program)
    link = layout.folder / ".current"
    link.unlink(missing_ok=True)
    os.symlink(Path("releases") / name, link)
    os.replace(link, layout.folder / "current")


def runs(release: Path) -> bool:
    """Whether a process was started from a release; false where the system does not tell."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(release) + b"/" in file.read_bytes():
                return True
        except OSError:
            continue
    return False


def has_index(home: Path) -> bool:
    return (home / "index.db").exists()


def reads(layout: Layout, home: Path, name: str) -> bool:
    return program(layout, home, name, "status", "--json").returncode == 0


def works(layout: Layout, home: Path, name: str) -> bool:
    """Whether a release starts: its Python may have gone with an upgrade of the system."""
    try:
        return program(layout, home, name, "--version").returncode == 0
    except OSError:
        return False


def run(layout: Layout, home: Path, name: str, *words: str) -> None:
    done = program(layout, home, name, *words)
    if done.returncode:
        raise InstallError(f"`localsearch {' '.join(words)}` of {name} failed: {end(done.stderr)}")


def program(layout: Layout, home: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a release's own localsearch on an index, with the models of this installation."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"LOCALSEARCH_OFFLINE": "1", "LOCALSEARCH_MODELS": str(layout.models)}
    environment |= {"LOCALSEARCH_HOME": str(home), "PYTHONSAFEPATH": "1"}
    command = [str(layout.release(name) / "venv" / "bin" / "python"), "-m", "localsearch", *words]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=layout.folder, pass_fds=[layout.lock]
    )


def call(layout: Layout, command: Sequence[str], what: str, hint: str = "") -> None:
    done = subprocess.run(command, capture_output=True, text=True, pass_fds=[layout.lock])
    if done.returncode:
        raise InstallError(f"{what}: {end(done.stderr or done.stdout)}", hint)


def end(text: str) -> str:
    return text.strip()[-2000:]
