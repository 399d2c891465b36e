"""Chooses the reader for a file's type."""

from __future__ import annotations

from collections.abc import Callable

from localsearch.extract.html import read_html
from localsearch.extract.kinds import HEAD, detect
from localsearch.extract.limits import Limits, failure
from localsearch.extract.markdown import read_markdown
from localsearch.extract.plain import read_code, read_text
from localsearch.types import Extract

Reader = Callable[[bytes, str, Limits], list[Extract]]


def read(data: bytes, name: str, limits: Limits) -> list[Extract]:
    """The documents in a file's bytes; ExtractionError with a rule when there are none to be had."""
    if not data:
        raise failure("empty", "the file is empty")
    kind = detect(name, data[:HEAD])
    reader = READERS.get(kind)
    if reader is None:
        raise failure("binary" if kind == "binary" else "unsupported", f"no reader for this type ({kind})")
    found = reader(data, name, limits)
    if not any(extract.text.strip() for extract in found):
        raise failure("empty", "it holds only white space")
    return found


READERS: dict[str, Reader] = {
    "text": lambda data, name, limits: [read_text(data, limits.text)],
    "code": lambda data, name, limits: [read_code(data, name, limits.text)],
    "markdown": lambda data, name, limits: [read_markdown(data, limits.text)],
    "html": lambda data, name, limits: [read_html(data, limits.text)],
}
