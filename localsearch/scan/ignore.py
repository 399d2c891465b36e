"""Patterns of .gitignore files, read and matched exactly as git does.

https://git-scm.com/docs/gitignore, and dir.c and wildmatch.c of git where that page is silent. Matching is done on
bytes. A name, a path or a `*suffix` without wildcards is looked up in a table; what remains becomes a regular
expression without backtracking between stars, so that no pattern can make a scan hang.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_WILD = re.compile(rb"[*?\[\\]")
_CLASSES = {
    b"alnum": rb"[0-9A-Za-z]",
    b"alpha": rb"[A-Za-z]",
    b"blank": rb"[ \t]",
    b"cntrl": rb"[\x00-\x1f\x7f]",
    b"digit": rb"[0-9]",
    b"graph": rb"[\x21-\x7e]",
    b"lower": rb"[a-z]",
    b"print": rb"[\x20-\x7e]",
    b"punct": rb"[!-/:-@\[-`{-~]",
    b"space": rb"[ \t\n\r\x0b\x0c]",
    b"upper": rb"[A-Z]",
    b"xdigit": rb"[0-9A-Fa-f]",
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of an ignore file. `anchored` means it is matched on the path below its folder, else on the name."""

    text: str
    glob: bytes
    negated: bool
    folders_only: bool
    anchored: bool


MOST_GLOBS = 2000
MOST_GLOB_BYTES = 64_000


def is_too_much(patterns: Iterable[Pattern]) -> bool:
    """Whether an ignore file has more patterns with wildcards than can be matched with each name in time.

    Reading them takes about 0.1 ms each, and matching 1 µs a name; names without wildcards cost nothing.
    """
    globs = [len(pattern.glob) for pattern in patterns if _WILD.search(pattern.glob)]
    return len(globs) > MOST_GLOBS or sum(globs) > MOST_GLOB_BYTES


def parse(content: bytes) -> list[Pattern]:
    """The patterns of an ignore file, in order; comments and blank lines are left out."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [_pattern(line) for line in map(_trim, lines) if line and not line.startswith(b"#")]


def _trim(line: bytes) -> bytes:
    """Drop the carriage return and the trailing spaces that no backslash keeps."""
    line = line.removesuffix(b"\r").partition(b"\0")[0]
    bare = line.rstrip(b" ")
    slashes = len(bare) - len(bare.rstrip(b"\\"))
    return line[: len(bare) + 1] if slashes % 2 and len(bare) < len(line) else bare


def _pattern(line: bytes) -> Pattern:
    glob = line.removeprefix(b"!")
    folders_only = glob.endswith(b"/")
    glob = glob.removesuffix(b"/")
    return Pattern(
        text=line.decode("utf-8", "replace"),
        glob=glob.removeprefix(b"/"),
        negated=line.startswith(b"!"),
        folders_only=folders_only,
        anchored=b"/" in glob,
    )


class Patterns:
    """An ordered set of patterns. The last one that matches decides."""

    __slots__ = ("_files", "_folders", "_patterns")

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._patterns = list(patterns)
        numbered = list(enumerate(self._patterns))
        self._folders = _Table(numbered)
        self._files = _Table((at, pattern) for at, pattern in numbered if not pattern.folders_only)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def match(self, name: bytes, path: bytes, folder: bool) -> Pattern | None:
        """The deciding pattern for an entry with this name and this path below the patterns' folder, or None."""
        at = (self._folders if folder else self._files).last(name, path)
        return self._patterns[at] if at >= 0 else None


class _Table:
    """Patterns by the cheapest way to match them, each with its position; the highest position wins."""

    __slots__ = ("_globs", "_names", "_paths", "_suffixes", "_tails")

    def __init__(self, numbered: Iterable[tuple[int, Pattern]]) -> None:
        self._names: dict[bytes, int] = {}
        self._paths: dict[bytes, int] = {}
        self._suffixes: dict[bytes, int] = {}
        self._globs: list[tuple[int, bool, re.Pattern[bytes]]] = []
        for at, pattern in numbered:
            self._add(at, pattern)
        self._globs.reverse()
        self._tails = tuple(self._suffixes)

    def _add(self, at: int, pattern: Pattern) -> None:
        glob = pattern.glob
        if _WILD.search(glob) is None:
            (self._paths if pattern.anchored else self._names)[glob] = at
        elif not pattern.anchored and glob.startswith(b"*") and _WILD.search(glob, 1) is None:
            self._suffixes[glob[1:]] = at
        elif (regex := translate(glob)) is not None:
            self._globs.append((at, pattern.anchored, regex))

    def last(self, name: bytes, path: bytes) -> int:
        """The position of the last pattern that matches; -1 when none does."""
        best = max(self._names.get(name, -1), self._paths.get(path, -1))
        if self._tails and name.endswith(self._tails):
            best = max(best, *(at for tail, at in self._suffixes.items() if name.endswith(tail)))
        for at, anchored, regex in self._globs:
            if at < best:
                break
            if regex.fullmatch(path if anchored else name):
                return at
        return best


