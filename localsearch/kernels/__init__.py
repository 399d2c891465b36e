"""What is computed by our own C where it was built at installation and this processor can run it.

layer.c and operator.c are an operator of ONNX Runtime for whole layers of an encoder, walk.c walks a graph of vectors.
Where the library is missing, ONNX Runtime's operators and FAISS take its place: more slowly, with nearly the same
vectors, and with the same neighbours.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

from localsearch.platform.processor import has_avx512_vnni

_LIBRARY = Path(__file__).parent / "kernels.so"


@cache
def library() -> Path | None:
    """The shared library, if there is one for this machine."""
    return _LIBRARY if has_avx512_vnni() and _loads() else None


@cache
def loaded() -> ctypes.CDLL | None:
    """The same, loaded; what is called through it lets other threads run meanwhile."""
    path = library()
    return None if path is None else ctypes.CDLL(str(path))


def _loads() -> bool:
    """Whether the library is there and made for this system; one made for a newer C library does not load."""
    try:
        ctypes.CDLL(str(_LIBRARY))
    except OSError:
        return False
    return True
