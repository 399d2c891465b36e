"""Requests and answers of /passages and /pages."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from localsearch.server.reasons import Told
from localsearch.server.schemas.base import ResponseSchema
from localsearch.server.schemas.documents import InCollection


class PassageParameters(InCollection, frozen=True, kw_only=True):
    """`at` is a character offset in the document's text; `chars` how many characters around it.

    With `rendered`, Markdown comes as HTML too, in which the blocks from `at` up to `stop` have the class `passage`.
    The outline of the document, the head of a mail and its attachments come with it.
    """

    at: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    stop: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    chars: Annotated[int, Meta(ge=1, le=100_000)] = 4000
    rendered: bool = False


class Heading(ResponseSchema, frozen=True, kw_only=True):
    """A heading, its level from 1, and the characters of its first chunk; `page` where the document has pages."""

    title: str
    level: int
    start: int
    stop: int
    page: int | None


class Slide(ResponseSchema, frozen=True, kw_only=True):
    """A slide of a presentation, its number from 1, and its characters in the text."""

    page: int
    title: str
    start: int
    stop: int


class PartAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Another document of the same file."""

    id: str
    title: str
    type: str


class PassageAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Part of a document's text: the characters from `start` up to `stop`; it begins in the line number `line`.

    The document has `length` characters; `more` is whether text follows; `left_out` is why only its name is known.
    What comes with `rendered` alone: `html`, the `outline`, the `head` of a mail and up to which character of `text`
    that is told again, the `slides` of a presentation, the `parts`: other documents of the same file, as attachments
    are; and of code the `colours`: start and stop within `text`, and comment, keyword, name, number or string.
    """

    id: str
    collection: str
    title: str
    path: str | None
    type: str
    start: int
    stop: int
    length: int
    more: bool
    text: str
    line: int = 1
    left_out: Told | None = None
    html: str = ""
    outline: list[Heading] = field(default_factory=list)
    head: dict[str, str] = field(default_factory=dict)
    head_stop: int = 0
    parts: list[PartAnswer] = field(default_factory=list)
    slides: list[Slide] = field(default_factory=list)
    colours: list[tuple[int, int, str]] = field(default_factory=list)


class PageParameters(InCollection, frozen=True, kw_only=True):
    """A page by its number, so many pixels wide; characters [at, stop) of the text, and words, are looked for on it."""

    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    width: Annotated[int, Meta(ge=100, le=2000)] = 1000
    at: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    stop: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    words: Annotated[str, Meta(max_length=1000)] = ""


class PageAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A page as PNG in base64. Boxes are left, top, right and bottom, as shares of its width and height, one a line."""

    page: int
    pages: int
    width: int
    height: int
    png: str
    passage: list[tuple[float, float, float, float]]
    words: list[tuple[float, float, float, float]]


class RevealAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The file manager shows it."""

    shown: bool = True