def translate(glob: bytes) -> re.Pattern[bytes] | None:
    """A regular expression for a glob; None for one that git never matches.

    `b"*.py[co]"` becomes `[^/]*\\.py[co]`. What follows a star has a fixed length, so the first match is the right
    one for every star but the last: those are atomic groups, and matching takes linear time.
    """
    try:
        tokens = list(_tokens(glob))
    except _NeverMatches:
        return None
    return re.compile(b"".join(_stretches(tokens)), re.DOTALL)


class _NeverMatches(Exception):
    """A bracket or an escape that is not finished."""


_SLASH, _STAR, _DEEP = b"/", b"*", b"**"
_NAMED = re.compile(rb"\[:([^\]]*):\]")


def _tokens(glob: bytes) -> Iterator[bytes]:
    """A slash, a star, a `**` that stands alone between slashes, or a regular expression for one byte, each."""
    at = 0
    while at < len(glob):
        char, start = glob[at : at + 1], at
        if char == b"*":
            at = len(glob) - len(glob[at:].lstrip(b"*"))
            alone = glob[start - 1 : start] in (b"", b"/") and glob[at : at + 1] in (b"", b"/")
            yield _DEEP if alone and at - start > 1 else _STAR
        elif char == b"[":
            token, at = _bracket(glob, at + 1)
            yield token
        elif char == b"?":
            at += 1
            yield b"[^/]"
        else:
            byte, at = _byte(glob, at)
            yield re.escape(bytes([byte]))


def _byte(glob: bytes, at: int) -> tuple[int, int]:
    """The byte that stands at a place, escaped or not, and the next place."""
    at += glob[at : at + 1] == b"\\"
    if at >= len(glob):
        raise _NeverMatches
    return glob[at], at + 1


def _bracket(glob: bytes, at: int) -> tuple[bytes, int]:
    """The byte set of a bracket expression that opens before a place, and the place after it."""
    negated = glob[at : at + 1] in (b"!", b"^")
    at += negated
    first, low = at, -1
    members: set[int] = set()
    while at == first or glob[at : at + 1] != b"]":
        if named := _NAMED.match(glob, at):
            members |= _class(named[1])
            at, low = named.end(), -1
        elif low >= 0 and glob[at : at + 1] == b"-" and glob[at + 1 : at + 2] not in (b"", b"]"):
            high, at = _byte(glob, at + 1)
            members.update(range(low, high + 1))
            low = -1
        else:
            low, at = _byte(glob, at)
            members.add(low)
    return _set(members, negated), at + 1


def _class(name: bytes) -> set[int]:
    if name not in _CLASSES:
        raise _NeverMatches
    return {byte[0] for byte in re.findall(_CLASSES[name], bytes(range(256)))}


def _set(members: set[int], negated: bool) -> bytes:
    chosen = (set(range(256)) - members if negated else members) - {ord("/")}
    lows = sorted(byte for byte in chosen if byte - 1 not in chosen)
    highs = sorted(byte for byte in chosen if byte + 1 not in chosen)
    return b"[" + b"".join(map(b"\\x%02x-\\x%02x".__mod__, zip(lows, highs))) + b"]" if chosen else b"(?!)"


def _stretches(tokens: list[bytes]) -> Iterator[bytes]:
    """Regular expressions of the stretches between `**`, all but the last of the later ones atomic."""
    stretches = list(_split(tokens, _DEEP))
    for at, stretch in enumerate(stretches):
        body = b"".join(_segments(stretch))
        if at == 0:
            yield body
        elif at < len(stretches) - 1:
            yield b"(?>(?:[^/]*/)*?" + body.removeprefix(b"/") + b")"
        else:
            yield b"(?:[^/]*/)*" + body.removeprefix(b"/") if body else b".*"


def _segments(stretch: list[bytes]) -> Iterator[bytes]:
    for at, segment in enumerate(_split(stretch, _SLASH)):
        if at:
            yield b"/"
        pieces = [b"".join(piece) for piece in _split(segment, _STAR)]
        yield pieces[0]
        yield from (b"(?>[^/]*?" + piece + b")" for piece in pieces[1:-1])
        if len(pieces) > 1:
            yield b"[^/]*" + pieces[-1]


def _split(tokens: list[bytes], mark: bytes) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    for token in tokens:
        if token == mark:
            yield part
            part = []
        else:
            part.append(token)
    yield part
