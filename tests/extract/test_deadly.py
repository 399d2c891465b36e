"""A file that ends its reader's process costs itself: it is told in the ledger, and the rest of the batch is read."""

from __future__ import annotations

import io
import os
import struct
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from signal import SIGABRT, SIGBUS, SIGILL, SIGKILL, SIGSEGV, Signals

import pytest

from localsearch.engine import Engine
from localsearch.errors import ExtractionError
from localsearch.extract import Extractor
from localsearch.extract import process as processes
from localsearch.settings import ExtractSettings, load

RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SLOW = "<div>" * 200_000 + "text"
"""Nesting that takes an HTML5 parser time that grows with its square."""


def workbook(*cells: tuple[int, int]) -> bytes:
    """A binary workbook (.xlsb) with the number 7 in each cell ([MS-XLSB] 2.1.4)."""

    def record(kind: int, data: bytes = b"") -> bytes:
        assert len(data) < 128
        return bytes([kind] if kind < 128 else [kind & 127 | 128, kind >> 7]) + bytes([len(data)]) + data

    def wide(text: str) -> bytes:
        return struct.pack("<I", len(text)) + text.encode("utf-16-le")

    book = [record(131), record(143), record(156, struct.pack("<II", 0, 1) + wide("rId1") + wide("Stock")),
            record(144), record(132)]  # fmt: skip
    corner = max(row for row, _ in cells), max(column for _, column in cells)
    sheet = [record(129), record(148, struct.pack("<4I", 0, corner[0], 0, corner[1])), record(145)]
    for row, column in cells:
        sheet += [record(0, struct.pack("<I13x", row)), record(2, struct.pack("<III", column, 0, 7 << 2 | 2))]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, kind, target in (
            ("_rels/.rels", "officeDocument", "xl/workbook.bin"),
            ("xl/_rels/workbook.bin.rels", "worksheet", "worksheets/sheet1.bin"),
        ):
            package.writestr(name, f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
                             f'<Relationship Id="rId1" Type="{RELATIONS}/{kind}" Target="{target}"/></Relationships>')  # fmt: skip
        package.writestr("[Content_Types].xml", "<Types/>")
        package.writestr("xl/workbook.bin", b"".join(book))
        package.writestr("xl/worksheets/sheet1.bin", b"".join([*sheet, record(146), record(130)]))
    return buffer.getvalue()


DEADLY = workbook((0, 0), (1_048_575, 16_383))
"""Calamine asks for room for all cells up to the last corner, and ends the process where it cannot have that."""


def test_the_workbook_ends_the_process_that_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int | None] = []
    cause = processes.Worker._cause

    def noted(self: processes.Worker, status: int | None) -> ExtractionError:
        ends.append(status)
        return cause(self, status)

    monkeypatch.setattr(processes.Worker, "_cause", noted)
    (tmp_path / "last.xlsb").write_bytes(DEADLY)
    (tmp_path / "first.xlsb").write_bytes(workbook((0, 0), (3, 2)))
    with Extractor(ExtractSettings(workers=1)) as extractor:
        assert extractor.extract(tmp_path / "first.xlsb")[0].text == "Stock\n\n7\n\n7"
        with pytest.raises(ExtractionError) as caught:
            extractor.extract(tmp_path / "last.xlsb")
        assert extractor.extract(tmp_path / "first.xlsb")[0].text == "Stock\n\n7\n\n7"
    assert ends == [-SIGABRT, -SIGABRT], (
        "a worker that had read before is not blamed: the file is tried by a new one"
    )
    assert (caught.value.data["rule"], caught.value.message) == (
        "memory",
        "reading it takes more than 1024 MB of memory",
    )
    assert caught.value.hint


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    settings = replace(load(tmp_path / "home", environ={}), models=tmp_path)
    with Engine.open(settings=settings) as opened:
        yield opened


def test_the_ledger_tells_it_and_the_others_are_found(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.md").write_text(f"Kettle number {number}.\n")
    (folder / "05x.xlsb").write_bytes(DEADLY)
    report = engine.index(folder, embed=False)
    assert (report.files.new, report.files.failed, dict(report.rules)) == (12, 1, {"memory": 1})
    assert len(engine.search("kettle", mode="lexical", limit=20)) == 12
    (row,) = engine.why(folder / "05x.xlsb")
    assert (row.state, row.rule, row.reason) == (
        "failed",
        "memory",
        "reading it takes more than 1024 MB of memory",
    )


@pytest.mark.parametrize("signal", [SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGKILL])
def test_a_reader_that_dies_of_a_signal_costs_the_file_it_reads(tmp_path: Path, signal: Signals) -> None:
    slow = tmp_path / "slow.html"
    slow.write_text(SLOW)
    good = [tmp_path / f"{number}.txt" for number in range(6)]
    for file in good:
        file.write_text("good")
    with Extractor(ExtractSettings(workers=1, wall_s=600, cpu_s=600, memory_mb=8192)) as extractor:
        killer = threading.Thread(target=_kill_while_reading, args=(extractor._workers[0], signal))
        killer.start()
        found = dict(extractor.extract_many([slow, *good]))
        killer.join()
    outcome = found[slow]
    assert isinstance(outcome, ExtractionError)
    if signal == SIGKILL:  # what the system does to one that takes too much memory
        assert outcome.message == "reading it takes more than 8192 MB of memory"
    else:
        assert (outcome.data["rule"], outcome.message) == ("crash", f"its reader died of it ({signal.name})")
    assert [one[0].text for file in good if not isinstance(one := found[file], ExtractionError)] == [
        "good"
    ] * 6


def _kill_while_reading(worker: processes.Worker, signal: Signals) -> None:
    """Wait until the process has been given its first file, and end it."""
    while worker._process is None or worker._fresh or not worker.confinement:
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(worker._process.pid, signal)
