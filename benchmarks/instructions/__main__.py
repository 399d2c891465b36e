"""What the encoder's layer costs, by path, beside what the processor can do: python -m benchmarks.instructions [--out FILE]

- `instructions`: how many a text takes, for paths whose processor is not at hand. QEMU's emulators run the kernels (Debian:
  qemu-user) and a plugin counts. QEMU 7.2 emulates neither AVX-VNNI nor AVX-512;
- `layer_us`: microseconds of one layer here, with the share of its products in what `rates` allows;
- `rates`: billions of multiply-adds a second of one core in registers of 256 bits, with nothing to load or to wait for.
  `16-bit` is what the AVX2 path does (exact), `7-bit` what two 7-bit factors would allow (pmaddubsw, two sums before
  they are widened).

A text has 128 tokens and passes 6 layers of all-MiniLM-L6-v2's shape; what is around the layers is not counted. Times are
the best of many, in processor time of the thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine

HERE = Path(__file__).parent
KERNELS = machine.ROOT / "localsearch" / "kernels"
LAYERS = 6
BUILDS = {
    "avx2": ("x86_64-linux-musl", "-march=x86_64_v3", "qemu-x86_64"),
    "neon": ("aarch64-linux-musl", "-mcpu=generic+dotprod", "qemu-aarch64"),
}


RUNS = 400
TOKENS, WIDTH, INNER = 128, 384, 1536
PRODUCTS = TOKENS * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)
"""Multiply-adds of a layer with weights; those of attention are left out."""
NATIVE = {
    "avx2": (["-march=x86_64_v3"], "16-bit"),
    "avx_vnni": (["-march=x86_64_v3", "-mavxvnni"], "avx_vnni"),
}
"""Flags of the paths that are timed here, and the rate that bounds each."""


def compile_c(*arguments: str) -> None:
    """Call the compiler that builds the package."""
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-O3", "-std=c11", "-D_GNU_SOURCE", *arguments], check=True
    )


def counted(path: str, folder: Path, plugin: Path) -> int:
    """Instructions of one text by this path."""
    target, processor, emulator = BUILDS[path]
    program = str(folder / path)
    compile_c(
        "-target", target, processor, "-static", f"-DPATH_NAME={path}", "-o", program,
        str(HERE / "layer.c"), str(KERNELS / "layer.c"), "-lm",
    )  # fmt: skip
    one, two = (executed(emulator, program, plugin, times) for times in (1, 2))
    return LAYERS * (two - one)


def executed(emulator: str, program: str, plugin: Path, times: int) -> int:
    """Instructions of a program that runs the layer so many times."""
    command = [emulator, "-cpu", "max", "-plugin", str(plugin), program, str(times)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stderr.split()[-1])


def rates(folder: Path, vnni: bool) -> dict[str, float]:
    """Billions of multiply-adds a second, by kind."""
    program = str(folder / "rates")
    compile_c(
        "-target", "x86_64-linux-musl", "-march=x86_64_v3", "-mavxvnni", "-static", "-o", program, str(HERE / "rates.c")
    )  # fmt: skip
    said = subprocess.run([program, *(["vnni"] if vnni else [])], check=True, capture_output=True, text=True)
    return {name: float(value) for name, value in (line.split() for line in said.stdout.splitlines())}


def timed(path: str, folder: Path, allowed: dict[str, float]) -> dict[str, float]:
    """Microseconds of a layer by this path, and what share of the bound its products with weights alone would take."""
    flags, bound = NATIVE[path]
    program = str(folder / f"native-{path}")
    compile_c(
        "-target", "x86_64-linux-musl", *flags, "-static", f"-DPATH_NAME={path}", "-o", program,
        str(HERE / "layer.c"), str(KERNELS / "layer.c"), "-lm",
    )  # fmt: skip
    said = subprocess.run([program, str(RUNS)], check=True, capture_output=True, text=True)
    us = float(said.stdout)
    return {"us": us, "share_of_rate": round(PRODUCTS / us / 1e3 / allowed[bound], 3)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(folder / "cache"))
        plugin = folder / "count.so"
        compile_c("-shared", "-fPIC", "-o", str(plugin), str(HERE / "count.c"))
        counts = {path: counted(path, folder, plugin) for path in BUILDS}
        about = machine.describe()
        vnni = "avx_vnni" in Path("/proc/cpuinfo").read_text()
        allowed = rates(folder, vnni)
        layers = {path: timed(path, folder, allowed) for path in NATIVE if vnni or path != "avx_vnni"}
    report = {
        "commit": machine.commit(),
        "machine": about,
        "instructions": counts,
        "rates": allowed,
        "layer_us": layers,
    }
    text = json.dumps(report, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
