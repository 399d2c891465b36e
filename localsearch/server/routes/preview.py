"""What a person looks at before opening a file: a passage in its context, and pages as pictures."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path

from localsearch.checked import moment
from localsearch.errors import ExtractionError, NotFoundError
from localsearch.extract import wire
from localsearch.extract.drawn import PageImage
from localsearch.extract.process import OpenFile
from localsearch.server.addresses import is_loopback
from localsearch.server.highlighting import highlighted
from localsearch.server.operations import Call, Operation
from localsearch.server.problems import HttpError
from localsearch.server.reasons import told
from localsearch.server.rendering import headings, rendered
from localsearch.server.reveal import reveal
from localsearch.server.routes.documents import opened
from localsearch.server.schemas.documents import InCollection
from localsearch.server.schemas.preview import (
    Heading,
    PageAnswer,
    PageParameters,
    PartAnswer,
    PassageAnswer,
    PassageParameters,
    RevealAnswer,
    Slide,
)
from localsearch.server.service import Service
from localsearch.types import Document, Part

MOST_HEADINGS, MOST_PARTS = 500, 50
"""Headings, and other documents of the same file, that come with a passage."""
MOST_READ = 400_000
"""Characters of a Markdown document in which headings are looked for."""
MOST_TITLE = 120
"""Characters of a slide's title."""
_SHOWS = ("pptx", "ppt", "odp")
MOST_PASSAGE = 20_000
"""Characters of a passage that are looked for on a page."""
_HEAD = re.compile(r"(?:(?:Subject|From|To|Cc|Date|Bcc(?=: (?P<bcc>.*))): .*(?:\n|\Z))*\n*")
"""How the text of a mail begins: `extract.headers.FIELDS`, a line each."""
_MAIL = {"To": "to", "Cc": "cc", "Reply-To": "reply_to"}


def passage(service: Service, call: Call) -> PassageAnswer:
    """Part of a document's text, around an offset."""
    asked: PassageParameters = call.query
    part = Part(at=asked.at, chars=asked.chars)
    found = service.engine.read(call.path["id"], part, collection=asked.collection, within=call.within)
    head = _head(found) if asked.rendered else {}
    return PassageAnswer(
        id=found.id,
        collection=found.collection,
        title=found.title,
        path=found.path,
        type=found.type,
        start=found.start,
        stop=found.stop,
        length=found.length,
        more=found.more,
        text=found.text,
        line=_line_at(service, found),
        left_out=told(found.left_out) if found.left_out else None,
        html=_drawn(found, asked) if asked.rendered and found.type == "markdown" else "",
        outline=list(_outline(service, found)) if asked.rendered else [],
        head=head,
        head_stop=_told_head(found).end() if head else 0,
        parts=list(_parts(service, call, found)) if asked.rendered else [],
        slides=list(_slides(service, found)) if asked.rendered and found.type in _SHOWS else [],
        colours=list(highlighted(found.text, found.path or found.id))
        if asked.rendered and found.type == "code"
        else [],
    )


def _line_at(service: Service, found: Document) -> int:
    """The line of the document's text at which a part starts, from 1."""
    row = service.engine.corpus.find(found.collection, found.id) if found.start else None
    return service.engine.corpus.text(row.id, 0, found.start).count("\n") + 1 if row else 1


def _drawn(found: Document, asked: PassageParameters) -> str:
    """Part of a Markdown document as HTML, from the start of a block near what is looked for."""
    at = asked.at - found.start
    whole = max(0, found.text.rfind("\n\n", 0, min(at, 400)) + 2) if found.start else 0
    return rendered(found.text[whole:], at - whole, max(asked.stop - found.start, at + 1) - whole)


def _outline(service: Service, found: Document) -> Iterator[Heading]:
    """The headings of a document, sheets and chapters too, in order, each with where its first chunk stands.

    Of Markdown every heading is told; of other types those at which a chunk begins.
    """
    row = service.engine.corpus.find(found.collection, found.id)
    if row and found.type == "markdown":
        listed = islice(headings(service.engine.corpus.text(row.id, 0, MOST_READ)), MOST_HEADINGS)
        yield from (Heading(title=a, level=b, start=c, stop=d, page=None) for a, b, c, d in listed)
        return
    before: tuple[str, ...] = ()
    told = 0
    for start, stop, place in service.engine.corpus.places(row.id) if row else ():
        now = tuple(filter(None, (place.sheet, place.chapter, *place.heading)))
        shared = next(
            (at for at, (a, b) in enumerate(zip(before, now)) if a != b), min(len(before), len(now))
        )
        for level, title in enumerate(now[shared:], shared + 1):
            if told < MOST_HEADINGS:
                yield Heading(title=title, level=level, start=start, stop=stop, page=place.page)
            told += 1
        before = now


def _told_head(found: Document) -> re.Match[str]:
    """The lines with which the text of a mail begins, where this is its beginning."""
    lines = _HEAD.match(found.text if not found.start else "")
    assert lines is not None  # no line is a match too
    return lines


