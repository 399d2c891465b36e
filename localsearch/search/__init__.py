"""Queries, from what was asked to the page shown; `searcher` tells it top to bottom."""

from localsearch.search.searcher import Searcher
from localsearch.search.trip import Request

__all__ = ["Request", "Searcher"]
