"""What a program asks that has no meaning is refused in words that name it; a closed index says that it is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localsearch.engine import Engine
from localsearch.errors import LocalSearchError, NotFoundError, StorageError, UsageError
from localsearch.types import Record


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(tmp_path / "home") as engine:
        engine.add([Record("Bread and butter.", "a")])
        yield engine


Act = Callable[[Engine], Any]
WRONG: dict[str, tuple[Act, str]] = {
    "a mode that is none": (lambda e: e.search("bread", mode="foo"), "foo"),
    "a mode that is a number": (lambda e: e.search("bread", mode=5), "mode"),
    "a limit of 0": (lambda e: e.search("bread", limit=0), "limit is 0"),
    "a limit of -1": (lambda e: e.search("bread", limit=-1), "limit is -1"),
    "a limit in words": (lambda e: e.search("bread", limit="ten"), "limit is 'ten'"),
    "no limit": (lambda e: e.search("bread", limit=None), "limit is None"),
    "half a limit": (lambda e: e.search("bread", limit=1.5), "limit is 1.5"),
    "a limit that is true": (lambda e: e.search("bread", limit=True), "limit is True"),
    "an offset of -1": (lambda e: e.search("bread", offset=-1), "offset -1"),
    "an offset in words": (lambda e: e.search("bread", offset="x"), "offset is 'x'"),
    "a query that is a number": (lambda e: e.search(5), "query is 5"),
    "a query that is None": (lambda e: e.search(None), "query is None"),
    "a query of bytes": (lambda e: e.search(b"bread"), "query is b"),
    "an empty query": (lambda e: e.search(" "), "empty"),
    "a collection that is a number": (lambda e: e.search("bread", collection=5), "collection is 5"),
    "a collection that is not there": (lambda e: e.search("bread", collection="x"), "collection x"),
    "filters that are a number": (lambda e: e.search("bread", filters=5), "filter"),
    "a relevance in words": (lambda e: e.search("bread", min_relevance="x"), "min_relevance"),
    "a relevance that is no number": (
        lambda e: e.search("bread", min_relevance=float("nan")),
        "min_relevance",
    ),
    "a negative budget": (lambda e: e.search("bread", budget_ms=-5), "budget_ms"),
    "a budget in words": (lambda e: e.search("bread", budget_ms="x"), "budget_ms"),
    "like a number": (lambda e: e.search(like=5), "like is 5"),
    "like nothing": (lambda e: e.search(like=""), "empty"),
    "an empty id": (lambda e: e.add([Record("x", "")]), "record 0: An id"),
    "an id that is a number": (lambda e: e.add([Record("x", 5)]), "record 0: An id"),
    "an id of surrogates": (lambda e: e.add([Record("x", "a"), Record("x", "\ud800")]), "record 1: An id"),
    "a text that is None": (lambda e: e.add([Record(None, "x")]), "text is NoneType"),
    "a text of bytes": (lambda e: e.add([Record(b"x", "x")]), "text is bytes"),
    "an empty text": (lambda e: e.add([Record(" ", "x")]), "needs text"),
    "a title that is a number": (lambda e: e.add([Record("x", "y", title=5)]), "title is int"),
    "metadata that are a list": (lambda e: e.add([Record("x", "y", metadata=[1])]), "metadata is list"),
    "a text for records": (lambda e: e.add("abc"), "records is .abc."),
    "an object for a record": (lambda e: e.add([{"text": "x"}]), "dict is no Record"),
    "an empty collection": (lambda e: e.add([Record("x", "y")], collection=""), "collection"),
    "a collection of two lines": (lambda e: e.add([Record("x", "y")], collection="a\nb"), "collection"),
    "a folder into a collection of no name": (lambda e: e.index("/nowhere", collection=""), "collection"),
    "an empty path": (lambda e: e.index(""), "empty"),
    "a path that is a number": (lambda e: e.index(5), "paths is 5"),
    "no paths": (lambda e: e.index([]), "Nothing to index"),
    "a path with a NUL": (lambda e: e.index("a\0b"), "no path"),
    "an empty id to get": (lambda e: e.get(""), "no document ''"),
    "an empty id to delete": (lambda e: e.delete(""), "no document ''"),
    "nothing to purge": (lambda e: e.purge([]), "Nothing to purge"),
    "an empty id to purge": (lambda e: e.purge([""]), "empty"),
    "a judgement of no query": (lambda e: e.feedback("", "a", True), "query"),
    "a judgement of a number": (lambda e: e.feedback(5, "a", True), "query"),
    "the beginning of a number": (lambda e: e.suggest(5), "prefix is 5"),
    "a backup to nowhere": (lambda e: e.backup(""), "empty"),
    "an export to nowhere": (lambda e: e.export(""), "empty"),
    "an import from nowhere": (lambda e: e.import_file(""), "empty"),
    "one text to embed": (lambda e: e.embed("bread"), "texts is 'bread'"),
    "an empty text to embed": (lambda e: e.embed(["a", " "]), "Text 1 is empty"),
    "no text to embed": (lambda e: e.embed([None]), r"texts is \[None\]"),
    "a kind that is none": (lambda e: e.embed(["bread"], kind="passage"), "kind is 'passage'"),
    "why nothing": (lambda e: e.why(""), "empty"),
}


@pytest.mark.parametrize(("act", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_call_without_meaning_is_refused(engine: Engine, act: Act, words: str) -> None:
    with pytest.raises((UsageError, NotFoundError), match=words) as caught:
        act(engine)
    assert caught.value.hint
    assert engine.corpus.counts()[0] == 1
    assert [hit.id for hit in engine.search("bread", mode="lexical")] == ["a"]


def test_add_stores_all_or_none_and_add_valid_the_valid(engine: Engine) -> None:
    records = [Record("Milk.", "m"), Record("", "n"), Record("Honey.", "h")]
    with pytest.raises(UsageError, match="record 1"):
        engine.add(records)
    assert engine.corpus.counts()[0] == 1
    added = engine.add_valid(records)
    assert (added.ids, list(added.refused)) == (["m", "h"], [1])


def test_a_query_of_lone_surrogates_finds_what_it_can(engine: Engine) -> None:
    assert [hit.id for hit in engine.search("bread \ud800", mode="lexical")] == ["a"]


CLOSED: dict[str, Act] = {
    "search": lambda e: e.search("bread"),
    "search by words": lambda e: e.search("bread", mode="lexical"),
    "search like": lambda e: e.search(like="a"),
    "suggest": lambda e: e.suggest("b"),
    "add": lambda e: e.add([Record("x", "y")]),
    "add_valid": lambda e: e.add_valid([Record("x", "y")]),
    "get": lambda e: e.get("a"),
    "delete": lambda e: e.delete("a"),
    "status": lambda e: e.status(),
    "index": lambda e: e.index("/nowhere"),
    "embed_pending": lambda e: e.embed_pending(),
    "check": lambda e: e.check(),
    "feedback": lambda e: e.feedback("bread", "a", True),
    "purge": lambda e: e.purge(["a"]),
    "watch": lambda e: e.watch(),
    "start_background": lambda e: e.start_background(),
    "rebuild": lambda e: e.rebuild(),
    "trust": lambda e: e.trust(),
}


@pytest.mark.parametrize("act", CLOSED.values(), ids=CLOSED.keys())
def test_a_closed_index_says_so(tmp_path: Path, act: Act) -> None:
    with Engine.open(tmp_path / "home") as engine:
        engine.add([Record("Bread and butter.", "a")])
    with pytest.raises(StorageError, match="is closed"):
        act(engine)
    engine.close()


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("x")
    with pytest.raises(LocalSearchError, match="no folder"):
        Engine.open(tmp_path / "home")
