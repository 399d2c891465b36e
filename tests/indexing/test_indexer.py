"""Files on their way in: incremental, resumable, one content with several paths, nothing lost and nothing invented."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from localsearch import quantize
from localsearch.derived.embedder import BATCH
from localsearch.engine import Engine
from localsearch.errors import LockedError, RootUnreadable, StorageError
from localsearch.indexing import indexer
from localsearch.settings import Settings, load
from localsearch.types import Progress, Record

Open = Callable[[], Engine]


@pytest.fixture
def open_engine(tmp_path: Path, model_folder: Path) -> Iterator[Open]:
    opened: list[Engine] = []

    def open_one() -> Engine:
        for engine in opened:
            engine.close()
        settings: Settings = replace(load(tmp_path / "home", environ={}), models=model_folder)
        opened[:] = [Engine.open(settings=settings)]
        return opened[0]

    yield open_one
    for engine in opened:
        engine.close()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "bread.md").write_text("# Bread\n\nFeed the sourdough starter every morning.\n")
    (folder / "tyres.md").write_text("# Tyres\n\nCheck the pressure of the front tyre.\n")
    (folder / "tax.txt").write_text("The declaration is due at the end of July.\n")
    return folder


def paths_for(engine: Engine, query: str, mode: str = "lexical") -> list[str]:
    answer = engine.search(query, mode=mode, limit=10)  # type: ignore[arg-type]
    return [Path(hit.path or "").name for hit in answer]


def test_counts_of_a_first_and_a_second_run(open_engine: Open, notes: Path) -> None:
    engine = open_engine()
    first = engine.index(notes)
    assert (first.files.new, first.files.unchanged, first.documents) == (3, 0, 3)
    again = engine.index(notes)
    assert (again.files.new, again.files.changed, again.files.unchanged, again.documents) == (0, 0, 3, 0)
    assert engine.status().semantic_coverage == 1.0


def test_words_and_meaning_find_their_file(open_engine: Open, notes: Path) -> None:
    engine = open_engine()
    engine.index(notes)
    assert paths_for(engine, "sourdough") == ["bread.md"]
    assert paths_for(engine, "inflating bicycle wheels", "semantic")[0] == "tyres.md"
    assert paths_for(engine, "nothing of the kind xyzzy") == []


def test_changed_removed_and_new_files(open_engine: Open, notes: Path) -> None:
    engine = open_engine()
    engine.index(notes)
    (notes / "bread.md").write_text("# Bread\n\nRye needs a longer rest than wheat.\n")
    (notes / "tax.txt").unlink()
    (notes / "bees.txt").write_text("A hive winters on twenty kilograms of honey.\n")
    outcome = engine.index(notes)
    files = outcome.files
    assert (files.new, files.changed, files.unchanged, files.removed) == (1, 1, 1, 1)
    assert paths_for(engine, "sourdough") == []
    assert paths_for(engine, "rye") == ["bread.md"]
    assert paths_for(engine, "declaration") == []
    assert paths_for(engine, "honey") == ["bees.txt"]


def test_the_settings_say_what_is_left_out(tmp_path: Path) -> None:
    notes, home = tmp_path / "notes", tmp_path / "home"
    for name in ("plain.md", ".hidden.md", "node_modules/package.md", "id_rsa", "ignored.md", "big.md"):
        (notes / name).parent.mkdir(parents=True, exist_ok=True)
        (notes / name).write_text(f"A note about {name}.")
    (notes / ".gitignore").write_text("ignored.md\n")
    (notes / "big.md").write_text("x" * 1_000_001)
    home.mkdir()

    def left_out(toml: str) -> dict[str, int]:
        (home / "settings.toml").write_text(toml)
        with Engine.open(settings=load(home, environ={})) as engine:
            return dict(engine.index(notes, embed=False).rules)

    usual = {"hidden": 2, "cache": 1, "secret": 1, "ignored": 1}
    assert left_out("") == usual
    assert left_out("[scan]\nhidden = true\n") == {"cache": 1, "secret": 1, "ignored": 1}
    assert left_out("[scan]\ncaches = true\n") == {"hidden": 2, "secret": 1, "ignored": 1}
    assert left_out("[scan]\nsecrets = true\n") == {"hidden": 2, "cache": 1, "ignored": 1}
    assert left_out("[scan]\nignore_files = false\n") == {"hidden": 2, "cache": 1, "secret": 1}
    assert left_out("[extract]\nmax_file_mb = 1\n") == usual | {"too-large": 1}


def test_a_document_of_a_dump_is_found_on_its_line(open_engine: Open, tmp_path: Path) -> None:
    dump = tmp_path / "corpus.jsonl"
    dump.write_text(
        '{"_id": "one", "title": "Rain", "text": "It rains."}\n'
        '{"_id": "two", "title": "Snow", "text": "A first line.\\nSnow falls on the second."}\n'
    )
    engine = open_engine()
    assert engine.index(dump, embed=False).documents == 2
    (hit,) = engine.search("snow falls")
    assert (hit.id, hit.title) == (f"{dump}!/two", "Snow")
    assert (hit.location["line"], hit.location["member"]) == (2, "two")
    dump.write_text('{"_id": "two", "title": "Snow", "text": "It melts."}\n')
    engine.index(dump, embed=False)
    assert [one.location["line"] for one in engine.search("melts")] == [1]
    assert engine.search("rains").total == 0


def test_a_folder_in_a_root_is_no_root_of_its_own(open_engine: Open, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    for name in ("garden/a.md", "kitchen/b.md", ".hidden/c.md"):
        (notes / name).parent.mkdir(parents=True)
        (notes / name).write_text(f"A note about {name}.")
    engine = open_engine()
    engine.index(notes, embed=False)
    for again in (notes / "garden", notes / "garden/a.md", notes):
        assert engine.index(again, embed=False).files.unchanged >= 1
    assert engine.status().roots == (str(notes),)
    engine.index(notes / ".hidden", embed=False)
    engine.index(notes / "kitchen", embed=False, include=["*.md"])
    engine.index(notes / "kitchen", embed=False, collection="other")
    kept = ("include", "exclude")
    roots = [(name, path, {key: how[key] for key in kept}) for name, path, how in engine.ledger.roots()]
    assert sorted(roots, key=str) == sorted(
        [
            ("default", str(notes), {"include": [], "exclude": []}),
            ("default", str(notes / ".hidden"), {"include": [], "exclude": []}),
            ("default", str(notes / "kitchen"), {"include": ["*.md"], "exclude": []}),
            ("other", str(notes / "kitchen"), {"include": [], "exclude": []}),
        ],
        key=str,
    )


def test_a_copy_is_shown_where_the_filter_looks(open_engine: Open, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    for name in ("a/one.md", "b/two.md", "c/three.md"):
        (notes / name).parent.mkdir(parents=True)
        (notes / name).write_text("The lighthouse shows its light.")
    engine = open_engine()
    engine.index(notes, embed=False)

    def shown(query: str) -> list[str | None]:
        return [hit.path and os.path.relpath(hit.path, notes) for hit in engine.search(query)]

    own = shown("lighthouse")
    assert len(own) == 1
    for name in ("a/one.md", "b/two.md", "c/three.md"):
        assert shown(f"lighthouse path:{name[0]}/") == [name]
        assert shown(f"lighthouse path:{name[2:]}") == [name]
    assert shown("lighthouse path:b/,c/ type:markdown")[0] in ("b/two.md", "c/three.md")
    assert shown("lighthouse path:notes/") == own
    assert engine.search("lighthouse path:b/").results[0].id == engine.search("lighthouse").results[0].id


def test_why_follows_a_link(open_engine: Open, notes: Path) -> None:
    (notes.parent / "link.md").symlink_to(notes / "bread.md")
    engine = open_engine()
    engine.index(notes.parent / "link.md", embed=False)
    assert [row.path for row in engine.why(notes.parent / "link.md")] == [str(notes / "bread.md")]


def test_closing_abandons_the_batch_under_way(open_engine: Open) -> None:
    engine = open_engine()
    engine.add([Record(f"Note {n}: " + "the harbour and its lights at night. " * 20) for n in range(BATCH)])
    engine.start_background()
    while engine.models.tally.cost.texts == 0:
        time.sleep(0.01)
    engine.close()
    stopped = engine.models.tally.cost.texts
    assert 0 < stopped < BATCH / 2, "it ended within the batch, not after it"
    again = open_engine()
    active = again.embeddings.active()
    assert active is not None
    assert again.embeddings.pending_count(active.id) == again.status().chunks > 0
    assert again.embeddings.spent()[0] > 0, "what was encoded in vain was encoded all the same"


def test_a_dry_run_tells_and_changes_nothing(open_engine: Open, notes: Path) -> None:
    engine = open_engine()
    assert engine.index(notes, dry_run=True).files.new == 3
    assert engine.status().documents == 0
    engine.index(notes)
    (notes / "tax.txt").unlink()
    assert engine.index(notes, dry_run=True).files.removed == 1
    assert engine.status().documents == 3


def test_a_moved_file_is_neither_read_nor_embedded_again(open_engine: Open, notes: Path) -> None:
    engine = open_engine()
    engine.index(notes)
    before = engine.corpus.document_ids()
    os.rename(notes / "bread.md", notes / "loaf.md")
    outcome = engine.index(notes)
    assert (outcome.files.new, outcome.files.removed, outcome.documents) == (1, 1, 0)
    assert engine.corpus.document_ids() == before
    assert paths_for(engine, "sourdough") == ["loaf.md"]
    assert engine.embed_pending() == 0


def vectors_of(engine: Engine) -> dict[str, bytes]:
    """The one vector of each document, by the name of its file."""
    found = {}
    for row in engine.corpus.documents(engine.corpus.document_ids()).values():
        ids = [chunk for chunk, _ in engine.corpus.chunk_ids([row.id])]
        (vector,) = engine.embeddings.vectors_of(1, ids)[1]
        found[Path(row.path or "").name] = vector.tobytes()
    return found


def test_a_file_without_a_title_is_embedded_under_its_own_name(open_engine: Open, tmp_path: Path) -> None:
    """Two logs share a passage and nothing else: neither has the other's vector, or what is left of it."""
    logs = tmp_path / "logs"
    logs.mkdir()
    shared = "2026-03-01 12:00:00 ERROR pump 7 stopped: pressure lost.\n"
    for name in ("harbour.log", "kitchen.log"):
        (logs / name).write_text(shared + "\n" * (name == "kitchen.log"))
    engine = open_engine()
    engine.index(logs)
    encoder = engine.models.encoder()
    made = vectors_of(engine)
    for name in ("harbour.log", "kitchen.log"):
        wanted = quantize.rounded(encoder.encode_documents([f"{name}\n{shared.strip()}"]))[0]
        np.testing.assert_allclose(np.frombuffer(made[name], np.float32), wanted, atol=2e-3)
    assert made["harbour.log"] != made["kitchen.log"]
    engine.purge([str(logs / "harbour.log")])
    assert engine.db.one("SELECT count(*) FROM vectors") == 1
    assert vectors_of(engine) == {"kitchen.log": made["kitchen.log"]}
    assert engine.check().ok


