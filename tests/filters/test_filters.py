"""The filter language against real SQLite tables and against the same filter evaluated in plain Python."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from filter_text import to_text
from hypothesis import given, settings
from hypothesis import strategies as st

from localsearch.errors import FilterError
from localsearch.filters import (
    And,
    Equals,
    Exists,
    Filter,
    Holds,
    Match,
    Not,
    Or,
    Range,
    asks_text,
    field_sql,
    from_json,
    parse_filter,
    parse_query,
    to_sql,
)
from localsearch.store.schema import MIGRATIONS

YEAR_2024 = datetime(2024, 1, 1, tzinfo=UTC)
YEAR_2025 = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """A document of the test database; the copies are further paths of the same content."""

    key: str = "k"
    collection: str = "default"
    type: str = "md"
    language: str = ""
    author: str = ""
    title: str = "Untitled"
    path: str | None = None
    size: int = 100
    created: float | None = None
    modified: float | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    copies: tuple[str, ...] = ()


COLUMNS = ("collection", "type", "language", "author", "title", "path", "size", "created", "modified")


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


class Documents:
    """A database with the project's own schema and these rows, numbered from 0."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self.db = sqlite3.connect(":memory:")
        for _, script in MIGRATIONS:
            self.db.executescript(script)
        self.insert(rows)

    def insert(self, rows: Sequence[Row]) -> None:
        for number, row in enumerate(rows):
            digest = number.to_bytes(16, "big")
            values = {name: getattr(row, name) for name in COLUMNS}
            values |= {"id": number, "key": f"{row.key}{number}", "content_hash": digest, "indexed": 0}
            values |= {"tags": as_json(row.tags), "metadata": as_json(row.metadata)}
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            self.db.execute(f"INSERT INTO documents ({names}) VALUES ({marks})", values)
            for path in row.copies:
                self.db.execute(
                    "INSERT INTO files (collection, raw, path, root, content_hash, state, seen)"
                    " VALUES (?, ?, ?, '/', ?, 'indexed', 0)",
                    (row.collection, f"{number}{path}".encode(), path, digest),
                )

    def found(self, tree: Filter | None) -> list[int]:
        clause, params = to_sql(tree)
        rows = self.db.execute(f"SELECT d.id FROM documents AS d WHERE {clause} ORDER BY d.id", params)
        return [row[0] for row in rows]

    def clear(self) -> None:
        self.db.execute("DELETE FROM documents")
        self.db.execute("DELETE FROM files")


# --- the query language


def test_every_part_of_a_query_is_taken_apart() -> None:
    query = parse_query(
        "yearly report type:pdf after:2024-01-01 before:2025 path:reports/ lang:de tag:x"
        ' author:"A B" size:>1mb -draft "exact phrase"'
    )
    assert query.words == "yearly report"
    assert query.text == "yearly report exact phrase"
    assert query.notes == (
        'Left out, as asked: what has draft. To search for such text instead, put it in quotation marks: "-draft".',
    )
    assert query.condition == And(
        (
            Match("type", ("pdf",)),
            Match("path", ("reports/",)),
            Match("language", ("de",)),
            Match("tags", ("x",)),
            Match("author", ("A B",)),
            Range("date", ">=", YEAR_2024),
            Range("date", "<", YEAR_2025),
            Range("size", ">", 1_000_000),
            Not(Holds("draft")),
            Holds("exact phrase", "phrase"),
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        "http://x",
        "see https://example.org/a?b=c now",
        "error: foo",
        "std::vector",
        "10:30",
        "at 10:30 sharp",
        "C:\\Users\\me",
        "a - b",
        "git commit --amend",
        "well-known 3:2 ratio :) :D",
        "x:",
        "foo::bar::baz",
        "5' tall",
    ],
)
def test_ordinary_text_stays_words(text: str) -> None:
    query = parse_query(text)
    assert (query.words, query.condition) == (text, None)


def test_a_name_that_no_document_has_stays_text_and_is_noted() -> None:
    query = parse_query("localhost:8080 project:alpha a.b:1", fields={"project", "a"})
    assert query.words == "localhost:8080"
    assert query.condition == And((Match("project", ("alpha",)), Match("a.b", ("1",))))
    assert query.notes == ("No document has a field localhost. localhost:8080 was searched as words.",)


def test_what_does_not_parse_is_searched_as_words_with_a_note() -> None:
    query = parse_query("after:soon size:>huge renewal")
    assert query.words == "after:soon size:>huge renewal"
    assert query.condition is None
    assert query.notes == (
        "soon is not a date. after:soon was searched as words.",
        "size:huge is not a number. size:>huge was searched as words.",
    )


