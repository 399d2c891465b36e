"""Views of the running system are known by their file system, wherever they are mounted or led to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from localsearch.platform.mounts import system_views
from localsearch.scan import scan, scan_within

needs_proc = pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="this system has no /proc")


def test_devices_of_a_table(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 0:20 / /sys rw shared:7 - sysfs sysfs rw\n23 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "24 1 0:77 / /srv/jail/with\\040space/proc rw,nosuid - proc proc rw\n"
        "25 1 0:30 / /home rw shared:1 master:2 - btrfs /dev/sdb rw\n"
    )
    assert system_views(str(table)) == {os.makedev(0, 20), os.makedev(0, 77)}
    assert system_views(str(tmp_path / "missing")) == frozenset()


@needs_proc
def test_a_root_that_leads_to_the_whole_system_shows_no_process(tmp_path: Path) -> None:
    link = tmp_path / "all"
    link.symlink_to("/")
    found = list(scan_within(link, [link / "proc" / "self" / "environ", link / "proc" / "version"]))
    assert [(one.path, one.skip.rule if one.skip else "") for one in found] == [(f"{link}/proc", "system")]


@needs_proc
def test_a_process_that_is_named_itself_shows_nothing() -> None:
    assert {one.skip.rule for one in scan(Path("/proc/self")) if one.skip} <= {"system", "link"}
    assert [one.path for one in scan(Path("/proc/self")) if one.skip is None] == []
    (environment,) = scan(Path("/proc/self/environ"))
    assert environment.skip
    assert environment.skip.rule == "system"


@needs_proc
@pytest.mark.parametrize("what", ["folder", "file"])
def test_bind_mounts_of_processes_are_skipped(tmp_path: Path, what: str) -> None:
    """A folder and a file of /proc, mounted among documents."""
    (tmp_path / "note.txt").write_text("note")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    source = "/proc/self" if what == "folder" else "/proc/version"
    script = (
        "import json, subprocess, sys\nfrom pathlib import Path\nfrom localsearch.scan import scan\n"
        f"if subprocess.run(['mount', '--bind', {source!r}, {str(tmp_path / what)!r}]).returncode: sys.exit(9)\n"
        f"print(json.dumps([[one.path, one.skip.rule if one.skip else ''] for one in scan(Path({str(tmp_path)!r}))]))\n"
    )
    try:
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", script],
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if done.returncode in (1, 9) and "Error" not in done.stderr.partition("Traceback")[2]:
        pytest.skip("this system lets nobody mount")
    assert [str(tmp_path / what), "system"] in json.loads(done.stdout)
    assert f"{tmp_path}/{what}/" not in done.stdout
