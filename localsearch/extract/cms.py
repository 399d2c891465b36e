"""What a signed S/MIME message holds in the clear: the content of CMS SignedData (RFC 5652, section 5)."""

from __future__ import annotations

_DATA = bytes.fromhex("06092a864886f70d010701")
_SIGNED = bytes.fromhex("06092a864886f70d010702")
_OCTETS, _PARTED = 0x04, 0x24


def signed_content(data: bytes) -> bytes | None:
    """The content that is signed; None if it is encrypted, kept elsewhere, or no CMS."""
    signed = data.find(_SIGNED, 0, 64)
    at = data.find(_DATA, signed)
    if signed < 0 or at < 0:
        return None
    at += len(_DATA)
    try:
        tag, start, _ = _header(data, at)
        return _octets(data, start) if tag == 0xA0 else None
    except IndexError:
        return None


def _octets(data: bytes, at: int) -> bytes:
    """An octet string, whole or in parts, of known or open length (X.690, section 8.7)."""
    tag, start, length = _header(data, at)
    if tag == _OCTETS:
        return data[start : start + length]
    if tag != _PARTED:
        raise IndexError(at)
    end = len(data) if length < 0 else start + length
    parts = []
    while start < end and data[start : start + 2] != b"\0\0":
        _, begin, length = _header(data, start)
        parts.append(data[begin : begin + length])
        start = begin + length
    return b"".join(parts)


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, place of the content and its length, -1 where that is open."""
    tag, first = data[at], data[at + 1]
    if first < 0x80:
        return tag, at + 2, first
    count = first & 0x7F
    if not count:
        return tag, at + 2, -1
    data[at + 1 + count]  # IndexError beyond the end
    return tag, at + 2 + count, int.from_bytes(data[at + 2 : at + 2 + count], "big")
