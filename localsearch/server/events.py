"""A job's progress as server-sent events: `progress` with every change, `end`, a comment while nothing happens.

Belongs to the event loop; jobs are read in a worker thread, since that waits for the database.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from localsearch.server.headers import DATA_HEADERS
from localsearch.server.jobs import ENDED
from localsearch.server.operations import Call
from localsearch.server.problems import busy
from localsearch.server.responses import Receive, Send, while_there
from localsearch.server.schemas.jobs import JobAnswer
from localsearch.server.service import Service

LOOK_EVERY_S = 0.2
HEARTBEAT_S = 15.0


async def stream(service: Service, call: Call, receive: Receive, send: Send) -> None:
    """Send events until the job ends, the client leaves or the server stops."""
    id = int(call.path["id"])
    job = await service.in_thread(service.jobs.get, id)
    if service.streams >= service.settings.server.limits.event_streams:
        raise busy(
            "too_many_streams", "Too many clients follow jobs already.", 5, "GET /jobs/{id} tells the same."
        )
    service.streams += 1
    try:
        await _start(send)
        await while_there(receive, _follow(service, job, send))
        await send({"type": "http.response.body", "body": b""})
    finally:
        service.streams -= 1


async def _start(send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no"), *DATA_HEADERS]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _follow(service: Service, job: JobAnswer, send: Send) -> None:
    revision, sent, beat = -1, b"", time.monotonic()
    while True:
        if service.jobs.revision != revision:
            revision = service.jobs.revision
            job = await service.in_thread(service.jobs.get, job.id)
            now = msgspec.json.encode(job)
            if now != sent:
                sent, beat = now, time.monotonic()
                await _event(send, b"end" if job.state in ENDED else b"progress", now)
        if job.state in ENDED or service.stopping.is_set():
            return
        if time.monotonic() - beat > HEARTBEAT_S:
            beat = time.monotonic()
            await send({"type": "http.response.body", "body": b": still here\n\n", "more_body": True})
        await asyncio.sleep(LOOK_EVERY_S)


async def _event(send: Send, name: bytes, data: bytes) -> None:
    body = b"event: " + name + b"\ndata: " + data + b"\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})
