"""A reader's view of an index that another process writes. The engine asks it before each search."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import replace

from localsearch.derived import Derived
from localsearch.engine.opening import Opener
from localsearch.platform.counts import WriterCounts

WAIT_S = 0.5
"""How long a search waits for the writer to make a stored change searchable by its words."""
_POLL_S = 0.01


class Follower:
    """Brings the derived indexes of a reader to what the writer has committed. Safe to share between threads.

    The writer commits to SQLite first and to the word index after that. Between the two, a changed document can be
    found neither as it was nor as it is: a search waits for the second commit, and says so when it does not come.
    A writer that shares its counts is followed by a look at memory; of any other, the database is asked.
    """

    def __init__(
        self,
        derived: Derived,
        opener: Opener,
        counts: WriterCounts | None = None,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        """`forget` clears what this reader has cached, when the writer clears what it has."""
        self._derived, self._opener, self._counts, self._forget = derived, opener, counts, forget
        self.cleared = counts.clears.value if counts else 0
        """How many clearings of the writer this reader has followed."""
        self._followed = -1
        self._db, self._embeddings = derived.corpus.db, derived.embeddings
        self._db.hear()
        self._lock = threading.Lock()
        self._seen: Hashable = self._stored()
        self._db.changed_elsewhere()

    def catch_up(self) -> str:
        """See what was committed since; a note when words of it cannot be found yet, else an empty text."""
        derived = self._derived
        if self._nothing_new():
            return ""
        with self._lock:
            if self.is_current():
                return ""
            commits = self._counts.commits.value if self._counts else 0
            self._clear_if_told()
            self._wait_for_words()
            stored = self._stored()
            if stored != self._seen or derived.seq != derived.corpus.seq:
                self._see(stored)
            missing = derived.corpus.seq - derived.lexical.seq
            if missing <= 0:
                self._followed = commits
        return (
            f"The last {missing:,} changes are stored and not yet found by their words."
            if missing > 0
            else ""
        )

    def is_current(self) -> bool:
        """Whether answers reflect every commit of a writer that shares its counts. Reads memory alone."""
        return self._counts is not None and self._counts.commits.value == self._followed

    def _nothing_new(self) -> bool:
        if self._counts is not None:
            return self.is_current()
        return not self._db.changed_elsewhere() and self._derived.lexical.seq >= self._derived.seq

    def _clear_if_told(self) -> None:
        if self._counts and (clears := self._counts.clears.value) != self.cleared:
            self._forget()
            self.cleared = clears

    def _wait_for_words(self) -> None:
        until = time.monotonic() + WAIT_S
        self._derived.refresh_lexical()
        while self._derived.lexical.seq < self._derived.corpus.seq and time.monotonic() < until:
            time.sleep(_POLL_S)
            self._derived.refresh_lexical()

    def _see(self, stored: Hashable) -> None:
        """Read anew what is kept in memory, from one state of the database."""
        derived = self._derived
        with self._db.snapshot():
            active, known = self._embeddings.active(), derived.semantic
            same = known and active and known.version.id == active.id
            if active is None or (same and known and not known.vectors.is_superseded()):
                derived.reload()
            else:
                opened = self._opener.semantic(active, self._embeddings)
                derived.reload(replace(opened, model=known.model) if same and known else opened)
        self._seen = stored

    def _stored(self) -> Hashable:
        """What the vectors in memory depend on, as the database has it."""
        active = self._embeddings.active()
        return active and (active.id, self._embeddings.progress(active.id))
