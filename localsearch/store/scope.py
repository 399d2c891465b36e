"""What may be seen, as SQL over `documents AS d`.

Not a filter: a filter on a collection also looks into a document's own metadata, which its author wrote, and one on a
path ignores case.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from localsearch.types import Scope

Clause = tuple[str, list[Any]]


def scope_sql(scope: Scope) -> Clause:
    """The clause, to stand after WHERE, and its parameters; copies of one file are one document with many paths."""
    clauses: list[str] = ["1"]
    values: list[Any] = []
    if scope.collections:
        clauses.append("d.collection IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(scope.collections))
    if scope.paths:
        own, first = path_scope_sql(scope, "d.path")
        other, second = path_scope_sql(scope, "f.path")
        clauses.append(
            f"({own} OR EXISTS (SELECT 1 FROM files AS f WHERE f.content_hash = d.content_hash"
            f" AND f.collection = d.collection AND {other}))"
        )
        values += [*first, *second]
    return f"({' AND '.join(clauses)})", values


def paths_seen(scope: Scope | None) -> Callable[[str], Clause] | None:
    """`path_scope_sql` of a scope, for any column; None where every path may be seen."""
    return partial(path_scope_sql, scope) if scope and scope.paths else None


def path_scope_sql(scope: Scope, column: str) -> Clause:
    """Whether a path is at or below one of the scope's; 0 where there is no path."""
    parts, values = [], list[Any]()
    for path in scope.paths:
        below = path.rstrip("/") + "/"
        parts.append(f"{column} = ? OR substr({column}, 1, ?) = ?")
        values += [path, len(below), below]
    return f"IFNULL(({' OR '.join(parts)}), 0)", values
