"""What the preview asks for: pages as pictures, the outline, the head of a mail and its attachments, as a key may see."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas
from serving import Served, error_of, notes

from localsearch.server.keys import Keys
from localsearch.types import Scope


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("papers")
    canvas = Canvas(str(folder / "kiln.pdf"), pagesize=(400, 600))
    for number, line in enumerate(("How a kiln is built.", "How a kiln is fired with wood."), 1):
        canvas.bookmarkPage(f"p{number}")
        canvas.addOutlineEntry(f"Part {number}", f"p{number}")
        canvas.drawString(50, 500, line)
        canvas.showPage()
    canvas.save()
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "A <a@kiln.example>", "B <b@kiln.example>", "Firing plan"
    mail["Date"] = "Thu, 12 Sep 2024 16:40:03 +0000"
    mail["Message-ID"] = "<1@kiln.example>"
    mail.set_content("The plan is in the attachment.")
    mail.add_attachment("Ramp slowly to 600 degrees.", filename="plan.txt")
    (folder / "plan.eml").write_bytes(bytes(mail))
    (folder / "steps.md").write_text(
        "# Firing\n\nIntro.\n\n## Ramp\n\nSlow.\n\n## Soak\n\nLong.\n\n# Cooling\n\nWait.\n"
    )
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, papers: Path) -> Iterator[Served]:
    with notes(tmp_path_factory.mktemp("preview") / "home") as one:
        one.engine.index(papers, embed=False)
        yield one


def ask(served: Served, route: str, id: str, **query: object) -> httpx.Response:
    return served.client.get(
        f"/{route}/{quote(id, safe='')}", params={name: str(v) for name, v in query.items()}
    )


def test_a_page_is_a_picture_with_marks(served: Served, papers: Path) -> None:
    (hit,) = served.search("fired with wood", filters="type:pdf", mode="lexical")["results"]
    place = hit["location"]
    assert place["page"] == 2
    answer = ask(
        served, "pages", hit["id"], page=2, width=400, at=place["start"], stop=place["end"], words="wood kiln"
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert Image.open(io.BytesIO(base64.b64decode(body["png"]))).size == (400, 600)
    assert (body["page"], body["pages"], len(body["passage"]), len(body["words"])) == (2, 2, 1, 2)
    assert body["passage"][0][1] == pytest.approx(92 / 600, abs=0.01)
    before = served.service.page_images.stats().hits
    assert (
        ask(
            served,
            "pages",
            hit["id"],
            page=2,
            width=400,
            at=place["start"],
            stop=place["end"],
            words="wood kiln",
        ).json()
        == body
    )
    assert served.service.page_images.stats().hits == before + 1


def test_what_has_no_pages_is_told(served: Served, papers: Path) -> None:
    for id in (str(papers / "steps.md"), "kiln", str(papers / "nowhere.pdf")):
        assert ask(served, "pages", id).status_code == 404
    answer = ask(served, "pages", str(papers / "kiln.pdf"), page=3)
    assert (answer.status_code, error_of(answer)["code"]) == (409, "not_drawn")


def test_a_file_that_is_gone_is_not_shown_from_memory(served: Served, papers: Path) -> None:
    path = papers / "kiln.pdf"
    assert ask(served, "pages", str(path), width=300).status_code == 200
    path.rename(path.with_suffix(".away"))
    try:
        assert ask(served, "pages", str(path), width=300).status_code == 404
    finally:
        path.with_suffix(".away").rename(path)


def test_the_outline_of_a_document(served: Served, papers: Path) -> None:
    part = ask(served, "passages", str(papers / "steps.md"), rendered="true").json()
    assert [(one["title"], one["level"]) for one in part["outline"]] == [
        ("Firing", 1),
        ("Ramp", 2),
        ("Soak", 2),
        ("Cooling", 1),
    ]
    text = part["text"]
    soak = part["outline"][2]
    assert "Long." in text[soak["start"] : soak["stop"]]
    assert part["length"] == len(text)
    part = ask(served, "passages", str(papers / "kiln.pdf"), rendered="true").json()
    assert [(one["title"], one["page"]) for one in part["outline"]] == [("Part 1", 1), ("Part 2", 2)]
    assert ask(served, "passages", str(papers / "steps.md")).json()["outline"] == []


def test_the_head_and_the_attachments_of_a_mail(served: Served, papers: Path) -> None:
    part = ask(served, "passages", str(papers / "plan.eml"), rendered="true").json()
    assert part["head"] == {
        "From": "A <a@kiln.example>",
        "To": "B <b@kiln.example>",
        "Date": "2024-09-12T16:40:03+00:00",
    }
    (attached,) = part["parts"]
    assert (attached["title"], attached["type"]) == ("plan.txt", "text")
    inside = ask(served, "passages", attached["id"], rendered="true").json()
    assert "Ramp slowly" in inside["text"]
    assert [one["id"] for one in inside["parts"]] == [str(papers / "plan.eml")]


def test_a_key_sees_pages_of_its_scope_alone(tmp_path: Path, papers: Path) -> None:
    with notes(tmp_path / "home", require_keys=True) as served:
        served.engine.index(papers, embed=False)
        keys = Keys(served.service.db)
        for place, status in ((str(papers / "kiln.pdf"), 200), (str(papers / "steps.md"), 404)):
            _, secret = keys.create("part", "read", Scope((), (place,)))
            served.service.keyring.refresh()
            headers = {"Authorization": f"Bearer {secret}"}
            path = f"/pages/{quote(str(papers / 'kiln.pdf'), safe='')}"
            assert served.client.get(path, headers=headers).status_code == status


def test_all_passages_of_a_document_that_hold_a_word(tmp_path: Path) -> None:
    filler = "Nothing of it here. " * 120
    text = f"The kiln is lit at dawn.\n\n{filler}\n\nThe kiln is fed at noon.\n\n{filler}\n\nAt night kilns cool."
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "day.txt").write_text(text)
    day = str(tmp_path / "notes" / "day.txt")
    with notes(tmp_path / "home", require_keys=True) as served:
        served.engine.index(tmp_path / "notes", embed=False)
        keys = Keys(served.service.db)
        everything, part = keys.create("all")[1], keys.create("part", "read", Scope((), ("/nowhere",)))[1]
        served.service.keyring.refresh()
        body = {"query": "kiln", "documents": [{"id": day}, {"id": "kiln"}, {"id": "nobody"}]}

        def ask_with(key: str) -> list[dict[str, object]]:
            answer = served.client.post("/matches", json=body, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 200, answer.text
            found: list[dict[str, object]] = answer.json()["documents"]
            return found

        of_day, of_note = ask_with(everything)
        assert (of_day["id"], of_note["id"], of_day["more"]) == (day, "kiln", False)
        hits = of_day["hits"]
        assert isinstance(hits, list)
        marked = {hit["snippet"][a:b] for hit in hits for a, b in hit["highlights"]}
        assert len(hits) == 3
        assert len({hit["location"]["start"] for hit in hits}) == 3
        assert marked == {"kiln", "kilns"}
        assert ask_with(part) == []
