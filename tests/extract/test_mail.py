"""Mail: messages, what is attached to them, and mailboxes."""

from __future__ import annotations

import io
import zipfile
from email.message import EmailMessage

import pytest

from localsearch.errors import ExtractionError
from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=1_000_000, members=100, depth=3, ocr=False)


def make_message(body: str = "See you at the tea house.", html: str = "") -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "Grüße aus dem Teehaus"
    message["From"] = "Ann Smith <ann@example.org>"
    message["To"] = "bob@example.org"
    message["Date"] = "Mon, 06 May 2024 07:08:09 +0200"
    message["Message-ID"] = "<1@example.org>"
    if body:
        message.set_content(body)
    if html:
        message.add_alternative(html, subtype="html") if body else message.set_content(html, subtype="html")
    return message


def make_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("notes/inside.txt", "Deep inside the letter.")
    return buffer.getvalue()


def make_eml() -> bytes:
    message = make_message(html="<p>See you at the <b>tea house</b>.</p>")
    message.add_attachment("name,city\nAnn,Oslo\n", subtype="csv", filename="people.csv")
    message.add_attachment(make_archive(), maintype="application", subtype="zip", filename="Ärger/more.zip")
    message.add_attachment(b"\x89PNG\r\n\x1a\n", maintype="image", subtype="png", filename="cup.png")
    return message.as_bytes()


def by_member(found: list[Extract]) -> dict[str, Extract]:
    assert len({extract.member for extract in found}) == len(found)
    return {extract.member: extract for extract in found}


def test_a_message_and_its_attachments() -> None:
    found = by_member(read(make_eml(), "letter.eml", LIMITS))
    assert list(found) == ["", "people.csv", "Ärger/more.zip!/notes/inside.txt", "cup.png"]
    letter = found[""]
    assert letter.title == "Grüße aus dem Teehaus"
    assert letter.text.split("\n\n")[1] == "See you at the tea house."
    assert letter.metadata == {
        "author": "Ann Smith <ann@example.org>",
        "to": "bob@example.org",
        "created": "2024-05-06T07:08:09+02:00",
        "message_id": "<1@example.org>",
    }
    assert found["people.csv"].blocks[0].place.part == "people.csv"
    assert found["people.csv"].type == "csv"
    assert found["cup.png"].text == ""
    assert "recognition" in found["cup.png"].notes[0]


def test_a_message_in_html_only() -> None:
    (letter,) = read(make_message("", "<h1>News</h1><p>It rained.</p>").as_bytes(), "a.eml", LIMITS)
    assert letter.text.endswith("News\n\nIt rained.")


def test_a_message_in_a_charset_that_does_not_exist() -> None:
    raw = b"From: a@b.c\nSubject: odd\nContent-Type: text/plain; charset=x-none\n\nGr\xc3\xbc\xc3\x9fe\n"
    (letter,) = read(raw, "a.eml", LIMITS)
    assert letter.text.endswith("Grüße")


def make_mbox() -> bytes:
    first = make_message("One.\n\n>From here on it is quoted.").as_bytes()
    return b"".join(
        b"From ann@example.org Mon May  6 07:08:09 2024\n" + raw.replace(b"\nFrom ", b"\n>From ") + b"\n\n"
        for raw in (first, make_eml())
    )


def test_each_message_of_a_mailbox_is_a_document() -> None:
    found = by_member(read(make_mbox(), "inbox.mbox", LIMITS))
    assert list(found) == ["1", "2", "2/people.csv", "2/Ärger/more.zip!/notes/inside.txt", "2/cup.png"]
    assert [block.place.message for block in found["1"].blocks] == [1, 1]
    assert "\nFrom here on it is quoted." in found["1"].text
    inside = found["2/Ärger/more.zip!/notes/inside.txt"].blocks[0].place
    assert (inside.message, inside.part, inside.line) == (2, "Ärger/more.zip", 1)


def test_a_mailbox_is_known_by_its_content() -> None:
    assert read(make_mbox(), "Inbox", LIMITS)[0].type == "mbox"


def test_a_mailbox_with_too_many_messages_says_so() -> None:
    found = read(make_mbox() * 3, "a.mbox", Limits(10_000, 10_000_000, 2, 3, False))
    assert [extract.member for extract in found if extract.type == "mbox"] == ["1", "2"]
    assert any("left out" in note for extract in found for note in extract.notes)


def test_an_empty_message() -> None:
    with pytest.raises(ExtractionError) as caught:
        read(b"\n\n", "a.eml", LIMITS)
    assert caught.value.data["rule"] == "empty"
