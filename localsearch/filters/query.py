"""What people type in a search box, read once into a frozen tree. docs/QUERIES.md has the table of it.

    either := both (OR both)*    both := run (AND run)*    run := ((NOT | - | +)* operand)*
    operand := "(" either ")" | clause | item (NEAR item)*    item := word | "phrase" | "phrase"~5 | pattern*

Without AND, OR, NOT and NEAR a query is one run, in which plain words rank and need not occur; with one of them every
word of it is a condition. A filter expression (--filter) is the same without words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace

from localsearch.errors import FilterError
from localsearch.filters.fields import BOUNDS, FIELDS, check_text
from localsearch.filters.jsonform import field_name
from localsearch.filters.language import clause, spelled
from localsearch.filters.tokens import Token, cleaned, tokens, unquoted
from localsearch.filters.tree import (
    MAX_CLAUSES,
    MAX_DEPTH,
    Filter,
    Holds,
    all_of,
    any_of,
    checked,
    held,
    leaves,
    negate,
    spelled_out,
    too_deep,
)
from localsearch.patterns import regex
from localsearch.text import normalize, unspaced
from localsearch.text.stopwords import STOP_WORDS

MOST_PATTERNS = 5
"""Patterns of a query: each is held against the words of the whole index."""
MOST_NAMES = 8
"""Names before a colon that are looked for among the fields: each costs a look at every document."""
LONGEST_PATTERN = 64
_OPERATORS = ("AND", "OR", "NOT", "NEAR")
_SIGNS_AROUND = ".,;:!\"'()[]{}<>"
_PATTERN = regex(r"[\w*?.'’-]+")
_WITHIN = regex(r"\*|(?<=\w)\?+(?=[\w*])")
_ASKS = regex(r"[\"():*~]|\?(?=[\w*])|(?<!\S)[+-]|\b(?:AND|OR|NOT|NEAR)\b")
"""What no query of plain words has: most are known by this one look."""
_TWO = regex(r"[^*?]{2}")
_SHARE = 6
"""In a longer text than people type, the words for each operator up to which it is a query rather than prose."""


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query taken apart: words to rank by, and the condition that documents must meet.

    `text` is what the meaning of the query is made from: words, phrases and patterns in the order typed, without what
    is turned away. `notes` say what was not taken as it may have been meant, and what is left out.
    """

    words: str = ""
    condition: Filter | None = None
    notes: tuple[str, ...] = ()
    text: str = ""

    @property
    def holds(self) -> list[Holds]:
        """What documents are asked to hold: they rank by it too."""
        return held(self.condition)

    @property
    def understood(self) -> str:
        """The query in words: what it asks for, then what it ranks by."""
        parts = [spelled_out(self.condition)] if self.condition is not None else []
        return "; ".join([*parts, f"ranked by: {self.words}"] if self.words else parts)


def _never(before: str, word: str) -> bool:
    return False


def parse_query(
    text: str, fields: Container[str] | None = None, stands: Callable[[str, str], bool] = _never
) -> ParsedQuery:
    """Take a query apart. Never fails: what the grammar does not take is searched as plain words, and a note says so.

    `fields`, if given, holds the metadata names that exist (`a` for `a.b` too): any other name before a colon is text.
    `stands` says whether a word stands with its minus in the texts, given the word before it: then it is no exclusion.
    """
    text = cleaned(text)
    if not _ASKS.search(text):
        words = " ".join(text.split())
        return ParsedQuery(words, text=words)
    found = list(tokens(text))
    joined = any(token.kind in _OPERATORS or (token.kind == "(" and token.sign) for token in found)
    notes = []
    if joined and _is_shouted(text, found):
        notes.append("AND, OR and NOT were searched as words, as all of the query is in capitals.")
        joined = False
    if not joined:
        found = list(tokens(text, grouping=False))
    reader = _Reader(found, joined, fields, stands, notes)
    try:
        condition = checked(reader.query())
    except FilterError as error:
        return ParsedQuery(text, notes=(*notes, f"{error.message} Searched as words."), text=text)
    reader.tell(condition)
    return ParsedQuery(
        " ".join(reader.words), condition, tuple(dict.fromkeys(reader.notes)), " ".join(reader.said)
    )