def test_a_quotation_mark_without_partner_is_ignored_with_a_note() -> None:
    query = parse_query('the "open door')
    assert (query.words, query.condition) == ("the open door", None)
    assert query.notes == ("A quotation mark has no partner and was ignored.",)


def test_typographic_quotes_make_phrases() -> None:
    query = parse_query("“exact phrase” „noch eine“")
    assert query.condition == And((Holds("exact phrase", "phrase"), Holds("noch eine", "phrase")))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("type:pdf,docx", Match("type", ("pdf", "docx"))),
        ("type:pdf type:docx", Match("type", ("pdf", "docx"))),
        ("-type:pdf", Not(Match("type", ("pdf",)))),
        ("-type:pdf -type:docx", Not(Match("type", ("pdf", "docx")))),
        ("Type:pdf", Match("type", ("pdf",))),
        ("project:alpha", Match("project", ("alpha",))),
        ("Project:alpha", Match("Project", ("alpha",))),
        ('author:"A B","C, D"', Match("author", ("A B", "C, D"))),
        ('title:"say \\"hi\\""', Match("title", ('say "hi"',))),
        ("author:*", Exists("author")),
        ("-author:*", Not(Exists("author"))),
        ("size:>=2kib", Range("size", ">=", 2048)),
        ("size:1.5mb", Equals("size", (1_500_000,))),
        ("size:1mb..2mb", And((Range("size", ">=", 1_000_000), Range("size", "<=", 2_000_000)))),
        ("year:2024", Equals("year", (2024,))),
        ("date:2024", And((Range("date", ">=", YEAR_2024), Range("date", "<", YEAR_2025)))),
        ("modified:>2023", Range("modified", ">=", YEAR_2024)),
        ("modified:<=2024-12", Range("modified", "<", YEAR_2025)),
        ("created:2024..2024", And((Range("created", ">=", YEAR_2024), Range("created", "<", YEAR_2025)))),
        ("priority:>3", Range("priority", ">", 3)),
        ("due:<2025-01-01", Range("due", "<", YEAR_2025)),
        ("due:<2025-01-01T01:00+01:00", Range("due", "<", YEAR_2025)),
        ("name:>=bob", Range("name", ">=", "bob")),
        ("n:=5", Equals("n", (5,))),
        ('n:="5",true,x', Equals("n", ("5", True, "x"))),
        ("url:http", Match("url", ("http",))),
        ("path:C:\\Users\\me", Match("path", ("C:/Users/me",))),
    ],
)
def test_clauses(text: str, tree: Filter) -> None:
    assert parse_query(text) == parse_query(
        text, fields={"project", "Project", "priority", "due", "name", "n", "url"}
    )
    assert parse_query(text).condition == tree
    assert parse_query(text).words == ""
    assert parse_filter(text) == tree


def test_days_ago_count_back_from_today() -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    week = parse_filter("after:7d")
    assert isinstance(week, Range)
    assert isinstance(week.value, datetime)
    assert (today - week.value).days in (6, 7)


def test_a_filter_expression_joins_with_and_or_not_and_parentheses() -> None:
    tree = parse_filter("(type:pdf OR lang:de) AND NOT tag:old -size:>5")
    assert tree == And(
        (
            Or((Match("type", ("pdf",)), Match("language", ("de",)))),
            Not(Match("tags", ("old",))),
            Not(Range("size", ">", 5)),
        )
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "hello is no filter clause."),
        ('type:pdf "a phrase"', '"a phrase" is no filter clause.'),
        ("(type:pdf", "A parenthesis is not closed."),
        ("type:pdf)", "A closing parenthesis has no partner."),
        ("()", "There is nothing between the parentheses."),
        ("type:pdf OR", "OR needs a clause on both sides."),
        ("AND type:pdf", "AND needs a clause on both sides."),
        ("NOT", "NOT needs a clause after it."),
        ("size:>big", "size:big is not a number."),
        ("after:2024-13", "2024-13 is not a date."),
        ("tag:>5", "tags has no order, so > means nothing."),
        ("path:*", None),
        ("path:**/", "path: needs a folder or file name."),
        ("size:>1,2", "size:1,2 compares with several values."),
        ("(" * 40 + "type:a" + ")" * 40, "A filter may be nested at most 16 deep."),
        (" ".join(f"f{n}:1" for n in range(300)), "A filter may have at most 200 clauses."),
        ("n:" + "x" * 5000, "A value of n is longer than 4096 characters."),
    ],
)
def test_a_filter_expression_that_has_no_meaning_says_so(text: str, message: str | None) -> None:
    if message is None:
        assert parse_filter(text) == Exists("path")
        return
    with pytest.raises(FilterError) as error:
        parse_filter(text)
    assert error.value.message == message
    assert error.value.hint


