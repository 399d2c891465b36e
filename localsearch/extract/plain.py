"""Plain text and source code: the text is the file's own, so lines count as an editor counts them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from localsearch.extract.decode import decode
from localsearch.extract.kinds import language_of
from localsearch.types import Block, Extract, Place

AST_LIMIT = 2_000_000
"""Characters of Python source beyond which definitions are not looked for: parsing takes 60 times that in memory."""


def read_text(data: bytes, limit: int) -> Extract:
    """Plain text as one block from line 1; passages count their lines on from there."""
    text, notes = cut(decode(data)[0], limit)
    blocks = (Block(0, len(text), "paragraph", Place(line=1)),) if text.strip() else ()
    return Extract(text, "text", blocks=blocks, notes=notes)


def read_code(data: bytes, name: str, limit: int) -> Extract:
    """Source code: one block per top-level definition where its language is parsed, else one for the file."""
    text, notes = cut(decode(data)[0], limit)
    language = language_of(name, text[:200])
    blocks = tuple(_code_blocks(text, language)) if text.strip() else ()
    return Extract(text, "code", blocks=blocks, metadata={"code_language": language}, notes=notes)


def cut(text: str, limit: int) -> tuple[str, tuple[str, ...]]:
    """The text up to a limit, with the note that says so when something is left out."""
    if len(text) <= limit:
        return text, ()
    return text[:limit], (f"only the first {limit / 1e6:g} million characters were read",)


def _code_blocks(text: str, language: str) -> Iterator[Block]:
    starts = line_starts(text)
    edges: list[tuple[int, tuple[str, ...]]] = [(1, ())]
    if language == "Python" and len(text) < AST_LIMIT:
        edges += _python_definitions(text)
    for index, (line, path) in enumerate(edges):
        start = starts[line - 1]
        end = starts[edges[index + 1][0] - 1] if index + 1 < len(edges) else len(text)
        if text[start:end].strip():
            yield Block(start, end, "code", Place(line=line, heading=path))


def line_starts(text: str) -> list[int]:
    """Offset of each line of the text."""
    starts, at = [0], text.find("\n")
    while at >= 0:
        starts.append(at + 1)
        at = text.find("\n", at + 1)
    return starts


def _python_definitions(text: str) -> list[tuple[int, tuple[str, ...]]]:
    """Line and path of names where a definition, or what follows one, begins."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    edges: dict[int, tuple[str, ...]] = {}
    _walk(tree, (), edges)
    lines = text.count("\n") + 1
    return [(line, path) for line, path in sorted(edges.items()) if 1 < line <= lines]


def _walk(node: ast.AST, path: tuple[str, ...], edges: dict[int, tuple[str, ...]]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            line = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
            edges[line] = (*path, child.name)
            if isinstance(child, ast.ClassDef):
                _walk(child, (*path, child.name), edges)
            edges.setdefault((child.end_lineno or child.lineno) + 1, path)
