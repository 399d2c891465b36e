"""Chooses the reader for a file's type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from localsearch.errors import ExtractionError
from localsearch.extract import (
    archive,
    data,
    database,
    epub,
    image,
    mail,
    mobi,
    msg,
    odf,
    ods,
    office,
    outline,
    outlook,
    pdf,
    ppt,
    rtf,
    separated,
    sheets,
    slides,
    word,
    zim,
)
from localsearch.extract.compound import forget
from localsearch.extract.headed import read_rst, read_tex
from localsearch.extract.html import read_html
from localsearch.extract.kinds import HEAD, detect
from localsearch.extract.limits import Limits, failure
from localsearch.extract.man import read_man
from localsearch.extract.markdown import read_markdown
from localsearch.extract.media import read_media
from localsearch.extract.notebook import read_notebook
from localsearch.extract.packages import OLE
from localsearch.extract.plain import read_code, read_text
from localsearch.extract.refine import refine
from localsearch.extract.source import Budget, Source, distinct
from localsearch.extract.unlock import MISSING, unlocked
from localsearch.extract.vcard import read_vcard
from localsearch.types import Extract

Reader = Callable[[Source], list[Extract]]


def read(contents: bytes, name: str, limits: Limits) -> list[Extract]:
    """The documents in a file's bytes; ExtractionError with a rule when there are none to be had."""
    budget = Budget(limits.unpacked, limits.members)
    try:
        found = distinct(read_source(Source(contents, name, limits, budget, read_source)))
    finally:
        forget()
    if not any(extract.text.strip() for extract in found):
        raise failure("empty", "it holds only white space")
    return found


def read_source(source: Source) -> list[Extract]:
    """The documents in a source, by the reader of its type; a file that Excel opens without asking is opened."""
    try:
        return _read(source)
    except ExtractionError as error:
        if error.data["rule"] != "encrypted" or not source.data.startswith(OLE):
            raise
        try:
            opened = unlocked(source.data)
        except ImportError:
            raise failure("encrypted", f"{error.message}; {MISSING}") from None
        if opened is None:
            raise
    source.budget.take(len(opened))
    return _read(replace(source, data=opened))


def _read(source: Source) -> list[Extract]:
    if not source.data:
        raise failure("empty", "the file is empty")
    kind = refine(detect(source.name, source.data[:HEAD]), source)
    reader = READERS.get(kind)
    if reader is None:
        raise failure(
            "binary" if kind == "binary" else "unsupported", _REASONS.get(kind, f"no reader for {kind}")
        )
    return _guarded(reader, source)


def _guarded(reader: Reader, source: Source) -> list[Extract]:
    """Run a reader; whatever it raises on a damaged file becomes the reason, for a member as for a file."""
    try:
        return reader(source)
    except (ExtractionError, MemoryError):
        raise
    except RecursionError:
        raise failure("damaged", "it is nested too deeply to be read") from None
    except Exception as error:
        raise failure("damaged", f"could not be read: {error or type(error).__name__}") from None
    except BaseException as error:
        if (
            type(error).__name__ != "PanicException"
        ):  # what readers written in Rust raise for a mistake of theirs
            raise
        raise failure("damaged", f"its reader gave up: {error}") from None


_REASONS = {
    "binary": "it is no text and of no type that holds any",
    "iwork": "Apple iWork files since 2013 cannot be read; export it as PDF",
    "chm": "a compiled help file: unpack it (7z x FILE) and index the folder",
    "djvu": "a DjVu book: convert it (ddjvu -format=pdf) and index the PDF",
    "postscript": "PostScript is a program that draws pages, not their text: convert it (ps2pdf) and index the PDF",
    "packed": "packed by zstd, lz4, lzip or compress: unpack it and index what is in it",
    "package": "a package or an archive of a kind that is not opened: unpack it and index the folder",
    "ole": "an OLE file that is neither Word, Excel, PowerPoint nor Outlook",
}

READERS: Mapping[str, Reader] = {
    "text": lambda source: [read_text(source.data, source.name, source.limits.text)],
    "code": lambda source: [read_code(source.data, source.name, source.limits.text)],
    "markdown": lambda source: [read_markdown(source.data, source.limits.text)],
    "rst": lambda source: [read_rst(source.data, source.limits.text)],
    "tex": lambda source: [read_tex(source.data, source.limits.text)],
    "html": lambda source: [
        read_html(source.data, source.limits.text, None if source.depth else source.limits.cut)
    ],
    "man": lambda source: [read_man(source.data, source.limits.text)],
    "pdf": pdf.read_pdf,
    "docx": word.read_docx,
    "doc": lambda source: office.read_office(source, "doc"),
    "odt": odf.read_odt,
    "pptx": slides.read_pptx,
    "ppt": ppt.read_ppt,
    "odp": odf.read_odp,
    "rtf": rtf.read_rtf,
    "xlsx": sheets.read_xlsx,
    "xls": sheets.read_xls,
    "ods": ods.read_ods,
    "csv": lambda source: separated.read_csv(source, "csv"),
    "tsv": lambda source: separated.read_csv(source, "tsv"),
    "epub": epub.read_epub,
    "json": lambda source: data.read_json(source, "json"),
    "jsonl": lambda source: data.read_json(source, "jsonl"),
    "xml": data.read_xml,
    "notebook": read_notebook,
    "eml": mail.read_eml,
    "mbox": mail.read_mbox,
    "msg": msg.read_msg,
    "emlx": mail.read_emlx,
    "pst": outlook.read_store,
    "tnef": outlook.read_winmail,
    "zip": archive.read_zip,
    "tar": archive.read_tar,
    "gzip": lambda source: archive.read_compressed(source, "gzip"),
    "bzip2": lambda source: archive.read_compressed(source, "bzip2"),
    "xz": lambda source: archive.read_compressed(source, "xz"),
    "7z": archive.read_7z,
    "rar": archive.read_rar,
    "calendar": read_vcard,
    "contacts": read_vcard,
    "opml": outline.read_opml,
    "mindmap": outline.read_mind_map,
    "xmind": outline.read_xmind,
    "enex": outline.read_enex,
    "sqlite": database.read_sqlite,
    "parquet": database.read_parquet,
    "mobi": mobi.read_mobi,
    "zim": zim.read_zim,
    "media": read_media,
    "iwork-xml": data.read_iwork,
    "image": image.read_image,
}
