"""Structured text: JSON, JSON lines and XML."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any
from xml.parsers import expat

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean, decode
from localsearch.extract.fields import front_matter
from localsearch.extract.html import read_markup
from localsearch.extract.kinds import suffix_of
from localsearch.extract.limits import failure
from localsearch.extract.packages import DAMAGE, open_package, part
from localsearch.extract.plain import cut
from localsearch.extract.records import read_records
from localsearch.extract.source import Source
from localsearch.types import Block, Extract, Place

PARSED = 5_000_000
"""Characters of JSON beyond which its title is not looked for."""

_ESCAPE = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|\\u([0-9a-f]{4})", re.I)
_XML_DECLARED = re.compile(rb"[^<]{0,3}<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w:.-]+)")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]{400,}")


def read_json(source: Source, kind: str) -> list[Extract]:
    """JSON as it stands, so that lines agree, with escaped letters written out; of a dump, each document in it."""
    raw = decode(source.data)[0]
    if records := read_records(raw, kind, source.limits.text):
        return records
    text, notes = cut(_ESCAPE.sub(_unescaped, raw), source.limits.text)
    blocks = (Block(0, len(text), "code", Place(line=1)),) if text.strip() else ()
    title, metadata = _describe(text) if kind == "json" and len(text) < PARSED else ("", {})
    return [Extract(text, kind, title, blocks, metadata, notes=notes)]


def _unescaped(match: re.Match[str]) -> str:
    high, low, single = match.groups()
    if single is None:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    letter = chr(int(single, 16))
    return letter if letter.isprintable() and letter not in '"\\' else match.group()


def _describe(text: str) -> tuple[str, dict[str, Any]]:
    """Title and metadata that an object at the top names."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "", {}
    if not isinstance(value, dict):
        return "", {}
    own = front_matter(
        {key: value[key] for key in ("author", "date", "language", "tags", "keywords") if key in value}
    )
    title = value.get("title") or value.get("name")
    return (title[:300] if isinstance(title, str) else ""), own


def read_xml(source: Source) -> list[Extract]:
    """Text between the tags, a block for each outermost element that has some; titles become headings.

    XML that says everything in its attributes is kept as it stands; XML that is broken is read as a browser would.
    """
    declared = declared_in_xml(source.data).lower()
    if declared and not declared.startswith(("utf", "us-ascii")):  # the parser has tables for but a few
        return _read_xml(source, decode(source.data, declared)[0].encode(), "utf-8")
    return _read_xml(source, source.data, "")


def declared_in_xml(data: bytes) -> str:
    """The encoding that an XML declaration names, or nothing."""
    match = _XML_DECLARED.match(data)
    return match[1].decode("ascii", "replace") if match else ""


def _read_xml(source: Source, data: bytes, encoding: str) -> list[Extract]:
    """Read in an encoding, or in the one that is declared."""
    builder = Builder(source.limits.text)
    reader = _XmlReader(builder, encoding)
    try:
        reader.parse(data)
    except expat.ExpatError as error:
        if (
            "amplification" in str(error)
            or error.code == expat.errors.codes[expat.errors.XML_ERROR_ENTITY_DECLARED_IN_PE]
        ):
            raise failure("bomb", f"its entities unpack to far more than it holds: {error}") from None
        return _broken(source, str(error))
    if builder.empty:
        text, notes = cut(decode(source.data, declared_in_xml(source.data))[0], source.limits.text)
        return [Extract(text, "xml", blocks=(Block(0, len(text), "code", Place(line=1)),), notes=notes)]
    return [builder.extract("xml", title=reader.title)]


def _broken(source: Source, error: str) -> list[Extract]:
    builder = Builder(source.limits.text)
    builder.notes.append(f"not well-formed XML ({error}); read as far as possible")
    return [read_markup(decode(source.data, declared_in_xml(source.data))[0], builder, type="xml")]


def read_iwork(source: Source) -> list[Extract]:
    """A Pages, Keynote or Numbers file from before 2013, whose content is one XML file."""
    package = open_package(source.data)
    name = "index.apxl" if "index.apxl" in package.names() else "index.xml"
    try:
        inner = source.inside(part(package, name), name)
    except (RuntimeError, NotImplementedError, *DAMAGE) as error:
        raise failure("damaged", f"could not be unpacked: {error}") from None
    kind = suffix_of(source.name)
    found = read_xml(inner)
    if any(block.kind == "code" for extract in found for block in extract.blocks):
        raise failure("no-text", "it holds no text between its tags")
    kind = kind if kind in ("pages", "key", "numbers") else "xml"
    return [replace(extract, type=kind) for extract in found]


class _XmlReader:
    """Gathers text while expat walks a document; nothing is kept of its tree, so depth costs nothing."""

    def __init__(self, builder: Builder, encoding: str) -> None:
        self.title = ""
        self._builder = builder
        self._depth = 0
        self._holder = 0
        self._holder_name = ""
        self._line = 1
        self._parts: list[str] = []
        self._parser = expat.ParserCreate(encoding or None)
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._names: list[str] = []

    def parse(self, data: bytes) -> None:
        self._parser.Parse(data, True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._names.append(name)

    def _data(self, text: str) -> None:
        if not self._holder and text.strip():
            self._holder = self._depth
            self._line = self._parser.CurrentLineNumber
        if self._holder:
            self._parts.append(text)

    def _end(self, name: str) -> None:
        if self._holder == self._depth:
            self._close(name.rpartition(":")[2].lower())
        self._depth -= 1
        self._names.pop()

    def _close(self, name: str) -> None:
        text = clean("".join(self._parts))
        self._parts.clear()
        self._holder = 0
        place = Place(line=self._line + text[: len(text) - len(text.lstrip())].count("\n"))
        if _BASE64.fullmatch(text) and " " not in text.strip():
            return
        if name in ("title", "heading", "head") and len(text) < 300:
            self.title = self.title or " ".join(text.split())
            self._builder.heading(self._depth, text.strip(), place)
        else:
            self._builder.add(text.strip(), "paragraph", place, joint="\n")
