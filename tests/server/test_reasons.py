"""Every reason that a reader or a rule gives has a code, and every code a wording in each language of the page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sentences import written

from localsearch.extract import ocr, outlook, read, unlock
from localsearch.server.reasons import REASONS, Told, told

SOURCE = Path(read.__file__).parents[1]
WEB = SOURCE / "server" / "web"
FOLDERS = ("extract", "scan", "indexing")
SENTENCE = {"failure": 1, "Skip": 1, "ExtractionError": 0, "finish": 3}
"""What is called with a reason, and at which place it stands."""
PARTS = {
    "error.message": "it asks for a password",
    "pages(": "page 7",
    "scans(": "page 7 is a scan",
    "MISSING": ocr.MISSING,
    "why_not(": ocr.OFF,
}
"""What stands in place of a value that is itself in words."""
TOGETHER = "with the programs that this starts"
"""Reasons with a limit in words; they are among those below."""
PASSED_ON = re.compile(
    r"error|reply|reason|skip|nothing|line|notes|what|words|_without_text|_REASONS|MISSING|inside|row \+ 1"
)
"""Reasons that are not written where they are raised: they came from elsewhere, where they are looked at."""
WORDING = re.compile(r'^  "?([\w-]+)"?: "((?:[^"\\]|\\.)*)",$', re.M)
ELSEWHERE = (
    *read._REASONS.values(),
    *(f"an image; {why}" for why in (ocr.OFF, ocr.MISSING, ocr.WAITING)),
    f"it asks for a password; {unlock.MISSING}",
    outlook.MISSING,
    f"pages 1, 3-9 are scans: {ocr.MISSING}",
    "page 2 is a scan: no text was recognised",
    "2 pages without text: images or drawings only, or blank; pages 1-2 are scans: text recognition failed: oh",
    "it holds no presentation",
    "it was written by PowerPoint 95 or before",
    "reading it takes more than 900 MB of memory, with the programs that this starts",
    "reading it took more than 60 s of processor time, with the programs that this starts",
    "a link that leads nowhere",
    "a link that leads out of the folder, to /etc",
    "a link to /a/b, which is found under that name",
    "it cannot be examined: Permission denied",
    ".mp3 files hold only tags: pip install 'localsearch[media]' to read them",
    "holds a private key",
    "holds a password or a token",
    "is a password store, a wallet or a browser's data",
    "created: not a date of the years 1 to 9999, left out",
    "metadata: texts longer than 4,000 characters were cut",
    "box.zip/a.docx: it asks for a password",
    "its scans could not be read: it asks for a password",
)


def given() -> Iterator[tuple[str, ast.expr]]:
    """Where a reason is given, and the expression."""
    for folder in FOLDERS:
        for file in sorted((SOURCE / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                at = SENTENCE.get(name, 0 if name == "append" and "notes" in ast.unparse(node.func) else None)
                if at is not None and len(node.args) > at:
                    yield f"{file.name}:{node.lineno}", node.args[at]


def test_every_reason_has_a_code() -> None:
    unknown, passed_on, seen = [], [], 0
    for place, node in given():
        sentences = list(written(node, PARTS))
        seen += len(sentences)
        if not sentences and not PASSED_ON.search(ast.unparse(node)):
            passed_on.append(f"{place}: {ast.unparse(node)}")
        unknown += [f"{place}: {text}" for text in sentences if not _known(text)]
    assert passed_on == []
    assert unknown == []
    assert seen > 150


def _known(text: str) -> bool:
    """Whether a sentence has a code, or nothing in it is written but values: `{name}: {error}`."""
    return bool(told(text).code) or TOGETHER in text or not re.search(r"[a-z]{3}", text)


@pytest.mark.parametrize("line", ELSEWHERE)
def test_a_reason_that_is_put_together_has_a_code(line: str) -> None:
    found = told(line)
    assert found.code
    assert all(not isinstance(value, Told) or value.code for value in found.values)


@pytest.mark.parametrize("language", sorted(file.name.split(".")[1] for file in WEB.glob("words.*.js")))
def test_every_code_has_a_wording_with_its_values(language: str) -> None:
    words = dict(WORDING.findall((WEB / f"reasons.{language}.js").read_text("utf-8")))
    assert sorted(words) == sorted(REASONS)
    for code, english in REASONS.items():
        values = sorted(re.findall(r"\{(\d)", english))
        assert sorted(re.findall(r"\{(\d)\}", words[code])) == values, code
        assert words[code] != english, code


@pytest.mark.parametrize("code", sorted(REASONS))
def test_a_wording_is_told_by_its_own_code(code: str) -> None:
    line = re.sub(r"\{\d:?(\w*)\}", lambda one: _VALUES[one[1]], REASONS[code])
    assert told(line).code == code


_VALUES = {"": "seven.xml", "numbers": "7", "told": "it asks for a password", "any": "it asks for a password"}


def test_values_of_a_reason_are_kept_and_what_nobody_knows_stays_as_it_is() -> None:
    password = Told("it asks for a password", "password", [])
    assert told("a: b.zip: it asks for a password").values == ["a", told("b.zip: it asks for a password")]
    assert told("embedded/x.bin was not read: bad magic").values == ["embedded/x.bin", "bad magic"]
    assert told("page 3 is a scan; it asks for a password").values[1] == password
    assert told("something else") == Told("something else", "", [])
