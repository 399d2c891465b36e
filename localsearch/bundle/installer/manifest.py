"""What a bundle holds, file by file, and whether an unpacked one is as it was built."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = 1
MANIFEST = "manifest.json"
_COPY_AGAIN = "Copy the bundle again."


class InstallError(Exception):
    """What stands in the way; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Pin:
    """Size and SHA-256 of a file."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in a bundle. `models` tells of each whether it is whole as installed, or made anew by `models import`."""

    id: str
    release: str
    platform: str
    python: str
    pip: str
    index: str
    models: dict[str, bool]
    files: dict[str, Pin]


def read_manifest(text: bytes) -> Manifest:
    """Parse manifest.json. InstallError for another format, a name outside of the bundle, an id that is not its own."""
    try:
        told = json.loads(text)
        if told["format"] != FORMAT:
            hint = "Use the install.py that is inside of it."
            raise InstallError(f"this bundle has format {str(told['format'])[:20]}, not {FORMAT}", hint)
        files = {_path(name): _pin(pin) for name, pin in told["files"].items()}
        manifest = Manifest(
            _word(told["id"], r"[A-Za-z0-9][\w.+-]{0,99}"),
            _word(told["release"], r"[\w.+!-]{1,80}"),
            _word(told["platform"], r"\w+-\w+"),
            _word(told["python"], r"3\.\d+"),
            _word(told["pip"], r"wheels/pip-[\w.-]+\.whl"),
            _word(told["index"], r"[\w.]*"),
            {_word(name, r"[A-Za-z0-9][\w.-]*"): bool(whole) for name, whole in told["models"].items()},
            files,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InstallError(f"{MANIFEST} is none of a bundle: {str(error)[:200]}", _COPY_AGAIN) from error
    needed = {"install.py", "requirements.txt", manifest.pip, manifest.index} - {""}
    if missing := sorted(needed - set(files)):
        raise InstallError(f"{MANIFEST} does not list {missing[0]}", _COPY_AGAIN)
    if manifest.id != identity(manifest.release, files):
        raise InstallError(f"{MANIFEST} was changed: its id is not that of its files", _COPY_AGAIN)
    return manifest


def identity(release: str, files: Mapping[str, Pin]) -> str:
    """A bundle's id: its release and the beginning of a digest of all its files."""
    lines = "".join(f"{name} {pin.sha256} {pin.bytes}\n" for name, pin in sorted(files.items()))
    return f"{release}-{hashlib.sha256(lines.encode()).hexdigest()[:8]}"


def _word(value: Any, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
        raise ValueError(f"{str(value)[:60]!r} has no meaning in it")
    return value


def _path(name: Any) -> str:
    """The name of a file below the bundle's folder."""
    _word(name, r"[^\x00-\x1f\x7f\\]{1,300}")
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError(f"{name[:100]!r} is no file of a bundle")
    return str(name)


def _pin(told: Any) -> Pin:
    size = told["bytes"]
    if type(size) is not int or size < 0:
        raise ValueError("a size is none")
    return Pin(_word(told["sha256"], r"[0-9a-f]{64}"), size)


def verify(bundle: Path) -> Manifest:
    """The manifest of an unpacked bundle, every file of it there and as it was built, and none besides."""
    try:
        manifest = read_manifest((bundle / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        hint = "Unpack the archive first: tar -xf FILE"
        raise InstallError(f"{bundle} is no bundle: it has no {MANIFEST}", hint) from error
    compare(manifest, set(files(bundle)), lambda name: digest_of(bundle / name))
    return manifest


def compare(manifest: Manifest, there: set[str], digest: Callable[[str], Pin]) -> None:
    """Hold names, sizes and hashes against a manifest; InstallError names the first that differs."""
    for name in sorted({*manifest.files, MANIFEST} ^ there):
        if name in manifest.files:
            raise InstallError(f"{name} is missing", _COPY_AGAIN)
        raise InstallError(f"{name} is not in the manifest", "Delete it, or copy the bundle again.")
    for name, pin in manifest.files.items():
        if digest(name) != pin:
            raise InstallError(f"{name} is not as it was built: its size or SHA-256 differs", _COPY_AGAIN)


def files(bundle: Path) -> Iterator[str]:
    """Names of all files below a folder. InstallError for what is neither file nor folder, a link above all."""
    for parent, folders, names in os.walk(bundle):
        for name in (*folders, *names):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                yield path.relative_to(bundle).as_posix()
            elif not stat.S_ISDIR(mode):
                raise InstallError(f"{path.relative_to(bundle)} is no plain file", _COPY_AGAIN)


def digest_of(path: Path) -> Pin:
    with open(path, "rb") as file:
        return Pin(hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size)
