"""Plans hold against sums done by hand, and grow as they must."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest

from localsearch.cli.main import main
from localsearch.planning import Machine, plan
from localsearch.planning.plan import engine_memory, parts, primary_memory, reader_memory, reader_questions
from localsearch.settings import load


def test_ten_million_passages_by_hand() -> None:
    found = plan(10_000_000, 500, machine=Machine(64e9, 8))
    assert found.arrangement == "readers by copies"
    assert found.index.database == 10_000_000 * (997 + 662)
    assert found.index.words == 10_000_000 * 482
    assert found.index.graph == 10_000_000 * 796
    primary, readers = found.roles
    assert primary.memory == pytest.approx(355.9e6 + 10e6 * 1128 + 7 * 222.5e6 + 10e6 * 1936 + 200_000 * 3568)
    each = 355.9e6 + 10e6 * 1128  # 11.6 GB: 48 of 64 GB hold four
    assert (readers.processes, readers.memory) == (4, pytest.approx(4 * each))
    answered = 0.6 * 98.8 / 1.362**2  # of one reader, at a hundred times 100,000 passages
    assert found.reader_questions == pytest.approx(answered)
    assert readers.machines == math.ceil(math.ceil(500 / answered) / 4) + 1 == 5
    assert readers.disk == pytest.approx(4 * 10e6 * (2 * 1659 + 482 + 796))
    assert found.hours.vectors == pytest.approx(10e6 / (8 * 53.8) / 3600)


def test_few_questions_are_for_one_machine_and_more_for_readers() -> None:
    assert plan(250_000, 10).arrangement == "one machine"
    assert plan(250_000, 0).roles[0].machines == 1
    assert plan(250_000, 331).arrangement == "one machine"
    assert plan(250_000, 333).arrangement == "readers by copies"


def test_what_does_not_fit_a_machine_wants_an_engine_or_a_larger_one() -> None:
    small = plan(10_000_000, 10, machine=Machine(32e9, 8))
    assert small.arrangement == "an engine for vectors"
    needed = primary_memory(10_000_000, 384, 8) / 0.75
    assert any(f"machines of {needed / 1e9:,.0f} GB" in note for note in small.notes)
    assert plan(10_000_000, 10, machine=Machine(needed, 8)).arrangement == "one machine"
    assert plan(20_000_001, 10, machine=Machine(1e12, 8)).arrangement == "an engine for vectors"


def test_with_an_engine_a_copy_has_no_graph_and_the_engine_has_all_vectors() -> None:
    found = plan(50_000_000, 500)
    primary, readers, engine = found.roles
    assert readers.memory / readers.processes == pytest.approx(355.9e6 + 50e6 * (1128 - 796))
    assert primary.memory == pytest.approx(355.9e6 + 50e6 * (1128 - 796) + 7 * 222.5e6)
    assert primary.disk == pytest.approx(2 * (found.index.database + found.index.words))
    assert engine.machines == 3
    assert engine.machines * engine.memory == pytest.approx(50e6 * 2794)


@pytest.mark.parametrize("passages", [100_000_000, 1_000_000_000])
def test_from_a_hundred_million_on_words_must_be_divided_and_that_is_said(passages: int) -> None:
    found = plan(passages, 500)
    assert found.arrangement == "words divided too"
    said = " ".join(found.notes)
    for word in ("OpenSearch or Weaviate", "PostgreSQL", "divided"):
        assert word in said
    assert [one.name for one in found.roles] == ["engine: Milvus, its query nodes"]
    assert plan(99_999_999, 500).arrangement == "an engine for vectors"


def test_wider_vectors_cost_twelve_bits_a_component_here_and_thirty_two_in_the_engine() -> None:
    assert parts(1_000, 768).graph - parts(1_000, 384).graph == 1_000 * 576
    assert reader_memory(1_000, 768) - reader_memory(1_000, 384) == 1_000 * 576
    assert reader_memory(1_000, 768, graph=False) == reader_memory(1_000, 384, graph=False)
    assert engine_memory(1_000, 768) - engine_memory(1_000, 384) == 1_000 * 4 * 384


def test_nothing_shrinks_as_passages_grow() -> None:
    counts = [10**n for n in range(1, 10)]
    for less, more in pairwise(counts):
        assert primary_memory(less, 384, 8) < primary_memory(more, 384, 8)
        assert reader_questions(less) >= reader_questions(more) > 0


def test_settings_are_those_of_a_release_that_has_them(tmp_path: Path) -> None:
    for passages, queries in ((250_000, 10), (250_000, 5_000), (50_000_000, 5)):
        lines = [line.partition(": ")[2] for line in plan(passages, queries).settings]
        assert lines
        (tmp_path / "settings.toml").write_text("\n".join(lines) + "\n")
        assert load(tmp_path, environ={}).notes == ()
    told = plan(50_000_000, 5, engine_settings=True)
    assert 'all: vectors.backend = "milvus"' in told.settings
    assert not any("cannot hand" in note for note in told.notes)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("10M", 10_000_000), ("250k", 250_000), ("1B", 10**9), ("1.5m", 1_500_000), ("12,345", 12_345)],
)
def test_the_command_takes_letters_for_powers(
    typed: str, meant: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--home", str(tmp_path), "plan", "--passages", typed, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["passages"], told["queries"], told["dimensions"]) == (meant, 10, 384)
    assert told["machine"] == {"memory": 64e9, "cores": 8}
    assert {one["file"].partition("/")[0] for one in told["constants"]} == {"benchmarks"}


@pytest.mark.parametrize("typed", ["", "0", "-5", "10Q", "M", "nan", "1e30", "ten"])
def test_the_command_says_what_it_cannot_take(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", f"--passages={typed}"])
    assert ended.value.code == 2
    assert "--passages" in capsys.readouterr().err


def test_the_command_prints_machines_sizes_settings_and_notes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["plan", "--passages", "10M", "--queries", "500", "--machine-memory", "64G", "--cores", "8"]
    assert main(["--home", str(tmp_path), *words]) == 0
    told = capsys.readouterr().out
    assert "10,000,000 passages of 384 dimensions, 500 distinct questions a second" in told
    assert "readers by copies" in told
    assert "33.3 GB" in told
    assert "settings.toml of primary: server.workers = 8" in told
    assert "benchmarks/results" not in told
    assert main(["--home", str(tmp_path), *words, "-v"]) == 0
    assert "benchmarks/results/capacity/" in capsys.readouterr().out
