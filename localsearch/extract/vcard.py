"""Calendars and contacts: iCalendar and vCard, unfolded and decoded, one section for each event, task or person.

RFC 5545, RFC 6350; vCard 2.1 for quoted-printable values.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator
from typing import NamedTuple

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean, decode, known
from localsearch.extract.limits import failure
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

_ENTRIES = frozenset(["VEVENT", "VTODO", "VJOURNAL", "VCARD", "VFREEBUSY"])
_NAMES = ("SUMMARY", "FN", "N", "ORG", "NICKNAME", "EMAIL")
"""What names an entry, the best first."""
_SILENT = frozenset([
    "BEGIN", "END", "VERSION", "PRODID", "UID", "DTSTAMP", "SEQUENCE", "CALSCALE", "METHOD", "PHOTO", "LOGO",
    "SOUND", "KEY", "REV", "TRANSP", "STATUS", "CLASS", "CREATED", "LAST-MODIFIED", "PROFILE", "SORT-STRING",
    "TZID", "TZOFFSETFROM", "TZOFFSETTO", "RRULE", "EXDATE", "TRIGGER", "ACTION", "PRIORITY",
    "PERCENT-COMPLETE", "GENDER", "CALADRM", "X-LIC-LOCATION", "RECURRENCE-ID",
])  # fmt: skip
"""Properties without words; pictures, sounds and keys among them."""
_LABELS = {
    "DTSTART": "Start",
    "DTEND": "End",
    "N": "Name",
    "TEL": "Phone",
    "ADR": "Address",
    "BDAY": "Birthday",
}
_DATES = frozenset(["DTSTART", "DTEND", "DUE", "COMPLETED", "BDAY", "ANNIVERSARY"])
_PEOPLE = frozenset(["ATTENDEE", "ORGANIZER"])
_LINE = re.compile(r"(?:[\w-]+\.)?([\w-]+)((?:;(?:[^\":;]|\"[^\"]*\")*)*):(.*)", re.S)
_PARAMETER = re.compile(r";([\w-]+)(?:=((?:\"[^\"]*\"|[^;\"])*))?")
_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d))?.*")
_ESCAPE = re.compile(r"\\([nN,;:\\])")


class _Property(NamedTuple):
    name: str
    parameters: dict[str, str]
    value: str
    line: int


def read_vcard(source: Source) -> list[Extract]:
    """The entries of an .ics or .vcf file in order, each under its summary or name, with the line where it begins."""
    builder = Builder(source.limits.text)
    entry: list[_Property] = []
    depth, start, calendar = 0, 1, ""
    for item in _properties(source.data):
        kind = item.value.strip().upper()
        if item.name == "BEGIN" and kind in _ENTRIES and not depth:
            entry, depth, start = [], 1, item.line
        elif item.name in ("BEGIN", "END") and depth:
            depth += 1 if item.name == "BEGIN" else -1
            if not depth:
                _add(builder, entry, Place(line=start))
                entry = []
        elif depth:
            entry.append(item)
        elif item.name in ("X-WR-CALNAME", "X-WR-CALDESC", "NAME"):
            calendar = calendar or _value(item)
    if entry:
        _add(builder, entry, Place(line=start))
        builder.notes.append("it breaks off within an entry")
    if builder.empty:
        raise failure("no-text", "it holds no events, tasks or contacts")
    return [builder.extract("contacts" if _is_vcard(source.data) else "calendar", title=calendar)]


def _is_vcard(data: bytes) -> bool:
    return b"BEGIN:VCARD" in data[:2000].upper()


def _properties(data: bytes) -> Iterator[_Property]:
    """Each property once its lines are joined: a line that begins with a blank goes on with the one before."""
    lines = decode(data)[0].split("\n")
    at = 0
    while at < len(lines):
        start, text = at, lines[at]
        at += 1
        while at < len(lines) and lines[at][:1] in (" ", "\t") and lines[at].strip():
            text += lines[at][1:]
            at += 1
        match = _LINE.match(text)
        if match is None:
            continue
        parameters = {key.upper(): value.strip('"') for key, value in _PARAMETER.findall(match[2])}
        value = match[3]
        if "QUOTED-PRINTABLE" in (key for pair in parameters.items() for key in map(str.upper, pair)):
            while value.endswith("=") and at < len(lines):  # vCard 2.1 breaks these lines as mail does
                value = value[:-1] + lines[at].strip()
                at += 1
            raw = quopri.decodestring(value.encode("utf-8", "surrogateescape"))
            value = decode(raw, known(parameters.get("CHARSET", "")))[0]
        yield _Property(match[1].upper(), parameters, value, start + 1)


def _value(item: _Property) -> str:
    """A value as a person reads it: escapes undone, the parts of a name or an address apart."""
    text = item.value
    if item.name in _DATES:
        match = _DATE.fullmatch(text.strip())
        if match is None:
            return text.strip()
        day = "-".join(match.group(1, 2, 3))
        return f"{day} {match[4]}:{match[5]}" if match[4] else day
    if item.name in ("N", "ADR", "ORG"):
        text = ", ".join(filter(None, (part.strip() for part in re.split(r"(?<!\\);", text))))
    if item.name in _PEOPLE:
        address = text.removeprefix("mailto:").removeprefix("MAILTO:")
        name = item.parameters.get("CN", "")
        return f"{name} <{address}>" if name and name != address else address
    return clean(_ESCAPE.sub(lambda match: "\n" if match[1] in "nN" else match[1], text)).strip()


def _add(builder: Builder, entry: list[_Property], place: Place) -> None:
    spoken = [item for item in entry if item.name not in _SILENT and item.parameters.get("VALUE") != "BINARY"]
    spoken = [item for item in spoken if "BASE64" not in map(str.upper, item.parameters.values())]
    spoken = [item for item in spoken if item.parameters.get("ENCODING", "").upper() not in ("B", "BASE64")]
    values = [(item, _value(item)) for item in spoken]
    named = next((value for name in _NAMES for item, value in values if item.name == name and value), "")
    if named:
        builder.heading(1, named, place)
    lines = []
    for item, value in values:
        if value and value != named and not value.startswith("data:"):
            label = _LABELS.get(item.name) or item.name.removeprefix("X-").replace("-", " ").capitalize()
            lines.append(value if item.name in ("DESCRIPTION", "NOTE", "COMMENT") else f"{label}: {value}")
    builder.add("\n".join(lines), place=place)
