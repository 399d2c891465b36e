"""Which type a file is: by its first bytes, and by its name where bytes cannot tell."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

HEAD = 8192
"""Bytes that detect() wants to see."""

SUFFIXES = {
    "markdown": "md markdown mdown mkd mdx rmd qmd",
    "rst": "rst rest",
    "tex": "tex ltx latex",
    "html": "html htm xhtml xht shtml",
    "pdf": "pdf",
    "docx": "docx docm dotx dotm",
    "doc": "doc dot",
    "pptx": "pptx pptm ppsx ppsm potx potm",
    "ppt": "ppt pps pot",
    "xlsx": "xlsx xlsm xltx xltm xlsb",
    "xls": "xls xlt xla",
    "odt": "odt ott fodt",
    "ods": "ods ots fods",
    "odp": "odp otp fodp",
    "rtf": "rtf",
    "epub": "epub",
    "csv": "csv",
    "tsv": "tsv tab",
    "json": "json geojson webmanifest har",
    "jsonl": "jsonl ndjson",
    "xml": "xml xsd xsl xslt svg rss atom kml gpx plist dbk docbook",
    "notebook": "ipynb",
    "eml": "eml mht mhtml",
    "emlx": "emlx",
    "msg": "msg",
    "pst": "pst ost",
    "mbox": "mbox mbx",
    "zip": "zip jar war apk whl cbz nupkg",
    "tar": "tar",
    "calendar": "ics ical ifb vcs",
    "contacts": "vcf vcard",
    "opml": "opml",
    "enex": "enex",
    "mindmap": "mm",
    "xmind": "xmind",
    "sqlite": "sqlite sqlite3 db db3 mbtiles gpkg",
    "parquet": "parquet",
    "7z": "7z",
    "rar": "rar cbr",
    "zim": "zim",
    "mobi": "mobi azw azw3 prc",
    "chm": "chm",
    "djvu": "djvu djv",
    "postscript": "ps eps",
    "media": "mp3 m4a m4b mp4 m4v mov flac ogg oga opus wma asf wmv aiff aif wav ape wv mpc",
    "image": "png jpg jpeg gif tif tiff webp bmp heic avif ico",
}
"""Suffixes by type; source code and compressed files have tables of their own."""

COMPRESSED = {
    "gz": "gzip",
    "tgz": "gzip",
    "bz2": "bzip2",
    "tbz2": "bzip2",
    "tbz": "bzip2",
    "xz": "xz",
    "txz": "xz",
    "lzma": "xz",
}

LANGUAGES = {
    "Python": "py pyi pyw",
    "JavaScript": "js mjs cjs jsx",
    "TypeScript": "ts tsx mts cts",
    "C": "c h",
    "C++": "cc cpp cxx hpp hh hxx",
    "C#": "cs",
    "Java": "java",
    "Kotlin": "kt kts",
    "Scala": "scala sc",
    "Go": "go",
    "Rust": "rs",
    "Swift": "swift",
    "Objective-C": "m mm",
    "Ruby": "rb rake gemspec",
    "PHP": "php",
    "Perl": "pl pm",
    "Lua": "lua",
    "R": "r",
    "Julia": "jl",
    "Haskell": "hs lhs",
    "OCaml": "ml mli",
    "F#": "fs fsx",
    "Erlang": "erl hrl",
    "Elixir": "ex exs",
    "Clojure": "clj cljs cljc edn",
    "Lisp": "lisp lsp cl el scm rkt",
    "Dart": "dart",
    "Zig": "zig",
    "Nim": "nim",
    "D": "d",
    "Fortran": "f f77 f90 f95 f03",
    "Pascal": "pas pp dpr",
    "Ada": "adb ads",
    "Assembly": "asm s",
    "VHDL": "vhd vhdl",
    "Verilog": "v sv svh",
    "Groovy": "groovy gradle",
    "Visual Basic": "vb bas vbs",
    "PowerShell": "ps1 psm1 psd1",
    "Shell": "sh bash zsh fish ksh",
    "Batch": "bat cmd",
    "SQL": "sql",
    "GraphQL": "graphql gql",
    "Protocol Buffers": "proto",
    "Thrift": "thrift",
    "CSS": "css scss sass less",
    "Vue": "vue",
    "Svelte": "svelte",
    "YAML": "yaml yml",
    "TOML": "toml",
    "INI": "ini cfg conf properties desktop service",
    "Make": "mk mak",
    "CMake": "cmake",
    "Terraform": "tf tfvars hcl",
    "Nix": "nix",
    "Dockerfile": "dockerfile",
    "TeX": "sty cls bib",
    "Tcl": "tcl",
    "Awk": "awk",
    "Vim script": "vim",
    "Diff": "diff patch",
    "Solidity": "sol",
    "CUDA": "cu cuh",
    "GLSL": "glsl vert frag",
}
_NAMED = {
    "makefile": "Make",
    "gnumakefile": "Make",
    "dockerfile": "Dockerfile",
    "containerfile": "Dockerfile",
    "cmakelists.txt": "CMake",
    "rakefile": "Ruby",
    "gemfile": "Ruby",
    "jenkinsfile": "Groovy",
    "vagrantfile": "Ruby",
    "build": "Starlark",
    "pkgbuild": "Shell",
}
_SHEBANG = {"python": "Python", "sh": "Shell", "bash": "Shell", "dash": "Shell", "zsh": "Shell", "perl": "Perl",
            "ruby": "Ruby", "node": "JavaScript", "lua": "Lua", "awk": "Awk", "php": "PHP", "tclsh": "Tcl",
            "Rscript": "R"}  # fmt: skip

_BY_SUFFIX = {suffix: kind for kind, names in SUFFIXES.items() for suffix in names.split()}
_LANGUAGE_BY_SUFFIX = {suffix: name for name, names in LANGUAGES.items() for suffix in names.split()}

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAGIC = (
    (b"{\\rtf", "rtf"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"]\0\0\x80\0", "xz"),
    (b"\x89PNG\r\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"II*\0", "image"),
    (b"MM\0*", "image"),
    (b"!BDN", "pst"),
    (b"\x78\x9f\x3e\x22", "tnef"),
    (b"\0\0\1\0", "image"),
    (b"SQLite format 3\0", "sqlite"),
    (b"PAR1", "parquet"),
    (b"7z\xbc\xaf'\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"ZIM\x04", "zim"),
    (b"ITSF", "chm"),
    (b"AT&TFORM", "djvu"),
    (b"%!PS", "postscript"),
    (b"\xc5\xd0\xd3\xc6", "postscript"),
    (b"OggS", "media"),
    (b"fLaC", "media"),
    (b"ID3", "media"),
    (b"(\xb5/\xfd", "packed"),
    (b"\x04\x22\x4d\x18", "packed"),
    (b"\x1f\x9d", "packed"),
    (b"LZIP\x01", "packed"),
    (b"\xed\xab\xee\xdb", "package"),
    (b"!<arch>\ndebian", "package"),
    (b"xar!\0", "package"),
    (b"MSCF\0\0\0\0", "package"),
)
_BINARY = (b"\x7fELF", b"MZ\x90", b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa", b"\xcf\xfa\xed\xfe",
           b"\x1aE\xdf\xa3", b"wOF", b"!<arch>\n")  # fmt: skip
_CPIO = re.compile(rb"07070[12][0-9A-Fa-f]{104}")
"""A header of cpio is in letters: cpio(5), the new portable format."""
_ZIPPED = frozenset(["docx", "pptx", "xlsx", "odt", "ods", "odp", "epub", "xmind"])
_FLAT = b"urn:oasis:names:tc:opendocument:xmlns:office"
_OLE_TYPES = frozenset(["doc", "ppt", "xls", "msg"])
_TEXTUAL = frozenset([
    "markdown", "rst", "tex", "html", "csv", "tsv", "json", "jsonl", "xml", "notebook", "eml", "emlx", "mbox",
    "calendar", "contacts", "opml", "enex", "mindmap",
])  # fmt: skip
TEXT_TYPES = _TEXTUAL | {"text", "code", "man"}
"""Types whose files are plain text as they are, markup included: a browser may show them as text."""

_MARKED = frozenset(["sqlite", "parquet", "7z", "rar", "zim", "mobi", "chm", "djvu", "postscript"])
"""Types whose first bytes tell them; a file of their name without those is another."""
_TEXT_MARKS = ((b"begin:vcalendar", "calendar"), (b"begin:vcard", "contacts"))
_MAN_NAME = re.compile(r"\.([1-9][a-z]{0,4}|n|l)$")
_MAN_HEAD = re.compile(rb"(?:['.](?!TH\s|Dd\s)[^\n]*\n|[ \t]*\n)*+\.(?:TH|Dd)\s")
_MAIL_HEAD = re.compile(
    rb"\A(?:[A-Za-z][A-Za-z0-9-]*:[^\n]*\n(?:[ \t][^\n]*\n)*)*?"
    rb"(?:Received|Return-Path|Message-ID|MIME-Version|From|Delivered-To):[^\n]*\n",
    re.I,
)


def detect_type(path: Path) -> str:
    """Type of a file on disk by name and first bytes; OSError as open() raises it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return detect(path.name, os.read(descriptor, HEAD))
    finally:
        os.close(descriptor)


