"""Header fields of mail: raw as they stand in the file, and as text."""

from __future__ import annotations

import base64
import binascii
import email
import quopri
import re
from email.message import Message
from email.policy import Compat32
from typing import TYPE_CHECKING, Any

from localsearch.extract.decode import clean, decode

if TYPE_CHECKING:
    Part = Message[str, Any]
else:
    Part = Message
FIELDS = ("Subject", "From", "To", "Cc", "Bcc", "Date")
"""The fields that a reader of mail shows."""

_WORD = re.compile(r"=\?([\w.:+-]+)(?:\*[^?]*)?\?([bq])\?([^?]*(?:\?(?!=)[^?]*)*)\?=", re.I)
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(=\?[\w.:+*-]+\?[bq]\?)", re.I)


class _Raw(Compat32):
    """Keeps what a header holds, bytes beyond ASCII as surrogates, instead of replacing them."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return value


_POLICY = _Raw()


def parse(data: bytes) -> Part:
    """The tree of a message's parts."""
    message: Part = email.message_from_bytes(data, policy=_POLICY)
    return message


def children(part: Part) -> list[Part]:
    """The parts in a part; none where it is a leaf."""
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def field(part: Part, name: str) -> str:
    """A field's text on one line, its encoded words (RFC 2047) decoded; "" if it is not there."""
    return header_text(str(part.get(name, "")), part.get_content_charset() or "")


def header_text(raw: str, charset: str = "") -> str:
    """Text of a raw header.

    Neighbouring words in one encoding are joined before they are decoded, for writers cut them within a letter.
    Bytes outside such words are in `charset`, or in what they look like.
    """
    raw = _BETWEEN_WORDS.sub(r"\1\2", raw)
    parts, at = list[str](), 0
    pending, pending_charset = b"", ""
    for match in _WORD.finditer(raw):
        between = raw[at : match.start()]
        if pending and (between or match.group(1).lower() != pending_charset):
            parts.append(decode(pending, pending_charset)[0])
            pending = b""
        parts.append(_bare(between, charset))
        pending_charset = match.group(1).lower()
        pending += _word_bytes(match.group(2), match.group(3))
        at = match.end()
    parts.append(decode(pending, pending_charset)[0])
    parts.append(_bare(raw[at:], charset))
    return clean(" ".join("".join(parts).split()))


def file_name(part: Part) -> str:
    """The name that a part gives its file (RFC 2183, RFC 2231, or an encoded word); "" if none."""
    for name, value in (("filename", "Content-Disposition"), ("name", "Content-Type")):
        found = part.get_param(name, None, value)
        if isinstance(found, tuple):
            charset, _, text = found
            found = decode(text.encode("latin-1", "replace"), charset or "")[0]
        if isinstance(found, str) and found.strip():
            return header_text(found)
    return ""


def _bare(text: str, charset: str) -> str:
    if text.isascii() and "\x1b" not in text:
        return text
    return decode(text.encode("utf-8", "surrogateescape"), charset)[0]


def _word_bytes(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if encoding in "qQ":
        return quopri.decodestring(data.replace(b"_", b" "), header=False)
    try:
        return base64.b64decode(data + b"=" * (-len(data.rstrip(b"=")) % 4), validate=False)
    except binascii.Error:
        return data
