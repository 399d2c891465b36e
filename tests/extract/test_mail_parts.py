"""Mail of any shape: each text of a message comes out, and what is attached is named and located."""

from __future__ import annotations

import base64
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localsearch.extract.headers import header_text
from localsearch.extract.limits import Limits
from localsearch.extract.mbox import messages
from localsearch.extract.read import read
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=1000, depth=3, ocr=False)
HEAD = "From: ann@example.org\nSubject: Boats\nDate: Tue, 05 Mar 2024 10:00:00 +0000\nMIME-Version: 1.0\n"
PLAIN = "Content-Type: text/plain; charset=utf-8\n\n"
HTML = "Content-Type: text/html; charset=utf-8\n\n"
PICTURE = "Content-Type: image/png; name=p.png\nContent-Disposition: inline; filename=p.png\n\nnot a picture"


def multipart(kind: str, *parts: str, edge: str = "edge") -> str:
    return (
        f'Content-Type: {kind}; boundary="{edge}"\n\n'
        + "".join(f"--{edge}\n{part}\n" for part in parts)
        + f"--{edge}--\n"
    )


def read_parts(kind: str, *parts: str) -> list[Extract]:
    return read((HEAD + multipart(kind, *parts)).encode(), "a.eml", LIMITS)


def body(kind: str, *parts: str) -> str:
    return read_parts(kind, *parts)[0].text.partition("+0000\n\n")[2]


@pytest.mark.parametrize(
    ("kind", "parts", "text"),
    [
        ("multipart/mixed", (PLAIN + "before", PICTURE, PLAIN + "after"), "before\n\nafter\n\nAttachments: p.png"),
        ("multipart/mixed", (HTML + "<p>before</p>", PICTURE, HTML + "<p>after</p>"), "before\n\nafter\n\nAttachments: p.png"),
        ("multipart/alternative", (PLAIN + " \n", HTML + "<p>news</p>"), "news"),
        ("multipart/alternative", (PLAIN + "Good *news* today", HTML + "<p>Good <b>news</b> today</p>"), "Good *news* today"),
        (
            "multipart/alternative",
            (PLAIN + "Use another program.", HTML + "<h1>News</h1><p>It rained on the lake all day.</p>"),
            "News\n\nIt rained on the lake all day.\n\nUse another program.",
        ),
        (
            "multipart/alternative",
            (PLAIN + "It rained on the lake all day.", HTML + "<p>It rained on the lake all day.</p><p>Or so.</p>"),
            "It rained on the lake all day.\n\nOr so.",
        ),
        ("multipart/report", (PLAIN + "not sent", "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; bob@example.net"),
         "not sent\n\nReporting-MTA: dns; x\nFinal-Recipient: rfc822; bob@example.net"),
        ("multipart/signed", (PLAIN + "sure", "Content-Type: application/pgp-signature\n\nxyz"), "sure"),
    ],
)  # fmt: skip
def test_texts_in_their_order(kind: str, parts: tuple[str, ...], text: str) -> None:
    assert body(kind, *parts) == text


def test_a_message_in_a_message_stands_under_its_subject() -> None:
    inner = EmailMessage()
    inner["Subject"] = "Lease"
    inner["From"] = "cat@example.org"
    inner.set_content("The garden is let.")
    inner.add_attachment("ground plan", filename="plan.txt")
    found = read_parts(
        "multipart/mixed", PLAIN + "see below", f"Content-Type: message/rfc822\n\n{inner.as_string()}"
    )
    letter, plan = found
    assert letter.title == "Boats"
    placed = {letter.text[b.start : b.end]: b.place.heading for b in letter.blocks}
    assert placed["see below"] == ()
    assert placed["The garden is let."] == ("Lease",)
    assert "Subject: Lease\nFrom: cat@example.org" in letter.text
    assert letter.text.endswith("Attachments: plan.txt")
    assert (plan.member, plan.text, plan.blocks[0].place.part) == ("plan.txt", "ground plan\n", "plan.txt")


def test_a_digest_and_a_message_sent_in_base64() -> None:
    one = base64.encodebytes(b"Subject: Second\n\nlilac").decode()
    text = body(
        "multipart/digest",
        "\nSubject: First\n\nwalnut",
        f"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{one}",
    )
    assert text == "First\n\nSubject: First\n\nwalnut\n\nSecond\n\nSubject: Second\n\nlilac"


def test_what_is_encrypted_or_lacks_its_edges_is_told() -> None:
    sealed = read_parts("multipart/encrypted", "Content-Type: application/pgp-encrypted\n\nVersion: 1")
    assert sealed[0].notes == ("the message is encrypted",)
    raw = HEAD + 'Content-Type: multipart/mixed; boundary="nowhere"\n\nstill to be read'
    assert read(raw.encode(), "a.eml", LIMITS)[0].text.endswith("still to be read")


