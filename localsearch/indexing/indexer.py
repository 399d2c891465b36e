"""A document's way in: scan, compare, read, store; then every derived index catches up.

Files are compared by size and time first and by content second. A file's content is one document however many paths
hold it, so a moved or copied file is not read again, and embedded again only if its name is its title. Each batch is
one durable transaction: whatever stops the work, what was committed is found unchanged next time and the rest is done
then.
"""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from localsearch import days
from localsearch.checked import EARLIEST_NS, LATEST_NS
from localsearch.derived import Derived
from localsearch.errors import ExtractionError, LocalSearchError, RootUnreadable, UsageError
from localsearch.extract import Extractor, OpenFile, later, patient, recognises
from localsearch.indexing.prepare import from_extract, from_name, from_record
from localsearch.indexing.roots import OpenRoot
from localsearch.indexing.run import (
    Added,
    Compared,
    FileCounts,
    IndexJob,
    IndexReport,
    IndexRun,
    Opened,
    ReadFile,
)
from localsearch.scan import (
    ScannedFile,
    ScanRules,
    display,
    is_within,
    open_hash,
    path_of,
    raw_of,
    reaches,
    scan,
    scan_within,
    secret_head,
)
from localsearch.secrets import beginning as secret_beginning
from localsearch.settings import Settings
from localsearch.store import Database, DocumentRow, FileRow, Ledger, NewDocument, key_of
from localsearch.store.ledger import REREAD
from localsearch.text import letters
from localsearch.types import Cancelled, Extract, Progress, Record, Report, never, no_report

_BATCH_FILES = 200
_BATCH_S = 1.0
_BATCH_GROWS = 4
"""Times that a later batch may have of the first one's files and seconds: each costs a segment of the word index."""
_BATCH_CHARACTERS = 16_000_000
"""Characters of text with which a batch ends, however few files they are of."""
MANY = 20
"""Files or records from which some are sure to need the model of languages."""
_LOG = logging.getLogger("localsearch.indexing")
SKIPPING_RULES = frozenset({"binary", "empty", "image", "unsupported"})
"""Rules of the extractor that mean there was nothing to read, rather than that reading failed."""

