"""The only place that chooses implementations and wires them: an index folder, open."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from localsearch import days, kernels
from localsearch.checked import clean
from localsearch.derived import Derived, Semantic
from localsearch.derived.calibrate import calibrate_if_due
from localsearch.derived.embedder import Embedder, merge_if_needed
from localsearch.derived.usage import Meter
from localsearch.engine.audit import AuditLog
from localsearch.engine.calls import public
from localsearch.engine.encoders import Encoders, TextKind
from localsearch.engine.folders import Folders
from localsearch.engine.follower import Follower
from localsearch.engine.names import meanings, named_path, named_paths, within_collection
from localsearch.engine.opening import Opener
from localsearch.engine.reader import WHOLE, Reader
from localsearch.engine.status import Status
from localsearch.errors import (
    LocalSearchError,
    NotFoundError,
    StorageError,
    UsageError,
    VectorsUnavailableError,
)
from localsearch.indexing import Added, FileCounts, Indexer, IndexJob, IndexReport
from localsearch.indexing.prepare import check_collection
from localsearch.models import ModelStore
from localsearch.platform.counts import WriterCounts
from localsearch.platform.disk import folder_bytes, open_error
from localsearch.platform.ownership import Ownership
from localsearch.replication.replica import answering
from localsearch.scan import ScanRules, display, path_of, raw_of
from localsearch.search import Searcher, SearchOptions, SearchQuery
from localsearch.settings import Settings, load
from localsearch.store import (
    Corpus,
    Database,
    DocumentRow,
    Embeddings,
    Feedback,
    FileRow,
    Ledger,
    rehash,
    stop_feeding,
)
from localsearch.types import (
    Answer,
    Cancelled,
    Document,
    Documents,
    Part,
    Record,
    Report,
    Scope,
    Vectors,
    never,
    no_report,
)
from localsearch.upkeep.backup import BackupReport, backup, clear_restored
from localsearch.upkeep.check import CheckReport, check, repair
from localsearch.upkeep.exchange import Imported, export, import_file
from localsearch.upkeep.purge import Purged, finish, is_due, purge
from localsearch.upkeep.recommend import Recommendation, better_model, recommend
from localsearch.upkeep.trust import Brought, confirm
from localsearch.upkeep.versions import Comparison, Versions
from localsearch.watch import Changes, Watcher

_LOG = logging.getLogger("localsearch.engine")
_TRIES = 3
"""How often a question is answered while documents change under it, so that an answer is from one state of them."""


class Engine:
    """An open index: `index`, `add`, `search` and the rest. Safe to share between threads; close it when done."""

    def __init__(
        self,
        settings: Settings,
        *,
        read_only: bool = False,
        counts: WriterCounts | None = None,
        models: ModelStore | None = None,
    ) -> None:
        """`counts` are shared by the writer of the index with readers in other processes, so that these see what it
        writes without asking the disk; `models` is that of another engine in this process."""
        self.settings = settings
        self._counts = counts
        self.read_only = read_only
        self.models = models or ModelStore(settings)
        self.opener = Opener(settings, self.models, read_only=read_only)
        if not read_only:
            self.opener.make_home()
        self.ownership = None if read_only else Ownership(settings.home)
        self._closed = False
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._threads: list[threading.Thread] = []
        self.background_error: str | None = None
        try:
            self._open()
        except OSError as error:
            self._let_go()
            raise open_error(settings.home, error) from error
        except BaseException:
            self._let_go()
            raise

    def _let_go(self) -> None:
        """Release what an opening that failed had taken."""
        for part in ("derived", "db"):
            if hasattr(self, part):
                getattr(self, part).close()
        if self.ownership:
            self.ownership.release()

    @classmethod
    def open(
        cls,
        home: str | os.PathLike[str] | None = None,
        *,
        settings: Settings | None = None,
        read_only: bool = False,
        counts: WriterCounts | None = None,
    ) -> Engine:
        """Open the index in a folder, making it if need be; read-only, a folder that follows a primary is one too.

        Raises LockedError when another process writes to it, ReadOnlyError, FormatError, DamagedError.
        """
        found = settings or load(home)
        if read_only:
            found = replace(found, home=answering(found.home))
        return cls(found, read_only=read_only, counts=counts)

    def _open(self) -> None:
        opener = self.opener
        if not self.read_only:
            clear_restored(self.settings.home)
        self.db = Database.open(
            self.settings.home,
            read_only=self.read_only,
            commits=self._counts.commits if self._counts else None,
            states=self._counts.states if self._counts else None,
        )
        self.corpus = Corpus(self.db)
        self.embeddings = Embeddings(self.db)
        self.ledger = Ledger(self.db)
        self.judgements = Feedback(self.db)
        if not self.read_only:
            if self.settings.vectors.backend == "faiss":
                stop_feeding(self.db)
            rehash.finish(self.corpus, self.embeddings)
        active = self.embeddings.active()
        semantic = opener.semantic(active, self.embeddings) if active else None
        self.derived = Derived(self.corpus, self.embeddings, opener.lexical(), opener.empty_lexical, semantic)
        if self.read_only:
            self.derived.fill()
        else:
            self.derived.catch_up()
        self.meter = Meter(self.embeddings, self.models.tally, self.settings.cost)
        self.encoders = Encoders(self.models, self.derived)
        self.embedder = Embedder(self.derived, self.meter, keep_tokens=self.settings.model.keep_tokens)
        self.query_vectors = opener.query_vectors()
        self.answers = opener.answers()
        self.query_log = opener.query_log()
        self.searcher = Searcher(
            self.derived,
            self.embedder,
            opener.analyzer,
            self.settings.search,
            self.query_vectors,
            self.answers,
            opener.reranker(self.corpus),
            days.zone(self.settings.time_zone),
            self.settings.cores,
        )
        self.audit = AuditLog(self.settings.home, wanted=self.settings.audit)
        self.reader = Reader(self.corpus, self.ledger)
        self.indexer = Indexer(self.db, self.derived, self.settings)
        self.folders = Folders(self.corpus, self.ledger, self.indexer)
        # Its method would hold the engine, and with it the mapped files of an index that was closed and dropped.
        forget = partial(_in_turn, self.answers.clear, self.query_vectors.clear, self.query_log.clear)
        self.follower = Follower(self.derived, opener, self._counts, forget) if self.read_only else None
        self.versions = Versions(
            self.derived,
            self.embedder,
            self.searcher,
            partial(opener.semantic, embeddings=self.embeddings),
            self.settings.home / "vectors",
        )
        if not self.read_only and is_due(self.db):
            with suppress(VectorsUnavailableError):  # it stays due, and the next opening tries again
                finish(self.derived, self.forget_queries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop background work at the next batch and release the index. What was confirmed is durable already."""
        self._closed = True
        self._stop.set()
        self._wake.set()
        for thread in self._threads:
            thread.join()
        self.indexer.close()
        self.searcher.close()
        self.encoders.close()
        self.query_vectors.close()
        self.query_log.close()
        if not self.read_only:
            with suppress(LocalSearchError):  # a count must not stand in the way of closing
                self.meter.save()
        self.derived.close()
        self.opener.close()
        self.db.close()
        if self.ownership:
            self.opener.make_private()
            self.ownership.release()
            self.ownership = None

    # -- writing

    @public
    def index(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        collection: str = "default",
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        dry_run: bool = False,
        embed: bool = True,
        retry_failed: bool = False,
        roots: Sequence[str | os.PathLike[str]] = (),
        report: Report = no_report,
        cancelled: Cancelled = never,
    ) -> IndexReport:
        """Bring the index to the state of files and folders: words first, then vectors.

        `roots`, where there are any, are the only folders that a path may lead into, links resolved. A folder keeps the
        patterns that it was indexed with until it is indexed with others, or `folders.set_patterns` changes them.

        Whatever interrupts it, what was done stays done and the next call goes on from there. With `embed` false, or
        while background work runs, vectors follow later.
        """
        check_collection(collection)
        job = IndexJob(
            named_paths(paths),
            collection=collection,
            include=tuple(include),
            exclude=tuple(exclude),
            dry_run=dry_run,
            retry_failed=retry_failed,
            roots=tuple(map(named_path, roots)),
        )
        outcome = self.indexer.index(job, report, cancelled)
        if self._threads:
            self._wake.set()
        elif not dry_run:
            outcome = self._complete(outcome, embed, report, cancelled)
        return outcome

    def _complete(
        self, outcome: IndexReport, embed: bool, report: Report, cancelled: Cancelled
    ) -> IndexReport:
        """What follows words: vectors, then the text of scans, then its vectors."""
        try:
            if embed and not cancelled():
                self.embed_pending(report, cancelled)
        finally:
            read = FileCounts() if cancelled() else self.indexer.recognise(report, cancelled)
        if embed and (read.new or read.unchanged) and not cancelled():
            self.embed_pending(report, cancelled)
        files = outcome.files
        found = replace(files, new=files.new + read.new, skipped=max(0, files.skipped - read.new))
        return replace(outcome, files=found)

    @public
    def add(self, records: Sequence[Record], *, collection: str = "default") -> list[str]:
        """Store documents that a program sends, in place of those with the same ids; returns the ids.

        On return they are durable and found by their words; their vectors follow. All are stored or none: UsageError
        names the first that cannot be. `add_valid` stores the others.
        """
        check_collection(collection)
        keys = self.indexer.add(records, collection)
        self._wake.set()
        return keys

    @public
    def add_valid(self, records: Sequence[Record], *, collection: str = "default") -> Added:
        """As `add`, but a record that cannot be stored costs only itself; the answer says which and why."""
        check_collection(collection)
        added = self.indexer.add_valid(records, collection)
        self._wake.set()
        return added

    @public
    def delete(self, id: str, *, collection: str = "default", purge: bool = False) -> None:
        """Delete a document, with `purge` to the last byte. Raises NotFoundError when there is none with this id."""
        if purge:
            if self.corpus.find(collection, id) is None:
                raise _no_document(id, collection)
            self._purge([id], collection=collection, below=False)
            return
        if not self.indexer.delete([id], collection):
            raise _no_document(id, collection)

    def ensure_version(self, report: Report = no_report, cancelled: Cancelled = never) -> Semantic | None:
        """Make the first embedding version once the model is there; later ones are for `versions build`.

        With `model.languages = "auto"` there is none before there are texts, and the model is fetched.

        Raises ModelMissingError, saying how to get the model; with "auto", what `ModelStore.pull` raises.
        """
        if self.derived.semantic is None and not self.read_only:
            auto = self.settings.model.languages == "auto"
            if auto and not self.corpus.counts()[1]:
                return None
            name, why = self.first_model()
            if auto and not self.models.installed(name):
                self.models.pull(name, report, cancelled)
            encoder = self.models.encoder(name)
            if why:
                _LOG.info("%s It is the model of this index: model.languages is auto.", why)
            version = self.embeddings.begin(
                encoder.name, encoder.precision, encoder.fingerprint, encoder.dimensions
            )
            self.derived.adopt(self.opener.semantic(version, self.embeddings))
        return self.derived.semantic

    @public
    def take(self, settings: Settings) -> None:
        """Go on with other choices of how files are read and which model is first; all else counts from the start."""
        self.settings = self.indexer.settings = settings
        self._wake.set()

    @public
    def first_model(self) -> tuple[str, str]:
        """The model that embeds, and why it is not that of the settings, which `model.languages` may ask for; else "".

        Once there is a version it is the version's.
        """
        if self.derived.semantic:
            return self.derived.semantic.version.model, ""
        name = self.settings.model.name
        found = (
            better_model(self.derived, self.models, name) if self.settings.model.languages == "auto" else None
        )
        return found or (name, "")

    @public
    def embed_pending(self, report: Report = no_report, cancelled: Cancelled = never) -> int:
        """Encode every chunk that lacks a vector; returns how many.

        Then, where it is due, merge the vector index and learn anew what its cosines mean.
        """
        if semantic := self.ensure_version(report, cancelled):
            semantic.model.try_again()
        return self._embed(report, cancelled)

    def _embed(self, report: Report, cancelled: Cancelled) -> int:
        self.ensure_version(report, cancelled)
        done = self.embedder.run(report, cancelled)
        if not cancelled():
            merge_if_needed(self.derived, report, cancelled)
            try:
                if self.derived.semantic:
                    self.derived.semantic.vectors.catch_up(report, cancelled)
                calibrate_if_due(self.derived, cancelled=cancelled)
            except VectorsUnavailableError as error:
                _LOG.warning("%s; vectors are sent when it is back", error.message)
        return done

    @public
    def feedback(self, query: str, id: str, relevant: bool, *, collection: str = "default") -> None:
        """Record whether a document answers a query. Raises NotFoundError for a document that is not there."""
        if not query.strip():
            raise UsageError("A judgement needs the query that was asked.", hint="Give its words.")
        key = next((name for name in meanings(id) if self.corpus.find(collection, name)), None)
        if key is None:
            raise _no_document(id, collection)
        self.judgements.put(collection, query, key, relevant)

    @public
    def start_background(self) -> None:
        """Encode and merge in a thread from now on, whenever there is something to do."""
        if self._threads or self.read_only:
            return
        thread = threading.Thread(target=self._background, name="localsearch-embedding", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _background(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            if not self._background_step():
                self._wake.wait(60.0)

    def _background_step(self) -> bool:
        """Encode what lacks vectors, then read scans until something else is to be done; whether there is more now."""
        try:
            self._embed(no_report, self._stop.is_set)
            self.background_error = None
        except LocalSearchError as error:
            self.background_error = f"{error.message} {error.hint}".strip()
        except Exception as error:  # the thread goes on: what it met may be gone at its next try
            _LOG.exception("embedding in the background")
            self.background_error = (
                f"Embedding met an unexpected {type(error).__name__}; the log has the details."
            )
        try:
            read = self.indexer.recognise(
                cancelled=self._stop.is_set, pause=lambda: self._stop.is_set() or self._wake.is_set()
            )
        except Exception:
            _LOG.exception("reading scans in the background")
            return False
        return bool(read.new or read.unchanged)

    @public
    def watch(
        self,
        *,
        told: Callable[[IndexReport], None] = lambda _: None,
        note: Callable[[str], None] = lambda _: None,
    ) -> Watcher:
        """Keep every indexed root current as files change, from now until the watcher is closed.

        `told` hears of every update; `note` of roots that cannot be watched or read.
        """
        trusted = self.ledger.trusted_roots()
        roots = [(collection, path_of(raw_of(path)), options) for collection, path, options in trusted]
        for path in self.held_roots():
            note(f"{path} came with a backup and is not read. Confirm it with: localsearch trust")
        self.indexer.keep_readers()

        def update(changes: Changes) -> None:
            for collection, path, options in roots:
                if path == changes.root:
                    job = IndexJob(
                        (changes.root,),
                        collection,
                        within=() if changes.rescan else changes.paths,
                        include=tuple(options.get("include", ())),
                        exclude=tuple(options.get("exclude", ())),
                        true=str(options.get("true") or ""),
                    )
                    told(self.indexer.index(job, cancelled=self._stop.is_set))
                    self._wake.set()

        rules = ScanRules.of(self.settings)
        watcher = Watcher([path for _, path, _ in roots], update, rules=rules, on_note=note)
        watcher.start()
        return watcher

    @public
    def held_roots(self) -> tuple[str, ...]:
        """Folders that a restored backup named and nobody has confirmed: they are not read."""
        return tuple(path for _, path, how in self.ledger.roots() if how.get("held"))

    @public
    def trust(self) -> Brought:
        """Confirm what a restored backup brought: its folders are read and its jobs run from now on."""
        return confirm(self.db, self.settings.home)

    # -- keeping it sound

    @public
    def check(self, *, repair_: bool = False, quick: bool = False, report: Report = no_report) -> CheckReport:
        """Hold the index against the database, and with `repair_` rebuild what is derived and wrong."""
        home = self.settings.home
        problems = check(self.derived, home, quick=quick, report=report)
        if not (repair_ and problems):
            return CheckReport(not problems, tuple(problems))
        done = repair(self.derived, problems, report)
        left = check(self.derived, home, quick=quick, report=report)
        return CheckReport(not left, tuple(left), tuple(done))

    @public
    def backup(self, target: str | os.PathLike[str], report: Report = no_report) -> BackupReport:
        """Write one verified file from which `restore` brings everything back; the index may be in use."""
        return backup(self.db, named_path(target), report)

    @public
    def rebuild(self, report: Report = no_report) -> None:
        """Make every derived index again from the database."""
        self.derived.rebuild_lexical(report)
        if self.derived.semantic:
            merge_if_needed(self.derived, report)

    @public
    def compare_versions(self, first: str, second: str, questions: Sequence[str] = ()) -> Comparison:
        """Hold two versions against each other on `questions`, logged, judged and known-item queries."""
        logged = [asked["query"] for asked in self.query_log.frequent(200) if asked.get("query")]
        return self.versions.compare(first, second, [*questions, *logged], self.judgements.grades())

    @public
    def recommend_model(self) -> Recommendation:
        """Which model would serve the languages of this index, and what it costs here."""
        return recommend(self.derived, self.models, self.encoders.default)

    @public
    def export(self, target: str | os.PathLike[str], report: Report = no_report) -> int:
        """Write every document as JSON lines; returns how many."""
        return export(self.corpus, named_path(target), report)

    @public
    def import_file(self, source: str | os.PathLike[str], report: Report = no_report) -> Imported:
        """Store every document of an export; lines that are none are refused, and told."""
        outcome = import_file(self.indexer, named_path(source), report)
        self._wake.set()
        return outcome

    @public
    def purge(self, targets: Sequence[str], report: Report = no_report) -> Purged:
        """Delete documents, by id or by path with all below it, so that no byte of them stays in the home folder.

        Raises NotFoundError when nothing matches.
        """
        names = [name for target in targets for name in meanings(target)]
        if not self.corpus.matching(names):
            raise NotFoundError(
                "Nothing to purge: no document has such an id or path.", hint="Ids are as search gives."
            )
        return self._purge(names, report)

    def _purge(
        self,
        targets: Sequence[str],
        report: Report = no_report,
        collection: str | None = None,
        *,
        below: bool = True,
    ) -> Purged:
        return purge(self.derived, targets, self.forget_queries, report, collection, below=below)

    @public
    def forget_queries(self) -> None:
        """Clear every cache, the log of queries, and what the audit log tells of documents."""
        if self._counts and not self.read_only:
            self._counts.clear()  # first, so that what readers tell from now on is known to be of before
        _in_turn(self.answers.clear, self.query_vectors.clear, self.query_log.clear)
        if not self.read_only:
            self.audit.forget()

    @public
    def share_model(self, other: Engine) -> None:
        """Use the model that another engine has in memory, as of an earlier state of the same index."""
        mine, theirs = self.derived.semantic, other.derived.semantic
        if mine and theirs and mine.version.fingerprint == theirs.version.fingerprint:
            self.derived.semantic = replace(mine, model=theirs.model)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("The index is closed.", hint="Open it again.")

    # -- reading

    def search(self, query: str = "", **options: Unpack[SearchOptions]) -> Answer:
        """Rank documents for a query, or by how like they are to the document with the id `like`, or both.

        The answer iterates over its hits. `SearchQuery` describes the options.

        Raises QueryError for an empty query or an option out of its range, FilterError for a filter without meaning,
        NotFoundError for no such document or collection.
        """
        return self.answer(SearchQuery(query, **options))

    def answer(self, query: SearchQuery) -> Answer:
        """Answer a question that is in its frozen shape already; raises what `search` does."""
        self._check_open()
        if not isinstance(query, SearchQuery):
            raise UsageError(f"query is {query!r:.100}.", hint="It is a SearchQuery.")
        for _ in range(_TRIES):
            note = self.refresh()
            state, seq = self.db.state, self.derived.seq
            answer = self.searcher.search(query)
            if self._unchanged(state, seq):
                return replace(answer, notes=(*answer.notes, note)) if note else answer
        return replace(answer, notes=(*answer.notes, "Documents changed while this was answered."))

    def _unchanged(self, state: int | None, seq: int) -> bool:
        """Whether what began at this state and change of the documents was answered from them alone."""
        if state is not None and self.db.state == state:
            return True
        return self.corpus.seq == seq == self.derived.seq

    def cached(self, query: SearchQuery, began: float) -> Answer | None:
        """The answer to this question if it is kept and still right; reads memory alone, for a caller who asks
        `answer` when there is none, with a query that it has checked. `began` is of time.perf_counter."""
        self._check_open()
        if self.follower and not self.follower.is_current():
            return None
        return self.searcher.cached(query, began)

    @public
    def refresh(self) -> str:
        """See what another process has written since, where this one only reads; a note when words of it cannot be
        found yet, else an empty text."""
        return self.follower.catch_up() if self.follower else ""

    @public
    def embed(
        self,
        texts: Sequence[str],
        *,
        kind: TextKind = "document",
        model: str | None = None,
        truncate: bool = False,
        cancelled: Cancelled = never,
    ) -> Vectors:
        """Encode texts that are no part of the index: float32 of shape (len(texts), dimensions), each row of length 1.

        The model is that of the active version, or any that is installed by name; `kind` chooses the prefix that it
        wants. A text of more tokens than the model reads is refused unless `truncate` is set. Raises UsageError for
        such a text and an empty one, NotFoundError for no such model, ModelMissingError, CancelledError.
        """
        embedded = self.encoders.embed(texts, kind=kind, model=model, truncate=truncate, cancelled=cancelled)
        return embedded.vectors

    @public
    def get(self, id: str, *, collection: str = "default") -> dict[str, Any]:
        """One document with its text. Raises NotFoundError. `read` takes names, parts and what may be seen."""
        row = self.corpus.find(collection, id)
        if row is None:
            raise _no_document(id, collection)
        return {**_public(row), "text": self.corpus.text(row.id)}

    @public
    def read(
        self,
        name: str,
        part: Part = WHOLE,
        *,
        collection: str | None = None,
        within: Scope | None = None,
    ) -> Document:
        """Read a document, or a part of it, by its id, its path, or its path below an indexed folder.

        `collection` None looks in all. Raises NotFoundError where there is none within the scope, ConflictError for
        a name that several have, PartError for a part that the document has not.
        """
        return self.reader.read(name, part, collection=collection, within=within)

    @public
    def read_many(
        self,
        names: Sequence[str],
        *,
        collection: str | None = None,
        within: Scope | None = None,
        each: int | None = None,
        budget: int | None = None,
    ) -> Documents:
        """Read documents by ids, paths, or patterns such as `reports/*.md`, within a budget of characters.

        At most `each` characters of each, `budget` of all; what has no room is named, and so is what is not there.
        """
        return self.reader.read_many(names, collection=collection, within=within, each=each, budget=budget)

    @public
    def status(self) -> Status:
        """Counts, coverage and size."""
        documents, chunks = self.corpus.counts()
        active = self.embeddings.active()
        embedded = chunks - self.embeddings.pending_count(active.id) if active else 0
        better = better_model(self.derived, self.models, self.encoders.default)
        return Status(
            documents=documents,
            chunks=chunks,
            embedded_chunks=embedded,
            semantic_coverage=round(embedded / chunks, 4) if chunks else 1.0,
            files=self.ledger.counts(),
            noted=self.ledger.noted_count(),
            names=self.corpus.names_count(),
            version=active.name if active else None,
            home=str(self.settings.home),
            bytes=folder_bytes(self.settings.home, without="models"),
            seq=self.corpus.seq,
            collections=tuple(self.corpus.collections()),
            roots=tuple(path for _, path, _ in self.ledger.roots()),
            changed=self.db.one("SELECT max(indexed) FROM documents"),
            cost=self.meter.read(),
            kernels=kernels.path_in_use(),
            better_model=better[0] if better else None,
            vectors=semantic.vectors.look() if (semantic := self.derived.semantic) else None,
        )

    @public
    def why(self, path: str | os.PathLike[str]) -> list[FileRow]:
        """What became of a file, or of the skipped folder that it is in, once per collection.

        Raises NotFoundError when it was never seen.
        """
        absolute = named_path(path)
        places = [absolute, Path(os.path.realpath(absolute)), *absolute.parents]
        for place in places:
            rows = self.ledger.at(display(os.fsencode(place)))
            if rows:
                return rows
        what = "has not been seen" if absolute.exists() else "does not exist"
        raise NotFoundError(
            f"{absolute} {what}.", hint="Index it, or a folder that holds it: localsearch index PATH"
        )

    @public
    def suggest(self, prefix: str, limit: int = 8, *, within: Scope | None = None) -> list[str]:
        """Completions of the last word of what was typed, from the corpus's own words that may be seen."""
        self.refresh()
        return self.searcher.suggest(clean(prefix), limit, within)


def _in_turn(*calls: Callable[[], object]) -> None:
    for call in calls:
        call()


def _no_document(id: str, collection: str) -> NotFoundError:
    return NotFoundError(
        f"There is no document {id!r}{within_collection(collection)}.", hint="Ids are as search gives them."
    )


def _public(row: DocumentRow) -> dict[str, Any]:
    values = asdict(row)
    for internal in ("id", "key", "content_hash", "member"):
        values.pop(internal)
    return {"id": row.key, **values}
