"""Hits and documents in forms that other programs take: one JSON object, JSON lines, CSV, Markdown, paths."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal
from urllib.parse import quote

from localsearch.checked import printable
from localsearch.cli.console import Console, flat, where
from localsearch.types import Answer, Document, Documents, Hit

Format = Literal["text", "json", "jsonl", "csv", "md", "paths"]
HIT_COLUMNS = ("rank", "score", "relevance", "collection", "id", "path", "page", "line", "title", "snippet")
DOCUMENT_COLUMNS = ("collection", "id", "path", "type", "title", "start", "stop", "length", "more", "text")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~])")


def hits(console: Console, answer: Answer, form: Format) -> None:
    """Print the hits of an answer; all but `json` hold the hits alone."""
    if form == "json":
        console.result(answer)
    elif form == "jsonl":
        console.lines(answer.results)
    elif form == "csv":
        console.write(_csv(HIT_COLUMNS, map(_hit_row, range(1, len(answer) + 1), answer.results)))
    elif form == "md":
        console.write("".join(f"{number}. {_md_hit(hit)}\n" for number, hit in enumerate(answer.results, 1)))
    else:
        console.write("".join(f"{flat(hit.path or hit.id)}\n" for hit in answer.results))


def documents(console: Console, found: Documents, form: Format) -> None:
    """Print documents, each whole as far as it was read."""
    if form == "json":
        console.result(found)
    elif form == "jsonl":
        console.lines(found.documents)
    elif form == "csv":
        console.write(_csv(DOCUMENT_COLUMNS, map(_document_row, found.documents)))
    elif form == "md":
        console.write("\n".join(map(_md_document, found.documents)))
    elif form == "paths":
        console.write("".join(f"{flat(one.path or one.id)}\n" for one in found.documents))
    else:
        for one in found.documents:
            console.write(f"==> {flat(one.id)} <==\n{_ended(one.text)}")


def _csv(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return made.getvalue()


def _hit_row(rank: int, hit: Hit) -> Iterator[Any]:
    named = {"rank": rank, "page": hit.location.get("page"), "line": hit.location.get("line")}
    for column in HIT_COLUMNS:
        yield named[column] if column in named else getattr(hit, column)


def _document_row(document: Document) -> Iterator[Any]:
    return (getattr(document, column) for column in DOCUMENT_COLUMNS)


def _md_hit(hit: Hit) -> str:
    name = _escaped(flat(hit.title or hit.id))
    link = f"[{name}](<file://{quote(hit.path)}>)" if hit.path else name
    return f"{link} ({_escaped(flat(where(hit)))})\n   > {_escaped(flat(hit.snippet))}"


def _md_document(document: Document) -> str:
    """A heading, and the text in a fence longer than any in it."""
    runs = [len(run) for run in re.findall("`+", document.text)]
    fence = "`" * max(3, max(runs, default=0) + 1)
    head = f"## {_escaped(flat(document.title or document.id))}\n\n{_escaped(flat(document.id))}"
    return f"{head}\n\n{fence}\n{_ended(document.text)}{fence}\n"


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _ended(text: str) -> str:
    shown = printable(text.replace("\r\n", "\n"))
    return shown if shown.endswith("\n") else shown + "\n"


def plain(text: str) -> str:
    """A document's text as it is printed: control characters are shown."""
    return _ended(text)