def _head(found: Document) -> dict[str, str]:
    """From, to and when of a mail."""
    if not (found.metadata.get("message_id") or found.type in ("eml", "emlx", "msg", "mbox")):
        return {}
    when = moment(found.created)
    date = when.isoformat() if when else ""
    lines = {
        "From": found.author,
        **{name: found.metadata.get(key) for name, key in _MAIL.items()},
        "Bcc": _told_head(found)["bcc"],
        "Date": date,
    }
    return {name: value for name, value in lines.items() if isinstance(value, str) and value}


def _slides(service: Service, found: Document) -> Iterator[Slide]:
    """The slides of a presentation in order, each with its heading, else its first line."""
    corpus = service.engine.corpus
    row = corpus.find(found.collection, found.id)
    numbered = [one for one in corpus.places(row.id) if one[2].page] if row else []
    by_page = groupby(numbered, lambda one: one[2].page or 0)
    for page, group in islice(by_page, MOST_HEADINGS):
        chunks = list(group)
        start, stop = chunks[0][0], max(end for _, end, _ in chunks)
        heading = chunks[0][2].heading
        first = corpus.text(row.id, start, min(stop, start + MOST_TITLE)) if row else ""
        yield Slide(
            page=page,
            title=heading[-1] if heading else first.strip().partition("\n")[0],
            start=start,
            stop=stop,
        )


def _parts(service: Service, call: Call, found: Document) -> Iterator[PartAnswer]:
    """Other documents of the same file that may be seen: attachments, members of an archive."""
    corpus = service.engine.corpus
    row = corpus.find(found.collection, found.id)
    others = corpus.by_content(row.collection, row.content_hash) if row and row.content_hash else []
    told = 0
    for other in others:
        if row and other.id != row.id and told < MOST_PARTS and corpus.holds(call.within, other.id):
            told += 1
            yield PartAnswer(id=other.key, title=other.title, type=other.type)


def page(service: Service, call: Call) -> PageAnswer:
    """A page of a PDF as a picture, with where the passage and the words stand on it."""
    asked: PageParameters = call.query
    found = service.engine.read(
        call.path["id"], Part(most=0), collection=asked.collection, within=call.within
    )
    row = service.engine.corpus.find(found.collection, found.id)
    if row is None or row.type != "pdf" or row.member or not row.content_hash:
        raise NotFoundError(
            "Only PDF files have pages that are shown.", hint="GET /passages/{id} has the text."
        )
    stop = min(asked.stop, asked.at + MOST_PASSAGE)
    text = service.engine.corpus.text(row.id, asked.at, stop) if stop > asked.at else ""
    wanted = wire.Page(asked.page, asked.width, text, asked.words)
    image = _image(service, found, row.content_hash, wanted)
    return PageAnswer(
        page=asked.page,
        pages=image.pages,
        width=image.width,
        height=image.height,
        png=base64.b64encode(image.png).decode(),
        passage=list(image.passage),
        words=list(image.words),
    )


def _image(service: Service, found: Document, content: bytes, wanted: wire.Page) -> PageImage:
    """The picture from memory, or drawn now; the file must be there, and what may be read, either way."""
    file = opened(service, found)
    try:
        key = (content, wanted.number, wanted.width, wanted.passage, wanted.words)
        image = service.page_images.get(key)
        if image is None:
            image = service.pages.draw(OpenFile(Path(found.path or ""), file.descriptor), wanted)
            service.page_images.put(key, image)
        return image
    except ExtractionError as error:
        raise HttpError(
            409,
            "not_drawn",
            f"The page cannot be shown: {error.message}.",
            hint="Its text is below, or open the file.",
        ) from error
    finally:
        os.close(file.descriptor)


def may_reveal(service: Service, call: Call) -> bool:
    """Whether who asks sits at this machine as the user who runs the server, by system or by the address it printed."""
    server = service.settings.server
    own = call.key is None or service.keyring.is_token(call.key)
    return own and is_loopback(server.host) and not server.trust_local_users


def show(service: Service, call: Call) -> RevealAnswer:
    """Show the file of a document in its folder."""
    if not may_reveal(service, call):
        raise HttpError(
            403,
            "not_here",
            "Files are shown in their folder to the user who runs the server, on its own machine alone.",
            hint="GET /originals/{id} gives the file.",
        )
    asked: InCollection = call.query
    found = service.engine.read(
        call.path["id"], Part(most=0), collection=asked.collection, within=call.within
    )
    os.close(opened(service, found).descriptor)  # it is there, and one that may be read
    reveal(found.path or "")
    return RevealAnswer()


OPERATIONS = (
    Operation(
        "GET",
        "/passages/{id:id}",
        "Part of a document's text: the chunk of a hit in its context, with the outline of the document.",
        passage,
        query=PassageParameters,
        answer=PassageAnswer,
        limited=True,
        anywhere=True,
        tag="documents",
    ),
    Operation(
        "GET",
        "/pages/{id:id}",
        "A page of a PDF as a picture, with where a passage and words stand on it.",
        page,
        query=PageParameters,
        answer=PageAnswer,
        limited=True,
        tag="documents",
    ),
    Operation(
        "POST",
        "/reveal/{id:id}",
        "Show the file of a document in the file manager of the server's own machine, for the user who runs it.",
        show,
        query=InCollection,
        answer=RevealAnswer,
        scope="admin",
        tag="documents",
    ),
)
