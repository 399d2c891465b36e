"""A document's way in: scan, compare, read, cut into chunks, store; then every derived index catches up.

`indexer` tells it top to bottom. The engine and the watcher call it; it writes through `store` and `derived` alone.
"""

from localsearch.indexing.indexer import SKIPPING_RULES, Indexer
from localsearch.indexing.run import Added, FileCounts, IndexJob, IndexReport

__all__ = ["Added", "FileCounts", "IndexReport", "Indexer", "IndexJob", "SKIPPING_RULES"]
