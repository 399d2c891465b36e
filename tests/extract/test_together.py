"""A reader and the programs that it starts are held to one bound: a real confined worker whose reader starts a tree."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from localsearch.engine import Engine
from localsearch.errors import ExtractionError
from localsearch.extract import process
from localsearch.extract.pool import Extractor
from localsearch.platform import group
from localsearch.settings import ExtractSettings, load

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what processes use")

READER = """
import os, sys, time
from dataclasses import replace
import localsearch.extract.worker as worker

def tree(count, child):
    for _ in range(count):
        if not os.fork():
            child()
            time.sleep(600)
    time.sleep(600)

def burn():
    while True:
        pass

kept, real, confine = [], worker.read, worker.confine
acts = {
    b"memory": lambda: tree(4, lambda: kept.append(os.urandom(1 << 16) * 1200)),
    b"cpu": lambda: tree(4, burn),
    b"crash": lambda: tree(40, lambda: None),
    b"leave": lambda: os.fork() or time.sleep(600),
}

def read(data, name, limits):
    acts.get(data.strip(), lambda: None)()
    return real(b"bread of " + data, name, limits)

worker.read = read
worker.adopt()
worker.confine = lambda room: confine(replace(room, programs=True))
worker.main(sys.argv[1:])
"""
SETTINGS = ExtractSettings(memory_mb=250, cpu_s=30, wall_s=60, workers=1)
"""Each child of the tree that takes memory has 79 MB."""


@pytest.fixture(autouse=True)
def takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers whose file says what they start: with a real worker, confined as one that may start programs."""
    began = subprocess.Popen

    def spawn(command: list[str], **more: object) -> subprocess.Popen[bytes]:
        return began([*command[:2], "-c", READER, *command[4:]], **more)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", spawn)


def outcome(tmp_path: Path, act: str, settings: ExtractSettings) -> tuple[str, str, int]:
    """Rule and reason of reading a file, and the worker's number."""
    (tmp_path / "file.txt").write_text(act)
    worker = process.Worker(settings)
    try:
        worker.start()
        assert worker._process is not None
        number = worker._process.pid
        read = worker.read(tmp_path / "file.txt")
        assert isinstance(read, ExtractionError), read
        return str(read.data["rule"]), read.message, number
    finally:
        worker.close()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("memory", "250 MB of memory, with the programs that this starts"),
        ("cpu", "2 s of processor time, with the programs that this starts"),
        ("crash", f"more than {process.MOST_PROCESSES} programs at once"),
    ],
)
def test_a_tree_that_takes_too_much_together_is_its_files_failure(
    tmp_path: Path, act: str, words: str
) -> None:
    rule, reason, number = outcome(tmp_path, act, replace(SETTINGS, cpu_s=2 if act == "cpu" else 30))
    assert (rule, reason.endswith(words)) == (act, True), reason
    until = time.monotonic() + 30
    while group.usage(number).memory and time.monotonic() < until:
        time.sleep(0.02)
    assert group.usage(number).memory == 0  # nothing of it goes on


def test_others_are_read_and_the_ledger_says_why(tmp_path: Path) -> None:
    """The bound meets one file of three."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in (("a.txt", "apples"), ("b.txt", "memory"), ("c.txt", "cherries")):
        (docs / name).write_text(text)
    settings = replace(load(tmp_path / "home"), extract=SETTINGS)
    with Engine.open(settings=settings) as engine:
        report = engine.index([docs], embed=False)
        assert (report.documents, report.rules) == (2, {"memory": 1})
        (row,) = engine.why(docs / "b.txt")
        assert (row.state, row.rule) == ("failed", "memory")
        assert row.reason == "reading it takes more than 250 MB of memory, with the programs that this starts"
        found = {hit.title for hit in engine.search("bread", mode="lexical")}
    assert found == {"a.txt", "c.txt"}


def test_a_child_that_is_left_ends_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "left.txt").write_text("leave")
    with Extractor(SETTINGS) as extractor:
        (read,) = extractor.extract(tmp_path / "left.txt")
        assert "bread of leave" in read.text
        (worker,) = extractor._workers
        assert worker._process is None


def test_a_reader_that_can_start_nothing_is_not_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    worker = process.Worker(SETTINGS)
    try:
        worker.start()
        if "no other programs" not in worker.confinement.get("seccomp", ""):
            pytest.skip("this kernel does not keep a reader from starting programs")
        assert worker._watch() is None
    finally:
        worker.close()
