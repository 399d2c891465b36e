"""Walking: git's own answers for ignore files, real pipes and links, and a word for everything left out."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from localsearch.errors import ExtractionError, RootUnreadable
from localsearch.scan import (
    ScannedFile,
    ScanRules,
    content_hash,
    display,
    folders,
    head,
    is_within,
    path_of,
    raw_of,
    scan,
    scan_within,
    secret_head,
)
from localsearch.scan.ignore import translate

EVERYTHING = ScanRules(hidden=True, secrets=True, caches=True)


def tree(root: Path, *names: str, content: str = "text\n") -> Path:
    """Make files, and folders for names that end in a slash."""
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return root


def taken(root: Path, rules: ScanRules | None = None) -> list[str]:
    """The names of what is taken, relative to the root, sorted."""
    return sorted(os.path.relpath(found.path, root) for found in scan(root, rules) if found.skip is None)


def skips(root: Path, rules: ScanRules | None = None) -> dict[str, str]:
    """The rule by relative name of what is skipped."""
    return {os.path.relpath(found.path, root): found.skip.rule for found in scan(root, rules) if found.skip}


# -- names


@given(st.binary(min_size=1, max_size=40))
@example(b"caf\xe9.txt")
@example(rb"a\x41b")
@example(b"\\x\xff\\x5c\n")
@example("schön 東京.md".encode())
def test_every_name_can_be_shown_and_found_again(raw: bytes) -> None:
    shown = display(raw)
    assert raw_of(shown) == raw
    shown.encode("utf-8")
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)


def test_names_are_shown_as_they_are_when_they_are_text() -> None:
    assert display("schön 東京.md".encode()) == "schön 東京.md"
    assert display(b"caf\xe9.txt") == r"caf\xe9.txt"
    assert display(b"red\x1b[31m\n") == r"red\x1b[31m\x0a"
    assert display(rb"C:\temp\notes") == r"C:\temp\notes"


def test_a_name_that_is_not_utf8_is_walked(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    with open(raw, "w") as file:
        file.write("au lait")
    (found,) = scan(tmp_path)
    assert (found.raw, found.path) == (raw, f"{tmp_path}/caf\\xe9.txt")
    assert path_of(found.raw).read_text() == "au lait"


# -- ignore files, against git

NAMES = ["a", "b", "ab", "a.c", "b.c", "a b", "x.log", "ä", "[a]", "a*", " s", "t ", "!n", "#h", "a\\b"]
ATOMS = [
    *[
        "a",
        "b",
        "ab",
        "*",
        "**",
        "?",
        "a*",
        "*.c",
        "[ab]",
        "[!a]",
        "[^b]*",
        "[a-c].c",
        "[[:alpha:]]",
        "***",
        "\\*",
    ],
    *[
        "a?",
        "*b*",
        "*a*b",
        "[]a]",
        "[",
        "a[",
        "\\",
        "[[:foo:]]",
        "[a-]",
        "[\\]]",
        "[a/b]",
        "x.*",
        "ä",
        "?ä",
        "!n",
    ],
    *[
        "[[:space:]]s",
        "a\\ ",
        "a ",
        "**b",
        "[--b]",
        "[b-a]",
        "[a\\-c]",
        "[[:alpha]",
        "#h",
        "\\#h",
        "\\!n",
        "[:a]",
    ],
]
PATTERN = st.builds(
    lambda bang, slash, atoms, tail, end: bang + slash + "/".join(atoms) + tail + end,
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "", "", "/"]),
    st.lists(st.sampled_from(ATOMS), min_size=1, max_size=4),
    st.sampled_from(["", "", "/"]),
    st.sampled_from(["", "", "", " ", "\r", "\t"]),
)
PLACE = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)
PLACES = st.lists(PLACE, min_size=1, max_size=25)
IGNORES = st.dictionaries(
    st.lists(st.sampled_from(NAMES), max_size=2).map(tuple),
    st.lists(PATTERN, min_size=1, max_size=5),
    max_size=4,
)


@contextmanager
def random_tree(places: list[list[str]], ignores: dict[tuple[str, ...], list[str]]) -> Iterator[Path]:
    """A folder with these files and ignore files; a place that is taken already is left out."""
    root = Path(tempfile.mkdtemp())
    try:
        wanted = [(root.joinpath(*place), "x") for place in places]
        wanted += [
            (root.joinpath(*place, ".gitignore"), "\n".join(lines)) for place, lines in ignores.items()
        ]
        for path, text in wanted:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode())
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue
        yield root
    finally:
        shutil.rmtree(root)


def kept_by_git(root: Path) -> set[bytes]:
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    command = ["git", "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    return {os.fsencode(root) + b"/" + name for name in listed.split(b"\0") if name}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PLACES, IGNORES)
def test_ignore_files_mean_what_git_says(
    places: list[list[str]], ignores: dict[tuple[str, ...], list[str]]
) -> None:
    with random_tree(places, ignores) as root:
        ours = {found.raw for found in scan(root, EVERYTHING) if found.skip is None}
        assert ours == kept_by_git(root)


def test_a_hostile_pattern_cannot_hang_the_walk(tmp_path: Path) -> None:
    """A regular expression that tried every split of this name would not end in a lifetime."""
    tree(tmp_path, "a" * 250)
    (tmp_path / ".gitignore").write_text("*a" * 60 + "b\n" + "**/*a*a*a/" * 20 + "b\n")
    assert taken(tmp_path) == ["a" * 250]


def test_a_glob_becomes_a_regular_expression_over_bytes() -> None:
    regex = translate(b"a/**/*.[ch]")
    assert regex is not None
    assert regex.fullmatch(b"a/x.c")
    assert regex.fullmatch(b"a/b/c/x.h")
    assert not regex.fullmatch(b"a/b/x.py")
    assert translate(b"broken[") is None


def test_nested_ignore_files_and_negation(tmp_path: Path) -> None:
    tree(tmp_path, "a.log", "keep.log", "sub/a.log", "sub/b.log", "deep/er/a.log", "tmp/x", "sub/tmp")
    (tmp_path / ".gitignore").write_text("*.log\n!keep.log\n/tmp/\n")
    (tmp_path / "sub/.gitignore").write_text("!b.log\n")
    assert taken(tmp_path) == ["keep.log", "sub/b.log", "sub/tmp"]
    assert skips(tmp_path) == {
        ".gitignore": "hidden",
        "a.log": "ignored",
        "tmp": "ignored",
        "sub/.gitignore": "hidden",
        "sub/a.log": "ignored",
        "deep/er/a.log": "ignored",
    }


def test_the_reason_names_the_pattern_and_its_file(tmp_path: Path) -> None:
    tree(tmp_path, "drafts/one.md")
    (tmp_path / ".ignore").write_text("# my drafts\ndrafts/\n")
    (found,) = [found for found in scan(tmp_path) if found.folder]
    assert found.skip is not None
    assert found.skip.reason == f"matches drafts/ in {tmp_path}/.ignore"


def test_our_own_ignore_file_has_the_last_word_at_any_depth(tmp_path: Path) -> None:
    tree(tmp_path, "p/notes.txt", "p/trace.txt", "p/plan.txt")
    (tmp_path / ".localsearchignore").write_text("!notes.txt\n")
    (tmp_path / "p/.ignore").write_text("!trace.txt\n")
    (tmp_path / "p/.gitignore").write_text("*.txt\n")
    assert taken(tmp_path) == ["p/notes.txt", "p/trace.txt"]


def test_ignore_files_above_the_root_reach_into_it(tmp_path: Path) -> None:
    tree(tmp_path, ".git/", "src/a.o.txt", "src/b.txt", "src/c.txt")
    (tmp_path / ".gitignore").write_text("src/a*\n")
    (tmp_path / ".localsearchignore").write_text("/src/b.txt\n")
    assert taken(tmp_path / "src") == ["c.txt"]


def test_a_gitignore_outside_the_repository_does_not_reach_into_it(tmp_path: Path) -> None:
    tree(tmp_path, "repo/.git/", "repo/a.txt", "other/a.txt")
    (tmp_path / ".gitignore").write_text("a.txt\n")
    assert taken(tmp_path) == ["repo/a.txt"]
    assert taken(tmp_path / "repo") == ["a.txt"]


def test_ignore_files_can_be_left_unread(tmp_path: Path) -> None:
    tree(tmp_path, "a.txt")
    (tmp_path / ".gitignore").write_text("*\n")
    assert taken(tmp_path) == []
    assert taken(tmp_path, ScanRules(ignore_files=False)) == ["a.txt"]


def test_an_ignore_file_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    tree(tmp_path, "a.txt")
    os.mkfifo(tmp_path / ".gitignore")
    assert taken(tmp_path) == ["a.txt"]


# -- what is skipped by name


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        (".git/config", "vcs"),
        (".hg/store", "vcs"),
        ("node_modules/left/index.js", "cache"),
        ("__pycache__/a.txt", "cache"),
        ("pkg.egg-info/SOURCES.txt", "cache"),
        (".ssh/config", "secret"),
        (".gnupg/notes.txt", "secret"),
        (".password-store/bank.txt", "secret"),
        (".mozilla/profile.txt", "secret"),
        (".notes/a.txt", "hidden"),
    ],
)
def test_a_skipped_folder_is_told_once(tmp_path: Path, name: str, rule: str) -> None:
    tree(tmp_path, name, str(Path(name).parent / "second"), "kept.txt")
    assert skips(tmp_path) == {name.split("/")[0]: rule}
    assert taken(tmp_path) == ["kept.txt"]
    assert [found.folder for found in scan(tmp_path) if found.skip] == [True]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        (".env", "secret"),
        (".env.production", "secret"),
        (".env.example", "hidden"),
        ("id_ed25519", "secret"),
        ("id_ed25519.pub", None),
        ("vault.kdbx", "secret"),
        (".netrc", "secret"),
        (".bash_history", "secret"),
        ("store.jks", "secret"),
        (".hidden.md", "hidden"),
        ("libm.so.6", "binary"),
        ("libm.so", "binary"),
        ("film.MP4", "binary"),
        ("mod.pyc", "binary"),
        ("disk.iso", "binary"),
        ("notes.socket.md", None),
        ("report.pdf", None),
        ("scan.png", None),
        ("talk.key", None),
        ("build", None),
    ],
)
def test_files_are_judged_by_name(tmp_path: Path, name: str, rule: str | None) -> None:
    tree(tmp_path, name)
    assert skips(tmp_path) == ({name: rule} if rule else {})


def test_a_private_key_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    tree(tmp_path, "server.pem", "server.key", content="-----BEGIN RSA PRIVATE KEY-----\nMIIE\n")
    tree(tmp_path, "cert.pem", content="-----BEGIN CERTIFICATE-----\nMIID\n")
    assert skips(tmp_path) == {"server.pem": "secret", "server.key": "secret"}
    assert secret_head(b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl") is not None
    assert secret_head(b"How to read a PRIVATE KEY") is None


def test_secrets_hidden_files_and_caches_can_be_asked_for(tmp_path: Path) -> None:
    tree(tmp_path, ".env", ".ssh/config", "node_modules/a.js", ".notes/a.txt", ".git/config")
    assert taken(tmp_path, ScanRules(secrets=True, hidden=True)) == [".env", ".notes/a.txt", ".ssh/config"]
    assert taken(tmp_path, ScanRules(caches=True)) == ["node_modules/a.js"]


def test_an_ignore_file_can_bring_back_what_is_skipped_by_habit(tmp_path: Path) -> None:
    tree(tmp_path, ".github/a.yml", "node_modules/a.js", ".env", ".plan")
    (tmp_path / ".localsearchignore").write_text("!.github/\n!node_modules\n!.plan\n!.env\n")
    assert taken(tmp_path) == [".github/a.yml", ".plan", "node_modules/a.js"]
    assert skips(tmp_path)[".env"] == "secret"


def test_build_output_is_told_by_its_project(tmp_path: Path) -> None:
    tree(tmp_path, "app/package.json", "app/dist/a.js", "photos/dist/a.txt", "env/pyvenv.cfg", "env/lib/a.py")
    tree(tmp_path, "real/CACHEDIR.TAG", "real/a.txt", content="Signature: 8a477f597d28d172789f06886806bc55\n")
    tree(tmp_path, "fake/CACHEDIR.TAG", "fake/a.txt")
    assert skips(tmp_path) == {"app/dist": "cache", "env": "cache", "real": "cache"}
    assert "photos/dist/a.txt" in taken(tmp_path)
    assert "fake/a.txt" in taken(tmp_path)


def test_a_browser_profile_is_told_by_what_it_holds(tmp_path: Path) -> None:
    tree(tmp_path, "x8k2.default/key4.db", "x8k2.default/notes.txt", "chromium/README.txt")
    tree(tmp_path, "home/.config/chromium/Default/Bookmarks")
    assert skips(tmp_path, ScanRules(hidden=True)) == {
        "x8k2.default": "secret",
        "home/.config/chromium": "secret",
    }
    assert taken(tmp_path) == ["chromium/README.txt"]


def test_include_and_exclude(tmp_path: Path) -> None:
    tree(tmp_path, "a.md", "b.txt", "docs/c.txt", "docs/old/d.md", "old/e.md")
    assert taken(tmp_path, ScanRules(include=("*.md",))) == ["a.md", "docs/old/d.md", "old/e.md"]
    assert taken(tmp_path, ScanRules(include=("docs",))) == ["docs/c.txt", "docs/old/d.md"]
    rules = ScanRules(include=("*.md",), exclude=("old/",))
    assert taken(tmp_path, rules) == ["a.md"]
    assert skips(tmp_path, rules) == {
        "b.txt": "not-included",
        "docs/c.txt": "not-included",
        "docs/old": "excluded",
        "old": "excluded",
    }


def test_the_size_limit_is_inclusive(tmp_path: Path) -> None:
    tree(tmp_path, "ten", content="0123456789")
    tree(tmp_path, "eleven", content="0123456789A")
    assert skips(tmp_path, ScanRules(max_bytes=10)) == {"eleven": "too-large"}
    (found,) = [found for found in scan(tmp_path, ScanRules(max_bytes=10)) if found.skip]
    assert found.skip is not None
    assert found.skip.reason == "11 bytes, above the limit of 10"


def test_our_own_data_is_left_out_by_whatever_path_it_is_reached(tmp_path: Path) -> None:
    tree(tmp_path, "index/store.txt", "notes.txt")
    (tmp_path / "link").symlink_to(tmp_path / "index")
    assert skips(tmp_path, ScanRules(never=(tmp_path / "link",))) == {"index": "own-data", "link": "link"}


# -- what is no plain file


def test_links_are_told_and_not_followed(tmp_path: Path) -> None:
    tree(tmp_path, "in/a.txt", "in/sub/b.txt", "out/secret.txt")
    root = tmp_path / "in"
    (root / "again.txt").symlink_to("a.txt")
    (root / "folder").symlink_to("sub")
    (root / "up").symlink_to("..")
    (root / "away.txt").symlink_to(tmp_path / "out/secret.txt")
    (root / "nowhere").symlink_to("missing")
    (root / "loop").symlink_to("loop")
    assert taken(root) == ["a.txt", "sub/b.txt"]
    reasons = {Path(found.path).name: found.skip.reason for found in scan(root) if found.skip}
    assert reasons == {
        "again.txt": f"a link to {root}/a.txt, which is found under that name",
        "folder": f"a link to {root}/sub, which is found under that name",
        "up": f"a link that leads out of the folder, to {tmp_path}",
        "away.txt": f"a link that leads out of the folder, to {tmp_path}/out/secret.txt",
        "nowhere": "a link that leads nowhere",
        "loop": "a link that leads nowhere",
    }


def test_pipes_and_sockets_are_never_opened(tmp_path: Path) -> None:
    tree(tmp_path, "a.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "sock"))
        assert skips(tmp_path) == {"pipe.txt": "special", "sock": "special"}
    (found,) = scan(tmp_path / "pipe.txt")
    assert found.skip is not None
    assert found.skip.rule == "special"


@pytest.mark.parametrize("deep", ["inner", "inner/deeper", "inner/deeper/deepest"])
def test_a_folder_swapped_for_a_link_while_others_are_listed_is_not_listed(tmp_path: Path, deep: str) -> None:
    """Neither names nor the ignore files of the folder that it leads to are read."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    tree(tmp_path, "outside/private.txt", "root/a.txt", f"root/{deep}/b.txt")
    (outside / ".gitignore").write_text("*")
    walk = scan(root)
    next(walk)
    shutil.rmtree(root / deep)
    (root / deep).symlink_to(outside)
    found = list(walk)
    assert not [one.path for one in found if "private" in one.path or "b.txt" in one.path]
    assert {one.skip.rule for one in found if one.skip} <= {"unreadable", "link"}
    assert found


