"""Everything the routes share: the engine, the queues in front of it, and what is remembered between requests.

`queues`, `buckets` and `streams` belong to the event loop; the engine's methods to worker threads, through `in_thread`.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localsearch.caches.memory import MemoryCache
from localsearch.engine import Engine
from localsearch.extract.drawn import PageImage
from localsearch.extract.pageimage import PageImages
from localsearch.platform.cores import cores
from localsearch.replication.capture import Mark
from localsearch.replication.identity import make_identity, read_identity
from localsearch.search import SearchQuery
from localsearch.server.addresses import client_is_local, is_loopback
from localsearch.server.alerts import Alerts
from localsearch.server.bodies import ByteBudget
from localsearch.server.database import ServiceDatabase
from localsearch.server.exchange import Engines
from localsearch.server.following import Follower
from localsearch.server.guards import Guards
from localsearch.server.housekeeping import Housekeeping
from localsearch.server.job_handlers import job_handlers
from localsearch.server.jobs import Jobs
from localsearch.server.keys import Key, KeyRing
from localsearch.server.limits import Allowance, RequestQueue, TokenBuckets
from localsearch.server.local_users import LocalUsers
from localsearch.server.metrics import Metrics, Window
from localsearch.server.problems import Headers
from localsearch.server.shared.board import Board
from localsearch.server.shared.buckets import SharedBuckets
from localsearch.server.shared.link import Link, Told
from localsearch.server.shared.plan import Plan
from localsearch.server.shared.reporting import Reporting
from localsearch.server.shared.reports import OtherCaches, Report
from localsearch.server.states import States
from localsearch.server.watching import Watching
from localsearch.settings import MB, Settings

PAGES_BYTES, PAGES_S = 32 << 20, 600.0
"""Bytes of pictures of pages that are remembered, and for how many seconds."""
OTHER_WORKERS = 4
"""Threads beyond those for searches: for the other routes, bodies and files."""


class Service:
    """One per app. Made before the event loop runs; `start` and `stop` frame its life."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        watch: bool = False,
        plan: Plan | None = None,
        follower: Follower | None = None,
    ) -> None:
        """`plan` is this process's part in a server of several; without one, the server is this process.
        `follower` exchanges the engine for later states of it."""
        limits = settings.server.limits
        self.follower = follower
        self.read_only = engine.read_only and not (plan and not plan.primary)
        known = read_identity if engine.read_only else make_identity
        identity = follower.identity if follower else known(settings.home)
        self.engines = Engines(engine, identity)
        self.states = States(self.engines, settings.server.state_wait_s, writes=not self.read_only)
        if self.read_only:
            self.states.hurry = follower.hurry if follower else engine.db.hear
        self.settings = settings
        self.plan = plan
        self.board = Board(plan.board, plan.workers) if plan else None
        self.db = ServiceDatabase(settings.home)
        self.keyring = KeyRing(self.db, plan.token if plan else None)
        self.keys_required = settings.server.require_keys or not is_loopback(settings.server.host)
        self.local_users = LocalUsers(settings.server)
        self.guards = Guards.of(settings.server)
        self.buckets = SharedBuckets(plan.buckets, plan.secret) if plan else TokenBuckets()
        self.remote = Allowance(limits.rate, limits.burst)
        self.local = Allowance(limits.local_rate, limits.local_burst)
        at_once = limits.concurrent or cores() + 1
        self.queues: Mapping[str, RequestQueue] = {
            "search": RequestQueue(at_once, limits.wait_s),
            "work": RequestQueue(OTHER_WORKERS, limits.wait_s),
        }
        self.large = RequestQueue(1, limits.body_s)
        least = limits.documents_mb * (1 if plan else 2)
        self.bodies = ByteBudget(max(limits.bodies_mb // (plan.workers if plan else 1), least) * MB)
        self.pool = ThreadPoolExecutor(at_once + 2 * OTHER_WORKERS, "localsearch-request")
        self.shipping = threading.Lock()
        self.shipped: Mark | None = None
        self.jobs = Jobs(self.db, job_handlers(engine), limits.queued_jobs)
        self.alerts = Alerts(settings.alerts)
        self.watching = Watching(engine, wanted=not self.read_only and (watch or engine.folders.watched))
        window = Window()
        self.others = OtherCaches()
        self.housekeeping = Housekeeping(
            self.engines,
            window,
            alerts=self.alerts,
            jobs=self.jobs,
            keyring=self.keyring,
            watching=self.watching,
            others=self.others,
            follower=follower,
        )
        self.metrics = (
            Metrics(self.housekeeping.snapshot, window, plan.metrics, self.board.pids)
            if plan and self.board
            else Metrics(self.housekeeping.snapshot, window)
        )
        self.link = Link(plan.socket, plan.secret) if plan and not plan.primary else None
        self.reporting = (
            Reporting(engine, window, self.keyring, self.link, plan.place) if plan and self.link else None
        )
        self.pages = PageImages(settings.extract)
        self.page_images = MemoryCache[PageImage](PAGES_BYTES, PAGES_S, lambda image: len(image.png))
        self.streams = 0
        self.started = time.time()
        self.stopping = threading.Event()

    @property
    def engine(self) -> Engine:
        """The index that answers this request."""
        return self.engines.now.engine

    @property
    def primary(self) -> str:
        """The address that takes writes, where this server takes none; empty if it is not known."""
        return self.follower.status.primary if self.follower else self.settings.server.primary

    def start(self) -> None:
        """Begin background work; a process that only reads has little."""
        if self.reporting:
            self.reporting.start()
            return
        if self.follower:
            self.follower.start(self.engines)
        if not self.read_only:
            self.engine.start_background()
            self.jobs.start()
        self.housekeeping.start()

    def stop(self) -> None:
        """End background work at its next step. Requests are finished by now."""
        self.stopping.set()
        if self.reporting:
            self.reporting.stop()
        self.housekeeping.stop()
        if self.follower:
            self.follower.stop()
        self.watching.close()
        if not self.read_only:
            self.jobs.stop()
        self.pages.close()
        self.pool.shutdown()
        self.buckets.close()
        self.local_users.close()
        self.db.close()

    def clear_caches(self) -> dict[str, int]:
        """Forget everything cached; how many entries each held, those of other processes as they last told."""
        held = self.others.beside({})
        if self.board:
            self.board.counts.clear()
        self.page_images.clear()
        own = {
            "answers": self.engine.answers.clear(),
            "query_vectors": self.engine.query_vectors.clear(),
        }
        return {name: entries + (held[name].entries if name in held else 0) for name, entries in own.items()}

    def take_report(self, report: Report) -> Told:
        """Count what another process has counted; what it may have of before a clearing is dropped."""
        self.others.told(report)
        self.metrics.window.add(report.searches_s, report.answers, report.failed)
        self.engine.models.tally.add(report.texts, report.tokens, report.cpu_s)
        log, board = self.engine.query_log, self.board
        log.add(report.asked, lambda: board is not None and board.counts.clears.value == report.clears)
        for question in report.questions:
            self.housekeeping.recall.record(question)
        return Told(log.frequent(self.settings.caches.warm) if report.warm else [])

    def take(self, client: tuple[str, int] | None, key: Key | None) -> Headers:
        """Take a token from the bucket of a key or, without one, of a client; the headers that say what is left."""
        if key is not None and not self.keyring.is_token(key):
            return self.buckets.take(key.id, self.remote)
        address = client[0] if client else ""
        return self.buckets.take(address, self.local if client_is_local(address) else self.remote)

    def record_query(self, canonical: SearchQuery) -> None:
        """Remember a question for warming and for the quality of the index; it is written down by housekeeping."""
        if canonical.query:
            (self.reporting or self.housekeeping.recall).record(canonical.query)
        self.engine.query_log.record(canonical)

    async def in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run in a worker thread with this request's context, so that its log lines carry the request id."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self.pool, context.run, work, *arguments)
