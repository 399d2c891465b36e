"""A message of MIME parts (RFC 2045, RFC 2046) as one document, and the files in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from localsearch.errors import ExtractionError
from localsearch.extract.builder import Builder
from localsearch.extract.cms import signed_content
from localsearch.extract.decode import clean, decode
from localsearch.extract.fields import front_matter, iso
from localsearch.extract.headers import FIELDS, Part, children, field, file_name, header_text, parse
from localsearch.extract.html import declared_charset, read_markup
from localsearch.extract.source import Source, read_member, unread
from localsearch.extract.tnef import is_tnef, read_tnef
from localsearch.extract.versions import add_extract, add_versions
from localsearch.types import Extract, Place

_MESSAGES = frozenset(["message/rfc822", "message/global", "message/news"])
_SOFT_END = re.compile(rb"(?<!\n--) \r?\n(?!>)")
"""Where a line goes on in the next one, in text that is sent with DelSp=yes (RFC 3676 4.1): without a space."""
_SIGNATURES = frozenset(
    ["application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"]
)
_LOOKS = frozenset(["text/css", "text/javascript", "text/ecmascript"])
"""Parts that tell how a page looks and behaves."""
_SUFFIXES = {
    "text/calendar": ".ics",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "text/directory": ".vcf",
    "text/rtf": ".rtf",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "text/xml": ".xml",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "application/ics": ".ics",
    "application/json": ".json",
    "application/xml": ".xml",
    "application/xhtml+xml": ".xhtml",
}
"""By what reader a part without a name is read."""


def read_message(source: Source, message: Part, number: int | None, kind: str) -> list[Extract]:
    """The message as the first document; each file in it, also in messages it carries, as one more."""
    place = Place(message=number)
    tree = _Tree(source, place)
    tree.head(message)
    tree.visit(message)
    tree.name_files()
    member = "" if number is None else str(number)
    title = field(message, "Subject")
    first = tree.builder.extract(kind, title=title, metadata=_metadata(message), member=member)
    return [first, *attached(source, tree.files, place, member)]


def attached(source: Source, files: list[tuple[str, bytes]], place: Place, member: str) -> Iterator[Extract]:
    """The documents in files that a message carries; what is beyond a limit is told in a note."""
    for name, data in files:
        try:
            source.budget.take(len(data))
        except ExtractionError as error:
            yield _beneath(unread(name, error), member)
            return
        for extract in read_member(source, data, name, replace(place, heading=(), part=name)):
            yield _beneath(extract, member)


def _beneath(extract: Extract, member: str) -> Extract:
    return replace(extract, member=f"{member}/{extract.member}") if member else extract


def _metadata(message: Part) -> dict[str, Any]:
    found = {"author": field(message, "From"), "to": field(message, "To"), "cc": field(message, "Cc")}
    found |= {"created": iso(field(message, "Date")), "message_id": field(message, "Message-ID")}
    return front_matter(found | {"tags": field(message, "Keywords")})


class _Tree:
    """Walks the parts in order; texts go to the builder, all else that holds something to the files."""

    def __init__(self, source: Source, place: Place) -> None:
        self.builder = Builder(source.limits.text)
        self.files: list[tuple[str, bytes]] = []
        self._source = source
        self._place = place
        self._count = 0
        self._begun = False

    def head(self, message: Part) -> None:
        """The fields that a reader of mail shows."""
        fields = ((name, field(message, name)) for name in FIELDS)
        self.builder.add("\n".join(f"{name}: {value}" for name, value in fields if value), place=self._place)

    def name_files(self) -> None:
        """A line that names what is attached."""
        if self.files:
            names = ", ".join(name for name, _ in self.files)
            self.builder.add(f"Attachments: {names}", place=replace(self._place, heading=()))

    def visit(self, part: Part) -> None:
        """Take in a part and all that is in it."""
        self._count += 1
        kind, payload = part.get_content_type(), children(part)
        if kind == "multipart/encrypted":
            self.builder.notes.append("the message is encrypted")
        elif kind == "multipart/alternative" and payload:
            add_versions(self.builder, [self._apart(child) for child in payload], self._place)
        elif kind.startswith("message/") and payload:
            self._inner(part, kind, payload)
        elif payload:
            for child in payload:
                self.visit(child)
        else:
            self._leaf(part, kind)

    def _apart(self, part: Part) -> Extract:
        """What a part says, read for itself; its files join the others."""
        whole, self.builder = self.builder, Builder(self._source.limits.text)
        self.visit(part)
        apart, self.builder = self.builder.extract(""), whole
        return apart

    def _inner(self, part: Part, kind: str, payload: list[Part]) -> None:
        """A message in this one, or what tells of one."""
        if kind not in _MESSAGES:
            lines = (f"{name}: {header_text(value)}" for item in payload for name, value in _items(item))
            self.builder.add("\n".join(lines), place=self._place)
            return
        for message in payload:
            encoded = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
            if encoded in ("base64", "quoted-printable"):
                message = _unwrapped(message, encoded)
            self._forwarded(message)

    def _forwarded(self, message: Part) -> None:
        outer = self._place
        subject = field(message, "Subject")
        if subject:
            self._place = replace(outer, heading=(*outer.heading, subject[:200]))
            self.builder.add(subject, "heading", self._place)
        self.head(message)
        self.visit(message)
        self._place = outer

    def _leaf(self, part: Part, kind: str) -> None:
        data = part.get_payload(decode=True)
        if not isinstance(data, bytes) or not data.strip() or kind in _SIGNATURES:
            if part.get("X-Apple-Content-Length"):
                self.builder.notes.append(f"{file_name(part) or kind} is not kept in this file")
            return
        name = file_name(part)
        if is_tnef(data):
            self._outlook(data)
        elif kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
            self._sealed(data)
        elif kind.startswith(("text/", "multipart/")) and self._is_body(part, name):
            deleted = str(part.get_param("delsp", "")).lower() == "yes"
            self._text(_SOFT_END.sub(b"", data) if deleted else data, kind, part.get_content_charset() or "")
        elif kind not in _LOOKS:
            self.files.append((name or f"part {self._count}{_SUFFIXES.get(kind, '')}", data))
        self._begun = True

    def _is_body(self, part: Part, name: str) -> bool:
        """Whether a text is to be read in place: without a name, or the first, unless it is meant as a file."""
        return part.get_content_disposition() != "attachment" and not (name and self._begun)

    def _text(self, data: bytes, kind: str, charset: str) -> None:
        if kind in _LOOKS:
            return
        if kind in _SUFFIXES:
            add_extract(self.builder, self._by_reader(data, charset, _SUFFIXES[kind]), self._place)
            return
        text = decode(data, charset or (declared_charset(data) if kind == "text/html" else ""))[0]
        if kind in ("text/html", "text/enriched", "text/richtext"):
            add_extract(
                self.builder, read_markup(text, Builder(self._source.limits.text), whole=True), self._place
            )
        else:
            self.builder.add(text, place=self._place)

    def _by_reader(self, data: bytes, charset: str, suffix: str) -> Extract:
        """A text that has a reader of its own; as it stands where that reader cannot."""
        text = decode(data, charset)[0]
        builder = Builder(self._source.limits.text)
        try:
            inside = self._source.inside(data if suffix == ".rtf" else text.encode(), f"part{suffix}")
            for extract in self._source.read(inside):
                add_extract(builder, extract, Place())
        except ExtractionError:
            builder.add(text)
        return builder.extract("")

    def _outlook(self, data: bytes) -> None:
        """The winmail.dat in which Outlook wraps what it sends."""
        try:
            letter = read_tnef(data)
        except (ValueError, LookupError) as error:
            self.builder.notes.append(f"winmail.dat could not be read: {error}")
            return
        letter.add_text(self.builder, self._source, self._place)
        self.files += letter.all_files()

    def _sealed(self, data: bytes) -> None:
        """S/MIME (RFC 8551): what is signed is read, what is encrypted is told."""
        content = signed_content(data)
        if content is None:
            self.builder.notes.append("the message is encrypted (S/MIME)")
        else:
            self.visit(parse(content))


def _items(part: Part) -> Iterator[tuple[str, str]]:
    yield from part.items()
    payload = part.get_payload()
    if isinstance(payload, str) and payload.strip():
        yield "Text", clean(payload)


def _unwrapped(message: Part, encoding: str) -> Part:
    """A message that was sent in an encoding, which RFC 2046 forbids and many do."""
    carrier: Part = Part()
    carrier["Content-Transfer-Encoding"] = encoding
    if message.keys():
        return message  # it only says so
    carrier.set_payload(message.get_payload())
    data = carrier.get_payload(decode=True)
    return parse(data) if isinstance(data, bytes) else message