def test_a_moved_file_that_is_called_by_its_name_is_called_anew(open_engine: Open, notes: Path) -> None:
    (notes / "own.md").write_text("# own.md\n\nIts title is its own, whatever the file is called.\n")
    engine = open_engine()
    engine.index(notes)
    before = vectors_of(engine)
    spent = engine.models.tally.cost.texts
    for old, new in (("tax.txt", "duties.txt"), ("bread.md", "loaf.md"), ("own.md", "mine.md")):
        os.rename(notes / old, notes / new)
    outcome = engine.index(notes)
    assert (outcome.files.new, outcome.files.removed, outcome.documents) == (3, 3, 0)
    assert engine.models.tally.cost.texts == spent + 1, "only what holds the new name"
    after = vectors_of(engine)
    assert after["duties.txt"] != before["tax.txt"]
    assert (after["loaf.md"], after["mine.md"]) == (before["bread.md"], before["own.md"])
    titles = {Path(hit.path or "").name: hit.title for hit in engine.search("the", mode="semantic")}
    assert titles["duties.txt"] == "duties.txt"
    assert (titles["loaf.md"], titles["mine.md"]) == ("Bread", "own.md")
    assert paths_for(engine, "duties") == ["duties.txt"]
    assert paths_for(engine, "title:tax.txt") == []
    (notes / "elsewhere").mkdir()
    spent = engine.models.tally.cost.texts
    os.rename(notes / "duties.txt", notes / "elsewhere" / "duties.txt")
    engine.index(notes)
    assert engine.models.tally.cost.texts == spent, "its name is what it was"
    assert engine.check().ok
    assert vectors_of(open_engine()) == after


