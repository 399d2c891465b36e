"""The statistics of letters, unpacked once for a user: the same answers as py3langid's, whatever lies in the cache."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

from localsearch.text import letters

PACKED = MODEL_DIR / MODEL_FILE
SAMPLES = (
    "Der Fluss führt im Frühjahr viel Wasser und tritt über die Ufer.",
    "La rivière déborde au printemps et inonde les prairies voisines.",
    "Floden svämmar över på våren och täcker ängarna i dalen.",
    "Řeka se na jaře rozvodňuje a zaplavuje okolní louky.",
    "Upė pavasarį patvinsta ir užlieja pievas slėnyje.",
    "Річка навесні розливається і затоплює луки в долині.",
    "نهر در بهار طغیان می‌کند و چمنزارها را فرا می‌گیرد.",
    "नदी वसंत में उफनती है और घाटी के मैदानों को भर देती है।",
    "THE RIVER FLOODS ITS BANKS IN SPRING",
    "x = 1; y = [2, 3]",
    "",
)


@pytest.fixture(scope="module")
def parts() -> letters.Parts:
    return letters.unpacked(PACKED)


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's folder for caches, empty; no model is loaded before or after."""
    folder = tmp_path / "caches" / "localsearch"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "caches" / name)
    letters._loaded.cache_clear()
    yield folder
    letters._loaded.cache_clear()


def answers() -> list[str]:
    return [letters.by_letters(sample) for sample in SAMPLES]


def anew() -> list[str]:
    """What another process would answer."""
    letters._loaded.cache_clear()
    return answers()


def kept(caches: Path) -> Path:
    (folder,) = caches.iterdir()
    return folder


def forbidden(packed: Path) -> letters.Parts:
    raise AssertionError("it was unpacked again")


def test_each_probability_is_that_of_the_library(parts: letters.Parts, tmp_path: Path) -> None:
    library = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    library.set_languages(letters.TOLD)
    letters.keep(parts, tmp_path / "kept")
    mapped = letters.mapped(tmp_path / "kept")
    assert mapped is not None
    for each in (parts, mapped):
        model = letters.identifier(each)
        for sample in SAMPLES:
            assert model.rank(sample) == library.rank(sample)


def test_it_is_unpacked_once_and_is_this_users_alone(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = answers()
    assert told[:6] == ["de", "fr", "sv", "cs", "lt", "uk"]
    assert stat.S_IMODE(kept(caches).stat().st_mode) == 0o700
    monkeypatch.setattr(letters, "unpacked", forbidden)
    assert anew() == told


@pytest.mark.parametrize("part", ["weights", "priors", "languages", "moves", "rows", "features"])
def test_what_is_not_whole_is_not_mapped(parts: letters.Parts, tmp_path: Path, part: str) -> None:
    letters.keep(parts, tmp_path / "kept")
    file = tmp_path / "kept" / f"{part}.npy"
    data = file.read_bytes()
    for harm in (b"", data[:-1], b"?" * len(data)):
        file.write_bytes(harm)
        assert letters.mapped(tmp_path / "kept") is None
    file.unlink()
    assert letters.mapped(tmp_path / "kept") is None
    file.write_bytes(data)
    assert letters.mapped(tmp_path / "kept") is not None


@pytest.mark.parametrize("part", ["moves", "rows", "features"])
def test_no_number_leads_out_of_the_automaton(parts: letters.Parts, tmp_path: Path, part: str) -> None:
    array = parts[part].copy()
    array[len(array) // 2] = 2**31 - 1
    letters.keep(parts | {part: array}, tmp_path / "kept")
    assert letters.mapped(tmp_path / "kept") is None


def test_what_is_not_whole_is_unpacked_again_and_kept(parts: letters.Parts, caches: Path) -> None:
    folder = letters._place(PACKED)
    letters.keep(parts, folder)
    (folder / "rows.npy").unlink()
    assert anew()[:2] == ["de", "fr"]
    assert letters.mapped(folder) is not None
    assert list(caches.iterdir()) == [folder]


def test_where_nothing_can_be_written_it_is_unpacked_each_time(caches: Path) -> None:
    caches.parent.mkdir()
    caches.write_bytes(b"a file where the folder would be")
    assert answers()[:2] == ["de", "fr"]
    assert anew()[:2] == ["de", "fr"]


def test_a_disk_that_is_full_leaves_no_part(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(letters.os, "fsync", full)
    assert answers()[:2] == ["de", "fr"]
    assert list(caches.iterdir()) == []


def test_two_that_unpack_at_once_leave_one(parts: letters.Parts, caches: Path) -> None:
    folder = letters._place(PACKED)
    letters.keep(parts, folder)
    letters.keep(parts, folder)
    assert list(caches.iterdir()) == [folder]
    assert letters.mapped(folder) is not None
