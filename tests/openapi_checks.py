"""A check for schemathesis: what a description cannot say of filters is told in the answer.

A filter is a small language of its own. A request that fits the description may still hold a filter that means nothing,
and then the answer is 400 with the code `bad_filter`. One that names neither a question nor a document to be like gets 400
with the code `bad_query`; a part that a document has not gets 400 with the code `bad_part`. For any other reason it must be accepted.
"""

from __future__ import annotations

from typing import Any

import schemathesis

ACCEPTABLE = (403, 404, 409, 503)
"""Not allowed, not there, not in that state, not now: of these a description of requests says nothing."""


@schemathesis.check
def only_filters_are_refused(ctx: Any, response: Any, case: Any) -> None:
    """Refuse nothing that the description allows, but a filter without meaning."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code < 400:
        return
    if response.status_code == 400 and case.operation.path in ("/search", "/matches"):
        code = response.json()["error"]["code"]
        sent = case.query if case.method == "GET" else case.body
        asked = [sent.get(name) for name in ("q", "query", "like")] if isinstance(sent, dict) else []
        if any(isinstance(text, str) and text and not text.strip() for text in asked):
            return  # \x1c to \x1f are white space for Python and not for JSON Schema
        asks = any(asked)
        assert code == "bad_filter" or (code == "bad_query" and not asks)
        return
    if response.status_code == 400 and case.operation.path == "/documents/{id}":
        assert response.json()["error"]["code"] == "bad_part"
        return
    assert response.status_code in ACCEPTABLE
