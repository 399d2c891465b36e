"""Readers, a writer that watches, and a second command line on one index at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import world
from crowd import DOCUMENTS, stamped
from harness import HERE

SECONDS = 300.0 if world.ALL else 15.0
WAL_LIMIT = 64 << 20


def process(*arguments: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *arguments], env=env, stdout=pipe, stderr=pipe, text=True)


def test_many_on_one_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, watched = tmp_path / "home", tmp_path / "watched"
    watched.mkdir()
    (watched / "first.txt").write_text("The first file that is watched.", "utf-8")
    with world.open_engine(home) as engine:
        engine.add([stamped(number, 0) for number in range(DOCUMENTS)])
        world.build_version(engine, "a")
    crowd = str(HERE / "crowd.py")
    roles = ["write", "read", "read", "read", "hold"]
    processes = [process(crowd, role, str(home), str(SECONDS)) for role in roles]
    counts: Counter[str] = Counter()
    longest = 0
    wal = home / "index.db-wal"
    end = time.monotonic() + SECONDS
    while time.monotonic() < end or any(one.poll() is None for one in processes):
        longest = max(longest, wal.stat().st_size if wal.exists() else 0)
        if time.monotonic() < end - 3:
            counts += second_command_line(home, watched, processes[0])
        time.sleep(0.05)
    for one, role in zip(processes, roles):
        out, err = one.communicate(timeout=60)
        assert one.returncode == 0, f"{role}: {err}"
        counts += Counter(json.loads(out))
    assert longest < WAL_LIMIT
    with world.open_engine(home) as engine:
        assert engine.check().ok, engine.check().problems
        held = world.contents(engine)
        engine.embed_pending()
        assert engine.check().ok
    assert counts["answers"] > 0
    assert counts["batches"] > 0
    assert counts["held"] > 0
    assert counts["watched"] > 0
    with capsys.disabled():
        print(
            f"\n{SECONDS:g} s: {dict(counts)}, log at most {longest >> 20} MiB, {len(held)} documents at the end"
        )


def second_command_line(home: Path, watched: Path, writer: subprocess.Popen[str]) -> Counter[str]:
    """Reading commands work beside the writer; writing ones name it and end with 3."""
    command = ["-m", "localsearch", "--home", str(home), "--offline"]
    search = process(*command, "--json", "search", "--mode", "lexical", "harbour")
    out, err = search.communicate(timeout=60)
    assert search.returncode == 0, err
    assert json.loads(out)["results"], out
    index = process(*command, "index", str(watched), "--no-embed")
    _, err = index.communicate(timeout=60)
    if writer.poll() is not None:
        return Counter(searches=1)
    if index.returncode == 0:
        return Counter(searches=1, early=1)  # it came before the writer took the index
    assert index.returncode == 3, err
    assert str(writer.pid) in err
    return Counter(searches=1, refused=1)
