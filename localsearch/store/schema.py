"""The SQLite schema, as migrations. Each runs with its record in one transaction; none is ever edited.

Times are seconds since 1970 UTC (REAL). Hashes are 16-byte BLAKE2b digests. Ids are never reused.

documents  one row per document of a collection. `key` is what people call its id: the path (with `!/member` inside
           a container) for files, the given id for records. Identical files are one document; `files` holds each
           path. `named` is 1 where it has no title of its own: `title` is then the name of its file, and follows it.
           `left_out` is why only the name of its file is known; empty for one that was read.
           `digest` names the row, then its text and chunks, 8 bytes each: SQLite itself does not notice a
           changed byte. It is NULL for what an earlier release stored.
bodies     the extracted text in segments, so that a chunk is read without reading the whole document: the id
           is document_id * 2**20 + the segment's number
chunks     chunks; `hash` names the text that is embedded (title and heading path with the chunk), and is empty where
           none is, as of a file of which only the name is known. An id stands
           for one embedded text: where the title changes, the chunks get new ids
versions   embedding versions; one is active
vectors    embeddings by version and hash, with their CRC-32: the cache that embeds nothing twice. In 12 bits a
           component, or in half floats where an earlier release stored them; localsearch/quantize.py tells them apart
tokens     sign bits of the vectors of a chunk's tokens, row after row, by version and hash, with their CRC-32:
           derived, and made again when they are missing or damaged
pending    chunks that still lack a vector, per live version
changes    the log that derived indexes replay: document ids in order of change
files      the ledger: every file seen, with its state and the reason, and in `notes` what could not be read of it
feeds      how far an engine of vectors has been fed, by version; `store/feeds.py` tells more. `state` is active or
           building. `fed` are the chunks that it has confirmed
vector_changes
           the log that feeds an engine: chunks whose vector or fields may have changed, in one version or (NULL) in
           all. Triggers write it while there is a feed, in the transaction of the change, whoever makes it
feedback   judgements of people: this document answers this query, or does not
roots      what was indexed, with its options, so that it can be checked again and watched
"""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, str], ...] = (
    (
        "0001_initial",
        """
        CREATE TABLE documents (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            collection TEXT NOT NULL,
            key TEXT NOT NULL,
            title TEXT NOT NULL,
            path TEXT,
            member TEXT NOT NULL DEFAULT '',
            type TEXT NOT NULL,
            language TEXT NOT NULL DEFAULT '',
            author TEXT NOT NULL DEFAULT '',
            size INTEGER NOT NULL,
            created REAL,
            modified REAL,
            indexed REAL NOT NULL,
            tags TEXT NOT NULL DEFAULT '[]',
            metadata TEXT NOT NULL DEFAULT '{}',
            content_hash BLOB,
            UNIQUE (collection, key)
        );
        CREATE INDEX documents_by_content ON documents (content_hash);
        CREATE TABLE bodies (
            id INTEGER PRIMARY KEY,
            text TEXT NOT NULL
        );
        CREATE TABLE chunks (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            document_id INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
            start INTEGER NOT NULL,
            stop INTEGER NOT NULL,
            place TEXT NOT NULL,
            hash BLOB NOT NULL
        );
        CREATE INDEX chunks_by_document ON chunks (document_id);
        CREATE TABLE versions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            model TEXT NOT NULL,
            precision TEXT NOT NULL,
            fingerprint TEXT NOT NULL UNIQUE,
            dimensions INTEGER NOT NULL,
            state TEXT NOT NULL,
            created REAL NOT NULL,
            activated REAL
        );
        CREATE TABLE vectors (
            id INTEGER PRIMARY KEY,
            version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
            hash BLOB NOT NULL,
            vector BLOB NOT NULL,
            UNIQUE (version_id, hash)
        );
        CREATE TABLE pending (
            version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
            chunk_id INTEGER NOT NULL REFERENCES chunks (id) ON DELETE CASCADE,
            PRIMARY KEY (version_id, chunk_id)
        ) WITHOUT ROWID;
        CREATE INDEX pending_by_chunk ON pending (chunk_id);
        CREATE TABLE changes (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            document_id INTEGER NOT NULL
        );
        CREATE TABLE files (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            collection TEXT NOT NULL,
            raw BLOB NOT NULL,
            path TEXT NOT NULL,
            root TEXT NOT NULL,
            size INTEGER NOT NULL DEFAULT 0,
            mtime_ns INTEGER NOT NULL DEFAULT 0,
            content_hash BLOB,
            state TEXT NOT NULL,
            rule TEXT NOT NULL DEFAULT '',
            reason TEXT NOT NULL DEFAULT '',
            tries INTEGER NOT NULL DEFAULT 0,
            seen REAL NOT NULL,
            UNIQUE (collection, raw)
        );
        CREATE INDEX files_by_content ON files (content_hash);
        CREATE INDEX files_by_path ON files (path);
        CREATE TABLE roots (
            collection TEXT NOT NULL,
            path TEXT NOT NULL,
            options TEXT NOT NULL DEFAULT '{}',
            PRIMARY KEY (collection, path)
        );
        CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
        """,
    ),
    (
        "0002_feedback",
        """
        CREATE TABLE feedback (
            id INTEGER PRIMARY KEY,
            collection TEXT NOT NULL,
            query TEXT NOT NULL,
            key TEXT NOT NULL,
            relevant INTEGER NOT NULL,
            given REAL NOT NULL,
            UNIQUE (collection, query, key)
        );
        """,
    ),
    (
        "0003_digests",
        """
        ALTER TABLE documents ADD COLUMN digest BLOB;
        ALTER TABLE vectors ADD COLUMN crc INTEGER;
        """,
    ),
    (
        "0004_tokens",
        """
        CREATE TABLE tokens (
            id INTEGER PRIMARY KEY,
            version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
            hash BLOB NOT NULL,
            bits BLOB NOT NULL,
            crc INTEGER NOT NULL,
            UNIQUE (version_id, hash)
        );
        """,
    ),
    (
        # Vectors in 12 bits, which an earlier release would misread; records have no hash of a file's content.
        "0005_twelve_bits",
        """
        DROP INDEX documents_by_content;
        CREATE INDEX documents_by_content ON documents (content_hash) WHERE content_hash IS NOT NULL;
        """,
    ),
    (
        # Hashes were taken before a file without a title got its name as title; localsearch/store/rehash.py mends them.
        "0006_names",
        """
        ALTER TABLE documents ADD COLUMN named INTEGER NOT NULL DEFAULT 0;
        INSERT INTO settings SELECT 'rehashed up to', '0' WHERE EXISTS (SELECT 1 FROM documents);
        """,
    ),
    (
        "0007_notes",
        """
        ALTER TABLE files ADD COLUMN notes TEXT NOT NULL DEFAULT '[]';
        """,
    ),
    (
        "0008_names_alone",
        """
        ALTER TABLE documents ADD COLUMN left_out TEXT NOT NULL DEFAULT '';
        ALTER TABLE files ADD COLUMN inode INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX documents_left_out ON documents (collection, key) WHERE left_out <> '';
        CREATE INDEX chunks_not_embedded ON chunks (id) WHERE hash = x'';
        """,
    ),
    (
        "0009_feeds",
        """
        CREATE TABLE feeds (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
            alias TEXT NOT NULL,
            collection TEXT NOT NULL,
            state TEXT NOT NULL,
            filled INTEGER NOT NULL DEFAULT 0,
            complete INTEGER NOT NULL DEFAULT 0,
            position INTEGER NOT NULL,
            expected INTEGER NOT NULL DEFAULT 0,
            sending INTEGER NOT NULL DEFAULT 0,
            revision INTEGER NOT NULL DEFAULT 0,
            holder TEXT NOT NULL DEFAULT '',
            UNIQUE (version_id, state)
        );
        CREATE TABLE fed (
            feed_id INTEGER NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
            chunk_id INTEGER NOT NULL,
            PRIMARY KEY (feed_id, chunk_id)
        ) WITHOUT ROWID;
        CREATE TABLE vector_changes (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            chunk_id INTEGER NOT NULL,
            version_id INTEGER
        );
        CREATE TRIGGER chunk_came AFTER INSERT ON chunks WHEN EXISTS (SELECT 1 FROM feeds)
        BEGIN INSERT INTO vector_changes (chunk_id) VALUES (new.id); END;
        CREATE TRIGGER chunk_went AFTER DELETE ON chunks WHEN EXISTS (SELECT 1 FROM feeds)
        BEGIN INSERT INTO vector_changes (chunk_id) VALUES (old.id); END;
        CREATE TRIGGER vector_came AFTER DELETE ON pending WHEN EXISTS (SELECT 1 FROM feeds)
        BEGIN INSERT INTO vector_changes (chunk_id, version_id) VALUES (old.chunk_id, old.version_id); END;
        CREATE TRIGGER vector_went AFTER INSERT ON pending WHEN EXISTS (SELECT 1 FROM feeds)
        BEGIN INSERT INTO vector_changes (chunk_id, version_id) VALUES (new.chunk_id, new.version_id); END;
        CREATE TRIGGER fields_changed
        AFTER UPDATE OF collection, type, language, size, created, modified, metadata ON documents
        WHEN EXISTS (SELECT 1 FROM feeds)
        BEGIN INSERT INTO vector_changes (chunk_id) SELECT id FROM chunks WHERE document_id = new.id; END;
        """,
    ),
)
