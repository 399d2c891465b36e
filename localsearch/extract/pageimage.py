"""Pages of PDFs as pictures for the server, drawn in a worker: what a PDF makes pdfium do never costs the server."""

from __future__ import annotations

import threading
from dataclasses import replace

import msgspec

from localsearch.errors import ExtractionError
from localsearch.extract import wire
from localsearch.extract.drawn import MOST_PIXELS, PageImage
from localsearch.extract.limits import failure
from localsearch.extract.process import OpenFile, Worker
from localsearch.settings import ExtractSettings

_WALL_S, _CPU_S = 20, 15
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class PageImages:
    """Draws pages in one worker, which starts at the first. Safe to share between threads, one page at a time."""

    def __init__(self, settings: ExtractSettings) -> None:
        self._settings = replace(
            settings, wall_s=min(settings.wall_s, _WALL_S), cpu_s=min(settings.cpu_s, _CPU_S)
        )
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        self._closed = False

    def draw(self, file: OpenFile, page: wire.Page) -> PageImage:
        """The picture of a page. Raises ExtractionError, UnavailableError when no worker can be started."""
        with self._lock:
            if self._closed:
                raise failure("missing", "the server stops")
            self._worker = self._worker or Worker(self._settings)
            outcome = self._worker.draw(file, page)
        if isinstance(outcome, ExtractionError):
            raise outcome
        try:
            image = msgspec.convert(outcome[0].metadata, PageImage)
        except (IndexError, msgspec.ValidationError) as error:
            raise failure("crash", f"its reader answered nonsense: {error}") from None
        if not image.png.startswith(_SIGNATURE) or image.width * image.height > 2 * MOST_PIXELS:
            raise failure("crash", "its reader answered no picture")
        return image

    def close(self) -> None:
        """End the worker; no page is drawn any more."""
        with self._lock:
            self._closed = True
            if self._worker:
                self._worker.close()
