"""The filter language: text or JSON -> one Filter -> SQL."""

from localsearch.filters.fields import path_filter
from localsearch.filters.jsonform import from_json
from localsearch.filters.language import ParsedQuery, parse_expression, parse_filter, parse_query
from localsearch.filters.sql import field_sql, path_sql, to_sql
from localsearch.filters.tree import (
    And,
    Equals,
    Exists,
    Filter,
    Match,
    Not,
    Or,
    Range,
    all_of,
    any_of,
    field_names,
    negate,
)

__all__ = [
    "And",
    "Equals",
    "Exists",
    "Filter",
    "Match",
    "Not",
    "Or",
    "ParsedQuery",
    "Range",
    "all_of",
    "any_of",
    "field_names",
    "field_sql",
    "from_json",
    "negate",
    "parse_expression",
    "parse_filter",
    "parse_query",
    "path_filter",
    "path_sql",
    "to_sql",
]