UNNAMED_RULES = frozenset(
    {
        "secret",
        "hidden",
        "excluded",
        "not-included",
        "ignored",
        "cache",
        "vcs",
        "system",
        "own-data",
        "link",
        "special",
    }
)
"""Rules of what is not to be found by its name either: it was excluded, is secret, or is no file."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    documents: list[NewDocument]
    errors: dict[int, UsageError]


class Indexer:
    """Writes documents; the database's writing lock orders whoever shares it."""

    def __init__(self, db: Database, derived: Derived, settings: Settings) -> None:
        self.db = db
        self.corpus = derived.corpus
        self.embeddings = derived.embeddings
        self.ledger = Ledger(db)
        self.derived = derived
        self.settings = settings
        self._readers: Extractor | None = None

    def keep_readers(self) -> None:
        """Keep the processes that read files from now on: for many small runs, as when watching."""
        self._readers = self._readers or Extractor(later(self.settings.extract), self.settings.chunk)

    def close(self) -> None:
        """End the processes that were kept."""
        if self._readers:
            self._readers.close()

    # -- records that a program sends

    def add(self, records: Sequence[Record], collection: str) -> list[str]:
        """Store records, all or none; on return they are durable and searchable by their words. Returns their ids."""
        added = self._prepared(records)
        for at, error in added.errors.items():
            raise type(error)(f"record {at}: {error.message}", hint=error.hint)
        self.put([(collection, document) for document in added.documents])
        return [document.key for document in added.documents]

    def add_valid(self, records: Sequence[Record], collection: str) -> Added:
        """As `add`, but a record that cannot be stored costs only itself."""
        prepared = self._prepared(records)
        self.put([(collection, document) for document in prepared.documents])
        refused = {at: error.message for at, error in prepared.errors.items()}
        return Added([document.key for document in prepared.documents], refused)

    def _prepared(self, records: Sequence[Record]) -> _Prepared:
        made, zone = _Prepared([], {}), days.zone(self.settings.time_zone)
        if len(records) >= MANY:
            letters.prepare()  # while the first of them are cut
        for at, record in enumerate(records):
            try:
                with days.in_zone(zone):
                    made.documents.append(from_record(record, self.settings.chunk))
                self.derived.begin(made.documents[-1])
            except UsageError as error:
                made.errors[at] = error
            except Exception as error:
                _LOG.exception("record %s", at)
                made.errors[at] = UsageError(
                    f"an unexpected {type(error).__name__}", hint="The log has the details."
                )
        return made

    def put(self, documents: Sequence[tuple[str, NewDocument]]) -> None:
        """Store documents with their collections in one durable transaction, then make their words searchable."""
        with self.db.write():
            for collection, document in documents:
                self._put(collection, document)
        self.derived.catch_up()

    def delete(self, keys: Sequence[str], collection: str) -> list[int]:
        """Delete documents by id; returns the internal ids of those that existed."""
        with self.db.write():
            found = self.corpus.remove_keys(collection, keys)
        self.derived.catch_up()
        return found

    def _put(self, collection: str, document: NewDocument) -> int:
        _, chunk_ids = self.corpus.put(collection, document)
        self.embeddings.expect(chunk_ids)
        return len(chunk_ids)

    # -- files

    def index(self, job: IndexJob, report: Report = no_report, cancelled: Cancelled = never) -> IndexReport:
        """Bring the index to the state of the files under the job's paths.

        A root that was indexed with patterns keeps them where the job names none.
        A root that cannot be read deletes nothing: it is told in the report's notes, and raised as the error that it
        is when no root could be read.
        """
        began = time.monotonic()
        run = IndexRun(job, report, cancelled)
        errors: list[LocalSearchError] = []
        with ExitStack() as stack:
            extractor = None if job.dry_run else self._readers
            if extractor is None and not job.dry_run:
                extractor = stack.enter_context(Extractor(later(self.settings.extract), self.settings.chunk))
            for path in job.paths:
                run.job = self._as_before(job, path)
                try:
                    self._index_root(run, path, extractor)
                except LocalSearchError as error:
                    errors.append(error)
                    run.notes.append(error.message)
        if len(errors) == len(job.paths):
            raise errors[0]
        counts = FileCounts(**run.counts)
        seconds = time.monotonic() - began
        return IndexReport(
            counts, run.documents, run.chunks, seconds, cancelled(), tuple(run.notes), run.rules
        )

    def recognise(
        self, report: Report = no_report, cancelled: Cancelled = never, pause: Cancelled = never
    ) -> FileCounts:
        """Read the text of pictures and scanned pages that was left for later, file by file searchable by its words.

        Nothing is done where no engine is installed or extract.ocr is off. No further file is begun when `pause` says
        so. Returns the counts of files that it made searchable, and of those in which it found nothing.
        """
        counts: dict[str, int] = {}
        waiting: defaultdict[tuple[str, str], list[FileRow]] = defaultdict(list)
        if recognises(self.settings.extract):
            for row in self.ledger.scans():
                waiting[row.collection, row.root].append(row)
        if not waiting:
            return FileCounts()
        with Extractor(patient(self.settings.extract), self.settings.chunk) as extractor:
            for (collection, root), rows in waiting.items():
                run = IndexRun(IndexJob((path_of(raw_of(root)),), collection), report, cancelled, counts)
                run.to_read, run.stage = len(rows), "recognise"
                run.again = {row.content_hash for row in rows if row.content_hash}
                self._recognise_root(run, rows, extractor, pause)
        return FileCounts(**counts)

    def _recognise_root(
        self, run: IndexRun, rows: list[FileRow], extractor: Extractor, pause: Cancelled
    ) -> None:
        (path,) = run.job.paths
        true = self.ledger.leads_to(run.job.collection, display(os.fsencode(path)))
        files = (ScannedFile(row.raw, row.path, row.size, row.mtime_ns, 0) for row in rows)
        with suppress(RootUnreadable), OpenRoot(path, true=true) as root:
            self._store_all(
                run, path, self._read(run, root, takewhile(lambda _: not pause(), files), extractor)
            )

    def _index_root(self, run: IndexRun, path: Path, extractor: Extractor | None) -> None:
        root = OpenRoot(path, run.job.roots, run.job.true)
        with root:
            compared = self._compare(run, path, root)
            if extractor is None:
                self._count_dry(run, compared)
                return
            run.to_read += len(compared.to_read)
            self._record_skips(run, compared.skipped)
            self._mend(run, compared)
            if len(compared.to_read) >= MANY:
                letters.prepare()  # while the readers start
            self._store_all(run, path, self._read(run, root, compared.to_read, extractor))
            if not run.cancelled():
                self._remove(run, compared.gone)
                self._read_again(run, path, root, extractor)
        if not run.cancelled() and not run.job.within:
            self._register(run.job, path, root.true)

    def _as_before(self, job: IndexJob, path: Path) -> IndexJob:
        """The job with the patterns that this root has, where the job names none."""
        if job.include or job.exclude:
            return job
        name = display(os.fsencode(path))
        for collection, root, how in self.ledger.trusted_roots():
            if (collection, root) == (job.collection, name):
                include, exclude = how.get("include", ()), how.get("exclude", ())
                return replace(job, include=tuple(include), exclude=tuple(exclude))
        return job

    def _register(self, job: IndexJob, path: Path, true: str) -> None:
        """Remember a root, unless it lies in another that takes all of it in the same way."""
        options: dict[str, Any] = {"include": list(job.include), "exclude": list(job.exclude)}
        rules = ScanRules.of(self.settings, job.include, job.exclude)
        for collection, name, how in self.ledger.trusted_roots():
            root = path_of(raw_of(name))
            same = {name: how.get(name) for name in options} == options
            if same and collection == job.collection and root in path.parents:
                with suppress(RootUnreadable):
                    if reaches(root, path, rules):
                        return
        self.ledger.put_root(
            job.collection, display(os.fsencode(path)), options | {"true": true, "checked": time.time()}
        )

    def _read_again(self, run: IndexRun, path: Path, root: OpenRoot, extractor: Extractor) -> None:
        """Read files whose content moved to them from a name that told another type; others wait for their root."""
        top = {os.fsencode(path)}
        within = [path_of(row.raw) for row in run.reread if is_within(row.raw, top)]
        run.reread.clear()
        if not within:
            return
        rules = ScanRules.of(self.settings, run.job.include, run.job.exclude)
        found = [one for one in scan_within(path, within, rules, folder=root.folder) if one.skip is None]
        counts = run.copy()
        self._store_all(run, path, self._read(run, root, found, extractor))
        run.restore(counts)

    def _mend(self, run: IndexRun, compared: Compared) -> None:
        """Give names to what an earlier release left out without one, and note inodes that it did not."""
        with self.db.write():
            for found, row in compared.unnamed:
                self._put_name(run.job.collection, found, row.rule, row.reason)
            self.ledger.stamp(run.job.collection, compared.inodes)
        if compared.unnamed:
            self.derived.catch_up()

    def _put_name(self, collection: str, found: ScannedFile, rule: str, reason: str) -> None:
        """Make a file that was not read known by its name, unless it is not to be found at all."""
        if rule in UNNAMED_RULES or found.folder:
            self.corpus.unname(collection, [found.path])
            return
        modified = days.instant(found.mtime_ns / 1e9)
        self._put(collection, from_name(found.path, found.size, modified, reason))

    def forget(self, path: Path, collection: str) -> int:
        """Delete what is known of files at or below a path, but what other roots hold; returns how many were read."""
        raw, roots = os.fsencode(path), [root for name, root, _ in self.ledger.roots() if name == collection]
        others = {raw_of(root) for root in roots if raw_of(root) != raw}
        known = self.ledger.under(collection, raw)
        gone = [one for one in known if not is_within(one, others)]
        self._remove(IndexRun(IndexJob((path,), collection), no_report, never), gone)
        self.ledger.drop_root(
            collection, display(raw)
        )  # last: what is cut short is listed, and can be asked for again
        return sum(known[one].content_hash is not None for one in gone)

    # -- compare

    def _compare(self, run: IndexRun, path: Path, root: OpenRoot) -> Compared:
        known: dict[bytes, FileRow] = {}
        for part in run.job.within or (path,):
            known |= self.ledger.under(run.job.collection, os.fsencode(part))
        compared = Compared([], [], [], [], {})
        named = self.corpus.names_alone(run.job.collection)
        seen: set[bytes] = set()
        kept: set[bytes] = set()
        for found in self._scan(run, path, root, bool(known)):
            seen.add(found.raw)
            row = known.get(found.raw)
            if found.skip:
                run.leave_out("skipped", found.skip.rule)
                if found.skip.rule == "unreadable":
                    kept.add(found.raw)
                if row is None or row.rule != found.skip.rule or _is_stale(row, found, named):
                    compared.skipped.append(found)
            elif row and _same(row, found) and not (run.job.retry_failed and row.state == "failed"):
                run.count("unchanged") if row.state == "indexed" else run.leave_out(row.state, row.rule)
                if row.content_hash is None and _is_nameless(row, named):
                    compared.unnamed.append((found, row))
                if not row.inode:
                    compared.inodes[found.raw] = found.inode
            else:
                compared.to_read.append(found)
        if not run.cancelled():
            compared.gone.extend(raw for raw in known if raw not in seen and not is_within(raw, kept))
        return compared

    def _scan(self, run: IndexRun, path: Path, root: OpenRoot, indexed_before: bool) -> Iterator[ScannedFile]:
        rules = ScanRules.of(self.settings, run.job.include, run.job.exclude)
        within = run.job.within
        walk = (
            scan_within(path, within, rules, folder=root.folder)
            if within
            else scan(path, rules, indexed_before=indexed_before, folder=root.folder)
        )
        for found in walk:
            if run.cancelled():
                return
            run.scanned += 1
            if run.scanned % 500 == 0:
                run.report(Progress("scan", run.scanned, None, "files", found.path))
            yield found

    def _count_dry(self, run: IndexRun, compared: Compared) -> None:
        for found in compared.to_read:
            row = self.ledger.get(run.job.collection, found.raw)
            run.count("changed" if row and row.content_hash else "new")
        run.count("removed", len(compared.gone))

    # -- read

    def _read(
        self, run: IndexRun, root: OpenRoot, files: Iterable[ScannedFile], extractor: Extractor
    ) -> Generator[ReadFile, None, None]:
        """Read files in parallel, in whatever order they come; those whose content is stored are not read.

        A file is opened once: that descriptor is hashed, and read.
        """
        waiting: dict[Path, Opened] = {}
        known: list[ReadFile] = []

        def unread() -> Iterator[OpenFile]:
            for found in files:
                if run.cancelled():
                    return
                path = path_of(found.raw)
                try:
                    opened = Opened(found, root.open(found.raw))
                except FileNotFoundError:
                    continue
                except ExtractionError as error:
                    known.append(ReadFile(found, None, error))
                    continue
                try:
                    self._check_secret(root, opened.descriptor)
                    opened.digest = open_hash(opened.descriptor, path)
                    if self._is_to_be_read(run, found, opened.digest):
                        waiting[path] = opened
                        yield OpenFile(path, opened.descriptor)
                        continue
                    known.append(ReadFile(found, opened.digest, None))
                except ExtractionError as error:
                    known.append(ReadFile(found, None, error))
                except OSError as error:
                    known.append(
                        ReadFile(
                            found, None, ExtractionError(f"it cannot be read: {error}", rule="unreadable")
                        )
                    )
                opened.close()

        try:
            for path, outcome in extractor.extract_many(unread(), run.cancelled):
                yield from _drained(known)
                yield self._prepare(waiting.pop(path).read(path, outcome))
            yield from _drained(known)
        finally:
            for opened in waiting.values():
                opened.close()

    def _is_to_be_read(self, run: IndexRun, found: ScannedFile, digest: bytes) -> bool:
        """Whether its content is not known yet, of another type, or read once more."""
        row = self.ledger.get(run.job.collection, found.raw)
        if digest in run.again or (row is not None and row.size == REREAD):
            return True
        return not self.corpus.by_content(run.job.collection, digest)

    def _check_secret(self, root: OpenRoot, descriptor: int) -> None:
        """Raise ExtractionError for a file that holds a secret, unless it was named itself or secrets are wanted."""
        if self.settings.scan.secrets or not root.is_folder:
            return
        if skip := secret_head(secret_beginning(descriptor)):
            raise ExtractionError(skip.reason, rule=skip.rule, hint="Name the file itself to index it.")

    def _prepare(self, read: ReadFile) -> ReadFile:
        """Make the documents of what was read, and have their words taken apart: they are stored shortly."""
        if not isinstance(read.outcome, tuple) or read.digest is None:
            return read
        try:
            with days.in_zone(days.zone(self.settings.time_zone)):
                made = tuple(self._document(read.found, read.digest, extract) for extract in read.outcome)
        except Exception as error:
            return _failed(read, error)
        for document in made:
            self.derived.begin(document)
        return replace(read, documents=made)

    def _document(self, found: ScannedFile, digest: bytes, extract: Extract) -> NewDocument:
        document = from_extract(extract, key_of(found.path, extract.member), self.settings.chunk)
        return replace(
            document,
            path=found.path,
            size=found.size,
            modified=document.modified or days.instant(found.mtime_ns / 1e9),
            content_hash=digest,
        )

    # -- store

    def _store_all(self, run: IndexRun, root: Path, reads: Generator[ReadFile, None, None]) -> None:
        """Store what is read, one batch after another, each by a thread while the next is read."""
        with closing(reads), ThreadPoolExecutor(1, "localsearch-store") as beside:
            stored: Future[None] | None = None
            for batch in _batches(reads):
                if stored:
                    stored.result()
                stored = beside.submit(self._store, run, root, batch)
            if stored:
                stored.result()

    def _store(self, run: IndexRun, root: Path, batch: list[ReadFile]) -> None:
        """Store what was read, up to where the user stops; the rest is read again by the next run."""
        with self.db.write():
            for read in batch:
                if run.cancelled():
                    break
                self._store_safely(run, root, read)
        run.done += len(batch)
        run.report(Progress(run.stage, run.done, run.to_read, "files", batch[-1].found.path))
        self.derived.catch_up()

    def _store_safely(self, run: IndexRun, root: Path, read: ReadFile) -> None:
        """Store one file, or its failure: an error that nobody foresaw costs this file alone."""
        before = run.copy()
        try:
            with self.db.savepoint():
                self._store_one(run, root, read)
        except LocalSearchError:
            raise
        except Exception as error:
            run.restore(before)
            self._store_one(run, root, _failed(read, error))

    def _store_one(self, run: IndexRun, root: Path, read: ReadFile) -> None:
        collection, found = run.job.collection, read.found
        old = self.ledger.get(collection, found.raw)
        old_hash = old.content_hash if old else None
        row = _row(collection, str(root), found)
        if isinstance(read.outcome, ExtractionError) or read.digest is None:
            self._store_failure(run, row, old, found, read.outcome)
            return
        known = self.corpus.by_content(collection, read.digest)
        if not known and read.outcome is None:
            # Its content was known when it was looked at, and left with another file since.
            row = replace(row, size=REREAD)
            self.ledger.put(row)
            run.reread.append(row)
            if old_hash and old_hash != read.digest:
                self._release(run, collection, old_hash)
            return
        if known and read.outcome is not None and old is not None and old.size == REREAD:
            self.corpus.remove([document.id for document in known])
            known = []
        if old_hash is None:
            self.corpus.unname(collection, [found.path])
        notes = [*_notes(found), *self._notes(collection, read)]
        row = replace(row, content_hash=read.digest, rule=self._rule(collection, read))
        self.ledger.put(replace(row, notes=tuple(notes)))
        if old_hash and old_hash != read.digest:
            self._release(run, collection, old_hash)
        if known and read.digest in run.again:
            self._take_out(run, row, known, notes)
            known = []
        if known and old_hash != read.digest:
            self.corpus.touch([document.id for document in known])
        lost = [] if known else self._store_documents(run, read.documents)
        if lost:
            told = tuple(dict.fromkeys((*notes, *lost)))
            self.ledger.put(replace(row, notes=told))
        run.count("unchanged" if old_hash == read.digest else "changed" if old_hash else "new")

    def _rule(self, collection: str, read: ReadFile) -> str:
        """The rule `image` for what holds pictures of text that were not read; for known content as before."""
        if isinstance(read.outcome, tuple):
            return "image" if any(extract.scans for extract in read.outcome) else ""
        holders = self.ledger.holders(collection, read.digest) if read.digest else []
        return holders[0].rule if holders else ""

    def _take_out(
        self, run: IndexRun, row: FileRow, known: Sequence[DocumentRow], notes: Sequence[str]
    ) -> None:
        """Make place for the documents of content that was read once more, whatever other files hold it."""
        assert row.content_hash is not None
        run.again.discard(row.content_hash)
        self.corpus.remove([document.id for document in known])
        for holder in self.ledger.holders(row.collection, row.content_hash):
            self.ledger.put(replace(holder, rule=row.rule, notes=tuple(notes)))

    def _notes(self, collection: str, read: ReadFile) -> tuple[str, ...]:
        """What could not be read of a file, with the member it is in; of known content what was noted before."""
        if isinstance(read.outcome, tuple):
            named = ((f"{extract.member}: " if extract.member else "", extract) for extract in read.outcome)
            return tuple(dict.fromkeys(f"{name}{note}" for name, extract in named for note in extract.notes))
        holders = self.ledger.holders(collection, read.digest) if read.digest else []
        return holders[0].notes if holders else ()

    def _store_documents(self, run: IndexRun, documents: Sequence[NewDocument]) -> list[str]:
        """Store what a file holds; returns what its documents' notes tell."""
        notes: list[str] = []
        for document in documents:
            run.chunks += self._put(run.job.collection, document)
            run.documents += 1
            member = f"{document.member}: " if document.member else ""
            notes += [f"{member}{note}" for note in document.notes]
        return notes

    def _store_failure(
        self, run: IndexRun, row: FileRow, old: FileRow | None, found: ScannedFile, outcome: object
    ) -> None:
        """A file that could not be read keeps its last good content; one that holds nothing to read does not."""
        error = outcome if isinstance(outcome, ExtractionError) else ExtractionError("could not be read")
        if old is not None and old.content_hash in run.again:
            told = f"its scans could not be read: {error.message}"
            self.ledger.put(replace(old, rule="", notes=(*old.notes, told)))
            return
        rule = str(error.data.get("rule", "error"))
        skipped = rule in SKIPPING_RULES or rule == "secret"
        kept = None if skipped or old is None else old.content_hash
        row = replace(
            row,
            state="skipped" if skipped else "failed",
            rule=rule,
            reason=error.message,
            content_hash=kept,
            tries=(old.tries if old else 0) + 1,
        )
        self.ledger.put(row)
        if skipped and old and old.content_hash:
            self._release(run, row.collection, old.content_hash)
        if kept is None:
            self._put_name(row.collection, found, rule, error.message)
        run.leave_out(row.state, rule)

    def _record_skips(self, run: IndexRun, skipped: list[ScannedFile]) -> None:
        with self.db.write():
            for found in skipped:
                assert found.skip is not None
                collection = run.job.collection
                old = self.ledger.get(collection, found.raw)
                row = _row(collection, found.path, found)
                unreadable = found.skip.rule == "unreadable"
                kept = old.content_hash if old and unreadable else None
                self.ledger.put(
                    replace(
                        row,
                        state="skipped",
                        rule=found.skip.rule,
                        reason=found.skip.reason,
                        content_hash=kept,
                    )
                )
                if old and old.content_hash and not unreadable:
                    self._release(run, collection, old.content_hash)
                if kept is None:
                    self._put_name(collection, found, found.skip.rule, found.skip.reason)
        if skipped:
            self.derived.catch_up()

    def _remove(self, run: IndexRun, gone: list[bytes]) -> None:
        collection = run.job.collection
        with self.db.write():
            rows = [row for raw in gone if (row := self.ledger.get(collection, raw))]
            hashes = {row.content_hash for row in rows}
            self.ledger.remove(collection, gone)
            self.corpus.unname(collection, [row.path for row in rows if not row.content_hash])
            for digest in hashes:
                if digest:
                    self._release(run, collection, digest)
        run.count("removed", len(gone))
        if gone:
            self.derived.catch_up()

    def _release(self, run: IndexRun, collection: str, digest: bytes) -> None:
        """A path stopped holding this content: give its documents another holder's path, or delete them.

        A path whose ending differs may tell another type: its file is read again.
        """
        holders = self.ledger.holders(collection, digest)
        paths = {holder.path for holder in holders}
        for document in self.corpus.by_content(collection, digest):
            if not holders:
                self.corpus.remove([document.id])
            elif document.path in paths:
                self.corpus.touch([document.id])
            else:
                path = holders[0].path
                if _ending(path) != _ending(document.path or ""):
                    again = replace(holders[0], size=REREAD)
                    self.ledger.put(again)
                    run.reread.append(again)
                key = key_of(path, document.member)
                self.embeddings.expect(self.corpus.rename(document.id, key, path))


