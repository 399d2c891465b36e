"""TREC run files: `query Q0 document rank score tag`, the form in which systems hand in rankings.

https://trec.nist.gov and https://github.com/usnistgov/trec_eval: whoever reads one orders by score, and by document id,
the greater first, where scores are equal; the ranks written are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from localsearch.errors import NotFoundError, UsageError

Ranked = Sequence[tuple[str, float]]
"""Document ids with their scores, best first."""
Runs = Mapping[str, Mapping[str, Ranked]]
"""Tag -> query -> ranking."""
STEP = 1e-5
"""By how much, in parts of itself, a score must be below the one before."""


def write_run(file: Path, runs: Runs) -> None:
    """Write rankings so that whoever orders by score finds them again. Raises UsageError for ids with blanks."""
    lines = [line for tag, run in runs.items() for line in _lines(tag, run)]
    file.write_text("".join(lines), "utf-8")


def _lines(tag: str, run: Mapping[str, Ranked]) -> Iterator[str]:
    for query, ranked in run.items():
        for rank, (document, score) in enumerate(_falling(ranked), 1):
            for word in (query, document):
                if not word or len(word.split()) != 1:
                    raise UsageError(
                        f"The id {word!r} has blanks, which a TREC run cannot hold.",
                        hint="Leave --run out, or give the collection ids without blanks.",
                    )
            yield f"{query} Q0 {document} {rank} {score:.7g} {tag}\n"


def _falling(ranked: Ranked) -> Iterator[tuple[str, float]]:
    last = math.inf
    for document, score in ranked:
        below = math.inf if last == math.inf else _written(last - STEP * max(1.0, abs(last)))
        last = min(_written(score), below)
        yield document, last


def _written(score: float) -> float:
    return float(f"{score:.7g}")


def read_run(file: Path) -> dict[str, dict[str, list[str]]]:
    """Rankings by tag and query, ordered as trec_eval does. Raises NotFoundError, UsageError naming a broken line."""
    found: dict[str, dict[str, list[tuple[float, str]]]] = {}
    for number, line in enumerate(_read(file), 1):
        if not line.strip():
            continue
        columns = line.split()
        score = _score(columns[4]) if len(columns) == 6 else None
        if score is None:
            raise UsageError(
                f"{file}, line {number}: not `query Q0 document rank score tag`",
                hint="A TREC run has six columns, the fifth a number.",
            )
        query, _, document, _, _, tag = columns
        found.setdefault(tag, {}).setdefault(query, []).append((score, document))
    return {
        tag: {query: [document for _, document in sorted(rows, reverse=True)] for query, rows in run.items()}
        for tag, run in found.items()
    }


def _read(file: Path) -> Iterable[str]:
    try:
        return file.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        raise NotFoundError(f"{file} is missing", hint="Give a TREC run file.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8: {error.reason}", hint="Save it as UTF-8.") from error


def _score(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