def is_typed(text: str, most: int) -> bool:
    """Whether a text is a query that somebody typed, of so many words or with operators all over, and not pasted."""
    words = text.split()
    if len(words) <= most:
        return True
    return sum(word.strip("()").partition("/")[0] in _OPERATORS for word in words) * _SHARE >= len(words)


def parse_filter(text: str) -> Filter | None:
    """Read a filter expression; None when it is blank.

    FilterError, with what to write instead, where it has no meaning; words and phrases belong in the query.
    """
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        check_text("the filter", "\0")
    return checked(_Reader(_bounded(tokens(cleaned(text))), True, None, _never, [], words=False).query())


def _bounded(found: Iterable[Token]) -> list[Token]:
    kept = []
    for token in found:
        kept.append(token)
        if len(kept) > 10 * MAX_CLAUSES:
            raise FilterError(
                f"A filter may have at most {MAX_CLAUSES} clauses.", hint="List values with commas."
            )
    return kept


def _is_shouted(text: str, found: Iterable[Token]) -> bool:
    """Whether all is in capitals, and holds a word such as THE, so that an AND in it means nothing."""
    words = [token.text for token in found if token.kind == "word"]
    return text.upper() == text and any(
        word.casefold() in STOP_WORDS["en"] and word.isalpha() for word in words
    )


def pattern(word: str) -> str:
    """The folded pattern that a word with `*`, or with `?` between letters, is; "" for one that is none.

    >>> pattern("Colo?r*"), pattern("where?"), pattern("2*3=6"), pattern("**")
    ('colo?r*', '', '', '')
    """
    core = word.strip(_SIGNS_AROUND).rstrip("?")
    if not _WITHIN.search(core) or len(core) > LONGEST_PATTERN or not _PATTERN.fullmatch(core):
        return ""
    pieces = [piece if piece in "*?" else normalize(piece) for piece in re.split(r"([*?])", core) if piece]
    folded = re.sub(r"\*+", "*", re.sub("['’-]", "", "".join(pieces)))
    return folded if any(map(str.isalnum, folded)) else ""


@dataclass(slots=True)
class _Run:
    """Clauses in a row: those of one field without a comparison mean any of them."""

    clauses: list[Filter] = field(default_factory=list)
    listed: dict[tuple[bool, str], list[Filter]] = field(default_factory=dict)

    def tree(self) -> Filter | None:
        joined = [(minus, any_of(clauses)) for (minus, _), clauses in self.listed.items()]
        return all_of([*(negate(part) if minus else part for minus, part in joined if part), *self.clauses])