def test_a_query_with_too_many_clauses_is_searched_as_words() -> None:
    text = " ".join(f"f{n}:1" for n in range(300))
    query = parse_query(text)
    assert (query.words, query.condition) == (text, None)
    assert query.notes == ("A filter may have at most 200 clauses. Searched as words.",)


@pytest.mark.parametrize(
    "text",
    [
        'a:"' * 30_000,
        '"\\' * 50_000,
        "a:" * 50_000,
        "-" * 100_000,
        '"a" ' * 25_000,
        "(" * 100_000,
        " ".join(f"-{n}:x f{n}:" for n in range(10_000)),
    ],
)
def test_long_hostile_queries_are_parsed_in_linear_time(text: str) -> None:
    assert parse_query(text).condition is None


def test_a_field_listed_ten_thousand_times_is_one_clause() -> None:
    query = parse_query(" ".join(f"a.b:x{n}" for n in range(10_000)))
    assert query.condition == Match("a.b", tuple(f"x{n}" for n in range(10_000)))


@given(st.text(max_size=200))
@settings(max_examples=300)
def test_any_query_parses(text: str) -> None:
    query = parse_query(text)
    clause, params = to_sql(None if asks_text(query.condition) else query.condition)
    EMPTY.db.execute(f"SELECT 1 FROM documents AS d WHERE {clause}", params).fetchall()


EMPTY = Documents()


# --- JSON


@pytest.mark.parametrize("value", [None, {}])
def test_null_and_empty_are_no_filter(value: object) -> None:
    assert from_json(value) is None
    assert to_sql(from_json(value)) == ("1", [])


@pytest.mark.parametrize(
    ("value", "tree"),
    [
        ({"category": "x"}, Equals("category", ("x",))),
        ({"category": ["x", "y"]}, Equals("category", ("x", "y"))),
        ({"n": {"$in": [1, 2]}}, Equals("n", (1, 2))),
        ({"n": {"$nin": [1, 2]}}, Not(Equals("n", (1, 2)))),
        ({"n": {"$gte": 1, "$lt": 5.5}}, And((Range("n", ">=", 1), Range("n", "<", 5.5)))),
        ({"n": {"$gt": 1, "$lte": 5}}, And((Range("n", ">", 1), Range("n", "<=", 5)))),
        ({"n": {"$ne": True}}, Not(Equals("n", (True,)))),
        ({"n": {"$eq": "x"}}, Equals("n", ("x",))),
        ({"n": None}, Not(Exists("n"))),
        ({"n": {"$ne": None}}, Exists("n")),
        ({"n": {"$in": [1, None]}}, Or((Equals("n", (1,)), Not(Exists("n"))))),
        ({"n": {"$exists": False}}, Not(Exists("n"))),
        ({"a": {"b": 1}}, Equals("a.b", (1,))),
        ({"a": {"b": {"$gt": 1}}}, Range("a.b", ">", 1)),
        ({"tags": {"$contains": "x"}}, Equals("tags", ("x",))),
        ({"author": {"$contains": "x"}}, Match("author", ("x",))),
        ({"n": {"$not": {"$gt": 1}}}, Not(Range("n", ">", 1))),
        ({"$not": {"n": 1}}, Not(Equals("n", (1,)))),
        ({"$and": [{"a": 1}, {"b": 2}]}, And((Equals("a", (1,)), Equals("b", (2,))))),
        ({"$or": [{"a": 1}, {"b": 2}]}, Or((Equals("a", (1,)), Equals("b", (2,))))),
        ({"$or": [{"a": 1}, {"a": 2}]}, Equals("a", (1, 2))),
        ({"modified": {"$gte": "2024"}}, Range("modified", ">=", YEAR_2024)),
        ({"due": {"$lt": "2025-01-01"}}, Range("due", "<", YEAR_2025)),
        ({"after": "2024"}, Range("date", ">=", YEAR_2024)),
        ({"path": "reports/"}, Match("path", ("reports/",))),
        ({"n": {"$in": []}}, Equals("n", ())),
        ({"n": 2**70}, Equals("n", (float(2**70),))),
    ],
)
def test_json_filters(value: object, tree: Filter) -> None:
    assert from_json(value) == tree


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "A filter is an object, not []."),
        ("type:pdf", 'A filter is an object, not "type:pdf".'),
        ({"n": {"$gtee": 1}}, '"$gtee" is no filter operator.'),
        ({"$nor": []}, '"$nor" is no filter operator.'),
        ({"$or": []}, "$or takes a list of filters, not []."),
        ({"$or": [{}]}, "$or has an empty filter in it."),
        ({"$and": {"a": 1}}, '$and takes a list of filters, not {"a": 1}.'),
        ({"n": {"$in": 5}}, "$in takes a list, not 5."),
        ({"n": {"$exists": 1}}, "$exists takes true or false, not 1."),
        ({"n": [[1]]}, "n cannot be compared with [1]."),
        ({"n": float("nan")}, "n cannot be compared with NaN."),
        ({"n": {"$gt": True}}, "n cannot be > true."),
        ({"n": {"$gt": None}}, "n cannot be compared with null."),
        ({"type": {"$gt": 5}}, "type is text and cannot be > 5."),
        ({"modified": {"$gt": "soon"}}, "soon is not a date."),
        ({'a"b': 1}, '"a\\"b" cannot be filtered on.'),
        ({"n": "a\0b"}, "A value of n is not valid text."),
        ({"n": "\ud800"}, "A value of n is not valid text."),
        ({"n": list(range(10_001))}, "A filter on n lists 10001 values; at most 10000 are allowed."),
        ({1: 1}, "A field name is text, not 1."),
    ],
)
def test_a_json_filter_that_has_no_meaning_says_so_and_what_to_do(value: object, message: str) -> None:
    with pytest.raises(FilterError) as error:
        from_json(value)
    assert error.value.message == message
    assert error.value.hint


