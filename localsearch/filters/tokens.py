"""The tokens of a query, read from left to right in time that grows with its length alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from localsearch.patterns import regex

Kind = Literal["word", "phrase", "clause", "(", ")", "AND", "OR", "NOT", "NEAR"]

NAME = r"[^\W\d][\w.-]*"
QUOTED = r'"(?:\\.|[^"\\])*+"'
_QUOTED = regex(QUOTED, re.DOTALL)
_CLAUSE = regex(rf"(?P<name>{NAME}|{QUOTED}):(?![:\s\\]|//)", re.DOTALL)
_OPERATOR = regex(r"(AND|OR|NOT)(?=[\s()]|$)|NEAR(?:/(\d{1,3}))?(?=[\s()]|$)")
_SLOP = regex(r"~(\d{1,3})(?=[\s)]|$)")
_SPACE = regex(r"\s*")
_PLAIN = regex(r'[^\s()"]+')
_MARKS = str.maketrans("“”„‟", '""""')
NEAR = 10
"""Words that may lie between what is NEAR, unless a number says otherwise."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a query: `sign` is the + or - in front, `name` the field of a clause, `within` the number after ~ or
    NEAR/."""

    kind: Kind
    text: str
    sign: str = ""
    name: str = ""
    within: int = 0


def cleaned(text: str) -> str:
    """With plain quotation marks, without NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.translate(_MARKS).replace("\0", " ").encode("utf-8", "replace").decode("utf-8")


def tokens(text: str, *, grouping: bool = True) -> Iterator[Token]:
    """The tokens of a text; without `grouping`, parentheses and AND, OR, NOT and NEAR are words as others are."""
    return iter(_Scanner(text, grouping))


class _Scanner:
    def __init__(self, text: str, grouping: bool) -> None:
        self.text = text
        self.at = 0
        self.grouping = grouping
        self.unpaired = len(text)
        """Where the first quotation mark stands that has no partner: nor has any after it."""

    def __iter__(self) -> Iterator[Token]:
        while self._skip():
            yield self._token()

    def _skip(self) -> bool:
        if found := _SPACE.match(self.text, self.at):
            self.at = found.end()
        return self.at < len(self.text)

    def _token(self) -> Token:
        if self.grouping and (mark := self._mark()):
            return mark
        start = self.at
        sign = self.text[start] if self.text[start] in "+-" else ""
        self.at += len(sign)
        if self.grouping and sign and self.text.startswith("(", self.at):
            self.at += 1
            return Token("(", "(", sign)
        if (found := self._clause(sign) or self._phrase(sign)) is not None:
            return found
        self.at = start
        word = self._run()
        if sign and word[1:2].isalnum():
            return Token("word", word[1:], sign)
        return Token("word", word)

    def _mark(self) -> Token | None:
        if self.text[self.at] in "()":
            self.at += 1
            return Token("(", "(") if self.text[self.at - 1] == "(" else Token(")", ")")
        found = _OPERATOR.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        if found[1]:
            kinds: dict[str, Kind] = {"AND": "AND", "OR": "OR", "NOT": "NOT"}
            return Token(kinds[found[1]], found[0])
        return Token("NEAR", found[0], within=int(found[2] or NEAR))

    def _clause(self, sign: str) -> Token | None:
        if self.text.startswith('"', self.at) and not (self.grouping and self._quoted(self.at)):
            return None
        found = _CLAUSE.match(self.text, self.at)
        if found is None:
            return None
        start, self.at = self.at, found.end()
        value = self._run(quotes=True)
        if not value or value.startswith("(") or '"' in _QUOTED.sub("", value):
            self.at = start
            return None
        return Token("clause", value, sign, found["name"])

    def _phrase(self, sign: str) -> Token | None:
        end = self._quoted(self.at)
        if not end:
            return None
        inner = unquoted(self.text[self.at : end])
        slop = _SLOP.match(self.text, end)
        self.at = slop.end() if slop else end
        while self.text[self.at : self.at + 1] in (",", ";", "."):
            self.at += 1
        return Token("phrase", inner, sign, within=int(slop[1]) if slop else 0)

    def _quoted(self, at: int) -> int:
        """Where the quotation that begins here ends; 0 for none."""
        if at >= self.unpaired or not self.text.startswith('"', at):
            return 0
        found = _QUOTED.match(self.text, at)
        if found is None:
            self.unpaired = at
        return found.end() if found else 0

    def _run(self, *, quotes: bool = False) -> str:
        """What goes on to the next space, or to a closing parenthesis that was not opened in it."""
        start, depth = self.at, 0
        while self.at < len(self.text) and not self.text[self.at].isspace():
            if plain := _PLAIN.match(self.text, self.at):
                self.at = plain.end()
                continue
            sign = self.text[self.at]
            depth += {"(": 1, ")": -1}.get(sign, 0)
            if self.grouping and depth < 0:
                break
            self.at = (quotes and self._quoted(self.at)) or self.at + 1
        return self.text[start : self.at]


def unquoted(text: str) -> str:
    """What stands between quotation marks."""
    return re.sub(r'\\(["\\])', r"\1", text[1:-1])
