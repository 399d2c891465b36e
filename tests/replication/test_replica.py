"""Taking snapshots: verified before they answer, resumed after a kill, refused when they are older; and promotion."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from replicas import add, hits, hits_of, open_index, settings_at, shipped, take

from localsearch.engine import Engine
from localsearch.errors import ConflictError, DamagedError, NotFoundError, ReadOnlyError
from localsearch.replication.identity import State, read_identity
from localsearch.replication.manifest import FILES, MANIFEST, PREVIOUS, Manifest, Part, encode
from localsearch.replication.replica import Replica, promote
from localsearch.replication.ship import read_published
from localsearch.replication.sources import FolderSource


class Counting(FolderSource):
    """A folder that counts what is read of it, and fails after so many parts."""

    def __init__(self, folder: Path, most: int) -> None:
        super().__init__(folder)
        self.left, self.read_bytes = most, 0

    def read(self, part: Part, offset: int) -> Iterator[bytes]:
        if self.left == 0:
            raise OSError(5, "Input/output error")
        self.left -= 1
        for block in super().read(part, offset):
            self.read_bytes += len(block)
            yield block


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A folder with a snapshot of 200 documents."""
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 200)
        shipped(engine, tmp_path / "to")
    return tmp_path / "to"


def test_what_was_fetched_before_an_end_is_not_fetched_again(tmp_path: Path, target: Path) -> None:
    replica = Replica(tmp_path / "reader")
    replica.make()
    manifest = FolderSource(target).manifest(None)
    total = sum(part.bytes for part in manifest.parts.values())
    read = 0
    for _ in range(100):
        source = Counting(target, 2)
        try:
            taken = replica.take(manifest, replica.intake(source), None)
            break
        except Exception as error:
            assert "Input/output" in str(error)
            read += source.read_bytes
            assert replica.current() is None
    else:
        pytest.fail("it never ended")
    assert read + source.read_bytes == total
    assert hits_of(taken, "word150")[0][0] == "n150"


