"""Rich text by striprtf, which knows its many encodings; by kreuzberg where that finds nothing."""

from __future__ import annotations

import re
from typing import Any

from localsearch.errors import ExtractionError
from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean
from localsearch.extract.fields import front_matter
from localsearch.extract.limits import failure
from localsearch.extract.office import read_office
from localsearch.extract.packages import own_title
from localsearch.extract.rtfgroups import divided, with_charsets
from localsearch.extract.source import Source
from localsearch.types import Extract

_PICTURE = re.compile(r"[0-9a-fA-F\s]{512,}")
_AS_PICTURE = bytes(not (chr(sign).isspace() or chr(sign) in "0123456789abcdefABCDEF") for sign in range(256))
"""Zero for each sign that the bytes of a picture are written in, so that a run of them is found quickly."""
_INSIDE = r"(?:[^{}\\]++|\\[^{}])"
_IGNORABLE = re.compile(
    rf"\{{\\(?:\*(?!\s*\\fldinst)|(?:stylesheet|colortbl)\b)(?:{_INSIDE}|\{{{_INSIDE}*+\}})*+\}}"
)
"""Groups that every reader skips which does not know them, and tables of styles; that of a link is looked into."""
_INFO = re.compile(r"\{\\(title|author|subject|keywords) ([^{}]{1,500})\}")
_CODE_PAGE = re.compile(r"\\ansicpg\d+")
_TIMES = re.compile(r"\{\\(creatim|revtim)\\yr(\d{4})\\mo(\d+)\\dy(\d+)(?:\\hr(\d+)\\min(\d+))?")
_NAMES = {"keywords": "tags", "creatim": "created", "revtim": "modified"}


def read_rtf(source: Source) -> list[Extract]:
    """Paragraphs of a rich text file, then its notes, comments, text boxes and what is on each page, each line once."""
    text = source.data.decode("latin-1")
    if bytes(512) in source.data.translate(_AS_PICTURE):
        text = _PICTURE.sub(" ", text)
    text, beside = divided(with_charsets(text))
    text = _IGNORABLE.sub("{}", text)
    builder = Builder(source.limits.text)
    for paragraph in _converted(text).replace("|\n", "\n").split("\n"):
        builder.add(paragraph, joint="\n")
    said = set[str]()
    for line in map(str.strip, _converted(_IGNORABLE.sub("{}", beside)).split("\n") if beside else ()):
        builder.add("" if line in said else line, joint="\n")
        said.add(line)
    title, metadata = _information(text)
    if builder.empty:
        return _otherwise(source)
    return [builder.extract("rtf", title=own_title(title), metadata=metadata)]


def _otherwise(source: Source) -> list[Extract]:
    try:
        return read_office(source, "rtf")
    except ExtractionError:
        raise failure("no-text", "it holds no text") from None


def _information(text: str) -> tuple[str, dict[str, Any]]:
    head = text[:100_000]
    found: dict[str, Any] = {}
    page = match.group() if (match := _CODE_PAGE.search(head)) else ""
    for name, value in _INFO.findall(head):
        found.setdefault(_NAMES.get(name, name), _converted("{\\rtf1" + page + " " + value + "}").strip())
    for name, year, month, day, hour, minute in _TIMES.findall(head):
        clock = f"T{int(hour):02}:{int(minute):02}:00" if hour else ""
        found[_NAMES[name]] = f"{year}-{int(month):02}-{int(day):02}{clock}"
    return str(found.pop("title", "")), front_matter(found)


def _converted(text: str) -> str:
    from striprtf.striprtf import rtf_to_text

    return clean(rtf_to_text(text, errors="ignore"))  # type: ignore[no-untyped-call]
