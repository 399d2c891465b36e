"""`search`, `get` and `multi-get` as scripts use them."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from localsearch.cli import main
from localsearch.cli.console import link_of
from localsearch.settings import load
from localsearch.types import Hit

LOG = "".join(f"Entry {n} tells of the harbour.\n" for n in range(1, 101))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    top = tmp_path_factory.mktemp("reading")
    docs = top / "docs"
    docs.mkdir()
    (docs / "log.txt").write_text(LOG)
    (docs / 'a "b", c.md').write_text("# Pier | one\n\nThe pier is closed, see [1].\n")
    (docs / "fence.md").write_text("# Fence\n\n````\ncode\n````\n")
    assert main(["--home", str(top / "home"), "-q", "index", str(docs), "--no-embed"]) == 0
    return top / "home", docs


def ask(index: tuple[Path, Path], capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["--home", str(index[0]), *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_json_is_what_json_was(index: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, first, _ = ask(index, capsys, "search", "pier", "--mode", "lexical", "--format", "json")
    _, second, _ = ask(index, capsys, "--json", "search", "pier", "--mode", "lexical")
    assert json.loads(first)["results"] == json.loads(second)["results"]
    code, _, told = ask(index, capsys, "--json", "search", "pier", "--format", "csv")
    assert (code, "exclude each other" in told) == (2, True)


def test_json_lines_csv_and_paths_name_the_same_hits(
    index: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("search", "pier harbour fence", "--mode", "lexical", "--format")
    _, lines, _ = ask(index, capsys, *words, "jsonl")
    hits = [json.loads(line) for line in lines.splitlines()]
    _, table, _ = ask(index, capsys, *words, "csv")
    rows = list(csv.DictReader(io.StringIO(table)))
    _, paths, _ = ask(index, capsys, *words, "paths")
    assert [hit["path"] for hit in hits] == [row["path"] for row in rows] == paths.splitlines()
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, len(hits) + 1)]
    assert str(index[1] / 'a "b", c.md') in paths.splitlines()
    pier = next(row for row in rows if row["title"] == "Pier | one")
    assert (pier["line"], float(pier["score"]) > 0) == ("1", True)


def test_markdown_links_and_escapes(index: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, shown, _ = ask(index, capsys, "search", "pier", "--mode", "lexical", "--format", "md")
    assert shown.startswith(f"1. [Pier \\| one](<file://{index[1]}/a%20%22b%22%2C%20c.md>)")
    assert "closed, see \\[1\\]" in shown
    _, shown, _ = ask(index, capsys, "multi-get", "fence.md", "--format", "md")
    assert re.search(r"^`````\n", shown, re.MULTILINE)


def test_a_question_from_standard_input(index: tuple[Path, Path]) -> None:
    words = [
        sys.executable,
        "-m",
        "localsearch",
        "--home",
        str(index[0]),
        "search",
        "-",
        "--format",
        "paths",
        "--mode",
    ]
    done = subprocess.run([*words, "lexical"], input=b"closed\npier\n", capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == [str(index[1] / 'a "b", c.md')]
    nothing = subprocess.run([*words, "lexical"], input=b"", capture_output=True)
    assert nothing.returncode == 2


def test_exit_codes(index: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(index, capsys, "search", "pier", "--mode", "lexical", "--fail-empty")[0] == 0
    assert ask(index, capsys, "search", "zzzz", "--mode", "lexical")[0] == 0
    assert ask(index, capsys, "search", "zzzz", "--mode", "lexical", "--fail-empty")[0] == 4
    assert ask(index, capsys, "get", "nothing")[0] == 1
    assert ask(index, capsys, "get", "log.txt", "--lines", "x")[0] == 2
    assert ask(index, capsys, "multi-get", "log.txt", "nothing")[0] == 1


def test_get_prints_the_lines_and_nothing_else(
    index: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown, told = ask(index, capsys, "get", "log.txt", "--lines", "40-42")
    assert (code, shown, told) == (0, "".join(LOG.splitlines(True)[39:42]), "")
    code, shown, told = ask(index, capsys, "get", "log.txt", "--max-chars", "10")
    assert (shown, "more follows" in told) == (LOG[:10] + "\n", True)
    _, shown, _ = ask(index, capsys, "--json", "get", "log.txt", "--lines", "7")
    found = json.loads(shown)
    assert (found["text"], found["location"]["line"]) == (LOG.splitlines(True)[6], 7)


def test_multi_get_heads_each_and_keeps_to_the_budget(
    index: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, shown, told = ask(index, capsys, "multi-get", "*.md", "log.txt", "--budget", "50")
    heads = [line for line in shown.splitlines() if line.startswith("==> ")]
    assert heads == [f"==> {index[1] / name} <==" for name in ('a "b", c.md', "fence.md")]
    assert f"no room left for: {index[1] / 'log.txt'}" in told
    found = json.loads(ask(index, capsys, "--json", "multi-get", "*.md", "--budget", "50")[1])
    assert sum(len(document["text"]) for document in found["documents"]) == 50


def test_open_runs_the_program_of_the_settings(
    index: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    home, docs = index
    program, seen = home.parent / "opener", home.parent / "seen"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{seen}"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (home / "settings.toml").write_text(
        f'[terminal]\nopen = "{program} -g {{path}}:{{line}} $(touch {home}/shell)"\n'
    )
    try:
        words = ("search", "pier", "--mode", "lexical", "--open")
        assert ask(index, capsys, *words, "1")[0] == 0
        assert seen.read_text().splitlines()[:2] == ["-g", f'{docs}/a "b", c.md:1']
        assert not (home / "shell").exists()
        code, _, told = ask(index, capsys, *words, "9")
        assert (code, "no hit 9" in told) == (1, True)
        (home / "settings.toml").write_text('[terminal]\nopen = "no-such-program-anywhere {path}"\n')
        code, _, told = ask(index, capsys, *words, "1")
        assert (code, "no program no-such-program-anywhere" in told) == (1, True)
    finally:
        (home / "settings.toml").unlink()


@pytest.mark.parametrize(
    ("environ", "links", "address"),
    [
        ({}, "file", "file:///n/a%20b.md"),
        ({"TERM": "xterm-kitty"}, "kitty", "file:///n/a%20b.md#7"),
        ({"TERM_PROGRAM": "vscode", "TERM": "xterm"}, "vscode", "vscode://file/n/a%20b.md:7"),
    ],
)
def test_links_have_a_line_where_the_terminal_takes_one(
    tmp_path: Path, environ: dict[str, str], links: str, address: str
) -> None:
    settings = load(tmp_path, environ=environ)
    assert settings.terminal.links == links
    hit = Hit("a", 1.0, "", {}, "", "/n/a b.md", "", (), {"line": 7})
    assert link_of(hit, settings.terminal.links) == address
    assert link_of(hit, "none") == ""
