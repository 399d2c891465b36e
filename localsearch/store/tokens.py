"""Sign bits of chunks' token vectors: what late-interaction re-ranking needs, kept so that it is encoded once."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from localsearch.store.database import Database

CHUNK_BYTES = 9_400
"""About what the bits of one chunk take, as measured on scifact: 195 tokens of 384 dimensions."""


class TokenBits:
    """Bits by embedding version and by the hash of what was embedded, like vectors, but never waited for.

    They are derived: whatever is missing or damaged is computed again by who needs it.
    """

    def __init__(self, db: Database) -> None:
        self.db = db

    def of(self, version_id: int, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        """The bits of those of these chunks that have whole ones, by chunk id."""
        rows = self.db.query(
            "SELECT c.id, t.bits, t.crc FROM chunks AS c JOIN tokens AS t ON t.hash = c.hash AND t.version_id = ?"
            f" WHERE c.id IN ({_listed(chunk_ids)})",
            (version_id,),
        )
        return {chunk: bits for chunk, bits, crc in rows if _is_whole(bits, crc)}

    def put(self, version_id: int, bits: Mapping[int, bytes], at_most: int | None = None) -> None:
        """Store bits by chunk id; of a chunk or version deleted meanwhile nothing is kept: it may have been purged.

        With `at_most`, only about so many chunks stay; those stored first go first.
        """
        with self.db.write() as connection:
            if not connection.execute("SELECT 1 FROM versions WHERE id = ?", (version_id,)).fetchone():
                return
            found = connection.execute(
                f"SELECT id, hash FROM chunks WHERE id IN ({_listed(bits)})"
            ).fetchall()
            connection.executemany(
                "INSERT OR REPLACE INTO tokens (version_id, hash, bits, crc) VALUES (?, ?, ?, ?)",
                [(version_id, digest, bits[chunk], zlib.crc32(bits[chunk])) for chunk, digest in found],
            )
            if at_most is not None:
                connection.execute(
                    "DELETE FROM tokens WHERE id <= (SELECT max(id) FROM tokens) - ?", (at_most,)
                )

    def damaged(self) -> list[int]:
        """Return rows whose bits do not match their CRC-32."""
        rows = self.db.query("SELECT id FROM tokens ORDER BY id")
        return [row for (row,) in rows if not self._is_sound(row)]

    def _is_sound(self, row: int) -> bool:
        return all(
            _is_whole(*one) for one in self.db.query("SELECT bits, crc FROM tokens WHERE id = ?", (row,))
        )

    def forget(self, rows: Sequence[int]) -> int:
        """Delete these rows; returns how many there were."""
        with self.db.write() as connection:
            connection.executemany("DELETE FROM tokens WHERE id = ?", [(row,) for row in rows])
        return len(rows)


def _listed(chunk_ids: Sequence[int] | Mapping[int, bytes]) -> str:
    return ",".join(str(int(i)) for i in chunk_ids)


def _is_whole(bits: object, crc: object) -> bool:
    return isinstance(bits, bytes) and zlib.crc32(bits) == crc
