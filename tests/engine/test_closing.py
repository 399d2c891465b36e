"""A closed engine that nothing names holds no file: its folder can be unmounted, without a run of the garbage collector."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from localsearch import Engine, Record

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="tells open files under /proc")


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def held(folder: Path) -> set[str]:
    """Files below a folder that this process has mapped or open."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    found = {line.split(maxsplit=5)[-1] for line in maps}
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return {name for name in found if name.startswith(f"{folder}/")}


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("read_only", [False, True])
def test_a_closed_engine_lets_go_of_its_files(tmp_path: Path, read_only: bool) -> None:
    home, folder = tmp_path / "home", tmp_path / "files"
    folder.mkdir()
    (folder / "roses.md").write_text("# Roses\n\nClimbing roses bloom in June.")
    with Engine.open(home) as engine:
        engine.index(folder, embed=False)
        engine.add([Record("Apples ripen in autumn.", "apples")])
    del engine
    with Engine.open(home, read_only=read_only) as engine:
        assert held(home)
        assert [hit.id for hit in engine.search("apples", mode="lexical").results] == ["apples"]
        assert engine.search("apples", mode="semantic").results == ()
        engine.status()
        engine.read("apples")
    del engine
    assert held(home) == set()
