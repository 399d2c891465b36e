"""The fields that every document has, and what values typed for a field mean.

Any other name is a field of the document's own metadata; dots go down into nested objects.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, cast

from localsearch import days
from localsearch.errors import FilterError
from localsearch.filters.tree import MAX_LENGTH, And, Equals, Filter, Match, Op, Or, Range, any_of
from localsearch.numbers import read_number
from localsearch.patterns import regex

Kind = Literal["text", "contains", "tags", "path", "name", "number", "date", "plain"]


@dataclass(frozen=True, slots=True)
class Field:
    """One built-in field: how it compares, its SQL over `documents AS d`, and the metadata names that speak for it.

    Text matches if the column or the metadata does. A number or date in the metadata wins over the column: it is
    what the author wrote, the column is what the file system said.
    """

    kind: Kind
    column: str
    keys: tuple[str, ...]


MAIL = ("eml", "emlx", "mbox", "msg", "pst")
"""Types of documents that are messages: their date is that on which they were sent, not that of the file."""
OWN_DATE = (
    f"(CASE WHEN d.type IN ({', '.join(map(repr, MAIL))}) THEN COALESCE(d.created, d.modified)"
    " ELSE COALESCE(d.modified, d.created) END)"
)
"""SQL over `documents AS d`: when a document is from, which `after:` and `before:` compare."""
FIELDS: dict[str, Field] = {
    "type": Field("text", "d.type", ("type",)),
    "language": Field("text", "d.language", ("language", "lang")),
    "collection": Field("text", "d.collection", ("collection",)),
    "id": Field("text", "d.key", ("id",)),
    "author": Field("contains", "d.author", ("author", "authors")),
    "title": Field("contains", "d.title", ("title",)),
    "tags": Field("tags", "d.tags", ("tags", "tag")),
    "path": Field("path", "d.path", ()),
    "name": Field("name", "d.path", ("name",)),
    "ext": Field("name", "d.path", ("ext",)),
    "size": Field("number", "d.size", ("size",)),
    "year": Field("number", "", ("year",)),
    "date": Field("date", OWN_DATE, ("date",)),
    "created": Field("date", "d.created", ("created",)),
    "modified": Field("date", "d.modified", ("modified",)),
    "indexed": Field("date", "d.indexed", ()),
}
SPOKEN = {
    "archive": "zip tar 7z rar gzip",
    "calendar": "calendar",
    "contact": "contacts",
    "doc": "doc docx odt rtf",
    "ebook": "epub mobi zim",
    "book": "epub mobi zim",
    "email": "eml emlx mbox msg pst",
    "mail": "eml emlx mbox msg pst",
    "excel": "xlsx xls ods csv tsv",
    "spreadsheet": "xlsx xls ods csv tsv",
    "sheet": "xlsx xls ods csv tsv",
    "htm": "html",
    "web": "html",
    "jpg": "image",
    "photo": "image",
    "picture": "image",
    "md": "markdown",
    "powerpoint": "pptx ppt odp",
    "presentation": "pptx ppt odp",
    "slides": "pptx ppt odp",
    "audio": "media",
    "music": "media",
    "video": "media",
    "txt": "text",
    "tex": "tex",
    "latex": "tex",
    "word": "docx doc odt rtf",
}
"""Types as people say them, with the type words that they mean. Any other word is a type, or the ending of a name."""
ALIASES = {"lang": "language", "tag": "tags"}
PLAIN = Field("plain", "", ())
BOUNDS: dict[str, Op] = {"after": ">=", "before": "<"}
"""Words that are a field and a comparison at once, on the document's date."""

