"""Talk to a localsearch server from a program, with or without asyncio. Needs the extra [client] (httpx).

    from localsearch.client import Client
    with Client("http://127.0.0.1:8765") as client:
        for hit in client.search("how do I renew the certificate", limit=5):
            print(hit.path, hit.snippet)

Answers are the types of `localsearch.types`, errors those of `localsearch.errors`, as from an `Engine` in the program.
`AsyncClient` has the same methods, to be awaited.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar, Unpack
from urllib.parse import quote

import msgspec

try:
    import httpx
except ImportError as error:
    raise ImportError("localsearch.client needs httpx: pip install 'localsearch[client]'") from error

from localsearch import errors
from localsearch.types import Answer, Document, Documents, Record

if TYPE_CHECKING:
    from localsearch.search import SearchOptions

T = TypeVar("T")
URL = "http://127.0.0.1:8765"


@dataclass(frozen=True, slots=True)
class Job:
    """Background work of the server. `state` is queued, running, done, failed, cancelled or interrupted."""

    id: int
    state: str
    progress: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None

    @property
    def ended(self) -> bool:
        return self.state not in ("queued", "running")


@dataclass(frozen=True, slots=True)
class _Call(Generic[T]):
    """One request and the type of its answer; `inside` names the member of the answer that is wanted."""

    method: str
    path: str
    kind: type[T]
    body: Mapping[str, Any] | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    inside: str | None = None

    def request(self, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        content = None if self.body is None else msgspec.json.encode(_given(self.body))
        headers = {} if content is None else {"Content-Type": "application/json"}
        return client.build_request(
            self.method, self.path, params=_given(self.query) or None, content=content, headers=headers
        )

    def result(self, response: httpx.Response) -> T:
        if response.status_code >= 400:
            _refused(response)
        found = msgspec.json.decode(response.content)
        return msgspec.convert(found[self.inside] if self.inside else found, self.kind)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is not None; truth as JSON and the server's query strings write it."""
    return {name: value for name, value in values.items() if value is not None}


def _search(query: str, options: Mapping[str, Any]) -> _Call[Answer]:
    if "plain" in options or "within" in options:
        raise errors.UsageError(
            "plain and within are options of an Engine.", hint="A key of the server limits what is seen."
        )
    return _Call("POST", "/search", Answer, {"query": query or None, **options})


def _get(id: str, collection: str, part: Mapping[str, Any]) -> _Call[Document]:
    return _Call(
        "GET", f"/documents/{quote(id, safe='')}", Document, query={"collection": collection, **part}
    )


def _add(records: Sequence[Record], collection: str) -> _Call[Any]:
    return _Call(
        "POST",
        "/documents",
        dict,
        {"documents": [_given(asdict(one)) for one in records], "collection": collection},
    )


def _delete(id: str, collection: str, purge: bool) -> _Call[Any]:
    query = {"collection": collection, "purge": "true" if purge else None}
    return _Call("DELETE", f"/documents/{quote(id, safe='')}", dict, query=query)


def _index(paths: Sequence[str | os.PathLike[str]], collection: str) -> _Call[Job]:
    named = [os.path.abspath(os.path.expanduser(path)) for path in paths]
    return _Call("POST", "/index", Job, {"paths": named, "collection": collection}, inside="job")


def _ids(answer: Mapping[str, Any]) -> list[str] | Job:
    """The ids of what is stored, or the job that stores it."""
    return list(answer["ids"]) if "ids" in answer else msgspec.convert(answer["job"], Job)


