"""Bytes to text in whatever encoding they are."""

from __future__ import annotations

import codecs
import re

SAMPLE = 64 * 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\xad\ufdd0\ufdd1\ufeff]|\x1b\\[[0-9;]*m")


def decode(data: bytes, declared: str = "") -> tuple[str, str]:
    """Text and the name of its encoding: by byte order mark, as UTF-8, as declared, else by its statistics.

    Line ends come out as "\\n"; control characters other than tab, line and form feed, and optional
    hyphens, are dropped.
    """
    encoding = _bom(data) or _strict(data, declared) or _wide(data) or _guess(data)
    return clean(data.decode(encoding, "replace")), encoding


def clean(text: str) -> str:
    """The same text with plain line ends and without control characters, optional hyphens or surrogates."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _UNWANTED.sub("", text)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def _bom(data: bytes) -> str:
    return next((name for mark, name in _BOMS if data.startswith(mark)), "")


def _strict(data: bytes, declared: str) -> str:
    for name in ("utf-8", declared):
        try:
            if name and (name == declared or b"\0" not in data[:SAMPLE] or not _wide(data)):
                codecs.lookup(name)
                data.decode(name)
                return name
        except (LookupError, UnicodeDecodeError, ValueError):
            continue
    return _cut_utf8(data)


def _cut_utf8(data: bytes) -> str:
    """UTF-8 with a few bytes damaged is still UTF-8, and not a Latin alphabet of odd letters."""
    text = data[:SAMPLE].decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    beyond = sum(1 for sign in text if ord(sign) > 127) - damaged
    return "utf-8" if damaged * 4 < beyond else ""


def _wide(data: bytes) -> str:
    """UTF-16 without a mark: half of the bytes of Western text are zero, all on one side."""
    sample = data[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 5 < len(sample) // 2 * 2:
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:SAMPLE], steps=5, chunk_size=512, threshold=0.3).best()
    return best.encoding if best is not None else "cp1252"
