"""What could not be read of a file is kept with it, counted, listed, and told by `why`, the API and copies of it."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from serving import serving, settings_at

from localsearch import Engine
from localsearch.cli.main import main
from localsearch.store import Database, FileRow, Ledger
from localsearch.store.ledger import NOTE_CHARS, NOTES


def row(*notes: str) -> FileRow:
    return FileRow("default", b"/a/x.pdf", "/a/x.pdf", "/a", 1, 2, None, "indexed", notes=notes)


def test_notes_come_back_as_they_were_and_are_counted(tmp_path: Path) -> None:
    ledger = Ledger(Database.open(tmp_path))
    ledger.put(row("pages 3-9 are scans", "page 2: a picture “of” text"))
    (found,) = ledger.at("/a/x.pdf")
    assert found.notes == ("pages 3-9 are scans", "page 2: a picture “of” text")
    assert (ledger.noted_count(), ledger.troubled("noted")) == (1, [found])
    ledger.put(row())
    assert (ledger.noted_count(), ledger.troubled("noted")) == (0, [])
    ledger.db.close()


def test_as_many_notes_are_kept_as_a_person_would_read(tmp_path: Path) -> None:
    ledger = Ledger(Database.open(tmp_path))
    ledger.put(row(*(f"part {n} " + "x" * 1000 for n in range(NOTES + 7))))
    (found,) = ledger.at("/a/x.pdf")
    assert (len(found.notes), found.notes[-1]) == (NOTES + 1, "and 7 more notes")
    assert max(map(len, found.notes)) == NOTE_CHARS
    ledger.db.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An archive with a readable note and a member that cannot be read, twice."""
    made = tmp_path / "d"
    made.mkdir()
    with zipfile.ZipFile(made / "a.zip", "w") as archive:
        archive.writestr("note.txt", "The kiln cools for a day.")
        archive.writestr("broken.pdf", b"%PDF-1.7 nothing follows")
    shutil.copy(made / "a.zip", made / "b.zip")
    return made


def test_why_status_and_the_api_tell_them(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    with Engine.open(home) as engine:
        engine.index(folder, embed=False)
        assert engine.status().noted == 2
        assert engine.status().files["indexed"] == 2
    assert main(["--home", str(home), "--json", "why", str(folder / "b.zip")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "indexed"
    assert any("broken.pdf" in note for note in told["notes"])
    assert main(["--home", str(home), "status", "--list", "noted"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{folder}/{name}: " in listed for name in ("a.zip", "b.zip"))
    settings = settings_at(home)
    with Engine.open(settings=settings) as engine, serving(engine, settings) as served:
        ledger = served.client.get("/ledger?state=noted").json()
        assert ledger["counts"]["noted"] == 2
        assert {file["path"] for file in ledger["files"]} == {str(folder / "a.zip"), str(folder / "b.zip")}
        assert all(file["notes"] for file in ledger["files"])


def test_a_file_that_is_mended_has_no_notes_any_more(folder: Path, tmp_path: Path) -> None:
    with Engine.open(tmp_path / "home") as engine:
        engine.index(folder, embed=False)
        for name in ("a.zip", "b.zip"):
            with zipfile.ZipFile(folder / name, "w") as archive:
                archive.writestr("note.txt", "The kiln cools for two days.")
        engine.index(folder, embed=False)
        assert engine.status().noted == 0
