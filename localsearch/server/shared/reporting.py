"""Background work of a process that reads: keys, reports to the one that writes, warming, seeing what was written.

One thread. What could not be told is told with the next report.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from localsearch.engine import Engine
from localsearch.errors import LocalSearchError
from localsearch.search import SearchQuery
from localsearch.server.keys import KeyRing
from localsearch.server.metrics import Window
from localsearch.server.readings import caches, generation
from localsearch.server.shared.link import Link
from localsearch.server.shared.reports import Report

TICK_S = 1.0
_MOST_QUESTIONS = 50

log = logging.getLogger("localsearch.housekeeping")


class Reporting:
    """`record` may be called from any thread, the event loop too."""

    def __init__(self, engine: Engine, window: Window, keyring: KeyRing, link: Link, place: int) -> None:
        self._engine, self._window, self._keyring, self._link = engine, window, keyring, link
        self._place = place
        self._questions: deque[str] = deque(maxlen=_MOST_QUESTIONS)
        self._cost = engine.models.tally.cost
        self._untold: Report | None = None
        self._warmed: object = object()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def record(self, query: str) -> None:
        """Put a query into the pool of those by which the vector index is measured."""
        self._questions.append(query)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="localsearch-reporting", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell the rest, and end."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            self._guarded(self._engine.refresh)
            self._guarded(self._keyring.refresh)
            self._guarded(self._tell)
        self._guarded(self._tell)

    def _guarded(self, step: Callable[[], Any]) -> None:
        """One failing step must not end the others."""
        try:
            step()
        except OSError as error:
            log.debug("the process that writes does not answer: %s", error)
        except Exception:
            log.exception("reporting failed")

    def _tell(self) -> None:
        published = generation(self._engine)
        report = replace(self._report(), warm=published != self._warmed and not self._stop.is_set())
        self._untold = report
        told = self._link.report(report)
        self._untold = None
        if report.warm:
            self._warmed = published
            self._warm(told.frequent)

    def _report(self) -> Report:
        """What is new, and what could not be told before."""
        follower = self._engine.follower
        clears = follower.cleared if follower else 0  # read before what it clears is taken
        asked = self._engine.query_log.take()
        questions = [self._questions.popleft() for _ in range(len(self._questions))]
        now, before = self._engine.models.tally.cost, self._cost
        self._cost = now
        searches_s, answers, failed = self._window.take()
        report = Report(
            place=self._place,
            pid=os.getpid(),
            clears=clears,
            searches_s=searches_s,
            answers=answers,
            failed=failed,
            questions=questions,
            asked=asked,
            texts=now.texts - before.texts,
            tokens=now.tokens - before.tokens,
            cpu_s=now.cpu_s - before.cpu_s,
            caches=caches(self._engine),
        )
        late = self._untold
        if late is None:
            return report
        kept = late.clears == clears
        return replace(
            report,
            searches_s=late.searches_s + searches_s,
            answers=late.answers + answers,
            failed=late.failed + failed,
            questions=(late.questions if kept else []) + questions,
            asked=(late.asked if kept else {}) | asked,
            texts=late.texts + report.texts,
            tokens=late.tokens + report.tokens,
            cpu_s=late.cpu_s + report.cpu_s,
        )

    def _warm(self, frequent: list[dict[str, Any]]) -> None:
        """Ask the most frequent recent queries once, so that no person waits for them."""
        for query in frequent:
            if self._stop.is_set():
                return
            self._guarded(self._keyring.refresh)
            try:
                self._engine.answer(SearchQuery.of(query))
            except (LocalSearchError, msgspec.ValidationError) as error:
                log.debug("not warmed: %s", error)
