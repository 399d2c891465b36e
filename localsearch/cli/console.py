"""What the command line prints: results on stdout; progress and messages on stderr."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

import msgspec
from rich.console import Console as Rich
from rich.markup import escape
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Column, Table
from rich.text import Text

from localsearch.checked import printable, printable_json
from localsearch.errors import LocalSearchError
from localsearch.settings import Links
from localsearch.types import Answer, Hit, Progress, Report

_STAGES = {
    "scan": "Looking",
    "read": "Reading",
    "words": "Words",
    "embed": "Embedding",
    "recognise": "Recognising",
    "merge": "Vector index",
}
_PLAIN_EVERY_S = 10.0
_WIDE = 110
"""Columns from which progress tells the file too."""
_PIPED = 10_000
"""Columns where nobody looks: what is piped is not cut to a terminal's width."""


def take_every_letter() -> None:
    """Have output show as escapes what the terminal's coding lacks: that is no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Rich(Rich):
    """A console whose reader may leave: that ends the command as `head` ends others, not with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Console:
    """Where output goes and how much of it: `json` prints one object and nothing else on stdout."""

    def __init__(self, *, json: bool = False, verbosity: int = 0, links: Links = "file") -> None:
        self.json = json
        self.links = links
        self.verbosity = verbosity
        width = None if sys.stdout.isatty() else _PIPED
        self.out = _Rich(highlight=False, soft_wrap=True, width=width)
        self.err = _Rich(stderr=True, highlight=False, soft_wrap=True)

    def result(self, value: Any) -> None:
        """Print a result as JSON."""
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        self._json(text)

    def lines(self, values: Iterable[Any]) -> None:
        """Print each value as one line of JSON."""
        for value in values:
            self._json(msgspec.json.encode(value).decode())

    def _json(self, text: str) -> None:
        sys.stdout.write(printable_json(text, getattr(sys.stdout, "encoding", None) or "utf-8") + "\n")

    def write(self, text: str) -> None:
        """Print text as it is, but for control characters."""
        sys.stdout.write(printable(text))

    def say(self, message: str) -> None:
        """A message for people, not shown with -q."""
        if self.verbosity >= 0:
            self.tell(message)

    def tell(self, message: str) -> None:
        """What went wrong without ending the command: shown with -q too, as errors are."""
        self._message(Text(printable(message)))

    def error(self, error: LocalSearchError) -> None:
        self._message(Text.assemble(("error: ", "bold red"), printable(error.message)))
        if error.hint:
            self._message(Text(f"  {printable(error.hint)}", style="dim"))

    def _message(self, text: Text) -> None:
        """Work goes on, and its exit code stands, when messages find no room or nobody who reads them."""
        with suppress(OSError):
            self.err.print(text)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """A table whose first row is its heading; an empty heading is not shown."""
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(rows[0]))
        for column, heading in enumerate(rows[0]):
            table.add_column(heading, justify="left" if column == 0 else "right", overflow="fold")
        for row in rows[1:]:
            table.add_row(*(Text(printable(cell)) for cell in row))
        self.out.print(table)

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """A report that draws bars on a terminal, and a line now and then elsewhere."""
        if self.verbosity < 0:
            yield lambda _: None
        elif not self.err.is_terminal:
            yield _plain(self)
        else:
            with _bars(self.err) as bars:
                yield _drawing(bars)

    def answer(self, answer: Answer) -> None:
        """Ranked hits for people: title, where, score, snippet with the matched words."""
        for note in answer.notes:
            self.say(note)
        for number, hit in enumerate(answer.results, 1):
            self._hit(number, hit)
        if not answer.results:
            self.say("Nothing was found." + _way_on(answer.query))
        if answer.corrections:
            self.say("Did you mean: " + ", ".join(answer.corrections))
        if answer.semantic_coverage < 1 and answer.version:
            self.say(f"{answer.semantic_coverage:.0%} of chunks can be found by meaning so far.")
        cached = ", cached" if answer.cached else ""
        about = "about " if answer.total_is_estimate else ""
        self.say(f"{len(answer.results)} of {about}{answer.total:,} in {answer.took_ms:.0f} ms{cached}")

    def _hit(self, number: int, hit: Hit) -> None:
        """A hit in the width of the terminal: where it is has a line of its own where it would not fit; in one line
        and unbroken where something else reads it."""
        title, place = _title(number, hit), _place(hit, self.links)
        text = _marked(hit)
        if not self.out.is_terminal:
            self.out.print(Text.assemble(title, "  ", place))
            self.out.print(Text.assemble(_INDENT, text))
            return
        if title.cell_len + 2 + place.cell_len <= self.out.width:
            self.out.print(Text.assemble(title, "  ", place))
        else:
            self.out.print(_title(number, hit, most=2 * self.out.width - _MARGIN), soft_wrap=False)
            self.out.print(Text.assemble(_INDENT, place))
        self.out.print(Padding(text, (0, 0, 0, len(_INDENT))), soft_wrap=False)

    def explanation(self, answer: Answer) -> None:
        """How the ranking came about: the parts of each score as a table, what was understood, where the time went."""
        why = answer.explanation or {}
        self.out.print()
        self.table([_HEAD, *(_parts(number, hit) for number, hit in enumerate(answer.results, 1))])
        for line in _reasons(why, answer.stages):
            self.out.print(Text(printable(line), style="dim"))
        if self.verbosity > 0:
            for name, value in why.items():
                self.out.print(Text(printable(f"{name}: {value}"), style="dim"))


