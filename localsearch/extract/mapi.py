"""A message as Outlook keeps it: MAPI properties ([MS-OXPROPS]), whatever file they are in."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from localsearch.errors import ExtractionError
from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean, decode
from localsearch.extract.fields import front_matter
from localsearch.extract.headers import FIELDS, header_text, parse
from localsearch.extract.html import declared_charset, read_markup
from localsearch.extract.source import Source
from localsearch.extract.versions import Said, add_versions
from localsearch.types import Extract, Place

Properties = Mapping[int, Any]
"""Values by property id, named ones (from 0x8000) among them: text, bytes, whole numbers or datetimes."""

SUBJECT, BODY, RTF, HTML, CLASS = 0x0037, 0x1000, 0x1009, 0x1013, 0x001A
SENDER_NAME, SENDER_ADDRESS, SENDER_SMTP = 0x0C1A, 0x0C1F, 0x5D01
TO, CC, BCC, SENT, DELIVERED = 0x0E04, 0x0E03, 0x0E02, 0x0039, 0x0E06
HEADERS, MESSAGE_ID, CODE_PAGE, KEPT_CODE_PAGE = 0x007D, 0x1035, 0x3FDE, 0x3FFD
DISPLAY_NAME, ADDRESS, SMTP_ADDRESS, RECIPIENT_TYPE = 0x3001, 0x3003, 0x39FE, 0x0C15
FILE_DATA, LONG_FILE_NAME, FILE_NAME = 0x3701, 0x3707, 0x3704
_CONTACT = range(0x3A00, 0x3A60)
_NAMED = range(0x8000, 0x10000)
_INTERNAL = re.compile(r"/o=|/cn=|\A(?:SMTP|EX|FAX|IPM\.[\w.]*|\d+\.\d+)\Z", re.I)
"""What Outlook notes for itself: directory names, kinds of addresses, versions."""
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_WINDOW = 4096
_RTF_START = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
"""What the dictionary of compressed RTF holds at the start ([MS-OXRTFCP] 2.1.2.1)."""


@dataclass(slots=True)
class Letter:
    """A message, the files attached to it, and the messages attached to it."""

    properties: Properties
    recipients: list[Properties] = field(default_factory=list)
    files: list[tuple[str, bytes]] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def subject(self) -> str:
        return self.text(SUBJECT)

    def text(self, *ids: int) -> str:
        """The first of some properties that is text and not blank."""
        found = (self.properties.get(id) for id in ids)
        texts = (value if isinstance(value, str) else _decoded(value, self) for value in found if value)
        return next((clean(text).strip("\0 ") for text in texts if text.strip("\0 \r\n")), "")

    def fields(self) -> dict[str, str]:
        """Subject, From, To, Cc, Bcc and Date, as far as they are there."""
        own = parse(self.text(HEADERS).encode())
        sent = self.properties.get(SENT) or self.properties.get(DELIVERED)
        found = {
            "Subject": self.subject,
            "From": _person(self.text(SENDER_NAME), self.text(SENDER_SMTP, SENDER_ADDRESS)),
            "To": self._people(1) or self.text(TO),
            "Cc": self._people(2) or self.text(CC),
            "Bcc": self._people(3) or self.text(BCC),
            "Date": sent.isoformat(timespec="seconds") if isinstance(sent, datetime) else "",
        }
        return {name: found[name] or header_text(str(own.get(name, ""))) for name in FIELDS}

    def _people(self, kind: int) -> str:
        people = (Letter(person) for person in self.recipients if person.get(RECIPIENT_TYPE, 1) == kind)
        return ", ".join(
            filter(None, (_person(one.text(DISPLAY_NAME), one.text(SMTP_ADDRESS, ADDRESS)) for one in people))
        )

    def metadata(self) -> dict[str, Any]:
        """What filters use."""
        fields = self.fields()
        found = {"author": fields["From"], "to": fields["To"], "cc": fields["Cc"], "created": fields["Date"]}
        return front_matter(found | {"message_id": self.text(MESSAGE_ID)})

    def add_text(self, builder: Builder, source: Source, place: Place) -> None:
        """Append the body, what a contact or an appointment holds beside it, and the messages attached."""
        add_versions(builder, list(self._versions(source, builder.notes)), place)
        builder.notes.extend(self.notes)
        said = Said("".join([self.subject, self.text(BODY)]))
        more = [value for value in self._other_texts() if not said.repeats(value)]
        builder.add("\n".join(dict.fromkeys(more)), place=place)
        for letter in self.letters:
            inner = place
            if letter.subject:
                inner = Place(message=place.message, heading=(*place.heading, letter.subject[:200]))
                builder.add(letter.subject, "heading", inner)
            letter.add_head(builder, inner)
            letter.add_text(builder, source, inner)

    def add_head(self, builder: Builder, place: Place) -> None:
        """Append the fields that a reader of mail shows."""
        lines = (f"{name}: {value}" for name, value in self.fields().items() if value)
        builder.add("\n".join(lines), place=place)

    def all_files(self) -> list[tuple[str, bytes]]:
        """Files attached to it and to the messages in it."""
        return [*self.files, *(file for letter in self.letters for file in letter.all_files())]

    def _versions(self, source: Source, notes: list[str]) -> list[Extract]:
        limit, found = source.limits.text, list[Extract]()
        if plain := self.text(BODY):
            builder = Builder(limit)
            builder.add(plain)
            found.append(builder.extract(""))
        markup = self.properties.get(HTML)
        if markup:
            text = markup if isinstance(markup, str) else _decoded(markup, self)
            found.append(read_markup(text, Builder(limit), whole=True))
        rtf = self.properties.get(RTF)
        if isinstance(rtf, bytes) and not markup:
            try:
                found += source.read(source.inside(unpacked_rtf(rtf), "body.rtf"))
            except (ExtractionError, ValueError) as error:
                blank = isinstance(error, ExtractionError) and error.data["rule"] in ("no-text", "empty")
                if not plain and not blank:
                    notes.append(f"its text in RTF could not be read: {error}")
        return found

    def _other_texts(self) -> list[str]:
        """What contacts, appointments and tasks say in properties of their own; mail has none."""
        if self.text(CLASS).upper().startswith(("IPM.NOTE", "REPORT")) or not self.text(CLASS):
            return []
        ids = (id for id in self.properties if id in _CONTACT or id in _NAMED)
        texts = (clean(value).strip() for id in ids if isinstance(value := self.properties[id], str))
        return [text for text in texts if text and len(text) < 2000 and not _INTERNAL.search(text)]


def _person(name: str, address: str) -> str:
    if "@" not in address or address.lower() in name.lower():
        return name or address
    return f"{name} <{address}>" if name else address


def _decoded(value: Any, letter: Letter) -> str:
    """Text in bytes, by the message's code page."""
    if not isinstance(value, bytes):
        return ""
    page = letter.properties.get(CODE_PAGE) or letter.properties.get(KEPT_CODE_PAGE)
    named = {65001: "utf-8", 20127: "ascii", 1200: "utf-16-le"}.get(page, f"cp{page}") if page else ""
    return decode(value, declared_charset(value) or named)[0]


