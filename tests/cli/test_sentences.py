"""The sentence that `status` and `doctor` begin with."""

from __future__ import annotations

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
