"""SQLite: the truth. Every index is derived from what is here and can be made again from it alone."""

from localsearch.store.corpus import ChunkRow, Corpus, DocumentRow, FacetRow, NewDocument
from localsearch.store.database import Database
from localsearch.store.embeddings import Embeddings, Version
from localsearch.store.feedback import Feedback, Judgement
from localsearch.store.ledger import FileRow, Ledger
from localsearch.store.tokens import TokenBits

__all__ = [
    "Corpus",
    "Database",
    "DocumentRow",
    "Embeddings",
    "FacetRow",
    "Feedback",
    "FileRow",
    "Judgement",
    "Ledger",
    "NewDocument",
    "ChunkRow",
    "TokenBits",
    "Version",
]
