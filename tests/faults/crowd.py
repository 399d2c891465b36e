"""One of several processes on one index: `python crowd.py ROLE HOME SECONDS`. Prints counts as JSON, or fails.

Documents come in pairs of title and text that carry the same stamp; an answer in which they differ was torn.
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path

import world

from localsearch.types import Answer, Record

DOCUMENTS = 60


def main() -> None:
    role, home, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(ROLES[role](home, time.monotonic() + seconds)))


def stamped(number: int, stamp: int) -> Record:
    text = " ".join(random.Random(number * 1_000_003 + stamp).choices(world.passages(), k=3))
    return Record(f"Stamp s{stamp} of harbour {number}. {text}", f"h{number}", f"Harbour {number} s{stamp}")


def write(home: Path, end: float) -> Counter[str]:
    """Replace and delete documents, and watch a folder in which files come and go."""
    files, chosen, counts = home.parent / "watched", random.Random(1), Counter[str]()
    with world.open_engine(home) as engine:
        engine.index(files, embed=False)
        engine.start_background()
        watcher = engine.watch(told=lambda report: counts.update(watched=1))
        while time.monotonic() < end:
            stamp = counts["batches"]
            engine.add([stamped(chosen.randrange(DOCUMENTS), stamp + 10) for _ in range(10)])
            engine.add([Record(" ".join(chosen.choices(world.passages(), k=600)), f"big{stamp % 4}")])
            if stamp % 5 == 4:
                key = f"h{chosen.randrange(DOCUMENTS)}"
                if engine.corpus.find("default", key):
                    engine.delete(key)
            if stamp % 3 == 0:
                (files / f"file{stamp % 7}.txt").write_text(
                    f"Watched s{stamp}. {world.passages()[stamp % 50]}"
                )
            counts["batches"] += 1
        watcher.close()
        assert engine.background_error is None, engine.background_error
    return counts


def read(home: Path, end: float) -> Counter[str]:
    """Ask, and look for answers that mix two states."""
    counts, chosen = Counter[str](), random.Random()
    with world.open_engine(home, read_only=True) as engine:
        while time.monotonic() < end:
            query = f"harbour {chosen.randrange(DOCUMENTS)} stamp"
            answer = engine.search(query, limit=20, mode=chosen.choice(["hybrid", "lexical", "semantic"]))  # type: ignore[arg-type]
            assert answer.results, query
            check(answer)
            counts["answers"] += 1
            counts["hits"] += len(answer.results)
    return counts


def hold(home: Path, end: float) -> Counter[str]:
    """Read like the others, keeping one state of the database in sight for a second at a time."""
    counts = Counter[str]()
    with world.open_engine(home, read_only=True) as engine:
        while time.monotonic() < end:
            with engine.db.snapshot():
                before = engine.corpus.counts()
                check(engine.search("harbour stamp", limit=20, cache=False))
                time.sleep(1.0)
                assert engine.corpus.counts() == before
            counts["held"] += 1
    return counts


def check(answer: Answer) -> None:
    ids = [hit.id for hit in answer.results]
    assert len(ids) == len(set(ids)), ids
    for hit in answer.results:
        if hit.id.startswith("h"):
            title = re.fullmatch(r"Harbour (\d+) s(\d+)", hit.title)
            assert title, hit
            assert hit.id == f"h{title[1]}", hit
            if "Stamp" in hit.text:
                assert f"Stamp s{title[2]} of harbour {title[1]}." in hit.text, hit


ROLES = {"write": write, "read": read, "hold": hold}

if __name__ == "__main__":
    main()
