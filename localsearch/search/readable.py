"""The text of a snippet as a person would read it: markup is taken out, and the places of the matches move along."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from localsearch.patterns import regex
from localsearch.search.snippets import BLOCK

Highlights: TypeAlias = tuple[tuple[int, int], ...]
Rule: TypeAlias = tuple[re.Pattern[str], Callable[[re.Match[str]], str | int]]
"""What is taken out: a text that takes its place, or the number of the group that stays."""

DOT = " · "
_TAG: Rule = (regex(r"</?[a-zA-Z][\w:-]*(?:\s[^<>]{0,300})?/?>|<!--.*?-->"), lambda _: " ")
_ENTITY: Rule = (
    regex(r"&(?:#\d{1,7}|#x[\da-f]{1,6}|[a-z]\w{1,30});", re.I),
    lambda m: html.unescape(m[0]),
)
_CELLS: Rule = (regex(r"\s*\|(?:\s*\|)*\s*"), lambda _: DOT)
_MARKDOWN: tuple[Rule, ...] = (
    (regex(r"\|?(?:\s*:?-{3,}:?\s*\|)+(?:\s*:?-{3,}:?)?"), lambda _: " "),
    (regex(r"!?\[([^\[\]]{0,300})\]\((?:[^()\s]{0,500})(?:\s+\"[^\"]*\")?\)"), lambda _: 1),
    (regex(r"(?<!\S)#{1,6}\s+"), lambda _: ""),
    (regex(r"(?<!\S)>\s+"), lambda _: ""),
    (regex(r"(?<=[.:;!?)`])\s+[-*+]\s+(?=\S)(?:\[[ xX]\]\s+)?"), lambda _: DOT),
    (regex(r"(?<=\w)\s+-\s+(?=\*\*|[A-Z`])"), lambda _: DOT),
    (regex(r"(?:^|(?<=· ))[-*+]\s+(?:\[[ xX]\]\s+)?"), lambda _: ""),
    (regex(r"\s[-*+]\s*(?=…$)"), lambda _: ""),
    (regex(r"```\w*|`"), lambda _: ""),
    (regex(r"\*\*|~~|(?<!\w)__(?=\w)|(?<=\w)__(?!\w)"), lambda _: ""),
    (regex(r"(?<![\w*])\*(?=[^\s*])|(?<=[^\s*])\*(?![\w*])"), lambda _: ""),
    _CELLS,
)
_HTML: tuple[Rule, ...] = (_TAG, _ENTITY)
_LATEX: tuple[Rule, ...] = (
    (regex(r"(?<!\\)%[^\n]{0,200}$"), lambda _: ""),
    (
        regex(r"\\(?:begin|end|label|ref|cite\w*|usepackage|documentclass)\*?(?:\[[^\]]*\])?\{[^{}]*\}"),
        lambda _: " ",
    ),
    (regex(r"\\[a-zA-Z]+\*?(?:\[[^\]]*\])?\s?"), lambda _: ""),
    (regex(r"\\([%&#_${}])"), lambda _: 1),
    (regex(r"[{}$]"), lambda _: ""),
    (regex(r"~|\s*&\s*|\\\\"), lambda _: " "),
)
_UNDERLINE: Rule = (regex(r"\s*([=~^\"'#*+-])\1{3,}\s*"), lambda _: DOT)
_RULES: Mapping[str, tuple[Rule, ...]] = {
    **dict.fromkeys(("markdown", "notebook"), (*_MARKDOWN, *_HTML)),
    **dict.fromkeys(("html", "eml", "emlx", "msg", "mbox", "pst", "epub", "mobi", "enex"), _HTML),
    **dict.fromkeys(("tex", "latex"), _LATEX),
    **dict.fromkeys(
        ("csv", "tsv", "xlsx", "xls", "ods", "sqlite", "parquet", "docx", "odt", "pdf"), (_CELLS,)
    ),
    "rst": (_UNDERLINE, (regex(r"``?|\*\*"), lambda _: "")),
    "text": (_UNDERLINE,),
}
"""Rules by type; a text of another type is read as it stands."""
_BLOCKS = regex(BLOCK)
_DOTS: Rule = (regex(r"\s*·(?:\s*·)+\s*"), lambda _: DOT)
_EDGES: Rule = (regex(r"(?:^|(?<=^…))\s*·\s*|\s*·\s*(?=…?$)"), lambda _: "")
"""A dot with nothing before or after it."""
_ENDS = ".!?…:;,。！？：；，、·|"
_SPACES = regex(r"\s{2,}|^\s+|\s+$")


def readable(text: str, highlights: Highlights, type: str) -> tuple[str, Highlights]:
    """The text without the markup of its type, in one line, and the highlights at their new places.

    >>> readable("## In the *fridge*", ((11, 17),), "markdown")
    ('In the fridge', ((7, 13),))
    """
    text, highlights = _replaced(text, highlights, list(_between(text, type in _RULES)))
    for pattern, instead in (*_RULES[type], _DOTS, _EDGES) if type in _RULES else ():
        text, highlights = _replaced(text, highlights, list(_cuts(pattern, instead, text)))
    if type in _RULES:
        cuts = [
            (m.start(), m.end(), "" if m.start() == 0 or m.end() == len(text) else " ")
            for m in _SPACES.finditer(text)
        ]
        text, highlights = _replaced(text, highlights, cuts)
    return text, highlights


def _between(text: str, prose: bool) -> Iterator[tuple[int, int, str]]:
    """What stands between blocks: a dot in prose, where a block ends without one and no sentence goes on."""
    for found in _BLOCKS.finditer(text):
        low, high = found.span()
        goes_on = text[high : high + 1].islower() or text[max(low - 1, 0) : low] in _ENDS
        yield low, high, " " if goes_on or not prose else DOT


def _cuts(
    pattern: re.Pattern[str], instead: Callable[[re.Match[str]], str | int], text: str
) -> Iterator[tuple[int, int, str]]:
    """Stretches of the text with what takes their place, ascending."""
    for found in pattern.finditer(text):
        stays = instead(found)
        if isinstance(stays, int):
            yield found.start(), found.start(stays), ""
            yield found.end(stays), found.end(), ""
        else:
            yield found.start(), found.end(), stays


def _replaced(text: str, highlights: Highlights, cuts: list[tuple[int, int, str]]) -> tuple[str, Highlights]:
    """The text with each stretch replaced; a highlight shrinks to what is left of it, and goes where nothing is."""
    if not cuts:
        return text, highlights
    pieces, at, moved, shift = [], 0, [0], 0
    for start, end, new in cuts:
        pieces += [text[at:start], new]
        shift += len(new) - (end - start)
        moved.append(shift)
        at = end
    starts, ends = [start for start, _, _ in cuts], [end for _, end, _ in cuts]

    def place(old: int, *, low: bool) -> int:
        n = bisect_right(ends, old)
        if n < len(cuts) and starts[n] < old:
            return starts[n] + moved[n] + (len(cuts[n][2]) if low else 0)
        return old + moved[n]

    both = ((place(low, low=True), place(high, low=False)) for low, high in highlights)
    return "".join([*pieces, text[at:]]), tuple(pair for pair in both if pair[0] < pair[1])
