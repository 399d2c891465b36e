"""Worker processes: reused, confined, replaced when they die; one bad file costs that file only."""

from __future__ import annotations

import io
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pytest

from localsearch.errors import ExtractionError, UnavailableError
from localsearch.extract import Extractor, OpenFile, Outcome, confinement, pool
from localsearch.extract import process as processes
from localsearch.extract.chunk import chunk
from localsearch.settings import ChunkSettings, ExtractSettings

SETTINGS = ExtractSettings(workers=2, memory_mb=512, cpu_s=30, wall_s=60)


@pytest.fixture(scope="module")
def extractor() -> Iterator[Extractor]:
    with Extractor(SETTINGS) as found:
        yield found


def write(folder: Path, name: str, data: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return file


def rule(outcome: Outcome) -> str:
    assert isinstance(outcome, ExtractionError)
    assert outcome.hint
    return str(outcome.data["rule"])


def refused(extractor: Extractor, file: Path) -> ExtractionError:
    with pytest.raises(ExtractionError) as caught:
        extractor.extract(file)
    return caught.value


def test_one_file(extractor: Extractor, tmp_path: Path) -> None:
    (extract,) = extractor.extract(write(tmp_path, "note.md", "# Tea\n\nWater first.\n"))
    assert (extract.type, extract.title, extract.text) == ("markdown", "Tea", "# Tea\n\nWater first.\n")
    assert [(b.kind, b.place.line, b.place.heading) for b in extract.blocks] == [
        ("heading", 1, ("Tea",)),
        ("paragraph", 3, ("Tea",)),
    ]


def test_many_files_side_by_side(extractor: Extractor, tmp_path: Path) -> None:
    files = [write(tmp_path, f"{number}.txt", f"text of {number}") for number in range(300)]
    files[100:100] = [write(tmp_path, "empty.txt", ""), tmp_path / "gone.txt"]
    found = dict(extractor.extract_many(iter(files)))
    assert len(found) == 302
    for number in range(300):
        outcome = found[tmp_path / f"{number}.txt"]
        assert not isinstance(outcome, ExtractionError)
        assert outcome[0].text == f"text of {number}"
    assert rule(found[tmp_path / "empty.txt"]) == "empty"
    assert rule(found[tmp_path / "gone.txt"]) == "missing"


def test_paths_are_asked_for_as_they_are_needed(extractor: Extractor, tmp_path: Path) -> None:
    file, asked = write(tmp_path, "a.txt", "text"), []

    def paths() -> Iterator[Path]:
        for number in range(1000):
            asked.append(number)
            yield file

    stream = extractor.extract_many(paths())
    next(stream)
    assert len(asked) <= pool.AHEAD * SETTINGS.workers
    stream.close()  # type: ignore[attr-defined]
    assert len(asked) <= pool.AHEAD * SETTINGS.workers


def test_text_that_nobody_takes_stops_the_readers(
    extractor: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stores slowly holds little text in memory, however many files there are."""
    monkeypatch.setattr(pool, "HELD", 1_000)
    read: list[str] = []
    worker_read = processes.Worker.read

    def reading(self: processes.Worker, file: Path | OpenFile) -> Outcome:
        outcome = worker_read(self, file)
        read.append(str(file))
        return outcome

    monkeypatch.setattr(processes.Worker, "read", reading)
    files = [write(tmp_path, f"{number}.txt", f"{number} " * 300) for number in range(20)]
    stream = extractor.extract_many(iter(files))
    for taken, _ in enumerate(stream, 1):
        time.sleep(0.02)
        assert len(read) <= taken + SETTINGS.workers + 2
    assert len(read) == len(files)


def test_documents_come_with_their_chunks(tmp_path: Path) -> None:
    file, cut = (
        write(tmp_path, "a.md", "# One\n\n" + "Some words. " * 200 + "\n\n# Two\n\nMore."),
        ChunkSettings(),
    )
    with Extractor(SETTINGS) as whole, Extractor(SETTINGS, cut) as cutting:
        (extract,), (found,) = whole.extract(file), cutting.extract(file)
    assert found.chunks == chunk(extract, cut)
    assert len(found.chunks) > 2
    assert (found.text, found.blocks, extract.chunks) == (extract.text, (), None)


def test_names_that_are_no_text(extractor: Extractor, tmp_path: Path) -> None:
    file = write(tmp_path, os.fsdecode(b"gr\xfc\xdfe.md"), "# Hello\n")
    assert extractor.extract(file)[0].type == "markdown"


def test_what_is_no_regular_file_is_never_opened(extractor: Extractor, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert rule(refused(extractor, tmp_path / "pipe")) == "special"
    assert rule(refused(extractor, tmp_path)) == "special"
    assert rule(refused(extractor, Path("/dev/zero"))) == "special"


def test_a_file_that_may_not_be_read(extractor: Extractor, tmp_path: Path) -> None:
    file = write(tmp_path, "secret.txt", "text")
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("this user may read every file")
    assert rule(refused(extractor, file)) == "unreadable"


def sparse(folder: Path, name: str, size: int) -> Path:
    file = folder / name
    with file.open("wb") as opened:
        opened.truncate(size)
    return file


def test_files_over_the_limit_are_refused_before_they_are_read(extractor: Extractor, tmp_path: Path) -> None:
    error = refused(extractor, sparse(tmp_path, "line.txt", 1_000_000_000))
    assert (rule(error), error.message) == ("too-large", "1000 MB are over the limit of 200 MB")
    assert rule(refused(extractor, sparse(tmp_path, "huge.txt", 5_000_000_000))) == "too-large"


def make_wide_sheet() -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active["A1"], book.active["XFD1048576"] = "first", "last"
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def test_a_sheet_with_a_value_in_its_last_corner_costs_nothing(extractor: Extractor, tmp_path: Path) -> None:
    """17 thousand million empty cells between two full ones."""
    good = [write(tmp_path, f"{number}.txt", "good") for number in range(20)]
    bad = write(tmp_path, "wide.xlsx", make_wide_sheet())
    found = dict(extractor.extract_many([*good[:10], bad, *good[10:]]))
    outcome = found[bad]
    assert not isinstance(outcome, ExtractionError)
    assert [extract.text for extract in outcome] == ["Sheet\n\nfirst\n\nlast"]
    assert all(not isinstance(found[file], ExtractionError) for file in good)


def test_a_worker_that_balloons_costs_one_file(tmp_path: Path) -> None:
    good = [write(tmp_path, f"{number}.txt", "good") for number in range(6)]
    bad = write(tmp_path, "long.txt", "longer and longer " * 10_000_000)
    with Extractor(ExtractSettings(memory_mb=420, workers=1)) as small:
        found = dict(small.extract_many([*good[:3], bad, *good[3:]]))
    assert rule(found[bad]) == "memory"
    assert all(not isinstance(found[file], ExtractionError) for file in good)


def make_entities() -> str:
    levels = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi"))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{levels}]><x>&i;</x>'


def make_zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package, package.open("a.txt", "w") as file:
        for _ in range(250):
            file.write(bytes(1_000_000))
    return buffer.getvalue()


def test_bombs_end_in_a_clear_reason(extractor: Extractor, tmp_path: Path) -> None:
    assert rule(refused(extractor, write(tmp_path, "a.xml", make_entities()))) == "bomb"
    assert rule(refused(extractor, write(tmp_path, "a.zip", make_zip_bomb()))) == "bomb"


def test_outside_entities_are_not_fetched(extractor: Extractor, tmp_path: Path) -> None:
    secret = write(tmp_path, "secret.txt", "the secret")
    source = f'<!DOCTYPE x [<!ENTITY s SYSTEM "file://{secret}">]><x>text &s; end</x>'
    (extract,) = extractor.extract(write(tmp_path, "a.xml", source))
    assert "text" in extract.text
    assert "the secret" not in extract.text


SLOW = "<div>" * 200_000 + "text"
"""Nesting that takes an HTML5 parser time that grows with its square."""


def test_a_worker_that_takes_too_long_is_replaced(tmp_path: Path) -> None:
    file, good = write(tmp_path, "deep.html", SLOW), write(tmp_path, "good.txt", "good")
    with Extractor(ExtractSettings(workers=1, wall_s=1)) as extractor:
        assert extractor.extract(good)[0].text == "good"
        assert refused(extractor, file).message == "reading it took longer than 1 s"
        assert extractor.extract(good)[0].text == "good"


def test_processor_time_is_bounded_for_each_file(tmp_path: Path) -> None:
    file, good = write(tmp_path, "deep.html", SLOW), write(tmp_path, "good.txt", "good")
    with Extractor(ExtractSettings(workers=1, cpu_s=1)) as extractor:
        assert refused(extractor, file).message == "reading it took more than 1 s of processor time"
        assert extractor.extract(good)[0].text == "good"


def test_a_worker_killed_between_files_is_not_laid_to_the_next(tmp_path: Path) -> None:
    good = write(tmp_path, "good.txt", "good")
    worker = processes.Worker(SETTINGS)
    assert not isinstance(worker.read(good), ExtractionError)
    assert worker._process is not None
    os.kill(worker._process.pid, 9)
    os.waitid(os.P_PID, worker._process.pid, os.WEXITED | os.WNOWAIT)
    assert not isinstance(worker.read(good), ExtractionError)
    worker.close()


@pytest.mark.parametrize("ask", [True, False])
def test_stopping_gives_up_what_is_being_read(tmp_path: Path, ask: bool) -> None:
    """A file that would take minutes does not hold up the end, and the worker reads on afterwards."""
    good = write(tmp_path, "good.txt", "good")
    slow = [write(tmp_path, f"deep{number}.html", "<div>" * 400_000) for number in range(2)]
    stop: list[bool] = []
    with Extractor(ExtractSettings(workers=1, wall_s=3600, cpu_s=3600)) as extractor:
        stream = extractor.extract_many([good, *slow], lambda: bool(stop))
        assert next(stream)[0] == good
        if ask:
            stop.append(True)
            assert list(stream) == []
        else:
            stream.close()  # type: ignore[attr-defined]
        assert extractor.extract(good)[0].text == "good"


def test_workers_that_cannot_start_are_no_fault_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, "good.txt", "good")
    monkeypatch.setattr(sys, "executable", "/usr/bin/false")
    with Extractor(SETTINGS) as extractor, pytest.raises(UnavailableError, match="cannot be started"):
        list(extractor.extract_many([file] * 10))


def test_closing_ends_every_process(tmp_path: Path) -> None:
    extractor = Extractor(SETTINGS)
    list(extractor.extract_many([write(tmp_path, f"{n}.txt", "x") for n in range(20)]))
    running = [worker._process.pid for worker in extractor._workers if worker._process is not None]
    assert running
    extractor.close()
    for pid in running:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_a_worker_may_do_is_said_and_true() -> None:
    found = confinement(SETTINGS)
    assert found["memory"] == "512 MB"
    if found.get("landlock", "").startswith("version"):
        assert found["open a file"] == found["write a file"] == "refused"
    if found.get("seccomp", "").startswith("no sockets"):
        assert found["open a socket"] == "refused"
        assert found["network"] == "no sockets of any kind"


def test_wild_files(shared_wild: Callable[[], Path], extractor: Extractor) -> None:
    """Real files of many kinds, many of them odd on purpose."""
    files = sorted(shared_wild().iterdir())
    found = dict(extractor.extract_many(files))
    assert len(found) == len(files) == 199
    failed = {
        path.name: rule(outcome) for path, outcome in found.items() if isinstance(outcome, ExtractionError)
    }
    assert len(files) - len(failed) >= 154
    assert not {"crash", "timeout", "cpu", "memory"} & set(failed.values())
