"""What all requests and answers share, and the types of fields that several have.

Unknown fields are refused, so that a misspelt one is noticed. Routes import the module of their own part.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Text = Annotated[str, Meta(pattern=r"\S", description="Some text, not only white space.")]

Collection = Annotated[str, Meta(pattern=r"^[\w.\-]{1,64}\Z", description="A named set of documents.")]

AbsolutePath = Annotated[
    str, Meta(min_length=1, max_length=4096, extra_json_schema={"pattern": "^(/|~/)[^\\x00]*$"})
]
"""A place on the server's machine; any other is refused as `bad_path`, with a hint."""


class RequestSchema(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a client sends."""


class ResponseSchema(Struct, frozen=True, kw_only=True):
    """Base of everything the server answers."""