def value_of(type: int, data: bytes) -> Any:
    """A property's value from its bytes ([MS-OXCDATA] 2.11.1); text in a code page stays bytes."""
    if type == 0x1F:
        return data.decode("utf-16-le", "replace").rstrip("\0")
    if type == 0x1E:
        return data.rstrip(b"\0")
    if type == 0x02:
        return struct.unpack_from("<h", data)[0]
    if type in (0x03, 0x0A):
        return struct.unpack_from("<I", data)[0]
    if type == 0x40:
        return moment(struct.unpack_from("<Q", data)[0])
    return data


def moment(ticks: int) -> datetime | None:
    """The time that a count of 100 nanoseconds since 1601 means; None for one that was never set."""
    try:
        return _EPOCH + timedelta(microseconds=ticks // 10) if ticks else None
    except OverflowError:
        return None


def unpacked_rtf(data: bytes) -> bytes:
    """RTF from its compressed form ([MS-OXRTFCP]); as it is where it was not compressed; ValueError if damaged."""
    if data.startswith(b"{\\rtf"):
        return data
    if len(data) < 16:
        raise ValueError("it breaks off")
    _, size, kind, _ = struct.unpack_from("<4I", data)
    if kind == 0x414C454D:
        return data[16 : 16 + size]
    if kind != 0x75465A4C:
        raise ValueError("unknown compression")
    return _unpacked(data[16:], min(size, 64_000_000))


def _unpacked(data: bytes, size: int) -> bytes:
    """Undo the compression ([MS-OXRTFCP] 3.1.3.2): what the window held before its start is zeros."""
    out = bytearray(_WINDOW) + _RTF_START
    begins = len(out)
    at, end = 0, begins + size
    last = len(data) - 2
    while at < len(data) and (here := len(out)) < end:
        letters, after = _RUNS[data[at]]
        at += 1
        for count in letters:
            if count:
                out += data[at : at + count]
                at += count
                here += count
            if at > last:
                return bytes(out[begins:end])
            pair = data[at] << 8 | data[at + 1]
            at += 2
            length = (pair & 15) + 2
            back = (here - (pair >> 4)) % _WINDOW
            if not back:
                return bytes(out[begins:end])
            run = out[here - back : here - back + length]
            out += run if back >= length else (run * length)[:length]
            here += length
        out += data[at : at + after]
        at += after
    return bytes(out[begins:end])


def _runs(flags: int) -> tuple[tuple[int, ...], int]:
    """How many plain bytes stand before each reference of eight tokens, and after the last."""
    letters, count = list[int](), 0
    for bit in range(8):
        if flags >> bit & 1:
            letters.append(count)
            count = 0
        else:
            count += 1
    return tuple(letters), count


_RUNS = tuple(map(_runs, range(256)))
