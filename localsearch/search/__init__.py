"""Queries, from what was asked to the page shown; `searcher` tells it top to bottom."""

from localsearch.search.query import SearchOptions, SearchQuery
from localsearch.search.searcher import Searcher

__all__ = ["SearchOptions", "SearchQuery", "Searcher"]
