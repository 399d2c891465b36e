"""Our own operator of ONNX Runtime, where it was built at installation and this processor can run it.

`localsearch/kernels` has its source and says what it does; where it is missing, graphs of ONNX Runtime's operators
take its place, and give nearly the same vectors more slowly.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

from localsearch.models.processor import has_avx512_vnni

_LIBRARY = Path(__file__).parent.parent / "kernels" / "fused.so"


@cache
def library() -> Path | None:
    """The shared library to register with ONNX Runtime, if there is one for this machine."""
    return _LIBRARY if has_avx512_vnni() and _loads() else None


def _loads() -> bool:
    """Whether the library is there and made for this system; one made for a newer C library does not load."""
    try:
        ctypes.CDLL(str(_LIBRARY))
    except OSError:
        return False
    return True
