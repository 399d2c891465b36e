"""What the page says is there in German too, with the same values in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from sentences import written

import localsearch.server
from localsearch.extract.limits import HINTS
from localsearch.server import problem_page

WEB = Path(localsearch.server.__file__).parent / "web"
ENTRY = re.compile(r'^  "((?:[^"\\]|\\.)*)": "((?:[^"\\]|\\.)*)",$', re.M)
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
GERMAN = dict(ENTRY.findall((WEB / "words.de.js").read_text("utf-8")))


def said(script: str) -> set[str]:
    """The texts that stand in the first argument of a call of `t`."""
    found: set[str] = set()
    for call in re.finditer(r"(?<![\w.])t\(", script):
        depth, at = 1, call.end()
        while depth:
            if script[at] == '"':
                text = STRING.match(script, at)
                assert text is not None
                found.add(text[1])
                at = text.end()
                continue
            depth += (script[at] in "([{") - (script[at] in ")]}")
            if script[at] == "," and depth == 1:
                break
            at += 1
    return found


@pytest.mark.parametrize("file", sorted(WEB.glob("*.js")), ids=lambda file: file.name)
def test_every_text_has_its_german(file: Path) -> None:
    assert said(file.read_text("utf-8")) - GERMAN.keys() == set()


def test_the_texts_of_the_frame_have_their_german() -> None:
    frame = (WEB / "index.html").read_text("utf-8").partition("<body>")[2]
    texts = {one.strip() for one in re.findall(r">([^<>]+)<", re.sub(r"<(code|kbd)\b.*?</\1>", "<x>", frame))}
    labels = set(re.findall(r'(?:aria-label|placeholder|title)="([^"]+)"', frame))
    untold = {"", "localsearch", "?", "◐", "API"}
    assert (texts | labels) - untold - GERMAN.keys() == set()


def test_the_texts_of_an_error_as_a_page_have_their_german() -> None:
    source = Path(problem_page.__file__).read_text("utf-8")
    texts = set(re.findall(r'class="told"[^>{]*>([^<{]+)<', source)) | {
        "The file of this document cannot be opened.",
        "It was moved or deleted, or its folder is not indexed.",
    }
    assert len(texts) == 5
    assert texts - GERMAN.keys() == set()


def test_remedies_have_their_german() -> None:
    assert set(HINTS.values()) - GERMAN.keys() == set()


@pytest.mark.parametrize(("english", "german"), GERMAN.items())
def test_a_translation_holds_the_same_values(english: str, german: str) -> None:
    assert sorted(re.findall(r"\{\d\}", english)) == sorted(re.findall(r"\{\d\}", german))


SEARCHED = Path(localsearch.server.__file__).parents[1]
NOTES = [
    re.compile("(.+)".join(map(re.escape, re.split(r"\{\d\}", english))))
    for english, _ in ENTRY.findall((WEB / "notes.de.js").read_text("utf-8"))
]
VALUES = {"what": "something", "hint": ""}
FROM_ELSEWHERE = re.compile("UNJUDGED|^told$|^note$")
"""Notes that are put together elsewhere; what re-ranking says of itself is not translated."""


def noted() -> list[str]:
    """What answers say of how they came about, with a 7 for each value."""
    found = []
    for file in (*sorted((SEARCHED / "search").glob("*.py")), SEARCHED / "filters" / "query.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            if (
                ast.unparse(node.func).endswith("notes.append")
                and not FROM_ELSEWHERE.search(ast.unparse(node.args[0]))
            ) or (ast.unparse(node.func) == "FilterError" and "no filter clause" not in ast.unparse(node)):
                found += list(written(node.args[0], VALUES))
    return found


@pytest.mark.parametrize("note", noted())
def test_every_note_of_an_answer_has_its_german(note: str) -> None:
    assert any(pattern.fullmatch(note) for pattern in NOTES), note


@pytest.mark.parametrize(
    ("english", "german"), ENTRY.findall((WEB / "notes.de.js").read_text("utf-8")), ids=lambda text: text[:30]
)
def test_a_note_keeps_its_values(english: str, german: str) -> None:
    assert sorted(re.findall(r"\{\d\}", english)) == sorted(re.findall(r"\{\d\}", german))
