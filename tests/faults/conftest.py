"""Fixtures of the fault suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import world
from harness import Nursery

# They take minutes, and building fetches some 400 MB: `make faults` runs them.
_LONG = [
    "test_container.py",
    "test_machine.py",
    "test_engine_faults.py",
    "test_crowd.py",
    "test_hostile_clients.py",
]
collect_ignore = [] if world.ALL else _LONG


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where children come from."""
    one = Nursery(tmp_path_factory.mktemp("told"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with 80 documents in two versions, to be copied."""
    from world import make_home

    home = tmp_path_factory.mktemp("template") / "home"
    make_home(home, versions="ab")
    return home
