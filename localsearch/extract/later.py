"""Text recognition in two steps: readers first tell which pages are scans; others read them when all else is done."""

from __future__ import annotations

from dataclasses import replace

from localsearch.extract.limits import Limits
from localsearch.extract.ocr import engine
from localsearch.platform.cores import cores
from localsearch.settings import ExtractSettings

TIMES = 10
"""How many times as long as another file one may take whose scans are read: a page takes seconds."""
NICENESS = 10


def recognises(settings: ExtractSettings) -> bool:
    """Whether text in pictures can be read here, and is to be."""
    return engine(Limits.of(settings)) != ""


def later(settings: ExtractSettings) -> ExtractSettings:
    """For readers that leave scans for later: they run no program and load no model."""
    return replace(settings, recognise="later")


def patient(settings: ExtractSettings) -> ExtractSettings:
    """For readers that read scans: on half of the cores, giving way to other programs, with time for many pages."""
    return replace(
        settings,
        workers=settings.workers or max(1, cores() // 2),
        niceness=NICENESS,
        cpu_s=settings.cpu_s * TIMES,
        wall_s=settings.wall_s * TIMES,
    )
