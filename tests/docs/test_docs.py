"""Documentation is checked against the code: settings, commands, links.

With LOCALSEARCH_WRITE_DOCS=1 what is generated is written.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import localsearch
from localsearch.cli.parser import build_parser
from localsearch.filters.table import GRAMMAR
from localsearch.settings import Settings

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "docs" / "SETTINGS.md"
QUERIES = ROOT / "docs" / "QUERIES.md"
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "benchmarks").glob("*.md"),
]


def render(shape: type, prefix: str = "") -> Iterator[str]:
    """One section per group of settings: the docstring, then name, type, default and meaning of each."""
    yield f"## {prefix[:-1] or 'Top level'}\n\n{_prose(shape)}\n\n| setting | type | default | meaning |\n|---|---|---|---|"
    inner: list[tuple[type, str]] = []
    for entry, kind in zip(fields(shape), get_type_hints(shape).values(), strict=True):
        if is_dataclass(kind) and isinstance(kind, type):
            inner.append((kind, f"{prefix}{entry.name}."))
            continue
        if entry.metadata.get("constant"):
            continue
        default = entry.default if entry.default is not MISSING else _factory(entry.default_factory)
        name = re.sub(
            r"typing\.|collections\.abc\.|pathlib\.|localsearch\.settings\.|<class '|'>", "", str(kind)
        )
        yield f"| `{prefix}{entry.name}` | `{name.replace('|', ' or ')}` | {default} | {entry.metadata['meaning']} |"
    for kind, deeper in inner:
        yield "\n" + "\n".join(render(kind, deeper))


def _prose(shape: type) -> str:
    return re.sub(r"\n +", "\n", (shape.__doc__ or "").strip())


def _factory(factory: Any) -> str:
    if factory is MISSING:
        return "see above"
    return "`" + repr(factory()).replace("|", "\\|") + "`"


def test_the_settings_page_is_what_the_code_says() -> None:
    head = (
        "# Settings\n\nRead from `settings.toml` in the index folder: a setting `model.name` is written\n\n"
        '    [model]\n    name = "all-MiniLM-L6-v2"\n\nA megabyte is 1,000,000 bytes. This page is made from `localsearch/settings.py` by `make docs`.\n'
    )
    text = head + "\n" + "\n".join(render(Settings)) + "\n"
    if os.environ.get("LOCALSEARCH_WRITE_DOCS"):
        SETTINGS.write_text(text, "utf-8")
    assert SETTINGS.read_text("utf-8") == text


def test_the_page_on_queries_is_what_the_grammar_says() -> None:
    head = (
        "# Queries\n\nThe same in the search box, on the command line, in Python and in the API. A test asks every"
        " example. This page is made\nfrom `localsearch/filters/table.py` by `make docs`.\n\n| query | finds |\n|---|---|\n"
    )
    text = head + "".join(
        f"| `{row.example}` | {row.meaning.replace('*', chr(92) + '*')} |\n" for row in GRAMMAR
    )
    if os.environ.get("LOCALSEARCH_WRITE_DOCS"):
        QUERIES.write_text(text, "utf-8")
    assert QUERIES.read_text("utf-8") == text


def test_the_help_in_the_page_shows_examples_of_the_grammar() -> None:
    page = (ROOT / "localsearch" / "server" / "web" / "index.html").read_text("utf-8")
    shown = re.findall("<code>(.*?)</code>", page.partition('id="query-help"')[2])
    assert len(shown) >= 6
    assert set(shown) <= {row.example for row in GRAMMAR}


def test_every_command_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"localsearch ([a-z]+)\b", README)) - {"search", "import"}
    choices = build_parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    unknown = {name for name in named if name not in choices} - {"is", "reads", "on"}
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target


def test_the_test_command_is_in_the_readme() -> None:
    assert re.search(r"^ *make test( |$)", README, re.MULTILINE)


def test_the_public_names_are_there() -> None:
    for name in localsearch.__all__:
        assert getattr(localsearch, name) is not None
    with pytest.raises(AttributeError):
        _ = localsearch.nothing  # type: ignore[attr-defined]


def test_importing_the_package_loads_neither_faiss_nor_onnx_runtime() -> None:
    heavy = "('faiss', 'onnxruntime', 'numpy', 'tantivy')"
    code = f"import sys, localsearch; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_architecture_links_to_every_folder() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    folders = {path.parent.name for path in (ROOT / "localsearch").glob("*/__init__.py")}
    linked = set(re.findall(r"\]\(\.\./localsearch/(\w+)\)", page))
    assert folders == linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:localsearch|tests|benchmarks|docs)/[\w./-]+\.(?:py|md|toml|c|h))`", page.read_text("utf-8")
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_module_says_what_it_is() -> None:
    modules = sorted((ROOT / "localsearch").rglob("*.py"))
    silent = [
        path for path in modules if not (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").strip()
    ]
    assert silent == []


def test_each_fault_names_a_test_that_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "ROBUSTNESS.md").read_text("utf-8"))
    assert len(named) > 30
    missing = [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text("utf-8")]
    assert missing == []
