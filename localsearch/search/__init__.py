"""Queries, from what was asked to the page shown; `searcher` tells it top to bottom."""

from localsearch.search.context import Request
from localsearch.search.searcher import Searcher

__all__ = ["Request", "Searcher"]
