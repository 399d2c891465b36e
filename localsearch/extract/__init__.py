"""Text out of files, in confined worker processes.

A container (archive, mailbox, mail with attachments) gives several Extracts, told apart by `member`. An Extract
without text carries only `notes`: why that member, or part of the container, could not be read.
"""

from __future__ import annotations

from localsearch.extract.kinds import detect_type, type_by_name
from localsearch.extract.later import later, patient, recognises
from localsearch.extract.pool import Extractor, confinement
from localsearch.extract.process import OpenFile, Outcome

__all__ = [
    "Extractor",
    "OpenFile",
    "Outcome",
    "confinement",
    "detect_type",
    "later",
    "patient",
    "recognises",
    "type_by_name",
]
