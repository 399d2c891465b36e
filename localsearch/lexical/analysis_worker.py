"""A process that takes chunks apart into words, until the pool hangs up.

Started as `python -m localsearch.lexical.analysis_worker DESCRIPTOR LANGUAGE STEMMING`, where DESCRIPTOR is its end of
a socket pair. It says first by which analyser it works; then each message of chunks is answered by one of `Fields`.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from multiprocessing.connection import Connection

import msgspec

from localsearch.lexical.fields import fields_of
from localsearch.platform.cores import lower_priority
from localsearch.text import Analyzer
from localsearch.types import IndexedChunk

_CHUNKS = msgspec.msgpack.Decoder(list[IndexedChunk])


def main(arguments: list[str]) -> None:
    """Answer until the other side hangs up."""
    lower_priority()
    gc.disable()  # nothing here refers to itself, and what is remembered would be looked through again and again
    connection = Connection(int(arguments[0]))
    analyzer = Analyzer(arguments[1], stemming=arguments[2] == "1")
    connection.send_bytes(analyzer.fingerprint.encode())
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            chunks = _CHUNKS.decode(connection.recv_bytes())
            connection.send_bytes(msgspec.msgpack.encode(fields_of(chunks, analyzer)))


if __name__ == "__main__":
    main(sys.argv[1:])
