"""Completion and manual pages are what the parser says, and shells and `man` take them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("shtab", reason="comes with the extra [test]")
pytest.importorskip("argparse_manpage", reason="comes with the extra [test]")

from shells import FILES, made

from localsearch.cli.parser import build_parser

FOLDER = Path(__file__).parents[2] / "localsearch" / "cli" / "shell"
BIN = Path(sys.executable).parent


@pytest.mark.parametrize("file", FILES)
def test_each_file_is_made_from_the_parser(file: str) -> None:
    if os.environ.get("LOCALSEARCH_WRITE_DOCS"):
        (FOLDER / file).write_text(made(file), "utf-8")
    assert (FOLDER / file).read_text("utf-8") == made(file)


def commands() -> set[str]:
    return set(build_parser()._subparsers._group_actions[0].choices)  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize("name", ["localsearch", "lsearch"])
def test_bash_completes_commands_options_and_choices(name: str) -> None:
    def completed(*words: str) -> set[str]:
        line = " ".join((name, *words))
        script = (
            f'source "{FOLDER}/{name}.bash"; COMP_WORDS=({line});'
            f" COMP_CWORD={len(words)}; COMP_LINE='{line}'; COMP_POINT={len(line)}; _shtab_{name};"
            ' printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        return {word.strip() for word in done.stdout.split()}

    assert completed(name, "sea") == {"search"}
    assert {"--lines", "--pages"} <= completed(name, "get", "--")
    assert completed(name, "search", "--mode", "le") == {"lexical"}


@pytest.mark.parametrize(("shell", "flag"), [("bash", "-n"), ("zsh", "-n"), ("fish", "-n")])
@pytest.mark.parametrize("name", ["localsearch", "lsearch"])
def test_shells_that_are_here_take_the_script(shell: str, flag: str, name: str) -> None:
    if shutil.which(shell) is None:
        text = (FOLDER / f"{name}.{shell}").read_text("utf-8")
        assert re.search(rf"\b{name}\b", text)
        assert all(command in text for command in commands())
        return
    subprocess.run([shell, flag, str(FOLDER / f"{name}.{shell}")], check=True)


@pytest.mark.parametrize("name", ["localsearch", "lsearch"])
def test_the_manual_page_is_whole(name: str) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-P-cbou", str(FOLDER / f"{name}.1")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    flowed = " ".join(done.stdout.split())
    assert f"{name} - Search your own files" in flowed
    assert "4 no hits and --fail-empty was given" in flowed
    for command in commands():
        assert f"{name} {command}" in flowed


@pytest.mark.parametrize("name", ["localsearch", "lsearch"])
def test_both_names_are_installed_and_print_their_own(name: str) -> None:
    script = BIN / name
    assert script.exists()
    for words, start in ((["completion", "zsh"], f"#compdef {name}"), (["man"], f".TH {name.upper()} ")):
        done = subprocess.run([str(script), *words], capture_output=True, text=True, check=True)
        assert done.stdout.startswith(start)
    told = subprocess.run([str(script), "--help"], capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"usage: {name} ")