_INDENT = "   "
_MARGIN = 16
"""Columns of two lines of a title that its number and the ends of words may take."""
_HEAD = ("", "words", "meaning", "score", "how near")


def _parts(number: int, hit: Hit) -> Sequence[str]:
    """What a hit's score is made of: BM25, the cosine, both together, and how near that is to the question."""
    scores = hit.scores or {}
    lexical, semantic = scores.get("lexical"), scores.get("semantic")
    return (
        f"{number}.",
        f"{lexical:.2f}" if lexical else "–",
        "–" if semantic is None else f"{semantic:.2f}",
        f"{hit.score:.3f}",
        "" if hit.relevance is None else f"{hit.relevance:.0%}",
    )


def _reasons(why: Mapping[str, Any], stages: Mapping[str, float]) -> Iterator[str]:
    yield "words: BM25 of the best passage · meaning: its cosine · score: both, weighed · how near: 100% is sure"
    if why.get("understood"):
        yield str(why["understood"])
    weights = why.get("weights")
    if isinstance(weights, Mapping) and weights:
        named = {"lexical": "words", "semantic": "meaning"}
        yield "weighed for this question: " + ", ".join(
            f"{named.get(k, k)} {v:.2f}" for k, v in weights.items()
        )
    if why.get("reranker"):
        yield f"scored again by {why['reranker']}"
    slowest = sorted(stages.items(), key=lambda item: -item[1])
    yield "time: " + ", ".join(f"{name} {ms:.1f} ms" for name, ms in slowest[:4])


def where(hit: Hit) -> str:
    """Where a hit is, as an editor or a person would take it: `main.py:140`, `file.pdf p.12`.

    >>> where(Hit("a", 1.0, "", {}, "", "a.pdf", "", (), {"page": 3}))
    'a.pdf p.3'
    """
    place = hit.location
    path = hit.path or hit.id
    if "member" in place:
        path = f"{path}!/{place['member']}"
    row = f" row {place['row']}" if "row" in place else ""
    for name, written in (
        ("page", " p.{}"),
        ("sheet", " [{}]" + row),
        ("chapter", " [{}]"),
        ("message", " message {}"),
    ):
        if name in place:
            return path + written.format(place[name])
    return f"{path}:{place['line']}" if "line" in place else path + row


def flat(text: str) -> str:
    """A title or a name on one line."""
    return " ".join(printable(text).split())


