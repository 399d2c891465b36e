"""Watching, with real files and real events: whatever happened, what a consumer knows equals a fresh scan."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localsearch.errors import RootUnreadable
from localsearch.scan import ScannedFile, ScanRules, is_within, scan, scan_within
from localsearch.watch import Backend, Changes, Watcher, watch
from localsearch.watch.mounts import remote_filesystem
from localsearch.watch.pending import Pending

BACKENDS = [
    pytest.param(
        "inotify", marks=pytest.mark.skipif(sys.platform != "linux", reason="inotify is the Linux kernel's")
    ),
    "watchfiles",
]
PATIENCE_S = 60
Known = dict[bytes, tuple[str, int, int]]


class Mirror:
    """A consumer that follows trees by scanning what it is told to, as the index does."""

    def __init__(self, rules: ScanRules | None = None) -> None:
        self.rules = rules
        self.known: Known = {}
        self.told: list[Changes] = []

    def __call__(self, changes: Changes) -> None:
        root = os.fsencode(changes.root)
        if changes.rescan:
            before = any(is_within(raw, {root}) for raw in self.known)
            found = list(scan(changes.root, self.rules, indexed_before=before))
            stale = {root}
        else:
            found = list(scan_within(changes.root, changes.paths, self.rules))
            stale = {os.fsencode(path) for path in changes.paths}
        stale |= {one.raw for one in found if one.folder}
        self.known = {raw: value for raw, value in self.known.items() if not is_within(raw, stale)}
        self.known |= facts(found)
        self.told.append(changes)


def facts(found: list[ScannedFile]) -> Known:
    return {
        one.raw: (
            one.skip.rule if one.skip else "",
            one.size,
            0 if one.folder else one.mtime_ns,
        )
        for one in found
    }


def fresh(root: Path, rules: ScanRules | None = None) -> Known:
    return facts(list(scan(root, rules)))


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait for something that has to come true; a generous limit turns a hang into a failure."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def agrees(mirror: Mirror, root: Path, rules: ScanRules | None = None) -> None:
    eventually(lambda: mirror.known == fresh(root, rules))


def write(path: Path, text: str = "text\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@contextlib.contextmanager
def followed(root: Path, backend: Backend, rules: ScanRules | None = None) -> Iterator[Mirror]:
    """A mirror of a root that has seen it once, so that all it learns from here on it learns from events."""
    mirror = Mirror(rules)
    options = {"rules": rules, "backend": backend, "debounce": 0.05}
    with Watcher([root], mirror, on_note=lambda _: None, **options):
        eventually(lambda: bool(mirror.told))
        yield mirror


# -- what happens to files


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


def test_what_is_there_is_told_first_as_a_whole(tmp_path: Path, backend: Backend) -> None:
    write(tmp_path / "a.txt")
    with followed(tmp_path, backend) as mirror:
        assert mirror.told == [Changes(tmp_path, rescan=True)]
        assert mirror.known == fresh(tmp_path)


def test_a_change_is_told_as_its_path(tmp_path: Path, backend: Backend) -> None:
    with followed(tmp_path, backend) as mirror:
        path = write(tmp_path / "a.txt")
        agrees(mirror, tmp_path)
        assert mirror.told[1] == Changes(tmp_path, (path,))


def test_create_change_touch_and_delete(tmp_path: Path, backend: Backend) -> None:
    with followed(tmp_path, backend) as mirror:
        path = write(tmp_path / "a.txt", "one")
        agrees(mirror, tmp_path)
        path.write_text("another")
        agrees(mirror, tmp_path)
        os.utime(path, ns=(1, 1_700_000_000_000_000_000))
        agrees(mirror, tmp_path)
        assert mirror.known[os.fsencode(path)] == ("", 7, 1_700_000_000_000_000_000)
        path.unlink()
        agrees(mirror, tmp_path)
        assert mirror.known == {}


def test_a_file_held_open_is_followed_as_it_grows(tmp_path: Path, backend: Backend) -> None:
    with followed(tmp_path, backend) as mirror, (tmp_path / "log.txt").open("w") as file:
        for size in (5, 10, 15):
            file.write("line\n")
            file.flush()
            eventually(lambda size=size: [value[1] for value in mirror.known.values()] == [size])


def test_editors_save_by_renaming(tmp_path: Path, backend: Backend) -> None:
    path = write(tmp_path / "a.txt", "old")
    with followed(tmp_path, backend) as mirror:
        for text in ("new", "newer"):
            write(tmp_path / ".a.txt.swp-1", text).rename(path)
            agrees(mirror, tmp_path)
            assert mirror.known[os.fsencode(path)][1] == len(text)
        write(tmp_path / "a.txt~", "backup")
        path.unlink()
        (tmp_path / "a.txt~").rename(path)
        agrees(mirror, tmp_path)


def test_folders_are_made_renamed_moved_and_deleted(tmp_path: Path, backend: Backend) -> None:
    root = tmp_path / "root"
    write(root / "keep.txt")
    write(root / "old/deep/a.txt")
    write(tmp_path / "outside/in/b.txt")
    with followed(root, backend) as mirror:
        (root / "old").rename(root / "new")
        agrees(mirror, root)
        write(root / "new/deep/late.txt")
        agrees(mirror, root)
        (tmp_path / "outside").rename(root / "outside")
        agrees(mirror, root)
        write(root / "outside/in/c.txt")
        agrees(mirror, root)
        (root / "new").rename(tmp_path / "away")
        agrees(mirror, root)
        shutil.rmtree(root / "outside")
        agrees(mirror, root)
        assert set(mirror.known) == {os.fsencode(root / "keep.txt")}


def test_files_made_at_once_in_new_folders_are_not_missed(tmp_path: Path, backend: Backend) -> None:
    with followed(tmp_path, backend) as mirror:
        for at in range(50):
            write(tmp_path / f"n{at}/a/b/c/d.txt")
        agrees(mirror, tmp_path)
        for at in range(50):
            write(tmp_path / f"n{at}/a/b/c/e.txt")
        agrees(mirror, tmp_path)
        assert len(mirror.known) == 100


def test_a_name_that_is_not_utf8_does_not_end_the_watch(tmp_path: Path, backend: Backend) -> None:
    with followed(tmp_path, backend) as mirror:
        odd = os.fsencode(tmp_path) + b"/caf\xe9.txt"
        os.close(os.open(odd, os.O_CREAT))
        eventually(lambda: odd in mirror.known)
        write(tmp_path / "after.txt")
        agrees(mirror, tmp_path)
        os.unlink(odd)
        agrees(mirror, tmp_path)


def test_what_is_skipped_stays_skipped(tmp_path: Path, backend: Backend) -> None:
    write(tmp_path / ".gitignore", "*.log\n")
    with followed(tmp_path, backend) as mirror:
        write(tmp_path / "node_modules/p/index.js")
        write(tmp_path / "a.log")
        write(tmp_path / ".git/HEAD")
        write(tmp_path / "a.txt")
        agrees(mirror, tmp_path)
        write(tmp_path / "node_modules/q/index.js")
        write(tmp_path / "b.txt")
        agrees(mirror, tmp_path)
        taken = {os.path.basename(raw) for raw, value in mirror.known.items() if not value[0]}
        assert taken == {b"a.txt", b"b.txt"}


def test_a_changed_ignore_file_changes_what_is_taken(tmp_path: Path, backend: Backend) -> None:
    write(tmp_path / ".ignore", "drafts/\n*.log\n")
    write(tmp_path / "drafts/a.txt")
    write(tmp_path / "b.log")
    with followed(tmp_path, backend) as mirror:
        write(tmp_path / ".ignore", "*.txt\n")
        agrees(mirror, tmp_path)
        (tmp_path / ".ignore").unlink()
        agrees(mirror, tmp_path)
        write(tmp_path / "drafts/new.txt")
        agrees(mirror, tmp_path)
        assert mirror.known[os.fsencode(tmp_path / "drafts/new.txt")][0] == ""


def test_a_folder_that_turns_out_to_be_a_cache_is_left_out(tmp_path: Path, backend: Backend) -> None:
    write(tmp_path / "env/lib/a.txt")
    write(tmp_path / "app/build/b.txt")
    with followed(tmp_path, backend) as mirror:
        write(tmp_path / "env/pyvenv.cfg")
        write(tmp_path / "app/Cargo.toml")
        agrees(mirror, tmp_path)
        assert mirror.known[os.fsencode(tmp_path / "env")][0] == "cache"
        assert mirror.known[os.fsencode(tmp_path / "app/build")][0] == "cache"
        (tmp_path / "env/pyvenv.cfg").unlink()
        agrees(mirror, tmp_path)
        write(tmp_path / "env/lib/c.txt")
        agrees(mirror, tmp_path)


def test_a_link_out_of_the_root_is_not_watched(tmp_path: Path) -> None:
    write(tmp_path / "outside/a.txt")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    with followed(root, "auto") as mirror:
        write(tmp_path / "outside/b.txt")
        write(root / "c.txt")
        agrees(mirror, root)
        assert [changes.paths for changes in mirror.told[1:]] == [(root / "c.txt",)]


@pytest.mark.parametrize("seed", range(3))
def test_after_random_edits_the_mirror_equals_a_fresh_scan(
    tmp_path: Path, backend: Backend, seed: int
) -> None:
    rng = random.Random(seed)
    names = ["a", "b", "c.txt", "d.log", ".hidden", "node_modules", ".gitignore"]
    with followed(tmp_path, backend) as mirror:
        for _ in range(5):
            for _ in range(60):
                edit(rng, tmp_path, names)
            agrees(mirror, tmp_path)


def edit(rng: random.Random, root: Path, names: list[str]) -> None:
    """One thing that people do to files, somewhere in a small tree; what cannot be done is left."""
    one, other = (root.joinpath(*rng.choices(names, k=rng.randint(1, 3))) for _ in range(2))
    text = rng.choice(["*.log\n", "a/\n", "!a\n", "x" * rng.randint(0, 99)])
    doings: list[Callable[[], object]] = [
        lambda: write(one, text),
        lambda: write(one, text),
        lambda: one.mkdir(parents=True),
        lambda: one.rename(other),
        one.unlink,
        lambda: shutil.rmtree(one),
        lambda: one.symlink_to(other),
        lambda: one.chmod(0o700),
    ]
    with contextlib.suppress(OSError):
        rng.choice(doings)()


# -- bursts


@pytest.mark.slow
def test_fifty_thousand_new_files(tmp_path: Path, backend: Backend) -> None:
    """More than the kernel's queue holds, in a new folder, while the consumer is slow."""
    make = "import os, sys\n"
    make += "for i in range(50_000):\n"
    make += "    if i % 1000 == 0: folder = f'{sys.argv[1]}/burst/{i}'; os.makedirs(folder)\n"
    make += "    os.close(os.open(f'{folder}/{i}.txt', os.O_CREAT | os.O_WRONLY))\n"
    with followed(tmp_path, backend) as mirror:
        subprocess.run([sys.executable, "-c", make, str(tmp_path)], check=True)
        eventually(lambda: len(mirror.known) == 50_000)
        agrees(mirror, tmp_path)
        write(tmp_path / "burst/49000/one-more.txt")
        agrees(mirror, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is the Linux kernel's")
def test_an_overflowing_queue_is_noticed_and_made_good(tmp_path: Path) -> None:
    from localsearch.watch.linux import InotifySource

    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip("this kernel's event queue is too long to be filled in a test")
    source = InotifySource(ScanRules())
    try:
        source.add(tmp_path)
        for at in range(limit // 2 + 1):
            (tmp_path / f"{at}.txt").touch()
        write(tmp_path / "made/unseen/a.txt")
        assert source.read(0).lost
        write(tmp_path / "made/unseen/b.txt")
        signals = source.read(1)
        assert not signals.lost
        assert signals.paths == {os.fsencode(tmp_path / "made/unseen/b.txt")}
    finally:
        source.close()


def test_many_paths_become_one_rescan() -> None:
    root = Path("/r")
    pending = Pending(quiet=0, longest=0)
    pending.add(root, (b"/r/%d" % at for at in range(10_000)))
    (changes,) = pending.take()
    assert (len(changes.paths), changes.rescan) == (10_000, False)
    pending.add(root, (b"/r/%d" % at for at in range(10_001)))
    assert pending.take() == [Changes(root, rescan=True)]


def test_changes_are_told_together_after_a_moment_of_quiet() -> None:
    pending = Pending(quiet=0.05, longest=60)
    pending.add(Path("/r"), [b"/r/b"])
    pending.add(Path("/r"), [b"/r/a", b"/r/b"])
    pending.add(Path("/s"), [b"/s/c"])
    told = pending.take()
    if len(told) == 1:  # this process was stopped between the two roots
        told += pending.take()
    assert told == [
        Changes(Path("/r"), (Path("/r/a"), Path("/r/b"))),
        Changes(Path("/s"), (Path("/s/c"),)),
    ]
    pending.close()
    assert pending.take() == []


# -- roots


def test_a_root_may_appear_later(tmp_path: Path, backend: Backend) -> None:
    root = tmp_path / "later/notes"
    mirror, notes = Mirror(), []
    with Watcher([root], mirror, backend=backend, on_note=notes.append):
        eventually(lambda: bool(notes))
        assert notes == [f"{root} is not there; what is indexed from it stays until it is back"]
        write(root / "a.txt")
        agrees(mirror, root)
        write(root / "b.txt")
        agrees(mirror, root)


def test_a_root_that_goes_away_takes_nothing_with_it(tmp_path: Path, backend: Backend) -> None:
    root = tmp_path / "root"
    write(root / "a.txt")
    mirror, notes = Mirror(), []
    with Watcher([root], mirror, backend=backend, on_note=notes.append):
        agrees(mirror, root)
        root.rename(tmp_path / "unplugged")
        eventually(lambda: any("is not there" in note for note in notes))
        assert set(mirror.known) == {os.fsencode(root / "a.txt")}
        (tmp_path / "unplugged").rename(root)
        write(root / "b.txt")
        agrees(mirror, root)


def test_a_root_that_is_replaced_at_once_is_watched_again(tmp_path: Path, backend: Backend) -> None:
    root = tmp_path / "root"
    write(root / "a.txt")
    with followed(root, backend) as mirror:
        for at in range(3):
            shutil.rmtree(root)
            write(root / f"{at}.txt")
            agrees(mirror, root)
            write(root / f"{at}-more.txt")
            agrees(mirror, root)


def test_a_root_may_be_one_file(tmp_path: Path, backend: Backend) -> None:
    path = write(tmp_path / "notes.txt", "one")
    with followed(path, backend) as mirror:
        write(tmp_path / "other.txt")
        write(tmp_path / "tmp", "by rename").rename(path)
        agrees(mirror, path)
        path.write_text("in place, longer")
        agrees(mirror, path)
        assert {changes.root for changes in mirror.told} == {path}
        assert set(mirror.known) == {os.fsencode(path)}


def test_several_roots_are_told_apart(tmp_path: Path, backend: Backend) -> None:
    roots = [tmp_path / "one", tmp_path / "two", tmp_path / "two/inner"]
    for root in roots:
        root.mkdir()
    told: list[Changes] = []
    with Watcher(roots, told.append, backend=backend, on_note=lambda _: None):
        eventually(lambda: len(told) == 3)
        a = write(tmp_path / "one/a.txt")
        b = write(tmp_path / "two/inner/b.txt")
        eventually(lambda: len(told) >= 6)
    paths = {changes.root: set(changes.paths) for changes in told[3:]}
    assert paths == {roots[0]: {a}, roots[1]: {b}, roots[2]: {b}}


def test_a_root_that_links_to_another_is_followed_as_well(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    write(real / "sub/a.txt")
    link.symlink_to(real)
    mirror = Mirror()
    with Watcher([real, link], mirror):
        eventually(lambda: mirror.known == fresh(real) | fresh(link))
        write(real / "sub/b.txt")
        eventually(lambda: mirror.known == fresh(real) | fresh(link))
        (real / "sub").rename(real / "new")
        write(link / "new/c.txt")
        eventually(lambda: mirror.known == fresh(real) | fresh(link))
        link.unlink()
        write(real / "new/d.txt")
        eventually(lambda: os.fsencode(real / "new/d.txt") in mirror.known)


# -- limits and faults


def test_polling_follows_too(tmp_path: Path) -> None:
    mirror = Mirror()
    with Watcher([tmp_path], mirror, backend="poll", poll_s=0.05):
        write(tmp_path / "deep/a.txt")
        agrees(mirror, tmp_path)
        shutil.rmtree(tmp_path / "deep")
        write(tmp_path / "b.txt")
        agrees(mirror, tmp_path)
    assert all(changes.rescan for changes in mirror.told)


LIMITED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_watcher import Mirror, agrees, write
from localsearch.watch import Watcher

limit, root, notes = sys.argv[1], Path(sys.argv[2]), []
Path("/proc/sys/user", limit).write_text("5" if limit == "max_inotify_watches" else "0")
for at in range(20):
    write(root / str(at) / "a.txt")
mirror = Mirror()
with Watcher([root], mirror, poll_s=0.2, on_note=notes.append):
    agrees(mirror, root)
    write(root / "19/b.txt")
    agrees(mirror, root)
print(notes[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is the Linux kernel's")
@pytest.mark.parametrize(
    ("limit", "note"),
    [
        (
            "max_inotify_watches",
            "{root} is looked through every 0.2 s instead of watched: the system allows no more",
        ),
        ("max_inotify_instances", "Watching by looking every 0.2 s, because the system allows no more"),
    ],
)
def test_beyond_the_limits_of_the_kernel_it_polls_and_says_so(tmp_path: Path, limit: str, note: str) -> None:
    unshare = ["unshare", "--user", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("needs unshare (util-linux) and user namespaces, to set limits of its own")
    here = str(Path(__file__).parent)
    command = [*unshare, sys.executable, "-c", LIMITED, limit, str(tmp_path), here]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S * 2)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(note.format(root=tmp_path))
    assert "raise it with: sysctl fs.inotify.max_user_" in run.stdout


def test_a_consumer_that_fails_is_told_again(tmp_path: Path) -> None:
    calls: list[Changes] = []

    def refuse_twice(changes: Changes) -> None:
        calls.append(changes)
        if len(calls) < 3:
            raise RootUnreadable("the disk is being mended")

    notes: list[str] = []
    with Watcher([tmp_path], refuse_twice, poll_s=0.05, on_note=notes.append):
        eventually(lambda: len(calls) == 3)
    assert calls == [Changes(tmp_path, rescan=True)] * 3
    assert notes == ["the disk is being mended"]


def test_events_gather_while_the_consumer_is_busy(tmp_path: Path) -> None:
    mirror, busy, free = Mirror(), threading.Event(), threading.Event()

    def slow(changes: Changes) -> None:
        busy.set()
        free.wait()
        mirror(changes)

    with Watcher([tmp_path], slow):
        busy.wait()
        for at in range(100):
            write(tmp_path / f"{at % 7}/{at}.txt")
            time.sleep(0.005)
        free.set()
        agrees(mirror, tmp_path)


def test_it_stops_cleanly(tmp_path: Path, backend: Backend) -> None:
    before = threading.active_count()
    told: list[Changes] = []
    for _ in range(3):
        with Watcher([tmp_path], told.append, backend=backend):
            write(tmp_path / "a.txt")
    count = len(told)
    write(tmp_path / "b.txt")
    eventually(lambda: threading.active_count() == before)
    assert len(told) == count
    Watcher([tmp_path], told.append).close()


def test_watch_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    stop, mirror = threading.Event(), Mirror()
    thread = threading.Thread(target=watch, args=([tmp_path], mirror, stop))
    thread.start()
    write(tmp_path / "a.txt")
    agrees(mirror, tmp_path)
    stop.set()
    thread.join()
    assert mirror.known == fresh(tmp_path)


def test_shared_file_systems_are_told_from_local_ones(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "30 21 0:40 / /mnt/team\\040share rw shared:1 - cifs //server/x rw\n"
        "31 21 0:41 / /mnt/nas rw shared:1 master:2 - nfs4 server:/x rw\n"
        "32 31 8:2 / /mnt/nas/disk rw - xfs /dev/sdb1 rw\n"
        "33 21 0:42 / /mnt/far rw - fuse.sshfs me@there: rw\n"
        "34 21 0:43 / /mnt/usb rw - fuse.exfat /dev/sdc1 rw\n"
    )
    kinds = {
        path: remote_filesystem(path.encode(), str(table))
        for path in (
            "/home/me",
            "/mnt/team share/a",
            "/mnt/nas/b",
            "/mnt/nas/disk/c",
            "/mnt/far",
            "/mnt/usb/d",
        )
    }
    assert list(kinds.values()) == ["", "cifs", "nfs4", "", "fuse.sshfs", ""]
    assert remote_filesystem(b"/home", str(tmp_path / "missing")) == ""
