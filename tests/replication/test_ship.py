"""Shipping: one state under a short lock, only what changed, published whole, and never an older one."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from pathlib import Path

import msgspec
import pytest
from replicas import add, hits, hits_of, open_index, settings_at, shipped, take

from localsearch.errors import ConflictError, DamagedError, LockedError, UsageError
from localsearch.replication.identity import State, make_identity, read_identity
from localsearch.replication.manifest import MANIFEST, decode, encode, part_path
from localsearch.replication.ship import _sole, check_target, read_published, ship
from localsearch.store import Database
from localsearch.upkeep.backup import restore


def parts_in(target: Path) -> set[str]:
    return {path.name for path in (target / "files").glob("*/*")}


def test_a_snapshot_answers_as_the_index_does(tmp_path: Path) -> None:
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 120)
        engine.delete("n7")
        done = shipped(engine, tmp_path / "to")
        present, fetched = take(tmp_path / "reader", tmp_path / "to")
        assert hits_of(present) == hits(engine)
        assert present.manifest.documents == 119
        assert (done.state, done.changed) == (str(present.manifest.state), True)
        assert fetched == done.copied == sum(part.bytes for part in present.manifest.parts.values())
        assert present.manifest.n == engine.db.number == 2
        assert done.locked_s < 5


def test_only_what_changed_is_copied_and_fetched(tmp_path: Path) -> None:
    with open_index(tmp_path / "home") as engine:
        for start in range(0, 3000, 500):
            add(engine, start, 500)
        first = shipped(engine, tmp_path / "to")
        _, all_of_it = take(tmp_path / "reader", tmp_path / "to")
        add(engine, 3000, 1)
        second = shipped(engine, tmp_path / "to")
        present, fetched = take(tmp_path / "reader", tmp_path / "to")
        assert 0 < second.copied < first.copied * 0.7
        assert fetched == second.copied < all_of_it
        third = shipped(engine, tmp_path / "to")
        assert (third.copied, third.changed) == (0, False)
        assert hits_of(present, "word3000") == hits(engine, "word3000") != []


def test_parts_that_nobody_needs_are_removed_one_snapshot_later(tmp_path: Path) -> None:
    target = tmp_path / "to"
    with open_index(tmp_path / "home") as engine:
        manifests = []
        for number in range(4):
            add(engine, number * 10, 10)
            shipped(engine, target)
            manifests.append(read_published(target))
            kept = [manifest for manifest in manifests[-2:] if manifest]
            assert parts_in(target) == set().union(*(manifest.parts for manifest in kept))
        assert manifests[0]
        assert not set(manifests[0].parts) <= parts_in(target)


def test_a_snapshot_is_one_state_while_another_process_writes(tmp_path: Path) -> None:
    """Taken beside the writer, by a database of its own: words and documents are of the same commit each time."""
    settings = settings_at(tmp_path / "home")
    stop = threading.Event()
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 5)

        def write() -> None:
            number = 5
            while not stop.is_set():
                add(engine, number, 3)
                number += 3

        writing = threading.Thread(target=write)
        writing.start()
        try:
            seen = set()
            for _ in range(8):
                own = Database.open(settings.home, read_only=True)
                ship(settings, own, tmp_path / "to")
                own.close()
                present, _ = take(tmp_path / "reader", tmp_path / "to")
                n, documents = present.manifest.n, present.manifest.documents
                assert documents == 5 + 3 * (n - 1)
                last = f"word{documents - 1}"
                assert [id for id, _ in hits_of(present, last)] == [f"n{documents - 1}"]
                assert hits_of(present, f"word{documents}") == []
                seen.add(n)
        finally:
            stop.set()
            writing.join()
    assert len(seen) > 3


def test_the_number_of_the_state_grows_with_each_change_and_outlives_the_process(tmp_path: Path) -> None:
    with open_index(tmp_path / "home") as engine:
        assert engine.db.number == 0
        add(engine, 0, 3)
        engine.feedback("kiln", "n1", True)
        assert engine.db.number == 2
        with engine.db.write():
            pass
        assert engine.db.number == 2, "nothing changed"
        with pytest.raises(sqlite3.IntegrityError), engine.db.write() as connection:
            connection.execute("UPDATE documents SET size = 1")
            connection.execute("INSERT INTO documents (id) VALUES (1)")
        assert engine.db.stored_number() == 2
    with open_index(tmp_path / "home") as engine:
        assert engine.db.number == 2
        reader = Database.open(tmp_path / "home", read_only=True)
        add(engine, 3, 1)
        assert (reader.hear(), engine.db.number) == (3, 3)
        reader.close()


def test_an_older_state_another_index_and_a_former_primary_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "to"
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 3)
        make_identity(tmp_path / "home")
    shutil.copytree(tmp_path / "home", tmp_path / "older")
    with open_index(tmp_path / "home") as engine:
        add(engine, 3, 3)
        shipped(engine, target)
        before = (target / MANIFEST).read_bytes()
    with open_index(tmp_path / "older") as engine, pytest.raises(ConflictError, match="went back"):
        shipped(engine, target)
    with open_index(tmp_path / "other") as engine, pytest.raises(ConflictError, match="another index"):
        shipped(engine, target)
    manifest = read_published(target)
    assert manifest
    (target / MANIFEST).write_bytes(encode(msgspec.structs.replace(manifest, epoch=2)))
    with open_index(tmp_path / "home") as engine:
        add(engine, 6, 3)
        with pytest.raises(ConflictError, match="another primary since epoch 2"):
            shipped(engine, target)
    (target / MANIFEST).write_bytes(before)
    with open_index(tmp_path / "home") as engine:
        assert shipped(engine, target).changed


def test_what_is_restored_from_a_backup_is_another_index(tmp_path: Path) -> None:
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 3)
        was = make_identity(tmp_path / "home")
        engine.backup(tmp_path / "kept")
    (tmp_path / "home" / "index.db").unlink()
    restore(tmp_path / "kept", tmp_path / "home")
    assert read_identity(tmp_path / "home") is None
    assert make_identity(tmp_path / "home").id != was.id
    assert make_identity(tmp_path / "home") == read_identity(tmp_path / "home")


def test_one_ships_to_a_folder_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 3)
        with _sole(tmp_path / "to"), pytest.raises(LockedError):
            shipped(engine, tmp_path / "to")
        assert shipped(engine, tmp_path / "to").changed


def test_damage_in_the_folder_is_found_and_mended_by_verify(tmp_path: Path) -> None:
    target = tmp_path / "to"
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 30)
        shipped(engine, target)
        manifest = read_published(target)
        assert manifest
        for sha256, part in manifest.parts.items():
            path = target / part_path(sha256)
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
            with pytest.raises(DamagedError, match="is damaged"):
                take(tmp_path / f"reader-{part.sha256[:8]}", target)
            assert shipped(engine, target).copied == 0
            assert shipped(engine, target, verify=True).copied == part.bytes
        present, _ = take(tmp_path / "reader", target)
        assert hits_of(present) == hits(engine)


def test_a_manifest_is_held_against_its_checksum(tmp_path: Path) -> None:
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 3)
        shipped(engine, tmp_path / "to")
    data = (tmp_path / "to" / MANIFEST).read_bytes()
    assert encode(decode(data, "here")) == data
    for at in range(0, len(data), 37):
        broken = bytearray(data)
        broken[at] ^= 1
        with pytest.raises(DamagedError):
            found = decode(bytes(broken), "here")
            assert found == decode(data, "here"), "a byte that means nothing"
            raise DamagedError("equal all the same")
    with pytest.raises(DamagedError):
        decode(data[: len(data) // 2], "here")


def test_where_nothing_is_shipped_to(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    (tmp_path / "file").write_text("x")
    for target in (home, home / "inside", tmp_path / "mine", tmp_path / "file"):
        with pytest.raises(UsageError):
            check_target(target, home)
    check_target(tmp_path / "new", home)


def test_states_are_read_as_they_are_written() -> None:
    state = State("00c0ffee00c0ffee", 3, 170)
    assert State.parse(str(state)) == state
    for odd in (
        "",
        "x",
        "00c0ffee00c0ffee.0.1",
        "00c0ffee00c0ffee.1",
        "00C0FFEE00c0ffee.1.1",
        f"{state} ",
        f"{state}9" * 9,
    ):
        assert State.parse(odd) is None
    assert State("a", 2, 1).order > State("a", 1, 9).order


def test_writers_are_kept_waiting_briefly(tmp_path: Path) -> None:
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 10)
        began = time.monotonic()
        assert shipped(engine, tmp_path / "to").locked_s < time.monotonic() - began
