"""Every file below a root is found by its name: as it is called now, by each of its copies, though it cannot be read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from serving import ONE_READER

from benchmarks.words import check
from localsearch import Engine
from localsearch.errors import NotFoundError
from localsearch.indexing import IndexReport
from localsearch.settings import load
from localsearch.types import Scope


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    settings = load(tmp_path / "home", environ={})
    settings = replace(settings, extract=replace(ONE_READER, max_file_mb=1))
    with Engine.open(settings=settings) as opened:
        yield opened


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


def index(engine: Engine, docs: Path) -> IndexReport:
    outcome = engine.index(docs, embed=False)
    assert engine.check().ok
    return outcome


def found(engine: Engine, query: str) -> list[str]:
    return sorted(Path(hit.path or "").name for hit in engine.search(query, mode="lexical", limit=50).results)


def fill(docs: Path) -> None:
    """One file of each kind whose content is not read."""
    (docs / "HolidayBeach_2019.JPG").write_bytes(b"\xff\xd8\xff\xe0" + b"\0" * 100)
    (docs / "2026-04-15_film_myclient.mkv").write_bytes(b"\x1aE\xdf\xa3" + b"\0" * 100)
    (docs / "installerProgram.exe").write_bytes(b"MZ" + b"\0" * 100)
    (docs / "big-archive.zip").write_bytes(b"PK\x03\x04" + b"\0" * 1_100_000)
    (docs / "nothing_inside.txt").write_bytes(b"")
    (docs / "zerrissen.pdf").write_bytes(b"%PDF-1.4\ntorn")
    (docs / "Übersicht Häuser.bin").write_bytes(b"\0\1\2\3" * 50)


NAMES = {
    "HolidayBeach_2019.JPG": ("beach", "holiday", "holidaybeach", "HolidayBeach_2019.JPG", "2019", "jpg"),
    "2026-04-15_film_myclient.mkv": ("film", "myclient", "MYCLIENT", '"film myclient"'),
    "installerProgram.exe": ("installer", "program", "installerprogram"),
    "big-archive.zip": ("archive", "big-archive"),
    "nothing_inside.txt": ("inside",),
    "zerrissen.pdf": ("zerrissen",),
    "Übersicht Häuser.bin": ("ubersicht", "Häuser", "hauser"),
}


def test_what_is_not_read_is_found_by_its_name_with_the_reason(engine: Engine, docs: Path) -> None:
    fill(docs)
    assert index(engine, docs).documents == 0
    for name, queries in NAMES.items():
        for query in queries:
            assert found(engine, query) == [name], query
    (hit,) = engine.search("beach", mode="lexical").results
    assert (hit.metadata["type"], hit.metadata["size"], hit.text) == ("image", 104, "")
    assert hit.metadata["modified"]
    assert hit.metadata["left_out"] in hit.snippet
    assert "limit" in engine.search("archive", mode="lexical").results[0].metadata["left_out"]
    status = engine.status()
    assert (status.documents, status.chunks, status.names, status.semantic_coverage) == (0, 0, 7, 1.0)
    answer = engine.search("type:image", facets=True)
    assert (answer.total, answer.facets and answer.facets["type"]) == (1, {"image": 1})
    names = {
        row.id: Path(row.key).name for row in engine.corpus.documents(engine.corpus.document_ids()).values()
    }
    counts = check(engine, names)
    assert (counts.documents, counts.failures, counts.examples) == (7, 0, ())


def test_a_name_weighs_less_than_a_text(engine: Engine, docs: Path) -> None:
    (docs / "walrus.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"\0" * 100)
    (docs / "note.txt").write_text("A walrus was seen near the pier this morning by the harbour master.")
    index(engine, docs)
    hits = engine.search("walrus", mode="lexical").results
    assert [Path(hit.path or "").name for hit in hits] == ["note.txt", "walrus.jpg"]


def test_what_is_excluded_or_secret_has_no_name(engine: Engine, docs: Path) -> None:
    (docs / ".gitignore").write_text("ignored.*\n")
    (docs / "ignored.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\0")
    (docs / ".concealed.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\0")
    (docs / "id_ed25519").write_text("x")
    (docs / "vault.kdbx").write_bytes(b"\x03\xd9\xa2\x9a" + b"\0" * 100)
    (docs / "innocent.txt").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    (docs / "link.jpg").symlink_to("/etc/hostname")
    index(engine, docs)
    for query in ("ignored", "concealed", "id_ed25519", "vault", "innocent", "link", "docs"):
        assert found(engine, query) == [], query


def test_a_name_goes_with_its_file_and_when_it_is_read_or_becomes_secret(engine: Engine, docs: Path) -> None:
    file = docs / "walrus.dat"
    file.write_bytes(b"\0\1\2\3" * 50)
    index(engine, docs)
    assert found(engine, "walrus") == ["walrus.dat"]
    file.write_text("plain words about tusks")
    index(engine, docs)
    (hit,) = engine.search("tusks walrus", mode="lexical").results
    assert "left_out" not in hit.metadata
    file.write_bytes(b"\0\1\2\3" * 60)
    index(engine, docs)
    assert (found(engine, "tusks"), found(engine, "walrus")) == ([], ["walrus.dat"])
    file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    index(engine, docs)
    assert found(engine, "walrus") == []
    file.write_bytes(b"\0\1\2\3" * 50)
    index(engine, docs)
    file.unlink()
    (docs / "other.txt").write_text("something else")
    index(engine, docs)
    assert found(engine, "walrus") == []


def test_what_an_earlier_release_left_out_gets_its_name(engine: Engine, docs: Path) -> None:
    fill(docs)
    index(engine, docs)
    engine.corpus.unname("default", [str(docs / name) for name in NAMES])
    engine.derived.catch_up()
    assert found(engine, "beach") == []
    index(engine, docs)
    for name, queries in NAMES.items():
        assert found(engine, queries[0]) == [name]


def test_names_are_exported_and_imported_as_such(engine: Engine, docs: Path, tmp_path: Path) -> None:
    fill(docs)
    index(engine, docs)
    assert engine.export(tmp_path / "all.jsonl") == 7
    with Engine.open(tmp_path / "second") as second:
        assert second.import_file(tmp_path / "all.jsonl").refused == 0
        assert second.status().names == 7
        assert found(second, "beach") == ["HolidayBeach_2019.JPG"]
        assert second.check().ok


def test_a_renamed_file_has_its_new_name_title_and_type(engine: Engine, docs: Path) -> None:
    (docs / "draft_proposal.txt").write_text("The quokka budget is attached.\n")
    (docs / "table.txt").write_text("name,town\nAnna,Bonn\nBen,Kiel\n")
    index(engine, docs)
    (docs / "draft_proposal.txt").rename(docs / "final_contract.txt")
    (docs / "table.txt").rename(docs / "table.csv")
    index(engine, docs)
    (hit,) = engine.search("quokka", mode="lexical").results
    assert (hit.title, Path(hit.id).name) == ("final_contract.txt", "final_contract.txt")
    assert (found(engine, "draft"), found(engine, "contract")) == ([], ["final_contract.txt"])
    assert (found(engine, "Anna type:csv"), found(engine, "Anna type:text")) == (["table.csv"], [])
    files = index(engine, docs).files
    assert (files.unchanged, files.changed, files.new) == (2, 0, 0)


def test_a_copy_of_another_ending_leaves_the_type(engine: Engine, docs: Path) -> None:
    (docs / "table.txt").write_text("name,town\nAnna,Bonn\n")
    index(engine, docs)
    (docs / "table.csv").write_text("name,town\nAnna,Bonn\n")
    index(engine, docs)
    assert len(engine.search("Anna type:text", mode="lexical").results) == 1
    (docs / "table.txt").unlink()
    index(engine, docs)
    assert found(engine, "Anna type:csv") == ["table.csv"]


def test_each_copy_is_found_by_its_name(engine: Engine, docs: Path) -> None:
    for name in ("license_alpha.txt", "contract_beta.txt", "gamma.txt"):
        (docs / name).write_text("Permission is granted to every numbat.\n")
        index(engine, docs)
    for name, query in (
        ("license_alpha.txt", "alpha"),
        ("contract_beta.txt", "beta"),
        ("gamma.txt", "gamma"),
    ):
        (hit,) = engine.search(query, mode="lexical").results
        assert (Path(hit.path or "").name, hit.title) == (name, name)
    (docs / "contract_beta.txt").unlink()
    index(engine, docs)
    assert (found(engine, "beta"), found(engine, "gamma")) == ([], ["gamma.txt"])


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


@pytest.mark.parametrize("within", ["", "folder"])
def test_files_that_exchange_their_names_are_noticed(engine: Engine, docs: Path, within: str) -> None:
    north, south = (docs / name / within / "pole.txt" for name in ("north", "south"))
    for file, text in ((north, "it is dugong cold\n"), (south, "it is kelpie cold\n")):
        file.parent.mkdir(parents=True)
        file.write_text(text)
        os.utime(file, (1_000_000_000, 1_000_000_000))
    index(engine, docs)
    swap(docs / "north", docs / "south") if within else swap(north, south)
    index(engine, docs)
    for word, file in (("dugong", south), ("kelpie", north)):
        assert [hit.path for hit in engine.search(word, mode="lexical").results] == [str(file)]
    assert engine.status().documents == 2


def test_a_watched_file_is_called_by_its_new_name(engine: Engine, docs: Path) -> None:
    (docs / "table.txt").write_text("name,town\nAnna,Bonn\n")
    (docs / "old.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\0")
    index(engine, docs)
    told: list[IndexReport] = []
    watcher = engine.watch(told=told.append)
    try:
        until(lambda: bool(told))
        (docs / "table.txt").rename(docs / "table.csv")
        (docs / "old.jpg").rename(docs / "fresh.jpg")
        until(
            lambda: (
                found(engine, "Anna type:csv") == ["table.csv"] and found(engine, "fresh") == ["fresh.jpg"]
            )
        )
        until(lambda: found(engine, "old") == [])
    finally:
        watcher.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_reading_what_is_known_by_its_name_says_why(engine: Engine, docs: Path) -> None:
    (docs / "seen").mkdir()
    (docs / "seen" / "installerProgram.exe").write_bytes(b"MZ" + b"\0" * 100)
    (docs / "secretProgram.exe").write_bytes(b"MZ" + b"\1" * 100)
    index(engine, docs)
    document = engine.read("seen/installerProgram.exe")
    (hit,) = engine.search("installer", mode="lexical").results
    assert document.text == ""
    assert document.left_out
    assert document.left_out == hit.metadata["left_out"]
    sight = Scope(paths=(str(docs / "seen"),))
    assert [one.title for one in engine.search("program", mode="lexical", within=sight)] == [
        "installerProgram.exe"
    ]
    with pytest.raises(NotFoundError):
        engine.read("secretProgram.exe", within=sight)