def test_a_copy_takes_its_own_name_when_the_first_one_goes(open_engine: Open, notes: Path) -> None:
    engine = open_engine()
    engine.index(notes)
    shutil.copy(notes / "tax.txt", notes / "copy.txt")
    engine.index(notes)
    assert vectors_of(engine).keys() == {"bread.md", "tyres.md", "tax.txt"}
    (notes / "tax.txt").unlink()
    engine.index(notes)
    (hit,) = engine.search("declaration", mode="lexical")
    assert (hit.title, Path(hit.path or "").name) == ("copy.txt", "copy.txt")
    text = "copy.txt\nThe declaration is due at the end of July."
    wanted = quantize.rounded(engine.models.encoder().encode_documents([text]))[0]
    np.testing.assert_allclose(np.frombuffer(vectors_of(engine)["copy.txt"], np.float32), wanted, atol=2e-3)
    assert engine.check().ok


def test_identical_files_are_one_document_with_several_paths(open_engine: Open, notes: Path) -> None:
    engine = open_engine()
    shutil.copy(notes / "bread.md", notes / "copy of bread.md")
    engine.index(notes)
    assert engine.status().documents == 3
    assert len(paths_for(engine, "sourdough")) == 1
    first = paths_for(engine, "sourdough")[0]
    (notes / first).unlink()
    engine.index(notes)
    left = {"bread.md", "copy of bread.md"} - {first}
    assert set(paths_for(engine, "sourdough")) == left