class Client:
    """A server, asked one request at a time or from several threads; close it when done."""

    def __init__(self, url: str = URL, *, key: str | None = None, timeout: float = 30.0) -> None:
        self.url = url
        self._http = httpx.Client(**_settings(url, key, timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, call: _Call[T]) -> T:
        try:
            return call.result(self._http.send(call.request(self._http)))
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from error

    def search(self, query: str = "", **options: Unpack[SearchOptions]) -> Answer:
        """Rank documents for a query; `localsearch.search.SearchQuery` describes the options."""
        return self._ask(_search(query, options))

    def get(self, id: str, *, collection: str = "default", **part: Any) -> Document:
        """A document, or of it `lines` or `pages` such as "10-20", or `chars` characters around `at`."""
        return self._ask(_get(id, collection, part))

    def read_many(self, names: Sequence[str], **limits: Any) -> Documents:
        """Documents by ids, paths or patterns; `collection`, `each` and `budget` in characters limit them."""
        return self._ask(_Call("POST", "/read", Documents, {"names": list(names), **limits}))

    def add(self, records: Sequence[Record], *, collection: str = "default") -> list[str] | Job:
        """Store documents; their ids, or for many of them the job that stores them."""
        return _ids(self._ask(_add(records, collection)))

    def delete(self, id: str, *, collection: str = "default", purge: bool = False) -> None:
        """Delete a document, with `purge` to the last byte."""
        self._ask(_delete(id, collection, purge))

    def index(self, paths: Sequence[str | os.PathLike[str]], *, collection: str = "default") -> Job:
        """Have files and folders of the server's machine indexed; `job` tells how far it is."""
        return self._ask(_index(paths, collection))

    def job(self, id: int) -> Job:
        """How far a job is."""
        return self._ask(_Call("GET", f"/jobs/{id}", Job))

    def suggest(self, prefix: str, limit: int = 8) -> list[str]:
        """Completions of the last word of what was typed."""
        return self._ask(
            _Call("GET", "/suggest", list, query={"q": prefix, "limit": limit}, inside="suggestions")
        )

    def feedback(self, query: str, id: str, relevant: bool, *, collection: str = "default") -> None:
        """Record whether a document answers a query."""
        body = {"query": query, "id": id, "relevant": relevant, "collection": collection}
        self._ask(_Call("POST", "/feedback", dict, body))

    def stats(self) -> dict[str, Any]:
        """Counts, sizes, latency and cost, as GET /stats gives them."""
        return self._ask(_Call("GET", "/stats", dict))


class AsyncClient:
    """The same server for programs on an event loop."""

    def __init__(self, url: str = URL, *, key: str | None = None, timeout: float = 30.0) -> None:
        self.url = url
        self._http = httpx.AsyncClient(**_settings(url, key, timeout))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, call: _Call[T]) -> T:
        try:
            return call.result(await self._http.send(call.request(self._http)))
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from error

    async def search(self, query: str = "", **options: Unpack[SearchOptions]) -> Answer:
        """As `Client.search`."""
        return await self._ask(_search(query, options))

    async def get(self, id: str, *, collection: str = "default", **part: Any) -> Document:
        """As `Client.get`."""
        return await self._ask(_get(id, collection, part))

    async def read_many(self, names: Sequence[str], **limits: Any) -> Documents:
        """As `Client.read_many`."""
        return await self._ask(_Call("POST", "/read", Documents, {"names": list(names), **limits}))

    async def add(self, records: Sequence[Record], *, collection: str = "default") -> list[str] | Job:
        """As `Client.add`."""
        return _ids(await self._ask(_add(records, collection)))

    async def delete(self, id: str, *, collection: str = "default", purge: bool = False) -> None:
        """As `Client.delete`."""
        await self._ask(_delete(id, collection, purge))

    async def index(self, paths: Sequence[str | os.PathLike[str]], *, collection: str = "default") -> Job:
        """As `Client.index`."""
        return await self._ask(_index(paths, collection))

    async def job(self, id: int) -> Job:
        """As `Client.job`."""
        return await self._ask(_Call("GET", f"/jobs/{id}", Job))

    async def suggest(self, prefix: str, limit: int = 8) -> list[str]:
        """As `Client.suggest`."""
        call = _Call("GET", "/suggest", list, query={"q": prefix, "limit": limit}, inside="suggestions")
        return await self._ask(call)

    async def feedback(self, query: str, id: str, relevant: bool, *, collection: str = "default") -> None:
        """As `Client.feedback`."""
        body = {"query": query, "id": id, "relevant": relevant, "collection": collection}
        await self._ask(_Call("POST", "/feedback", dict, body))

    async def stats(self) -> dict[str, Any]:
        """As `Client.stats`."""
        return await self._ask(_Call("GET", "/stats", dict))


def _settings(url: str, key: str | None, timeout: float) -> dict[str, Any]:
    """No proxy of the environment stands between a program and a server on this machine."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    local = httpx.URL(url).host in ("localhost", "127.0.0.1", "::1")
    return {"base_url": url, "headers": headers, "timeout": timeout, "trust_env": not local}


def _unreachable(url: str, error: httpx.TransportError) -> errors.UnavailableError:
    return errors.UnavailableError(
        f"The server at {url} does not answer: {error or type(error).__name__}",
        hint="Start it: localsearch serve",
    )


def _refused(response: httpx.Response) -> NoReturn:
    """Raise the error that the server tells of: by its code where that is one of ours, else by its status."""
    try:
        told = response.json()["error"]
        code, message, hint = str(told["code"]), str(told["message"]), str(told["hint"])
    except (ValueError, KeyError, TypeError):
        code, message, hint = "", f"The server answered {response.status_code}.", "Is it localsearch?"
    known = {kind.code: kind for kind in _kinds(errors.LocalSearchError)}
    by_status = {404: errors.NotFoundError, 409: errors.ConflictError, 503: errors.UnavailableError}
    other = errors.UsageError if response.status_code < 500 else errors.LocalSearchError
    kind = known.get(code) or by_status.get(response.status_code, other)
    raise kind(
        message,
        hint=hint,
        code=code,
        status=response.status_code,
        retry_after=response.headers.get("retry-after"),
    )


def _kinds(kind: type[errors.LocalSearchError]) -> Iterator[type[errors.LocalSearchError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
