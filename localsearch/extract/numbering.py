"""Labels of numbered paragraphs in DOCX, "4.2" or "b)", which stand in no run: counted as Word counts them.

Reference: ECMA-376 part 1, 17.9 (numbering). The part is large and few of its lists are in use, so it is not parsed
whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from html import unescape

_ABSTRACT = re.compile(
    r"""<(?:\w+:)?abstractNum\s[^>]*?\babstractNumId\s*=\s*["'](\d+)["'][^>]*>(.*?)</(?:\w+:)?abstractNum\s*>""",
    re.S,
)
_NUM = re.compile(r"""<(?:\w+:)?num\s[^>]*?\bnumId\s*=\s*["'](\d+)["'][^>]*>(.*?)</(?:\w+:)?num\s*>""", re.S)
_LEVEL = re.compile(r"""<(?:\w+:)?lvl\s[^>]*?\bilvl\s*=\s*["'](\d)["'][^>]*>(.*?)</(?:\w+:)?lvl\s*>""", re.S)
_OVERRIDE = re.compile(
    r"""<(?:\w+:)?lvlOverride\s[^>]*?\bilvl\s*=\s*["'](\d)["'][^>]*>(.*?)</(?:\w+:)?lvlOverride\s*>""", re.S
)
_SAYS = re.compile(r"""<(?:\w+:)?(\w+)(?:\s[^>]*?\bval\s*=\s*(["'])(.*?)\2[^>]*)?/?>""", re.S)
_PLACE = re.compile(r"%([1-9])")
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
          (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
BULLET = "-"


def _letter(number: int) -> str:
    return chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)


def _roman(number: int) -> str:
    text = ""
    for value, letters in _ROMAN:
        text += letters * (number // value)
        number %= value
    return text


def _ordinal(number: int) -> str:
    teen = 10 < number % 100 < 14
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


FORMATS: Mapping[str, Callable[[int], str]] = {
    "decimal": str,
    "decimalZero": lambda number: f"{number:02}",
    "lowerLetter": _letter,
    "upperLetter": lambda number: _letter(number).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda number: _roman(number).upper(),
    "ordinal": _ordinal,
    "none": lambda _: "",
}
"""How numbers are written; a list in another way has a bullet here, as a wrong number would be worse."""


@dataclass(slots=True)
class _Level:
    """One level of a list: first number, how it is written, the text around it, its style, after what it restarts."""

    start: int = 0
    format: str = "decimal"
    text: str = ""
    style: str = ""
    restart: int | None = None
    arabic: bool = False


@dataclass(slots=True)
class _List:
    """A list's levels, and the numbers that were given last."""

    levels: dict[int, _Level]
    counts: dict[int, int] = field(default_factory=dict)


class Numbering:
    """The lists of a document, counted from its start to its end."""

    def __init__(self, text: str) -> None:
        self._abstract = dict(_ABSTRACT.findall(text))
        self._nums = dict(_NUM.findall(text))
        self._lists: dict[str, _List] = {}
        self._begun: dict[str, _List] = {}

    def label(self, id: str, level: str, style: str = "") -> str:
        """The label of the next paragraph of a list on a level (from "0"; "": that of its style); "" for none."""
        found = self._list(id)
        if found is None:
            return ""
        at = (
            int(level)
            if level.isdigit()
            else next((n for n, one in found.levels.items() if one.style == style), 0)
        )
        own = found.levels.get(at)
        if own is None or own.format == "bullet":
            return BULLET
        for above in range(at):
            found.counts.setdefault(above, found.levels.get(above, _Level()).start)
        found.counts[at] = found.counts[at] + 1 if at in found.counts else own.start
        for deeper in [n for n in found.counts if n > at]:
            restart = found.levels[deeper].restart if deeper in found.levels else None
            if restart is None or at < restart:
                del found.counts[deeper]
        return self._written(found, own)

    def _written(self, found: _List, own: _Level) -> str:
        def number(place: re.Match[str]) -> str:
            at = int(place[1]) - 1
            level = found.levels.get(at, _Level())
            return FORMATS["decimal" if own.arabic else level.format](found.counts.get(at, level.start))

        used = [found.levels.get(int(at) - 1, _Level()).format for at in _PLACE.findall(own.text)]
        return BULLET if any(one not in FORMATS for one in used) else _PLACE.sub(number, own.text).strip()

    def _list(self, id: str) -> _List | None:
        """The list behind a number; those of one definition are counted on, unless one of them begins anew."""
        if id not in self._begun and id in self._nums:
            said = _said(_OVERRIDE.sub("", self._nums[id]))
            name = said.get("abstractNumId", "")
            if name not in self._lists:
                self._lists[name] = _List(_levels(self._definition(name)))
            self._begun[id] = _changed(self._lists[name], dict(_OVERRIDE.findall(self._nums[id])))
        return self._begun.get(id)

    def _definition(self, name: str) -> str:
        """The text of a definition; of one that only names a style, that of the style's list."""
        text: str = self._abstract.get(name, "")
        style = _said(text).get("numStyleLink") if not _LEVEL.search(text) else None
        others = (
            one for one in self._abstract.values() if style and _said(one[:1000]).get("styleLink") == style
        )
        return next(others, text)


def _changed(shared: _List, overrides: Mapping[str, str]) -> _List:
    """A list with levels of its own, which counts on, or one that begins anew on some levels and counts for itself."""
    levels, counts = dict(shared.levels), dict(shared.counts)
    for place, text in overrides.items():
        at, start = int(place), _said(text).get("startOverride", "")
        level = _levels(text).get(at) or levels.get(at, _Level())
        if start.isdigit():
            level = replace(level, start=int(start))
            counts.pop(at, None)
        levels[at] = level
    alone = any("startOverride" in text for text in overrides.values())
    return _List(levels, counts if alone else shared.counts)


def _levels(text: str) -> dict[int, _Level]:
    return {int(at): _level(_said(body)) for at, body in _LEVEL.findall(text)}


def _level(said: Mapping[str, str]) -> _Level:
    start, restart = said.get("start", "0"), said.get("lvlRestart", "")
    return _Level(
        int(start) if start.isdigit() else 0,
        said.get("numFmt", "decimal"),
        said.get("lvlText", ""),
        said.get("pStyle", ""),
        int(restart) if restart.isdigit() else None,
        "isLgl" in said and said["isLgl"] not in ("0", "false"),
    )


def _said(text: str) -> dict[str, str]:
    """Values of the elements in a piece of the part by their names, the first of each."""
    return {name: unescape(value) for name, _, value in reversed(_SAYS.findall(text))}