def detect(name: str, head: bytes) -> str:
    """Type word for a file's name and first bytes, such as "pdf", "markdown" or "code".

    "binary" is what holds no text that could be read; "text" is any other text.
    """
    suffix = suffix_of(name)
    by_name = _BY_SUFFIX.get(suffix, "")
    if head.startswith(b"%PDF-"):
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return by_name if by_name in _ZIPPED else _zip_kind(head)
    if head.startswith(_OLE):
        return by_name if by_name in _OLE_TYPES else "ole"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if _CPIO.match(head):
        return "package"
    if head[257:262] == b"ustar" or (by_name == "tar" and len(head) >= 512):
        return "tar"
    # Some programs write a few lines before the header; a member of an archive or a mail may hold one too.
    late = head.find(b"%PDF-", 0, 1024)
    nameless = not by_name and not language_of(name)
    if late > 0 and (by_name == "pdf" or (nameless and head[late - 1] in b"\r\n")):
        return "pdf"
    if head[60:68] in (b"BOOKMOBI", b"TEXtREAd"):
        return "mobi"
    if head.startswith(_BINARY) or head[8:12] in (b"WEBP", b"WAVE") or head[4:8] == b"ftyp":
        return by_name if by_name in ("image", "media") else "binary"
    return _textual(name, suffix, by_name, head)


