"""The server itself: is it well, what has it got, what does it cost."""

from __future__ import annotations

import time
from dataclasses import asdict

import msgspec

from localsearch.extract.limits import HINTS
from localsearch.models.cards import find_card
from localsearch.server.following import Following
from localsearch.server.metrics import CONTENT_TYPE
from localsearch.server.operations import Call, Operation
from localsearch.server.readings import replica
from localsearch.server.reasons import told
from localsearch.server.responses import Response
from localsearch.server.routes.documents import started
from localsearch.server.schemas.jobs import JobStarted
from localsearch.server.schemas.system import (
    AlertsAnswer,
    CacheAnswer,
    Cleared,
    ComparisonRequest,
    CostAnswer,
    GuardAnswer,
    HealthAnswer,
    HistoryAnswer,
    LedgerAnswer,
    LedgerFile,
    LedgerParameters,
    LedgerRule,
    ReadyAnswer,
    ReplicaAnswer,
    StatsAnswer,
    VectorsAnswer,
    VersionAnswer,
    VersionRequest,
    VersionsAnswer,
)
from localsearch.server.service import Service
from localsearch.store import FileRow, Version
from localsearch.vectors import VectorState


def health(service: Service, call: Call) -> HealthAnswer:
    """The process is alive."""
    return HealthAnswer()


def ready(service: Service, call: Call) -> Response:
    """Searches are answered; 503 while the server stops. As answers have it at this moment, not as last looked at."""
    service.engine.refresh()
    derived = service.engine.derived
    semantic = derived.semantic
    answer = ReadyAnswer(
        ready=not service.stopping.is_set(),
        documents=derived.corpus.document_count(),
        semantic_coverage=round(derived.coverage(), 4),
        version=semantic.version.name if semantic else None,
        state=str(state) if (state := service.engines.now.state) else None,
        read_only=service.read_only,
        replica=_replica(service.follower.status) if service.follower else None,
        vectors=_vectors(semantic.vectors.look()) if semantic else None,
    )
    return Response(answer, 200 if answer.ready else 503)


def _vectors(state: VectorState) -> VectorsAnswer:
    values = asdict(state)
    return VectorsAnswer(**values | {"guard": GuardAnswer(**values["guard"])})


def _replica(status: Following) -> ReplicaAnswer:
    now = replica(status)
    return ReplicaAnswer(
        source=status.source,
        primary=status.primary,
        lag_s=round(now.lag_s, 3),
        shipped_s=round(now.shipped_s, 3),
        error=status.error,
    )


def metrics(service: Service, call: Call) -> Response:
    """Everything that is counted, as Prometheus reads it."""
    return Response(service.metrics.render(), type=CONTENT_TYPE)


def stats(service: Service, call: Call) -> StatsAnswer:
    """Counts, sizes, caches, cost."""
    now, status = service.housekeeping.snapshot(), service.engine.status()
    held = {name: CacheAnswer(**asdict(stats)) for name, stats in service.housekeeping.caches().items()}
    counted = {name: getattr(status, name) for name in StatsAnswer.__struct_fields__ if hasattr(status, name)}
    return StatsAnswer(
        **counted
        | {
            "cost": CostAnswer(**asdict(status.cost)),
            "vectors": _vectors(status.vectors) if status.vectors else None,
        },
        uptime_s=round(time.time() - service.started, 1),
        background_error=service.engine.background_error,
        caches=held,
        latency=service.housekeeping.latency(),
        jobs=service.jobs.counts(),
        quality=now.quality,
        recall=now.recall,
    )


def history(service: Service, call: Call) -> HistoryAnswer:
    """Samples of the last hour."""
    return HistoryAnswer(samples=list(service.housekeeping.samples), every_s=service.housekeeping.every_s)


def alerts(service: Service, call: Call) -> AlertsAnswer:
    """Firing and pending alerts."""
    return AlertsAnswer(alerts=service.alerts.current())


def ledger(service: Service, call: Call) -> LedgerAnswer:
    """Files by what became of them, or one file by its path."""
    parameters: LedgerParameters = call.query
    book = service.engine.ledger
    rows = book.at(parameters.path) if parameters.path else book.troubled(parameters.state, parameters.limit)
    return LedgerAnswer(
        files=[_file(row) for row in rows],
        rules=[LedgerRule(state=state, rule=rule, files=count) for state, rule, count in book.by_rule()],
        counts=book.counts() | {"noted": book.noted_count()},
    )


