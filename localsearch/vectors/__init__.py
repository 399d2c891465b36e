"""Semantic candidates: nearest vectors by chunk id, approximate where that pays and exact where it does not."""

from localsearch.vectors.base import Fetch
from localsearch.vectors.files import Generation
from localsearch.vectors.index import VectorIndex
from localsearch.vectors.tuning import SAMPLE

__all__ = ["SAMPLE", "Fetch", "Generation", "VectorIndex"]
