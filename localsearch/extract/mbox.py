"""Where the messages of a mailbox file begin and end."""

from __future__ import annotations

import re
from collections.abc import Iterator

_FROM_LINE = re.compile(rb"^From [^\r\n]*\r?\n", re.M)
_DATED = re.compile(
    rb"\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s.*\b\d{1,2}:\d\d\b|\b\d{1,2}:\d\d(?::\d\d)?\b.*\b(?:19|20)\d\d\b",
    re.I,
)
_FIELD = re.compile(rb"(?:>From [^\n]*\n)?([!-9;-~]+)[ \t]*:")
_KNOWN = frozenset(
    b"from to cc bcc subject date received return-path message-id mime-version delivered-to reply-to sender "
    b"content-type content-transfer-encoding status x-status x-mozilla-status x-gmail-labels x-uid".split()
)
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n\Z")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.M)


def messages(data: bytes) -> Iterator[bytes]:
    """The messages of a mailbox, their lines that were quoted as ">From " as they were written (RFC 4155).

    A separator is a line "From " with an address and a date, or after an empty line, and header fields follow
    it; a sentence that begins with the word is none. What stands before the first one is a message, too.
    """
    starts = [(match.start(), match.end()) for match in _FROM_LINE.finditer(data) if _separates(data, match)]
    if not starts or data[: starts[0][0]].strip(b"\xef\xbb\xbf \t\r\n"):
        starts.insert(0, (0, 0))
    for index, (_, begin) in enumerate(starts):
        end = starts[index + 1][0] if index + 1 < len(starts) else len(data)
        yield _QUOTED_FROM.sub(rb"\1", data[begin:end])


def _separates(data: bytes, match: re.Match[bytes]) -> bool:
    dated = _DATED.search(match.group()) is not None
    after = data[match.end() : match.end() + 1000]
    field = _FIELD.match(after)
    known = field is not None and field.group(1).lower() in _KNOWN
    if _after_blank(data, match.start()):
        return known or (dated and (field is not None or not after.strip()))
    return dated and known


def _after_blank(data: bytes, at: int) -> bool:
    before = data[max(0, at - 200) : at].lstrip(b"\xef\xbb\xbf")
    return not before.strip() or _BLANK_LINE.search(before) is not None