def test_a_mistyped_operator_is_suggested() -> None:
    with pytest.raises(FilterError) as error:
        from_json({"n": {"$gtee": 1}})
    assert error.value.hint.startswith("Did you mean $gte?")


@pytest.mark.parametrize("shape", ["$and", "$not", "field"])
def test_json_nested_too_deep_is_refused(shape: str) -> None:
    value: Any = {"n": 1}
    for _ in range(50):
        value = (
            {"$and": [value, {"m": 1}]}
            if shape == "$and"
            else {"$not": value}
            if shape == "$not"
            else {"n": value}
        )
    with pytest.raises(FilterError, match="at most 16 deep"):
        from_json(value)


# --- SQL on real tables


ROWS = [
    Row(path="/home/u/reports/2024/a.pdf", type="pdf", size=5, author="Ada Byron, B. Two", tags=("X", "y")),
    Row(path="/home/u/reports-old/b.md", size=5_000_000, language="de", copies=("/srv/shared/c.md",)),
    Row(metadata={"project": "Alpha", "n": 5, "a": {"b": [1, "x"]}, "ok": True, "due": "2024-05-03"}),
    Row(metadata={"project": ["alpha", "beta"], "n": "5", "size": 3, "type": "note", "a.b": 7}),
    Row(modified=YEAR_2024.timestamp(), created=0.0, title="Étude ÜBER 100%"),
    Row(
        modified=YEAR_2024.timestamp() - 1,
        metadata={"date": "2020-02-03T04:05:06+02:00", "author": ["Cy", "Di"]},
    ),
    Row(path="D:\\work\\100%_done\\notes.txt", metadata={"none": None, "empty": "", "nested": {"x": 1}}),
]


