"""Documents that programs send, and reading those that are there."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from localsearch.engine import part_of
from localsearch.errors import NotFoundError
from localsearch.scan import raw_of
from localsearch.server.files import open_original
from localsearch.server.job_handlers import DEFAULT_COLLECTION, records
from localsearch.server.operations import Call, Operation
from localsearch.server.problems import HttpError, bad_request
from localsearch.server.responses import FileResponse, Response
from localsearch.server.schemas.documents import (
    Deleted,
    DeleteParameters,
    DocumentParameters,
    DocumentsAnswer,
    DocumentsReceived,
    DocumentsRequest,
    InCollection,
    ReadRequest,
    Refused,
    SentDocument,
)
from localsearch.server.schemas.jobs import JobStarted
from localsearch.server.service import Service
from localsearch.types import Document, Documents, Part

MEGABYTE = 1 << 20
KEPT_SHOWN = 1200
"""Characters of the text of a file that is gone which a person is shown."""
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


def get(service: Service, call: Call) -> Document:
    """One document with its text, or a part of it."""
    asked: DocumentParameters = call.query
    part = part_of(asked.lines, asked.pages, asked.at, asked.chars, asked.max_chars)
    return service.engine.read(call.path["id"], part, collection=asked.collection, within=call.within)


def read(service: Service, call: Call) -> Documents:
    """Several documents within a budget."""
    asked: ReadRequest = call.body
    return service.engine.read_many(
        asked.names, collection=asked.collection, within=call.within, each=asked.each, budget=asked.budget
    )


def original(service: Service, call: Call) -> FileResponse:
    """The file a document was read from. Where it cannot be opened, the error carries what is kept of its text."""
    asked: InCollection = call.query
    name, within = call.path["id"], call.within
    found = service.engine.read(name, Part(most=0), collection=asked.collection, within=within)
    try:
        return opened(service, found)
    except NotFoundError as error:
        error.data["kept"] = service.engine.read(
            name, Part(at=0, chars=KEPT_SHOWN), collection=asked.collection, within=within
        )
        raise


def opened(service: Service, found: Document) -> FileResponse:
    """The file of a document, open. Raises NotFoundError where there is none, or it may not be read any more."""
    if service.follower:
        raise NotFoundError(
            "A reader has no originals.",
            hint=f"Ask the primary: {service.primary or 'its address is not known'}.",
        )
    ledger = service.engine.ledger
    files = [file for file in ledger.at(found.path or "") if file.collection == found.collection]
    if not files:
        raise NotFoundError("No file belongs to this document.", hint="GET /documents/{id} has its text.")
    roots = [
        (raw_of(path), raw_of(str(how.get("true") or path)))
        for collection, path, how in ledger.trusted_roots()
        if collection == found.collection
    ]
    return open_original(files[0].raw, found.type, roots, secrets=service.engine.settings.scan.secrets)


def delete(service: Service, call: Call) -> Deleted:
    """Delete a document."""
    parameters: DeleteParameters = call.query
    service.engine.delete(call.path["id"], collection=parameters.collection, purge=parameters.purge)
    if parameters.purge:
        service.clear_caches()
    return Deleted(id=call.path["id"])


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
        "One document with its text, or some lines or pages of it, or the text around an offset.",
        get,
        query=DocumentParameters,
        answer=Document,
        limited=True,
        anywhere=True,
        tag="documents",
    ),
    Operation(
        "POST",
        "/read",
        "Several documents by ids, paths or patterns, within a budget of characters.",
        read,
        body=ReadRequest,
        answer=Documents,
        limited=True,
        anywhere=True,
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
        "/originals/{id:id}",
        "The file that a document was read from.",
        original,
        query=InCollection,
        produces="application/octet-stream",
        limited=True,
        anywhere=True,
        tag="documents",
    ),
)
