"""Write a result file's reports: Markdown, one HTML page that needs nothing else, and the tables in the documents."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.tables import Table

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-size: 13px; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #8884; text-align: right; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } th { border-bottom: 2px solid #888; }
figure { margin: 1rem 0; background: #fff; border-radius: 6px; padding: .5rem; }
figure svg { max-width: 100%; height: auto; }
figcaption { color: #333; font-size: 13px; } .wide { overflow-x: auto; } p.note { color: #777; font-size: 13px; }
td.no { color: #c53030; font-weight: 600; } td.yes { color: #2f855a; }
"""
_MARKER = re.compile(r"(<!-- benchmarks:([\w-]+) -->\n).*?(<!-- /benchmarks -->)", re.DOTALL)


def write(results: Mapping[str, Any], file: Path) -> list[Path]:
    """Write FILE.md and FILE.html beside the JSON; return both. The page is for looking at: git ignores it."""
    markdown, page = file.with_suffix(".md"), file.with_suffix(".html")
    markdown.write_text(as_markdown(results), "utf-8")
    page.write_text(as_html(results), "utf-8")
    return [markdown, page]


def heading(results: Mapping[str, Any]) -> str:
    """What was measured where, in one paragraph."""
    machine = results["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    times = sum(run["seconds"] for run in results["runs"].values())
    return (
        f"Commit {results['commit']}{', quick run' if results['quick'] else ''}, on {machine['processor']} with"
        f" {machine['cores']} cores ({', '.join(machine['instructions']) or 'no vector instructions named'}),"
        f" {machine['memory_gb']} GB of memory, {machine['system']}, Python {machine['python']}; {libraries}."
        f" The suites took {times / 60:.0f} minutes. Times vary from run to run; ratios are what to trust."
    )


def as_markdown(results: Mapping[str, Any]) -> str:
    parts = ["# Benchmarks", heading(results)]
    for table in tables.all_tables(results):
        parts += [f"## {table.title}", table.markdown()]
    return "\n\n".join(parts) + "\n"


def as_html(results: Mapping[str, Any]) -> str:
    from benchmarks import plots  # with matplotlib, which takes most of a second to load

    body = [f"<h1>Benchmarks</h1><p>{html.escape(heading(results))}</p>"]
    body += [
        f"<figure>{plot.svg}<figcaption>{html.escape(plot.title)}</figcaption></figure>"
        for plot in plots.all_plots(results)
    ]
    body += [_html_table(table) for table in tables.all_tables(results)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>localsearch: benchmarks</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _html_table(table: Table) -> str:
    first, *rest = table.rows
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in first)
    rows = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rest)
    note = f'<p class="note">{html.escape(table.note)}</p>' if table.note else ""
    return (
        f"<h2>{html.escape(table.title)}</h2>"
        f'<div class="wide"><table><tr>{cells}</tr>\n{rows}</table></div>{note}'
    )


def _cell(text: str) -> str:
    kind = f' class="{text}"' if text in ("yes", "no") else ""
    return f"<td{kind}>{html.escape(text)}</td>"


def into_document(results: Mapping[str, Any], file: Path) -> list[str]:
    """Replace what stands between `<!-- benchmarks:KEY -->` and `<!-- /benchmarks -->`; return the keys replaced.

    A key is a table's, or `machine` for the paragraph that says what was measured where. One without figures stays.
    """
    return into_markers(
        {table.key: table.markdown() for table in tables.all_tables(results)} | {"machine": heading(results)},
        file,
    )


def into_markers(made: Mapping[str, str], file: Path) -> list[str]:
    """Put each text where its key's markers are in a document; return the keys replaced."""
    text = file.read_text("utf-8")
    found = [key for _, key, _ in _MARKER.findall(text) if key in made]
    file.write_text(_MARKER.sub(lambda match: _filled(match, made), text), "utf-8")
    return found


def _filled(match: re.Match[str], made: Mapping[str, str]) -> str:
    if match[2] not in made:
        return match[0]
    return f"{match[1]}{made[match[2]]}\n{match[3]}"