@pytest.fixture(scope="module")
def documents() -> Iterator[Documents]:
    made = Documents(ROWS)
    made.db.execute("UPDATE documents SET indexed = ?", (YEAR_2025.timestamp(),))
    yield made
    made.db.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type:PDF", [0]),
        ("type:note", [3]),
        ("-type:md", [0]),
        ("path:reports/", [0]),
        ("path:reports*/", [0, 1]),
        ("path:/home/u/reports", [0]),
        ("path:/home/u/", [0, 1]),
        ("path:home/u", [0, 1]),
        ("path:/srv/shared/", [1]),
        ("path:c.md", [1]),
        ("path:*.md", [1]),
        ("path:b?md", [1]),
        ("path:/reports", []),
        ("path:d:\\work", [6]),
        ("path:100%_done", [6]),
        ("path:100_done", []),
        ("path:*", [0, 1, 6]),
        ("lang:de", [1]),
        ("tag:x", [0]),
        ("tag:x,z", [0]),
        ("tag:=x", []),
        ("tag:=X", [0]),
        ("author:byron", [0]),
        ("author:di", [5]),
        ('author:="Ada Byron, B. Two"', [0]),
        ("author:=Cy", [5]),
        ("author:*", [0, 5]),
        ("title:étude", [4]),
        ("title:über", [4]),
        ("project:alpha", [2, 3]),
        ("project:=alpha", [3]),
        ("-project:alpha", [0, 1, 4, 5, 6]),
        ("n:5", [2, 3]),
        ("n:=5", [2]),
        ('n:="5"', [3]),
        ("n:>4", [2]),
        ("-n:>4", [0, 1, 3, 4, 5, 6]),
        ("a.b:1", [2]),
        ("a.b:X", [2]),
        ("a.b:7", [3]),
        ("ok:true", [2]),
        ("ok:=true", [2]),
        ("ok:1", []),
        ("ok:=1", []),
        ("size:<4", [3]),
        ("size:3", [3]),
        ("size:>1mb", [1]),
        ("due:>2024-05-02", [2]),
        ("due:>2024-05-03", []),
        ("due:<2024-06", [2]),
        ("after:2024", [4]),
        ("before:2024", [5]),
        ("date:2020-02-03", [5]),
        ("modified:2023-12-31", [5]),
        ("created:1970", [4]),
        ("year:2024", [4]),
        ("year:2020", [5]),
        ("year:2020..2024", [4, 5]),
        ("indexed:2025", [0, 1, 2, 3, 4, 5, 6]),
        ("indexed:<2025", []),
        ("date:*", [4, 5]),
        ("none:*", []),
        ("empty:*", []),
        ("nested:*", [6]),
        ("nested.x:1", [6]),
        ("nested:1", []),
        ("tags:*", [0]),
        ("id:k3", [3]),
        ("collection:default", [0, 1, 2, 3, 4, 5, 6]),
        ("collection:other", []),
    ],
)
def test_sql_finds(documents: Documents, text: str, expected: list[int]) -> None:
    assert documents.found(parse_filter(text)) == expected


def test_a_date_or_number_is_shown_as_it_is_compared(documents: Documents) -> None:
    sql, params = field_sql("year")
    years = documents.db.execute(f"SELECT {sql} FROM documents AS d ORDER BY d.id", params).fetchall()
    assert [year for (year,) in years] == [None, None, None, None, 2024, 2020, None]


def test_a_copy_in_another_collection_does_not_lend_its_path() -> None:
    documents = Documents([Row(path="/a/x.md")])
    documents.db.execute(
        "INSERT INTO files (collection, raw, path, root, content_hash, state, seen)"
        " VALUES ('other', x'01', '/b/x.md', '/', ?, 'indexed', 0)",
        ((0).to_bytes(16, "big"),),
    )
    assert documents.found(parse_filter("path:/b")) == []


def test_a_row_whose_metadata_is_no_json_fails_no_search() -> None:
    documents = Documents([Row(), Row(metadata={"n": 1})])
    documents.db.execute("""UPDATE documents SET metadata = '{"n": NaN, "date": ' WHERE id = 0""")
    for text in ("n:1", "n:>0", "n:*", "date:2024", "n:=1 OR date:>2020"):
        assert documents.found(parse_filter(text)) in ([1], [])
    assert documents.found(parse_filter("n:1")) == [1]
    assert documents.found(parse_filter("-n:1")) == [0]


