"""A writer to be killed: it changes documents, feeds an engine of vectors and builds collections, until it is ended.

python vector_writer.py HOME URI ALIAS SEED
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from backends.world import World, backend_settings, document

from localsearch.errors import VectorsUnavailableError


def main() -> None:
    home, uri, alias, seed = sys.argv[1:]
    chance = random.Random(int(seed))
    world = World.open(Path(home), backend_settings("milvus", uri), alias)
    print("open", flush=True)
    while True:
        step(world, chance)


def step(world: World, chance: random.Random) -> None:
    """One change that is acknowledged when its transaction is, then a feeding; now and then a new collection."""
    world.put(
        [document(chance.randrange(600)) for _ in range(chance.randrange(1, 12))], chance.randrange(1 << 30)
    )
    ids = world.corpus.document_ids()
    with world.db.write():
        world.corpus.remove(chance.sample(ids, min(len(ids) - 20, chance.randrange(0, 8))))
    try:
        world.sync()
        if chance.random() < 0.1:
            world.rebuild()
    except VectorsUnavailableError as error:
        print(error.message, flush=True)
    print("step", flush=True)


if __name__ == "__main__":
    main()
