"""Colours of code in the preview, by Pygments.

Only well-known languages, and only as many characters as a preview shows: a lexer is a set of regular expressions, and
the text is a stranger's. What begins in the middle of a file may begin in the middle of a string or a comment too.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Literal

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, String, _TokenType

MOST = 12_000
"""Characters that are looked at."""
Kind = Literal["comment", "keyword", "name", "number", "string"]
Span = tuple[int, int, Kind]
_KINDS: tuple[tuple[_TokenType, Kind], ...] = (
    (Comment, "comment"),
    (Keyword, "keyword"),
    (Name.Function, "name"),
    (Name.Class, "name"),
    (Number, "number"),
    (String, "string"),
)
_LEXERS = {
    ".py": "python", ".js": "javascript", ".mjs": "javascript", ".jsx": "javascript", ".ts": "typescript",
    ".tsx": "typescript", ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".hpp": "cpp", ".cs": "csharp",
    ".java": "java", ".kt": "kotlin", ".scala": "scala", ".go": "go", ".rs": "rust", ".swift": "swift",
    ".rb": "ruby", ".php": "php", ".lua": "lua", ".r": "r", ".jl": "julia", ".hs": "haskell", ".sh": "bash",
    ".bash": "bash", ".zsh": "bash", ".sql": "sql", ".css": "css", ".yaml": "yaml", ".yml": "yaml",
    ".toml": "toml", ".ini": "ini", ".cfg": "ini", ".diff": "diff", ".patch": "diff", ".dart": "dart",
}  # fmt: skip


def highlighted(text: str, name: str) -> list[Span]:
    """Where comments, keywords, names that are defined, numbers and strings stand: start, stop and kind, in order.

    Nothing for a file whose name ends like no language that is known.

    >>> highlighted("x = 1  # one", "a.py")
    [(4, 5, 'number'), (7, 12, 'comment')]
    """
    language = _LEXERS.get(os.path.splitext(name)[1].lower())
    if language is None:
        return []
    spans: list[Span] = []
    for start, token, part in _lexer(language).get_tokens_unprocessed(text[:MOST]):
        kind = next((kind for above, kind in _KINDS if token in above), None)
        if kind is None or not part.strip():
            continue
        if spans and spans[-1][1] == start and spans[-1][2] == kind:
            spans[-1] = (spans[-1][0], start + len(part), kind)
        else:
            spans.append((start, start + len(part), kind))
    return spans


@lru_cache
def _lexer(language: str) -> Lexer:
    return get_lexer_by_name(language)