HOSTILE = [
    "' OR 1=1 --",
    '"); DROP TABLE documents; --',
    "%",
    "_",
    "\\",
    "*'",
    "$.a",
    "]",
    "é\u202e",
    "x' UNION SELECT 1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_and_no_name_reaches_the_sql_text(text: str) -> None:
    documents = Documents([Row(metadata={"n": text, text: "v"})])
    for name in ("n", "type", "author", "tags", "title", "id"):
        clause, params = to_sql(from_json({name: text}))
        assert text not in clause.replace("\\'", "") or text in "%_\\]"
        assert text in json.dumps(params, ensure_ascii=False) or text in "\\" or text in params
    assert documents.found(from_json({"n": text})) == [0]
    assert documents.found(from_json({"n": text + "x"})) == []
    if '"' not in text and "\\" not in text and not text.startswith("$"):
        assert text not in to_sql(from_json({text: "v"}))[0] or text in "%_]"
        assert documents.found(from_json({text: "v"})) == [0]
        assert documents.found(from_json({text: "w"})) == []
    assert documents.db.execute("SELECT count(*) FROM documents").fetchone() == (1,)


@pytest.mark.parametrize("text", ["Протокол", "протокол", "ПРОТОКОЛ", "ÉTÉ", "été"])
def test_case_of_names_and_paths_is_ignored_in_every_script(text: str) -> None:
    paths = ("/a/Протокол Été/Протокол Été.md", "/b/ПРОТОКОЛ ÉTÉ.md", "/a/other.md")
    documents = Documents([Row(path=path) for path in paths])
    assert documents.found(parse_filter(f"name:{text}")) == [0, 1]
    assert documents.found(parse_filter(f"path:/a/*{text}*")) == [0]


def test_the_largest_filter_allowed_runs() -> None:
    documents = Documents(ROWS)
    parts = [{"size": {"$gt": n}, "path": f"a*b*c*d*e*f*g*h*{n}", "date": {"$lt": "2024"}} for n in range(50)]
    assert documents.found(from_json({"$or": parts})) == []
    assert documents.found(from_json({"n": list(range(10_000))})) == [2]


# --- against plain Python


NAMES = ["project", "n", "a.b", "due", "flag", "größe", "my field", "list"]
TEXTS = [
    "alpha",
    "Alpha",
    "beta",
    "5",
    "x",
    "",
    "true",
    "Über",
    "ÜBER",
    "2024-05-03",
    "a,b",
    'q"q',
    "*",
    ">5",
    "[]",
    "a\\b",
]
NUMBERS = [0, 1, 5, -3, 2.5, 5.0, 1e20, 7_000_000]
DATES = [
    "2024",
    "2024-05",
    "2024-05-03",
    "2024-05-03T10:00:00",
    "2024-05-03T12:00:00+02:00",
    "2023-12-31 23:59:59",
]
scalars = st.one_of(st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.booleans())
values = st.one_of(scalars, st.sampled_from(DATES), st.none(), st.lists(scalars, max_size=3))
paths = st.sampled_from(
    ["/home/u/reports/a.pdf", "/home/u/notes.md", "C:\\Docs\\x.TXT", "/srv/100%/b_c.md", "/a/re/ports"]
)
patterns = st.sampled_from(
    [
        "reports/",
        "/home/u",
        "u",
        "*.md",
        "a.pdf",
        "C:\\Docs",
        "b?c.md",
        "/",
        "100%",
        "re*",
        "/home/*",
        "RE/PORTS",
        "U/notes*",
    ]
)

rows = st.builds(
    Row,
    type=st.sampled_from(["pdf", "md", "txt"]),
    language=st.sampled_from(["", "de", "en"]),
    author=st.sampled_from(["", "Alpha Beta", "ÜBER", "x"]),
    title=st.sampled_from(["Alpha", "beta 5", "x"]),
    path=st.one_of(st.none(), paths),
    size=st.sampled_from([0, 5, 7_000_000]),
    created=st.sampled_from([None, 0.0, 1714734000.0]),
    modified=st.sampled_from([None, 1704067199.5, 1704067200.0, 1714730400.0]),
    tags=st.lists(st.sampled_from(TEXTS[:6]), max_size=2).map(tuple),
    metadata=st.dictionaries(
        st.sampled_from(["project", "n", "due", "flag", "größe", "my field", "list"]), values, max_size=5
    ).flatmap(
        lambda base: st.fixed_dictionaries(
            {},
            optional={
                "a": st.one_of(values, st.dictionaries(st.just("b"), values)),
                "a.b": values,
                "size": values,
                "date": values,
                "tags": values,
                "author": values,
                "type": values,
                "year": values,
            },
        ).map(lambda extra: base | extra)
    ),
    copies=st.lists(paths, max_size=2, unique=True).map(tuple),
)


def operators(value: st.SearchStrategy[Any], ordered: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        value,
        st.none(),
        st.fixed_dictionaries({"$in": st.lists(value, max_size=3)}),
        st.fixed_dictionaries({"$nin": st.lists(st.one_of(value, st.none()), max_size=3)}),
        st.fixed_dictionaries({"$ne": value}),
        st.fixed_dictionaries({"$exists": st.booleans()}),
        st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), ordered, min_size=1, max_size=2),
    )


texts, numbers, dates = st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.sampled_from(DATES)
leaves = st.one_of(
    st.tuples(st.sampled_from(NAMES), operators(scalars, st.one_of(texts, numbers, dates))),
    st.tuples(st.sampled_from(["type", "language", "title", "author"]), operators(texts, texts)),
    st.tuples(st.just("tags"), st.one_of(scalars, st.fixed_dictionaries({"$contains": scalars}))),
    st.tuples(st.sampled_from(["size", "year"]), operators(scalars, numbers)),
    st.tuples(st.sampled_from(["date", "created", "modified"]), operators(st.one_of(dates, numbers), dates)),
    st.tuples(st.just("path"), patterns),
    st.tuples(st.sampled_from(["after", "before"]), dates),
)
objects = st.recursive(
    leaves.map(lambda pair: {pair[0]: pair[1]}),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=6,
)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


