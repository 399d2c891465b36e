"""Skip by name alone, with the reason: tables first, then the functions that read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from localsearch.scan.content import is_readable, is_recording
from localsearch.secret_names import is_secret_folder, is_secret_name
from localsearch.secrets import secret_content
from localsearch.settings import MB, Settings

VCS = frozenset({b".git", b".hg", b".svn", b".bzr", b".jj", b".pijul", b"_darcs", b"CVS"})
CACHES = frozenset(
    b"""
    node_modules bower_components __pycache__ __pypackages__ .venv .virtualenv .tox .nox .eggs .cache .npm .yarn
    .pnpm-store .gradle .m2 .cargo .rustup .mypy_cache .ruff_cache .pytest_cache .pytype .hypothesis
    .ipynb_checkpoints .next .nuxt .svelte-kit .parcel-cache .turbo .angular .terraform .dart_tool .stack-work
    dist-newstyle elm-stuff DerivedData CMakeFiles .Trash .Trashes lost+found $RECYCLE.BIN .Spotlight-V100
    .fseventsd .thumbnails .ccache .sass-cache .bundle .vagrant
    """.split()
)
"""Folders that hold only what a tool can make again, or what a person threw away."""

OUTPUTS = frozenset({b"build", b"_build", b"dist", b"target", b"out"})
PROJECTS = frozenset(
    b"""
    pyproject.toml setup.py setup.cfg package.json Cargo.toml CMakeLists.txt Makefile GNUmakefile makefile
    meson.build build.gradle build.gradle.kts pom.xml build.sbt configure configure.ac build.ninja dune-project
    mix.exs
    """.split()
)
"""An output folder is skipped beside one of these; a lone folder called `build` may be anybody's documents."""

BUILD_MARKS = frozenset({b"pyvenv.cfg", b"CMakeCache.txt", b"CACHEDIR.TAG"})
"""A folder that holds one of these is a virtual environment, a build or a cache, whatever its name."""
CACHE_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
"""How a true CACHEDIR.TAG begins: https://bford.info/cachedir/"""

SYSTEM = frozenset({b"/proc", b"/sys", b"/dev"})

PROFILE_MARKS = frozenset(
    {b"key4.db", b"logins.json", b"cookies.sqlite", b"Login Data", b"Login Data For Account"}
)
"""A folder that holds one of these is a browser profile, whatever its name."""
KEY_SUFFIXES = (b".pem", b".key", b".asc")
"""Certificates and slides bear these names too: their first bytes decide."""

IGNORE_FILES = (b".localsearchignore", b".ignore", b".gitignore")
"""The first has the last word, whatever its depth."""

BINARY = frozenset(
    b"""
    .so .o .a .ko .lib .dll .dylib .exe .msi .elf .pyc .pyo .pyd .class .jar .war .dex .wasm .bc .rlib .rmeta .beam
    .cmi .cmo .cmx .elc .swp .swo .gcda .gcno .pdb .dwo
    .mkv .avi .flv .webm .mpg .mpeg .ogv .aac .mid .midi .3gp .vob
    .iso .img .dmg .vdi .vmdk .vhd .vhdx .qcow2 .ova .squashfs .snap .appimage .deb .rpm .apk .ipa .cab .whl .crx
    .xpi .pak
    .ttf .otf .woff .woff2 .eot .pcf .ico .icns .psd .xcf .blend .cr2 .nef .arw .dng
    .db .db3 .mdb .accdb .ibd .ldb .sst .feather .arrow .orc .npy .npz .h5 .hdf5 .pkl
    .pickle .joblib .pt .pth .ckpt .onnx .safetensors .gguf .ggml .tflite .bin .pack .faiss .crdownload
    """.split()
)
"""Endings of files that hold no text; the rest is judged by content when it is read."""
DOUBTFUL = frozenset(
    b".vhd .snap .pdb .lib .bc .bin .pcf .orc .pack .pak .elc .mid .class .ko .db .db3 .img .obj .ldb .sst".split()
)
"""Endings of binary files that texts bear too, and databases that are read: their first bytes decide."""
MEDIA = frozenset(b".mp3 .m4a .m4b .mp4 .m4v .mov .flac .ogg .oga .opus .wma .wmv .aiff .wav".split())
"""Music and films, whose tags are text; they are read where mutagen is installed, the extra [media]."""
_SHARED_OBJECT = re.compile(rb"\.so(?:\.\d+)+$")


