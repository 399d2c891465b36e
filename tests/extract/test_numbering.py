"""Labels of numbered paragraphs in DOCX are those that Word shows."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import docx
import pytest

from localsearch.extract.limits import Limits
from localsearch.extract.numbering import Numbering
from localsearch.extract.read import read
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
SPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def level(at: int, format: str, text: str, more: str = "", start: int | None = 1) -> str:
    begins = "" if start is None else f'<w:start w:val="{start}"/>'
    return (
        f'<w:lvl w:ilvl="{at}">{begins}<w:numFmt w:val="{format}"/>{more}<w:lvlText w:val="{text}"/></w:lvl>'
    )


def numbering(levels: Sequence[str], *nums: str) -> str:
    lists = "".join(
        f'<w:num w:numId="{number}"><w:abstractNumId w:val="7"/>{inner}</w:num>'
        for number, inner in enumerate(nums or ("",), 1)
    )
    return f'<w:numbering {SPACE}><w:abstractNum w:abstractNumId="7">{"".join(levels)}</w:abstractNum>{lists}</w:numbering>'


def labels(part: str, *asked: tuple[str, str]) -> list[str]:
    counted = Numbering(part)
    return [counted.label(id, at) for id, at in asked]


LEGAL = [level(0, "decimal", "Article %1."), level(1, "decimal", "%1.%2"), level(2, "lowerLetter", "(%3)")]


def test_levels_count_and_begin_anew_below_a_new_one() -> None:
    asked = [("1", at) for at in "011220122"]
    expected = ["Article 1.", "1.1", "1.2", "(a)", "(b)", "Article 2.", "2.1", "(a)", "(b)"]
    assert labels(numbering(LEGAL), *asked) == expected


def test_a_level_that_was_skipped_counts_as_begun() -> None:
    assert labels(numbering(LEGAL), ("1", "1"), ("1", "0"), ("1", "2"), ("1", "1")) == [
        "1.1",
        "Article 2.",
        "(a)",
        "2.2",
    ]


@pytest.mark.parametrize(
    ("format", "shown"),
    [
        ("decimalZero", ["08", "09", "10"]),
        ("upperRoman", ["VIII", "IX", "X"]),
        ("lowerRoman", ["viii", "ix", "x"]),
        ("ordinal", ["8th", "9th", "10th"]),
        ("upperLetter", ["H", "I", "J"]),
        ("none", ["", "", ""]),
        ("bullet", ["-", "-", "-"]),
        ("japaneseCounting", ["-", "-", "-"]),
    ],
)
def test_numbers_are_written_as_the_level_says(format: str, shown: list[str]) -> None:
    assert labels(numbering([level(0, format, "%1", start=8)]), *[("1", "0")] * 3) == shown


def test_letters_go_on_doubled() -> None:
    counted = Numbering(numbering([level(0, "lowerLetter", "%1)", start=26)]))
    assert [counted.label("1", "0") for _ in range(3)] == ["z)", "aa)", "bb)"]


def test_a_level_without_a_start_begins_with_zero() -> None:
    assert labels(numbering([level(0, "decimal", "%1", start=None)]), ("1", "0"), ("1", "0")) == ["0", "1"]


def test_legal_numbering_writes_all_levels_in_digits_and_a_level_may_count_on() -> None:
    part = numbering(
        [
            level(0, "upperRoman", "%1"),
            level(1, "lowerLetter", "%1.%2", "<w:isLgl/>"),
            level(2, "decimal", "%3", '<w:lvlRestart w:val="0"/>'),
        ]
    )
    assert labels(part, *[("1", at) for at in "012012"]) == ["I", "1.1", "1", "II", "2.1", "2"]


def test_lists_of_one_definition_count_on_unless_one_begins_anew() -> None:
    anew = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride>'
    letters = f'<w:lvlOverride w:ilvl="0">{level(0, "upperLetter", "%1")}</w:lvlOverride>'
    part = numbering([level(0, "decimal", "%1")], "", letters, anew)
    asked = [(id, "0") for id in "1223311"]
    assert labels(part, *asked) == ["1", "B", "C", "5", "6", "4", "5"]


def test_a_definition_may_stand_in_a_style_of_lists() -> None:
    part = (
        f'<w:numbering {SPACE}><w:abstractNum w:abstractNumId="1"><w:numStyleLink w:val="Own"/></w:abstractNum>'
        f'<w:abstractNum w:abstractNumId="2"><w:styleLink w:val="Own"/>{level(0, "decimal", "§ %1")}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num></w:numbering>'
    )
    assert labels(part, ("1", "0"), ("1", "0"), ("9", "0")) == ["§ 1", "§ 2", ""]


def _numbered(part: str, paragraphs: Sequence[tuple[str, str]], style: str = "") -> Extract:
    """A document with such a part of numbering, its paragraphs with their properties; Heading 1 with more of its own."""
    document, buffer = docx.Document(), io.BytesIO()
    document.save(buffer)
    made = io.BytesIO()
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "word/numbering.xml":
                data = part.encode()
            elif name == "word/styles.xml":
                data = data.replace(
                    b'<w:outlineLvl w:val="0"/>', style.encode() + b'<w:outlineLvl w:val="0"/>', 1
                )
            elif name == "word/document.xml":
                body = "".join(
                    f"<w:p><w:pPr>{own}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>" if own != "cell" else
                    f"<w:tbl><w:tr><w:tc><w:p><w:pPr>{IN_LIST}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>"
                    "<w:tc><w:p><w:r><w:t>beside</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
                    for own, text in paragraphs
                )  # fmt: skip
                data = f"<w:document {SPACE}><w:body>{body}</w:body></w:document>".encode()
            new.writestr(name, data)
    (found,) = read(made.getvalue(), "a.docx", LIMITS)
    return found


IN_LIST = '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr>'
HEADING = '<w:pStyle w:val="Heading1"/>'


def test_headings_items_and_cells_have_their_labels() -> None:
    paragraphs = [
        (HEADING, "Terms"),
        (IN_LIST, "Payment"),
        ("cell", "Delay"),
        (HEADING, "Law"),
        (IN_LIST, "Place"),
    ]
    found = _numbered(numbering(LEGAL), paragraphs, '<w:numPr><w:numId w:val="1"/></w:numPr>')
    shown = [found.text[block.start : block.end] for block in found.blocks]
    expected = ["Article 1. Terms", "1.1 Payment", "1.2 Delay | beside", "Article 2. Law", "2.1 Place"]
    assert shown == expected
    assert found.title == "Terms"
    assert [block.place.heading for block in found.blocks] == [("Terms",)] * 3 + [("Law",)] * 2


def test_a_list_that_is_not_defined_and_one_that_is_switched_off() -> None:
    unknown, off = (f'<w:numPr><w:ilvl w:val="0"/><w:numId w:val="{id}"/></w:numPr>' for id in (44, 0))
    found = _numbered(numbering(LEGAL), [(unknown, "point"), (HEADING + off, "Preface")], IN_LIST)
    assert found.text == "- point\n\nPreface"


def test_a_document_made_of_labels_says_each_twice(shared_wild: Callable[[], Path]) -> None:
    name = "testWORD_override_list_numbering.docx"
    (found,) = read((shared_wild() / name).read_bytes(), name, LIMITS)
    items = [found.text[b.start : b.end] for b in found.blocks if b.kind == "list"]
    items = [item for item in items if not item.startswith("- ")]
    assert len(items) == 42
    assert [item for item in items if item != f"{item.split()[0]} {item.split()[0]}"] == []
