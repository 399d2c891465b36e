"""SIGKILL at random moments and at random system calls: nothing confirmed is lost, nothing is there twice."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import world
from allowed import Allowed
from harness import Fault, Nursery, Outcome, need_strace

from localsearch.errors import ConflictError
from localsearch.types import Record
from localsearch.upkeep.backup import backup, restore

SEED = 20_240
ACTORS = (
    "adding",
    "deleting",
    "merging",
    "indexing_files",
    "migrating",
    "activating",
    "restoring",
    "purging",
)
KILLS = 200 if world.ALL else 25


@dataclass(frozen=True, slots=True)
class Stage:
    """A prepared folder that each run of an actor starts from, and what its index holds."""

    folder: Path
    held: dict[str, str]


@pytest.fixture(scope="module")
def stages(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    """For each actor the folder it starts from."""
    base = tmp_path_factory.mktemp("stages")
    with world.open_engine(template) as engine:
        held = world.contents(engine)
        backup(engine.db, base / "copy.lsb")
    found = {}
    for actor in ACTORS:
        folder = base / actor
        folder.mkdir()
        if actor == "restoring":
            shutil.copy(base / "copy.lsb", folder)
        else:
            shutil.copytree(template, folder / "home")
        found[actor] = Stage(folder, held)
    _make_old(found["migrating"].folder / "home")
    _make_files(found["indexing_files"].folder, base / "files")
    return found


def _make_old(home: Path) -> None:
    """Take the last migrations back, so that opening applies them again."""
    connection = sqlite3.connect(home / "index.db")
    for trigger in ("chunk_came", "chunk_went", "vector_came", "vector_went", "fields_changed"):
        connection.execute(f"DROP TRIGGER {trigger}")
    for table in ("fed", "vector_changes", "feeds"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("DROP TABLE tokens")
    connection.execute("DROP TABLE feedback")
    connection.execute("DROP INDEX documents_left_out")
    connection.execute("DROP INDEX chunks_not_embedded")
    connection.execute("ALTER TABLE documents DROP COLUMN left_out")
    connection.execute("ALTER TABLE files DROP COLUMN inode")
    connection.execute("ALTER TABLE files DROP COLUMN notes")
    connection.execute("ALTER TABLE documents DROP COLUMN named")
    connection.execute("ALTER TABLE documents DROP COLUMN digest")
    connection.execute("ALTER TABLE vectors DROP COLUMN crc")
    connection.execute("DELETE FROM migrations WHERE name != '0001_initial'")
    connection.commit()
    connection.close()


def _make_files(folder: Path, files: Path) -> None:
    """A folder that was indexed before and has changed since: new, changed, moved and missing files."""
    files.mkdir()
    (folder / "files.path").write_text(str(files), "utf-8")
    for number, text in enumerate(world.passages()[100:130]):
        (files / f"f{number}.txt").write_text(text, "utf-8")
    with world.open_engine(folder / "home") as engine:
        engine.index(files, embed=False)
    for number in range(0, 30, 6):
        (files / f"f{number}.txt").unlink()
        (files / f"f{number + 1}.txt").write_text(f"Changed. {world.passages()[200 + number]}", "utf-8")
        (files / f"f{number + 2}.txt").rename(files / f"moved{number}.txt")
        (files / f"new{number}.txt").write_text(world.passages()[150 + number], "utf-8")


@pytest.mark.slow
def test_killed_at_any_moment(
    nursery: Nursery, stages: dict[str, Stage], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_strace()
    chosen = random.Random(SEED)
    kills: Counter[str] = Counter()
    ended = Counter[str]()
    events: dict[str, list[tuple[str, int]]] = {}
    seconds: dict[str, float] = {}
    number = 0
    while sum(kills.values()) < KILLS:
        actor = ACTORS[number % len(ACTORS)]
        run = tmp_path / f"{number}"
        shutil.copytree(stages[actor].folder, run)
        if actor not in events:
            outcome, events[actor] = nursery.census(actor, _placed(stages[actor], tmp_path / actor), SEED)
            assert outcome.status == 0, outcome.error
            seconds[actor] = outcome.seconds / 2  # a traced child is about half as fast
        fault = _fault(chosen, events[actor], seconds[actor], by_call=number % 3 != 2)
        outcome = nursery.run(actor, run / "home", SEED + number, fault)
        # strace follows children: it may have been a reader of files that died, while it started.
        assert outcome.killed or outcome.status == 0 or "UnavailableError" in outcome.error, outcome.error
        try:
            _verify(actor, stages[actor], run, outcome, tmp_path / f"fresh-{number}")
        except BaseException as error:
            error.add_note(f"{actor}, seed {SEED + number}, {fault}, {len(outcome.told)} lines told")
            raise
        (kills if outcome.killed else ended)[actor] += 1
        shutil.rmtree(run)
        number += 1
        assert number < 4 * KILLS, f"too few children were killed: {kills}, {ended}"
    with capsys.disabled():
        print(f"\n{sum(kills.values())} kills from seed {SEED}: {dict(kills)}; ended before: {dict(ended)}")


def _placed(stage: Stage, folder: Path) -> Path:
    shutil.copytree(stage.folder, folder)
    return folder / "home"


def _fault(chosen: random.Random, events: list[tuple[str, int]], seconds: float, by_call: bool) -> Fault:
    if not by_call:
        return Fault(after_s=chosen.uniform(0.0, seconds))
    call, when = chosen.choice(events)
    return Fault(calls=(call,), action="signal=KILL", when=str(when))


def _verify(actor: str, stage: Stage, run: Path, outcome: Outcome, scratch: Path) -> None:
    home = run / "home"
    if actor == "restoring":
        _verify_restored(stage, run, outcome)
        world.verify(home, Allowed(stage.held), scratch)
    elif actor == "indexing_files":
        _verify_files(run, outcome, stage, scratch)
    elif actor == "activating":
        done = [value["active"] for kind, value in outcome.told if kind == "done"]
        begun = [value["active"] for kind, value in outcome.told if kind == "begin"]
        world.verify(home, Allowed(stage.held), scratch)
        with world.open_engine(home) as engine:
            assert _active(engine) in {(done or ["a"])[-1], (begun or ["a"])[-1]}
    else:
        world.verify(home, outcome.allowed(stage.held), scratch)
    if actor == "purging":
        _verify_purged(home, stage, outcome)


def _verify_purged(home: Path, stage: Stage, outcome: Outcome) -> None:
    """What was purged, or was being purged and is gone, is in no file after the next opening."""
    with world.open_engine(home) as engine:
        held = world.contents(engine)
    for key in stage.held.keys() - held.keys():
        needle = stage.held[key][:60].encode()
        assert not [file for file in home.rglob("*") if file.is_file() and needle in file.read_bytes()], key


def _active(engine: world.Engine) -> str:
    versions = [version for version in engine.embeddings.versions() if version.state == "active"]
    assert len(versions) == 1
    return versions[0].precision


def _verify_restored(stage: Stage, run: Path, outcome: Outcome) -> None:
    """A restore that was confirmed is there; one that was not is wholly there or can be done again."""
    home = run / "home"
    whole = (home / "index.db").exists()
    assert whole or not outcome.told
    if whole:
        with pytest.raises(ConflictError):
            restore(run / "copy.lsb", home)
    else:
        restore(run / "copy.lsb", home)
        assert [entry.name for entry in home.iterdir()] == ["index.db"], "remains of the killed one"


def _verify_files(run: Path, outcome: Outcome, stage: Stage, scratch: Path) -> None:
    """Files told as stored are found unchanged; a second run finishes the rest and equals the folder."""
    home, files = run / "home", Path((run / "files.path").read_text("utf-8"))
    told = max([value for kind, value in outcome.told if kind == "batch"], default=0)
    with world.open_engine(home) as engine:
        report = engine.check()
        assert report.ok, report.problems
        again = engine.index(files, embed=False)
        assert again.files.new + again.files.changed <= 15 - told
        assert again.files.failed == 0
        texts = sorted(file.read_text("utf-8") for file in files.iterdir())
        stored = [
            document for (document,) in engine.db.query("SELECT id FROM documents WHERE path IS NOT NULL")
        ]
        assert sorted(engine.corpus.text(document) for document in stored) == texts
        assert engine.index(files, embed=False).files.unchanged == len(texts)
        engine.embed_pending()
        after = engine.check()
        assert after.ok, after.problems
        found = world.answers(engine)
    with world.open_engine(scratch) as fresh:
        fresh.add([Record(text, key) for key, text in stage.held.items()])
        fresh.index(files, embed=False)
        world.build_version(fresh, "a")
        # A moved file keeps the title it was embedded with, so scores may differ a little.
        world.same_answers(found, world.answers(fresh), scores=False)
