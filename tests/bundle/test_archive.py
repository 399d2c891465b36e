"""An archive that somebody made: what is changed, missing, added, linked or lies about itself is refused in words."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localsearch.bundle.archive import install_archive, pack, verify
from localsearch.bundle.installer.manifest import InstallError, Pin, identity, read_manifest
from localsearch.bundle.installer.manifest import verify as verify_folder
from localsearch.errors import DamagedError, LocalSearchError, UsageError

PARTS = {
    "install.py": b"print('hello')\n",
    "installer/steps.py": b"pass\n",
    "requirements.txt": b"pip==1\n",
    "wheels/pip-1.0-py3-none-any.whl": b"PK" * 700,
    "models/mini/config.json": b"{}",
}
Parts = dict[str, bytes]
Member = tuple[tarfile.TarInfo, bytes]


def told(parts: Parts, **changes: Any) -> dict[str, Any]:
    """A true manifest of these parts, but for the changes; an id of its own is made where none is given."""
    files = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in parts.items()
    }
    manifest: dict[str, Any] = {
        "format": 1,
        "release": "1.0",
        "platform": "linux-x86_64",
        "python": "3.11",
        "pip": "wheels/pip-1.0-py3-none-any.whl",
        "index": "",
        "models": {"mini": False},
        "files": files,
        **changes,
    }
    pins = {name: Pin(pin["sha256"], pin["bytes"]) for name, pin in manifest["files"].items()}
    return {"id": identity("1.0", pins), **manifest}


def members(parts: Parts, manifest: Any = None) -> list[Member]:
    data = (
        manifest
        if isinstance(manifest, bytes)
        else json.dumps(told(parts) if manifest is None else manifest).encode()
    )
    made = []
    for name, body in {**parts, "manifest.json": data}.items():
        entry = tarfile.TarInfo(f"top/{name}")
        entry.size = len(body)
        made.append((entry, body))
    return made


def written(folder: Path, entries: list[Member], end: bytes = b"") -> Path:
    file = folder / "made.tar"
    with tarfile.open(file, "w") as tar:
        for entry, body in entries:
            tar.addfile(entry, io.BytesIO(body))
    with open(file, "ab") as more:
        more.write(end)
    return file


def special(name: str, kind: bytes, target: str = "") -> Member:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry, b""


def plain(name: str, body: bytes = b"x") -> Member:
    entry = tarfile.TarInfo(name)
    entry.size = len(body)
    return entry, body


def test_a_true_one_is_verified(tmp_path: Path) -> None:
    file = written(tmp_path, members(PARTS))
    assert verify(file).id == identity("1.0", verify(file).files)
    assert set(verify(file).files) == set(PARTS)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    verify(file, digest.upper())
    with pytest.raises(DamagedError, match="another SHA-256"):
        verify(file, digest[:-1] + ("0" if digest[-1] != "0" else "1"))
    with pytest.raises(UsageError, match="no file"):
        verify(tmp_path / "none.tar")


ADDED: dict[str, Member] = {
    "a file": plain("top/more.txt"),
    "a wheel": plain("top/wheels/evil-1.0-py3-none-any.whl"),
    "a file outside of its folder": plain("more.txt"),
    "a file of another folder": plain("other/more.txt"),
    "an absolute path": plain("/etc/more.txt"),
    "an absolute path in its folder": plain("top//etc/more.txt"),
    "a way up": plain("top/../more.txt"),
    "a way up and down": plain("top/wheels/../../more.txt"),
    "the same file again": plain("top/install.py", b"print('evil')\n"),
    "the same file by another name": plain("top/./install.py", b"print('evil')\n"),
    "a second manifest": plain("top/manifest.json", b"{}"),
    "a link": special("top/more", tarfile.SYMTYPE, "/etc/passwd"),
    "a link in place of a folder": special("top/models/mini", tarfile.SYMTYPE, "/etc"),
    "a hard link": special("top/more", tarfile.LNKTYPE, "top/install.py"),
    "a folder": special("top/more", tarfile.DIRTYPE),
    "a pipe": special("top/more", tarfile.FIFOTYPE),
    "a device": special("top/more", tarfile.CHRTYPE),
}


@pytest.mark.parametrize("what", ADDED)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_added_is_refused(tmp_path: Path, what: str, first: bool) -> None:
    there = members(PARTS)
    file = written(tmp_path, [ADDED[what], *there] if first else [*there, ADDED[what]])
    with pytest.raises(DamagedError) as caught:
        verify(file)
    assert caught.value.hint
    with pytest.raises(LocalSearchError):
        install_archive(file, tmp_path / "to", say=lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["made.tar"]


@pytest.mark.parametrize("name", PARTS)
def test_a_changed_and_a_missing_file_are_named(tmp_path: Path, name: str) -> None:
    body = PARTS[name]
    changed = written(tmp_path, members({**PARTS, name: body[:-1] + b"?"}, told(PARTS)))
    with pytest.raises(DamagedError, match=f"{name} is not as it was built"):
        verify(changed)
    shorter = written(tmp_path, members({**PARTS, name: body[:-1]}, told(PARTS)))
    with pytest.raises(DamagedError, match=f"{name} is not as it was built"):
        verify(shorter)
    without = {one: data for one, data in PARTS.items() if one != name}
    with pytest.raises(DamagedError, match=f"{name} is missing"):
        verify(written(tmp_path, members(without, told(PARTS))))


def pins(**changes: Any) -> dict[str, Any]:
    files: dict[str, Any] = told(PARTS)["files"]
    files["install.py"] = {**files["install.py"], **changes}
    return files


MANIFESTS: dict[str, Any] = {
    "another size": told(PARTS, files=pins(bytes=3)),
    "a size below nothing": told(PARTS, files=pins(bytes=-1)),
    "a size that is true": told(PARTS, files=pins(bytes=True)),
    "a size with a fraction": told(PARTS, files=pins(bytes=15.0)),
    "a hash that is none": told(PARTS, files=pins(sha256="A" * 64)),
    "an id that leads elsewhere": told(PARTS, id="../../elsewhere"),
    "an id of other files": told(PARTS, id="1.0-00000000"),
    "an id that is no word": told(PARTS, id=7),
    "a model that leads elsewhere": told(PARTS, models={"../../elsewhere": True}),
    "a pip that is not in it": told(PARTS, pip="wheels/pip-2.0-py3-none-any.whl"),
    "a pip that leads elsewhere": told(PARTS, pip="../pip-1.0.whl"),
    "an index that is not in it": told(PARTS, index="index.backup"),
    "an index that leads elsewhere": told(PARTS, index="../index.backup"),
    "a later format": told(PARTS, format=2),
    "no files": {**told(PARTS), "files": None},
    "no installer": told({name: data for name, data in PARTS.items() if name != "install.py"}),
    "a list": [],
    "no JSON": b"{",
    "nothing": b"",
    "no text": b"\xff\xfe",
    "a deep one": b"[" * 100_000,
    "a long one": b" " * ((1 << 22) + 1),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_lies_is_refused(tmp_path: Path, what: str) -> None:
    with pytest.raises(DamagedError) as caught:
        verify(written(tmp_path, members(PARTS, MANIFESTS[what])))
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../../x", "a//x", "./x", "a/.", "", "a\\x", "a\nx", "a\0x", "x" * 301]
)
def test_a_manifest_names_only_files_of_its_folder(name: str) -> None:
    with pytest.raises(InstallError):
        read_manifest(json.dumps(told({**PARTS, name: b""})).encode())


def test_a_cut_and_a_prolonged_archive_are_refused(tmp_path: Path) -> None:
    whole = written(tmp_path, members(PARTS)).read_bytes()
    cut = tmp_path / "cut.tar"
    for size in (0, 100, 512, 700, 2000, 4000):
        cut.write_bytes(whole[:size])
        with pytest.raises(DamagedError):
            verify(cut)
    for more in (b"x", b"\0" * 70_000, whole):
        with pytest.raises(DamagedError, match="something follows its end"):
            verify(written(tmp_path, members(PARTS), more))


def test_a_header_that_tells_another_size_is_refused(tmp_path: Path) -> None:
    """The member's own size reaches over the next header, or beyond the file."""
    for size in (1, 2000, 1 << 40):
        entries = members(PARTS)
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            for entry, body in entries:
                if entry.name == "top/install.py":
                    entry.size = size
                    tar.fileobj.write(entry.tobuf() + body.ljust(512, b"\0"))  # type: ignore[union-attr]
                else:
                    entry.size = len(body)
                    tar.fileobj.write(entry.tobuf() + body + b"\0" * (-len(body) % 512))  # type: ignore[union-attr]
        (tmp_path / "lies.tar").write_bytes(data.getvalue())
        with pytest.raises(DamagedError):
            verify(tmp_path / "lies.tar")


