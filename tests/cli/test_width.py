"""Hits in the width of a terminal, and what to type next when a command or an answer is none."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from localsearch.cli.main import main

NAME = "a name as long as telephones give to the receipts that people scan with them.txt"
CODES = re.compile(r"\x1b\]8;[^\x1b]*\x1b\\|\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / NAME).write_text("A heron stands in the reeds until the fish has come. " * 8)
    (folder / "b.txt").write_text("A heron.")
    assert main(["--home", str(tmp_path / "home"), "index", str(folder), "--no-embed"]) == 0
    return tmp_path / "home"


def lines(home: Path, columns: int, *words: str) -> list[str]:
    """What a terminal of so many columns is sent, without colours and links."""
    pid, descriptor = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "LOCALSEARCH_OFFLINE": "1"}
        environment.pop("COLUMNS", None)
        os.execve(
            sys.executable, [sys.executable, "-m", "localsearch", "--home", str(home), *words], environment
        )
    shown = b""
    while select.select([descriptor], [], [], 120)[0]:
        try:
            part = os.read(descriptor, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.waitpid(pid, 0)
    os.close(descriptor)
    return [line.rstrip() for line in CODES.sub("", shown.decode()).splitlines()]


@pytest.mark.parametrize("columns", [60, 80])
def test_hits_keep_to_the_width(home: Path, columns: int) -> None:
    shown = lines(home, columns, "search", "heron reeds fish", "--mode", "lexical")
    snippet = [line for line in shown if "heron stands" in line or "the fish" in line]
    assert len(snippet) > 2
    assert all(line.startswith("   ") and len(line) <= columns for line in snippet)
    place = [line for line in shown if line.strip().startswith("/")]
    assert NAME in "".join(place)  # whole, in one line, so that it can be copied
    assert "".join(shown).replace("   ", " ").count("1. ") == 1


def test_a_pipe_gets_one_line_for_a_hit_and_one_for_its_text(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "localsearch", "--home", str(home), "search", "heron", "--mode", "lexical"],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "40"},
        timeout=120,
    )
    head, text, *_ = done.stdout.splitlines()
    assert re.match(r"1\. \S.*  /.*\.txt:1  [\d.]+$", head)
    assert text.startswith("   ")
    assert "heron" in text


def test_nothing_found_says_what_to_type_next(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(home), "search", "xylophonist type:mp3", "--mode", "lexical"]) == 0
    told = capsys.readouterr().err
    assert "Nothing was found. Try other words, fewer filters" in told
    assert "localsearch search name:xylophonist" in told


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["serch", "bread"], "there is no command 'serch'. Did you mean: localsearch search"),
        (
            ["versions", "rolback"],
            "there is no command 'rolback'. Did you mean: localsearch versions rollback",
        ),
        (["qqqq"], "there is no command 'qqqq'. See: localsearch --help"),
    ],
)
def test_a_command_that_is_none_is_answered_by_the_nearest(
    typed: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(typed)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("columns", [40, 80])
def test_a_long_title_takes_two_lines_and_its_path_is_whole(home: Path, columns: int) -> None:
    name = "What nobody " + "ever reads to its end " * 9 + "of 2024.txt"
    file = home.parent / "files" / name
    file.write_text("A stork stands on the roof.")
    assert main(["--home", str(home), "index", str(file.parent), "--no-embed"]) == 0
    shown = lines(home, columns, "search", "stork roof", "--mode", "lexical")
    path = next(at for at, line in enumerate(shown) if line.startswith(f"   {file.parent}"))
    title = shown[path - 2 : path]
    assert title[0].startswith("1. What nobody ever")
    assert "…" in "".join(title)
    assert title[1].endswith("of 2024.txt")
    assert all(len(line) <= columns for line in title)
    assert "".join(shown[path:]).startswith(f"   {file}:1")
