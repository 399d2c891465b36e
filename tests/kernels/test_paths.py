"""The paths of the kernels: each computes what the others do, and the fastest that runs is taken."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import zipfile
from importlib import util
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from golden.tiny_bert import Tiny, make, tokenizer

from localsearch import kernels
from localsearch.models import ModelStore
from localsearch.settings import Settings

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
X86 = ("avx512_vnni", "avx_vnni", "avx2", "emulated_vnni")
NAME = "from localsearch import kernels; print(kernels.path_in_use())"
RUN = """
import sys
import zipfile
from pathlib import Path
import numpy as np
from localsearch.models.runner import Session
session = Session(Path(sys.argv[1]))
ids = np.load(sys.argv[2])
np.savez(sys.argv[3], *[session.run({"ids": ids[:, :n]}, "tokens")[0] for n in (1, 2, 7, 17, 48, 97, 131)])
"""


def python(path: str, *arguments: str) -> str:
    """What Python says with this path of the kernels, in a process of its own: a path is chosen once."""
    environment = {**os.environ, "LOCALSEARCH_PATH": path}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def runnable() -> list[str]:
    return [path for path in X86 if python(path, "-c", NAME) == path]


@pytest.mark.usefixtures("fused")
def test_one_that_cannot_run_here_or_is_unknown_counts_as_none() -> None:
    assert python("", "-c", NAME) == kernels.path_in_use()
    assert python("no such path", "-c", NAME) == ""


@pytest.mark.usefixtures("fused")
def test_all_paths_of_this_processor_give_the_same(tmp_path: Path) -> None:
    """Integer sums are equal; what is left is how far each rounds e^x and 1/x."""
    store = ModelStore(Settings(home=tmp_path, models=tmp_path / "models"))
    make(tmp_path / "tiny", Tiny(width=128, heads=4, inner=192, layers=2, positions=140))
    store.import_folder(tmp_path / "tiny")
    ids = np.random.default_rng(8).integers(5, tokenizer().get_vocab_size(), (2, 131)).astype(np.int32)
    np.save(tmp_path / "ids.npy", ids)
    found: dict[str, list[Any]] = {}
    for path in runnable():
        target = tmp_path / f"{path}.npz"
        python(
            path,
            "-c",
            RUN,
            str(store.folder / "tiny" / "int8.fused.onnx"),
            str(tmp_path / "ids.npy"),
            str(target),
        )
        found[path] = [np.load(target)[name] for name in np.load(target).files]
    assert len(found) >= 2
    first, *others = found.values()
    for other in others:
        for one, same in zip(first, other, strict=True):
            norms = np.linalg.norm(one, axis=-1) * np.linalg.norm(same, axis=-1)
            assert ((one * same).sum(-1) / norms).min() > 0.9995


@pytest.mark.slow
@pytest.mark.usefixtures("fused")
def test_the_kernels_tests_pass_on_every_path() -> None:
    """Those of the operator and of the walk, once more on each path that is not the fastest here."""
    for path in runnable():
        if path != kernels.path_in_use():
            tests = [str(HERE / "test_operator.py"), str(HERE / "test_walk.py")]
            python(path, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests)


@pytest.mark.slow
def test_neon_gives_the_same_under_an_emulator(tmp_path: Path) -> None:
    """The kernels compiled for AArch64, and run there, against those compiled for this processor."""
    emulator = which("qemu-aarch64") or which("qemu-aarch64-static")
    if emulator is None:
        pytest.skip("needs qemu-aarch64 (Debian: qemu-user)")
    if util.find_spec("ziglang") is None:
        pytest.skip("needs ziglang, the compiler")
    if platform.machine() != "x86_64":
        pytest.skip("needs an x86-64 processor")
    said = {}
    builds = {
        "neon": ("aarch64-linux-musl", ["-static", "-mcpu=generic+dotprod"]),
        "avx2": ("x86_64-linux-gnu", ["-march=x86_64_v3"]),
    }
    for path, (target, flags) in builds.items():
        program = tmp_path / path
        sources = [
            str(HERE / "agree.c"),
            *(str(ROOT / "localsearch/kernels" / name) for name in ("layer.c", "walk.c")),
        ]
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-O2", "-std=c11"]
        command = [*compiler, *flags, f"-DPATH_NAME={path}", "-o", str(program), *sources, "-lm"]
        subprocess.run(command, check=True)
        run = [emulator, "-cpu", "max", str(program)] if path == "neon" else [str(program)]
        said[path] = subprocess.run(run, check=True, capture_output=True, text=True).stdout.split("\n\n")
    assert said["neon"][0] == said["avx2"][0]  # what the walks found
    one, other = (np.array(text[1].split(), np.float32) for text in said.values())
    assert len(one) == len(other) > 10_000
    assert (one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other) > 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_wheel_has_the_kernels_inside(machine: str, tmp_path: Path) -> None:
    """For Linux on this and on another machine; installed where there is no compiler, the kernels run.

    What builds is there already: whoever installs the checkout has pip fetch it.
    """
    if util.find_spec("ziglang") is None:
        pytest.skip("needs ziglang, the compiler")
    wheel = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(wheel, check=True, env={**os.environ, "LOCALSEARCH_WHEEL": machine})
    [file] = tmp_path.glob(f"localsearch-*-py3-none-manylinux_2_28_{machine}.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "installed")
    header = (tmp_path / "installed" / "localsearch" / "kernels" / "kernels.so").read_bytes()[:20]
    assert (header[:4], header[18]) == (b"\x7fELF", {"x86_64": 62, "aarch64": 183}[machine])
    if machine == platform.machine():
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
        done = subprocess.run(
            [sys.executable, "-c", "import localsearch; " + NAME.replace("print(", "print(localsearch.__file__, ")],
            capture_output=True, text=True, cwd=tmp_path, env=environment, check=True,
        )  # fmt: skip
        assert done.stdout.split() == [
            str(tmp_path / "installed" / "localsearch" / "__init__.py"),
            kernels.path_in_use(),
        ]
