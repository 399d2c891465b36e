"""Which chunks the nodes of a graph stand for, mapped from a generation's file of ids. For this folder only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import DamagedError
from localsearch.types import Ids, Scores
from localsearch.vectors.delta import Mask
from localsearch.vectors.files import Generation

_BLOCK = 65_536
"""Entries looked at together when a file is opened, so that this takes no memory for each of them."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Which chunks each node stands for. Chunks of equal text share a node: copies would wall off parts of the graph.

    `ids` (count,) are chunk ids, -1 for a tombstone, in the order of `nodes` (count,), of which each stands at least
    once. `order` (count,) sorts the ids. All three are mapped from their file. `more` are the positions of all entries
    but the first of each node.
    """

    ids: Ids
    nodes: NDArray[np.int32]
    order: NDArray[np.int64]
    more: NDArray[np.int32]

    @classmethod
    def read(cls, file: Path, generation: Generation) -> Entries:
        """Map the entries of a graph. Raises DamagedError."""
        count, size = generation.count, generation.ids.size
        at = _order_at(count)
        if size not in (at + 8 * count, 12 * count):
            raise _damaged(file)
        held = np.asarray(np.memmap(file, np.uint8, "r", shape=(size,))) if size else np.empty(0, np.uint8)
        ids, nodes = held[: 8 * count].view("<i8"), held[8 * count : 12 * count].view("<i4")
        # Earlier releases wrote no order.
        order = held[at:].view("<i8") if size > 12 * count else np.argsort(ids, kind="stable")
        more = _further(nodes, generation.nodes)
        if more is None or not _sorts(order, ids):
            raise _damaged(file)
        return cls(ids, nodes, order, more)

    @staticmethod
    def to_bytes(ids: Ids, nodes: NDArray[np.integer]) -> bytes:
        """The content of a file of ids, as `read` maps it."""
        order = np.argsort(ids, kind="stable")
        entries = ids.astype("<i8").tobytes() + nodes.astype("<i4").tobytes()
        return entries.ljust(_order_at(len(ids)), b"\0") + order.astype("<i8").tobytes()

    def per_node(self, mask: Mask) -> Mask:
        """Which nodes have at least one entry that the mask, shape (count,), marks."""
        if not len(self.more):
            return mask
        found: Mask = np.delete(mask, self.more)
        found[self.nodes[self.more[mask[self.more]]]] = True
        return found

    def of_nodes(self, nodes: NDArray[np.int64], scores: Scores) -> tuple[NDArray[np.int64], Scores]:
        """The entries of these nodes, each with its node's score."""
        if not len(self.more):
            return nodes, scores
        asked = nodes.astype(self.nodes.dtype)
        starts = np.searchsorted(self.nodes, asked)
        counts = np.searchsorted(self.nodes, asked, side="right") - starts
        if (counts == 1).all():
            return starts, scores
        before = np.cumsum(counts) - counts
        entries = np.arange(int(counts.sum())) + np.repeat(starts - before, counts)
        return entries, np.repeat(scores, counts)

    def find(self, ids: Ids) -> NDArray[np.int64]:
        """The entry of each id, -1 where it is not here."""
        if not len(self.ids):
            return np.full(len(ids), -1, np.int64)
        at = np.minimum(np.searchsorted(self.ids, ids, sorter=self.order), len(self.ids) - 1)
        found = self.order[at]
        return np.where(self.ids[found] == ids, found, -1)


def _order_at(count: int) -> int:
    """Where the order begins in a file: behind ids and nodes, at a multiple of its numbers' eight bytes."""
    return 12 * count + 4 * (count % 2)


def _further(nodes: NDArray[np.int32], count: int) -> NDArray[np.int32] | None:
    """The positions of all entries but the first of each node; None unless each of `count` nodes has one, in order."""
    found, last = [np.empty(0, np.int32)], -1
    for start in range(0, len(nodes), _BLOCK):
        block = nodes[start : start + _BLOCK]
        steps = np.diff(block, prepend=np.int32(last))
        if not ((steps == 0) | (steps == 1)).all() or (last < 0 and steps[0] != 1):
            return None
        found.append((start + np.flatnonzero(steps == 0)).astype(np.int32))
        last = int(block[-1])
    return np.concatenate(found) if last == count - 1 else None


def _sorts(order: NDArray[np.int64], ids: Ids) -> bool:
    """Whether this order is one in which ids ascend, none stands twice, and none but -1 is negative."""
    last, seen, there = -1, 0, 0
    for start in range(0, len(order), _BLOCK):
        at = order[start : start + _BLOCK]
        if int(at.min()) < 0 or int(at.max()) >= len(ids):
            return False
        block = np.append(np.int64(last), ids[at])
        if not ((block[1:] > block[:-1]) | (block[1:] == -1)).all() or int(block.min()) < -1:
            return False
        last = int(block[-1])
        seen += int(np.count_nonzero(block[1:] >= 0))
        there += int(np.count_nonzero(ids[start : start + _BLOCK] >= 0))
    return seen == there


def _damaged(file: Path) -> DamagedError:
    return DamagedError(
        f"{file} has ids or nodes that are none.",
        hint="Run `localsearch check --repair`, which rebuilds it.",
    )
