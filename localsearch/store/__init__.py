"""SQLite holds what cannot be made again. Every index is derived from it and can be rebuilt from it alone.

Enter through the classes listed below. Rows of index.db are changed here only,
and by `upkeep.purge`.
"""

from localsearch.store.corpus import ChunkRow, Corpus, FacetColumns
from localsearch.store.database import Database
from localsearch.store.documents import DocumentRow, NewDocument, at_path, file_name, key_of
from localsearch.store.embeddings import Embeddings, Version
from localsearch.store.feedback import Feedback, Judgement
from localsearch.store.feeds import VersionFeed, stop_feeding
from localsearch.store.ledger import FileRow, Ledger
from localsearch.store.names import Names
from localsearch.store.scope import path_scope_sql, paths_seen, scope_sql
from localsearch.store.tokens import TokenBits

__all__ = [
    "Corpus",
    "Database",
    "DocumentRow",
    "Embeddings",
    "FacetColumns",
    "Feedback",
    "FileRow",
    "Judgement",
    "Ledger",
    "Names",
    "NewDocument",
    "ChunkRow",
    "TokenBits",
    "Version",
    "VersionFeed",
    "at_path",
    "file_name",
    "key_of",
    "path_scope_sql",
    "paths_seen",
    "scope_sql",
    "stop_feeding",
]
