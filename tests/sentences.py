"""The sentences that code gives, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from itertools import product


def written(node: ast.expr, parts: Mapping[str, str] = {}) -> Iterator[str]:
    """The sentences that an expression can give. `parts` are the words for values whose code has that in it; for all
    others `7` stands."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*written(node.body, parts), *written(node.orelse, parts))
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from written(value, parts)
    elif isinstance(node, ast.JoinedStr):
        for parts in product(*(list(_part(part, parts)) for part in node.values)):
            yield "".join(parts)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "strip":
        yield from written(node.func.value, parts)


def _part(node: ast.expr, parts: Mapping[str, str]) -> Iterator[str]:
    inner = node.value if isinstance(node, ast.FormattedValue) else node
    if isinstance(inner, ast.Constant | ast.IfExp):
        yield from written(inner, parts)
    else:
        name = ast.unparse(inner)
        yield next((words for part, words in parts.items() if part in name), "7")
