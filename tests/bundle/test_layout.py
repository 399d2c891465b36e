"""The folder of an installation: who may change it, what its program runs, and what a kill leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localsearch.bundle.installer.layout import SCRATCH, alone, runs, use
from localsearch.bundle.installer.manifest import InstallError
from localsearch.bundle.installer.steps import _home, rollback

TELLS = """#!/bin/sh
echo "$0|$LOCALSEARCH_HOME|$LOCALSEARCH_MODELS|$LOCALSEARCH_OFFLINE|$PYTHONSAFEPATH|$PYTHONPATH|$*"
"""


def release(folder: Path, name: str) -> None:
    """A release whose Python tells how it was started."""
    python = folder / "releases" / name / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(TELLS)
    python.chmod(0o755)


def started(program: Path, **environment: str) -> list[str]:
    done = subprocess.run(
        [program, "search", "a b"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    return done.stdout.strip().split("|")


@pytest.mark.parametrize("name", ["index", "my index", 'it\'s $HOME `id` "here"'])
def test_the_program_finds_all_of_it_wherever_it_is(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "an app"
    with alone(folder) as layout:
        release(folder, "1")
        use(layout, "1", folder / name)
        assert layout.current == "1"
    python = str(folder / "releases" / "1" / "venv" / "bin" / "python")
    words = "-m localsearch search a b"
    assert started(layout.program, PYTHONPATH="/elsewhere") == [
        python, str(folder / name), str(folder / "models"), "1", "1", "", words,
    ]  # fmt: skip
    assert started(layout.program, LOCALSEARCH_HOME="/h", LOCALSEARCH_MODELS="/m")[1:3] == ["/h", "/m"]
    (tmp_path / "link").symlink_to(layout.program)
    assert started(tmp_path / "link")[1] == str(folder / name)
    folder.rename(tmp_path / "moved")
    assert started(tmp_path / "moved" / "bin" / "localsearch")[1] == str(tmp_path / "moved" / name)


def test_an_index_elsewhere_stays_there_when_the_rest_is_moved(tmp_path: Path) -> None:
    home = tmp_path / "data of 'mine'"
    with alone(tmp_path / "app") as layout:
        release(layout.folder, "1")
        use(layout, "1", home)
    (tmp_path / "app").rename(tmp_path / "moved")
    assert started(tmp_path / "moved" / "bin" / "localsearch")[1] == str(home)


def test_one_at_a_time_and_what_was_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / f"{SCRATCH}abc" / "inner").mkdir(parents=True)
    with alone(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
        with pytest.raises(InstallError, match="is running") as caught, alone(tmp_path):
            pass
        assert caught.value.hint
    with alone(tmp_path):
        pass


def test_what_was_started_holds_the_folder_after_its_parent_was_killed(tmp_path: Path) -> None:
    """As pip does: the next installation would delete what it is writing."""
    code = (
        "import sys, subprocess; from pathlib import Path; from localsearch.bundle.installer.layout import alone\n"
        "with alone(Path(sys.argv[1])) as layout:\n"
        "    child = subprocess.Popen(['sleep', '600'], pass_fds=[layout.lock]); print(child.pid, flush=True); child.wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    try:
        with pytest.raises(InstallError, match="is running"), alone(tmp_path):
            pass
    finally:
        os.kill(child, 9)
        parent.stdout.close()


def test_the_index_that_was_chosen_first_is_the_index(tmp_path: Path) -> None:
    with alone(tmp_path / "app") as layout:
        assert _home(layout, None) == tmp_path / "app" / "index"
        assert _home(layout, tmp_path / "mine") == tmp_path / "mine"
        layout.record.write_text('{"home": "index"}')
        assert (
            _home(layout, None)
            == _home(layout, tmp_path / "app" / "x" / ".." / "index")
            == tmp_path / "app" / "index"
        )
        with pytest.raises(InstallError, match="the index of this installation is in"):
            _home(layout, tmp_path / "mine")
        layout.record.write_text("{")
        with pytest.raises(InstallError, match="does not parse"):
            _home(layout, None)


def test_a_release_that_was_not_installed_whole_is_no_way_back(tmp_path: Path) -> None:
    with alone(tmp_path) as layout:
        release(tmp_path, "1")
        release(tmp_path, "2")
        (tmp_path / "releases" / "2" / "previous").write_text("1")
        layout.record.write_text('{"home": "index"}')
        use(layout, "2", tmp_path / "index")
        with pytest.raises(InstallError, match="no release to go back to"):
            rollback(layout, lambda line: None)
        (tmp_path / "releases" / "1" / "manifest.json").write_text("{}")
        assert layout.previous("2") == "1"
        rollback(layout, lambda line: None)
        assert layout.current == "1"


def test_a_release_that_runs_is_seen(tmp_path: Path) -> None:
    program = tmp_path / "releases" / "1" / "venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "600"])
    try:
        while not Path(f"/proc/{process.pid}/cmdline").read_bytes():
            pass  # it is being started
        assert runs(tmp_path / "releases" / "1")
        assert not runs(tmp_path / "releases" / "11")
    finally:
        process.kill()
        process.wait()
    assert not runs(tmp_path / "releases" / "1")