def _batches(reads: Iterator[ReadFile]) -> Iterator[list[ReadFile]]:
    """Group what was read, so that a batch is neither large nor late, the first ones least."""
    batch: list[ReadFile] = []
    began, held, times = time.monotonic(), 0, 1
    for read in reads:
        batch.append(read)
        held += sum(len(extract.text) for extract in read.outcome) if isinstance(read.outcome, tuple) else 0
        late = time.monotonic() - began > times * _BATCH_S
        if late or len(batch) >= times * _BATCH_FILES or held >= _BATCH_CHARACTERS:
            yield batch
            batch, began, held, times = [], time.monotonic(), 0, min(times + 1, _BATCH_GROWS)
    if batch:
        yield batch


def _failed(read: ReadFile, error: Exception) -> ReadFile:
    """A file that an error which nobody foresaw has kept from being stored."""
    _LOG.error("%s could not be stored", read.found.path, exc_info=error)
    refused = ExtractionError(
        f"an unexpected {type(error).__name__}; the log has the details", rule="internal"
    )
    return replace(read, digest=None, outcome=refused, documents=())


def _drained(known: list[ReadFile]) -> Iterator[ReadFile]:
    while known:
        yield known.pop()


def _same(row: FileRow, found: ScannedFile) -> bool:
    """Whether a file that may be read was dealt with as it is: not if a rule left it out that no longer does."""
    left_out = row.state == "skipped" and row.rule not in SKIPPING_RULES
    moved = row.inode not in (0, found.inode)
    return not left_out and not moved and (row.size, row.mtime_ns) == (found.size, found.mtime_ns)


def _is_stale(row: FileRow, found: ScannedFile, named: Set[str]) -> bool:
    """Whether a file that is left out as before has changed since, or has no name yet."""
    changed = (row.size, row.mtime_ns) != (found.size, found.mtime_ns)
    return not found.folder and row.content_hash is None and (changed or _is_nameless(row, named))


def _is_nameless(row: FileRow, named: Set[str]) -> bool:
    return row.rule not in UNNAMED_RULES and row.path not in named


def _ending(path: str) -> str:
    """What a name tells of the type: its ending, or all of it."""
    name = PurePosixPath(path)
    return name.suffix.lower() or name.name


def _notes(found: ScannedFile) -> list[str]:
    """What is to be told of a file before it is read."""
    if EARLIEST_NS < found.mtime_ns < LATEST_NS:
        return []
    return ["its date of change lies outside the years 1677 to 2262; the nearest is kept"]


def _row(collection: str, root: str, found: ScannedFile) -> FileRow:
    return FileRow(
        collection,
        found.raw,
        found.path,
        root,
        found.size,
        found.mtime_ns,
        None,
        "indexed",
        inode=found.inode,
    )
