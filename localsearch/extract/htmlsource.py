"""A page as a parser of HTML reads all that it shows."""

from __future__ import annotations

import re
from html import escape, unescape
from typing import AnyStr

from localsearch.extract.decode import holds

_XML = re.compile(r"\s*<\?xml\b|[^>]{0,2000}?<html[^>]*\sxmlns\s*=", re.I)
_VOID = "area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr"
_FRAME = re.compile(r"""<iframe\b[^>]*?\bsrcdoc\s*=\s*(?:"([^"]*)"|'([^']*)')[^>]*>""", re.I)
_SHADOW = re.compile(r"<template\b[^>]*\bshadowrootmode\b[^>]*>", re.I)
_EMPTY = re.compile(rf"<(?!(?:{_VOID})\b)([A-Za-z][\w:.-]*)((?:\s[^<>]*)?)/>", re.I)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.S)
_VERBATIM = re.compile(r"<(script|style)\b.*?</\1\s*>", re.S | re.I)
_REWRITTEN = b"srcdoc shadowrootmode <![CDATA[ "
"""What Python rewrites, letter by letter."""


def as_html(source: str | bytes) -> str | bytes:
    """The page, or bytes of it in UTF-8, as the parser is to have it.

    XHTML loses CDATA sections and elements closed in their own tag; frames and shadow trees that are written out in the
    page become parts of it.
    """
    if isinstance(source, bytes):
        if not holds(source, _REWRITTEN):
            return _with_end_tags(source) if _XML.match(_up_to_first_tag(source)) else source
        source = source.decode()
    if "srcdoc" in source:
        source = _FRAME.sub(
            lambda frame: f"<div>{unescape(frame[1] or frame[2] or '')}</div>{frame[0]}", source
        )
    if "shadowrootmode" in source:
        source = _SHADOW.sub("<div>", source)
    if not _XML.match(source):
        return source
    if "<![CDATA[" in source:
        bare = _VERBATIM.sub("", source)
        source = _CDATA.sub(lambda match: escape(match.group(1), quote=False), bare)
    return _with_end_tags(source)


def _up_to_first_tag(source: bytes) -> str:
    """All that tells XHTML: no pattern of it goes on after a `>`."""
    end = source.find(b">") + 1
    return (source[:end] if end else source).decode()


def _with_end_tags(source: AnyStr) -> AnyStr:
    """A page whose empty elements have an end tag. `/>` is rare: to look for it takes a tenth of the time that to look
    at each tag does."""
    slashed, opening = ("/>", "<") if isinstance(source, str) else (b"/>", b"<")
    parts: list[AnyStr] = []
    kept = last = 0
    while (slash := source.find(slashed, last)) >= 0:
        start, last = max(last, source.rfind(opening, last, slash)), slash + 2
        if tag := _closed(source[start:last]):
            parts += (source[kept:start], tag)
            kept = last
    parts.append(source[kept:])
    return source[:0].join(parts)


def _closed(tag: AnyStr) -> AnyStr | None:
    """The tag with an end tag in place of its slash, if it is one that has to have it."""
    if isinstance(tag, bytes):
        closed = _closed(tag.decode())
        return None if closed is None else closed.encode()
    found = _EMPTY.fullmatch(tag)
    return f"<{found[1]}{found[2]}></{found[1]}>" if found else None
