"""What is computed by our own C where it was built at installation and this processor can run it.

layer.c and operator.c are an operator of ONNX Runtime for whole layers of an encoder, walk.c walks a graph of vectors.
Both are compiled once for each path of simd.h, one set of vector instructions; paths.c takes the fastest that runs.
words.c finds where words may stand in a text. lexicon.c takes texts apart for the word index: read.c goes through them,
across.c finds what is no single word, learnt.c takes in new words, given.c gives strings, parts.c takes words apart.
plain.c tells bytes that are plain text; html.c walks pages, blocktext.c keeps the text of blocks, and page.c puts
blocks in order; units.c cuts texts, and passages.c puts units together. Where the library is missing, ONNX Runtime's
operators, FAISS and Python take its place: more slowly, with nearly the same vectors, the same neighbours, words and
texts.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

_LIBRARY = Path(__file__).parent / "kernels.so"


@cache
def library() -> Path | None:
    """The shared library, if there is one for this machine."""
    return _LIBRARY if path_in_use() else None


@cache
def path_in_use() -> str:
    """The path that the kernels take on this processor, `avx512_vnni`, `avx_vnni`, `avx2` or `neon`; "" without one.

    The environment variable LOCALSEARCH_PATH names another one to take, to compare them.
    """
    try:
        library = ctypes.CDLL(str(_LIBRARY))
    except OSError:  # not built, or made for a newer C library
        return ""
    library.localsearch_path.restype = ctypes.c_char_p
    name: bytes | None = library.localsearch_path()
    return (name or b"").decode()


@cache
def loaded() -> ctypes.CDLL | None:
    """The same, loaded; what is called through it lets other threads run meanwhile."""
    path = library()
    return None if path is None else ctypes.CDLL(str(path))
