"""SQLite FTS5 with the porter stemmer and its bm25 rank, any word of the query matching."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from adapter import FIELDS, Adapter, batches, serve


class Fts5(Adapter):
    name = "SQLite FTS5"
    settings = "tokenize='porter unicode61', words joined by OR, ORDER BY rank, optimised after filling"
    modes = ("lexical",)

    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def fill(self, file: str, count: int, home: str, given: Any) -> None:
        database = sqlite3.connect(f"{home}/fts.db")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(
            "CREATE VIRTUAL TABLE passages USING fts5(id UNINDEXED, bucket UNINDEXED, text,"
            " tokenize='porter unicode61')"
        )
        for at, batch, _ in batches(file, count, None):
            values = [(id_, (at + number) % FIELDS, text) for number, (id_, text) in enumerate(batch)]
            with database:
                database.executemany("INSERT INTO passages (id, bucket, text) VALUES (?, ?, ?)", values)
        with database:
            database.execute("INSERT INTO passages (passages) VALUES ('optimize')")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()

    def attach(self, home: str) -> None:
        self.database = sqlite3.connect(f"{home}/fts.db")

    def query(self, text: str, mode: str, limit: int, keep: int | None) -> list[str]:
        words = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", text))
        clause = "" if keep is None else f" AND bucket < {keep}"
        sql = f"SELECT id FROM passages WHERE passages MATCH ?{clause} ORDER BY rank LIMIT ?"
        return [id_ for (id_,) in self.database.execute(sql, (words, limit))]


if __name__ == "__main__":
    adapter = Fts5()
    adapter.cannot = dict.fromkeys(("semantic", "hybrid"), "ranks by words only")
    serve(adapter)
