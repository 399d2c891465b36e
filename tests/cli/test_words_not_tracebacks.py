"""Whatever stands in the way of a command, people get words, a hint and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(*words: str, cwd: Path | None = None, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "localsearch", *words],
        capture_output=True,
        cwd=cwd,
        env=os.environ | {"LOCALSEARCH_OFFLINE": "1"} | environment,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("x")
    for words in (["status"], ["index", str(tmp_path)], ["search", "x"], ["keys", "list"], ["check"]):
        code, said = run("--home", str(tmp_path / "home"), *words)
        assert code in (1, 2), words
        assert "Traceback" not in said
        assert said.startswith("error: ")


def test_settings_that_are_a_folder(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").mkdir()
    code, said = run("--home", str(tmp_path), "status")
    assert code == 2
    assert "settings.toml is no regular file" in said


def test_a_current_folder_that_is_gone(tmp_path: Path) -> None:
    script = f"cd {tmp_path} && mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m localsearch --home {tmp_path}/h "
    for words in ("index .", "index x", "status", "why x", "--home rel status", "export out"):
        done = subprocess.run(
            ["sh", "-c", script + words],
            capture_output=True,
            text=True,
            env=os.environ | {"LOCALSEARCH_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert done.returncode in (0, 1, 2), words
        assert "Traceback" not in done.stderr, words


def test_an_empty_path_is_not_this_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("bread")
    code, said = run("--home", str(tmp_path / "h"), "index", "", "--no-embed", cwd=tmp_path)
    assert code == 2
    assert "A path is empty" in said


@pytest.mark.parametrize("coding", ["latin-1", "ascii"])
def test_a_terminal_of_few_letters(tmp_path: Path, coding: str) -> None:
    (tmp_path / "a.txt").write_text("Überfall 数学 🍞 bread")
    run("--home", str(tmp_path / "h"), "index", str(tmp_path / "a.txt"), "--no-embed")
    for words in (["search", "bread"], ["search", "bread", "--json"], ["status"]):
        code, said = run("--home", str(tmp_path / "h"), *words, PYTHONIOENCODING=coding, PYTHONUTF8="0")
        assert code == 0, said
        assert "Traceback" not in said


def test_an_emptied_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("bread")
    run("--home", str(tmp_path / "h"), "index", str(tmp_path / "a.txt"), "--no-embed")
    (tmp_path / "h" / "index.db").write_bytes(b"")
    for words in (["check"], ["search", "bread"], ["index", str(tmp_path)]):
        code, said = run("--home", str(tmp_path / "h"), *words)
        assert code == 1
        assert "index.db is empty" in said
    assert (tmp_path / "h" / "index.db").stat().st_size == 0


def test_a_user_whom_nobody_knows_is_no_mistake_of_ours(tmp_path: Path) -> None:
    nobody = "~nobody-of-that-name/x"
    for words in (
        ["bundle", "build", nobody],
        ["bundle", "install", "--to", nobody],
        ["models", "import", nobody],
        ["ship", nobody],
    ):
        code, said = run("--home", str(tmp_path / "h"), *words, cwd=tmp_path)
        assert code in (1, 2), words
        assert "mistake of localsearch" not in said, said
        assert "error: " in said
