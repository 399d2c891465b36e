"""The tables of docs/SCALING.md are what `localsearch plan` says. With LOCALSEARCH_WRITE_DOCS=1 they are written."""

from __future__ import annotations

import os
import re
from pathlib import Path

from localsearch.cli.planning import headline, roles, sizes, speed
from localsearch.planning import Plan, plan
from localsearch.planning.constants import MEASURED
from localsearch.planning.plan import BUSY, COPIES_MOST, FILLED, parts

PAGE = Path(__file__).parents[2] / "docs" / "SCALING.md"
SIZES = (10_000_000, 100_000_000, 1_000_000_000)
_PLANS = re.compile(r"(<!-- plan -->\n).*?(<!-- /plan -->)", re.DOTALL)


def table(rows: list[list[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join((head, "|---" + "|---:" * (len(rows[0]) - 1) + "|", *body)) + "\n"


def worked(found: Plan) -> str:
    parts = "; ".join(f"{name} {size}" for name, size in sizes(found)[1:])
    notes = "".join(f"- {note}\n" for note in found.notes)
    return f"**{headline(found)}**\n\n{table(roles(found))}\nOne index on disk: {parts}. {speed(found)}\n\n{notes}"


def render() -> str:
    return "\n".join(worked(plan(passages, 500)) for passages in SIZES)


def test_the_tables_are_what_the_command_says() -> None:
    text = PAGE.read_text("utf-8")
    wanted = _PLANS.sub(lambda match: f"{match[1]}{render()}{match[2]}", text)
    if os.environ.get("LOCALSEARCH_WRITE_DOCS"):
        PAGE.write_text(wanted, "utf-8")
    assert PAGE.read_text("utf-8") == wanted
    assert len(_PLANS.findall(wanted)) == 1


def test_the_words_beside_the_tables_are_of_the_same_constants() -> None:
    text = " ".join(PAGE.read_text("utf-8").split())
    assert f"end at {COPIES_MOST // 1_000_000} million passages" in text
    assert f"reads {parts(COPIES_MOST, 384).database / 1e9:.0f} GB of database" in text
    assert (BUSY, FILLED) == (0.6, 0.75)
    assert f"costs {MEASURED.growth.value:.2f} times as much" in text
