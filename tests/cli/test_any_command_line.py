"""Whatever is typed, wherever: no traceback, an exit code of the documented ones, and an error with what to do about it.

The command lines are made from the parser itself, so a new command or flag is tried without a word here.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rounds
from hypothesis import strategies as st

from localsearch.cli.main import main
from localsearch.cli.parser import build_parser

CODES = {0, 1, 2, 3, 4, 130}
LONG = "x" * 5_000
WORDS = ["", " ", "-", ".", "a.txt", "nothing/here", "here", "here/b.md", "bad\udcffname", "é", "\x1b[2J", "a\nb", LONG,
         "~nobody-of-that-name", "a\0b", "*", "[", "{}", "id:", "type:", "after:x", "(", '"', "a OR", "0", "-1", "1e400", "nan", "9" * 4_400,
         "default", "lexical", "10-20", "2-1", "Europe/Berlin", "../Nowhere", "out.file", "here/", "index.db"]  # fmt: skip
"""No word names what lies outside of the folder of a test."""
BLOCKS = {"serve", "watch", "mcp"}
"""Commands that may go on for ever; they are tried in processes of their own."""
UNDRAWN = {"home", "open", "help", "airgap"}
"""No draw has them: of --airgap each would rehearse a life, which takes 18 s of processor time and has a test of its own."""

Home = Callable[[Path], None]


def _file(home: Path) -> None:
    home.write_text("x")


def _with(name: str, content: bytes | None) -> Home:
    """A folder with that file, or that folder, in it."""

    def make(home: Path) -> None:
        home.mkdir()
        (home / name).mkdir() if content is None else (home / name).write_bytes(content)

    return make


def _fifo(home: Path) -> None:
    home.mkdir()
    os.mkfifo(home / "settings.toml")


def _link_to(target: str, name: str) -> Home:
    def make(home: Path) -> None:
        home.mkdir()
        (home / name).symlink_to(target)

    return make


def _unwritable(home: Path) -> None:
    home.mkdir(mode=0o500)


def _closed(home: Path) -> None:
    home.mkdir(mode=0o000)


HOMES: dict[str, Home] = {
    "none": lambda home: None,
    "a file": _file,
    "empty": lambda home: home.mkdir(),
    "a link to nowhere": lambda home: home.symlink_to("gone"),
    "a link to itself": lambda home: home.symlink_to(home),
    "not to be written": _unwritable,
    "closed": _closed,
    "settings a folder": _with("settings.toml", None),
    "settings a pipe": _fifo,
    "settings without end": _link_to("/dev/zero", "settings.toml"),
    "settings no TOML": _with("settings.toml", b"model = ["),
    "settings of other bytes": _with("settings.toml", b"\xff\xfe\x00"),
    "settings very deep": _with("settings.toml", b"a = " + b"[" * 20_000),
    "settings with long numbers": _with("settings.toml", b"[chunk]\ntokens = " + b"9" * 5_000),
    "settings of other types": _with("settings.toml", b'offline = 5\nmodel = "x"\nserver = []\n'),
    "settings with a NUL in a path": _with("settings.toml", b'models = "a\\u0000b"\n'),
    "settings of nobody": _with("settings.toml", b'models = "~nobody-of-that-name/x"\n'),
    "database a folder": _with("index.db", None),
    "database empty": _with("index.db", b""),
    "database of something else": _with("index.db", b"x" * 9_000),
    "database half a header": _with("index.db", b"SQLite format 3\0" + b"\0" * 60),
    "lock a folder": _with("owner.lock", None),
    "keys a folder": _with("service.db", None),
    "keys of something else": _with("service.db", b"x" * 9_000),
    "models a file": _with("models", b"x"),
    "words a file": _with("lexical", b"x"),
    "vectors a file": _with("vectors", b"x"),
    "log a folder": _with("query-log.db", None),
    "remembered vectors a folder": _with("query-vectors.db", None),
    "calls a folder": _with("audit.jsonl", None),
}


def _leaves(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command and its parser."""
    subs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not subs:
        yield words, parser
    for action in subs:
        for name, inner in action.choices.items():
            yield from _leaves(inner, (*words, name))


