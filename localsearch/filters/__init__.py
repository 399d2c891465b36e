"""The filter language: text or JSON -> one Filter -> SQL, or an expression for an engine."""

from localsearch.filters.expression import SPEAKING, to_expression
from localsearch.filters.fields import OWN_DATE, path_filter
from localsearch.filters.jsonform import from_json
from localsearch.filters.query import ParsedQuery, is_typed, parse_filter, parse_query
from localsearch.filters.sql import dated_sql, field_sql, path_sql, to_sql
from localsearch.filters.tree import (
    And,
    Equals,
    Exists,
    Filter,
    Holds,
    Match,
    Not,
    Or,
    Range,
    all_of,
    any_of,
    asks_text,
    field_names,
    held,
    leaves,
    negate,
    spelled_out,
)

__all__ = [
    "OWN_DATE",
    "SPEAKING",
    "And",
    "Equals",
    "Exists",
    "Filter",
    "Holds",
    "Match",
    "Not",
    "Or",
    "ParsedQuery",
    "Range",
    "all_of",
    "asks_text",
    "dated_sql",
    "any_of",
    "field_names",
    "field_sql",
    "from_json",
    "held",
    "is_typed",
    "leaves",
    "negate",
    "parse_filter",
    "parse_query",
    "path_filter",
    "path_sql",
    "spelled_out",
    "to_expression",
    "to_sql",
]
