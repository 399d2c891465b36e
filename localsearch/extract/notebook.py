"""Jupyter notebooks: the cells in order, and all that a person reads in them.

https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

import json
import re
from typing import Any

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean, decode
from localsearch.extract.fields import front_matter
from localsearch.extract.html import read_markup
from localsearch.extract.limits import failure
from localsearch.extract.markdown import read_markdown
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

LONGEST_OUTPUT = 100_000
"""Characters kept of one output; what a loop prints without end tells nothing more."""
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_IMAGE = re.compile(r"!\[([^\]]*)\]\((?:attachment:|data:)[^)]*\)")
_RICH = ("text/html", "text/markdown", "text/latex", "application/json", "text/plain")
"""Forms of one output, the one that says most first."""


def read_notebook(source: Source) -> list[Extract]:
    """Cells of a notebook in order: Markdown with its headings, code, and what code printed, showed or failed with."""
    try:
        notebook = json.loads(decode(source.data)[0])
        cells = notebook.get("cells") or [
            c for sheet in notebook.get("worksheets", []) for c in sheet["cells"]
        ]
        own = notebook.get("metadata", {})
        language = own.get("kernelspec", {}).get("language") or own.get("language_info", {}).get("name", "")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise failure("damaged", f"no valid notebook: {error}") from None
    builder = Builder(source.limits.text)
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, dict):
            _add_cell(builder, cell, Place(part=f"cell {number}"))
    named = {key: _names(own[key]) for key in ("authors", "date", "tags") if own.get(key)}
    metadata = front_matter(named | ({"code_language": language} if language else {}))
    title = own.get("title")
    return [builder.extract("notebook", title=title if isinstance(title, str) else "", metadata=metadata)]


def _names(value: object) -> object:
    """Authors as a notebook has them, mappings with a name each, as names."""
    if isinstance(value, list):
        return [str(item.get("name", "")) if isinstance(item, dict) else item for item in value]
    return value


def _add_cell(builder: Builder, cell: dict[str, Any], place: Place) -> None:
    text = _joined(cell.get("source") or cell.get("input"))
    kind = cell.get("cell_type")
    if kind == "markdown":
        _add_markdown(builder, text, place)
    elif kind == "heading" and text.strip():
        builder.heading(int(cell.get("level") or 1), clean(text), place)
    else:
        builder.add(clean(text), "code", place)
        for output in cell.get("outputs") or []:
            if isinstance(output, dict):
                _add_output(builder, output, place)


def _add_markdown(builder: Builder, text: str, place: Place) -> None:
    text = _IMAGE.sub(r"\1", text)
    inner = read_markdown(text.encode("utf-8", "replace"), len(text) + 1)
    for block in inner.blocks:
        piece = inner.text[block.start : block.end]
        if block.kind == "heading":
            builder.heading(
                len(piece) - len(piece.lstrip("#")) or 1, block.place.heading[-1], place, show=piece
            )
        else:
            builder.add(piece, block.kind, place)


def _add_output(builder: Builder, output: dict[str, Any], place: Place) -> None:
    """What a cell printed, an error with where it arose, or the form of a result that says most."""
    if output.get("output_type") in ("error", "pyerr"):
        trace = output.get("traceback") or []
        text = _plain("\n".join(map(str, trace)) if isinstance(trace, list) else str(trace))
        value = _plain(str(output.get("evalue", "")))
        builder.add(
            text if value in text and text else f"{text}\n{output.get('ename', '')}: {value}", "code", place
        )
        return
    if "text" in output and "data" not in output:
        builder.add(_plain(_joined(output["text"])), "code", place)
    forms = _forms(output)
    found = next((form for form in _RICH if _joined(forms.get(form)).strip()), "")
    text = _joined(forms.get(found))
    if found == "text/html":
        if not _add_markup(builder, text, place):
            builder.add(_plain(_joined(forms.get("text/plain"))), "code", place)
    elif found == "text/markdown":
        _add_markdown(builder, text, place)
    elif found:
        builder.add(_plain(text), "code", place)


def _forms(output: dict[str, Any]) -> dict[str, Any]:
    """The forms of a result by their type; before version 4 they stood in the output itself, as "html" and "latex"."""
    data = output.get("data")
    if isinstance(data, dict):
        return data
    return {f"text/{name}": output[name] for name in ("html", "latex") if name in output}


def _add_markup(builder: Builder, markup: str, place: Place) -> bool:
    """The text of an HTML output, a table's rows among it; whether there is any."""
    inner = read_markup(clean(markup), Builder(LONGEST_OUTPUT), place)
    for block in inner.blocks:
        kind = "paragraph" if block.kind == "heading" else block.kind
        builder.add(inner.text[block.start : block.end], kind, place, joint="\n")
    return bool(inner.text.strip())


def _plain(text: str) -> str:
    return clean(_ANSI.sub("", text))[:LONGEST_OUTPUT]


def _joined(source: object) -> str:
    if isinstance(source, list):
        return "".join(map(str, source))
    return json.dumps(source, ensure_ascii=False) if isinstance(source, dict) else str(source or "")
