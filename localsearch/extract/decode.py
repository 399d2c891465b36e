"""Bytes to text in whatever encoding they are."""

from __future__ import annotations

import codecs
import re
import unicodedata
from ctypes import PyDLL, c_char_p, c_size_t
from functools import cache

from localsearch import kernels
from localsearch.extract.codepage import likeliest

SAMPLE = 64 * 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\xad\ufdd0\ufdd1\ufeff]|\x1b\\[[0-9;]*m")

_JAPANESE_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\$\([DOPQ]|\([IJ])")
_KOREAN_ESCAPE = b"\x1b$)C"
_STATEFUL = frozenset(["iso2022_jp", "iso2022_kr", "hz", "utf-7"])
_SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso2022_jp": "iso2022_jp_ext",
    "iso2022_jp_1": "iso2022_jp_ext",
}
"""What is meant where an encoding is named: writers use the larger one under the smaller one's name.

https://encoding.spec.whatwg.org/#names-and-labels; those that differ in a letter are no supersets and not here.
"""
_LABELS = {"x-sjis": "cp932", "x-gbk": "gb18030", "x-euc-jp": "euc_jp", "x-mac-cyrillic": "mac-cyrillic",
           "unicode-1-1-utf-8": "utf-8", "x-cp1251": "cp1251", "x-cp1252": "cp1252", "cp-850": "cp850"}  # fmt: skip
"""Names of encodings that files have and Python has not."""


def decode(data: bytes, declared: str = "") -> tuple[str, str]:
    """Text and the name of its encoding: by byte order mark, as UTF-8, as declared, else by its statistics.

    Line ends come out as "\\n"; control characters other than tab, line and form feed, and optional
    hyphens, are dropped. A declared encoding in which the text cannot be is not believed.
    """
    octets = plain_utf8(data, declared)
    if octets is not None:
        return octets.decode(), "utf-8" if len(octets) == len(data) else "utf-8-sig"
    encoding = encoding_of(data, declared)
    text = data.decode(encoding, "replace")
    if encoding == "cp1258":
        text = unicodedata.normalize("NFC", text)  # it writes tones as signs of their own
    return clean(text), encoding


def plain_utf8(data: bytes, declared: str = "") -> bytes | None:
    """The text that decode() would give, in UTF-8, where that is what is there already, but for a mark at its start.

    None where it is anything else, and where the kernels are not there.
    """
    compiled = _compiled()
    octets = data.removeprefix(codecs.BOM_UTF8)
    if compiled is None or not compiled.localsearch_plain(octets, len(octets)):
        return None
    shifts = len(octets) == len(data) and declared and known(declared).startswith(tuple(_STATEFUL))
    return None if shifts else octets


def holds(octets: bytes, words: bytes) -> bool:
    """Whether one of the words, with a blank after each, stands there."""
    compiled = _compiled()
    if compiled is None:
        return any(word in octets for word in words.split())
    return bool(compiled.localsearch_holds(octets, len(octets), words))


@cache
def _compiled() -> PyDLL | None:
    """What looks through bytes in C of our own (kernels/plain.c)."""
    path = kernels.library()
    if path is None:
        return None
    library = PyDLL(str(path))
    try:
        plain, words = library.localsearch_plain, library.localsearch_holds
    except AttributeError:  # built from an older checkout
        return None
    plain.argtypes = [c_char_p, c_size_t]
    words.argtypes = [c_char_p, c_size_t, c_char_p]
    return library


def encoding_of(data: bytes, declared: str = "") -> str:
    """Python's name of the encoding that bytes are in."""
    named = known(declared)
    return (
        _bom(data)
        or _stateful(data, named)
        or _utf8(data, named)
        or _as_declared(data, named)
        or _cut_utf8(data)
        or _wide(data)
        or likeliest(data)
    )


def known(label: str) -> str:
    """Python's name of the encoding that a label means, the larger one where two share the name; "" if unknown."""
    label = label.strip().strip("\"'").lower()
    try:
        name = codecs.lookup(_LABELS.get(label, label)).name if label else ""
        return _SUPERSETS.get(name, name) if codecs.lookup(name)._is_text_encoding else ""
    except (LookupError, ValueError):
        return ""


def clean(text: str) -> str:
    """The same text with plain line ends and without control characters, optional hyphens or surrogates."""
    if text.replace("\n", "").replace("\t", "").replace("\xa0", "").isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _UNWANTED.sub("", text)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def _bom(data: bytes) -> str:
    return next((name for mark, name in _BOMS if data.startswith(mark)), "")


def _stateful(data: bytes, declared: str) -> str:
    """ISO 2022 by its escapes, and what else shifts between alphabets where it is declared; all are valid ASCII."""
    names = [declared] if declared.startswith(tuple(_STATEFUL)) else []
    if b"\x1b" in data:
        names += ["iso2022_jp_ext"] if _JAPANESE_ESCAPE.search(data) else []
        names += ["iso2022_kr"] if _KOREAN_ESCAPE in data else []
    return next((name for name in names if _fits(data, name, 0.02)), "")


def _utf8(data: bytes, declared: str) -> str:
    return (
        "utf-8"
        if (b"\0" not in data[:SAMPLE] or declared == "utf-8" or not _wide(data)) and _decodes(data, "utf-8")
        else ""
    )


def _as_declared(data: bytes, declared: str) -> str:
    """The declared encoding, unless more than a hundredth of the text cannot be in it."""
    return declared if declared and not declared.startswith("utf-8") and _fits(data, declared, 0.01) else ""


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except (UnicodeError, ValueError):
        return False
    return True


def _fits(data: bytes, encoding: str, damage: float) -> bool:
    """Whether no more than a share of the signs beyond ASCII is damaged."""
    if _decodes(data, encoding):
        return True
    try:
        text = data[:SAMPLE].decode(encoding, "replace")
    except (UnicodeError, ValueError):
        return False
    beyond = _beyond_ascii(text)
    return text.count("\ufffd") <= max(1, damage * beyond) and beyond > 1


def _beyond_ascii(text: str) -> int:
    """How many of its signs are none of ASCII."""
    return len(text) - len(text.encode("ascii", "ignore"))


def _cut_utf8(data: bytes) -> str:
    """UTF-8 with a few bytes damaged is still UTF-8, and not a Latin alphabet of odd letters."""
    text = data[:SAMPLE].decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    beyond = _beyond_ascii(text) - damaged
    return "utf-8" if damaged * 4 < beyond else ""


def _wide(data: bytes) -> str:
    """UTF-16 without a mark: half of the bytes of Western text are zero, all on one side."""
    sample = data[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 5 < len(sample) // 2 * 2:
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"
