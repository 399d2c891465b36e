"""Word 97 to 2003 and rich text by kreuzberg, which reads their structure."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean
from localsearch.extract.embedded import embedded_in_ole
from localsearch.extract.fields import front_matter
from localsearch.extract.limits import failure
from localsearch.extract.packages import OLE, own_title, properties
from localsearch.extract.source import Source
from localsearch.extract.wordmasks import masked, unmasked
from localsearch.extract.wordstories import stories
from localsearch.types import BlockKind, Extract, Place

MIME = {"doc": "application/msword", "rtf": "application/rtf"}
_FOREIGN = (
    (b"\xffWPC", "WordPerfect"),
    (b"\xcb\n\x01", "WordPerfect 4"),
    (b"\xdb\xa5", "Word 2 for Windows"),
    (b"\x9b\xa5", "Word 1 for Windows"),
    (b"1\xbe\0\0", "Word for DOS or Windows Write"),
    (b"2\xbe\0\0", "Windows Write"),
    (b"\xfe7\0", "Word for the Macintosh"),
    (b"WordPro", "Lotus Word Pro"),
)
"""First bytes of what other and older programs wrote under Word's name."""
_KINDS: dict[str, BlockKind] = {"list_item": "list", "code": "code", "table": "table"}
_FIELD_CODE = re.compile(
    r"\b(?:HYPERLINK|PAGEREF|INCLUDEPICTURE|TOC|EMBED|MERGEFIELD|SEQ|NOTEREF)\b"
    r"(?:[ \t]+(?:\\\S+|\"[^\"\n]*\"|_\w+|[A-Z]\w*\.[\w.]+))+"
)
_DAMAGE = (OSError, ValueError, TypeError, LookupError, struct.error, RecursionError)
"""What reading the tables of a damaged file may raise."""
_EMPHASIS = re.compile(r"(\*\*|(?<!\w)_)(\S(?:.*?\S)?)\1")


def read_office(source: Source, kind: str) -> list[Extract]:
    """A document's headings, paragraphs, lists and tables in order; header and footer once, at the end."""
    data = _masked(source.data) if kind == "doc" else source.data
    result = convert(data, kind)
    told = str if data is source.data else unmasked
    builder = Builder(source.limits.text)
    nodes = (result.document or {"nodes": []})["nodes"]
    layers = ("header", "footer")
    for node in [n for n in nodes if n.get("content_layer") not in layers]:
        _add(builder, node["content"], Place(), told)
    builder.leave_headings()
    for node in [n for n in nodes if n.get("content_layer") in layers]:
        _add(builder, node["content"], Place(), told)
    if kind == "doc":
        _add_stories(builder, source.data)
    inside = embedded_in_ole(source, builder.notes) if source.data.startswith(OLE) else []
    return [_finish(builder, result, kind, source.data, inside), *inside]


def convert(data: bytes, kind: str) -> Any:
    """kreuzberg's result; ExtractionError for what it refuses."""
    import kreuzberg

    if kind == "doc" and not data.startswith(OLE):
        program = next((name for start, name in _FOREIGN if data.startswith(start)), "")
        if program:
            raise failure("unsupported", f"it was written by {program}, which cannot be read")
        raise failure("damaged", "it is no Word document, whatever its name says")
    try:
        return kreuzberg.extract_bytes_sync(data, MIME[kind], config=_configuration())
    except kreuzberg.KreuzbergError as error:
        raise refused(str(error)) from None


def _masked(data: bytes) -> bytes:
    try:
        return masked(data)
    except _DAMAGE:  # kreuzberg tells what is wrong with the file
        return data


def _add_stories(builder: Builder, data: bytes) -> None:
    """What stands beside the running text, unless it was read with it."""
    said = set(builder.text.split("\n"))
    try:
        for text in stories(data):
            builder.add("" if text in said else text)
            said.add(text)
    except _DAMAGE as error:
        builder.notes.append(f"notes, comments and headers could not be read: {error}")


def refused(message: str) -> Exception:
    """The error for a reader's own words."""
    words = message.lower()
    if "password" in words or "encrypt" in words:
        return failure("encrypted", "it asks for a password")
    if "0xa5dc" in words:
        return failure("unsupported", "it was written by Word 6 or 95, which cannot be read")
    return failure("damaged", f"could not be read: {message.removeprefix('ParsingError: ')}")


@cache
def _configuration() -> Any:
    import kreuzberg

    return kreuzberg.ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        include_document_structure=True,
        pages=kreuzberg.PageConfig(extract_pages=True),
        output_format="plain",
        postprocessor=kreuzberg.PostProcessorConfig(enabled=False),
    )


def _add(builder: Builder, content: dict[str, Any], place: Place, told: Callable[[str], str]) -> None:
    """One node of the structure; old Word keeps the codes of fields among the text, which are left out."""
    kind = content["node_type"]
    text = clean(_FIELD_CODE.sub("", told(_text(content))))
    if kind in ("heading", "title"):
        builder.heading(int(content.get("level") or 1), text, place)
    elif kind == "list_item":
        builder.add(f"- {text}" if text.strip() else "", "list", place, joint="\n")
    elif kind not in ("group", "image", "metadata_block"):
        builder.add(text, _KINDS.get(kind, "paragraph"), place)


def _text(content: dict[str, Any]) -> str:
    if content["node_type"] == "table":
        return _table(content.get("grid") or {})
    return str(content.get("text") or content.get("title") or "")


def _table(grid: dict[str, Any]) -> str:
    rows: dict[int, list[str]] = {}
    for cell in grid.get("cells") or []:
        text = " ".join(str(cell.get("content") or "").split())
        text = _EMPHASIS.sub(r"\2", text) if len(text) < 5000 else text
        rows.setdefault(int(cell.get("row") or 0), []).append(text)
    return "\n".join(" | ".join(cell for cell in row if cell) for row in rows.values())


def _finish(builder: Builder, result: Any, kind: str, data: bytes, inside: list[Extract]) -> Extract:
    if builder.empty and not any(extract.text for extract in inside):
        raise failure(
            "no-text", "it holds no text of its own: pictures, charts or embedded objects only, or nothing"
        )
    if kind == "doc":
        title, metadata = properties(data, "doc")
        return builder.extract(kind, title=own_title(title), metadata=metadata)
    own = result.metadata
    found = {
        "author": own.get("authors"),
        "created": own.get("created_at"),
        "modified": own.get("modified_at"),
        "tags": own.get("keywords"),
        "subject": own.get("subject"),
        "language": str(own.get("language") or "").split("-")[0].lower(),
    }
    return builder.extract(kind, title=own_title(own.get("title")), metadata=front_matter(found))
