"""The table of dependencies is what pyproject.toml says, and none is known to be vulnerable."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
KNOWN: list[dict[str, Any]] = tomllib.loads((ROOT / "docs" / "vulnerabilities.toml").read_text("utf-8"))[
    "known"
]
TOOLS = {"test", "bench", "dev"}
PERMISSIVE = re.compile(
    r"0BSD|MIT(-CMU|-0)?|BSD-[23]-Clause|Apache-2\.0|PSF-2\.0|CC0-1\.0|LGPL-[\d.]+-or-later"
)


def requirements(extras: bool = True) -> list[tuple[str, Requirement]]:
    """Extra (empty for what is always installed) and requirement."""
    groups = {"": PROJECT["dependencies"], **(PROJECT["optional-dependencies"] if extras else {})}
    found = [(extra, Requirement(text)) for extra, texts in groups.items() for text in texts]
    return [(extra, one) for extra, one in found if one.name != "localsearch"]


def table() -> dict[str, list[str]]:
    rows = re.findall(
        r"^\| ([\w.-]+) \|(.*)\|$", (ROOT / "docs" / "DEPENDENCIES.md").read_text("utf-8"), re.MULTILINE
    )
    cells = {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows if name != "package"}
    return {name: row for name, row in cells.items() if not name.startswith("-")}


def test_every_dependency_has_its_row_and_no_other_has() -> None:
    wanted = [one.name for extra, one in requirements() if extra not in TOOLS]
    assert sorted(table()) == sorted(set(wanted))
    for extra, one in requirements():
        if extra and extra not in TOOLS:
            assert f"[{extra}]" in table()[one.name][3], one.name


def test_every_row_is_whole_and_what_is_always_installed_is_permissive() -> None:
    for name, (purpose, licence, size, why) in table().items():
        assert purpose, name
        assert why, name
        assert re.fullmatch(r"\d+\.\d|< 0\.1|–", size), name
        assert licence, name
    for _, one in requirements(extras=False):
        licence = table()[one.name][1]
        assert all(PERMISSIVE.fullmatch(part) for part in re.split(r" AND | OR ", licence)), (
            one.name,
            licence,
        )


def test_licences_are_those_that_the_packages_state() -> None:
    checked = 0
    for name, (_, licence, _, _) in table().items():
        try:
            stated = importlib.metadata.metadata(name).get("License-Expression")
        except importlib.metadata.PackageNotFoundError:
            continue
        if stated:
            assert licence in (stated, stated.split(" AND ")[0]), name
            checked += 1
    assert checked > 20


@pytest.mark.parametrize("one", KNOWN, ids=lambda one: f"{one['package']}-{one['ids'][0]}")
def test_nothing_installed_or_allowed_is_known_to_be_vulnerable(one: dict[str, Any]) -> None:
    fixed = Version(one["fixed"])
    for _, requirement in requirements():
        if canonicalize_name(requirement.name) == canonicalize_name(one["package"]):
            floors = [
                Version(part.version) for part in requirement.specifier if part.operator in (">=", "==", "~=")
            ]
            assert floors, requirement
            assert max(floors) >= fixed, requirement
    try:
        installed = Version(importlib.metadata.version(one["package"]))
    except importlib.metadata.PackageNotFoundError:
        return
    assert installed >= fixed, one["ids"]


def test_the_list_is_whole() -> None:
    assert {one["package"] for one in KNOWN} >= {"starlette", "onnx"}
    assert all(re.fullmatch(r"(CVE|PYSEC)-\d{4}-\d{4,}", id) for one in KNOWN for id in one["ids"])
