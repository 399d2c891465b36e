"""The frozen values that pass between stages, and the protocols that have more than one implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:  # the processes that read files need no numpy, which takes as long to load as all else
    import numpy as np
    from numpy.typing import NDArray

Sort = Literal["relevance", "date", "name", "size"]
"""The order in which documents that match are shown."""
Mode = Literal["hybrid", "lexical", "semantic"]
BlockKind = Literal["heading", "paragraph", "list", "table", "code"]

Ids: TypeAlias = "NDArray[np.int64]"
"""Chunk ids, shape (n,)."""
Vectors: TypeAlias = "NDArray[np.float32]"
"""Unit-length embeddings, shape (n, dimensions)."""
Scores: TypeAlias = "NDArray[np.float32]"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands. Numbers count from 1; what does not apply is None or empty."""

    page: int | None = None
    line: int | None = None
    heading: tuple[str, ...] = ()
    sheet: str | None = None
    row: int | None = None
    message: int | None = None
    part: str | None = None
    chapter: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A structural unit of extracted text: `text[start:end]`. Blocks are in order and never overlap."""

    start: int
    end: int
    kind: BlockKind = "paragraph"
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Extract:
    """One document read out of a file. A container (archive, mailbox) gives several, told apart by `member`.

    `metadata` may hold author, created and modified (ISO 8601), language, tags and any front matter. `scans` tells that
    there are pictures of text in it that were not read. One that is cut into `chunks` already has no blocks any more.
    """

    text: str
    type: str
    title: str = ""
    blocks: tuple[Block, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    member: str = ""
    notes: tuple[str, ...] = ()
    scans: bool = False
    chunks: tuple[Chunk, ...] | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: `text[start:end]` of its document's text."""

    start: int
    end: int
    place: Place = Place()


class IndexedChunk(NamedTuple):
    """What the lexical index is told about one chunk; a tuple, since tens of thousands are made in a second.

    `about` holds words about its document, a line for each value: tags, author and other metadata, and further names of
    its file. They are searched with less weight than the text, and given with a document's first chunk alone.
    """

    chunk_id: int
    document_id: int
    title: str
    heading: str
    body: str
    path: str = ""
    language: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Chunk ids with their scores, best first; both of shape (n,)."""

    ids: Ids
    scores: Scores

    @classmethod
    def empty(cls) -> Ranking:
        import numpy as np

        return cls(np.empty(0, np.int64), np.empty(0, np.float32))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class ChunkFields:
    """What an engine of vectors keeps of a chunk beside its vector, for filters; texts in lower case, dates in seconds.

    `loose` is whether the metadata of its document may speak for one of these fields, or a date is missing.
    """

    document: int
    collection: str
    type: str
    language: str
    size: int
    date: int
    modified: int
    loose: bool


@dataclass(frozen=True, slots=True)
class Feed:
    """How far an engine of vectors has been fed: a collection of it, which searches reach by `alias`.

    Until it is `complete`, chunks are sent by id, up to `filled`; from then on by the log of changes, up to `position`.
    `expected` rows were confirmed. While it is `sending`, the engine may have more or fewer. `revision` grows with
    each batch.
    """

    id: int
    alias: str
    collection: str
    filled: int
    complete: bool
    position: int
    expected: int
    sending: bool
    revision: int


@dataclass(frozen=True, slots=True)
class FeedBatch:
    """Rows to put in an engine, `ids` (n,), `vectors` (n, dimensions) and their fields, and ids to delete.

    `filled` and `position` are how far the feed is when they are confirmed, and `more` is how many rows there are then,
    compared to before.
    """

    ids: Ids
    vectors: Vectors
    fields: tuple[ChunkFields, ...]
    gone: Ids
    filled: int
    complete: bool
    position: int
    more: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A document in an answer, with its best chunk.

    `score` orders the hits of one query; `relevance`, how likely the chunk is what was asked for, means the same for
    every query: None where it is not known.
    """

    id: str
    score: float
    text: str
    metadata: Mapping[str, Any]
    title: str
    path: str | None
    snippet: str
    highlights: tuple[tuple[int, int], ...]
    location: Mapping[str, Any]
    scores: Mapping[str, float | None] | None = None
    collection: str = "default"
    relevance: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of hits and how it came about. Iterating gives the hits.

    `total` counts the documents that match: exactly, unless `total_is_estimate`. `nothing_relevant` says that none of
    the documents searched seems to be about the query.
    """

    query: str
    total: int
    took_ms: float
    mode: Mode
    version: str | None
    stages: Mapping[str, float]
    cached: bool
    results: tuple[Hit, ...]
    semantic_coverage: float = 1.0
    notes: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    facets: Mapping[str, Mapping[str, int]] | None = None
    explanation: Mapping[str, Any] | None = None
    total_is_estimate: bool = False
    nothing_relevant: bool = False

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which documents may be seen: those of these collections, and of files at or below these paths; empty: all.

    Paths are absolute. Documents that belong to no file are in no path.
    """

    collections: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.collections or self.paths)


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a document's text: lines or pages, both from 1 and inclusive, or `chars` characters around `at`.

    Without any, the whole. A last line or page of None is the end. Never more than `most` characters.
    """

    lines: tuple[int, int | None] | None = None
    pages: tuple[int, int | None] | None = None
    at: int | None = None
    chars: int = 4000
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document with the characters [start, stop) of its text, of which there are `length`.

    `location` is where `start` stands: line, page, heading and so on, as in a hit. Times are seconds since 1970,
    `size` is in bytes. `more` is whether text of the part that was asked for follows after `stop`. `left_out` is why
    only the name of the file is known; empty for one that was read.
    """

    id: str
    collection: str
    title: str
    path: str | None
    type: str
    language: str
    author: str
    size: int
    created: float | None
    modified: float | None
    indexed: float
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    text: str
    left_out: str = ""
    start: int = 0
    stop: int = 0
    length: int = 0
    more: bool = False
    location: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Documents:
    """Several documents, in the order asked for and then by path.

    `missing` are the names that nothing matched, `left_out` the ids that the budget had no room for. `more` is whether
    still others, not named here, match.
    """

    documents: tuple[Document, ...]
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    more: bool = False

    def __iter__(self) -> Iterator[Document]:
        return iter(self.documents)

    def __len__(self) -> int:
        return len(self.documents)