def test_a_root_swapped_for_a_link_while_it_is_walked_is_not_followed(tmp_path: Path) -> None:
    tree(tmp_path, "outside/inner/private.txt", "root/a.txt", "root/inner/b.txt")
    walk = scan(tmp_path / "root")
    first = next(walk)
    (tmp_path / "root").rename(tmp_path / "aside")
    (tmp_path / "root").symlink_to(tmp_path / "outside")
    found = [first]
    with pytest.raises(RootUnreadable, match="replaced"):
        found.extend(walk)
    assert not [one.path for one in found if "private" in one.path]


def test_a_descriptor_is_given_back(tmp_path: Path) -> None:
    tree(tmp_path, "a.txt", "b/c.txt")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        list(scan(tmp_path))
        next(scan(tmp_path))  # one that is not gone through
    assert len(os.listdir("/proc/self/fd")) == before


def test_files_that_vanish_during_the_walk_are_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "a.txt", "b.txt", "c.txt", "gone/d.txt")
    walk = scan(tmp_path)
    first = next(walk)
    (tmp_path / "b.txt").unlink()
    shutil.rmtree(tmp_path / "gone")
    # b.txt was seen when its folder was listed; whoever reads it finds it gone.
    assert [Path(found.path).name for found in [first, *walk]] == ["a.txt", "b.txt", "c.txt"]


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A folder of an ordinary user, as that user: root may read everything."""
    root = Path(tempfile.mkdtemp(dir="/tmp"))
    root_user = os.geteuid() == 0
    try:
        root.chmod(0o755)
        if root_user:
            os.chown(root, 65534, -1)
            os.seteuid(65534)
        yield root
    finally:
        if root_user:
            os.seteuid(0)
        subprocess.run(["chmod", "-R", "u+rwX", str(root)], check=True)
        shutil.rmtree(root)


def test_an_unreadable_folder_is_told() -> None:
    with unprivileged() as root:
        tree(root, "open/a.txt", "shut/b.txt")
        (root / "shut").chmod(0)
        (found,) = [found for found in scan(root) if found.skip]
        assert found.skip is not None
        assert (found.path, found.skip.rule, found.folder) == (f"{root}/shut", "unreadable", True)
        assert found.skip.reason == "the folder cannot be read: Permission denied"
        assert taken(root) == ["open/a.txt"]


def test_an_unreadable_root_or_file_is_an_error() -> None:
    with unprivileged() as root:
        tree(root, "shut/b.txt", "c.txt")
        (root / "shut").chmod(0)
        (root / "c.txt").chmod(0)
        with pytest.raises(RootUnreadable, match="cannot be read: Permission denied"):
            list(scan(root / "shut"))
        with pytest.raises(ExtractionError) as caught:
            content_hash(root / "c.txt")
        assert caught.value.data["rule"] == "unreadable"


# -- roots


def test_a_missing_root_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(RootUnreadable) as caught:
        list(scan(tmp_path / "missing"))
    assert caught.value.message == f"{tmp_path}/missing cannot be read: No such file or directory"
    assert caught.value.data["path"] == f"{tmp_path}/missing"


def test_an_empty_root_is_suspicious_only_when_it_held_files(tmp_path: Path) -> None:
    assert list(scan(tmp_path)) == []
    with pytest.raises(RootUnreadable, match="is empty, though files were indexed from it"):
        list(scan(tmp_path, indexed_before=True))


def test_a_root_that_is_replaced_during_the_walk_is_an_error(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a.txt", "b.txt")
    walk = scan(root)
    next(walk)
    root.rename(tmp_path / "moved")
    tree(root, "c.txt")
    with pytest.raises(RootUnreadable, match="was replaced while it was read"):
        list(walk)


def test_a_root_may_be_one_file_of_any_name(tmp_path: Path) -> None:
    tree(tmp_path, ".env", content="abc")
    (found,) = scan(tmp_path / ".env")
    state = (tmp_path / ".env").stat()
    assert found == ScannedFile(
        os.fsencode(tmp_path / ".env"), f"{tmp_path}/.env", 3, state.st_mtime_ns, state.st_ino, None
    )


def test_a_root_may_be_a_link_or_hidden(tmp_path: Path) -> None:
    tree(tmp_path, ".real/a.txt")
    (tmp_path / "notes").symlink_to(tmp_path / ".real")
    (found,) = scan(tmp_path / "notes")
    assert found.path == f"{tmp_path}/notes/a.txt"
    assert taken(tmp_path / ".real") == ["a.txt"]


def test_the_order_is_the_same_every_time(tmp_path: Path) -> None:
    tree(tmp_path, "b.txt", "a/z.txt", "a/b/c.txt", "c.txt", "a/a.txt")
    names = [os.path.relpath(found.path, tmp_path) for found in scan(tmp_path)]
    assert names == ["b.txt", "c.txt", "a/a.txt", "a/z.txt", "a/b/c.txt"]


# -- parts of a tree


def test_a_part_is_seen_as_the_whole_walk_sees_it(tmp_path: Path) -> None:
    tree(tmp_path, "a.log", "sub/x/b.txt", "sub/x/c.log", "node_modules/p/i.js", "sub/d.txt")
    (tmp_path / ".gitignore").write_text("*.log\n")
    paths = ["sub/x", "a.log", "node_modules/p/i.js", "node_modules/q", "missing/e", "sub/x/b.txt"]
    seen = {
        os.path.relpath(found.path, tmp_path): found.skip.rule if found.skip else ""
        for found in scan_within(tmp_path, [tmp_path / path for path in paths])
    }
    assert seen == {"sub/x/b.txt": "", "sub/x/c.log": "ignored", "a.log": "ignored", "node_modules": "cache"}


def test_a_part_outside_the_root_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not below"):
        list(scan_within(tmp_path / ".", [tmp_path.parent]))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PLACES, IGNORES, st.lists(PLACE, min_size=1, max_size=5))
def test_any_part_agrees_with_the_whole(
    places: list[list[str]], ignores: dict[tuple[str, ...], list[str]], parts: list[list[str]]
) -> None:
    with random_tree(places, ignores) as root:
        wanted = [os.fsencode(root.joinpath(*part)) for part in parts]
        whole = [
            found
            for found in scan(root)
            if any(
                is_within(found.raw, {raw}) or (found.folder and is_within(raw, {found.raw}))
                for raw in wanted
            )
        ]
        part = list(scan_within(root, [path_of(raw) for raw in wanted]))
        assert sorted(part, key=lambda found: found.raw) == sorted(whole, key=lambda found: found.raw)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PLACES, IGNORES)
def test_folders_are_those_that_are_not_skipped(
    places: list[list[str]], ignores: dict[tuple[str, ...], list[str]]
) -> None:
    with random_tree(places, ignores) as root:
        skipped = {found.raw for found in scan(root) if found.folder}
        every = [base for base, _, _ in os.walk(os.fsencode(root))]
        expected = {raw for raw in every if not is_within(raw, skipped)}
        assert set(folders(root)) == expected


def test_a_folder_is_given_before_it_is_listed(tmp_path: Path) -> None:
    tree(tmp_path, "a/b/")
    seen = []
    for raw in folders(tmp_path):
        seen.append(os.path.relpath(raw, os.fsencode(tmp_path)))
        if seen[-1] == b"a":
            tree(tmp_path, "a/late/")
    assert seen == [b".", b"a", b"a/b", b"a/late"]


# -- content


def test_the_hash_is_blake2b_of_the_bytes(tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "empty").touch()
    assert content_hash(tmp_path / "a") == hashlib.blake2b(data, digest_size=16).digest()
    assert content_hash(tmp_path / "empty").hex() == "cae66941d9efbd404e4d88758ea67670"
    assert head(tmp_path / "a", 10) == data[:10]


def test_only_plain_files_are_hashed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ExtractionError) as caught:
            content_hash(path)
        assert caught.value.data["rule"] == "special"
    (tmp_path / "link").symlink_to("pipe")
    with pytest.raises(ExtractionError) as caught:
        content_hash(tmp_path / "link")
    assert caught.value.data["rule"] == "unreadable"
    with pytest.raises(FileNotFoundError):
        content_hash(tmp_path / "missing")


def test_a_change_while_hashing_is_noticed(tmp_path: Path) -> None:
    """A writer appends all the time: sooner or later it does so between the two looks at the size."""
    path = tmp_path / "growing"
    path.write_bytes(b"\0" * 20_000_000)
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"x")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        with pytest.raises(ExtractionError) as caught:
            for _ in range(1000):
                content_hash(path)
    finally:
        stop.set()
        writer.join()
    assert caught.value.data["rule"] == "changed"
