"""Truncations and flipped bits in every kind of file: noticed, never a wrong answer in silence, never a crash."""

from __future__ import annotations

import random
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import world
from harness import Nursery

from localsearch.server.database import ServiceDatabase

RUNS = 500 if world.ALL else 40
SEED = 99
TRUTH = ("index.db", "index.db-wal", "settings.toml")
"""Files whose damage may make opening impossible; everything else comes back by itself."""


@pytest.fixture(scope="module")
def whole(nursery: Nursery, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with every kind of file: the log of a writer that was killed, caches, jobs, settings."""
    home = tmp_path_factory.mktemp("whole") / "home"
    shutil.copytree(template, home)
    with world.open_engine(home) as engine:
        for query in world.QUERIES:
            engine.query_log.record({"query": query})
            engine.search(query)
    ServiceDatabase(home).close()
    (home / "settings.toml").write_text("[chunk]\ntokens = 240\n", "utf-8")
    outcome = nursery.run("dying", home, SEED)
    assert outcome.killed
    assert (home / "index.db-wal").stat().st_size > 0
    return home


@pytest.fixture(scope="module")
def settled(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after a clean end: everything is in the database file, and what is damaged there shows."""
    home = tmp_path_factory.mktemp("settled") / "home"
    shutil.copytree(whole, home)
    with world.open_engine(home):
        pass
    assert not (home / "index.db-wal").exists()
    return home


def kind_of(file: Path) -> str:
    """Files of one kind are named alike: by ending in derived folders, by name elsewhere."""
    return f"{file.parent.name if file.parent.name == 'lexical' else 'vectors'}/*{file.suffix or file.name}"


@pytest.mark.slow
def test_damage_is_noticed(
    nursery: Nursery, whole: Path, settled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole, tmp_path / "right")
    right = nursery.run("examining", tmp_path / "right", 0)
    assert right.of("problems") == [[]], right
    kinds: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(whole.rglob("*")):
        if file.is_file() and file.stat().st_size:
            relative = file.relative_to(whole)
            kinds[str(relative) if len(relative.parts) == 1 else kind_of(relative)].append(relative)
    chosen = random.Random(SEED)
    results: Counter[str] = Counter()
    order = ["index.db"] * 4 + sorted(kinds)
    for number in range(RUNS):
        kind = order[number % len(order)]
        file = chosen.choice(kinds[kind])
        home = tmp_path / f"{number}"
        shutil.copytree(settled if kind == "index.db" else whole, home)
        what = damage(home / file, chosen)
        outcome = nursery.run("examining", home, 0)
        try:
            results[judge(file, outcome, right)] += 1
        except BaseException as error:
            error.add_note(
                f"run {number}: {file}, {what}; told {[(k, str(v)[:300]) for k, v in outcome.told]}"
            )
            raise
        shutil.rmtree(home)
    with capsys.disabled():
        print(f"\n{RUNS} damages from seed {SEED} to {len(kinds)} kinds of file: {dict(results)}")


def damage(file: Path, chosen: random.Random) -> str:
    """Cut a file short or flip one bit of it."""
    data = bytearray(file.read_bytes())
    at = chosen.randrange(len(data))
    if chosen.random() < 0.4:
        del data[at:]
        what = f"cut at {at}"
    else:
        bit = chosen.randrange(8)
        data[at] ^= 1 << bit
        what = f"bit {bit} of byte {at}"
    file.write_bytes(data)
    return what


def judge(file: Path, outcome: object, right: object) -> str:
    """What became of it; fails where a wrong answer went unnoticed, or something derived did not come back."""
    assert outcome.status == 0, outcome.error  # type: ignore[attr-defined]
    told, true = dict(outcome.told), dict(right.told)  # type: ignore[attr-defined]
    if "refused" in told:
        assert str(file) in TRUTH, told["refused"]
        assert told["refused"]["code"] in ("damaged", "newer_format", "storage", "bad_settings"), told[
            "refused"
        ]
        return "refused with words"
    same = told["contents"] == true["contents"] and near(told["wrote"], true["wrote"])
    if str(file) == "index.db-wal" and not told["problems"] and not same:
        # SQLite ends its log at the first frame whose checksum is wrong: as if the power had failed before it.
        assert told["contents"].items() <= {**base(), **true["contents"]}.items() | base().items()
        assert told["contents"] != true["contents"] or near(told["mended"], true["mended"])
        return "log cut"
    if not told["problems"]:
        assert same, "a wrong answer went unnoticed"
    if str(file) not in TRUTH:
        assert told["left"] == [], told["left"]
        assert told["contents"] == true["contents"]
        assert near(told["mended"], true["mended"]), "repaired, it answers otherwise"
        assert "read" in told, told["read refused"]
        assert near(told["read"], true["read"]), "opened for reading, it answers otherwise"
    return "found by check" if told["problems"] else "harmless or made again"


def base() -> dict[str, str]:
    """The texts that documents had before the log."""
    return {str(record.id): record.text for record in world.records(80)}


def near(one: object, two: object) -> bool:
    """The same answers, apart from rounding."""
    try:
        world.same_answers(world.from_json(one), world.from_json(two))
    except AssertionError:
        return False
    return True