LEAVES = dict(_leaves(build_parser()))


def _arguments(action: argparse.Action) -> st.SearchStrategy[list[str]]:
    """Words for one flag or place."""
    words = st.sampled_from(WORDS) | st.text(
        st.characters(blacklist_characters="/~.", codec=None), max_size=8
    ).filter(lambda word: not word.startswith("-"))
    value = st.sampled_from([str(choice) for choice in action.choices]) | words if action.choices else words
    if action.nargs == 0:
        values = st.just([])
    elif action.nargs in ("+", "*"):
        values = st.lists(value, min_size=action.nargs == "+", max_size=2)
    elif action.nargs == "?":
        values = st.lists(value, max_size=1)
    else:
        values = value.map(lambda word: [word])
    if action.option_strings:
        flag = action.option_strings[-1]
        return values.map(lambda found: [flag] if not found else [f"{flag}={found[0]}"])
    return values


@st.composite
def command_lines(draw: st.DrawFn, names: list[tuple[str, ...]]) -> list[str]:
    name = draw(st.sampled_from(names))
    actions = [a for a in LEAVES[name]._actions if a.dest not in UNDRAWN]
    needed = [a for a in actions if not a.option_strings or a.required]
    others = [a for a in actions if a not in needed]
    chosen = needed + draw(st.lists(st.sampled_from(others), max_size=3) if others else st.just([]))
    parts = [draw(_arguments(action)) for action in chosen if draw(st.integers(0, 30))]
    return [*name, *(word for part in parts for word in part)]


def call(words: list[str], home: str, cwd: Path, coding: str, *, gone: bool = False) -> tuple[int, str]:
    """Run a command line in this process, as a terminal of that coding would show it; in a folder deleted meanwhile."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=coding) for _ in range(2))
    environment = {
        "LOCALSEARCH_OFFLINE": "1",
        "LOCALSEARCH_MODELS": str(cwd.parent / "no models"),
        "HOME": str(cwd),
    }
    before, mask = os.getcwd(), os.umask(0o022)
    try:
        os.chdir(cwd)
        if gone:
            os.rmdir(cwd)
        with (
            mock.patch.dict(os.environ, environment),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"bread\xff\n"))),
        ):
            try:
                code = main(["--home", home, *words])
            except SystemExit as left:  # argparse does
                code = left.code if isinstance(left.code, int) else 1
            out.flush()
            err.flush()
    finally:
        os.chdir(before)
        os.umask(mask)
    return code, "\n".join(stream.buffer.getvalue().decode(coding) for stream in (out, err))  # type: ignore[attr-defined]


def hold(code: int, said: str, words: Sequence[str]) -> None:
    """What every command line keeps."""
    assert code in CODES
    assert "Traceback" not in said
    assert "a mistake of localsearch" not in said, said
    assert "\x1b[2J" not in said
    if code in (1, 2, 3):
        assert said.strip(), words
    lines = said.splitlines()
    for number, line in enumerate(lines):
        if (
            line.startswith("error: ") and words[0] != "index"
        ):  # which goes on, and tells each path on its line
            assert line.removeprefix("error: ").strip()
            assert any(hint.startswith("  ") for hint in lines[number + 1 :]), f"says not what to do: {line}"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A current folder with a little in it."""
    cwd = tmp_path / "cwd"
    (cwd / "here").mkdir(parents=True)
    (cwd / "a.txt").write_text("Bread and butter.\n")
    (cwd / "here" / "b.md").write_text("# Bread\n\nFlour, water, salt.\n")
    return cwd


@pytest.fixture
def indexed(here: Path) -> Path:
    home = here.parent / "kept"
    code, said = call(["index", "here", "a.txt", "--no-embed"], str(home), here, "utf-8")
    assert code == 0, said
    return home


IN_PROCESS = [name for name in LEAVES if name[0] not in BLOCKS]
CODING = st.sampled_from(["utf-8", "latin-1", "ascii"])


@pytest.mark.parametrize("kind", HOMES)
@rounds(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=command_lines(IN_PROCESS), coding=CODING)
def test_any_words_with_an_odd_home(here: Path, kind: str, words: list[str], coding: str) -> None:
    home = here.parent / "home"
    _clear(home)
    HOMES[kind](home)
    hold(*call(words, str(home), here, coding), words)


