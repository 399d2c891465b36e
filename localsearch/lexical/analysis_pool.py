"""Chunks taken apart into words on all cores, in processes of their own: one of Python uses one core."""

from __future__ import annotations

import logging
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from localsearch.lexical.fields import Fields, fields_of
from localsearch.platform.cores import cores
from localsearch.platform.interpreter import ONE_THREAD, environment, module_command
from localsearch.text import Analyzer
from localsearch.types import IndexedChunk

MANY = 1_500
"""Chunks in a row from which processes are worth their start, of as long as a thousand chunks take."""
_TOGETHER = 64
"""Chunks of one message."""
FEW = 2 * _TOGETHER
"""Chunks below which one process is as quick as several."""
_MOST = 8
MOST_BEGUN = 8_000_000
"""Characters of chunks that may be begun and not asked for yet; others are taken apart when they are asked for."""
_START_S, _ANSWER_S = 60.0, 300.0
"""Seconds until a process is given up that does not start, and one that does not answer: a chunk takes less than one
thousandth."""
_IDLE_S = 30.0
"""Seconds after which processes that nobody asks are ended: their memory of words is for a run of indexing."""
_LOG = logging.getLogger("localsearch.lexical")
_FIELDS = msgspec.msgpack.Decoder(list[Fields])
_Said = tuple[Any, ...]
_BODY = 2
"""The place of a chunk's text in what it says."""


def _said(chunk: IndexedChunk) -> _Said:
    """All that the fields of a chunk depend on: everything but its ids."""
    return chunk[2:]


