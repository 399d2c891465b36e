"""Restoring onto a disk without room ends in words at whatever step the room is gone, and leaves no half of an index."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from localsearch.engine import Engine
from localsearch.settings import load
from localsearch.types import Record


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of the size that `mount -o remount` gives it."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk takes root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_restore_on_a_disk_that_is_full(tmp_path: Path, small: Path) -> None:
    home = tmp_path / "home"
    with Engine.open(settings=replace(load(home, environ={}), models=tmp_path / "none")) as engine:
        engine.add([Record(f"Bread number {n} " + "and flour " * 50, f"d{n}") for n in range(300)])
        engine.backup(tmp_path / "copy.tar")
    size = (tmp_path / "copy.tar").stat().st_size // 1024
    ends = []
    for room in (16, size // 2, size - 4, size + 8, size + 40, size + 120, size * 2, size * 3, size * 8):
        subprocess.run(["mount", "-o", f"remount,size={room}k", str(small)], check=True)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "localsearch",
                "--home",
                str(small / "h"),
                "restore",
                str(tmp_path / "copy.tar"),
            ],
            capture_output=True,
            text=True,
            env=os.environ | {"LOCALSEARCH_OFFLINE": "1", "LOCALSEARCH_MODELS": str(tmp_path / "none")},
        )
        said = done.stdout + done.stderr
        ends.append(done.returncode)
        assert "Traceback" not in said, (room, said)
        assert "mistake of localsearch" not in said, (room, said)
        assert done.returncode == 0 or "full" in said or "no space left" in said, (room, said)
        subprocess.run(["rm", "-rf", str(small / "h")], check=True)
    assert ends[0] == ends[1] == 1
    assert ends[-1] == 0
