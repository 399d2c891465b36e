"""The filter language that people type, in a search box, after --filter and in the web page.

    report type:pdf,docx after:2024-01-01 before:2025 path:reports/ author:"A B" size:>1mb -draft "exact phrase"

A clause is a name, a colon and a value with no space between. Values of one field separated by commas, or the same
field again, mean any of them; clauses of different fields all hold; a minus in front turns a clause, word or phrase
away.

    size:>1mb  size:1mb..2mb   comparisons and ranges, both ends included
    modified:2024-05           within that month; after:, before: and date: ask for the document's own date
    project:=alpha, year:=5    exactly this text, number, true or false
    author:*                   has an author

A filter expression (not the search box) may also join clauses with AND, OR, NOT and parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

from localsearch.errors import FilterError
from localsearch.filters.fields import (
    BOUNDS,
    FIELDS,
    bound,
    canonical,
    check_text,
    compare,
    describe,
    match,
)
from localsearch.filters.jsonform import field_name
from localsearch.filters.tree import (
    MAX_CLAUSES,
    MAX_DEPTH,
    And,
    Equals,
    Exists,
    Filter,
    Op,
    Scalar,
    all_of,
    any_of,
    checked,
    distinct,
    negate,
    too_deep,
)
from localsearch.numbers import read_number

_QUOTED = r'"(?:\\.|[^"\\])*+"'
NAME = r"[^\W\d][\w.-]*"
_IN_QUERY = re.compile(
    rf'\s+|(?P<minus>-?)(?:(?P<name>{NAME}):(?![:\s\\]|//)(?P<value>(?:{_QUOTED}|[^\s"])++)|(?P<phrase>{_QUOTED}))(?=\s|$)'
    rf"|(?P<word>\S+)",
    re.DOTALL,
)
_IN_FILTER = re.compile(
    rf'\s+|(?P<minus>-?)(?:(?P<name>{NAME}|{_QUOTED}):(?![:\s])(?P<value>(?:{_QUOTED}|[^\s"()])++)|(?P<phrase>{_QUOTED}))'
    rf"(?=[\s()]|$)|(?P<mark>-?\(|\)|(?:AND|OR|NOT)(?=[\s()]|$))|(?P<word>[^\s()]+)",
    re.DOTALL,
)
_VALUE = re.compile(r"(?P<op>[<>]=?|=)?(?P<rest>.*)", re.DOTALL)
_ITEM = re.compile(rf'(?:(?P<quoted>{_QUOTED})|(?P<bare>[^",]+))(?:,(?=.)|$)', re.DOTALL)
_RANGE = re.compile(r'(?P<low>[^".,]+(?:\.\d+[a-z]*)?)\.\.(?P<high>[^".,]+(?:\.\d+[a-z]*)?)')
_MARKS = str.maketrans("“”„‟", '""""')


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query taken apart: words to rank by, phrases that must occur, words and phrases that must not, and a filter.

    `text` is what the meaning of the query is made from: words and phrases in the order typed.
    """

    words: str
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    filter: Filter | None = None
    notes: tuple[str, ...] = ()
    text: str = ""


@dataclass(slots=True)
class _Parts:
    words: list[str] = field(default_factory=list)
    phrases: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    clauses: list[Filter] = field(default_factory=list)
    listed: dict[tuple[bool, str], list[Filter]] = field(default_factory=dict)

    def add_word(self, word: str) -> None:
        self.words.append(word)
        self.text.append(word)

    def add_phrase(self, phrase: str, minus: bool) -> None:
        if minus:
            self.excluded += [phrase] if phrase else []
        elif phrase:
            self.phrases.append(phrase)
            self.text.append(phrase)

    def add_clause(self, name: str, clause: Filter, *, minus: bool, listed: bool) -> None:
        if listed:
            self.listed.setdefault((minus, name), []).append(clause)
        else:
            self.clauses.append(negate(clause) if minus else clause)

    def tree(self) -> Filter | None:
        joined = [(minus, any_of(clauses)) for (minus, _), clauses in self.listed.items()]
        return all_of([*(negate(part) if minus else part for minus, part in joined if part), *self.clauses])

    def query(self, tree: Filter | None) -> ParsedQuery:
        return ParsedQuery(
            " ".join(self.words),
            tuple(dict.fromkeys(self.phrases)),
            tuple(dict.fromkeys(self.excluded)),
            tree,
            tuple(dict.fromkeys(self.notes)),
            " ".join(self.text),
        )


def parse_query(text: str, fields: Container[str] | None = None) -> ParsedQuery:
    """Take a query apart. Never fails: what does not parse is searched as plain words, and a note says so.

    `fields`, if given, holds the metadata names that exist (`a` for `a.b` too): any other name before a colon is text.
    """
    parts = _Parts()
    clean = text.translate(_MARKS).replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
    for token in _IN_QUERY.finditer(clean):
        if token["name"] is not None:
            _take_clause(parts, token, fields)
        elif token["phrase"] is not None:
            parts.add_phrase(_unquote(token["phrase"]), bool(token["minus"]))
        elif token["word"] is not None:
            _take_word(parts, token["word"])
    try:
        tree = checked(parts.tree())
    except FilterError as error:
        return ParsedQuery(clean, notes=(f"{error.message} Searched as words.",), text=clean)
    return parts.query(tree)


def _take_clause(parts: _Parts, token: re.Match[str], fields: Container[str] | None) -> None:
    name, raw = spelled(token["name"]), token["value"]
    known = (
        name in FIELDS or name in BOUNDS or fields is None or name in fields or name.split(".")[0] in fields
    )
    try:
        if not known:
            raise FilterError(f"No document has a field {name}.")
        clause, listed = _clause(name, raw)
    except FilterError as error:
        parts.notes.append(f"{error.message} {token[0]} was searched as words.")
        parts.add_word(token[0].replace('"', " ").strip())
        return
    parts.add_clause(name, clause, minus=bool(token["minus"]), listed=listed)


def _take_word(parts: _Parts, word: str) -> None:
    if word.startswith(('"', '-"')):
        parts.notes.append("A quotation mark has no partner and was ignored.")
        word = word.replace('"', "", 1)
    if word[0:1] == "-" and word[1:2].isalnum():
        parts.excluded.append(word[1:])
    elif word:
        parts.add_word(word)


def parse_filter(text: str) -> Filter | None:
    """Read a filter expression; None when it is blank.

    FilterError where it has no meaning, or has words to search for.
    """
    parsed = parse_expression(text)
    if parsed.phrases or parsed.excluded:
        word = (*parsed.phrases, *parsed.excluded)[0]
        raise FilterError(f'"{word}" is no filter clause.', hint="Put words and phrases in the query itself.")
    return parsed.filter


def parse_expression(text: str) -> ParsedQuery:
    """Read what follows --filter: clauses as in a query, `-word` and "phrases" too, joined by AND, OR, NOT and ( ).

    FilterError, with what to write instead, where it has no meaning; plain words belong in the query.
    """
    check = text.translate(_MARKS)
    if "\0" in check or any("\ud800" <= character <= "\udfff" for character in check):
        check_text("the filter", "\0")
    reader = _Reader(list(_tokens(check)))
    tree = reader.either(1)
    if reader.peek() is not None:
        raise FilterError("A closing parenthesis has no partner.", hint="Remove it, or open one before it.")
    return reader.parts.query(checked(tree))


def _tokens(text: str) -> Iterable[re.Match[str]]:
    for count, token in enumerate(token for token in _IN_FILTER.finditer(text) if not token[0].isspace()):
        if count > 10 * MAX_CLAUSES:
            raise FilterError(
                f"A filter may have at most {MAX_CLAUSES} clauses.", hint="List values with commas."
            )
        yield token


class _Reader:
    """Recursive descent over the tokens.

    either := both (OR both)*        both := run (AND run)*        run := ((NOT | -)* (clause | "(" either ")"))*
    """

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self.tokens = tokens
        self.parts = _Parts()

    def peek(self) -> str | None:
        return (self.tokens[0]["mark"] or "clause") if self.tokens else None

    def either(self, depth: int) -> Filter | None:
        return self._joined("OR", self._both, any_of, depth)

    def _both(self, depth: int) -> Filter | None:
        return self._joined("AND", self._run, all_of, depth)

    def _joined(
        self,
        word: str,
        read: Callable[[int], Filter | None],
        join: Callable[[Iterable[Filter]], Filter | None],
        depth: int,
    ) -> Filter | None:
        parts = [read(depth)]
        while self.peek() == word:
            self.tokens.pop(0)
            parts.append(read(depth))
        if len(parts) > 1 and None in parts:
            raise FilterError(f"{word} needs a clause on both sides.", hint=f"type:pdf {word} type:docx")
        return join(part for part in parts if part is not None)

    def _run(self, depth: int) -> Filter | None:
        if depth > MAX_DEPTH:
            raise too_deep()
        run = _Parts()
        minus = False
        while (mark := self.peek()) not in (None, ")", "AND", "OR"):
            token = self.tokens.pop(0)
            if mark == "NOT":
                minus = not minus
                continue
            if mark == "clause":
                self._clause(run, token, minus)
            else:
                inner = self._group(depth)
                run.clauses.append(negate(inner) if minus != (mark == "-(") else inner)
            minus = False
        if minus:
            raise FilterError("NOT needs a clause after it.", hint="NOT type:pdf")
        return run.tree()

    def _group(self, depth: int) -> Filter:
        inner = self.either(depth + 1)
        if self.peek() != ")":
            raise FilterError("A parenthesis is not closed.", hint="Add ) where it ends.")
        self.tokens.pop(0)
        if inner is None:
            raise FilterError("There is nothing between the parentheses.", hint="(type:pdf OR type:docx)")
        return inner

    def _clause(self, run: _Parts, token: re.Match[str], minus: bool) -> None:
        minus = minus != bool(token["minus"])
        if token["name"] is not None:
            quoted = token["name"].startswith('"')
            name = field_name(_unquote(token["name"])) if quoted else spelled(token["name"])
            clause, listed = _clause(name, token["value"])
            run.add_clause(name, clause, minus=minus, listed=listed)
        elif token["phrase"] is not None:
            self.parts.add_phrase(_unquote(token["phrase"]), minus)
        else:
            self._word(token["word"], minus)

    def _word(self, word: str, minus: bool) -> None:
        if word[0:1] == "-" and word[1:2].isalnum():
            word, minus = word[1:], not minus
        if not minus:
            raise FilterError(
                f"{word[:60]} is no filter clause.",
                hint="A clause is like type:pdf; words belong in the query.",
            )
        self.parts.excluded.append(word)


def spelled(name: str) -> str:
    """The field a person means: built-in names in any case, metadata names as written."""
    lower = canonical(name.lower())
    return lower if lower in FIELDS or lower in BOUNDS else name


def _clause(name: str, raw: str) -> tuple[Filter, bool]:
    """The filter for one `name:value`, and whether it lists values, so that the same field again means "or"."""
    parts = _VALUE.fullmatch(raw)
    op, rest = (parts["op"], parts["rest"]) if parts else (None, raw)
    if name in BOUNDS:
        return bound(name, _single(name, raw)[0]), False
    if op == "=":
        return Equals(name, _literals(name, rest)), True
    if op:
        text, quoted = _single(name, rest)
        return compare(name, _op(op), text, quoted=quoted), False
    if rest == "*":
        return Exists(name), False
    kind = describe(name).kind
    if kind not in ("path", "tags", "text", "contains") and (span := _RANGE.fullmatch(rest)):
        low, high = compare(name, ">=", span["low"]), compare(name, "<=", span["high"])
        return And((low, high)), True
    return match(name, [text for text, _ in _items(name, rest)]), True


def _op(text: str) -> Op:
    ops: dict[str, Op] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}
    return ops[text]


def _items(name: str, raw: str) -> list[tuple[str, bool]]:
    """The values in `a,"b c"`, each with whether it was quoted."""
    found: list[tuple[str, bool]] = []
    at = 0
    while at < len(raw):
        item = _ITEM.match(raw, at)
        if item is None:
            raise FilterError(f"{name}:{raw[:60]} does not parse.", hint=f'Write it like {name}:a,"b c".')
        quoted = item["quoted"] is not None
        found.append((_unquote(item["quoted"]) if quoted else item["bare"], quoted))
        at = item.end()
    if not found:
        raise FilterError(f"{name}: has no value.", hint=f'Write it like {name}:value or {name}:"two words".')
    return found


def _single(name: str, raw: str) -> tuple[str, bool]:
    items = _items(name, raw)
    if len(items) > 1:
        raise FilterError(f"{name}:{raw[:60]} compares with several values.", hint="Compare with one value.")
    return items[0]


def _literals(name: str, raw: str) -> tuple[Scalar, ...]:
    if raw == "[]":
        return ()
    values = [(text if quoted else literal(text)) for text, quoted in _items(name, raw)]
    for value in values:
        check_text(name, str(value))
    return distinct(values)


def literal(text: str) -> Scalar:
    """What an unquoted value after `:=` is: a number, true, false, or text."""
    if text in ("true", "false"):
        return text == "true"
    value = read_number(text)
    return text if value is None else value


def _unquote(text: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", text[1:-1])
