"""`serve --watch`, and the switch on the page: every indexed folder is kept current, those added later too.

Housekeeping's thread refreshes and the stopping thread closes, one at a time under a lock; `checked` is for any thread.
"""

from __future__ import annotations

import logging
import threading
import time

from localsearch.engine import Engine
from localsearch.indexing import IndexReport
from localsearch.watch import Watcher

log = logging.getLogger("localsearch.watch")


class Watching:
    """The watcher over the roots of the moment. `refresh` makes a new one when the roots have changed."""

    def __init__(self, engine: Engine, *, wanted: bool = True) -> None:
        self._engine = engine
        self.on = wanted
        """Whether folders are kept current. Any thread may change it; the next `refresh` obeys."""
        self._roots: frozenset[tuple[str, str, str]] = frozenset()
        self._watcher: Watcher | None = None
        self._lock = threading.Lock()
        self.checked: float | None = None
        """When the index was last known to equal its folders, in seconds since 1970."""

    def refresh(self) -> None:
        """Watch what is indexed now. The watcher begins by looking at each root as a whole, so nothing is missed."""
        with self._lock:
            listed = self._engine.ledger.trusted_roots() if self.on else []
            roots = frozenset(
                (collection, path, f"{how.get('include')} {how.get('exclude')}")
                for collection, path, how in listed
            )
            if roots == self._roots:
                return
            self._close()
            if roots:
                self._watcher = self._engine.watch(told=self._updated, note=log.warning)
            else:
                self.checked = None
            self._roots = roots
            log.info("watching %d folders", len(roots))

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._watcher:
            self._watcher.close()
            self._watcher = None

    def _updated(self, outcome: IndexReport) -> None:
        self.checked = time.time()
        files = outcome.files
        if files.new or files.changed or files.removed:
            log.info("updated: %d new, %d changed, %d removed", files.new, files.changed, files.removed)