typed = st.one_of(texts.map(quoted), st.sampled_from(["alpha", "5", "true", "über", "2.5", "x,5", '"a,b",x']))
clauses = st.one_of(
    st.tuples(
        st.sampled_from(["project", "n", "a.b", "flag", "größe", "type", "tag", "title", "author", "lang"]),
        typed,
    ),
    st.tuples(
        st.sampled_from(["n", "size", "year"]),
        st.sampled_from(["5", ">4", "<=5", "1..6", ">=7mb", "*", "5,0"]),
    ),
    st.tuples(
        st.sampled_from(["date", "modified", "created", "due"]),
        st.sampled_from(DATES[:4]).map(lambda d: f">{d}"),
    ),
    st.tuples(
        st.sampled_from(["date", "modified"]),
        st.sampled_from(["2024", "2024-05", "2023..2024", "2024,1970", "*"]),
    ),
    st.tuples(st.just("path"), patterns.map(quoted)),
    st.tuples(
        st.sampled_from(["project", "n", "list"]), st.sampled_from(["=5", '="5"', "=true,x", "=[]", "=alpha"])
    ),
).filter(lambda pair: not (pair[0] in ("n", "year") and pair[1].endswith("mb")))
expressions = st.recursive(
    clauses.map(lambda pair: f"{pair[0]}:{pair[1]}"),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: "(" + " ".join(parts) + ")"),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: "(" + " OR ".join(parts) + ")"),
        inner.map(lambda part: "-" + part if part[0] != "-" else part),
    ),
    max_leaves=5,
)


@given(st.lists(rows, min_size=1, max_size=6), objects)
@settings(max_examples=300, deadline=None)
def test_json_filters_find_what_plain_python_finds(rows: list[Row], value: Any) -> None:
    agree(rows, from_json(value))


@given(st.lists(rows, min_size=1, max_size=6), expressions)
@settings(max_examples=300, deadline=None)
def test_typed_filters_find_what_plain_python_finds(rows: list[Row], text: str) -> None:
    agree(rows, parse_filter(text))


SHARED = Documents()


def agree(rows: list[Row], tree: Filter | None) -> None:
    SHARED.clear()
    SHARED.insert(rows)
    assert tree is not None
    expected = [number for number, row in enumerate(rows) if holds(tree, row, number)]
    assert SHARED.found(tree) == expected
    assert SHARED.found(parse_filter(to_text(tree))) == expected


def shown(tree: object) -> str:
    """A tree told apart to the type of each value, but that 5.0 and 5 are one number."""
    return re.sub(r"(?<=\d)\.0(?=[,)\]])", "", repr(tree))


@given(objects)
@settings(max_examples=300, deadline=None)
def test_a_json_filter_written_as_text_reads_back_the_same(value: Any) -> None:
    tree = from_json(value)
    assert shown(parse_filter(to_text(tree))) == shown(tree)


@given(expressions)
@settings(max_examples=300, deadline=None)
def test_a_typed_filter_written_as_text_reads_back_the_same(text: str) -> None:
    tree = parse_filter(text)
    assert shown(parse_filter(to_text(tree))) == shown(tree)


# The same meaning in plain Python: written from the documentation of the language, not from the SQL.

KEYS = {"language": ["language", "lang"], "author": ["author", "authors"], "tags": ["tags", "tag"]}
OWN = ("type", "language", "title", "author", "collection")


def holds(tree: Filter, row: Row, number: int) -> bool:
    if isinstance(tree, And):
        return all(holds(part, row, number) for part in tree.parts)
    if isinstance(tree, Or):
        return any(holds(part, row, number) for part in tree.parts)
    if isinstance(tree, Not):
        return not holds(tree.part, row, number)
    assert not isinstance(tree, Holds)
    name = tree.field
    if name == "path" and not isinstance(tree, Exists):
        assert isinstance(tree, Match)
        files = [path for path in (row.path, *row.copies) if path is not None]
        return any(in_folder(path, pattern) for path in files for pattern in tree.values)
    if name in ("size", "year", "date", "created", "modified"):
        return quantity_holds(tree, row)
    found = [value for key in KEYS.get(name, [name]) for value in in_metadata(row.metadata, key)]
    found += list(row.tags) if name == "tags" else [getattr(row, name)] if name in OWN else []
    if isinstance(tree, Exists):
        raw = [
            value for key in KEYS.get(name, [name]) for value in in_metadata(row.metadata, key, objects=True)
        ]
        own = (
            [bool(row.path)]
            if name == "path"
            else [bool(getattr(row, name))]
            if name in (*OWN, "tags")
            else []
        )
        return any(value is not None and value != "" for value in raw) or any(own)
    if isinstance(tree, Range):
        return any(compares(value, tree) for value in found)
    if isinstance(tree, Equals):
        return any(same(value, wanted) for value in found for wanted in tree.values)
    return any(
        loosely(value, wanted, name in ("title", "author")) for value in found for wanted in tree.values
    )


