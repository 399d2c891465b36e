"""OLE containers, opened once for all who look into one while a file is read."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import olefile


@lru_cache(maxsize=1)
def compound(data: bytes) -> olefile.OleFileIO:
    """The container in a file's bytes, kept until `forget` or the next one; OSError and others where it is damaged."""
    import olefile

    return olefile.OleFileIO(io.BytesIO(data))


def forget() -> None:
    """Let go of the container that was opened last, and of its bytes."""
    compound.cache_clear()
