"""Embedding and re-ranking models: cards, fetching and verifying, safetensors → ONNX, encoding.

Importing this package loads neither ONNX Runtime nor onnx nor tokenizers; loading a model does.
"""

from __future__ import annotations

from localsearch.models.cards import Card, ModelSource, Pin
from localsearch.models.runner import Tally
from localsearch.models.store import ModelStore, convertible

__all__ = ["Card", "ModelStore", "Pin", "ModelSource", "Tally", "convertible"]
