"""From a folder to its files: what is there, what is left out and why. Nothing here reads a file's text."""

from localsearch.scan.content import content_hash, head
from localsearch.scan.names import display, path_of, raw_of
from localsearch.scan.rules import Found, ScanRules, Skip, secret_head
from localsearch.scan.walk import IGNORE_FILES, scan

__all__ = [
    "IGNORE_FILES",
    "Found",
    "ScanRules",
    "Skip",
    "content_hash",
    "display",
    "head",
    "path_of",
    "raw_of",
    "scan",
    "secret_head",
]