ENDINGS = frozenset([
    "py", "js", "ts", "jsx", "tsx", "c", "h", "cc", "cpp", "hpp", "cs", "java", "kt", "scala", "go", "rs",
    "swift", "rb", "php", "pl", "lua", "r", "jl", "hs", "ml", "ex", "clj", "dart", "sh", "bash", "zsh", "ps1",
    "bat", "sql", "css", "scss", "vue", "yaml", "yml", "toml", "ini", "cfg", "conf", "proto", "tf", "diff",
    "patch", "log", "png", "jpeg", "gif", "webp", "tiff", "heic", "bmp", "svg", "mp3", "mp4", "m4a", "mov",
    "flac", "ogg", "wav", "ics", "vcf", "ipynb",
])  # fmt: skip
"""Words behind `type:` that are no types but endings of names."""
_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", start=1):
    _UNITS |= {
        _letter: 1000**_power,
        f"{_letter}b": 1000**_power,
        f"{_letter}i": 1024**_power,
        f"{_letter}ib": 1024**_power,
    }
_SIZE = regex(r"(\d{1,18}(?:\.\d{1,18})?)\s?([a-z]{0,3})", re.ASCII | re.IGNORECASE)
_PERIOD = regex(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)
_BEFORE_ALL = regex(r"(?:-\d{4,}|0000)(?:-.*)?", re.ASCII)
_AFTER_ALL = regex(r"\+?(?:\d{5,7}|\d{9,}|\d{5,}-.*)", re.ASCII)
"""Years that no calendar here has. Eight digits are a day."""
_AGO = regex(r"(\d{1,4})([dwmy])", re.ASCII)
_DATED = regex(r"\d{4}-\d{2}(-\d{2}([T ].*)?)?", re.ASCII | re.DOTALL)
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}


def canonical(name: str) -> str:
    """The one name of a field: `lang` and `language` are the same."""
    return ALIASES.get(name, name)


def describe(name: str) -> Field:
    """What is known about a field; a plain one for metadata."""
    return FIELDS.get(name, PLAIN)


def match(name: str, values: Sequence[str]) -> Filter:
    """The filter for `name:value,value` as typed. FilterError when a value has no meaning for the field."""
    field = describe(name)
    for value in values:
        check_text(name, value)
    if field.kind == "path":
        return Match(name, tuple(dict.fromkeys(path_pattern(value) for value in values)))
    if name == "type":
        return _of_type(values)
    if field.kind == "number":
        return Equals(name, tuple(dict.fromkeys(number(name, value) for value in values)))
    if field.kind == "date":
        return cast(Filter, any_of(_within(name, value) for value in values))
    return Match(name, tuple(dict.fromkeys(values)))


def _of_type(values: Sequence[str]) -> Filter:
    """Documents of these types: words as people say them stand for several, and `py` for what ends so."""
    types = [word for value in values for word in (value, *SPOKEN.get(value.lower(), "").split())]
    endings = [value for value in values if value.lower() in ENDINGS]
    asked: Filter = Match("type", tuple(dict.fromkeys(types)))
    return Or((asked, Match("ext", tuple(dict.fromkeys(endings))))) if endings else asked


def path_filter(pattern: str) -> Filter:
    """The filter for `path:pattern`. FilterError for one without a name."""
    return match("path", [pattern])


def compare(name: str, op: Op, text: str, *, quoted: bool = False) -> Filter:
    """The filter for `name:>text`. A date without a time is a whole day, month or year, so `>2024` starts in 2025."""
    check_text(name, text)
    kind = describe(name).kind
    if kind in ("tags", "path"):
        raise FilterError(f"{name} has no order, so {op} means nothing.", hint=f"Write {name}:{text}.")
    if kind == "number":
        return Range(name, op, number(name, text))
    if kind == "date":
        return _compare_period(name, op, period(text))
    if quoted:
        return Range(name, op, text)
    value = read_number(text)
    return compare_text(name, op, text) if value is None else Range(name, op, value)


def compare_text(name: str, op: Op, text: str) -> Filter:
    """Compare a metadata field with text, or with a date where the text is one in ISO 8601."""
    if _DATED.fullmatch(text):
        try:
            return _compare_period(name, op, period(text))
        except FilterError:
            pass
    return Range(name, op, text)


def bound(name: str, text: str) -> Filter:
    """The filter for `after:DATE` (that day or later) or `before:DATE` (earlier than its start)."""
    return Range("date", BOUNDS[name], period(text)[0])


