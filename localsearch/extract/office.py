"""Word processing and presentation files by kreuzberg, which reads their structure."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean
from localsearch.extract.fields import front_matter
from localsearch.extract.limits import failure
from localsearch.extract.packages import OLE, own_title
from localsearch.extract.source import Source
from localsearch.types import BlockKind, Extract, Place

_OPEN_XML = "application/vnd.openxmlformats-officedocument."
MIME = {
    "docx": _OPEN_XML + "wordprocessingml.document",
    "pptx": _OPEN_XML + "presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "doc": "application/msword",
    "ppt": "application/vnd.ms-powerpoint",
    "rtf": "application/rtf",
}
_KINDS: dict[str, BlockKind] = {"list_item": "list", "code": "code", "table": "table"}
_FIELD_CODE = re.compile(
    r"\b(?:HYPERLINK|PAGEREF|INCLUDEPICTURE|TOC|EMBED|MERGEFIELD|SEQ|NOTEREF)\b"
    r"(?:[ \t]+(?:\\\S+|\"[^\"\n]*\"|_\w+|[A-Z]\w*\.[\w.]+))+"
)
_EMPHASIS = re.compile(r"(\*\*|(?<!\w)_)(\S(?:.*?\S)?)\1")


def read_office(source: Source, kind: str) -> list[Extract]:
    """A document's headings, paragraphs, lists and tables in order; header and footer once, at the end."""
    result = convert(source.data, kind)
    builder = Builder(source.limits.text)
    nodes = (result.document or {"nodes": []})["nodes"]
    layers = ("header", "footer")
    for node in [n for n in nodes if n.get("content_layer") not in layers]:
        _add(builder, node["content"], Place())
    builder.leave_headings()
    for node in [n for n in nodes if n.get("content_layer") in layers]:
        _add(builder, node["content"], Place())
    return [_finish(builder, result, kind)]


def read_slides(source: Source, kind: str) -> list[Extract]:
    """Each slide's text, its number as the page."""
    result = convert(source.data, kind)
    builder = Builder(source.limits.text)
    for number, text in _slides(result):
        title, _, rest = text.strip().partition("\n")
        if rest.strip() and len(title) < 120:
            builder.heading(1, title, Place(page=number))
        else:
            rest = text
        builder.add(clean(rest), place=Place(page=number))
    return [_finish(builder, result, kind)]


def convert(data: bytes, kind: str) -> Any:
    """kreuzberg's result; ExtractionError for what it refuses."""
    import kreuzberg

    if kind in ("docx", "pptx", "odt") and data.startswith(OLE):
        raise failure("encrypted", "it asks for a password")
    try:
        return kreuzberg.extract_bytes_sync(data, MIME[kind], config=_configuration())
    except kreuzberg.KreuzbergError as error:
        raise refused(str(error)) from None


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


def _add(builder: Builder, content: dict[str, Any], place: Place) -> None:
    """One node of the structure; old Word keeps the codes of fields among the text, which are left out."""
    kind = content["node_type"]
    text = clean(_FIELD_CODE.sub("", _text(content)))
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


def _slides(result: Any) -> list[tuple[int, str]]:
    pages = (result.metadata.get("pages") or {}).get("boundaries")
    if pages:
        content = result.content.encode("utf-8")
        return [
            (page["page_number"], content[page["byte_start"] : page["byte_end"]].decode("utf-8", "replace"))
            for page in pages
        ]
    slides: list[tuple[int, list[str]]] = []
    for node in (result.document or {"nodes": []})["nodes"]:
        content = node["content"]
        if content["node_type"] == "slide" or not slides:
            slides.append((int(content.get("number") or len(slides) + 1), []))
        slides[-1][1].append(_text(content))
    return [(number, "\n\n".join(parts)) for number, parts in slides]


def _finish(builder: Builder, result: Any, kind: str) -> Extract:
    if builder.empty:
        raise failure(
            "no-text", "it holds no text of its own: pictures, charts or embedded objects only, or nothing"
        )
    own = result.metadata
    found = {
        "author": own.get("authors"),
        "created": own.get("created_at"),
        "modified": own.get("modified_at"),
        "tags": own.get("keywords"),
        "subject": own.get("subject"),
        "language": str(own.get("language") or "").split("-")[0].lower(),
        "slides": own.get("slide_count"),
    }
    return builder.extract(kind, title=own_title(own.get("title")), metadata=front_matter(found))
