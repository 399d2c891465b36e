"""localsearch: a search engine that runs entirely on your own machine.

    from localsearch import Engine
    with Engine.open("~/notes-index") as engine:
        engine.index("~/notes")
        for hit in engine.search("how do I renew the certificate", limit=5):
            print(hit.path, hit.snippet)

Importing this package loads neither FAISS nor ONNX Runtime; opening an engine does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from localsearch.release import __version__

# Since release 1.29 ONNX Runtime sends what it runs to its makers unless this is set before it is first used.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from localsearch.engine import Engine
    from localsearch.types import Answer, Hit, Record

__all__ = ["Answer", "Engine", "Hit", "Record", "__version__"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "Engine":
        return import_module("localsearch.engine").Engine
    if name in ("Answer", "Hit", "Record"):
        return getattr(import_module("localsearch.types"), name)
    raise AttributeError(f"module 'localsearch' has no attribute {name!r}")
