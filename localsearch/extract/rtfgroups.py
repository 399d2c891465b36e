"""What stands in a rich text file beside its running text: notes, comments, headers, text boxes.

Reference: Rich Text Format 1.9.1, destinations. striprtf leaves these groups out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BESIDE = re.compile(
    r"(?<!\\)\{\s*\\(?:\*\s*\\)?(footnote|annotation|header[lrf]?|footer[lrf]?|shptxt|dptxbxtext)(?![a-z0-9])"
)
_BRACE = re.compile(r"\\[\\{}]|[{}]")
_AUTHOR = re.compile(r"\{\\\*\\atnauthor ([^{}]{1,200})\}")
_CODE_PAGE = re.compile(r"\\ansicpg\d+")
_DEEPEST = 20


def divided(text: str) -> tuple[str, str]:
    """The running text without those groups, and a rich text of a paragraph or more for each of them; "" for none.

    Notes and comments come in their order, what each page shows last.
    """
    if _BESIDE.search(text) is None:
        return text, ""
    kept, groups = _divided(text, 0)
    groups.sort(key=lambda group: group[0].startswith(("header", "footer")))
    page = match.group() if (match := _CODE_PAGE.search(text)) else ""
    fonts = text.find("{\\fonttbl")
    table = text[fonts : _end(text, fonts)] if fonts >= 0 else ""
    body = "".join(f"{{{inner}}}\\par " for _, inner in groups)
    return kept, f"{{\\rtf1{page}{table}{body}}}"


def _divided(text: str, depth: int) -> tuple[str, list[tuple[str, str]]]:
    """The text without the groups, and the kind and content of each, those inside another one after it."""
    kept: list[str] = []
    groups: list[tuple[str, str]] = []
    at = 0
    for kind, begins, inside, ends in _groups(text):
        before = text[at:begins]
        kept.append(before)
        inner, deeper = text[inside : ends - 1], list[tuple[str, str]]()
        if depth < _DEEPEST:
            inner, deeper = _divided(inner, depth + 1)
        groups += [(kind, _label(kind, before) + inner), *deeper]
        at = ends
    return "".join([*kept, text[at:]]), groups


def _groups(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Kind, begin, begin of the content, and end of each group that is in no other one of them."""
    at = 0
    while match := _BESIDE.search(text, at):
        at = _end(text, match.start())
        yield match[1], match.start(), match.end(), at


def _end(text: str, begins: int) -> int:
    """Where the group ends that begins at a brace; the text's end where it is not closed."""
    depth = 0
    for brace in _BRACE.finditer(text, begins):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if not depth and brace.group() == "}":
            return brace.end()
    return len(text)


def _label(kind: str, before: str) -> str:
    """Who wrote a comment, as rich text."""
    if kind != "annotation":
        return ""
    authors = _AUTHOR.findall(before)
    return f"Comment by {authors[-1]}: " if authors else "Comment: "
