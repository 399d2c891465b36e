"""The text that is embedded for a chunk, and the hash under which its vector is kept."""

from __future__ import annotations

import hashlib


def embedded_text(title: str, heading: tuple[str, ...], chunk: str) -> str:
    """The text that is embedded for a passage: its title and heading path, then the passage.

    >>> embedded_text("Bread", ("Bread", "Starter"), "Feed it daily.")
    'Bread\\nStarter\\nFeed it daily.'
    """
    path = [part for part in heading if part and part != title]
    above = [line for line in (title, " > ".join(path)) if line and not chunk.startswith(line)]
    return "\n".join([*above, chunk])


def embedding_hash(embedded: str) -> bytes:
    """The 16-byte name under which a text's vector is kept."""
    return hashlib.blake2b(embedded.encode("utf-8", "surrogatepass"), digest_size=16).digest()
