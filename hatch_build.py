"""Puts the model cards into the wheel, and compiles localsearch/kernels into its library.

The compiler is Zig's, a package from the package registry that only the build needs, so that one command installs
everywhere alike. Where it has nothing to offer (not Linux on x86-64) or fails, the package is built without the
library and computes with ONNX Runtime's own operators and FAISS. LOCALSEARCH_KERNELS=0 leaves it out.
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
SOURCES = ("layer.c", "operator.c", "walk.c")
COMPILER = "ziglang>=0.14,<1"
FLAGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-O3", "-s", "-fPIC", "-shared", "-fvisibility=hidden"),
    *("-Wall", "-Wextra", "-Werror", "-march=x86_64_v4", "-mavx512vnni"),
)


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
        library = Path(self.root) / LIBRARY
        library.unlink(missing_ok=True)
        if not _wanted():
            return
        try:
            _compile(Path(self.root), library)
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(
                f"{LIBRARY} was not built, encoding and searching will be slower: {error}"
            )
            return
        build_data["artifacts"].append(LIBRARY.as_posix())
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _wanted() -> bool:
    here = platform.system() == "Linux" and platform.machine() in ("x86_64", "AMD64")
    return here and os.environ.get("LOCALSEARCH_KERNELS") != "0"


def _compile(root: Path, library: Path) -> None:
    sources = [str(root / FOLDER / name) for name in SOURCES]
    with TemporaryDirectory() as cache:
        environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
        command = [
            sys.executable,
            "-m",
            "ziglang",
            "cc",
            *FLAGS,
            "-o",
            str(library),
            *sources,
            "-lm",
            "-lpthread",
        ]
        subprocess.run(command, check=True, env=environment)
