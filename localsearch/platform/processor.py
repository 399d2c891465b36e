"""Whether this processor multiplies 8 bits by 8 bits without saturating, as ONNX Runtime does it.

Without VNNI, x86 multiplies unsigned by signed bytes with `pmaddubsw`, which adds pairs in 16 bits and saturates; full
8-bit weights then give wrong sums. VNNI, AMX and ARM's dot product add in 32 bits.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html#when-and-why-do-i-need-to-use-reduce_range
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

_X86 = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "avx_vnni_int8"})
_ARM = frozenset({"asimddp", "i8mm"})
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


def has_dot_product(cpuinfo: str) -> bool:
    """Whether the text of /proc/cpuinfo names VNNI, AMX-INT8 or ARM's dot product on every core listed.

    >>> has_dot_product("flags : fpu avx2 avx512_vnni")
    True
    """
    lines = [line for line in cpuinfo.splitlines() if line.lower().startswith(("flags", "features"))]
    names = [set(line.partition(":")[2].split()) for line in lines]
    return bool(names) and all(flags & (_X86 | _ARM) for flags in names)


def _cpuinfo() -> str:
    return _CPUINFO.read_text("utf-8", "replace") if _CPUINFO.exists() else ""
