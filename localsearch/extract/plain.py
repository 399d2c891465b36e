"""Plain text and source code: the text is the file's own, so lines count as an editor counts them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from localsearch.extract.decode import decode
from localsearch.extract.kinds import language_of, suffix_of
from localsearch.extract.latex import printed
from localsearch.types import Block, Extract, Place

_SPOKEN = re.compile(r"^Dialogue:.*", re.M)
_SIGNS = re.compile(r"\{\\[^{}\n]*\}|\\(?P<space>[Nnh])")
"""Override blocks and spaces of SubStation Alpha: {\\i1}, \\N, \\n, \\h."""
LONGEST_TITLE = 100
"""Characters of a first line that may be a title."""

_TITLED = frozenset({"txt", "text", ""})
_ALONE = re.compile(r"(?:([=~*#-])\1{2,}[ \t]*\n)?[ \t]*\n")
"""What follows a title: a blank line, or a line under it and then one."""

AST_LIMIT = 2_000_000
"""Characters of Python source beyond which definitions are not looked for: parsing takes 60 times that in memory."""


def read_text(data: bytes, name: str, limit: int) -> Extract:
    """Plain text as one block from line 1; chunks count their lines on from there."""
    whole = decode(data)[0]
    text, notes = cut(_as_shown(whole) if suffix_of(name) in ("ass", "ssa") else whole, limit)
    blocks = (Block(0, len(text), "paragraph", Place(line=1)),) if text.strip() else ()
    title = _first_line(text) if suffix_of(name) in _TITLED else ""
    return Extract(text, "text", title, blocks, notes=notes)


def _as_shown(text: str) -> str:
    """Subtitles of SubStation Alpha without the signs of how they look, which stand within words and before them."""
    return _SPOKEN.sub(lambda line: _SIGNS.sub(lambda sign: " " if sign["space"] else "", line[0]), text)


def _first_line(text: str) -> str:
    """The first line where it stands alone, as a title does, and does not read as the end of a sentence."""
    line, _, rest = text.lstrip()[: 2 * LONGEST_TITLE].partition("\n")
    line = line.strip()
    alone = _ALONE.match(rest) and text.strip() != line
    titled = len(line) <= LONGEST_TITLE and any(map(str.isalpha, line)) and line[-1] not in ",;:."
    return line if alone and titled else ""


def read_code(data: bytes, name: str, limit: int) -> Extract:
    """Source code: one block per top-level definition where its language is parsed, else one for the file."""
    whole = decode(data)[0]
    language = language_of(name, whole[:200])
    text, notes = cut(printed(whole) if language == "TeX" else whole, limit)
    tree = _parsed(text) if language == "Python" and len(text) < AST_LIMIT else None
    blocks = tuple(_code_blocks(text, tree)) if text.strip() else ()
    title = (ast.get_docstring(tree) or "").partition("\n")[0].strip()[:200] if tree else ""
    return Extract(text, "code", title, blocks, {"code_language": language}, notes=notes)


def cut(text: str, limit: int) -> tuple[str, tuple[str, ...]]:
    """The text up to a limit, with the note that says so when something is left out."""
    if len(text) <= limit:
        return text, ()
    return text[:limit], (f"only the first {limit / 1e6:g} million characters were read",)


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _code_blocks(text: str, tree: ast.Module | None) -> Iterator[Block]:
    starts = line_starts(text)
    edges: list[tuple[int, tuple[str, ...]]] = [(1, ())]
    if tree is not None:
        edges += _definitions(tree, text.count("\n") + 1)
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


def _definitions(tree: ast.Module, lines: int) -> list[tuple[int, tuple[str, ...]]]:
    """Line and path of names where a definition, or what follows one, begins."""
    edges: dict[int, tuple[str, ...]] = {}
    _walk(tree, (), edges)
    return [(line, path) for line, path in sorted(edges.items()) if 1 < line <= lines]


def _walk(node: ast.AST, path: tuple[str, ...], edges: dict[int, tuple[str, ...]]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            line = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
            edges[line] = (*path, child.name)
            if isinstance(child, ast.ClassDef):
                _walk(child, (*path, child.name), edges)
            edges.setdefault((child.end_lineno or child.lineno) + 1, path)