def number(name: str, text: str) -> int | float:
    """A number, for size with a unit: 1mb is 1,000,000 bytes, 1mib is 1,048,576."""
    if (
        name == "size"
        and not text.isdigit()
        and (found := _SIZE.fullmatch(text))
        and found[2].lower() in _UNITS
    ):
        return _whole(float(found[1]) * _UNITS[found[2].lower()])
    if (value := read_number(text)) is not None:
        return value
    example = "size:>1mb" if name == "size" else f"{name}:2024"
    raise FilterError(f"{name}:{text} is not a number.", hint=f"Write it like {example}.")


def period(text: str) -> tuple[datetime, datetime]:
    """The instants at which a written date starts and ends (equal for one with a time), in UTC.

    Understands 2024, 2024-05, 2024-05-17, 2024-05-17T10:30[:00][+02:00], today, yesterday, and 7d, 2w, 3m, 1y ago.
    Days are those of the zone that holds (`days.in_zone`). Years before 1 and after 9999 are clamped.
    """
    if _BEFORE_ALL.fullmatch(text):
        return days.FIRST, days.FIRST
    if _AFTER_ALL.fullmatch(text):
        return days.LAST, days.LAST
    try:
        if text in ("today", "yesterday"):
            return _span(days.shifted(days.today(), -(text == "yesterday")))
        if ago := _AGO.fullmatch(text):
            return _span(days.shifted(days.today(), -int(ago[1]) * _DAYS[ago[2]]))
        if parts := _PERIOD.fullmatch(text):
            return _calendar(*(int(part) if part else None for part in parts.groups()))
        if len(text) == 8 and text.isdigit():
            return _span(date.fromisoformat(text))
        return (_instant(text),) * 2
    except ValueError:
        raise FilterError(
            f"{text} is not a date.", hint="Write it like 2024, 2024-05, 2024-05-17 or 7d (seven days ago)."
        ) from None


def check_text(name: str, text: str) -> None:
    """Refuse what no database can compare: NUL, lone surrogates, and text beyond the length limit."""
    if len(text) > MAX_LENGTH:
        raise FilterError(f"A value of {name} is longer than {MAX_LENGTH} characters.", hint="Shorten it.")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise FilterError(f"A value of {name} is not valid text.", hint="Send valid UTF-8 without NUL.")


def path_pattern(text: str) -> str:
    """A path pattern as it is compared: forward slashes, at most eight wildcards."""
    pattern = re.sub(r"\*+", "*", text.replace("\\", "/"))
    if not pattern.strip("/*") and pattern != "/":
        raise FilterError(
            "path: needs a folder or file name.", hint="Write it like path:reports/ or path:*.md."
        )
    if pattern.count("*") > 8:
        raise FilterError("A path may have at most eight *.", hint="Name a folder instead.")
    return pattern


def _whole(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _within(name: str, text: str) -> Filter:
    start, end = period(text)
    last: Filter = Range(name, "<=", end) if start == end else Range(name, "<", end)
    return And((Range(name, ">=", start), last))


def _compare_period(name: str, op: Op, span: tuple[datetime, datetime]) -> Filter:
    start, end = span
    if start == end or op in (">=", "<"):
        return Range(name, op, start)
    return Range(name, ">=" if op == ">" else "<", end)


def _calendar(year: int | None, month: int | None, day: int | None) -> tuple[datetime, datetime]:
    start = date(year or 1, month or 1, day or 1)
    if day:
        return _span(start)
    if month and (year, month) != (9999, 12):
        return days.day_start(start), days.day_start(date(start.year + month // 12, month % 12 + 1, 1))
    return days.day_start(start), days.year_start(start.year + 1)


def _span(day: date) -> tuple[datetime, datetime]:
    end = days.shifted(day, 1)
    return days.day_start(day), days.day_start(end) if end > day else days.LAST


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return days.utc(moment)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return days.FIRST if moment.year == 1 else days.LAST