class AnalysisPool:
    """Processes for all cores but one, started when there is much to do and ended a while after: each learns all words.

    Whatever becomes of them, every chunk is taken apart: by this process where one of them fails. Safe to share between
    threads; close it when done.
    """

    def __init__(self, analyzer: Analyzer, count: int | None = None) -> None:
        self._analyzer = analyzer
        self._beside = (count or cores()) > 1
        self._count = count or max(1, min(cores() - 1, _MOST))
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for _ in range(self._count):
            self._idle.put(_Process(analyzer))
        self._threads: ThreadPoolExecutor | None = None
        self._gathered: list[IndexedChunk] = []
        self._begun: dict[_Said, tuple[Future[list[Fields]], int]] = {}
        self._before: dict[_Said, tuple[Future[list[Fields]], int]] = {}
        self._waiting = 0
        self._lately, self._asked = 0, 0.0
        self._rest: threading.Timer | None = None
        self._lock = threading.Lock()
        self._ending = threading.Lock()

    def begin(self, chunks: Sequence[IndexedChunk]) -> None:
        """Have chunks taken apart that `fields` will be asked for, while the caller does something else.

        Nothing is begun of few, nor of more than MOST_BEGUN characters.
        """
        with self._lock:
            size = sum(len(chunk.body) for chunk in chunks)
            if not self._beside or self._waiting + size > MOST_BEGUN:
                return
            self._waiting += size
            self._gathered += chunks
            if self._recently() + len(self._gathered) >= MANY or self._begun or self._before:
                self._begin_parts(_TOGETHER)

    def _begin_parts(self, least: int) -> None:
        """Give the processes what was gathered, but for a rest of fewer than `least`. Holds the lock."""
        while len(self._gathered) >= least:
            part, self._gathered = self._gathered[:_TOGETHER], self._gathered[_TOGETHER:]
            made = self._submit(part)
            self._begun.update((_said(chunk), (made, at)) for at, chunk in enumerate(part))

    def forget(self) -> None:
        """Let go of what was begun before this was called last and not asked for since: it never will be."""
        with self._lock:
            if self._begun or self._before:
                self._begin_parts(1)
            self._gathered, self._before, self._begun = [], self._begun, {}
            self._waiting = sum(len(said[_BODY]) for said in self._before)

    def fields(self, chunks: Sequence[IndexedChunk]) -> Iterator[Fields]:
        """What the index is given of each chunk, in order."""
        worth_it = self._worth_it(len(chunks))
        with self._lock:
            if self._begun or self._before:
                self._begin_parts(1)
            begun = [self._taken(_said(chunk)) for chunk in chunks]
            self._waiting -= sum(len(chunk.body) for chunk, one in zip(chunks, begun, strict=True) if one)
            self._stay()
        missing = [chunk for chunk, one in zip(chunks, begun, strict=True) if one is None]
        others = self._fields(missing, worth_it and len(missing) >= FEW)
        return (next(others) if one is None else one[0].result()[one[1]] for one in begun)

    def _taken(self, said: _Said) -> tuple[Future[list[Fields]], int] | None:
        """What was begun of a chunk that says this. Holds the lock."""
        return self._before.pop(said, None) or self._begun.pop(said, None)

    def _fields(self, chunks: Sequence[IndexedChunk], beside: bool) -> Iterator[Fields]:
        parts = [chunks[start : start + _TOGETHER] for start in range(0, len(chunks), _TOGETHER)]
        if not beside:
            return chain.from_iterable(fields_of(part, self._analyzer) for part in parts)
        with self._lock:
            self._stay()
            made = [self._submit(part) for part in parts]
        return chain.from_iterable(part.result() for part in made)

    def _worth_it(self, count: int) -> bool:
        """Whether so many chunks, with those that came shortly before, are for the processes."""
        self._lately, self._asked = self._recently() + count, time.monotonic()
        return self._beside and count >= FEW and self._lately >= MANY

    def _recently(self) -> int:
        """Chunks that came shortly before."""
        return self._lately if time.monotonic() - self._asked < _IDLE_S else 0

    def _submit(self, chunks: Sequence[IndexedChunk]) -> Future[list[Fields]]:
        """Have chunks taken apart in a process. Holds the lock."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._count, "localsearch-words")
            self._stay()
        return self._threads.submit(self._made, chunks)

    def _stay(self) -> None:
        """End the processes when nobody has asked for a while from now on. Holds the lock."""
        if self._rest is not None:
            self._rest.cancel()
        if self._threads is not None:
            self._rest = threading.Timer(_IDLE_S, self.close)
            self._rest.daemon = True
            self._rest.start()

    def _made(self, chunks: Sequence[IndexedChunk]) -> list[Fields]:
        process = self._idle.get()
        try:
            made = process.ask(chunks)
        except (OSError, EOFError, msgspec.DecodeError, ValueError) as error:
            _LOG.warning("a process for words has failed (%s); its chunks are taken apart in this one", error)
            process.stop()
            made = fields_of(chunks, self._analyzer)
        finally:
            self._idle.put(process)
        return made

    def close(self) -> None:
        """End the processes; those that are asked now answer before."""
        with self._lock:
            if self._rest is not None:
                self._rest.cancel()
            self._rest = None
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True)
        with self._ending:  # two who each held some of the processes would wait for each other
            for process in [self._idle.get() for _ in range(self._count)]:
                process.stop()
                self._idle.put(process)


class _Process:
    """One process, started when it is asked and not there."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def ask(self, chunks: Sequence[IndexedChunk]) -> list[Fields]:
        """What comes of these chunks. Raises OSError, EOFError, DecodeError or ValueError when it fails."""
        message = msgspec.msgpack.encode(chunks)
        try:
            found = self._asked(message)
        except (OSError, EOFError):  # it has died since it was asked last
            self.stop()
            found = self._asked(message)
        if len(found) != len(chunks):
            raise ValueError(f"{len(found)} answers to {len(chunks)} chunks")
        return found

    def _asked(self, message: bytes) -> list[Fields]:
        if self._connection is None:
            self._start()
        assert self._connection is not None
        self._connection.send_bytes(message)
        return _FIELDS.decode(self._received(_ANSWER_S))

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        language, stemming = self._analyzer.options
        command = module_command(
            "localsearch.lexical.analysis_worker", str(theirs.fileno()), language, str(int(stemming))
        )
        with theirs:
            self._connection = Connection(ours.detach())
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=environment() | ONE_THREAD,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        if (told := self._received(_START_S).decode()) != self._analyzer.fingerprint:
            raise ValueError(f"its analyser is {told}")

    def _received(self, seconds: float) -> bytes:
        assert self._connection is not None
        if not self._connection.poll(seconds):
            raise OSError(f"no answer within {seconds:g} s")
        return self._connection.recv_bytes()

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            with suppress(OSError):
                self._process.kill()
            self._process.wait()
        self._process = self._connection = None