def type_by_name(name: str) -> str:
    """Type word for a file of which only the name is known: that of its ending, or the ending itself.

    >>> type_by_name("beach.JPG"), type_by_name("film.mkv"), type_by_name("README")
    ('image', 'mkv', 'file')
    """
    suffix = suffix_of(name)
    return _BY_SUFFIX.get(suffix, "") or suffix or "file"


def language_of(name: str, head: str = "") -> str:
    """Programming or markup language of a source file, by name, else by its first line; "" if unknown."""
    base = PurePosixPath(name).name.lower()
    if base in _NAMED:
        return _NAMED[base]
    found = _LANGUAGE_BY_SUFFIX.get(suffix_of(name), "")
    return found or _shebang(head)


def suffix_of(name: str) -> str:
    """The last suffix in lower case without its dot."""
    return PurePosixPath(name.replace("\\", "/")).suffix.lower().lstrip(".")


def _zip_kind(head: bytes) -> str:
    for mark, kind in (
        (b"mimetypeapplication/epub+zip", "epub"),
        (b"mimetypeapplication/vnd.oasis.opendocument.text", "odt"),
        (b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "ods"),
        (b"mimetypeapplication/vnd.oasis.opendocument.presentation", "odp"),
    ):
        if mark in head[:128]:
            return kind
    return "zip"


def _textual(name: str, suffix: str, by_name: str, head: bytes) -> str:
    if not looks_like_text(head):
        return by_name if by_name and by_name not in _TEXTUAL | _MARKED else "binary"
    if by_name == "image":
        return "text"
    if by_name in ("odt", "ods", "odp") and _FLAT in head:
        return by_name
    if by_name in _TEXTUAL:
        if by_name == "mindmap" and b"<map" not in head[:1024]:
            return "code"  # Objective-C++
        return "html" if by_name == "xml" and _is_html(head) else by_name
    if _MAN_NAME.search(name) and _MAN_HEAD.match(head):
        return "man"
    if language_of(name, head[:200].decode("latin-1")):
        return "code"
    return _by_content(suffix, head)


def _by_content(suffix: str, head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
    if _is_html(head):
        return "html"
    for mark, kind in _TEXT_MARKS:
        if start.startswith(mark):
            return kind
    if start.startswith(b"<?xml"):
        return "xml"
    if head.startswith(b"From ") and b"\n" in head and _MAIL_HEAD.match(head.partition(b"\n")[2]):
        return "mbox"
    if suffix not in ("txt", "log") and _MAIL_HEAD.match(head) and b"\nSubject:" in b"\n" + head:
        return "eml"
    return "man" if not suffix and _MAN_HEAD.match(head) else "text"


def _is_html(head: bytes) -> bool:
    start = head.replace(b"\0", b"").lower()
    return b"<!doctype html" in start[:1024] or b"<html" in start[:1024]


_CONTROL = bytes((*range(1, 8), *range(14, 27), *range(28, 32), 127))
_KOREAN, _CONTROL_KOREAN = b"\x1b$)C", _CONTROL.translate(None, b"\x0e\x0f")
"""What ISO-2022-KR begins with; it shifts between its alphabets by two of the control characters."""


def looks_like_text(head: bytes) -> bool:
    """Whether bytes read as text: few control characters, zeros only as in UTF-16 and UTF-32."""
    if not head or head.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        return True
    zeros = head.count(0)
    control = len(head) - len(head.translate(None, _CONTROL_KOREAN if _KOREAN in head else _CONTROL))
    if zeros > max(len(head) // 100, 1 if len(head) >= 16 else 0):
        return max(head[0::2].count(0), head[1::2].count(0)) > len(head) * 0.4 and zeros < len(head) * 0.8
    return control * 50 <= len(head)


def _shebang(head: str) -> str:
    if not head.startswith("#!"):
        return ""
    words = head.split("\n", 1)[0][2:].replace("/usr/bin/env", " ").replace("-S", " ").split()
    program = PurePosixPath(words[0]).name if words else ""
    return _SHEBANG.get(program.rstrip("0123456789."), "")
