"""What need not be computed twice: query vectors, whole answers, and the queries worth warming.

MemoryCache    least recently used entries within a byte cap, each with a time to live
VectorCache    query vectors: memory in front of one SQLite file
ResultCache    answers, reachable only while the index is as it was when they were made
QueryLog       how often each request was asked lately, to warm the caches after a start

Everything here may be deleted at any moment and costs only time. All classes are safe to share between threads.
"""

from localsearch.caches.log import QueryLog
from localsearch.caches.memory import ENTRY_OVERHEAD, CacheStats, MemoryCache
from localsearch.caches.results import ResultCache, canonical, short_key
from localsearch.caches.vectors import VectorCache

__all__ = [
    "ENTRY_OVERHEAD",
    "CacheStats",
    "MemoryCache",
    "QueryLog",
    "ResultCache",
    "VectorCache",
    "canonical",
    "short_key",
]
