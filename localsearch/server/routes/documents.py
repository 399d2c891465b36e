"""Documents that programs send, and reading those that are there."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from localsearch.errors import NotFoundError
from localsearch.scan import raw_of
from localsearch.server.files import open_original
from localsearch.server.job_handlers import DEFAULT_COLLECTION, records
from localsearch.server.operations import Call, Operation
from localsearch.server.problems import HttpError, bad_request
from localsearch.server.rendering import rendered
from localsearch.server.responses import FileResponse, Response
from localsearch.server.schemas.documents import (
    Deleted,
    DeleteParameters,
    DocumentAnswer,
    DocumentsAnswer,
    DocumentsReceived,
    DocumentsRequest,
    InCollection,
    PassageAnswer,
    PassageParameters,
    Refused,
    SentDocument,
)
from localsearch.server.schemas.jobs import JobStarted
from localsearch.server.service import Service
from localsearch.store import DocumentRow

MEGABYTE = 1 << 20
_DOCUMENT = msgspec.json.Decoder(SentDocument)


def add(service: Service, call: Call) -> Response:
    """Store documents; many or large ones as a job. One that is none costs itself."""
    received: DocumentsReceived = call.body
    sent, refused = _told_apart(received.documents)
    if len(received.documents) >= service.settings.server.limits.job_documents or call.size > MEGABYTE:
        request = DocumentsRequest(documents=list(sent.values()), collection=received.collection)
        return started(service, "documents", request, refused)
    collection = received.collection or DEFAULT_COLLECTION
    added = service.engine.add_valid(records(list(sent.values())), collection=collection)
    places = list(sent)
    refused += [Refused(at=places[at], message=why) for at, why in added.refused.items()]
    if not added.ids:
        raise _nothing_left(refused)
    return Response(
        DocumentsAnswer(ids=added.ids, collection=collection, refused=refused), 207 if refused else 200
    )


def _told_apart(documents: Sequence[Raw]) -> tuple[dict[int, SentDocument], list[Refused]]:
    """Documents by their place in the request, and those that are none. Raises 400 when all are none."""
    sent: dict[int, SentDocument] = {}
    refused = []
    for at, raw in enumerate(documents):
        try:
            sent[at] = _DOCUMENT.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            refused.append(Refused(at=at, message=str(error)[:500]))
        except RecursionError:
            refused.append(Refused(at=at, message="It nests too deep."))
    if not sent:
        raise _nothing_left(refused)
    return sent, refused


def _nothing_left(refused: Sequence[Refused]) -> HttpError:
    return bad_request(refused[0].message.replace("`$.", f"`$.documents[{refused[0].at}]."))


def started(service: Service, kind: str, request: object, refused: Sequence[Refused] = ()) -> Response:
    """Queue a job and say where to follow it."""
    job = service.jobs.submit(kind, request)
    location = (b"location", f"/jobs/{job.id}".encode())
    answer = JobStarted(job=job, events=f"/jobs/{job.id}/events", refused=list(refused))
    return Response(answer, 202, [location])


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
    before = service.engine.corpus.text(row.id, 0, start) if start else ""
    text = service.engine.corpus.text(row.id, start, start + parameters.chars + 1)
    shown = text[: parameters.chars]
    html = ""
    if parameters.rendered and row.type == "markdown":
        at = parameters.at - start
        whole = max(0, shown.rfind("\n\n", 0, min(at, 400)) + 2) if start else 0
        html = rendered(shown[whole:], at - whole, max(parameters.stop - start, at + 1) - whole)
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
        line=before.count("\n") + 1,
        html=html,
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
        received=DocumentsReceived,
        answer=DocumentsAnswer,
        also={202: JobStarted, 207: DocumentsAnswer},
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
