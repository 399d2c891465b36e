"""What a collection of Milvus is made of: its fields, its index, and the rows of chunks. For this folder only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from localsearch.settings import VectorSettings
from localsearch.types import ChunkFields

ID, VECTOR = "id", "vector"
_EF_SEARCH, _WIDEST = 256, 32_768
"""Candidates looked at where the settings name none, and the most that Milvus looks at."""
LISTS, _PROBED = 1_024, 128
"""Lists of a segment with IVF_SQ8, and how many of them are looked into where the settings name no number."""
_LONGEST = 1_024
"""Bytes of a field of text."""


def schema(dimensions: int) -> Any:
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(ID, DataType.INT64, is_primary=True)
    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dimensions)
    for name in ("document", "size", "date", "modified"):
        schema.add_field(name, DataType.INT64)
    for name in ("collection", "type", "language"):
        schema.add_field(name, DataType.VARCHAR, max_length=_LONGEST)
    schema.add_field("loose", DataType.BOOL)
    return schema


def built_with(settings: VectorSettings) -> dict[str, int]:
    """With what an index is built."""
    return {
        "HNSW": {"M": settings.m, "efConstruction": settings.ef_construction},
        "IVF_SQ8": {"nlist": LISTS},
        "FLAT": {},
    }[settings.milvus_index]


def searched_with(settings: VectorSettings, k: int) -> dict[str, int]:
    """With what it is searched. Milvus takes what its index knows: the collection may be of an earlier setting."""
    wanted = settings.ef_search or _EF_SEARCH
    probed = min(settings.ef_search or _PROBED, LISTS) if settings.milvus_index == "IVF_SQ8" else LISTS
    return {"ef": min(max(wanted, 2 * k), _WIDEST), "nprobe": probed}


def row(chunk_id: int, vector: Sequence[float], fields: ChunkFields) -> dict[str, Any]:
    return {
        ID: chunk_id,
        VECTOR: vector,
        "document": fields.document,
        "collection": _cut(fields.collection),
        "type": _cut(fields.type),
        "language": _cut(fields.language),
        "size": fields.size,
        "date": fields.date,
        "modified": fields.modified,
        "loose": fields.loose
        or any(len(_bytes(text)) > _LONGEST for text in (fields.collection, fields.type, fields.language)),
    }


def _cut(text: str) -> str:
    """What fits the field; a longer text makes its row loose."""
    return _bytes(text)[:_LONGEST].decode("utf-8", "ignore")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
