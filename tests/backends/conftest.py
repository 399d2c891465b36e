"""One Milvus for the session, and worlds on either backend."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from backends.world import World, backend_settings, copied, parts, write
from world import ALL

from localsearch.settings import VectorSettings
from localsearch.vectors.feeder import SEALED

if TYPE_CHECKING:
    from backends.milvus_process import MilvusProcess

# They wait for a minute or two until a server has built its indexes: `make faults` runs them.
collect_ignore = [] if ALL else ["test_choices.py", "test_loaded.py"]

SMALL, LARGE = 150, 1_500
"""Documents, of two chunks each."""


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusProcess]:
    """A real server, started once."""
    if importlib.util.find_spec("pymilvus") is None or importlib.util.find_spec("milvus") is None:
        pytest.skip("Milvus is not installed: pip install 'localsearch[milvus]' milvus==2.3.5")
    from backends.milvus_process import MilvusProcess

    server = MilvusProcess(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def milvus_uri(milvus: MilvusProcess) -> str:
    """The address of the server."""
    return milvus.uri


@pytest.fixture(scope="session", params=["faiss", "milvus"])
def backend(request: pytest.FixtureRequest) -> VectorSettings:
    """The settings of one backend; the suite runs on each."""
    uri = request.getfixturevalue("milvus_uri") if request.param == "milvus" else ""
    return backend_settings(request.param, uri)


@pytest.fixture(scope="session")
def large_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large") / "home"
    write(folder, LARGE)
    return folder


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "home"
    write(folder, SMALL)
    return folder


@pytest.fixture(scope="session")
def large(
    backend: VectorSettings, large_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """3,000 chunks that no test changes. A server has made its graph of them: until then it may find less."""
    world = copied(large_folder, tmp_path_factory.mktemp("world") / "home", backend)
    if backend.backend == "milvus":
        _, feeder, _, feed = parts(world)
        feeder.wait_for_graphs(feed)
        assert feeder.server.unindexed(feed.collection, SEALED) == 0
    yield world
    world.close()
    world.drop()


@pytest.fixture
def small(backend: VectorSettings, small_folder: Path, tmp_path: Path) -> Iterator[World]:
    """300 chunks to change."""
    world = copied(small_folder, tmp_path / "home", backend)
    yield world
    world.close()
    world.drop()


@pytest.fixture
def world(milvus_uri: str, small_folder: Path, tmp_path: Path) -> Iterator[World]:
    """300 chunks in Milvus, to change."""
    made = copied(small_folder, tmp_path / "home", backend_settings("milvus", milvus_uri))
    yield made
    made.close()
    made.drop()
