"""What a picture says of itself: EXIF, XMP and IPTC captions, keywords, authors and dates."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from localsearch.extract.decode import clean, decode
from localsearch.extract.fields import front_matter

_EXIF = {270: "description", 315: "author", 33432: "copyright", 306: "modified", 40091: "title", 40092: "comment",
         40093: "author", 40094: "tags", 40095: "subject", 37510: "comment", 36867: "created"}  # fmt: skip
"""Tags of TIFF 6, EXIF 2.3 and Windows Explorer by number."""
_IPTC = {(2, 5): "title", (2, 25): "tags", (2, 80): "author", (2, 90): "city", (2, 95): "state", (2, 101): "country",
         (2, 105): "headline", (2, 116): "copyright", (2, 120): "description"}  # fmt: skip
"""Datasets of the IPTC Information Interchange Model 4.2."""
_XMP = {"title": "title", "description": "description", "subject": "tags", "creator": "author", "rights": "copyright",
        "Headline": "headline", "City": "city", "Country": "country", "State": "state", "Location": "location",
        "PersonInImage": "people", "AltTextAccessibility": "description", "UserComment": "comment"}  # fmt: skip
_SPOKEN = (
    "title",
    "headline",
    "description",
    "comment",
    "subject",
    "people",
    "location",
    "city",
    "state",
    "country",
)
"""Fields that people wrote to be read, in the order in which they are text."""
_TEXT_CHUNKS = {"Title": "title", "Description": "description", "Comment": "comment", "Author": "author",
                "Copyright": "copyright"}  # fmt: skip


def described(data: bytes) -> tuple[str, list[str], dict[str, Any]]:
    """Title, lines of text and metadata of an image file; nothing where it says nothing, or cannot be opened."""
    try:
        from PIL import Image
    except ImportError:
        return "", [], {}
    found: dict[str, list[str]] = {}
    try:
        with Image.open(io.BytesIO(data)) as image:
            for name, value in (*_xmp(data), *_iptc(image), *_exif(image), *_chunks(image)):
                text = clean(value).replace("\0", "").strip()
                if text and text not in found.setdefault(name, []):
                    found[name].append(text)
    except (
        Exception
    ):  # what a picture says of itself is an extra; its decoder raises whatever it happens to meet
        return "", [], {}
    lines = [value for name in _SPOKEN for value in found.get(name, [])]
    if "tags" in found:
        lines.append(", ".join(found["tags"]))
    named = {name: values if name == "tags" else values[0] for name, values in found.items()}
    title = str(named.pop("title", ""))
    return title, list(dict.fromkeys(lines)), front_matter(named)


def _exif(image: Any) -> Iterator[tuple[str, str]]:
    tags = image.getexif()
    every = {**tags, **tags.get_ifd(0x8769)}
    for number, name in _EXIF.items():
        value = every.get(number)
        if isinstance(value, str) and name in ("created", "modified"):
            yield name, value.replace(":", "-", 2)
        elif isinstance(value, str):
            yield name, value
        elif isinstance(value, (bytes, tuple)):
            yield name, _exif_text(number, bytes(value))


def _exif_text(number: int, value: bytes) -> str:
    """Bytes of a text tag: Windows' are UTF-16, a user comment begins with the name of its code."""
    if number >= 40091:
        return value.decode("utf-16-le", "replace")
    code, text = value[:8], value[8:]
    if code.startswith(b"UNICODE"):
        return text.decode("utf-16-be" if text[:1] == b"\0" else "utf-16-le", "replace")
    return decode(text if code.startswith((b"ASCII", b"JIS")) or not code.strip(b"\0") else value)[0]


def _iptc(image: Any) -> Iterator[tuple[str, str]]:
    from PIL import IptcImagePlugin

    records = IptcImagePlugin.getiptcinfo(image) or {}
    utf8 = records.get((1, 90)) == b"\x1b%G"
    for key, name in _IPTC.items():
        values = records.get(key, [])
        for value in values if isinstance(values, list) else [values]:
            yield name, value.decode("utf-8", "replace") if utf8 else decode(value)[0]


def _chunks(image: Any) -> Iterator[tuple[str, str]]:
    """The texts in a PNG, and the comment in a GIF or JPEG."""
    for key, value in image.info.items():
        name = _TEXT_CHUNKS.get(key) or ("comment" if key == "comment" else "")
        if name and isinstance(value, (str, bytes)):
            yield name, value if isinstance(value, str) else decode(value)[0]


def _xmp(data: bytes) -> Iterator[tuple[str, str]]:
    """Fields of the XMP packet, wherever in the file it lies (XMP part 3, 1: it can be found by scanning)."""
    match = re.search(rb"<x:xmpmeta.{0,1000000}?</x:xmpmeta>", data, re.S)
    if match is None:
        return
    try:
        root = ElementTree.fromstring(match[0])
    except ElementTree.ParseError:
        return
    for element in root.iter():
        name = _XMP.get(element.tag.rpartition("}")[2])
        if name:
            items = [item.text or "" for item in element.iter() if item.tag.endswith("}li")]
            for item in items or [element.text or ""]:
                yield name, item
        for key, value in element.attrib.items():
            short = _XMP.get(key.rpartition("}")[2])
            if short and key.startswith("{") and "photoshop" in key:
                yield short, value