def test_the_same_content_is_packed_to_the_same_bytes(tmp_path: Path) -> None:
    folder = unpacked(tmp_path)
    first = pack(folder, tmp_path / "a.tar", "top", 1_700_000_000)
    (folder / "install.py").touch()
    (folder / "install.py").chmod(0o755)
    assert pack(folder, tmp_path / "b.tar", "top", 1_700_000_000) == first
    assert set(verify(tmp_path / "a.tar").files) == set(PARTS)
    with pytest.raises(UsageError, match="exists"):
        pack(folder, tmp_path / "a.tar", "top", 1_700_000_000)
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {(one.uid, one.gid, one.uname, one.mode, one.mtime) for one in tar} == {
            (0, 0, "", 0o644, 1_700_000_000)
        }


def unpacked(folder: Path) -> Path:
    for name, data in {**PARTS, "manifest.json": json.dumps(told(PARTS)).encode()}.items():
        path = folder / "top" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "top"


STRAY: dict[str, Callable[[Path], object]] = {
    "a file": lambda folder: (folder / "more").write_text("x"),
    "a changed file": lambda folder: (folder / "install.py").write_text("x"),
    "a missing file": lambda folder: (folder / "install.py").unlink(),
    "a link": lambda folder: (folder / "more").symlink_to("/etc/passwd"),
    "a link to a folder": lambda folder: (folder / "models" / "more").symlink_to("/etc"),
    "a hidden file": lambda folder: (folder / "wheels" / ".more").write_text("x"),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
}


@pytest.mark.parametrize("what", STRAY)
def test_an_unpacked_one_is_held_against_its_manifest(tmp_path: Path, what: str) -> None:
    folder = unpacked(tmp_path)
    verify_folder(folder)
    STRAY[what](folder)
    with pytest.raises(InstallError) as caught:
        verify_folder(folder)
    assert caught.value.hint


def test_a_link_in_place_of_a_listed_file_is_refused(tmp_path: Path) -> None:
    folder = unpacked(tmp_path)
    (tmp_path / "same").write_bytes(PARTS["install.py"])
    (folder / "install.py").unlink()
    (folder / "install.py").symlink_to(tmp_path / "same")
    with pytest.raises(InstallError, match="no plain file"):
        verify_folder(folder)
