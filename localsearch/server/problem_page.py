"""An error as a page, for a person whose browser opened an address: what happened, what is kept, and the way on.

Plain functions, for any thread. Programs are told in JSON (`problems`), from which the page is made.
"""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

import msgspec

from localsearch.errors import LocalSearchError
from localsearch.server.headers import PAGE_HEADERS
from localsearch.server.problems import JSON, ErrorAnswer, Headers
from localsearch.types import Document

_HTML = (b"content-type", b"text/html; charset=utf-8")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} – localsearch</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/style.css">
<script src="/static/theme.js"></script>
<script src="/static/problem.js" type="module"></script>
</head>
<body>
<header>
<a class="brand" href="/"><img src="/static/icon.svg" alt="" width="28" height="28"><span>localsearch</span></a>
</header>
<main id="problem">
<h1 class="told">{title}</h1>
<p class="told">{hint}</p>
{kept}
<p><a class="told" href="/">To the search</a></p>
</main>
</body>
</html>
"""


def reads_pages(method: str, accept: bytes | None) -> bool:
    """Whether who asks would rather have a page than JSON, as a browser that opens an address says.

    >>> reads_pages("GET", b"text/html,application/xhtml+xml,*/*;q=0.8"), reads_pages("GET", b"*/*")
    (True, False)
    """
    return method in ("GET", "HEAD") and (accept or b"").lstrip().lower().startswith(b"text/html")


def as_page(error: Exception, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """Headers and body of the page, in place of those of the answer in JSON.

    An error whose data has `kept`, a document, says what is left of it: how its text begins, and where the rest is.
    """
    told = msgspec.json.decode(body, type=ErrorAnswer).error
    kept = error.data.get("kept") if isinstance(error, LocalSearchError) else None
    page = _PAGE.format(
        title=escape(told.message),
        hint=escape(told.hint),
        kept=_kept(kept) if isinstance(kept, Document) else "",
    )
    others = [header for header in headers if header != JSON]
    return [_HTML, *others, *PAGE_HEADERS], page.encode("utf-8", "replace")


def _kept(document: Document) -> str:
    """The name of a document and where it was; its text as it was read, as far as there is any."""
    place = f'<p class="where" dir="auto">{escape(document.path or document.id)}</p>'
    if not document.text.strip():
        return place + '<p class="told">No text was read of it: it is known by its name.</p>'
    link = urlencode({"open": document.id, "in": document.collection, "at": "0-0"}, errors="replace")
    more = "…" if document.more else ""
    return (
        f'{place}<div class="card"><h2 class="told">The text that was read of it is kept</h2>'
        f'<pre dir="auto">{escape(document.text)}{more}</pre>'
        f'<p><a class="told" href="/?{escape(link)}">Show it in the preview</a></p></div>'
    )
