"""Whatever the umask, and however open a folder was before: what is written is its owner's alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from golden.tiny_bert import Tiny, make

LIFE = """
import os, sys
from dataclasses import replace
from pathlib import Path
from localsearch.engine import Engine
from localsearch.server.database import ServiceDatabase
from localsearch.server.jobs import Jobs
from localsearch.server.keys import Keys
from localsearch.settings import ModelSettings, load
from localsearch.types import Record
from localsearch.upkeep.backup import restore

def look(top, when):
    home = top / "home"
    for folder in (home, top / "again"):
        for path in [folder, *folder.rglob("*")] if folder.exists() else []:
            inside = any((parent.stat().st_mode & 0o077) == 0 for parent in path.parents if top in parent.parents)
            if path.lstat().st_mode & 0o077 and not (inside and when == "open"):
                print(top.name, when, oct(path.lstat().st_mode), path.relative_to(top))
    for path in (top / "copy.tar", top / "out.jsonl"):
        if path.exists() and path.stat().st_mode & 0o077:
            print(top.name, when, oct(path.stat().st_mode), path.name)
    for path in [top / "models", *(top / "models").rglob("*")]:
        if path.stat().st_mode & 0o022:
            print(top.name, when, oct(path.stat().st_mode), path)

def live(top):
    home = top / "home"
    settings = replace(load(home, environ={}), models=top / "models", model=ModelSettings(name="tiny"))
    with Engine.open(settings=settings) as engine:
        engine.models.import_folder(top / "tiny")
        engine.add([Record(f"the cat sat on mat {n}", f"d{n}") for n in range(30)])
        engine.index(top / "docs")
        engine.search("cat", mode="hybrid", rerank=True)
        engine.feedback("cat", "d1", True)
        served = ServiceDatabase(home)
        Keys(served).create("phone")
        Jobs(served, {}, 10).submit("index", {"paths": ["/nowhere"]})
        served.close()
        look(top, "open")
        engine.derived.semantic.vectors.merge() if hasattr(engine.derived.semantic.vectors, "merge") else None
        engine.delete("d2", purge=True)
        engine.export(top / "out.jsonl")
        engine.backup(top / "copy.tar")
        engine.rebuild()
        look(top, "open")
    look(top, "closed")
    restore(top / "copy.tar", top / "again")
    with Engine.open(settings=replace(settings, home=top / "again")) as engine:
        engine.rebuild()
        engine.import_file(top / "out.jsonl")
    look(top, "restored")
    names = {path.name for path in home.rglob("*")}
    print(top.name, "wrote", *sorted({"index.db", "service.db", "lexical", "vectors", "query-log.db", "query-vectors.db"} - names))

for name in sys.argv[2:]:
    os.umask(int(name, 8))
    live(Path(sys.argv[1]) / name)
"""


UMASKS = ["000", "022", "027", "077"]


@pytest.mark.parametrize("before", ["new", "open", "full"])
def test_everything_that_a_life_writes_is_private(tmp_path: Path, before: str) -> None:
    """One process lives once under each umask."""
    for umask in UMASKS:
        prepare(tmp_path / umask, before)
    done = subprocess.run(
        [sys.executable, "-c", LIFE, str(tmp_path), *UMASKS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "".join(f"{umask} wrote\n" for umask in UMASKS)


def prepare(top: Path, before: str) -> None:
    make(top / "tiny", Tiny())
    (top / "docs").mkdir()
    (top / "docs" / "a.md").write_text("The dog ran under the tree.")
    if before != "new":
        (top / "home").mkdir()
        (top / "models").mkdir()
        for path in (top / "home", top / "models"):
            path.chmod(0o777)
    if before == "full":  # as a release that left files open, or a careless copy
        for name in ("index.db-wal", "settings.toml", "lexical/old", "vectors/1/old"):
            path = top / "home" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
            path.chmod(0o666)
            path.parent.chmod(0o777)


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    from localsearch.platform.disk import make_private

    outside, home = tmp_path / "outside", tmp_path / "home"
    home.mkdir()
    outside.mkdir()
    (outside / "theirs").write_text("x")
    (outside / "theirs").chmod(0o644)
    outside.chmod(0o755)
    (home / "file").symlink_to(outside / "theirs")
    (home / "folder").symlink_to(outside)
    make_private(home)
    assert os.stat(outside / "theirs").st_mode & 0o777 == 0o644
    assert os.stat(outside).st_mode & 0o777 == 0o755
