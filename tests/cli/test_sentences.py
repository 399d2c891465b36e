"""The sentence that `status` and `doctor` begin with."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from localsearch.cli.main import main
from localsearch.settings import load
from localsearch.upkeep.doctor import examine


def run(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> tuple[int, str, str]:
    code = main(["--home", str(home), "--offline", *words])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_status_begins_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "kiln.txt").write_text("Let the kiln cool.")
    home = tmp_path / "home"
    assert run(capsys, home, "index", str(notes), "--no-embed")[0] == 0
    code, out, _ = run(capsys, home, "status")
    assert code == 0
    assert out.splitlines()[0].startswith("All is well: 1 document, last change ")
    (notes / "torn.pdf").write_bytes(b"%PDF-1.7\nnothing more")
    run(capsys, home, "index", str(notes), "--no-embed")
    assert run(capsys, home, "status")[1].startswith("1 file could not be read: ")


def test_doctor_begins_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, tmp_path / "home", "doctor")
    findings = examine(load(tmp_path / "home"))
    first = out.splitlines()[0]
    assert first.startswith(("All is well: ", "1 thing is wrong: ", "2 things are wrong: "))
    assert f"{len(findings)} things were looked at" in first


def test_explain_is_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "kiln.txt").write_text("Let the kiln cool.")
    home = tmp_path / "home"
    assert run(capsys, home, "index", str(tmp_path / "notes"), "--no-embed")[0] == 0
    code, out, _ = run(capsys, home, "search", "kiln", "--explain")
    lines = out.splitlines()
    head = next(
        at for at, line in enumerate(lines) if line.split() == ["words", "meaning", "score", "how", "near"]
    )
    row = lines[head + 1].split()
    assert (code, row[0], row[2]) == (0, "1.", "–")
    assert float(row[1]) > 0
    assert any(line.startswith("time: ") for line in lines)


@pytest.mark.parametrize(("width", "told"), [(80, False), (140, True)])
def test_progress_has_room_for_count_rate_and_time_left(width: int, told: bool) -> None:
    from rich.console import Console as Rich

    from localsearch.cli.console import _bars

    console = Rich(width=width, force_terminal=True, record=True, file=io.StringIO())
    bars = _bars(console)
    bars.add_task(
        "Reading", total=25_034, completed=22_000, unit="files", rate="1,234/s", detail="/a/file.pdf"
    )
    console.print(bars.get_renderable())
    (line,) = [line for line in console.export_text().splitlines() if line.strip()]
    assert len(line.rstrip()) <= width
    assert "Reading" in line
    assert "22000/25034 files 1,234/s" in line
    assert line.count("━") >= 8
    assert re.search(r"\d:\d\d:\d\d|-:--:--", line)
    assert ("/a/file.pdf" in line) is told
