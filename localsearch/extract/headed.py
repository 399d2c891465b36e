"""reStructuredText and LaTeX: the text is the file's own; what marks a heading there becomes one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from localsearch.extract.decode import decode
from localsearch.extract.latex import printed
from localsearch.extract.plain import cut, line_starts
from localsearch.types import Block, Extract, Place

RULE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}")
"""A line of one sign repeated, as it stands under a heading."""

_ROLE = re.compile(r":[A-Za-z][\w:+.-]*:(?=`)|[`*]")
"""What marks a word in a heading: :mod:`email` is email."""

_COMMAND = re.compile(
    r"\\(title|part|chapter|(?:sub){0,2}section)\*?[ \t]*(?:\[[^\]\n]{0,300}\])?"
    r"\{((?:[^{}]|\{[^{}]{0,300}\}){0,400})\}"
)
_LEVELS = {"part": 0, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4}
_COMMENT = re.compile(r"(?<!\\)%")
_MARKUP = (
    (re.compile(r"\\\\|~"), " "),
    (re.compile(r"\\[A-Za-z]+\*?(?=\{[^}])|[{}$]"), ""),
    (re.compile(r"\\([A-Za-z]+|.)"), r"\1"),
)
"""Commands around a text go, those that stand alone keep their name: \\emph{a} is a, \\LaTeX{} is LaTeX."""


class _Heading(NamedTuple):
    start: int
    end: int
    level: int
    title: str


def read_rst(data: bytes, limit: int) -> Extract:
    """reStructuredText; its first heading is its title."""
    text, notes = cut(decode(data)[0], limit)
    headings = list(_rst_headings(text))
    title = headings[0].title if headings else ""
    return Extract(text, "rst", title, tuple(_blocks(text, headings)), notes=notes)


def read_tex(data: bytes, limit: int) -> Extract:
    r"""LaTeX with its letters as they are printed; its title is that of \title, or else its first heading."""
    text, notes = cut(printed(decode(data)[0]), limit)
    found = [match for match in _COMMAND.finditer(text) if not _is_comment(text, match.start())]
    headings = [_Heading(m.start(), m.end(), _LEVELS[m[1]], _plain(m[2])) for m in found if m[1] in _LEVELS]
    named = [_plain(match[2]) for match in found if match[1] == "title"]
    title = next(filter(None, [*named, *(heading.title for heading in headings)]), "")
    return Extract(text, "tex", title, tuple(_blocks(text, headings)), notes=notes)


def _rst_headings(text: str) -> Iterator[_Heading]:
    """A line at the margin with a rule under it, or between two: levels go by which kind of rule came first.

    https://docutils.sourceforge.io/docs/ref/rst/restructuredtext.html#sections
    """
    lines, starts = ["", *text.split("\n")], [0, *line_starts(text)]
    kinds: list[tuple[str, bool]] = []
    for at in range(2, len(lines)):
        title, rule = lines[at - 1].rstrip(), lines[at].rstrip()
        if not title or len(rule) < min(len(title), 4) or not RULE.fullmatch(rule) or RULE.fullmatch(title):
            continue
        above = lines[at - 2].strip()
        over = above == rule
        if not over and (above or title[0].isspace()):
            continue
        kind = (rule[0], over)
        kinds += [] if kind in kinds else [kind]
        yield _Heading(
            starts[at - 2 if over else at - 1],
            starts[at] + len(rule),
            kinds.index(kind),
            _short(_ROLE.sub("", title)),
        )


def _is_comment(text: str, at: int) -> bool:
    return _COMMENT.search(text, text.rfind("\n", 0, at) + 1, at) is not None


def _plain(title: str) -> str:
    for pattern, instead in _MARKUP:
        title = pattern.sub(instead, title)
    return _short(title)


def _short(title: str) -> str:
    return " ".join(title.split())[:200]


def _blocks(text: str, headings: Iterable[_Heading]) -> Iterator[Block]:
    """Each heading, and what stands before the next one under its path."""
    path: list[tuple[int, str]] = []
    at, line = 0, 1
    for start, end, level, title in (*headings, _Heading(len(text), len(text), 0, "")):
        if text[at:start].strip():
            yield Block(at, start, "paragraph", Place(line=line, heading=tuple(name for _, name in path)))
        line += text.count("\n", at, start)
        if end > start:
            path = [*(one for one in path if one[0] < level), (level, title)]
            yield Block(start, end, "heading", Place(line=line, heading=tuple(name for _, name in path)))
        line += text.count("\n", start, end)
        at = end
