"""Walk a folder: which files are there, which are left out, and why. Nothing here reads a file's text.

Enter through the names listed below. Nothing here knows of the database.
"""

from localsearch.scan.content import check_unchanged, content_hash, head, open_below, open_hash
from localsearch.scan.names import display, is_within, path_of, raw_of
from localsearch.scan.rules import ScannedFile, ScanRules, Skip, decides_folder, secret_head
from localsearch.scan.walk import folders, reaches, scan, scan_within

__all__ = [
    "ScannedFile",
    "ScanRules",
    "Skip",
    "check_unchanged",
    "content_hash",
    "decides_folder",
    "display",
    "folders",
    "head",
    "is_within",
    "open_below",
    "open_hash",
    "path_of",
    "raw_of",
    "reaches",
    "scan",
    "scan_within",
    "secret_head",
]
