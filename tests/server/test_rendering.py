"""Markdown for the preview: nothing in it runs or is fetched, and the passage is marked."""

from __future__ import annotations

import re

import pytest
from serving import Served

from localsearch.server.rendering import rendered

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "[x]: javascript:alert(1)\n\n[x]",
    "<svg/onload=alert(1)>",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "```<script>\nx\n```",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_markup_of_a_text_gets_through(text: str) -> None:
    html = rendered(text, 0, 1)
    assert not re.search(r"<(script|img|svg|iframe|style)", html)
    assert not re.search(r'(href|src)="(javascript|data):', html)
    assert "<img" not in html


def test_the_passage_is_marked_and_nothing_else() -> None:
    text = "# Title\n\nFirst.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nLast."
    low = text.index("| 1")
    html = rendered(text, low, low + 5)
    assert re.findall(r'<(\w+) class="passage"', html) == ["tr"]
    assert re.search(r'<tr class="passage">\s*<td>1</td>', html)


def test_a_passage_comes_rendered_when_asked_for(sample: Served) -> None:
    (hit,) = sample.search("compost smells of ammonia", limit=1, mode="lexical")["results"]
    place = hit["location"]
    path = f"/passages/{hit['id'].replace('/', '%2F')}"
    plain = sample.client.get(path, params={"at": place["start"]}).json()
    drawn = sample.client.get(
        path, params={"at": place["start"], "stop": place["end"], "rendered": True}
    ).json()
    assert plain["html"] == ""
    assert drawn["text"] == plain["text"]
    assert "<table>" in drawn["html"]
    assert 'class="passage"' in drawn["html"]
    later = sample.client.get(path, params={"at": place["start"], "chars": 100}).json()
    assert later["line"] == 1 + sample.client.get(path).json()["text"][: later["start"]].count("\n")
