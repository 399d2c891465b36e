"""What a reader is given: bytes, a name, limits, and what is left of the budget that all members of a file share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from localsearch.errors import ExtractionError
from localsearch.extract.limits import Limits, failure
from localsearch.extract.secret import looks_secret
from localsearch.types import Block, Extract, Place


@dataclass(slots=True)
class Budget:
    """Bytes that may still be unpacked and members that may still be read, in one file from disk."""

    bytes: int
    members: int

    def take(self, count: int) -> None:
        """Use up bytes; ExtractionError(rule="bomb") when there are none left."""
        self.bytes = max(self.bytes - count, -1)  # a reader that asks for one more than is left asks for none
        if self.bytes < 0:
            raise failure("bomb", "it unpacks to more than the limit")


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or a member of one, in memory."""

    data: bytes
    name: str
    limits: Limits
    budget: Budget
    read: Callable[[Source], list[Extract]]
    depth: int = 0

    def inside(self, data: bytes, name: str) -> Source:
        """A member of this one."""
        return replace(self, data=data, name=name, depth=self.depth + 1)


def read_member(source: Source, data: bytes, name: str, place: Place | None = None) -> list[Extract]:
    """The documents in a member, addressed by its name; one without text, and a note, where it could not be read."""
    member = clean_name(name)
    if source.depth >= source.limits.depth:
        return [unread(member, failure("bomb", f"nested more than {source.limits.depth} deep"))]
    try:
        check_secret(member, data)
        found = source.read(source.inside(data, member))
    except ExtractionError as error:
        return [unread(member, error)]
    return [_addressed(extract, member, place) for extract in found]


def check_secret(name: str, data: bytes) -> None:
    """Raise ExtractionError(rule="secret") for what came out of a container and is no business of an index."""
    if looks_secret(name, data):
        raise failure("secret", "looks like a key, a password store or a private history")


def unread(member: str, error: ExtractionError, kind: str = "") -> Extract:
    """A member that could not be read, with the reason as its note."""
    rule = str(error.data["rule"])
    note = f"{member}: {error.message}" if member else error.message
    return Extract("", kind or rule, member=member, notes=(note,), scans=rule == "image")


def clean_name(name: str) -> str:
    """A member's name as a relative path that prints."""
    printable = "".join(sign if sign.isprintable() else "?" for sign in name.replace("\\", "/"))
    parts = [part for part in printable.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:1000] or "unnamed"


def distinct(found: list[Extract]) -> list[Extract]:
    """The same documents, a repeated member told apart by a number."""
    seen: dict[str, int] = {}
    result = []
    for extract in found:
        count = seen[extract.member] = seen.get(extract.member, 0) + 1
        result.append(extract if count == 1 else replace(extract, member=f"{extract.member}#{count}"))
    return result


def _addressed(extract: Extract, member: str, place: Place | None) -> Extract:
    full = f"{member}!/{extract.member}" if extract.member else member
    blocks = extract.blocks if place is None else tuple(_placed(block, place) for block in extract.blocks)
    return replace(extract, member=full, blocks=blocks)


def _placed(block: Block, place: Place) -> Block:
    return replace(
        block, place=replace(block.place, message=place.message, part=block.place.part or place.part)
    )
