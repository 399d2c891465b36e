"""What this processor can do: whether 8-bit products are safe, and whether our own operator runs.

Without VNNI, x86 multiplies unsigned by signed bytes with `pmaddubsw`, which adds pairs in 16 bits and saturates; full
8-bit weights then give wrong sums. VNNI, AMX and ARM's dot product add in 32 bits.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html#when-and-why-do-i-need-to-use-reduce_range
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path

_X86 = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "avx_vnni_int8"})
_ARM = frozenset({"asimddp", "i8mm"})
_FUSED = frozenset(
    {"avx2", "fma", "bmi2", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_vnni"}
)
_CPUINFO = Path("/proc/cpuinfo")


@cache
def safe_int8() -> bool:
    """Whether 8-bit products add up in 32 bits here. Unknown counts as no."""
    system = platform.system()
    if system == "Linux":
        return has_dot_product(_cpuinfo())
    if system == "Darwin":
        return platform.machine() == "arm64"  # every Apple silicon has the dot product instructions
    return False


@cache
def has_avx512_vnni() -> bool:
    """Whether every instruction is here that localsearch/kernels is compiled for. Linux on x86-64 only."""
    return platform.system() == "Linux" and _on_every_core(_cpuinfo(), _FUSED.issubset)


def has_dot_product(cpuinfo: str) -> bool:
    """Whether the text of /proc/cpuinfo names VNNI, AMX-INT8 or ARM's dot product on every core listed.

    >>> has_dot_product("flags : fpu avx2 avx512_vnni")
    True
    """
    return _on_every_core(cpuinfo, lambda flags: bool(flags & (_X86 | _ARM)))


def _on_every_core(cpuinfo: str, fits: Callable[[set[str]], bool]) -> bool:
    lines = [line for line in cpuinfo.splitlines() if line.lower().startswith(("flags", "features"))]
    names = [set(line.partition(":")[2].split()) for line in lines]
    return bool(names) and all(fits(flags) for flags in names)


def _cpuinfo() -> str:
    return _CPUINFO.read_text("utf-8", "replace") if _CPUINFO.exists() else ""