def test_a_copy_survives_when_the_file_its_document_is_named_after_changes(
    open_engine: Open, notes: Path
) -> None:
    engine = open_engine()
    shutil.copy(notes / "bread.md", notes / "copy.md")
    engine.index(notes)
    for name in ("bread.md", "copy.md"):
        (notes / name).write_text(f"# {name}\n\nNew words about {name.split('.')[0]} altogether.\n")
        engine.index(notes)
        other = "copy.md" if name == "bread.md" else "bread.md"
        if name == "bread.md":
            assert paths_for(engine, "sourdough") == [other]
    assert paths_for(engine, "sourdough") == []
    assert engine.status().documents == 4


def test_a_missing_root_deletes_nothing(open_engine: Open, notes: Path) -> None:
    engine = open_engine()
    engine.index(notes)
    shutil.rmtree(notes)
    with pytest.raises(RootUnreadable):
        engine.index(notes)
    assert paths_for(engine, "sourdough") == ["bread.md"]
    notes.mkdir()
    with pytest.raises(RootUnreadable, match="empty"):
        engine.index(notes)
    assert engine.status().documents == 3


def test_one_bad_root_does_not_stop_the_others(open_engine: Open, notes: Path, tmp_path: Path) -> None:
    outcome = open_engine().index([tmp_path / "nowhere", notes])
    assert outcome.files.new == 3
    assert len(outcome.notes) == 1
    assert "nowhere" in outcome.notes[0]


