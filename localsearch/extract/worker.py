"""A worker process: reads files it is handed as open descriptors, under limits, until the pool hangs up.

Started as `python -m localsearch.extract.worker DESCRIPTOR SETTINGS CUT`, where DESCRIPTOR is its end of a socket pair,
and CUT tells how text is cut into chunks, or is `null`.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from localsearch.errors import ExtractionError
from localsearch.extract import wire
from localsearch.extract.chunk import chunk
from localsearch.extract.drawn import draw
from localsearch.extract.limits import Limits, failure
from localsearch.extract.ocr import engine
from localsearch.extract.read import read
from localsearch.platform.confine import Room, confine, probe
from localsearch.platform.group import adopt
from localsearch.settings import MB, ChunkSettings, ExtractSettings
from localsearch.types import Extract

LIBRARIES = ("numpy", "msgspec", "kreuzberg", "pypdfium2", "selectolax", "python_calamine", "striprtf", "olefile",
             "pypff", "markdown_it", "yaml", "chardet", "py7zr", "libarchive", "mutagen", "pyarrow",
             "rapidocr", "onnxruntime", "cv2", "msoffcrypto", "cryptography")  # fmt: skip
"""What readers import when a file asks for it."""

RETIRE_AT = 300_000_000
"""Resident bytes beyond which a worker leaves after its file, and gives back what readers have hoarded."""

RETIRE_AT_RECOGNISING = 700_000_000
"""The same where text in images is recognised: the models stay loaded from one picture to the next."""


_OBJECTS = 50_000
"""New objects after which Python looks for those that refer to themselves: a text of many blocks has few or none."""


def main(arguments: list[str]) -> None:
    """Serve jobs from the socket until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=int(arguments[0]))
    settings = msgspec.json.decode(arguments[1], type=ExtractSettings)
    cut = msgspec.json.decode(arguments[2], type=ChunkSettings | None)
    os.nice(settings.niceness)
    gc.set_threshold(_OBJECTS)
    programs = settings.recognise == "now" and engine(Limits.of(settings)) == "tesseract"
    if programs:
        adopt()
    measures = confine(Room(settings.memory_mb * MB, LIBRARIES, programs))
    wire.send(connection, wire.Reply(confinement=measures | probe()))
    while serve(connection, settings, cut):
        pass


def serve(connection: socket.socket, settings: ExtractSettings, cut: ChunkSettings | None = None) -> bool:
    """Do one job; False when there is none left or this process should be replaced."""
    message, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 1)
    if not message:
        return False
    descriptor = descriptors[0]
    try:
        reply, found = answer(msgspec.msgpack.decode(message, type=wire.Job), descriptor, settings, cut)
    finally:
        os.close(descriptor)
    recognising = settings.recognise == "now" and settings.ocr != "off"
    most = RETIRE_AT_RECOGNISING if recognising else RETIRE_AT
    reply.leaving = reply.leaving or _resident() > most
    wire.send(connection, reply, *map(wire.pack, found))
    return not reply.leaving


def answer(
    job: wire.Job, descriptor: int, settings: ExtractSettings, cut: ChunkSettings | None = None
) -> tuple[wire.Reply, Sequence[Extract]]:
    """What comes of reading one file."""
    try:
        _allow(settings)
        data = contents(descriptor, settings)
        found = [draw(data, job.page)] if job.page else read(data, job.name, Limits.of(settings, cut))
        if cut and not job.page:
            found = [_in_chunks(one, cut) for one in found]
        return wire.Reply(count=len(found)), found
    except ExtractionError as error:
        return wire.Reply(rule=str(error.data["rule"]), reason=error.message, hint=error.hint), ()
    except MemoryError:
        full = failure("memory", f"reading it takes more than {settings.memory_mb} MB of memory")
        return wire.Reply(rule="memory", reason=full.message, hint=full.hint, leaving=True), ()


def _in_chunks(extract: Extract, cut: ChunkSettings) -> Extract:
    return replace(extract, chunks=chunk(extract, cut), blocks=()) if extract.chunks is None else extract


def contents(descriptor: int, settings: ExtractSettings) -> bytes:
    """All bytes of the file; no more than the limit even of a file that grows, or tells no size."""
    limit = settings.max_file_mb * MB
    size = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    data = b"" if size > limit else _all_of(descriptor, size, limit)
    size = max(size, len(data))
    if size > limit:
        raise failure("too-large", f"{size / 1e6:.0f} MB are over the limit of {settings.max_file_mb} MB")
    return data


def _all_of(descriptor: int, size: int, limit: int) -> bytes:
    """Its bytes, up to one beyond the limit. Most files have as many as they tell, and are read at once."""
    data = os.read(descriptor, size + 1)
    if len(data) == size:
        return data
    parts, length = [data], len(data)
    while data and length <= limit:
        data = os.read(descriptor, min(MB, limit + 1 - length))
        parts.append(data)
        length += len(data)
    return b"".join(parts)


def _allow(settings: ExtractSettings) -> None:
    """Let this file have its CPU seconds, counted from what the process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + settings.cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    signal.alarm(settings.wall_s + 10)


def _resident() -> int:
    """Bytes of memory in use now, where the system tells; else the most that ever was."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return wire.resident_bytes(resource.getrusage(resource.RUSAGE_SELF))


if __name__ == "__main__":
    main(sys.argv[1:])
