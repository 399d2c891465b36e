"""What stands in a rich text file beside its running text: notes, comments, headers, text boxes.

Reference: Rich Text Format 1.9.1, destinations. striprtf leaves these groups out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BESIDE = re.compile(
    r"(?<!\\)\{\s*\\(?:\*\s*\\)?(footnote|annotation|header[lrf]?|footer[lrf]?|shptxt|dptxbxtext|result)(?![a-z0-9]) ?"
)
_BRACE = re.compile(r"\\[\\{}]|[{}]")
_AUTHOR = re.compile(r"\{\\\*\\atnauthor ([^{}]{1,200})\}")
_CODE_PAGE = re.compile(r"\\ansicpg(\d+)")
_FONT = re.compile(r"\\f\d+")
_CHARSETS = {
    "874": 222, "932": 128, "936": 134, "949": 129, "950": 136, "1250": 238, "1251": 204, "1253": 161, "1254": 162,
    "1255": 177, "1256": 178, "1257": 186, "1258": 163,
}  # fmt: skip
"""Numbers of charsets by their code pages; that of Western letters is 0."""
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
    begins, ends = _fonts(text)
    body = "".join(f"{{{inner}}}\\par " for _, inner in groups)
    return kept, f"{{\\rtf1{page}{text[begins:ends]}{body}}}"


def with_charsets(text: str) -> str:
    """The text with a charset for each font, else that of the code page: striprtf would take the next one's."""
    begins, ends = _fonts(text)
    table = text[begins:ends]
    if table.count("\\fcharset") >= len(_FONT.findall(table)):
        return text
    page = match[1] if (match := _CODE_PAGE.search(text)) else ""
    told = rf"\g<0>\\fcharset{_CHARSETS.get(page, 0)}"
    fonts = table.split(";")
    fonts = [font if "\\fcharset" in font else _FONT.sub(told, font, count=1) for font in fonts]
    return text[:begins] + ";".join(fonts) + text[ends:]


def _fonts(text: str) -> tuple[int, int]:
    """Where the table of fonts begins and ends."""
    begins = text.find("{\\fonttbl")
    return (begins, _end(text, begins)) if begins >= 0 else (0, 0)


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