@dataclass(frozen=True, slots=True)
class Record:
    """A document that a program sends. Without an id, one is made from the content."""

    text: str
    id: str | None = None
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of long work, for a bar: `stage` is a word such as scan, read, embed, download."""

    stage: str
    done: int
    total: int | None = None
    unit: str = ""
    detail: str = ""


Report = Callable[[Progress], None]
"""Called with each step; must be cheap."""
Cancelled = Callable[[], bool]
"""Asked between units of work; True means stop cleanly."""


def no_report(_: Progress) -> None:
    """Report to nobody."""


def never() -> bool:
    """Never cancel."""
    return False


class Encoder(Protocol):
    """Text to unit vectors. Implementations release the GIL while they compute and are safe to share."""

    @property
    def fingerprint(self) -> str:
        """What makes vectors comparable: the same string means the same vector for the same text."""
        ...

    @property
    def name(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def encode_query(self, text: str) -> Vectors:
        """One query, shape (dimensions,)."""
        ...

    def encode_documents(self, texts: Sequence[str], *, cancelled: Cancelled = never) -> Vectors:
        """Many chunks, shape (len(texts), dimensions), in the order given. CancelledError when asked to stop."""
        ...

    def with_tokens(
        self, texts: Iterable[str], *, cancelled: Cancelled = never
    ) -> Iterator[tuple[Vectors, NDArray[np.float32]]]:
        """Of each chunk in turn the vector and `token_vectors`, from one pass. CancelledError when asked to stop."""
        ...

    def token_vectors(self, texts: Sequence[str], *, query: bool = False) -> list[NDArray[np.float32]]:
        """Unit vectors of each token of each text, shape (tokens, dimensions), special tokens left out."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text without special tokens, before truncation."""
        ...

    def lengths(self, texts: Sequence[str], *, query: bool = False) -> list[int]:
        """Tokens of each text with its prefix and the special tokens, before truncation to `max_tokens`."""
        ...


class LexicalIndex(Protocol):
    """BM25 over chunks. Derived: `seq` is the last change of the store that it holds; one that lives `in_memory`
    starts at 0 and replays the whole log in every process."""

    @property
    def in_memory(self) -> bool: ...

    @property
    def seq(self) -> int: ...

    def __len__(self) -> int: ...

    def begin(self, chunks: Sequence[IndexedChunk]) -> None:
        """Be told of chunks that will be added shortly, but for their ids, which are 0; they may never come."""
        ...

    def add(self, chunks: Sequence[IndexedChunk]) -> None: ...

    def remove(self, document_ids: Sequence[int]) -> None: ...

    def commit(self, seq: int) -> None:
        """Make all added and removed so far durable and searchable, and remember `seq`, atomically."""
        ...

    def search(self, query: Any, k: int, allowed: NDArray[np.bool_] | None = None) -> Ranking:
        """The k best chunks; `allowed[chunk_id]` says which may appear."""
        ...

    def estimate(self, query: Any) -> int:
        """About how many documents match."""
        ...

    def matching(self, query: Any, among: Ids | None = None) -> Ids:
        """Ids of the documents, all or among these, with a chunk that matches, ascending."""
        ...

    def score(self, query: Any, ids: Ids) -> Scores:
        """Exact scores of these chunks, shape (len(ids),); 0 where nothing matches."""
        ...

    def ids(self) -> Ids:
        """Every chunk id held, in no order; one held twice comes twice."""
        ...

    def refresh(self) -> None:
        """See what another process has committed."""
        ...

    def idf(self, query: Any) -> NDArray[np.float32]:
        """How rare each term of the query is, shape (terms,): Lucene's idf of its commonest form."""
        ...

    def held(self, term: Any) -> int:
        """Chunks that hold the commonest form of a term of a query."""
        ...

    def term_scores(self, query: Any, ids: Ids) -> NDArray[np.float32]:
        """What each term adds to the score of each of these chunks, shape (terms, len(ids))."""
        ...

    def pruned(self, query: Any) -> Any:
        """The query without what would find nothing more."""
        ...

    def knows(self, word: str) -> bool:
        """Whether some chunk holds a plain word."""
        ...

    @property
    def languages(self) -> Mapping[str, int]:
        """Chunks by the language they were analysed in."""
        ...

    def doc_freq(self, term: str) -> int:
        """Chunks that hold the term."""
        ...

    def complete(self, prefix: str, n: int = 10) -> list[str]:
        """The commonest words of the corpus that start so."""
        ...

    def correct(self, word: str) -> str | None:
        """The word of the corpus that a misspelt one was meant to be; None when it is known or nothing is near."""
        ...

    def chunks_with(self, phrase: Any) -> Ids:
        """Ids of the chunks that hold one of the phrase's alternatives, ascending."""
        ...

    def count_with(self, phrase: Any) -> int:
        """How many chunks hold one of the phrase's alternatives."""
        ...

    def words_like(self, pattern: str, most: int) -> tuple[list[str], int]:
        """The plain words that a pattern with * and ? stands for, commonest first, at most so many; and how many."""
        ...

    def close(self) -> None: ...
