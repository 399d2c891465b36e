"""Calls of a Milvus server, each with a deadline; what fails is a VectorsUnavailableError. For this folder only.

`pymilvus` is the extra [milvus]; it is imported with the first call.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np

from localsearch.errors import VectorsUnavailableError
from localsearch.settings import VectorSettings
from localsearch.types import Feed, FeedBatch, Ids, Ranking, Vectors
from localsearch.vectors.milvus_rows import ID, LISTS, VECTOR, built_with, row, schema, searched_with

T = TypeVar("T")
_LOG = logging.getLogger("localsearch.vectors")

MOST = 16_384
"""Rows that Milvus gives back at most."""
_AGAIN_S = 2.0
"""Seconds until a server that could not be reached is tried again; searches are told at once meanwhile."""
_PORT = 19_530
_KNOCK_S = 1.0
"""Seconds that a connection may take."""
_PROPERTY = "localsearch.feed"
"""The property of a collection that tells readers how far it is fed."""
_RETRIES = 2
"""Tries of one call over an unsteady connection; a search has its own."""


class MilvusServer:
    """One server, reached by address and token. Safe to share between threads; it connects when first asked."""

    def __init__(self, settings: VectorSettings, *, offline: bool = False) -> None:
        """`offline` forbids an address that is not this machine's."""
        self.settings = settings
        self.offline = offline
        self._client: Any = None
        self._lock = threading.Lock()
        self._failure: tuple[VectorsUnavailableError, float] | None = None

    # -- collections

    def create(self, collection: str, dimensions: int) -> None:
        """Make a collection with its index and load it. One of that name is dropped first."""
        settings = self.settings

        def made(client: Any) -> None:
            if client.has_collection(collection):
                client.drop_collection(collection)
            index = client.prepare_index_params()
            index.add_index(
                VECTOR, index_type=settings.milvus_index, metric_type="IP", params=built_with(settings)
            )
            client.create_collection(
                collection,
                schema=schema(dimensions),
                num_shards=settings.milvus_shards,
                consistency_level=settings.milvus_consistency,
            )
            try:
                client.create_index(collection, index, sync=False)  # of an empty one: nothing to wait for
                client.load_collection(collection, replica_number=settings.milvus_replicas)
            except Exception:
                client.drop_collection(collection)
                raise

        with self._explained():
            self._call(made)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Name the setting that a server refuses, and what to do."""
        try:
            yield
        except VectorsUnavailableError as error:
            why = _why(error.__cause__ or error)
            told = why.lower()
            if "shard" in told:
                what, do = "milvus_shards", "set fewer"
            elif "node" in told and ("not enough" in told or "insufficient" in told):
                what, do = (
                    "milvus_replicas",
                    "add query nodes, of which each copy needs its own, or set fewer",
                )
            else:
                raise
            value = getattr(self.settings, what)
            raise VectorsUnavailableError(f"Milvus refuses vectors.{what} = {value}: {do} ({why})") from error

    def drop(self, collection: str) -> None:
        """Drop a collection with its aliases; nothing happens where there is none."""

        def dropped(client: Any) -> None:
            if client.has_collection(collection):
                for alias in client.describe_collection(collection).get("aliases", ()):
                    client.drop_alias(alias)
                client.drop_collection(collection)

        self._call(dropped)

    def collections(self) -> list[str]:
        return self._call(lambda client: list(client.list_collections()))

    def target(self, alias: str) -> str | None:
        """The collection that an alias names; None where there is no such alias."""
        return self._call(
            lambda client: _unless_missing(lambda: str(client.describe_alias(alias)["collection_name"]))
        )

    def publish(self, feed: Feed) -> None:
        """Tell whoever searches the collection how far it is fed."""
        told = json.dumps(asdict(feed))
        self._call(
            lambda client: client.alter_collection_properties(
                feed.collection, {_PROPERTY: told}, timeout=self.settings.milvus_timeout_s
            )
        )

    def published(self, name: str) -> Feed | None:
        """How far the collection of this name or alias is fed, as `publish` told it last; None where it is not told."""

        def asked(client: Any) -> Feed | None:
            told = client.describe_collection(name, timeout=self.settings.milvus_timeout_s)
            return _feed(told["properties"].get(_PROPERTY, ""))

        return self._call(lambda client: _unless_missing(lambda: asked(client)), tries=1)

    def point(self, alias: str, collection: str) -> None:
        """Have an alias name this collection, in one step."""
        known = self.target(alias)
        if known is None:
            self._call(lambda client: client.create_alias(collection, alias))
        elif known != collection:
            self._call(lambda client: client.alter_alias(collection, alias))

    def load(self, collection: str) -> None:
        """Have it in memory. One that is there stays as it is, since a server changes no number of copies then."""

        def loaded(client: Any) -> None:
            if client.get_load_state(collection)["state"].name == "NotLoad":
                client.load_collection(collection, replica_number=self.settings.milvus_replicas)

        with self._explained():
            self._call(loaded)

    # -- rows

    def apply(self, collection: str, batch: FeedBatch) -> None:
        """Put and delete the rows of a batch. Doing it again changes nothing."""
        if len(batch.gone):
            gone = batch.gone.tolist()
            self._call(lambda client: client.delete(collection, ids=gone))
        if len(batch.ids):
            rows = [
                row(i, vector, fields)
                for i, vector, fields in zip(batch.ids.tolist(), batch.vectors, batch.fields, strict=True)
            ]
            self._call(lambda client: client.upsert(collection, rows))

    def seal(self, collection: str) -> None:
        """End the segments that rows are put in, so that they get the graph of the settings.

        Until then Milvus searches them by a rough index of its own.
        """
        self._call(lambda client: client.flush(collection), tries=1)

    def unindexed(self, collection: str, least: int) -> int:
        """The rows of stored segments of `least` rows or more that no node has in memory with their graph.

        Some 15 seconds after sealing there are none, unless the server is busy: till then a rough index serves. FLAT
        has nothing to build, and its segments never name an index: it is enough that they are in memory.
        """
        flat = self.settings.milvus_index == "FLAT"
        return self._stored_without(collection, least, lambda segment: flat or bool(segment.indexID))

    def is_loaded(self, collection: str) -> bool:
        """Whether the server says that it has all of it in memory, which it does not while it starts."""
        told = self._call(lambda client: client.get_load_state(collection), tries=1)
        return bool(told["state"].name == "Loaded")

    def unloaded(self, collection: str) -> int:
        """The rows of stored segments that no node has in memory, or has not taken over yet from where they came in.

        Some 15 seconds after sealing there are none, unless a node is away.
        """

        return self._stored_without(collection, 0, lambda segment: True)

    def _stored_without(self, collection: str, least: int, has: Callable[[Any], bool]) -> int:
        """The rows of stored segments of `least` rows or more that are not in memory as `has` asks."""

        def asked(client: Any) -> int:
            wire = client._get_connection()
            loaded = {one.segmentID for one in wire.get_query_segment_info(collection) if has(one)}
            stored = wire.get_persistent_segment_infos(collection)
            return sum(
                one.num_rows for one in stored if one.num_rows >= least and one.segmentID not in loaded
            )

        return self._call(asked, tries=1)

    def count(self, name: str, *, settled: bool = False) -> int:
        """The rows that the server would search at this moment; `settled`, once it has taken in all that was sent
        before, which takes some 200 ms: for who writes."""
        reading = self._reading() | ({"consistency_level": "Strong"} if settled else {})
        found = self._call(
            lambda client: client.query(name, filter="", output_fields=["count(*)"], **reading),
            tries=1,
        )
        return int(found[0]["count(*)"])

    def search(self, name: str, query: Vectors, k: int, expression: str = "") -> Ranking:
        """The k nearest rows that meet the expression, with their cosines, best first."""
        parameters = searched_with(self.settings, k)
        found = self._nearest(name, query, k, expression, parameters)
        if len(found) < k and parameters["nprobe"] < LISTS:
            found = self._nearest(name, query, k, expression, parameters | {"nprobe": LISTS})
        return found

    def _nearest(
        self, name: str, query: Vectors, k: int, expression: str, parameters: dict[str, int]
    ) -> Ranking:
        found = self._call(
            lambda client: client.search(
                name,
                data=[np.asarray(query, np.float32)],
                limit=k,
                filter=expression,
                search_params={"metric_type": "IP", "params": parameters},
                **self._reading(),
            ),
            tries=1,
        )
        hits = found[0]
        ids = np.array([hit[ID] for hit in hits], np.int64)
        return Ranking(ids, np.array([hit["distance"] for hit in hits], np.float32))

    def ids_between(self, name: str, low: int, high: int) -> Ids:
        """The ids held in [low, high), ascending, at most `MOST` of them."""
        found = self._call(
            lambda client: client.query(
                name,
                filter=f"{ID} >= {low} and {ID} < {high}",
                output_fields=[ID],
                limit=MOST,
                **self._reading(),
            )
        )
        return np.sort(np.array([row[ID] for row in found], np.int64))

    def _reading(self) -> dict[str, Any]:
        return {
            "consistency_level": self.settings.milvus_consistency,
            "timeout": self.settings.milvus_timeout_s,
        }

    # -- the connection

    def _call(self, ask: Callable[[Any], T], *, tries: int = _RETRIES) -> T:
        for left in reversed(range(tries)):
            try:
                with _quiet():
                    return ask(self._connected())
            except VectorsUnavailableError:
                raise
            except Exception as error:  # gRPC and pymilvus have their own trees
                self._disconnect()
                if not left:
                    raise self._away(error) from error
        raise AssertionError("unreachable")

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                if self._failure and time.monotonic() < self._failure[1]:
                    raise self._failure[0].with_traceback(None)
                try:
                    self._client = self._connect()
                except Exception as error:
                    known = error if isinstance(error, VectorsUnavailableError) else self._away(error)
                    self._failure = known.with_traceback(None), time.monotonic() + _AGAIN_S
                    raise known from None
                self._failure = None
            return self._client

    def _connect(self) -> Any:
        # gRPC would start its threads anew in a process just forked, whose descriptors are closed before it becomes
        # another program: it aborts now and then. Ours always become another program.
        os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
        try:
            from pymilvus import MilvusClient
        except ImportError as error:
            raise VectorsUnavailableError(
                "vectors.backend is milvus, and pymilvus is not installed",
                hint='Install it: pip install "localsearch[milvus]"',
            ) from error
        self._knock()
        return MilvusClient(
            uri=self.settings.milvus_uri,
            token=self.settings.milvus_token,
            timeout=self.settings.milvus_timeout_s,
        )

    def _knock(self) -> None:
        """Tell at once that nobody is there, where the client would try until its deadline."""
        found = urlsplit(self.settings.milvus_uri)
        if found.scheme not in ("http", "https", "tcp") or not found.hostname:
            # pymilvus would take a path for a file of its embedded engine, which misses rows under tight filters.
            raise VectorsUnavailableError(
                f"vectors.milvus_uri is {self.settings.milvus_uri!r}, which is no address of a server",
                hint="Write it like http://127.0.0.1:19530.",
            )
        if self.offline and not _is_here(found.hostname):
            raise VectorsUnavailableError(
                f"Milvus at {self.settings.milvus_uri} is beyond this machine, and --offline forbids to connect"
            )
        socket.create_connection((found.hostname, found.port or _PORT), _KNOCK_S).close()

    def _disconnect(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except Exception:
                _LOG.debug("closing a connection to Milvus", exc_info=True)

    def _away(self, error: Exception) -> VectorsUnavailableError:
        return VectorsUnavailableError(
            f"Milvus at {self.settings.milvus_uri} cannot be asked: {_why(error)}",
            hint="Is it running? Words are searched meanwhile.",
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._disconnect()


def _why(error: BaseException) -> str:
    return " ".join(str(getattr(error, "message", "") or error).split())[:200] or type(error).__name__


def _unless_missing(ask: Callable[[], T]) -> T | None:
    """What it returns, or None where Milvus knows no alias or collection of that name."""
    from pymilvus.exceptions import MilvusException

    try:
        return ask()
    except MilvusException as error:
        if any(words in str(error) for words in ("not found", "not exist", "can't find")):
            return None
        raise


def _feed(told: str) -> Feed | None:
    """What `publish` wrote; None for anything else."""
    try:
        return Feed(**json.loads(told))
    except (TypeError, ValueError):
        return None


def _is_here(host: str) -> bool:
    """Whether a name or an address is this machine's by what it says; no resolver is asked."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _quiet() -> Iterator[None]:
    """pymilvus logs each failed call as an error with its trace; we say what failed ourselves, once."""
    for name in ("pymilvus.decorators", "pymilvus"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    yield
