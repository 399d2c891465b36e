"""Looks inside containers whose first bytes do not tell what they are."""

from __future__ import annotations

from localsearch.extract.compound import compound
from localsearch.extract.limits import failure
from localsearch.extract.source import Source
from localsearch.extract.zipped import Zipped

_OPEN_XML = (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx"))
_STREAMS = {
    "WordDocument": "doc",
    "Workbook": "xls",
    "Book": "xls",
    "PowerPoint Document": "ppt",
    "__properties_version1.0": "msg",
}


def refine(kind: str, source: Source) -> str:
    """The type of what is inside a zip or OLE container; any other type as it is."""
    if kind == "zip":
        return _inside_zip(source)
    if kind in ("ole", "doc", "xls", "ppt", "msg") and source.data.startswith(b"\xd0\xcf\x11\xe0"):
        return _inside_ole(source) or kind
    return kind


def _inside_zip(source: Source) -> str:
    try:
        names = Zipped(source.data).names()
    except Exception:  # a damaged archive is told so by the reader of archives
        return "zip"
    if "[Content_Types].xml" in names:
        return next((kind for folder, kind in _OPEN_XML if any(n.startswith(folder) for n in names)), "zip")
    if "content.json" in names and "metadata.json" in names:
        return "xmind"
    if "index.xml" in names or "index.apxl" in names:
        return "iwork-xml"
    if any(name.endswith((".iwa", "Index.zip")) for name in names[:200]):
        return "iwork"
    return "zip"


def _inside_ole(source: Source) -> str:
    try:
        streams = {entry[0] for entry in compound(source.data).listdir()}
    except Exception:  # a damaged container is told so by the reader of the type its name tells
        return ""
    if "encryptedpackage" in {stream.lower() for stream in streams}:
        raise failure("encrypted", "it asks for a password")
    return next((kind for stream, kind in _STREAMS.items() if stream in streams), "")
