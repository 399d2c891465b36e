"""Mail: the message, and its attachments as documents of their own."""

from __future__ import annotations

import email
import email.policy
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage, MIMEPart
from typing import TYPE_CHECKING, Any

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean, decode
from localsearch.extract.fields import front_matter, iso
from localsearch.extract.html import read_markup
from localsearch.extract.limits import failure
from localsearch.extract.source import Source, read_member, unread
from localsearch.types import Extract, Place

if TYPE_CHECKING:
    Part = MIMEPart[Any, Any]
_FROM_LINE = re.compile(rb"^From [^\n]*\n", re.M)
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.M)


def read_eml(source: Source) -> list[Extract]:
    """A message: its body as the document, and each attachment by its name."""
    return _message(source, _parsed(source.data), None, "eml")


def read_mbox(source: Source) -> list[Extract]:
    """Each message of a mailbox as a document of its own, addressed by its number from 1."""
    found: list[Extract] = []
    for number, data in enumerate(_messages(source.data), 1):
        if source.budget.members <= 0:
            found.append(unread(str(number), failure("bomb", "this message and all after it were left out")))
            break
        source.budget.members -= 1
        message = _parsed(_QUOTED_FROM.sub(rb"\1", data))
        found += _message(source, message, number, "mbox")
    if not found:
        raise failure("empty", "it holds no message")
    return found


def _messages(data: bytes) -> Iterator[bytes]:
    """The messages between lines that begin with "From " after an empty line, as RFC 4155 has it."""
    starts = [match for match in _FROM_LINE.finditer(data) if _begins_message(data, match.start())]
    for index, match in enumerate(starts):
        end = starts[index + 1].start() if index + 1 < len(starts) else len(data)
        yield data[match.end() : end]


def _begins_message(data: bytes, at: int) -> bool:
    return at == 0 or data[max(0, at - 4) : at].endswith((b"\n\n", b"\r\n\r\n"))


def _parsed(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def _message(source: Source, message: EmailMessage, number: int | None, kind: str) -> list[Extract]:
    builder = Builder(source.limits.text)
    place = Place(message=number)
    fields = {name: _header(message, name) for name in ("Subject", "From", "To", "Cc", "Date")}
    head = "\n".join(f"{name}: {value}" for name, value in fields.items() if value)
    builder.add(head, "paragraph", place)
    body = message.get_body(("plain", "html"))
    if body is not None:
        _add_body(builder, body, place)
    member = "" if number is None else str(number)
    first = builder.extract(kind, title=fields["Subject"], metadata=_metadata(fields, message), member=member)
    return [first, *_attachments(source, message, body, number, member)]


def _header(message: EmailMessage, name: str) -> str:
    try:
        return clean(" ".join(str(message.get(name, "")).split()))
    except Exception:  # the header parser raises various errors on damaged headers
        return clean(" ".join(str(dict(message.raw_items()).get(name, "")).split()))


def _add_body(builder: Builder, body: Part, place: Place) -> None:
    text = _content(body)
    if body.get_content_type() == "text/html":
        read_markup(text, builder, place)
        builder.leave_headings()
    else:
        builder.add(text, "paragraph", place)


def _content(part: Part) -> str:
    data = part.get_payload(decode=True)
    return decode(data if isinstance(data, bytes) else b"", part.get_content_charset() or "")[0]


def _metadata(fields: dict[str, str], message: EmailMessage) -> dict[str, Any]:
    found = {"author": fields["From"], "to": fields["To"], "cc": fields["Cc"], "created": iso(fields["Date"])}
    return front_matter(
        found | {"message_id": _header(message, "Message-ID"), "tags": _header(message, "Keywords")}
    )


def _attachments(
    source: Source, message: EmailMessage, body: Part | None, number: int | None, member: str
) -> Iterator[Extract]:
    for index, part in enumerate(message.walk(), 1):
        if part is body or part.is_multipart() or _is_alternative(part, message):
            continue
        name = part.get_filename() or f"part {index}"
        data = part.get_payload(decode=True)
        if not isinstance(data, bytes) or not data:
            continue
        source.budget.take(len(data))
        for extract in read_member(source, data, name, Place(message=number, part=name)):
            yield _beneath(extract, member)


def _is_alternative(part: Part, message: EmailMessage) -> bool:
    """Whether a part says again, in another form, what the body says."""
    return part.get_filename() is None and part.get_content_maintype() == "text" and not part.is_attachment()


def _beneath(extract: Extract, member: str) -> Extract:
    return replace(extract, member=f"{member}/{extract.member}") if member else extract


def read_msg(source: Source) -> list[Extract]:
    """An Outlook message with its attachments."""
    from oxmsg import Message

    try:
        message = Message.load(io.BytesIO(source.data))
        fields = {
            "Subject": message.subject or "",
            "From": message.sender or "",
            "To": ", ".join(
                filter(None, (person.name or person.email_address for person in message.recipients))
            ),
            "Cc": "",
            "Date": message.sent_date.isoformat() if message.sent_date else "",
        }
        text = message.body
        markup = message.html_body
        files = [(item.file_name or "part", item.file_bytes) for item in message.attachments]
    except Exception as error:  # the library raises what its parsing happens to meet
        raise failure("damaged", f"no readable Outlook message: {error}") from None
    builder = Builder(source.limits.text)
    builder.add(clean("\n".join(f"{name}: {value}" for name, value in fields.items() if value)))
    if text and text.strip():
        builder.add(clean(text))
    elif markup:
        read_markup(clean(markup), builder)
    metadata = front_matter({"author": fields["From"], "to": fields["To"], "created": fields["Date"]})
    found = [builder.extract("msg", title=fields["Subject"], metadata=metadata)]
    for name, data in files:
        if data:
            source.budget.take(len(data))
            found += read_member(source, data, name, Place(part=name))
    return found
