"""What a process and its descendants use together, with real trees of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localsearch.platform import group
from localsearch.platform.group import Bound, Exceeded, GroupWatch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what processes use")

MB = 1_000_000
FORK = """
import os, sys, time
for _ in range({count}):
    if not os.fork():
        {child}
        time.sleep(600)
print("ready", flush=True)
time.sleep(600)
"""


@contextmanager
def tree(source: str) -> Iterator[int]:
    """A process of its own session that runs `source`, once it has said that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
    finally:
        group.kill(process.pid)
        process.communicate()


def first_excess(leader: int, bound: Bound, tries: int = 600) -> str | None:
    """Look, a tenth of a second apart by the watch's own clock, until something is over the bound."""
    now = 0.0
    watch = GroupWatch(leader, bound, lambda: now)
    for _ in range(tries):
        now += group.LOOK_S
        try:
            watch.look()
        except Exceeded as error:
            return error.what
        time.sleep(0.05)
    return None


def test_children_that_are_each_small_are_too_much_together() -> None:
    """Four hold 40 MB each: no limit of one process meets that."""
    with tree(FORK.format(count=4, child="block = os.urandom(1 << 16) * 640")) as leader:
        assert first_excess(leader, Bound(100 * MB, 1000, 100)) == "memory"
        assert first_excess(leader, Bound(400 * MB, 1000, 100), tries=5) is None


def test_memory_that_forks_share_counts_once() -> None:
    source = "import os, time\nblock = os.urandom(1 << 16) * 1600\n" + FORK.format(count=4, child="pass")
    with tree(source) as leader:
        assert group.usage(leader).memory > 400 * MB
        assert first_excess(leader, Bound(250 * MB, 1000, 100), tries=5) is None


def test_processor_seconds_are_added_up() -> None:
    busy = "until = time.monotonic() + 300\n        while time.monotonic() < until: pass"
    with tree(FORK.format(count=3, child=busy)) as leader:
        assert first_excess(leader, Bound(10_000 * MB, 0.5, 100)) == "cpu_s"


def test_processes_are_counted_those_that_have_ended_too() -> None:
    with tree(FORK.format(count=6, child="os._exit(0)")) as leader:
        assert len(group.usage(leader).pids) == 7
        assert first_excess(leader, Bound(10_000 * MB, 1000, 6)) == "processes"
        assert first_excess(leader, Bound(10_000 * MB, 1000, 7), tries=5) is None


def test_a_descendant_of_another_session_belongs_to_it_and_is_killed() -> None:
    with tree(FORK.format(count=2, child="os.setsid()")) as leader:
        children = [pid for pid in group.usage(leader).pids if pid != leader]
        assert len(children) == 2
        group.kill(leader)
        assert all(gone(pid) for pid in children)


def test_an_orphan_is_adopted() -> None:
    """A child's child whose parent has ended stays below a process that adopts."""
    adopts = "from localsearch.platform.group import adopt\nadopt()\n"
    source = adopts + FORK.format(count=1, child="os.setsid() or os.fork() and os._exit(0)")
    with tree(source) as leader:
        until = time.monotonic() + 30
        while len(group.usage(leader).pids) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(group.usage(leader).pids) == 3  # itself, the child that has ended, and its orphan


def test_nothing_is_read_between_looks_nor_without_children(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def children(_: GroupWatch) -> bool:
        read.append("children")
        return False

    with tree("import time\nprint('ready', flush=True)\ntime.sleep(600)") as leader:
        assert not group.has_children(leader)
        monkeypatch.setattr(group, "usage", read.append)
        now = 0.0
        watch = GroupWatch(leader, Bound(0, 0, 0), lambda: now)
        monkeypatch.setattr(GroupWatch, "has_children", children)
        for tick in range(100):
            now = tick / 50
            watch.look()
    assert read == ["children"] * 9  # in two seconds, from the first fifth on


def test_a_process_that_is_gone_has_nothing() -> None:
    with tree(FORK.format(count=1, child="pass")) as leader:
        assert group.has_children(leader)
    assert not group.has_children(leader)
    assert group.usage(leader).memory == 0
    assert all(gone(pid) for pid in group.usage(leader).pids)
    group.kill(leader)


def gone(pid: int) -> bool:
    """Whether a process does nothing any more, within a while."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def test_without_lists_of_children_all_processes_are_looked_through(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As of a kernel without CONFIG_PROC_CHILDREN."""
    for pid, parent in ((10, 1), (11, 10), (12, 11), (20, 1)):
        (tmp_path / str(pid) / "task" / str(pid)).mkdir(parents=True)
        fields = f"{pid} (a ) b) S {parent} {parent} {parent} " + " ".join(["0"] * 40)
        (tmp_path / str(pid) / "stat").write_text(fields)
    monkeypatch.setattr(group, "_PROC", tmp_path)
    assert group.has_children(10)
    assert not group.has_children(20)
    assert not group.has_children(30)
    assert sorted(group.usage(10).pids) == [10, 11, 12]
    assert os.getpid() not in group.usage(10).pids
