"""What each kind of job does with the engine. Runs in the one thread of `Jobs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from localsearch.engine import Engine
from localsearch.server.jobs import JobHandler
from localsearch.server.schemas.documents import DocumentsRequest, SentDocument
from localsearch.server.schemas.folders import FolderRequest
from localsearch.server.schemas.jobs import IndexRequest
from localsearch.server.schemas.system import ComparisonRequest, VersionRequest
from localsearch.types import Cancelled, Progress, Record, Report

BATCH = 100
"""Documents stored in one transaction: the step after which a job can be stopped."""
MOST_TOLD = 100
"""Documents that were refused which a job names."""
DEFAULT_COLLECTION = "default"


def records(documents: Sequence[SentDocument]) -> list[Record]:
    """Documents as the engine takes them."""
    return [Record(sent.text, sent.id, sent.title or "", sent.metadata or {}) for sent in documents]


def job_handlers(engine: Engine) -> Mapping[str, JobHandler]:
    """What does each kind of job, by its name."""

    def index(payload: Any, report: Report, cancelled: Cancelled) -> Mapping[str, Any]:
        request = msgspec.convert(payload, IndexRequest)
        outcome = engine.index(
            request.paths,
            collection=request.collection or DEFAULT_COLLECTION,
            include=request.include or (),
            exclude=request.exclude or (),
            retry_failed=bool(request.retry_failed),
            roots=engine.settings.server.index_roots,  # checked when it was asked for; paths may lead elsewhere by now
            report=report,
            cancelled=cancelled,
        )
        result: dict[str, Any] = msgspec.to_builtins(outcome)
        return result

    def documents(payload: Any, report: Report, cancelled: Cancelled) -> Mapping[str, Any]:
        request = msgspec.convert(payload, DocumentsRequest)
        waiting, ids, refused = records(request.documents), list[str](), list[str]()

        def told(stopped: bool) -> Mapping[str, Any]:
            result: dict[str, Any] = {"ids": ids, "cancelled": stopped}
            return result | ({"refused": refused[:MOST_TOLD]} if refused else {})

        for start in range(0, len(waiting), BATCH):
            if cancelled():
                return told(True)
            batch = waiting[start : start + BATCH]
            added = engine.add_valid(batch, collection=request.collection or DEFAULT_COLLECTION)
            ids += added.ids
            refused += [f"{batch[at].id or 'without an id'}: {why}" for at, why in added.refused.items()]
            report(Progress("store", start + len(batch), len(waiting), "documents"))
        return told(False)

    def forget(payload: Any, report: Report, cancelled: Cancelled) -> Mapping[str, Any]:
        request = msgspec.convert(payload, FolderRequest)
        outcome = engine.folders.forget(request.path, request.collection)
        result: dict[str, Any] = msgspec.to_builtins(outcome)
        return result

    def version(payload: Any, report: Report, cancelled: Cancelled) -> Mapping[str, Any]:
        request = msgspec.convert(payload, VersionRequest)
        if not engine.models.installed(request.model):
            engine.models.pull(request.model, report, cancelled)
        encoder = engine.models.encoder(request.model, request.precision)
        built = engine.versions.build(encoder, report, cancelled)
        state = next(one for one in engine.versions.states() if one.id == built.id)
        result: dict[str, Any] = msgspec.to_builtins(state)
        return result | {"cancelled": cancelled()}

    def compare(payload: Any, report: Report, cancelled: Cancelled) -> Mapping[str, Any]:
        request = msgspec.convert(payload, ComparisonRequest)
        result: dict[str, Any] = msgspec.to_builtins(
            engine.compare_versions(request.first, request.second, request.questions)
        )
        return result

    def gc(payload: Any, report: Report, cancelled: Cancelled) -> Mapping[str, Any]:
        return {"freed": engine.versions.gc()}

    return {
        "index": index,
        "documents": documents,
        "forget": forget,
        "version": version,
        "compare": compare,
        "gc": gc,
    }