def _file(row: FileRow) -> LedgerFile:
    return LedgerFile(
        path=row.path,
        collection=row.collection,
        state=row.state,
        rule=row.rule,
        reason=row.reason,
        remedy=HINTS.get(row.rule, ""),
        tries=row.tries,
        size=row.size,
        stale=row.state == "failed" and row.content_hash is not None,
        notes=list(row.notes),
        told=[told(line) for line in row.notes or [row.reason]],
    )


def clear(service: Service, call: Call) -> Cleared:
    """Forget every cached answer and query vector."""
    return Cleared(cleared=service.clear_caches())


def versions(service: Service, call: Call) -> VersionsAnswer:
    """Embedding versions."""
    rows = service.engine.versions.states()
    return VersionsAnswer(
        versions=[msgspec.convert(row, VersionAnswer, from_attributes=True) for row in rows]
    )


def build(service: Service, call: Call) -> Response:
    """Queue the building of an embedding version. Raises NotFoundError for a model that nobody knows."""
    request: VersionRequest = call.body
    find_card(request.model, service.engine.models.cards())
    return started(service, "version", request)


def activate(service: Service, call: Call) -> VersionAnswer:
    """Answer from another version from now on."""
    return _version(service, service.engine.versions.activate(call.path["id"]))


def rollback(service: Service, call: Call) -> VersionAnswer:
    """Answer from the version that was active before. Raises ConflictError when there is none."""
    return _version(service, service.engine.versions.rollback())


def _version(service: Service, chosen: Version) -> VersionAnswer:
    states = service.engine.versions.states()
    state = next(state for state in states if state.id == chosen.id)
    return msgspec.convert(state, VersionAnswer, from_attributes=True)


def compare(service: Service, call: Call) -> Response:
    """Queue the comparison of two versions. Raises NotFoundError for one that is not there."""
    request: ComparisonRequest = call.body
    for name in (request.first, request.second):
        service.engine.versions.find(name)
    return started(service, "compare", request)


def gc(service: Service, call: Call) -> Response:
    """Queue the deletion of versions that are not in use; what is being built first is finished."""
    return started(service, "gc", {})


OPERATIONS = (
    Operation(
        "GET",
        "/health",
        "The process is alive.",
        health,
        answer=HealthAnswer,
        scope=None,
        queue="none",
        anywhere=True,
        tag="system",
    ),
    Operation(
        "GET",
        "/ready",
        "Searches are answered; 503 while the server starts or stops.",
        ready,
        answer=ReadyAnswer,
        also={503: ReadyAnswer},
        scope=None,
        strangers="read",
        anywhere=True,
        tag="system",
    ),
    Operation(
        "GET", "/stats", "Counts, sizes, caches, latency, cost.", stats, answer=StatsAnswer, tag="system"
    ),
    Operation(
        "GET", "/stats/history", "Samples of the last hour.", history, answer=HistoryAnswer, tag="system"
    ),
    Operation(
        "GET",
        "/metrics",
        "Everything that is counted, as Prometheus reads it.",
        metrics,
        produces="text/plain; version=0.0.4; charset=utf-8",
        tag="system",
    ),
    Operation(
        "GET", "/alerts", "Alerts that fire or are about to.", alerts, answer=AlertsAnswer, tag="system"
    ),
    Operation(
        "GET",
        "/ledger",
        "Files that could not be read or were skipped, and why.",
        ledger,
        query=LedgerParameters,
        answer=LedgerAnswer,
        tag="system",
    ),
    Operation(
        "POST",
        "/cache/clear",
        "Forget every cached answer.",
        clear,
        local=True,
        answer=Cleared,
        scope="admin",
        tag="system",
    ),
    Operation("GET", "/versions", "Embedding versions.", versions, answer=VersionsAnswer, tag="system"),
    Operation(
        "POST",
        "/versions",
        "Embed everything with another model beside the version in use, in the background.",
        build,
        body=VersionRequest,
        answer=JobStarted,
        status=202,
        scope="admin",
        tag="system",
    ),
    Operation(
        "POST",
        "/versions/{id}/activate",
        "Answer from this version, by number or name, from now on.",
        activate,
        answer=VersionAnswer,
        scope="admin",
        tag="system",
    ),
    Operation(
        "POST",
        "/versions/rollback",
        "Answer from the version that was active before.",
        rollback,
        answer=VersionAnswer,
        scope="admin",
        tag="system",
    ),
    Operation(
        "POST",
        "/versions/compare",
        "Hold two versions against each other, in the background.",
        compare,
        body=ComparisonRequest,
        answer=JobStarted,
        status=202,
        scope="admin",
        tag="system",
    ),
    Operation(
        "POST",
        "/versions/gc",
        "Delete versions that are not in use, in the background.",
        gc,
        answer=JobStarted,
        status=202,
        scope="admin",
        tag="system",
    ),
)