def _clear(home: Path) -> None:
    if home.is_symlink() or home.is_file():
        home.unlink()
    elif home.exists():
        home.chmod(0o700)
        shutil.rmtree(home)


@rounds(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=command_lines(IN_PROCESS), coding=CODING)
def test_any_words_with_an_index(indexed: Path, here: Path, words: list[str], coding: str) -> None:
    hold(*call(words, str(indexed), here, coding), words)


@pytest.mark.slow
def test_a_rehearsal_without_an_index(here: Path) -> None:
    words = ["doctor", "--airgap"]
    code, said = call(words, str(here.parent / "home"), here, "utf-8")
    hold(code, said, words)
    assert code == 1  # of the model that is not there
    assert "A rehearsal is running" in said
    assert "rehearsal: done: index" in said


@rounds(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=command_lines(IN_PROCESS),
    home=st.sampled_from([word for word in WORDS if word not in ("", ".", " ")]),
)
def test_any_word_for_a_home(here: Path, words: list[str], home: str) -> None:
    hold(*call(words, home, here, "utf-8"), words)


# -- in processes of their own


def start(words: list[str], home: Path, cwd: Path, shell: str = "") -> subprocess.Popen[bytes]:
    """The real program, started by a shell that may redirect, or go to a folder that is then deleted."""
    script = f'"$@" {shell}' if not shell.endswith(";") else f'{shell} "$@"'
    return subprocess.Popen(
        ["sh", "-c", script, "sh", sys.executable, "-m", "localsearch", "--home", str(home), *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, start_new_session=True,
        env=os.environ | {"LOCALSEARCH_OFFLINE": "1", "LOCALSEARCH_MODELS": str(cwd.parent / "no models"),
                          "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip


def end(process: subprocess.Popen[bytes], seconds: float = 120) -> tuple[int, str]:
    """How it ended; one that goes on longer is asked to stop, as by Ctrl-C."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    code = 130 if process.returncode == -signal.SIGINT else process.returncode  # as shells tell it
    return code, (out + b"\n" + err).decode("utf-8", "replace")


def ended(several: Sequence[list[str]], seconds: Sequence[float], indexed: Path, here: Path) -> None:
    """Start all of them, each on an index of its own; ask each to stop after its seconds."""
    homes = [Path(tempfile.mkdtemp(dir=here.parent)) / "home" for _ in several]
    for home in homes:
        shutil.copytree(indexed, home)
    with ThreadPoolExecutor(len(several)) as pool:
        started = [start(words, home, here) for words, home in zip(several, homes)]
        for words, (code, said) in zip(several, pool.map(end, started, seconds)):
            if not before_the_program(said):
                hold(code, said, words)


def before_the_program(said: str) -> bool:
    """Whether Ctrl-C came while Python itself started, which tells so with a traceback that has no line of the program."""
    files = re.findall(r'^  File "(.*)"', said, re.MULTILINE)
    return bool(files) and not any(re.search(r"localsearch/(?!__init__)", name) for name in files)


@pytest.mark.parametrize("moment", [0.05, 0.1, 0.2, 0.4])
def test_ctrl_c_while_the_program_loads(tmp_path: Path, here: Path, moment: float) -> None:
    """It ends without a word, says that it was stopped, or had said before that there is no index."""
    started = [start(["status"], tmp_path / "home", here) for _ in range(2)]
    for process in started:
        code, said = end(process, moment)
        assert before_the_program(said) or (code in (0, 1, 130) and "Traceback" not in said), said


@rounds(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    several=st.lists(
        command_lines([name for name in LEAVES if name[0] in BLOCKS]).filter(
            lambda words: not any("\0" in word for word in words)
        ),
        min_size=3,
        max_size=3,
    )
)
def test_any_words_for_what_goes_on_until_it_is_stopped(
    indexed: Path, here: Path, several: list[list[str]]
) -> None:
    for words in several:
        if words[0] == "serve" and not any(word.startswith("--port") for word in words):
            words.append("--port=0")
    ended(several, [4] * len(several), indexed, here)


def test_processes_that_are_stopped_while_they_start(indexed: Path, here: Path) -> None:
    """Each moment is one of many: how far a start has come by then is the machine's."""
    moments = [0.3, 0.8, 1.2, 1.6, 2.0, 2.6, 3.2, 4.0]
    ended([["serve", "--port=0", "--workers=2"]] * len(moments), moments, indexed, here)


@pytest.mark.parametrize("host", ["\x94", "a\U000e358b", "x" * 300, "a..b"])
def test_a_host_that_is_no_name(indexed: Path, here: Path, host: str) -> None:
    code, said = end(start(["serve", "--port=0", f"--host={host}"], indexed, here))
    hold(code, said, ["serve"])
    assert code == 2
    assert "is no address" in said


REDIRECTED = [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", "| true"]
SIMPLE = [["status", "--json"], ["search", "bread", "--mode", "lexical"], ["index", "a.txt", "--no-embed"], ["man"],
          ["why", "a.txt"], ["nonsense"], ["--help"]]  # fmt: skip
"""One for each way that words go out: JSON, hits, progress, a page, a table, a mistake, the parser's own."""


@pytest.mark.parametrize("redirected", REDIRECTED)
def test_output_that_nobody_takes(indexed: Path, here: Path, redirected: str) -> None:
    started = [(words, start(words, indexed, here, redirected)) for words in SIMPLE]
    for words, process in started:
        code, said = end(process)
        assert "Traceback" not in said, words
        assert "Exception ignored" not in said, words
        if redirected == ">/dev/full" and code == 1:
            assert "No space left" in said
        elif redirected != "| true":  # there the shell tells of `true`
            assert code == (2 if words == ["nonsense"] else 0), (words, said)
    with contextlib.closing(sqlite3.connect(indexed / "index.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def _simplest(name: tuple[str, ...]) -> list[str]:
    """The command with a word for whatever it must be told."""
    places = [action for action in LEAVES[name]._actions if not action.option_strings]
    return [*name, *("x" for action in places if action.nargs not in ("?", "*"))]


@pytest.mark.parametrize("name", sorted(IN_PROCESS), ids=" ".join)
def test_a_current_folder_that_is_gone(tmp_path: Path, here: Path, name: tuple[str, ...]) -> None:
    words, gone = _simplest(name), here / "gone"
    gone.mkdir()
    hold(*call(words, str(tmp_path / "home"), gone, "utf-8", gone=True), words)


@pytest.mark.parametrize("name", sorted(name for name in LEAVES if name[0] in BLOCKS), ids=" ".join)
def test_a_start_where_the_current_folder_is_gone(tmp_path: Path, here: Path, name: tuple[str, ...]) -> None:
    words = _simplest(name)
    process = start(words, tmp_path / "home", here, "mkdir gone; cd gone; rmdir ../gone;")
    hold(*end(process, 6), words)


@pytest.fixture
def frozen(indexed: Path) -> Iterator[Path]:
    """The index on a file system that is mounted to be read only."""
    place = indexed.parent / "frozen"
    place.mkdir()
    mounts = [["mount", "--bind", str(indexed), str(place)], ["mount", "-o", "remount,bind,ro", str(place)]]
    if os.geteuid() != 0 or any(
        subprocess.run(one, capture_output=True, check=False).returncode for one in mounts
    ):
        pytest.skip("mounting takes root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@rounds(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=command_lines(IN_PROCESS))
def test_any_words_with_an_index_that_cannot_be_written(frozen: Path, here: Path, words: list[str]) -> None:
    hold(*call(words, str(frozen), here, "utf-8"), words)


@pytest.mark.parametrize("words", [["keys", "create", "k"], ["index", "a.txt"], ["feedback", "--query=b", "--id=a.txt", "--relevant"],
                                   ["purge", "a.txt"], ["trust"], ["check", "--repair"]], ids=" ".join)  # fmt: skip
def test_what_has_to_write_says_that_it_cannot(frozen: Path, here: Path, words: list[str]) -> None:
    code, said = call(words, str(frozen), here, "utf-8")
    hold(code, said, words)
    assert code == 1
    assert "error: " in said
