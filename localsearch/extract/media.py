"""What pictures, music and films say of themselves: EXIF, XMP and IPTC of pictures, tags of recordings."""

from __future__ import annotations

import io
from typing import Any

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean
from localsearch.extract.fields import front_matter
from localsearch.extract.limits import failure
from localsearch.extract.source import Source
from localsearch.types import Extract

_NAMES = {"title": "title", "artist": "author", "albumartist": "author", "author": "author", "composer": "composer",
          "date": "created", "genre": "tags", "album": "album"}  # fmt: skip
_ID3 = {"TIT2": "title", "TPE1": "artist", "TALB": "album", "TDRC": "date", "TCON": "genre", "TCOM": "composer",
        "TIT1": "grouping", "TIT3": "subtitle", "TPE2": "albumartist", "TPE3": "conductor", "TEXT": "lyricist",
        "TPUB": "organization", "TCOP": "copyright"}  # fmt: skip
_MP4 = {"\xa9nam": "title", "\xa9ART": "artist", "\xa9alb": "album", "\xa9day": "date", "\xa9gen": "genre",
        "\xa9wrt": "composer", "\xa9cmt": "comment", "\xa9lyr": "lyrics", "desc": "description", "ldes": "synopsis",
        "aART": "albumartist", "tvsh": "show", "tven": "episode", "cprt": "copyright",
        "\xa9grp": "grouping"}  # fmt: skip
_LONG = frozenset(["lyrics", "comment", "description", "synopsis", "unsyncedlyrics"])
LONGEST = 100_000


def read_media(source: Source) -> list[Extract]:
    """Tags of a recording; needs mutagen, the extra [media]."""
    try:
        import mutagen
    except ImportError:
        raise failure(
            "unsupported", "music or a film: pip install 'localsearch[media]' to read its tags"
        ) from None
    try:
        file = mutagen.File(io.BytesIO(source.data))
    except mutagen.MutagenError as error:
        raise failure("damaged", f"its tags cannot be read: {error}") from None
    tags = _tags(file) if file is not None and file.tags else {}
    if not tags:
        raise failure("no-text", "a recording without tags")
    builder = Builder(source.limits.text)
    short = [f"{name.capitalize()}: {value}" for name, value in tags.items() if name not in _LONG]
    builder.add("\n".join(short))
    for name in tags.keys() & _LONG:
        builder.add(f"{name.capitalize()}: {tags[name]}")
    own = {_NAMES[name]: value for name, value in tags.items() if name in _NAMES}
    title = str(own.pop("title", ""))
    return [builder.extract("media", title=title, metadata=front_matter(own))]


def _tags(file: Any) -> dict[str, str]:
    """Tags under one set of names, whichever of the formats they are in."""
    found: dict[str, str] = {}
    for key, value in file.tags.items():
        name = _ID3.get(key[:4]) or _MP4.get(key)
        if key[:4] in ("COMM", "USLT"):
            name = "comment" if key.startswith("COMM") else "lyrics"
        elif name is None and (
            (len(key) == 4 and key.isupper()) or not key.isascii() or key[:4] in ("APIC", "PRIV")
        ):
            continue
        elif key.startswith(("TXXX:", "----:")):
            name = key.rpartition(":")[2].lower()
        text = _text(value)
        if text and (name or ":" not in key):
            found.setdefault((name or str(key).lower().removeprefix("wm/")), text)
    return {name: text for name, text in found.items() if "picture" not in name and "covr" not in name}


def _text(value: Any) -> str:
    """A tag's value as text; pictures and other bytes are none."""
    if isinstance(value, (list, tuple)):
        return ", ".join(filter(None, map(_text, value)))[:LONGEST]
    if isinstance(value, (bytes, bytearray)):
        return clean(bytes(value).decode("utf-8", "replace")).strip() if len(value) < 10_000 else ""
    inner = getattr(value, "text", value)
    if isinstance(inner, (list, tuple)):
        return ", ".join(filter(None, (clean(str(item)).strip() for item in inner)))[:LONGEST]
    return clean(str(inner)).strip()[:LONGEST]