def in_metadata(metadata: dict[str, Any], name: str, *, objects: bool = False) -> list[Any]:
    ways = [metadata.get(name)] if name in metadata else []
    if "." in name:
        head, _, tail = name.partition(".")
        inner = metadata.get(head)
        ways += [inner[tail]] if isinstance(inner, dict) and tail in inner else []
    return [item for way in ways for item in elements(way, objects)]


def elements(value: Any, objects: bool) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return list(value.values()) if objects else []
    return [value]


def quantity_holds(tree: Match | Equals | Range | Exists, row: Row) -> bool:
    name = tree.field
    kind = is_number if name in ("size", "year") else is_date
    own = [value for value in in_metadata(row.metadata, name) if kind(value)]
    value: Any = None
    if own:
        value = seconds(own[0]) if kind is is_date else own[0]
    elif name == "year":
        moment = date_of(row)
        value = None if moment is None else datetime.fromtimestamp(moment, UTC).year
    else:
        value = date_of(row) if name == "date" else getattr(row, name)
    if isinstance(tree, Exists):
        return value is not None
    if isinstance(tree, Range):
        bound = tree.value.timestamp() if isinstance(tree.value, datetime) else tree.value
        return value is not None and ordered(value, tree.op, bound)
    others = [wanted for wanted in tree.values if isinstance(wanted, str | bool)]
    found = in_metadata(row.metadata, name)
    return any(
        not isinstance(w, str | bool) and value is not None and value == w for w in tree.values
    ) or any(same(item, wanted) for item in found for wanted in others)


def date_of(row: Row) -> float | None:
    own = [value for value in in_metadata(row.metadata, "date") if is_date(value)]
    if own:
        return seconds(own[0])
    return row.modified if row.modified is not None else row.created


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_date(value: Any) -> bool:
    return isinstance(value, str) and value in DATES


def seconds(text: str) -> float:
    moment = datetime.fromisoformat({4: f"{text}-01-01", 7: f"{text}-01"}.get(len(text), text))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def ordered(value: Any, op: str, bound: Any) -> bool:
    return {"<": value < bound, "<=": value <= bound, ">": value > bound, ">=": value >= bound}[op]


def compares(value: Any, tree: Range) -> bool:
    if isinstance(tree.value, datetime):
        return is_date(value) and ordered(seconds(value), tree.op, tree.value.timestamp())
    if isinstance(tree.value, str):
        return isinstance(value, str) and ordered(value, tree.op, tree.value)
    return is_number(value) and ordered(value, tree.op, tree.value)


def same(value: Any, wanted: Any) -> bool:
    kinds = (bool, str, (int, float))
    return any(isinstance(value, kind) and isinstance(wanted, kind) for kind in kinds) and (
        isinstance(value, bool) == isinstance(wanted, bool) and value == wanted
    )


def loosely(value: Any, wanted: str, contains: bool) -> bool:
    if isinstance(value, bool):
        return wanted.lower() == str(value).lower()
    if isinstance(value, str):
        return wanted.lower() in value.lower() if contains else wanted.lower() == value.lower()
    return is_number(value) and wanted.replace(".", "", 1).isdigit() and float(wanted) == value


def in_folder(path: str, pattern: str) -> bool:
    path, pattern = path.replace("\\", "/").lower() + "/", pattern.replace("\\", "/").lower()
    starts = [0] if pattern.startswith("/") or pattern[1:3] == ":/" else [0, *places(path)]
    body = ("/" if pattern.startswith("/") else "") + pattern.strip("/")
    return any(wild(path[start:], body + "/" if body.strip("/") else "/") for start in starts)


def places(path: str) -> list[int]:
    return [at + 1 for at, character in enumerate(path) if character == "/"]


def wild(text: str, pattern: str) -> bool:
    """Whether the text begins with the pattern, in which * is anything and ? one character."""
    if not pattern:
        return True
    if pattern[0] == "*":
        return any(wild(text[skip:], pattern[1:]) for skip in range(len(text) + 1))
    return bool(text) and pattern[0] in (text[0], "?") and wild(text[1:], pattern[1:])


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ('"ros* in spring"', True),
        ('roses "colo?r of"', True),
        ('"where is it?"', False),
        ('"is it? yes"', False),
    ],
)
def test_a_phrase_with_wildcards_says_that_they_are_text(query: str, told: bool) -> None:
    notes = parse_query(query).notes
    assert (notes == ("In quotation marks * and ? are text, and stand for no letters.",)) is told
