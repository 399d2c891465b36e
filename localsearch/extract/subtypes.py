"""Whether a PDF can hold annotations other than links, told from its bytes: reading 40,000 links takes a while."""

from __future__ import annotations

import re
import zlib

_OTHER = re.compile(
    rb"/Subtype\s*(?!\s|/(?:Link|Image|Form|XML|Type1C?|Type3|Type0|TrueType|MMType1|OpenType|CIDFontType[02]C?)\b)"
)
_OBJECTS = re.compile(rb"/ObjStm\b")
_LENGTH = re.compile(rb"/Length\s+(\d+)(?!\s+\d+\s+R)\b")
_STREAM = re.compile(rb"stream\r?\n")


def only_links(data: bytes) -> bool:
    """Whether no object of the file names a kind of annotation but links; False also where that cannot be told."""
    if b"/Encrypt" in data or _OTHER.search(data):
        return False
    for match in _OBJECTS.finditer(data):
        begin = _STREAM.search(data, match.end())
        head = data[data.rfind(b" obj", 0, match.start()) : begin.start()] if begin else b""
        length = _LENGTH.search(head)
        if begin is None or length is None or head.count(b"Decode") != 1 or b"/FlateDecode" not in head:
            return False
        try:
            objects = zlib.decompress(data[begin.end() : begin.end() + int(length.group(1))])
        except zlib.error:
            return False
        if _OTHER.search(objects):
            return False
    return True
