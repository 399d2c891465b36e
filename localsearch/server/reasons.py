"""Why a file was not read, or not whole, as a code with its values: what a page in another language is made from.

Readers give reasons as one plain line, which the ledger keeps. `told` finds the wording that a line was made by, so
that ledgers of earlier releases are told as well. The page has a wording for each code in each of its languages
(web/reasons.*.js); for a line without a code it shows the line. Plain functions, for any thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

REASONS: Mapping[str, str] = {
    # access and content
    "password": "it asks for a password",
    "protected": "it is protected in a way that cannot be read",
    "drm": "it is protected by digital rights management",
    "copy-protected": "the book is copy-protected",
    "chapters-drm": "{0} chapters are protected by digital rights management",
    "locked-workbook": "where it only locks the workbook's structure, pip install 'localsearch[protected]' reads it",
    "gone": "it was gone when it was to be read",
    "not-regular": "not a regular file",
    "path-not-regular": "{0} is not a regular file",
    "swapped": "{0} is not the file that was found: {1}",
    "changed": "{0} changed while it was read",
    "path-unreadable": "{0} cannot be read: {1}",
    "it-unreadable": "it cannot be read: {0}",
    "not-examined": "it cannot be examined: {0}",
    "folder-unreadable": "the folder cannot be read: {0}",
    "permission": "Permission denied",
    # nothing in it
    "empty-file": "the file is empty",
    "white-space": "it holds only white space",
    "no-text": "it holds no text",
    "no-text-of-its-own": "it holds no text of its own: pictures or embedded objects only, or nothing",
    "no-text-of-its-own-charts": "it holds no text of its own: pictures, charts or embedded objects only, or nothing",
    "no-text-of-its-own-odf": "it holds no text of its own: pictures or objects only, or nothing",
    "no-text-slides": "its slides hold no text: pictures or embedded objects only, or nothing",
    "no-text-slides-odf": "its slides hold no text",
    "no-text-sheets": "its sheets hold no cells with content",
    "no-text-tables": "its tables hold no text",
    "no-text-columns": "its columns hold no text",
    "no-text-chapters": "its chapters hold no text",
    "no-text-book": "the book holds no text",
    "no-text-tags": "it holds no text between its tags",
    "no-text-page": "{0} page without text: images or drawings only, or blank",
    "no-text-pages": "{0} pages without text: images or drawings only, or blank",
    "no-message": "it holds no message",
    "no-notes": "it holds no notes",
    "no-articles": "it holds no articles",
    "no-entries": "it holds no events, tasks or contacts",
    "no-files": "the archive holds no files",
    "no-presentation": "it holds no presentation",
    "no-tags": "a recording without tags",
    "only-refers": "it only refers to the page {0}",
    "nothing-readable": "nothing in it could be read: {0:any}",
    "nothing-readable-more": "nothing in it could be read: {0:any} (and {1} more)",
    # kinds that are not read
    "binary": "it is no text and of no type that holds any",
    "no-reader": "no reader for {0}",
    "iwork": "Apple iWork files since 2013 cannot be read; export it as PDF",
    "chm": "a compiled help file: unpack it (7z x FILE) and index the folder",
    "djvu": "a DjVu book: convert it (ddjvu -format=pdf) and index the PDF",
    "postscript": "PostScript is a program that draws pages, not their text: convert it (ps2pdf) and index the PDF",
    "packed": "packed by zstd, lz4, lzip or compress: unpack it and index what is in it",
    "package": "a package or an archive of a kind that is not opened: unpack it and index the folder",
    "ole": "an OLE file that is neither Word, Excel, PowerPoint nor Outlook",
    "foreign-word": "it was written by {0}, which cannot be read",
    "old-powerpoint": "it was written by PowerPoint 95 or before",
    "no-word": "it is no Word document, whatever its name says",
    "want-7z": "a 7z archive: pip install 'localsearch[archives]' to read it",
    "want-rar": "a RAR archive: install libarchive and pip install 'localsearch[archives]' to read it",
    "want-parquet": "a Parquet file: pip install 'localsearch[parquet]' to read its text",
    "want-zim": "a ZIM file: pip install 'localsearch[zim]' to read it",
    "want-outlook": "an Outlook store; pip install 'localsearch[outlook]' to read it",
    "want-media": "music or a film: pip install 'localsearch[media]' to read its tags",
    # pictures and scans
    "image": "an image; {0:told}",
    "image-no-text": "an image in which no text was recognised",
    "image-format": "an image of a format that is not known, or a damaged one",
    "image-damaged": "a damaged image: {0}",
    "ocr-off": "text recognition is off: set extract.ocr = \"auto\" and pip install 'localsearch[ocr]'",
    "ocr-missing": "no text recognition is installed: pip install 'localsearch[ocr]', or install the program tesseract",
    "ocr-later": "text recognition follows when all else is read and embedded",
    "tesseract": "tesseract could not read it: {0}",
    "scan": "{0:told} is a scan",
    "scans": "{0:told} are scans",
    "scans-no-text": "{0:told}: no text was recognised",
    "scans-no-time": "{0:told}: not read in the time for a file; raise extract.cpu_s",
    "scans-failed": "{0:told}: text recognition failed: {1}",
    "scans-unread": "its scans could not be read: {0:any}",
    "page": "page {0:numbers}",
    "pages": "pages {0:numbers}",
    "page-blank": "{0:told} holds neither text nor picture",
    "pages-blank": "{0:told} hold neither text nor picture",
    "pages-unread": "{0:told} could not be read",
    "part-lost": "{0} could not be read",
    # damage
    "unread": "could not be read",
    "unread-why": "could not be read: {0}",
    "unpacked": "could not be unpacked: {0}",
    "unpacked-cut": "could not be unpacked to its end: {0}",
    "not-zipped": "{0}: could not be unpacked: {1}",
    "breaks-off": "the archive breaks off: {0}",
    "message-breaks-off": "the message breaks off",
    "entry-breaks-off": "it breaks off within an entry",
    "winmail-breaks-off": "winmail.dat breaks off",
    "winmail-damaged": "winmail.dat is damaged: some of its properties were not read",
    "winmail-unread": "winmail.dat could not be read: {0}",
    "not-pdf": "it is no readable PDF",
    "not-opened-pdf": "it is no PDF that can be opened",
    "not-xmind": "no readable XMind file: {0}",
    "not-winmail": "no readable winmail.dat: {0}",
    "not-store": "no readable Outlook store: {0}",
    "not-outlook": "no readable Outlook message: {0}",
    "not-sqlite": "no readable SQLite database: {0}",
    "not-parquet": "no readable Parquet file: {0}",
    "not-zim": "no readable ZIM file: {0}",
    "not-kindle": "no readable Kindle book: {0}",
    "not-notebook": "no valid notebook: {0}",
    "not-xml": "no valid XML: {0}",
    "not-media": "its tags cannot be read: {0}",
    "no-parts": "it has no readable table of its parts: {0}",
    "no-main-part": "it has no main part such as {0}",
    "no-content": "it has no content.xml",
    "no-slides": "its list of slides could not be found",
    "no-page": "it has no page {0}",
    "not-drawn": "the page cannot be drawn: {0}",
    "page-size": "a page of {0} by {1} points",
    "part-unpacked": "its part {0} could not be unpacked: {1}",
    "part-xml": "{0} is no valid XML: {1}",
    "part-missing": "its part {0} is missing",
    "part-cut": "{0} could not be unpacked to its end: {1}",
    "part-cut-xml": "{0} is no well-formed XML ({1}); it was read up to there",
    "cut-xml": "no well-formed XML ({0}); it was read up to there",
    "loose-xml": "not well-formed XML ({0}); read as far as possible",
    "part-unread": "{0} was not read: {1:any}",
    "part-not-read": "{0} could not be read: {1:any}",
    "not-kept-as-file": "it is not kept as a file",
    "embedded-unread": "what is embedded could not be read: {0}",
    "around-unread": "notes, comments and headers could not be read: {0}",
    "rtf-unread": "its text in RTF could not be read: {0}",
    "cells-unread": "what stands around the cells of {0} was not read: {1}",
    "sheet-missing": "the sheet {0} is missing",
    "sheet-unread": "the sheet {0} was not read: {1:any}",
    "table-unread": "table {0} could not be read: {1}",
    "slide-unread": "slide {0} could not be read",
    "slide-nested": "slide {0} is nested too deeply",
    "drawing-missing": "a slide's drawing (object {0}) is missing",
    "attachment-unread": "attachment {0} could not be read: {1}",
    "outline-damaged": "its outline is damaged",
    "to-its-end": "it could not be read to its end: {0}",
    # limits
    "nested": "it is nested too deeply to be read",
    "nested-cut": "it is nested too deeply; it was read up to there",
    "part-nested": "{0} is nested too deeply; it was read up to there",
    "deep": "nested more than {0} deep",
    "unpacks": "it unpacks to more than the limit",
    "part-unpacks": "its part {0} unpacks to more than {1} MB",
    "entities": "its entities unpack to far more than it holds: {0}",
    "declares-entities": "{0} declares entities",
    "elements": "{0} holds more than {1} million elements",
    "members": "it holds more than {0} members",
    "messages-left": "this message and all after it were left out",
    "items-left": "this item and all after it were left out",
    "articles-left": "{0} of {1} articles were left out: they are too many for one file",
    "first-million": "only the first {0} million characters were read",
    "first-outline": "only the first {0} entries of its outline were read",
    "too-large": "{0} MB are over the limit of {1} MB",
    "too-large-bytes": "{0} bytes, above the limit of {1}",
    "memory": "reading it takes more than {0} MB of memory",
    "memory-programs": "reading it takes more than {0} MB of memory, with the programs that this starts",
    "cpu": "reading it took more than {0} s of processor time",
    "cpu-programs": "reading it took more than {0} s of processor time, with the programs that this starts",
    "time": "reading it took longer than {0} s",
    "programs": "its reader started more than {0} programs at once",
    "died": "its reader died of it ({0})",
    "died-saying": "its reader died of it ({0}) {1}",
    "nonsense": "its reader answered nonsense: {0}",
    "no-picture": "its reader answered no picture",
    "gave-up": "its reader gave up: {0}",
    "unexpected": "an unexpected {0}",
    "unexpected-log": "an unexpected {0}; the log has the details",
    "stops": "the server stops",
    # what was not read of a file
    "encrypted-message": "the message is encrypted",
    "encrypted-message-smime": "the message is encrypted (S/MIME)",
    "not-in-file": "{0} is not kept in this file",
    "not-in-store": "{0} is not kept in the store",
    "not-in-winmail": "{0} is not kept in winmail.dat",
    "picture-or-recording": "{0} is a picture or a recording",
    "embedded-object": "{0} embedded object without text that can be read",
    "embedded-objects": "{0} embedded objects without text that can be read",
    "evernote": "its {0} attachments were not read: export them from Evernote",
    "wrong-date": "{0}: not a date of the years 1 to 9999, left out",
    "metadata": "metadata: {0:any}",
    "metadata-deep": "what is nested more than {0} deep was left out",
    "metadata-values": "only the first {0} values were kept",
    "metadata-long": "texts longer than {0} characters were cut",
    "metadata-digits": "a number of more than 300 digits was left out",
    "metadata-infinite": "a number that is not finite was left out",
    # left out by a rule
    "vcs": "version control keeps its own data here",
    "hidden": "its name begins with a dot",
    "excluded": "matches an exclude pattern",
    "not-included": "matches no include pattern",
    "ignored": "matches {0} in {1}",
    "system": "a view of the running system, not files",
    "own-data": "localsearch keeps its own data here",
    "profile": "a browser profile",
    "special": "a pipe, socket or device, which is never opened",
    "cache-mark": "{0} in it says that a tool can make it again",
    "cache-folder": "{0} folders hold what a tool can make again",
    "build": "the output of the build that {0} beside it describes",
    "link-nowhere": "a link that leads nowhere",
    "link": "a link to {0}, which is found under that name",
    "link-out": "a link that leads out of the folder, to {0}",
    "office-lock": "the lock of a document that is open in an office program",
    "only-tags": "{0} files hold only tags: pip install 'localsearch[media]' to read them",
    "not-of-name": "it is no {0} file",
    "files-no-text": "{0} files hold no text",
    "secret-name": "looks like a key, a password store or a private history",
    "secret-folder": "a folder that holds keys, passwords or a browser profile",
    "secret-key": "holds a private key",
    "secret-password": "holds a password or a token",
    "secret-store": "is a password store, a wallet or a browser's data",
    # several at once
    "both": "{0:told}; {1:told}",
    "member": "{0:any}: {1:told}",
}
"""English by code. `{0}` is any value, `{0:numbers}` one of digits, `{0:told}` a reason, `{0:any}` a reason or not."""
_VALUE = re.compile(r"\{\d:?(numbers|told|any|)\}")
_NUMBERS = r"([\d, -]+)"
_KEPT = 4096


class Told(msgspec.Struct, frozen=True):
    """A reason: its line, the code of the wording that it was made by, "" for one that is not known, and the values."""

    text: str
    code: str
    values: list[str | Told]


@lru_cache(maxsize=_KEPT)
def told(line: str) -> Told:
    """What a line says.

    >>> told("reading it took longer than 60 s")
    Told(text='reading it took longer than 60 s', code='time', values=['60'])
    """
    for code, pattern, kinds in _PATTERNS:
        if found := pattern.fullmatch(line):
            values = [_value(group, kind) for group, kind in zip(found.groups(), kinds)]
            if all(kind != "told" or isinstance(value, Told) for value, kind in zip(values, kinds)):
                return Told(line, code, values)
    return Told(line, "", [])


def _value(group: str, kind: str) -> str | Told:
    """A value as it stands, or as the reason that it is."""
    inner = told(group) if kind in ("told", "any") else None
    return inner if inner and inner.code else group


def _compiled(english: str) -> tuple[re.Pattern[str], list[str]]:
    parts = _VALUE.split(english)
    kinds = parts[1::2]
    values = [_NUMBERS if kind == "numbers" else "(.+?)" for kind in kinds]
    pattern = "".join(re.escape(text) + value for text, value in zip(parts[::2], [*values, ""]))
    return re.compile(pattern, re.DOTALL), kinds


def _most_said_first(item: tuple[str, str]) -> tuple[bool, int]:
    """Wordings with more words of their own come before those that would take these for a value."""
    english = item[1]
    return _VALUE.search(english) is not None, -len(_VALUE.sub("", english))


_PATTERNS = [(code, *_compiled(english)) for code, english in sorted(REASONS.items(), key=_most_said_first)]
