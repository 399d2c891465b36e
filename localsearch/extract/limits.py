"""Limits on reading one file, and the reasons why one could not be read."""

from __future__ import annotations

from dataclasses import dataclass

from localsearch.errors import ExtractionError
from localsearch.settings import MB, ChunkSettings, ExtractSettings

HINTS = {
    "empty": "There is nothing to index.",
    "no-text": "If it holds scanned pages, pip install 'localsearch[ocr]', or install tesseract.",
    "image": "pip install 'localsearch[ocr]', or install tesseract, to read text in images.",
    "binary": "Nothing to do: it holds no text.",
    "encrypted": "Remove its password, or index an unprotected copy.",
    "damaged": "Try to open it in its own program, and save it again.",
    "unsupported": "Save it as one of the types that README lists.",
    "too-large": "Raise extract.max_file_mb to read it.",
    "bomb": "It unpacks to far more than it holds; raise extract.max_file_mb only if you trust it.",
    "memory": "Raise extract.memory_mb to try with more memory.",
    "cpu": "Raise extract.cpu_s to give it more time.",
    "timeout": "Raise extract.wall_s to give it more time.",
    "crash": "The reader of this type crashed on it; the rest of the index is not affected.",
    "changed": "It will be read again at the next run.",
    "missing": "It will be dropped from the index at the next run.",
    "unreadable": "Check its permissions.",
    "secret": "Unpack it and name the file itself to index it.",
    "special": "Only regular files are read.",
}
"""What to do next, by the stable word for the kind of reason."""


def failure(rule: str, reason: str) -> ExtractionError:
    """The error for a rule of HINTS; the reason is one plain line."""
    line = " ".join(reason.split())
    return ExtractionError(line if len(line) <= 300 else line[:299] + "…", hint=HINTS[rule], rule=rule)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in the units that readers use: characters, bytes, counts."""

    text: int
    unpacked: int
    members: int
    depth: int
    ocr: bool
    ocr_engine: str = "auto"
    ocr_later: bool = False
    cpu_s: int = 60
    cut: ChunkSettings | None = None
    """How the text is cut into chunks, for a reader that does so itself."""

    @classmethod
    def of(cls, settings: ExtractSettings, cut: ChunkSettings | None = None) -> Limits:
        return cls(
            text=settings.max_text_mb * MB,
            unpacked=settings.max_file_mb * MB,
            members=settings.max_members,
            depth=settings.max_depth,
            ocr=settings.ocr != "off",
            ocr_engine=settings.ocr_engine,
            ocr_later=settings.recognise == "later",
            cpu_s=settings.cpu_s,
            cut=cut,
        )
