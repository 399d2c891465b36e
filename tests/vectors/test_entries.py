"""Which chunks the nodes of a graph stand for, as a file has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localsearch.errors import DamagedError
from localsearch.types import Ids
from localsearch.vectors import entries as module
from localsearch.vectors import files
from localsearch.vectors.entries import Entries
from localsearch.vectors.files import Generation


def read(folder: Path, ids: Ids, nodes: Ids, *, earlier: bool = False) -> Entries:
    """Write entries, as this release does or as earlier ones did, and map them."""
    data = Entries.to_bytes(ids, nodes)
    if earlier:
        data = data[: 12 * len(ids)]
    file = files.write_bytes(folder, "1.ids", data)
    count = int(nodes[-1]) + 1 if len(nodes) else 0
    numbers = (1, len(ids), count, int(np.count_nonzero(ids < 0)), 8)
    return Entries.read(
        folder / "1.ids", Generation(*numbers, "int12", 1.0, 16, 64, 16, 1.0, file, file, file)
    )


def test_entries_of_nodes_are_expanded_in_order(tmp_path: Path) -> None:
    entries = read(tmp_path, np.array([5, 6, 7, 8]), np.array([0, 0, 1, 2]))
    found, scores = entries.of_nodes(np.array([2, 0]), np.array([0.5, 0.25], np.float32))
    assert found.tolist() == [3, 0, 1]
    assert scores.tolist() == [0.5, 0.25, 0.25]
    assert entries.per_node(np.array([False, True, False, True])).tolist() == [True, False, True]
    assert entries.per_node(np.array([False, False, True, False])).tolist() == [False, True, False]


SIZES = st.lists(st.integers(1, 3), max_size=9)


@settings(max_examples=80, deadline=None)
@given(SIZES, st.integers(0, 2**32 - 1), st.booleans())
def test_what_was_written_is_found_by_id_and_by_node(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], seed: int, earlier: bool
) -> None:
    draw = np.random.default_rng(seed)
    nodes = np.repeat(np.arange(len(sizes)), sizes)
    ids = draw.permutation(3 * len(nodes))[: len(nodes)]
    ids[draw.random(len(ids)) < 0.2] = -1
    entries = read(tmp_path_factory.mktemp("entries"), ids, nodes, earlier=earlier)
    assert entries.ids.tolist() == ids.tolist()
    places = {id: at for at, id in enumerate(ids.tolist()) if id >= 0}
    asked = np.arange(3 * len(nodes) + 2)
    assert entries.find(asked).tolist() == [places.get(id, -1) for id in asked.tolist()]
    mask = draw.random(len(ids)) < 0.5
    wanted = [bool(mask[nodes == node].any()) for node in range(len(sizes))]
    assert entries.per_node(mask).tolist() == wanted
    some = draw.permutation(len(sizes))
    found, scores = entries.of_nodes(some, some.astype(np.float32))
    assert found.tolist() == [at for node in some for at in np.flatnonzero(nodes == node).tolist()]
    assert scores.tolist() == nodes[found].tolist()


def test_a_block_ends_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is looked at in blocks; where they end makes no difference."""
    nodes, ids = np.repeat(np.arange(7), 2), np.random.default_rng(1).permutation(14)
    for block in (1, 2, 3, 14, 15):
        monkeypatch.setattr(module, "_BLOCK", block)
        entries = read(tmp_path, ids, nodes)
        assert entries.more.tolist() == [1, 3, 5, 7, 9, 11, 13]
        for wrong in (np.r_[ids[:-1], ids[0]], np.r_[ids[:-1], -2]):
            with pytest.raises(DamagedError):
                read(tmp_path, wrong, nodes)
        for gap in (nodes + 1, np.r_[nodes[:-1], 8], np.r_[nodes[:-2], 5, 4]):
            with pytest.raises(DamagedError):
                read(tmp_path, ids, gap)


def test_a_file_of_another_size_is_refused(tmp_path: Path) -> None:
    data = Entries.to_bytes(np.arange(4), np.arange(4))
    for end in (8, 47, 49, 79):
        file = files.write_bytes(tmp_path, "1.ids", data[:end])
        generation = Generation(1, 4, 4, 0, 8, "int12", 1.0, 16, 64, 16, 1.0, file, file, file)
        with pytest.raises(DamagedError):
            Entries.read(tmp_path / "1.ids", generation)
    assert len(data) == 80
