"""Puts the model cards into the wheel, and compiles localsearch/kernels into its library.

Each source of vector instructions is compiled once for each path of simd.h. The compiler is Zig's, a package from the
package registry that only the build needs, so that one command installs everywhere alike, and that compiles for other
machines too. LOCALSEARCH_WHEEL names a machine, x86_64 or aarch64, for which to make a wheel that is not bound to this
one. Where it has nothing to offer (not Linux on x86-64 or AArch64) or fails, the package is built without the
library and computes with ONNX Runtime's own operators and FAISS. LOCALSEARCH_KERNELS=0 leaves it out.
ZIG_GLOBAL_CACHE_DIR names a folder that keeps what was compiled, for the next time; without it nothing is kept.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("localsearch") / "kernels"
LIBRARY = FOLDER / "kernels.so"
ON_EACH_PATH = ("layer.c", "walk.c")
WORDS = ("across.c", "given.c", "learnt.c", "lexicon.c", "parts.c", "read.c", "words.c")
PAGES = ("blocktext.c", "html.c", "page.c", "passages.c", "plain.c", "units.c")
ONCE = (*WORDS, *PAGES, "operator.c", "paths.c")
PATHS = {
    "x86_64": {
        "avx512_vnni": ("-march=x86_64_v4", "-mavx512vnni"),
        "avx_vnni": ("-march=x86_64_v3", "-mavxvnni"),
        "avx2": ("-march=x86_64_v3",),
        "emulated_vnni": ("-march=x86_64_v3", "-DEMULATED_VNNI"),
    },
    "aarch64": {"neon": ("-mcpu=generic+dotprod",)},
}
"""By machine: the paths of simd.h, and what lets the compiler take each."""
TARGET = "{machine}-linux-gnu.2.28"
"""The oldest C library that the kernels run with, which `PORTABLE` tells pip."""
PORTABLE = "py3-none-manylinux_2_28_{machine}"
COMPILER = "ziglang>=0.14,<1"
FLAGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"),
)


_WHEEL = "LOCALSEARCH_WHEEL"
CARDS = "localsearch/models/cards"
"""Where a wheel has the cards; a checkout has them in models/, beside the models themselves."""


class BuildHook(BuildHookInterface[Any]):
    """Runs before a wheel or an editable installation is made."""

    def dependencies(self) -> list[str]:
        return [COMPILER] if _wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            for card in sorted((Path(self.root) / "models").glob("*.toml")):
                build_data["force_include"][str(card)] = f"{CARDS}/{card.name}"
        here = Path(self.root) / LIBRARY  # an editable installation runs from here; a wheel leaves it alone
        self.built = TemporaryDirectory()
        library = here if version == "editable" else Path(self.built.name) / here.name
        library.unlink(missing_ok=True)
        if not _wanted():
            return
        try:
            compile_kernels(Path(self.root), _machine(), library)
        except (OSError, subprocess.CalledProcessError) as error:
            if _WHEEL in os.environ:
                raise
            self.app.display_warning(
                f"{LIBRARY} was not built, encoding and searching will be slower: {error}"
            )
            return
        build_data["force_include"][str(library)] = LIBRARY.as_posix()
        build_data["pure_python"] = False
        bound = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        build_data["tag"] = PORTABLE.format(machine=_machine()) if _WHEEL in os.environ else bound

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self.built.cleanup()


def _wanted() -> bool:
    linux = platform.system() == "Linux" or _WHEEL in os.environ
    return linux and _machine() in PATHS and os.environ.get("LOCALSEARCH_KERNELS") != "0"


def _machine() -> str:
    return os.environ.get(_WHEEL, platform.machine())


def compile_kernels(root: Path, machine: str, library: Path) -> None:
    """Compile the kernels for Linux on a machine of `PATHS`, whatever machine this is. Raises CalledProcessError."""
    folder = root / FOLDER
    with TemporaryDirectory() as name:
        objects = []
        for path, flags in {"once": (), **PATHS[machine]}.items():
            for source in ONCE if path == "once" else ON_EACH_PATH:
                objects.append(f"{name}/{path}.{source}.o")
                _compiler(name, machine, *FLAGS, *flags, "-c", "-o", objects[-1], str(folder / source))
        _compiler(name, machine, "-shared", "-s", "-o", str(library), *objects, "-lm", "-lpthread")


def _compiler(cache: str, machine: str, *arguments: str) -> None:
    cache = os.environ.get("ZIG_GLOBAL_CACHE_DIR", cache)
    environment = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache, **os.environ}
    target = TARGET.format(machine=machine)
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-target", target, *arguments], check=True, env=environment
    )