def link_of(hit: Hit, links: Links) -> str:
    """The address that a terminal opens for a hit, with its line where that kind of terminal takes one.

    >>> link_of(Hit("a", 1.0, "", {}, "", "/n/a b.md", "", (), {"line": 7}), "vscode")
    'vscode://file/n/a%20b.md:7'
    """
    if not hit.path or links == "none":
        return ""
    path, line = quote(hit.path), hit.location.get("line")
    if links == "vscode":
        return f"vscode://file{path}:{line or 1}"
    return f"file://{path}#{line}" if links == "kitty" and line else f"file://{path}"


def _title(number: int, hit: Hit, most: int = _PIPED) -> Text:
    return Text.assemble((f"{number}. ", "dim"), (shortened(flat(hit.title or hit.id), most), "bold"))


def shortened(name: str, most: int) -> str:
    """A long name with its middle left out: how it begins and how it ends tell the most.

    >>> shortened("Report that never ends 2024.txt", 20)
    'Report that n…24.txt'
    """
    after = most // 3
    return name if len(name) <= most else f"{name[: most - after - 1]}…{name[-after:]}"


def _place(hit: Hit, links: Links) -> Text:
    score = f"  {hit.score:.3f}" if hit.score else ""
    link = f"link {address}" if (address := link_of(hit, links)) else ""
    return Text.assemble((flat(where(hit)), f"cyan {link}"), (score, "dim"))


def _way_on(query: str) -> str:
    """What to type next where nothing was found.

    >>> _way_on("xylophonist type:mp3")
    " Try other words, fewer filters, or a part of a file's name: localsearch search name:xylophonist"
    """
    words = query.split()
    fewer = ", fewer filters" if any(":" in word for word in words) else ""
    name = next(
        (word for word in words if re.fullmatch(r"[\w.-]{2,}", word) and not word.startswith("-")), ""
    )
    by_name = f", or a part of a file's name: localsearch search name:{name}" if name else "."
    return f" Try other words{fewer}{by_name}"


def _marked(hit: Hit) -> Text:
    text = Text()
    at = 0
    for start, end in hit.highlights:
        text.append(printable(hit.snippet[at:start]))
        text.append(printable(hit.snippet[start:end]), "bold yellow")
        at = end
    text.append(printable(hit.snippet[at:]))
    flat = text.split("\n", allow_blank=False)
    return Text(" ").join(flat)


def _bars(console: Rich) -> Bars:
    """Bars with count, rate and time left; at 80 columns they have room for these, beyond that for the file too."""
    columns: list[ProgressColumn] = [
        SpinnerColumn(),
        TextColumn("{task.description:<12}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=8)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[unit]} {task.fields[rate]}", table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
    ]
    if console.width >= _WIDE:
        columns.append(
            TextColumn(
                "[dim]{task.fields[detail]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
            )
        )
    return Bars(*columns, console=console, transient=True, expand=True)


def _drawing(bars: Bars) -> Report:
    tasks: dict[str, Any] = {}
    began: dict[str, float] = {}

    def report(step: Progress) -> None:
        if step.stage not in tasks:
            name = _STAGES.get(step.stage, step.stage.capitalize())
            tasks[step.stage] = bars.add_task(name, total=step.total, unit=step.unit, detail="", rate="")
            began[step.stage] = time.monotonic()
        seconds = time.monotonic() - began[step.stage]
        rate = f"{step.done / seconds:,.0f}/s" if seconds > 1 else ""
        bars.update(
            tasks[step.stage],
            completed=step.done,
            total=step.total,
            detail=escape(printable(step.detail[-60:])),
            rate=rate,
            unit=step.unit,
        )

    return report


def _plain(console: Console) -> Report:
    last: dict[str, float] = {}

    def report(step: Progress) -> None:
        now = time.monotonic()
        begun = last.setdefault(step.stage, now)
        if now - begun >= _PLAIN_EVERY_S:
            last[step.stage] = now
            of = f" of {step.total:,}" if step.total else ""
            console.say(f"{_STAGES.get(step.stage, step.stage)}: {step.done:,}{of} {step.unit}")

    return report
