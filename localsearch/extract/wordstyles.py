"""Styles of paragraphs in DOCX: which are headings, and which are numbered."""

from __future__ import annotations

import re
from html import unescape

_BEGINS = re.compile(r"""<(?:\w+:)?style\s[^>]*?\bstyleId\s*=\s*["']([^"'>]*)["'][^>]*(?<!/)>""")
_ENDS = re.compile(r"</(?:\w+:)?style\s*>")
_SAYS = re.compile(r"""<(?:\w+:)?(name|basedOn|outlineLvl|numId|ilvl)\s[^>]*?\bval\s*=\s*["']([^"'>]*)["']""")


class Styles:
    """What a paragraph's style makes of it: a heading, an item of a list. The part is large, and little needed."""

    def __init__(self, text: str) -> None:
        self._by_id: dict[str, str] = {}
        self._levels: dict[str, int] = {}
        self._numbered: dict[str, tuple[str, str, str]] = {}
        for piece in _ENDS.split(text):
            if begin := _BEGINS.search(piece):
                self._by_id[unescape(begin[1])] = piece[begin.end() :]

    def level(self, id: str) -> int:
        """Level of the heading that this style is for, 0 for none."""
        if id not in self._levels:
            self._levels[id] = self._level(id)
        return self._levels[id]

    def numbering(self, id: str) -> tuple[str, str, str]:
        """Number of the list that a style's paragraphs are in, its level, the style that says so; "" for none."""
        if id not in self._numbered:
            self._numbered[id] = self._numbering(id)
        return self._numbered[id]

    def _numbering(self, id: str) -> tuple[str, str, str]:
        for _ in range(12):
            said = dict(reversed(_SAYS.findall(self._by_id.get(id, ""))))
            if "numId" in said:
                return said["numId"], said.get("ilvl", ""), id
            id = unescape(said.get("basedOn", ""))
        return "", "", ""

    def _level(self, id: str) -> int:
        for _ in range(12):
            style = self._by_id.get(id, "")
            said = dict(reversed(_SAYS.findall(style)))
            name = said.get("name", "").lower()
            if name == "title":
                return 1
            if name.startswith("heading ") and name[8:].isdigit():
                return min(int(name[8:]), 9)
            outline = said.get("outlineLvl", "")
            if outline.isdigit():
                return int(outline) + 1 if int(outline) < 9 else 0
            id = unescape(said.get("basedOn", ""))
        return 0
