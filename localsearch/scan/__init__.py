"""From a folder to its files: what is there, what is left out and why. Nothing here reads a file's text."""

from localsearch.scan.content import content_hash, head
from localsearch.scan.layers import IGNORE_FILES
from localsearch.scan.names import display, path_of, raw_of
from localsearch.scan.rules import DECISIVE, Found, ScanRules, Skip, secret_head
from localsearch.scan.walk import folders, scan, scan_within

__all__ = [
    "DECISIVE",
    "IGNORE_FILES",
    "Found",
    "ScanRules",
    "Skip",
    "content_hash",
    "display",
    "folders",
    "head",
    "path_of",
    "raw_of",
    "scan",
    "scan_within",
    "secret_head",
]
