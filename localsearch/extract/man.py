"""Manual pages: roff source with the requests of man(7) and mdoc(7) read as headings and paragraphs.

No library in Python reads roff, and a program cannot be counted on; so this knows the requests that pages are made of
and drops the rest.
"""

from __future__ import annotations

import re

from localsearch.extract.builder import Builder
from localsearch.extract.decode import decode
from localsearch.extract.limits import failure
from localsearch.types import Extract, Place

_FONT = re.compile(
    r"\\f(?:\[[^\]]{0,80}\]|\(..|.)|\\s[+-]?\d|\\[&|^/,%:cdru{}]|\\(?:m|F|n|k|\*)(?:\[[^\]]{0,80}\]|\(..|.)|\\[hvwloD]'[^']{0,200}'"
)
_ESCAPED = re.compile(r"\\(.)")
_LITERAL = {"e": "\\", "0": " ", "~": " ", "t": "\t"}
_ARGUMENT = re.compile(r'"((?:[^"]|"")*)"?|((?:\\.|[^\s"\\]|(?<=\S)")+)')
_NAMED = re.compile(r"\\\((..)|\\\[([^\]]*)\]")
_SIGNS = {"aq": "'", "dq": '"', "em": "—", "en": "–", "hy": "-", "bu": "•", "co": "©", "lq": "“", "rq": "”", "oq": "‘",
          "cq": "’", "rs": "\\", "ti": "~", "ha": "^", "ga": "`", "mi": "-", "->": "→", "<-": "←", ">=": "≥", "<=": "≤",
          "aa": "´", "at": "@", "sh": "#", "Do": "$", "pl": "+", "mu": "×", "tm": "™", "rg": "®"}  # fmt: skip
_PARAGRAPHS = frozenset(["PP", "P", "LP", "TP", "IP", "HP", "TQ", "Pp", "sp", "RS", "RE", "Bl", "El", "Lp"])
_FONTS = frozenset(["B", "I", "R", "SM", "SB"])
_ALTERNATING = frozenset(["BR", "RB", "IR", "RI", "BI", "IB"])
_MDOC_DROPPED = frozenset(
    ["Bd", "Ed", "Bk", "Ek", "Os", "Dt", "Sm", "Bf", "Ef", "Rs", "Re", "Oo", "Oc", "Xo", "Xc"]
)
_SILENT = frozenset(
    [
        "TH",
        "Dd",
        "Os",
        "ad",
        "na",
        "nh",
        "hy",
        "if",
        "ie",
        "el",
        "ds",
        "nr",
        "de",
        "ft",
        "fam",
        "ne",
        "ta",
        "so",
        "ig",
        "ll",
        "in",
        "ti",
        "UE",
        "ME",
        "PD",
        "tr",
        "rm",
        "mso",
        "lf",
        "cs",
        "ps",
        "vs",
        "DT",
        "RE",
    ]
)


def read_man(data: bytes, limit: int) -> Extract:
    """A manual page with its sections as headings and the lines of its source as places."""
    page = _Page(Builder(limit))
    for number, line in enumerate(decode(data)[0].split("\n"), 1):
        page.take(line, number)
    page.close()
    if page.builder.empty and page.refers:
        raise failure("empty", f"it only refers to the page {page.refers}")
    return page.builder.extract("man", title=page.title)


class _Page:
    """Reads requests line by line and gathers filled text between them."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.title = ""
        self.refers = ""
        self._words: list[str] = []
        self._line = 0
        self._verbatim = False
        self._heading = 0
        self._skipping = ""

    def take(self, line: str, number: int) -> None:
        if self._skipping:
            ended = line.startswith(".") and line[1:].strip() == self._skipping
            self._skipping = "" if ended else self._skipping
        elif line.startswith((".", "'")) and not line.startswith("..."):
            self._request(line[1:].strip(), number)
        elif not line.strip() and not self._verbatim:
            self.close()
        else:
            self._say(line, number)

    def close(self) -> None:
        """End the paragraph that is open."""
        text = ("\n" if self._verbatim else " ").join(self._words)
        self._words = []
        self.builder.add(text, "code" if self._verbatim else "paragraph", Place(line=self._line))

    def _request(self, line: str, number: int) -> None:
        name, _, rest = line.partition(" ")
        if name in ("TH", "Dt"):
            words = [_plain(word) for word in _arguments(rest)]
            self.title = f"{words[0].lower()}({words[1]})" if len(words) > 1 else " ".join(words).lower()
        elif name in ("SH", "SS", "Sh", "Ss"):
            self._section(1 if name[1] in "Hh" else 2, rest, number)
        elif name == "so":
            self.refers = rest.strip()
        elif name in ("nf", "EX", "fi", "EE"):
            self.close()
            self._verbatim = name in ("nf", "EX")
        elif name in ("de", "ig", "am"):
            marks = rest.split('\\"')[0].split()[0 if name == "ig" else 1 :]
            self._skipping = marks[0] if marks else "."
        elif name in _PARAGRAPHS:
            self.close()
            if name in ("IP",) and rest:
                self._say(_arguments(rest)[0], number)
        elif name in _FONTS or name in _ALTERNATING:
            words = _arguments(rest)
            self._say(("" if name in _ALTERNATING else " ").join(words), number)
        elif name == "UR" or name == "MT":
            self._say(rest, number)
        elif name and not name.startswith('\\"') and name not in _SILENT and name not in _MDOC_DROPPED:
            self._mdoc(name, rest, number)

    def _section(self, level: int, rest: str, number: int) -> None:
        self.close()
        self._verbatim = False
        if rest:
            self.builder.heading(level, _plain(" ".join(_arguments(rest))), Place(line=number))
            self._heading = 0
        else:
            self._heading = level

    def _mdoc(self, name: str, rest: str, number: int) -> None:
        """Any other request of mdoc(7): its arguments, without the names of the requests among them."""
        if name == "It":
            self.close()
        if not re.fullmatch(r"[A-Z][a-z]", name):
            return
        words = [word for word in _arguments(rest) if not re.fullmatch(r"[A-Z][a-z]", word)]
        dash = "—" if name == "Nd" else "-" if name == "Fl" else ""
        self._say(f"{dash}{' ' if dash == '—' else ''}{' '.join(words)}" if words else dash, number)

    def _say(self, text: str, number: int) -> None:
        text = _plain(text)
        if self._heading and text.strip():
            self.builder.heading(self._heading, text, Place(line=number))
            self._heading = 0
            return
        if not self._words:
            self._line = number
        if text.strip() or self._verbatim:
            self._words.append(text if self._verbatim else text.strip())


def _plain(text: str) -> str:
    """Text without escapes for fonts and sizes, named signs written out."""
    if "\\" not in text:
        return text
    text = _FONT.sub("", text.split('\\"', 1)[0])
    text = _NAMED.sub(lambda match: _SIGNS.get(match.group(1) or match.group(2), ""), text)
    return _ESCAPED.sub(lambda match: _LITERAL.get(match.group(1), match.group(1)), text)


def _arguments(text: str) -> list[str]:
    """Arguments of a request, quoted ones as one; a quote inside quotes is written twice."""
    found = (quoted.replace('""', '"') or bare for quoted, bare in _ARGUMENT.findall(text))
    return [word for word in found if word] or [""]
