"""Choosing a model on the command line: told by indexing, built, compared, switched; and chosen by the texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden.tiny_bert import Tiny, make

from localsearch.cli import main
from localsearch.models import Card, ModelStore
from localsearch.settings import Settings

GERMAN = {
    "lizenz": "Der Antrag auf Erneuerung der Lizenz muss bis zum Ende des Monats bei der Behörde eingehen.",
    "hefe": "Wenn der Teig nicht aufgeht, war die Hefe zu alt oder das Wasser war zu heiß für sie.",
    "bäume": "Die Bäume werden im Winter geschnitten, damit sie im Frühling wieder kräftig austreiben können.",
}


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """German files; of two models of random weights that are here the English one is the settings'."""
    home, models = tmp_path / "home", tmp_path / "models"
    home.mkdir()
    (home / "settings.toml").write_text('[model]\nname = "english"\n')
    for name, languages, seed in (("english", ("en",), 0), ("many", ("de", "en"), 1)):
        make(tmp_path / name, Tiny(seed=seed))
        card = Card(name, languages=languages, max_tokens=40, layers=2)
        ModelStore(Settings(home=home, models=models), [card]).import_folder(tmp_path / name)
    monkeypatch.setenv("LOCALSEARCH_HOME", str(home))
    monkeypatch.setenv("LOCALSEARCH_MODELS", str(models))
    monkeypatch.setenv("LOCALSEARCH_OFFLINE", "1")
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in GERMAN.items():
        (folder / f"{name}.txt").write_text(text + "\n", "utf-8")
    return folder


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def test_from_indexing_to_the_better_model(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hint = (
        "many knows the languages of these texts better than the model in use: `localsearch models recommend`"
    )
    assert hint in told(capsys, "index", str(notes))
    assert hint in told(capsys, "status")
    assert "localsearch versions build --model many" in told(capsys, "models", "recommend")
    built = told(capsys, "versions", "build", "--model", "many")
    assert "2-many-int8 is ready. Compare it with the one in use: localsearch versions compare 1 2" in built
    assert built.endswith("Switch to it: localsearch versions activate 2")
    compared = told(capsys, "versions", "compare", "1", "2", "Hefe im Teig", "Bäume", "Lizenz", "Ende")
    assert "judged, nDCG@10 – –" in compared
    assert "(4 asked, 0 judged, 3 made from texts), by meaning alone" in compared
    told(capsys, "versions", "activate", "2")
    assert "better than the model in use" not in told(capsys, "index", str(notes))


def test_auto_embeds_with_the_model_that_knows_the_texts_and_says_so(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home" / "settings.toml").write_text('[model]\nname = "english"\nlanguages = "auto"\n')
    said = told(capsys, "index", str(notes))
    why = "english knows the language of 0% of the texts, many of 100%."
    assert f"{why} So many embeds them (model.languages = auto)." in said
    assert "3 documents in 3 chunks; 100% can be found by meaning" in said
    assert "1-many-int8 active" in told(capsys, "versions", "list")
    assert why not in told(capsys, "index", str(notes))


def test_auto_takes_no_model_that_nobody_wants_to_embed_with(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home" / "settings.toml").write_text('[model]\nname = "english"\nlanguages = "auto"\n')
    assert "0% can be found by meaning" in told(capsys, "index", "--no-embed", str(notes))
    assert "active" not in told(capsys, "versions", "list")