def test_a_part_that_was_cut_off_is_taken_up_where_it_ended(tmp_path: Path, target: Path) -> None:
    replica = Replica(tmp_path / "reader")
    replica.make()
    manifest = FolderSource(target).manifest(None)
    part = max(manifest.parts.values(), key=lambda part: part.bytes)
    incoming = replica.folder / "incoming"
    incoming.mkdir()
    whole = (target / FILES / part.sha256[:2] / part.sha256).read_bytes()
    (incoming / f"{part.sha256}.partial").write_bytes(whole[: len(whole) // 3])
    source = Counting(target, -1)
    replica.take(manifest, replica.intake(source), None)
    total = sum(part.bytes for part in manifest.parts.values())
    assert source.read_bytes == total - len(whole) // 3


@pytest.mark.parametrize("harm", ["cut", "changed", "gone", "longer"])
def test_damage_leaves_the_former_snapshot(harm: str, tmp_path: Path, target: Path) -> None:
    before, _ = take(tmp_path / "reader", target)
    right = hits_of(before)
    known = set(before.manifest.parts)
    with open_index(tmp_path / "home") as engine:
        add(engine, 200, 50)
        shipped(engine, target)
        after = hits(engine)
    manifest = read_published(target)
    assert manifest
    fresh = [sha256 for sha256 in manifest.parts if sha256 not in known]
    for sha256 in fresh:
        path = target / FILES / sha256[:2] / sha256
        data = path.read_bytes()
        path.unlink()
        if harm != "gone":
            changed = {"cut": data[: len(data) // 2], "changed": b"\0" + data[1:], "longer": data + b"x"}[
                harm
            ]
            path.write_bytes(changed)
        if path.exists() and path.read_bytes() == data:
            continue
        with pytest.raises(DamagedError):
            take(tmp_path / "reader", target)
        current = Replica(tmp_path / "reader").current()
        assert current
        assert hits_of(current) == right
        assert [path.name for path in (tmp_path / "reader" / "replica").glob("[0-9]*")] == [
            current.folder.name
        ]
        path.write_bytes(data)
    present, _ = take(tmp_path / "reader", target)
    assert hits_of(present) == after != right


def republish(target: Path, **changes: object) -> Manifest:
    manifest = read_published(target)
    assert manifest
    changed = msgspec.structs.replace(manifest, **changes)
    (target / MANIFEST).write_bytes(encode(changed))
    return changed


def test_older_states_and_other_indexes_are_not_taken(tmp_path: Path, target: Path) -> None:
    present, _ = take(tmp_path / "reader", target)
    n, epoch = present.manifest.n, present.manifest.epoch
    for changes, words in (
        ({"id": "0" * 16}, "another index"),
        ({"id": present.manifest.id, "n": n - 1}, "went back"),
        ({"n": n + 5, "epoch": epoch + 1}, ""),
        ({"n": n + 9, "epoch": epoch}, "of epoch 1, before epoch 2"),
        ({"n": 0, "epoch": epoch + 2}, ""),
    ):
        republish(target, **changes)
        if words:
            with pytest.raises(ConflictError, match=words):
                take(tmp_path / "reader", target)
        else:
            taken, _ = take(tmp_path / "reader", target)
            assert (taken.manifest.n, taken.manifest.epoch) == (changes["n"], changes["epoch"])


def test_a_manifest_that_leads_out_of_the_folder_is_none(tmp_path: Path, target: Path) -> None:
    manifest = read_published(target)
    assert manifest
    for path in (
        "../index.db",
        "lexical/../../x",
        "/etc/passwd",
        "settings.toml",
        "identity.json",
        "lexical/..",
        "",
    ):
        files = [
            msgspec.structs.replace(file, path=path if n == 1 else file.path)
            for n, file in enumerate(manifest.files)
        ]
        (target / MANIFEST).write_bytes(encode(msgspec.structs.replace(manifest, files=tuple(files))))
        with pytest.raises(DamagedError, match="list of files"):
            take(tmp_path / "reader", target)
    assert not (tmp_path / "reader" / "settings.toml").exists()


def test_a_database_that_is_none_of_ours_is_not_taken(tmp_path: Path) -> None:
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 3)
        with engine.db.write() as connection:
            connection.execute("CREATE TRIGGER odd AFTER INSERT ON documents BEGIN DELETE FROM feedback; END")
        shipped(engine, tmp_path / "to")
    with pytest.raises(DamagedError, match="schema"):
        take(tmp_path / "reader", tmp_path / "to")


def test_promotion_begins_an_epoch_that_the_former_primary_cannot_pass(tmp_path: Path, target: Path) -> None:
    present, _ = take(tmp_path / "reader", target)
    right = hits_of(present)
    with pytest.raises(ReadOnlyError, match="follows a primary"):
        open_index(tmp_path / "reader")
    with Engine.open(settings=settings_at(tmp_path / "reader"), read_only=True) as engine:
        assert hits(engine) == right
        assert engine.status().documents == 200
    done = promote(tmp_path / "reader")
    was = present.manifest.state
    assert State.parse(done.state) == State(was.id, 2, was.n)
    assert not (tmp_path / "reader" / "replica").exists()
    with Engine.open(settings=settings_at(tmp_path / "reader")) as engine:
        assert hits(engine) == right
        assert engine.check().ok
        add(engine, 500, 1)
        assert shipped(engine, target).state == f"{was.id}.2.{was.n + 1}"
    with open_index(tmp_path / "home") as engine:
        add(engine, 600, 20)
        with pytest.raises(ConflictError, match="since epoch 2"):
            shipped(engine, target)
    other, _ = take(tmp_path / "second", target)
    assert [id for id, _ in hits_of(other, "word500")] == ["n500"]
    assert hits_of(other, "word600") == []


def test_promotion_that_was_killed_is_run_again(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    present, _ = take(tmp_path / "reader", target)
    right = hits_of(present)
    real, moves = Path.replace, []

    def replace(self: Path, other: Path) -> Path:
        if self.parent == present.folder:
            moves.append(other)
            if len(moves) in (1, 3):
                raise KeyboardInterrupt
        return real(self, other)

    monkeypatch.setattr(Path, "replace", replace)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            promote(tmp_path / "reader")
    assert promote(tmp_path / "reader").before == 1
    identity = read_identity(tmp_path / "reader")
    assert identity
    assert identity.epoch == 2
    with open_index(tmp_path / "reader") as engine:
        assert hits(engine) == right


def test_promotion_needs_something_to_promote(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        promote(tmp_path / "reader")
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 1)
    with pytest.raises(ConflictError, match="an index of its own"):
        Replica(tmp_path / "home").make()


def test_a_copy_of_the_folder_that_is_not_whole_yet_is_told(tmp_path: Path, target: Path) -> None:
    """As rsync makes it, in the order of names: parts, then the manifest."""
    copy = tmp_path / "copied"
    shutil.copytree(target, copy)
    assert sorted(os.listdir(copy)) == [".ship.lock", FILES, MANIFEST]
    take(tmp_path / "reader", copy)
    with open_index(tmp_path / "home") as engine:
        add(engine, 200, 50)
        shipped(engine, target)
        after = hits(engine)
    shutil.copy(target / MANIFEST, copy / MANIFEST)
    with pytest.raises(DamagedError, match="lacks a part"):
        take(tmp_path / "reader", copy)
    shutil.copytree(target / FILES, copy / FILES, dirs_exist_ok=True)
    present, _ = take(tmp_path / "reader", copy)
    assert hits_of(present) == after
    assert (target / PREVIOUS).exists()
