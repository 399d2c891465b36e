"""Whatever a path below a folder is made of, no link leads out of it and nothing but a regular file is opened."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from localsearch.platform.beneath import open_beneath, open_folder, open_true, true_path


@pytest.fixture(params=[True, False], ids=["openat2", "part by part"])
def by_call(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A root with files, beside a private folder that links in the root lead to."""
    root, private = tmp_path / "root", tmp_path / "private"
    (root / "a" / "b").mkdir(parents=True)
    private.mkdir()
    (private / "secret.txt").write_text("secret")
    (root / "plain.txt").write_text("plain")
    (root / "a" / "b" / "deep.txt").write_text("deep")
    (root / "file-link").symlink_to(private / "secret.txt")
    (root / "near-link").symlink_to("plain.txt")
    (root / "folder-link").symlink_to(private)
    (root / "a" / "up").symlink_to("..")
    (root / "proc-link").symlink_to("/proc/self/root")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.getcwd()
        os.chdir(root)  # the address of a socket is short
        bound.bind("socket")
        os.chdir(here)
        descriptor = open_folder(root)
        yield root, descriptor
        os.close(descriptor)


def contents(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("path", "text"), [(b"plain.txt", b"plain"), (b"a/b/deep.txt", b"deep"), (b"a//b/./deep.txt", b"deep")]
)
def test_files_below_are_opened(tree: tuple[Path, int], by_call: bool, path: bytes, text: bytes) -> None:
    assert contents(open_beneath(tree[1], path, by_call=by_call)) == text


@pytest.mark.parametrize(
    "path",
    [
        b"", b".", b"a", b"..", b"../private/secret.txt", b"a/../../private/secret.txt", b"/etc/passwd",
        b"file-link", b"near-link", b"folder-link/secret.txt", b"a/up/plain.txt", b"a/up/../private/secret.txt",
        b"proc-link/etc/passwd", b"pipe", b"socket", b"missing", b"plain.txt/x",
    ],
)  # fmt: skip
def test_all_else_is_refused(tree: tuple[Path, int], by_call: bool, path: bytes) -> None:
    with pytest.raises(OSError):
        contents(open_beneath(tree[1], path, by_call=by_call))


def test_the_folder_is_the_one_that_was_opened(tree: tuple[Path, int], by_call: bool) -> None:
    root, descriptor = tree
    moved = root.with_name("moved")
    root.rename(moved)
    root.symlink_to(root.with_name("private"))
    assert true_path(descriptor) == os.fsencode(moved)
    with pytest.raises(FileNotFoundError):
        contents(open_beneath(descriptor, b"secret.txt", by_call=by_call))
    with pytest.raises(OSError):
        contents(open_true(os.fsencode(root / "secret.txt")))
    assert contents(open_true(os.fsencode(moved / "plain.txt"))) == b"plain"


def test_swapping_as_fast_as_one_can_never_opens_the_private_file(
    tree: tuple[Path, int], by_call: bool
) -> None:
    root, descriptor = tree
    stop = threading.Event()
    (root / "swap").mkdir()
    (root / "swap" / "secret.txt").write_text("harmless")

    def swap() -> None:
        while not stop.is_set():
            os.rename(root / "swap", root / "aside")
            os.symlink(root.with_name("private"), root / "swap")
            os.unlink(root / "swap")
            os.rename(root / "aside", root / "swap")

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                seen.add(contents(open_beneath(descriptor, b"swap/secret.txt", by_call=by_call)))
            except OSError:
                continue
    finally:
        stop.set()
        swapping.join()
    assert seen <= {b"harmless"}
