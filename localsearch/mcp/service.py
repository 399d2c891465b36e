"""One call: checked, limited to what may be seen, run in a thread, written into the audit log."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from localsearch.engine import Engine, part_of
from localsearch.errors import LocalSearchError, NotFoundError, UsageError
from localsearch.mcp.overview import Overview, instructions, overview
from localsearch.mcp.tools import MOST_CHARS, TOOLS, SearchResult
from localsearch.types import EVERYTHING, Document, Documents, Scope

STATUS_URI = "localsearch://status"
InThread = Callable[..., Awaitable[Any]]
"""Runs a plain function with its arguments in a thread."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: by which transport, as which program by its own word, with which key, and what it may see."""

    transport: str
    client: str = ""
    key: str | None = None
    within: Scope = EVERYTHING


class Calls:
    """Answers calls from an engine. Plain and blocking, for worker threads."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        """`engine` gives the index that answers at that moment."""
        self._now = engine

    @property
    def _engine(self) -> Engine:
        return self._now()

    def tool(self, name: str, arguments: Mapping[str, Any], caller: Caller) -> Any:
        """The result of a tool. Raises UsageError for arguments that do not fit, and what the engine raises."""
        return self._audited(name, arguments, caller, lambda: self._run(name, arguments, caller))

    def _run(self, name: str, arguments: Mapping[str, Any], caller: Caller) -> Any:
        tool = TOOLS[name]
        try:
            given = msgspec.convert(arguments, tool.arguments)
        except msgspec.ValidationError as error:
            known = ", ".join(tool.arguments.__struct_fields__) or "nothing"
            raise UsageError(str(error), hint=f"{name} takes {known}.") from None
        return tool.run(self._engine, given, caller.within)

    def resource(self, uri: str, caller: Caller) -> Overview | Document:
        """What an address stands for. Raises NotFoundError, and UsageError for an address that is none."""
        return self._audited("resources/read", {"uri": uri}, caller, lambda: self._read(uri, caller))  # type: ignore[no-any-return]

    def _read(self, uri: str, caller: Caller) -> Overview | Document:
        if uri == STATUS_URI:
            return overview(self._engine, caller.within)
        parts = urlsplit(uri)
        collection, _, id = parts.path.lstrip("/").partition("/")
        if parts.scheme != "localsearch" or parts.netloc != "documents" or not id:
            raise NotFoundError(
                "There is no such resource.", hint="resources/templates/list names those that are."
            )
        asked = dict(parse_qsl(parts.query))
        if unknown := asked.keys() - {"lines", "pages"}:
            raise UsageError(f"{min(unknown)!r} is no part of an address.", hint="lines and pages are.")
        part = part_of(asked.get("lines"), asked.get("pages"), most=MOST_CHARS)
        return self._engine.read(unquote(id), part, collection=unquote(collection), within=caller.within)

    def instructions(self, caller: Caller) -> str:
        """How to use the server, from the index as it is now."""
        return instructions(overview(self._engine, caller.within))

    def _audited(
        self, name: str, arguments: Mapping[str, Any], caller: Caller, work: Callable[[], Any]
    ) -> Any:
        began = time.perf_counter()
        error, result = "", None
        try:
            result = work()
            return result
        except LocalSearchError as failed:
            error = failed.code
            raise
        except Exception as failed:
            error = type(failed).__name__
            raise
        finally:
            self._engine.audit.write(
                {
                    "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "transport": caller.transport,
                    "client": caller.client[:200],
                    "key": caller.key,
                    "call": name,
                    "arguments": arguments,
                    "ms": round((time.perf_counter() - began) * 1000, 1),
                    "error": error,
                    "documents": _read_of(result),
                }
            )


def _read_of(result: Any) -> list[str]:
    """The ids of the documents whose text an answer holds."""
    if isinstance(result, SearchResult):
        return [found.id for found in result.results]
    if isinstance(result, Documents):
        return [document.id for document in result]
    return [result.id] if isinstance(result, Document) else []