def test_an_interrupted_run_keeps_what_it_did_and_the_next_goes_on(open_engine: Open, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(450):
        (folder / f"{number:03}.txt").write_text(f"This is note number {number} about item{number}.\n")
    engine = open_engine()
    done: list[int] = []

    def watch(step: Progress) -> None:
        if step.stage == "read":
            done.append(step.done)

    outcome = engine.index(folder, embed=False, report=watch, cancelled=lambda: bool(done))
    assert outcome.cancelled
    kept = engine.status().documents
    assert 0 < kept < 450
    engine = open_engine()
    second = engine.index(folder, embed=False)
    assert second.files.unchanged == kept
    assert second.files.new == 450 - kept
    assert engine.status().documents == 450


def test_a_batch_that_cannot_be_stored_ends_the_run_and_those_before_it_are_kept(
    open_engine: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(indexer, "_BATCH_FILES", 5)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:02}.txt").write_text(f"A page about the number{number}.")
    done: list[int] = []

    def fail_after_the_first(progress: Progress) -> None:
        if progress.stage == "read":
            done.append(progress.done)
            engine.db.stop("the disk is gone")

    with open_engine() as engine:
        with pytest.raises(StorageError, match="Writing stopped after a disk error: the disk is gone"):
            engine.index(folder, embed=False, report=fail_after_the_first)
        assert done == [5]
        assert caplog.messages == []
        assert engine.corpus.document_count() == 5
    with open_engine() as engine:
        assert engine.index(folder, embed=False).files.new == 55
        assert engine.search("number59", mode="lexical").total == 1


def test_a_failed_update_keeps_the_last_good_content(open_engine: Open, tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    from docx import Document

    document = Document()
    document.add_paragraph("The lighthouse keeper polishes the lens.")
    document.save(str(folder / "story.docx"))
    engine = open_engine()
    engine.index(folder)
    assert paths_for(engine, "lighthouse") == ["story.docx"]
    whole = (folder / "story.docx").read_bytes()
    (folder / "story.docx").write_bytes(whole[: len(whole) // 3])
    outcome = engine.index(folder)
    assert outcome.files.failed == 1
    assert paths_for(engine, "lighthouse") == ["story.docx"]
    row = engine.why(folder / "story.docx")[0]
    assert (row.state, row.tries) == ("failed", 1)
    assert row.content_hash is not None
    assert row.reason
    assert engine.index(folder).files.failed == 1, "it is not read again while it stays the same"
    (folder / "story.docx").write_bytes(whole)
    assert engine.index(folder).files.failed == 0


def test_collections_are_apart_and_share_vectors(open_engine: Open, notes: Path) -> None:
    engine = open_engine()
    engine.index(notes, collection="one")
    engine.index(notes, collection="two")
    assert engine.status().collections == ("one", "two")
    assert engine.db.one("SELECT count(*) FROM vectors") == 3
    answer = engine.search("sourdough", collection="two")
    assert {hit.collection for hit in answer} == {"two"}


def test_a_second_writer_is_told_who_holds_the_index(open_engine: Open, tmp_path: Path) -> None:
    engine = open_engine()
    with pytest.raises(LockedError) as caught:
        Engine.open(settings=engine.settings)
    assert caught.value.data["pid"] == os.getpid()
    assert caught.value.exit_code == 3


def test_a_reader_beside_a_writer_sees_what_is_committed(open_engine: Open, notes: Path) -> None:
    engine = open_engine()
    engine.index(notes)
    with Engine.open(settings=engine.settings, read_only=True) as reader:
        assert paths_for(reader, "sourdough") == ["bread.md"]
        (notes / "bees.txt").write_text("A hive winters on twenty kilograms of honey.\n")
        engine.index(notes)
        assert paths_for(reader, "honey") == ["bees.txt"]


def test_derived_indexes_come_back_from_sqlite_alone(open_engine: Open, notes: Path) -> None:
    engine = open_engine()
    engine.index(notes)
    home = engine.settings.home
    before = {
        mode: paths_for(engine, "morning feeding of yeast", mode)
        for mode in ("lexical", "semantic", "hybrid")
    }
    engine.close()
    shutil.rmtree(home / "lexical")
    shutil.rmtree(home / "vectors")
    engine = open_engine()
    after = {
        mode: paths_for(engine, "morning feeding of yeast", mode)
        for mode in ("lexical", "semantic", "hybrid")
    }
    assert after == before
    assert engine.embed_pending() == 0, "nothing is embedded twice"
