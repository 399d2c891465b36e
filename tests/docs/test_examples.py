"""Every example is run: of the README, of docs/PROGRAMS.md, and of every docstring."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Served, notes

import localsearch

ROOT = Path(__file__).parents[2]
PROGRAMS = (ROOT / "docs" / "PROGRAMS.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```", PROGRAMS, re.DOTALL))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
LONE = "http://127.0.0.1:8765"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A person of their own, offline and without a model."""
    return os.environ | {
        "HOME": str(tmp_path),
        "LOCALSEARCH_OFFLINE": "1",
        "LOCALSEARCH_MODELS": str(tmp_path / "none"),
        "HAYSTACK_TELEMETRY_ENABLED": "False",
    }


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with notes(tmp_path / "served") as one:
        yield one


def python(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_run() -> None:
    assert set(BLOCKS) == {"python", "starlette", "fastapi", "client", "javascript", "langchain"}


def test_the_readme_is_a_doctest(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALSEARCH_MODELS", str(model_folder))
    monkeypatch.setenv("LOCALSEARCH_OFFLINE", "1")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "tls.md").write_text(
        "# TLS\n\nRenew the certificate with certbot before it expires.\n"
    )
    examples = list(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL))
    assert any(">>> from localsearch import Engine" in one for one in examples)
    for text in examples:
        test = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
        assert len(test.examples) >= 2
        runner = doctest.DocTestRunner(optionflags=FLAGS)
        failed, _ = runner.run(test)
        assert failed == 0


def test_an_engine_in_a_program(environment: dict[str, str]) -> None:
    shown = python(BLOCKS["python"], environment)
    assert shown == "1 kiln\nLet the kiln cool for a whole day.\n"


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
def test_an_engine_beside_asyncio(framework: str, environment: dict[str, str]) -> None:
    pytest.importorskip(framework, reason="comes with the extra [test]")
    python(BLOCKS["python"], environment)
    ask = (
        "\nfrom starlette.testclient import TestClient\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with TestClient(app) as client, ThreadPoolExecutor(8) as pool:\n"
        "    answers = list(pool.map(lambda _: client.get('/find', params={'q': 'kiln'}), range(24)))\n"
        "    print({answer.status_code for answer in answers}, {answer.text for answer in answers})\n"
    )
    shown = python(BLOCKS[framework] + ask, environment)
    assert shown.startswith("{200}")
    assert shown.count("Let the kiln cool for a whole day.") == 1


def test_the_clients(server: Served, environment: dict[str, str]) -> None:
    shown = python(BLOCKS["client"].replace(LONE, server.url), environment)
    assert shown.splitlines() == ["kiln Let the kiln cool for a whole day before", "[1, 1]"]


def test_a_retriever(server: Served, environment: dict[str, str]) -> None:
    pytest.importorskip("langchain_core", reason="the extra [langchain] is not installed")
    assert python(BLOCKS["langchain"].replace(LONE, server.url), environment) == "Kiln Let the kiln cool\n"


def test_javascript(server: Served, tmp_path: Path) -> None:
    script = tmp_path / "example.mjs"
    script.write_text(BLOCKS["javascript"].replace(LONE, server.url))
    if shutil.which("node"):
        done = subprocess.run(["node", str(script)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "kiln\n"), done.stderr
        return
    assert in_browser(server.url, script.read_text()) == "kiln"


def in_browser(url: str, script: str) -> str:
    """What the script prints in a page of the server."""
    from playwright.sync_api import sync_playwright

    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("neither node nor chromium is installed")
    with sync_playwright() as driver:
        page = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
        page.goto(f"{url}/docs")
        printed: list[str] = []
        page.on("console", lambda message: printed.append(message.text))
        page.evaluate(f"async () => {{ {script} }}")
    return printed[-1]


def test_after_make_serve_its_index_and_model_are_those_of_the_shell(tmp_path: Path) -> None:
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    venv = tmp_path / "with a blank" / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=120)
    link = tmp_path / "venv"
    link.symlink_to(venv)
    made = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for _ in range(2):
        words = ["make", "-C", str(ROOT), f"VENV={link}", f"{link}/.activated"]
        subprocess.run(words, env=made, check=True, timeout=60, capture_output=True)

    def places(**environment: str) -> list[str]:
        shell = f'source "{link}/bin/activate"; printf "%s\\n" "$LOCALSEARCH_HOME" "$LOCALSEARCH_MODELS"'
        done = subprocess.run(
            ["bash", "-c", shell], env=made | environment, check=True, capture_output=True, text=True
        )
        return done.stdout.splitlines()

    assert places() == [str(ROOT / "data" / "index"), str(ROOT / "models")]
    assert places(LOCALSEARCH_HOME="/srv/index") == ["/srv/index", str(ROOT / "models")]
    serve = subprocess.run(
        ["make", "-n", "-C", str(ROOT), "serve"], env=made, capture_output=True, text=True, timeout=60
    )
    assert "localsearch --home data/index serve data/sample" in serve.stdout


def modules() -> list[str]:
    found = [info.name for info in pkgutil.walk_packages(localsearch.__path__, "localsearch.")]
    return [name for name in found if not name.endswith(("__main__", "kernels.kernels"))]  # a library of C


@pytest.mark.parametrize("name", modules())
def test_examples_of_docstrings(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} needs what is not installed: {error}")
    failed, _ = doctest.testmod(module, optionflags=FLAGS)
    assert failed == 0


def test_the_reference_is_made(tmp_path: Path) -> None:
    pytest.importorskip("pdoc", reason="comes with the extra [test]")
    names = re.search(r"^REFERENCE := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert names
    words = [sys.executable, "-m", "pdoc", "-o", str(tmp_path / "reference"), *names[1].split()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    # `types` names arrays without loading numpy: such an annotation is shown as it is written.
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warn")]
    assert [line for line in warnings if not re.search(r"type annotation (Vectors|Ids|Scores)\b", line)] == []
    pages = {
        file.relative_to(tmp_path / "reference").as_posix(): file.read_text("utf-8")
        for file in (tmp_path / "reference").rglob("*.html")
    }
    assert "read_many" in pages["localsearch/engine.html"]
    assert "AsyncClient" in pages["localsearch/client.html"]
    assert "nothing_relevant" in pages["localsearch/types.html"]
