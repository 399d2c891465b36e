"""Fixtures shared by all tests: the real model, and the collections in ../shared."""

from __future__ import annotations

import importlib.util
import os
import signal
import tarfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from localsearch import kernels
from localsearch.models import ModelStore
from localsearch.models.encoder import OnnxEncoder
from localsearch.settings import Settings

CHECKOUT = Path(__file__).parents[1]
SHARED = CHECKOUT.parent / "shared"

BACKENDS = "tests/backends/"
FIRST = (BACKENDS, "tests/vectors/", "tests/watch/")
"""What takes a process longest is begun first: at the end of a run it would go on alone."""
pytest_plugins = ["serving"]
"""Fixtures with real servers."""

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
"""gRPC reads it when it is imported, which some tests do before the engine would set it: vectors/milvus_server.py."""

# Of a process that was started in the background nothing hears Ctrl-C, nor do those that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is the machine's.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

# Of the compiler of the kernels, also where wheels are built: what is the same is compiled once, whichever process asks.
os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(CHECKOUT / "build" / "zig"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file of tests goes to one process, and all files that ask Milvus to the same: each process would start a server."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByServer(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return BACKENDS if nodeid.startswith(BACKENDS) else super()._split_scope(nodeid)

    return ByServer(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))
    if importlib.util.find_spec("sentence_transformers"):
        return
    skip = pytest.mark.skip(reason="sentence-transformers is not installed (the extra [export])")
    for item in items:
        if item.get_closest_marker("parity"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The folder of models: LOCALSEARCH_MODELS or models/ of the checkout, the default model pulled into it."""
    folder = Path(os.environ.get("LOCALSEARCH_MODELS") or CHECKOUT / "models")
    store = ModelStore(Settings(home=folder.parent, models=folder))
    store.pull(store.settings.model.name)
    return folder


@pytest.fixture(scope="session")
def encoder(model_folder: Path) -> Iterator[OnnxEncoder]:
    """The default model, in the precision that suits this processor."""
    found = ModelStore(Settings(home=model_folder.parent, models=model_folder)).encoder()
    yield found
    found.close()


@pytest.fixture
def fused() -> None:
    """Skips where our own C does not run."""
    if kernels.library() is None:
        pytest.skip(
            "localsearch/kernels was not built, or runs nowhere here: install from the package registry, without LOCALSEARCH_KERNELS=0"
        )


@pytest.fixture(scope="session")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Unpack a judged collection of ../shared/bench by name and give its folder (BEIR layout)."""
    return _unpacker(SHARED / "bench", tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="session")
def shared_wild(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Unpack the real-world files of ../shared/wild and give their folder."""
    unpack = _unpacker(SHARED / "wild", tmp_path_factory.mktemp("wild"))
    return lambda: unpack("documents")


def _unpacker(source: Path, target: Path) -> Callable[[str], Path]:
    def unpack(name: str) -> Path:
        archive, folder = source / f"{name}.tar.xz", target / name
        if not archive.is_file():
            pytest.skip(f"the shared folder has no {source.name}/{name}.tar.xz beside this checkout")
        if not folder.exists():
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        inner = list(folder.iterdir())
        return inner[0] if len(inner) == 1 and inner[0].is_dir() else folder

    return unpack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything must be there (LOCALSEARCH_REQUIRE_ALL), a test that finds something missing has failed."""
    report = yield
    # A benchmark is run by hand, and root may read every file: neither is missing from the machine.
    if any(word in str(report.longrepr) for word in ("no result is committed", "may read every file")):
        return report
    if report.skipped and os.environ.get("LOCALSEARCH_REQUIRE_ALL") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be missing: {report.longrepr}"
    return report