@dataclass(frozen=True, slots=True)
class ScanRules:
    """What to take. Globs are gitignore patterns relative to the root; `never` are folders to leave out.

    With `include`, only files that match one of its patterns, or lie in a folder that does, are taken. `hidden`,
    `secrets` and `caches` take what has a leading dot, what looks secret, and build and cache folders as well.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_bytes: int = 200 * MB
    hidden: bool = False
    secrets: bool = False
    caches: bool = False
    ignore_files: bool = True
    never: tuple[Path, ...] = ()

    @classmethod
    def of(
        cls, settings: Settings, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()
    ) -> ScanRules:
        """The rules that the settings make; localsearch's own folders are never taken."""
        return cls(
            include=include,
            exclude=exclude,
            max_bytes=settings.extract.max_file_mb * MB,
            hidden=settings.scan.hidden,
            secrets=settings.scan.secrets,
            caches=settings.scan.caches,
            ignore_files=settings.scan.ignore_files,
            never=(settings.home, settings.models),
        )


@dataclass(frozen=True, slots=True)
class Skip:
    """Why something is left out: `rule` is a stable word, `reason` a line for people."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """A file, or a folder that is skipped as a whole. `raw` is its absolute path, `path` the same for people.

    Sizes in bytes, times in nanoseconds since 1970.
    """

    raw: bytes
    path: str
    size: int
    mtime_ns: int
    inode: int
    skip: Skip | None = None
    folder: bool = False


_SECRET_FOLDER = Skip("secret", "a folder that holds keys, passwords or a browser profile")
_SECRET_FILE = Skip("secret", "looks like a key, a password store or a private history")


def secret_folder(name: bytes, path: bytes) -> Skip | None:
    """A folder of keys, passwords or browser data, by its name or by where it stands."""
    return _SECRET_FOLDER if is_secret_folder(name, path) else None


def secret_file(name: bytes) -> Skip | None:
    """A key, a password store or a private history, by its name."""
    return _SECRET_FILE if is_secret_name(name) else None


def secret_head(head: bytes) -> Skip | None:
    """A key, a password store or a token, by the first bytes of a file."""
    what = secret_content(head)
    return Skip("secret", what) if what else None


def cache_folder(name: bytes, siblings: Set[bytes]) -> Skip | None:
    """A folder of build output, packages or caches, by its name and what stands beside it."""
    if name in CACHES or name.endswith(b".egg-info"):
        return Skip("cache", f"{name.decode()} folders hold what a tool can make again")
    if name in OUTPUTS and (marks := siblings & PROJECTS):
        return Skip("cache", f"the output of the build that {min(marks).decode()} beside it describes")
    return None


def decides_folder(name: bytes, *, comes_or_goes: bool) -> bool:
    """Whether a changed file of this name changes what is skipped in its folder: by its content, or by being there."""
    if name in IGNORE_FILES or name == b"CACHEDIR.TAG":
        return True
    return comes_or_goes and (
        name in PROJECTS or name in BUILD_MARKS or name in PROFILE_MARKS or name == b".git"
    )


def binary_file(name: bytes, first: Callable[[], bytes]) -> Skip | None:
    """A file whose ending says that it holds no text; `first` reads the bytes that decide where the ending does not."""
    if name.startswith(b"~$"):
        return Skip("binary", "the lock of a document that is open in an office program")
    ending = name[name.rfind(b".") :].lower()
    if ending in MEDIA:
        if find_spec("mutagen") is None:
            reason = f"{ending.decode()} files hold only tags: pip install 'localsearch[media]' to read them"
            return Skip("binary", reason)
        return None if is_recording(first()) else Skip("binary", f"it is no {ending.decode()} file")
    if ending not in BINARY and not _SHARED_OBJECT.search(name):
        return None
    if ending in DOUBTFUL and is_readable(first()):
        return None
    return Skip("binary", f"{ending.decode('ascii', 'replace')} files hold no text")
