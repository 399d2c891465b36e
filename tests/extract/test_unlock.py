"""Workbooks that Excel opens without asking for a password are read; others are not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from msoffcrypto.format.ooxml import OOXMLFile

from localsearch.errors import ExtractionError
from localsearch.extract import unlock
from localsearch.extract.limits import Limits
from localsearch.extract.read import read

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)


def locked(password: str) -> bytes:
    plain, closed = io.BytesIO(), io.BytesIO()
    book = openpyxl.Workbook()
    book.active["A1"] = "kettle"
    book.save(plain)
    OOXMLFile(plain).encrypt(password, closed)
    return closed.getvalue()


@pytest.mark.parametrize("name", ["a.xlsx", "a.bin"])
def test_a_workbook_under_the_default_password(name: str) -> None:
    found = read(locked(unlock.PASSWORD), name, LIMITS)
    assert [(one.type, "kettle" in one.text) for one in found] == [("xlsx", True)]


def test_a_workbook_under_another_password() -> None:
    with pytest.raises(ExtractionError, match="asks for a password"):
        read(locked("secret"), "a.xlsx", LIMITS)


def test_old_workbooks_are_opened_alike(
    shared_wild: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = next(shared_wild().rglob("testEXCEL_protected_passtika.xls")).read_bytes()
    with pytest.raises(ExtractionError, match="asks for a password"):
        read(data, "a.xls", LIMITS)
    monkeypatch.setattr(unlock, "PASSWORD", "tika")
    assert [one.type for one in read(data, "a.xls", LIMITS)] == ["xls"]


def test_what_unpacks_beyond_the_budget_is_refused() -> None:
    small = Limits(text=1_000_000, unpacked=100, members=100, depth=3, ocr=False)
    with pytest.raises(ExtractionError) as raised:
        read(locked(unlock.PASSWORD), "a.xlsx", small)
    assert raised.value.data["rule"] == "bomb"
