"""Metadata fields under the names and in the forms that filters use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from localsearch.extract.decode import clean

LONGEST = 2000
"""Characters kept of one metadata value; a tenth of it of one inside a list."""
MOST = 50
"""Values kept of one list or mapping."""

UNREAD = "unread"
"""The field of what is no field or no date: words of the document all the same."""

_NAMES = {
    "authors": "author",
    "creator": "author",
    "by": "author",
    "date": "created",
    "date_created": "created",
    "published": "created",
    "pubdate": "created",
    "lang": "language",
    "updated": "modified",
    "lastmod": "modified",
    "last_modified": "modified",
    "date_modified": "modified",
    "keywords": "tags",
    "tag": "tags",
    "categories": "tags",
}
_SAYS = re.compile(r"[1-9]|[^\W\d]")
"""What a date that was never set, such as 0000:00:00, has not."""
_PDF_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([Zz+-])(?:(\d\d)'?(\d\d)?)?)?")


def front_matter(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Metadata under our own names, in plain bounded values; dates as ISO 8601, tags as a list."""
    fields: dict[str, Any] = {}
    for key, value in list(values.items())[:MOST]:
        name = str(key).strip().lower().replace("-", "_").replace(" ", "_")[:100]
        kept = plain(value)
        if name and kept not in (None, "", [], {}):
            _add(fields, name, kept)
    return {name: value for name, value in _typed(fields).items() if value not in ("", [])}


def _add(fields: dict[str, Any], name: str, value: Any) -> None:
    """Under our own name; a second field of that name keeps its own, but for tags, which join."""
    ours = _NAMES.get(name, name)
    if ours == "tags":
        fields[ours] = [*fields.get(ours, ()), *tags(value)]
    elif ours not in fields or name not in fields:
        fields[name if ours in fields else ours] = value
    else:
        _keep_words(fields, str(value))


def _keep_words(fields: dict[str, Any], text: str) -> None:
    fields[UNREAD] = f"{fields.get(UNREAD, '')}\n{text}".strip()


def _typed(fields: dict[str, Any]) -> dict[str, Any]:
    if "tags" in fields:
        fields["tags"] = tags(fields["tags"])
    if isinstance(fields.get("author"), list):
        fields["author"] = ", ".join(str(name) for name in fields["author"])
    for name in ("created", "modified"):
        if name in fields:
            text, fields[name] = str(fields[name]), iso(fields[name])
            if not fields[name] and _SAYS.search(text) and not text.startswith("1601"):
                _keep_words(fields, text)
    return fields


def plain(value: Any, depth: int = 0) -> Any:
    """A value of plain JSON types, its length, width and depth bounded."""
    if value is None or isinstance(value, (bool, int, float)):
        return value if not isinstance(value, int) or abs(value) < 2**63 else str(value)
    if isinstance(value, (datetime, date)):
        return iso(value)
    if depth > 1:
        return None
    if isinstance(value, Mapping):
        return {str(key)[:100]: plain(item, depth + 1) for key, item in list(value.items())[:MOST]}
    if isinstance(value, (list, tuple, set)):
        return [plain(item, depth + 1) for item in list(value)[:MOST]]
    return clean(str(value))[: LONGEST if depth == 0 else LONGEST // 10].strip()


def tags(value: Any) -> list[str]:
    """Tags of a list, or of a line with commas, semicolons or a # before each; each once and without its #."""
    items = value if isinstance(value, list) else re.split(r"[,;]|\s+(?=#)", str(value))
    return list(dict.fromkeys(text for item in items if (text := str(item).strip().removeprefix("#"))))


def iso(value: Any) -> str:
    """ISO 8601 of a date in one of the forms found in files (ISO, PDF, mail, a Python date); "" if it is none.

    Dates in 1601 are what a clock that counts from there shows when it was never set, and count as none.
    """
    found = _any_iso(value)
    return "" if found.startswith("1601") else found


def _any_iso(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    text = str(value).strip()
    for read in (_iso, _pdf_date, _mail_date):
        found = read(text)
        if found:
            return found
    return ""


def _iso(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.replace("/", "-") if re.match(r"\d{4}/", text) else text)
    except ValueError:
        return ""
    if len(text) <= 10:
        return moment.date().isoformat()
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _pdf_date(text: str) -> str:
    match = _PDF_DATE.fullmatch(text.rstrip("'"))
    if match is None:
        return ""
    year, month, day, hour, minute, second, sign, off_hour, off_minute = match.groups()
    try:
        moment = datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            min(int(second or 0), 59),
        )
    except ValueError:
        return ""
    if hour is None:
        return moment.date().isoformat()
    zone = (
        f"{sign}{off_hour}:{off_minute or '00'}" if sign in ("+", "-") and off_hour else "Z" if sign else ""
    )
    return moment.isoformat(timespec="seconds") + ("Z" if zone in ("+00:00", "-00:00") else zone)


def _mail_date(text: str) -> str:
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
    if moment.tzinfo is not None and moment.utcoffset() == UTC.utcoffset(None):
        return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    return moment.isoformat(timespec="seconds")