def test_a_signed_message_in_one_piece() -> None:
    text = b"Content-Type: text/plain\n\nsigned words"
    octets = (
        b"\x24\x80"
        + b"\x04"
        + bytes([10])
        + text[:10]
        + b"\x04"
        + bytes([len(text) - 10])
        + text[10:]
        + b"\0\0"
    )
    data = (
        b"\x30\x80"
        + bytes.fromhex("06092a864886f70d010702a08030800201013100308006092a864886f70d010701a080")
        + octets
    )
    part = "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n"
    assert body("multipart/mixed", part + base64.encodebytes(data).decode()) == "signed words"


@pytest.mark.parametrize("charset", ["iso-2022-jp", "shift_jis", "euc-jp", "utf-8"])
def test_japanese_mail(charset: str) -> None:
    text = "火曜日の会議の資料を送ります"
    raw = (
        b"From: a@example.jp\nSubject: "
        + text.encode(charset)
        + f"\nContent-Type: text/plain; charset={charset}\n\n".encode()
    )
    (letter,) = read(raw + text.encode(charset), "a.eml", LIMITS)
    assert letter.title == text
    assert letter.text.endswith(f"\n\n{text}")


def test_encoded_words() -> None:
    half = "Grüße".encode()
    cut = f"=?utf-8?B?{base64.b64encode(half[:3]).decode()}?= =?utf-8?B?{base64.b64encode(half[3:]).decode()}?= an =?iso-8859-1?Q?Ren=E9_L?="
    assert header_text(cut) == "Grüße an René L"
    assert header_text("plain =?=") == "plain =?="


def test_apple_mail() -> None:
    raw = (HEAD + "\nIt rained.\n").encode()
    data = (
        str(len(raw)).encode()
        + b"      \n"
        + raw
        + b'<?xml version="1.0"?><plist><dict><key>flags</key></dict></plist>'
    )
    (letter,) = read(data, "1.emlx", LIMITS)
    assert (letter.type, letter.title) == ("emlx", "Boats")
    assert letter.text.endswith("\n\nIt rained.")


def test_where_messages_of_a_mailbox_begin() -> None:
    first = b"From a@example.org Tue Mar  5 10:00:00 2024\nSubject: A\n\nDear all,\n\nFrom my side: all is well.\nGreetings\n\n"
    second = b"From - Tue Mar 05 11:00:00 2024\r\nSubject: B\r\n\r\n>From here on it was quoted\r\n"
    third = b"From MAILER-DAEMON Fri Jul  8 12:08:34 2011\nFrom: Author <a@example.org>\n\nno empty line before\n\n"
    found = list(messages(first + second + third))
    assert [part.split(b"\n")[0].strip() for part in found] == [
        b"Subject: A",
        b"Subject: B",
        b"From: Author <a@example.org>",
    ]
    assert b"From my side: all is well." in found[0]
    assert found[1].endswith(b"\nFrom here on it was quoted\r\n")


CONTAINERS = ["mixed", "alternative", "related", "parallel", "signed", "report", "x-unknown"]
LEAVES = ["text/plain", "text/html", "text/calendar", "text/csv", "text/enriched", "text/x-odd"]


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("format=flowed; delsp=yes", "Donaudampfschiff und\nmehr\n-- \nAnn\n> quoted \n> text"),
        ("format=flowed", "Donaudampf \nschiff und\nmehr\n-- \nAnn\n> quoted \n> text"),
    ],
)
def test_lines_that_go_on_without_a_space_are_joined(how: str, text: str) -> None:
    source = f"{HEAD}Content-Type: text/plain; charset=utf-8; {how}\n\nDonaudampf \nschiff und\nmehr\n-- \nAnn\n> quoted \n> text"
    (found,) = read(source.encode(), "a.eml", LIMITS)
    assert found.text.partition("+0000\n\n")[2] == text


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> tuple[str, list[str]]:
    """A part as it stands in a message, and the words in it."""
    if depth == 0 or draw(st.booleans()):
        kind = draw(st.sampled_from(LEAVES))
        word = "w" + draw(st.text("abcdefghijkmnopqrstuvxyz", min_size=12, max_size=12))
        named = draw(st.sampled_from(["", f"; name={word[:4]}.txt"])) if kind == "text/plain" else ""
        content = f"<p>{word}</p>" if kind in ("text/html", "text/enriched") else word
        return f"Content-Type: {kind}{named}\n\n{content}\n", [word]
    if draw(st.integers(0, 4)) == 0:
        inner, words = draw(trees(depth=depth - 1))
        return f"Content-Type: message/rfc822\n\nSubject: s{words[0]}\n{inner}", [f"s{words[0]}", *words]
    parts = draw(st.lists(trees(depth=depth - 1), min_size=1, max_size=4))
    edge = f"edge of depth {depth} ="
    kind = "multipart/" + draw(st.sampled_from(CONTAINERS))
    return multipart(kind, *(part for part, _ in parts), edge=edge), [
        word for _, words in parts for word in words
    ]


@settings(max_examples=200, deadline=None)
@given(trees())
def test_each_text_of_any_tree_comes_out(tree: tuple[str, list[str]]) -> None:
    source, words = tree
    text = "\n".join(extract.text for extract in read((HEAD + source).encode(), "a.eml", LIMITS))
    assert [word for word in words if word not in text] == []
