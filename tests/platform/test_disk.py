"""Durable files, the errors of a disk, and sizes."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from localsearch.errors import DiskFullError, ReadOnlyError, StorageError
from localsearch.platform import disk


def refusal(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_and_a_used_up_quota_are_told_in_the_same_words(tmp_path: Path, code: int) -> None:
    with pytest.raises(DiskFullError) as writing, disk.write_errors(tmp_path):
        raise refusal(code)
    opening = disk.open_error(tmp_path, refusal(code))
    assert writing.value.message == opening.message == f"the disk is full while writing to {tmp_path}"
    assert writing.value.hint == opening.hint == "Free some space and run it again; it goes on."
    assert isinstance(opening, DiskFullError)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_that_cannot_be_opened_for_writing_is_read_only(tmp_path: Path, code: int) -> None:
    error = disk.open_error(tmp_path, refusal(code))
    assert isinstance(error, ReadOnlyError)
    assert error.message == f"{tmp_path} cannot be written."


def test_another_refusal_is_told_with_the_words_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as writing, disk.write_errors(tmp_path):
        raise refusal(errno.EIO)
    assert type(writing.value) is StorageError
    assert writing.value.message == f"cannot write to {tmp_path}: Input/output error"
    opening = disk.open_error(tmp_path, OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a.lock"))
    assert opening.message == "a.lock cannot be opened: Too many open files."


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    disk.write_file(file, b"one")
    disk.write_file(file, b"two")
    assert file.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [file]


def test_a_failed_replacement_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "state.json"
    disk.write_file(file, b"one")

    def failing(_: int) -> None:
        raise refusal(errno.EIO)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output error"):
        disk.write_file(file, b"two")
    assert file.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [file]


def test_content_is_synced_before_the_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order that fsync(2) asks for: data, name, folder."""
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def syncing(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def replacing(self: Path, target: Path) -> Path:
        steps.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "replace", replacing)
    disk.write_file(tmp_path / "state.json", b"one")
    assert steps == ["file", "name", "folder"]


def test_a_private_file_is_its_owners_alone(tmp_path: Path) -> None:
    with disk.open_private(tmp_path / "a") as file:
        file.write(b"secret")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_folders_bytes_are_those_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "models" / "deep").mkdir(parents=True)
    (tmp_path / "models" / "deep" / "weights").write_bytes(b"x" * 500)
    (tmp_path / "index.db").write_bytes(b"x" * 20)
    assert disk.folder_bytes(tmp_path) == 520
    assert disk.folder_bytes(tmp_path, without="models") == 20
    assert disk.folder_bytes(tmp_path / "none") == 0


def test_free_space_is_what_the_system_says(tmp_path: Path) -> None:
    usage = os.statvfs(tmp_path)
    assert 0 <= disk.free_bytes(tmp_path) <= usage.f_blocks * usage.f_frsize
    assert 0 <= disk.free_share(tmp_path) <= 1


def test_a_file_that_goes_while_sizes_are_added_counts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word index that is merged drops its old segments at any moment; /stats answered 500 then."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"x" * 10)
    stat = os.stat

    def late(path: object, *rest: object, **more: object) -> os.stat_result:
        if str(path).endswith("/b"):
            (tmp_path / "b").unlink(missing_ok=True)
        return stat(path, *rest, **more)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(os, "stat", late)
    assert disk.folder_bytes(tmp_path) == 20


def test_the_name_of_a_dropped_folder_is_free_although_it_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.rmtree

    def outrun(folder: Path, **options: bool) -> None:
        real(folder, **options)
        folder.mkdir()
        (folder / "meta.lock").touch()  # by another thread, when all else is gone

    folder = tmp_path / "lexical"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", outrun)
        disk.drop(folder)
    assert not folder.exists()
    disk.drop(folder)
    assert list(tmp_path.iterdir()) == []