class _Reader:
    """Recursive descent over the tokens. `joined` is whether words are conditions; without `words` they are errors."""

    def __init__(
        self,
        found: list[Token],
        joined: bool,
        fields: Container[str] | None,
        stands: Callable[[str, str], bool],
        notes: list[str],
        *,
        words: bool = True,
    ) -> None:
        self.tokens, self.at = found, 0
        self.joined, self.takes_words = joined, words
        self.fields, self.stands = fields, stands
        self.names: dict[str, bool] = {}
        self.patterns = 0
        self.before = ""
        self.notes = notes
        self.words: list[str] = []
        self.said: list[str] = []

    def query(self) -> Filter | None:
        """The whole condition."""
        tree = self._either(1, False)
        if self.at < len(self.tokens):
            raise FilterError(
                "A closing parenthesis has no partner.", hint="Remove it, or open one before it."
            )
        return tree

    def tell(self, condition: Filter | None) -> None:
        """Note what is left out, and how to ask for it instead."""
        gone = [leaf for leaf, wanted in leaves(condition) if not wanted]
        if not gone:
            return
        texts = [spelled_out(leaf) for leaf in gone]
        names = ", ".join(dict.fromkeys(texts[:5])) + (" …" if len(texts) > 5 else "")
        word = next((leaf.text for leaf in gone if isinstance(leaf, Holds)), "")
        hint = f' To search for such text instead, put it in quotation marks: "-{word}".' if word else ""
        self.notes.append(f"Left out, as asked: what has {names}.{hint}")
        if not self.words and not any(wanted for _, wanted in leaves(condition)):
            self.notes.append(
                "Nothing is asked for but what to leave out: all other documents, newest first."
            )

    def _peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _next_is(self, kind: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at].kind == kind

    def _either(self, depth: int, minus: bool) -> Filter | None:
        return self._series("OR", self._both, any_of, depth, minus)

    def _both(self, depth: int, minus: bool) -> Filter | None:
        return self._series("AND", self._run, all_of, depth, minus)

    def _series(
        self,
        word: str,
        read: Callable[[int, bool], Filter | None],
        join: Callable[[Iterable[Filter]], Filter | None],
        depth: int,
        minus: bool,
    ) -> Filter | None:
        parts = [read(depth, minus)]
        while self._next_is(word):
            self.at += 1
            parts.append(read(depth, minus))
        if len(parts) > 1 and None in parts:
            what = "something" if self.takes_words else "a clause"
            raise FilterError(f"{word} needs {what} on both sides.", hint=f"type:pdf {word} type:docx")
        return join(part for part in parts if part is not None)

    def _run(self, depth: int, outside: bool) -> Filter | None:
        if depth > MAX_DEPTH:
            raise too_deep()
        run, minus = _Run(), False
        while (token := self._peek()) is not None and token.kind not in (")", "AND", "OR"):
            self.at += 1
            if token.kind == "NOT":
                minus = not minus
                continue
            self._operand(run, token, depth, minus, outside)
            minus = False
        if minus:
            what = "something" if self.takes_words else "a clause"
            raise FilterError(f"NOT needs {what} after it.", hint="NOT type:pdf")
        return run.tree()

    def _operand(self, run: _Run, token: Token, depth: int, minus: bool, outside: bool) -> None:
        if token.kind == "NEAR":
            raise FilterError("NEAR stands between two words or phrases.", hint="rose NEAR/5 garden")
        signed = token.sign == "-"
        if token.kind == "clause" and (made := self._clause(token)) is not None:
            tree, listed = made
            if listed:
                run.listed.setdefault((minus != signed, spelled(token.name)), []).append(tree)
            else:
                run.clauses.append(negate(tree) if minus != signed else tree)
            return
        if token.kind == "(":
            inner: Filter | None = self._group(depth, outside != (minus != signed))
        else:
            token = self._as_text(token)
            signed = token.sign == "-"
            inner = self._item(token, minus != signed, outside)
        if inner is not None:
            run.clauses.append(negate(inner) if minus != signed else inner)

    def _group(self, depth: int, outside: bool) -> Filter:
        inner = self._either(depth + 1, outside)
        if not self._next_is(")"):
            raise FilterError("A parenthesis is not closed.", hint="Add ) where it ends.")
        self.at += 1
        if inner is None:
            raise FilterError("There is nothing between the parentheses.", hint="(type:pdf OR type:docx)")
        return inner

    def _clause(self, token: Token) -> tuple[Filter, bool] | None:
        """The filter of a clause, and whether it lists values; None for one that is to be searched as words."""
        quoted = token.name.startswith('"')
        try:
            name = field_name(unquoted(token.name)) if quoted else spelled(token.name)
            self._must_know(name)
            return clause(name, token.text)
        except FilterError as error:
            if not self.takes_words:
                raise
            written = f"{token.sign}{token.name}:{token.text}"
            self.notes.append(f"{error.message} {written} was searched as words.")
            return None

    def _must_know(self, name: str) -> None:
        if name in FIELDS or name in BOUNDS or self.fields is None:
            return
        if name not in self.names:
            if len(self.names) >= MOST_NAMES:
                raise FilterError(f"More than {MOST_NAMES} names before a colon are not looked for.")
            self.names[name] = name in self.fields or name.split(".")[0] in self.fields
        if not self.names[name]:
            raise FilterError(f"No document has a field {name}.")

    def _as_text(self, token: Token) -> Token:
        """The token with a sign that is part of the text put back into it."""
        if not self.takes_words:
            return token
        if token.kind == "clause":
            return Token("word", f"{token.sign}{token.name}:{token.text}".replace('"', " ").strip())
        if token.kind != "word" or not token.sign:
            return token
        word = token.text.strip(_SIGNS_AROUND)
        plain = token.text[0].isdigit() or (token.sign == "-" and word.isascii() and len(word) == 1)
        if not plain and token.sign == "-" and not pattern(token.text):
            plain = self.stands(self.before, token.text)
            if plain:
                self.notes.append(
                    f"-{word} stands so in the texts and was searched; NOT {word} leaves it out."
                )
        return replace(token, sign="", text=token.sign + token.text) if plain else token

    def _item(self, token: Token, minus: bool, outside: bool) -> Filter | None:
        """What a word or phrase asks for; None for a word that only ranks."""
        if not self.takes_words:
            raise _no_clause(token)
        self.before = token.text if token.kind == "word" else ""
        leaf = self._leaf(token)
        near = []
        while self._next_is("NEAR"):
            within = self.tokens[self.at].within
            self.at += 1
            other = self._peek()
            beside = (
                self._leaf(other) if other and other.kind in ("word", "phrase") and not other.sign else None
            )
            if leaf is None or beside is None or "pattern" in (leaf.kind, beside.kind):
                raise FilterError("NEAR stands between two words or phrases.", hint="rose NEAR/5 garden")
            self.at += 1
            near.append(Holds(leaf.text, "near", within, beside.text))
            self._say(leaf.text, minus != outside)
            leaf = beside
        if leaf is None:
            return None
        self._say(leaf.text, minus != outside)
        if near:
            return all_of(near)
        if leaf.kind == "word" and not (self.joined or token.sign or minus):
            self.words.append(leaf.text)
            return None
        return leaf

    def _say(self, text: str, gone: bool) -> None:
        if not gone:
            self.said.append(text)

    def _leaf(self, token: Token) -> Holds | None:
        if token.kind == "phrase":
            if any(map(pattern, token.text.split())):
                self.notes.append("In quotation marks * and ? are text, and stand for no letters.")
            return Holds(token.text, "phrase", token.within) if token.text.strip() else None
        text = token.text
        if text.startswith('"'):
            self.notes.append("A quotation mark has no partner and was ignored.")
            text = text.replace('"', "", 1)
        if found := pattern(text):
            if unspaced(found):
                return Holds(found.replace("*", ""), "phrase") if "?" not in found else Holds(text)
            self.patterns += 1
            if found[0] in "*?" and not _TWO.search(found):
                self.notes.append(
                    f"A pattern that begins with a wildcard needs two letters in a row; {text} was searched as a word."
                )
            elif self.patterns > MOST_PATTERNS:
                self.notes.append(f"Only {MOST_PATTERNS} patterns are taken; {text} was searched as a word.")
            else:
                return Holds(found, "pattern")
        return Holds(text) if text else None


def _no_clause(token: Token) -> FilterError:
    if token.kind == "phrase" or token.sign:
        return FilterError(
            f'"{token.text}" is no filter clause.', hint="Put words and phrases in the query itself."
        )
    return FilterError(
        f"{token.text[:60]} is no filter clause.",
        hint="A clause is like type:pdf; words belong in the query.",
    )
