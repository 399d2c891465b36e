"""Documents that programs send, and reading those that are there."""

from __future__ import annotations

from localsearch.errors import NotFoundError
from localsearch.scan import raw_of
from localsearch.server.files import open_original
from localsearch.server.job_handlers import DEFAULT_COLLECTION, records
from localsearch.server.operations import Call, Operation
from localsearch.server.responses import FileResponse, Response
from localsearch.server.schemas.documents import (
    Deleted,
    DeleteParameters,
    DocumentAnswer,
    DocumentsAnswer,
    DocumentsRequest,
    InCollection,
    PassageAnswer,
    PassageParameters,
)
from localsearch.server.schemas.jobs import JobStarted
from localsearch.server.service import Service
from localsearch.store import DocumentRow

MEGABYTE = 1 << 20


def add(service: Service, call: Call) -> DocumentsAnswer | Response:
    """Store documents; many or large ones as a job."""
    request: DocumentsRequest = call.body
    if len(request.documents) >= service.settings.server.limits.job_documents or call.size > MEGABYTE:
        return started(service, "documents", request)
    collection = request.collection or DEFAULT_COLLECTION
    ids = service.engine.add(records(request.documents), collection=collection)
    return DocumentsAnswer(ids=ids, collection=collection)


def started(service: Service, kind: str, request: object) -> Response:
    """Queue a job and say where to follow it."""
    job = service.jobs.submit(kind, request)
    location = (b"location", f"/jobs/{job.id}".encode())
    return Response(JobStarted(job=job, events=f"/jobs/{job.id}/events"), 202, [location])


def get(service: Service, call: Call) -> DocumentAnswer:
    """One document with its text."""
    parameters: InCollection = call.query
    row = _row(service, call.path["id"], parameters.collection)
    return DocumentAnswer(
        id=row.key,
        collection=row.collection,
        title=row.title,
        path=row.path,
        type=row.type,
        language=row.language,
        author=row.author,
        size=row.size,
        created=row.created,
        modified=row.modified,
        indexed=row.indexed,
        tags=list(row.tags),
        metadata=dict(row.metadata),
        text=service.engine.corpus.text(row.id),
    )


def chunk(service: Service, call: Call) -> PassageAnswer:
    """Part of a document's text, around an offset."""
    parameters: PassageParameters = call.query
    row = _row(service, call.path["id"], parameters.collection)
    start = max(0, parameters.at - parameters.chars // 2)
    text = service.engine.corpus.text(row.id, start, start + parameters.chars + 1)
    shown = text[: parameters.chars]
    return PassageAnswer(
        id=row.key,
        collection=row.collection,
        title=row.title,
        path=row.path,
        type=row.type,
        start=start,
        stop=start + len(shown),
        more=len(text) > len(shown),
        text=shown,
    )


def original(service: Service, call: Call) -> FileResponse:
    """The file a document was read from."""
    parameters: InCollection = call.query
    row = _row(service, call.path["id"], parameters.collection)
    ledger = service.engine.ledger
    files = [file for file in ledger.at(row.path or "") if file.collection == row.collection]
    if not files:
        raise NotFoundError("No file belongs to this document.", hint="GET /documents/{id} has its text.")
    roots = [
        (raw_of(path), raw_of(str(how.get("true") or path)))
        for collection, path, how in ledger.trusted_roots()
        if collection == row.collection
    ]
    return open_original(files[0].raw, row.type, roots)


def delete(service: Service, call: Call) -> Deleted:
    """Delete a document."""
    parameters: DeleteParameters = call.query
    service.engine.delete(call.path["id"], collection=parameters.collection, purge=parameters.purge)
    if parameters.purge:
        service.clear_caches()
    return Deleted(id=call.path["id"])


def _row(service: Service, id: str, collection: str) -> DocumentRow:
    row = service.engine.corpus.find(collection, id)
    if row is None:
        raise NotFoundError("There is no document with this id.", hint="Ids are as search gives them.")
    return row


OPERATIONS = (
    Operation(
        "POST",
        "/documents",
        "Store documents. They are durable and found by their words when the answer comes.",
        add,
        body=DocumentsRequest,
        answer=DocumentsAnswer,
        also={202: JobStarted},
        scope="write",
        large=True,
        tag="documents",
    ),
    Operation(
        "GET",
        "/documents/{id:id}",
        "One document with its text.",
        get,
        query=InCollection,
        answer=DocumentAnswer,
        tag="documents",
    ),
    Operation(
        "DELETE",
        "/documents/{id:id}",
        "Delete a document.",
        delete,
        query=DeleteParameters,
        answer=Deleted,
        scope="write",
        tag="documents",
    ),
    Operation(
        "GET",
        "/passages/{id:id}",
        "Part of a document's text: the chunk of a hit in its context.",
        chunk,
        query=PassageParameters,
        answer=PassageAnswer,
        tag="documents",
    ),
    Operation(
        "GET",
        "/originals/{id:id}",
        "The file that a document was read from.",
        original,
        query=InCollection,
        produces="application/octet-stream",
        tag="documents",
    ),
)
