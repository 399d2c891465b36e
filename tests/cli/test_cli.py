"""The command line: what it prints where, exit codes, JSON and nothing else, Ctrl-C."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localsearch.cli import main
from localsearch.engine import Engine
from localsearch.settings import load


@pytest.fixture
def home(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCALSEARCH_MODELS", str(model_folder))
    monkeypatch.setenv("LOCALSEARCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "bread.md").write_text("# Bread\n\nIntro.\n\nFeed the sourdough starter every morning.\n")
    (folder / "main.py").write_text("import os\n\n\ndef rotate_logs():\n    '''Rotate the log files.'''\n")
    return folder


def out(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = main(list(words))
    except SystemExit as error:
        code = int(str(error.code))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_index_search_status_why(home: Path, notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = out(capsys, "index", str(notes))
    assert code == 0
    assert "new 2, changed 0, unchanged 0, removed 0, skipped 0, failed 0" in err
    code, text, _ = out(capsys, "search", "sourdough", "starter")
    assert code == 0
    assert text.startswith("1. Bread")
    assert "bread.md:" in text.splitlines()[0]
    assert "Feed the sourdough starter" in text
    assert "main.py:4" in out(capsys, "search", "rotate logs")[1]
    assert "indexed" in out(capsys, "why", str(notes / "bread.md"))[1]
    code, text, _ = out(capsys, "status")
    assert "documents" in text
    assert str(notes) in text
    assert "tokens embedded" in text
    assert "elsewhere (hosted large)" in text


def test_json_is_one_object_and_nothing_else(
    home: Path, notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = out(capsys, "--json", "index", str(notes))
    report = json.loads(text)
    assert (code, report["files"]["new"], report["documents"]) == (0, 2, 2)
    assert set(report) >= {"files", "documents", "chunks", "seconds"}
    answer = json.loads(out(capsys, "search", "sourdough", "--json", "-n", "1")[1])
    assert answer["results"][0]["title"] == "Bread"
    assert set(answer) >= {"query", "total", "took_ms", "mode", "version", "stages", "cached", "results"}
    hit = answer["results"][0]
    assert set(hit) >= {
        "id",
        "score",
        "text",
        "metadata",
        "title",
        "path",
        "snippet",
        "highlights",
        "location",
    }
    status = json.loads(out(capsys, "--json", "status")[1])
    names = {
        "documents",
        "chunks",
        "embedded_chunks",
        "semantic_coverage",
        "files",
        "version",
        "home",
        "bytes",
    }
    assert set(status) >= names
    assert status["cost"]["tokens"] > 0
    assert status["cost"]["hosted"]["hosted small"] == round(status["cost"]["tokens"] * 0.02e-6, 6)
    assert json.loads(out(capsys, "--json", "check")[1]) == {"ok": True, "problems": [], "repaired": []}
    why = json.loads(out(capsys, "--json", "why", str(notes / "main.py"))[1])
    assert (why["path"], why["state"], why["reason"]) == (str(notes / "main.py"), "indexed", "")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["search", ""], 2, "empty"),
        (["search", "x", "-n", "0"], 2, "limit"),
        (["search", "x", "--filter", "size:>banana"], 2, ""),
        (["frobnicate"], 2, "frobnicate"),
        (["index", "/does/not/exist"], 1, "/does/not/exist"),
        (["search", "x", "--collection", "nope"], 1, "no collection nope"),
        (["models", "pull", "no-such-model"], 1, "no-such-model"),
        (["restore", "/does/not/exist"], 1, "holds an index"),
        (["why", "/does/not/exist"], 1, "does not exist"),
        (["eval"], 2, "Nothing to judge by"),
    ],
)
def test_errors_are_one_clear_line_with_the_right_code(
    home: Path, notes: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    Engine.open(settings=load(home)).close()
    got, text, err = out(capsys, *words)
    assert (got, text) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_searching_without_an_index_says_what_to_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = out(capsys, "search", "x")
    assert code == 1
    assert "localsearch index" in err


def test_a_held_index_exits_with_three_and_names_the_holder(
    home: Path, notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Engine.open(settings=load(home)):
        code, _, err = out(capsys, "index", str(notes))
    assert code == 3
    assert str(os.getpid()) in err


def test_upkeep_round_trip(
    home: Path, notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out(capsys, "-q", "index", str(notes))
    assert out(capsys, "backup", str(tmp_path / "b.lsb"))[0] == 0
    assert out(capsys, "--home", str(tmp_path / "other"), "restore", str(tmp_path / "b.lsb"))[0] == 0
    assert "1. Bread" in out(capsys, "--home", str(tmp_path / "other"), "search", "sourdough")[1]
    assert out(capsys, "export", str(tmp_path / "e.jsonl"))[0] == 0
    assert out(capsys, "--home", str(tmp_path / "third"), "import", str(tmp_path / "e.jsonl"))[0] == 0
    assert "1. Bread" in out(capsys, "--home", str(tmp_path / "third"), "search", "sourdough")[1]
    code, _, err = out(capsys, "purge", str(notes / "bread.md"))
    assert code == 0
    assert "brings them back" in err
    assert "sourdough" not in out(capsys, "search", "sourdough")[1].lower()
    assert out(capsys, "versions", "list")[0] == 0
    assert out(capsys, "doctor")[0] == 0
    code, _, _ = out(capsys, "feedback", "--query", "logs", "--id", str(notes / "main.py"), "--relevant")
    assert code == 0
    assert "1.0000" in out(capsys, "eval", "--feedback")[1]


def test_ctrl_c_stops_cleanly_and_the_next_run_goes_on(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1500):
        (folder / f"{number}.md").write_text(f"# Note {number}\n\n" + f"Words about subject{number}. " * 40)
    command = [sys.executable, "-m", "localsearch", "index", str(folder), "--no-embed"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    database = home / "index.db"
    while process.poll() is None and not (database.exists() and database.stat().st_size > 100_000):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130), err
    assert "Traceback" not in err
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    files = json.loads(done.stdout)["files"]
    assert files["new"] + files["unchanged"] == 1500
    if process.returncode == 130:
        assert "goes on from here" in err


def test_offline_never_connects(
    home: Path, notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was attempted")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setenv("LOCALSEARCH_MODELS", str(tmp_path / "none"))
        code, _, err = out(capsys, "--offline", "index", str(notes))
        assert code == 0
        assert "Words only" in err
        assert out(capsys, "--offline", "search", "sourdough", "--mode", "lexical")[0] == 0


def test_garbage_is_looked_for_once_a_process_is_loaded_and_not_among_what_was_loaded(tmp_path: Path) -> None:
    told = "import gc; from localsearch.__main__ import program as run; run(); print(gc.isenabled(), gc.get_freeze_count())"
    words = ["--home", str(tmp_path / "home"), "status"]
    done = subprocess.run([sys.executable, "-c", told, *words], capture_output=True, text=True, check=True)
    enabled, frozen = done.stdout.split()[-2:]
    assert enabled == "True"
    assert int(frozen) > 10_000
    frozen_here = gc.get_freeze_count()
    assert main(["--home", str(tmp_path / "other"), "-q", "models", "list"]) == 0
    assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen_here  # of what this process had frozen, some may have gone


def test_without_its_library_the_protocol_says_what_to_install(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in ("localsearch.cli.mcp", "localsearch.mcp.stdio"):
        monkeypatch.delitem(sys.modules, loaded, raising=False)
    monkeypatch.setitem(sys.modules, "mcp.server.stdio", None)
    code, text, err = out(capsys, "mcp")
    assert (code, text) == (2, "")
    assert "The Model Context Protocol is not installed." in err
    assert "pip install 'localsearch[mcp]'" in err
