"""Words of real files beside those that an independent reader finds: python -m benchmarks.recall FOLDER ...

Office files are held against what LibreOffice reads of them: the paragraphs of the flat OpenDocument that it writes, of
spreadsheets the cells as shown, as CSV. PDF is held against pdftotext, HTML and EPUB against lxml's text without scripts
and styles, mail against Python's email, notebooks against their own JSON, text and source against their own bytes. A word
is a run of two or more letters or digits, in small letters; recall is the share of the other reader's words, counted as
often as it has them in a file, that our text, title and metadata have as often.

What the other reader has of its own is no word of the file:
- LibreOffice: text that is deleted in a change not yet accepted; who changed or commented, and when; the time of now and
  numbers of pages and notes in fields; names that it gives to the rows and columns of a chart without any (Row 1,
  Column A, AC, NaN), and the cells of a chart's sheet a second time. Digits, ordinals and Roman numbers are left out, also where they are glued to a word, as it makes
  them of lists and fields.
- lxml: the titles of an EPUB's pages, which no reader shows. The number of a note that is raised before or behind a word
  stands apart from it. A line that stands on a page again counts once, as in navigation.

Of presentations each word counts once, as what masters show stands on every page.

Files below a type's goal are listed with the words that are missing and with why. Where none is missing everywhere, they are
only repeated less often: what navigation repeats is told once. For others the reason is looked up in
results/texts/recall-explained.json by the file's name; a file without one is named as unexplained, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import csv
import email
import email.policy
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lxml import etree
from lxml import html as lxml_html

from benchmarks.machine import ROOT
from benchmarks.reading import files
from localsearch.errors import ExtractionError
from localsearch.extract import Extractor, detect_type
from localsearch.settings import ExtractSettings
from localsearch.types import Extract

GOALS = {"pdf": 0.99}
GOAL = 0.995
_WORD = re.compile(r"[^\W_]{2,}")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_MADE = re.compile(r"\d+(?:st|nd|rd|th)\b|\b[ivxlc]+\b")
_OFFICE = ("docx", "doc", "odt", "rtf")
_SLIDES = ("pptx", "ppt", "odp")
_SHEETS = ("xlsx", "xls", "ods")
_CONTAINERS = (".zip", ".gz", ".bz2", ".xz", ".tar", ".tgz", ".pages", ".key", ".numbers")
_MAIL = ("eml", "emlx", "mbox")
_TEXT = ("text", "code", "markdown", "rst", "csv", "tsv", "json", "jsonl", "xml")
_ODF = {
    name: f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0" for name in ("office", "text", "table", "meta")
} | {
    "draw": "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0",
    "dc": "http://purl.org/dc/elements/1.1/",
    "math": "http://www.w3.org/1998/Math/MathML",
}
_NOT_OF_THE_FILE = (
    "text:tracked-changes", "dc:creator", "dc:date", "meta:date-string", "meta:creator-initials",
    "text:note-citation", "text:page-number", "text:page-count", "text:date", "text:time", "office:binary-data", "math:annotation",
    "office:meta", "office:settings", "office:scripts", "office:font-face-decls", "office:styles",
    "office:automatic-styles", "office:master-styles",
)  # fmt: skip
_REPEATED = ".//office:spreadsheet//table:table[@table:name='local-table'] | .//table:table[@table:name='local-table']//draw:g"
_MADE_LABEL = re.compile(r"Row \d+|Column [A-Z]+|[A-Z]{1,2}|NaN")
_BREAKING = re.compile("sup|p|div|br|li|td|th|tr|h[1-6]|dt|dd|pre|section|article|title|option")


def words(text: str, numbers: bool = True) -> Counter[str]:
    """Words with how often they stand there; compatibility forms as plain ones, such as ligatures."""
    plain = unicodedata.normalize("NFKC", text).replace("\xad", "").lower()
    return Counter(_WORD.findall(plain) if numbers else _LETTERS.findall(_MADE.sub(" ", plain)))


def ours(found: tuple[Extract, ...]) -> str:
    """All that is searchable of a file."""
    return "\n".join(f"{one.title}\n{one.text}\n{one.member}\n{one.metadata}" for one in found)


class Office:
    """Text of many files by one run of LibreOffice for each target format."""

    def __init__(self, paths: list[Path], folder: Path) -> None:
        self._folder = folder
        self._copies = {path: folder / "in" / f"{index}{path.suffix}" for index, path in enumerate(paths)}
        (folder / "in").mkdir()
        for path, copy in self._copies.items():
            shutil.copyfile(path, copy)

    def convert(self, target: str, paths: list[Path]) -> None:
        """Convert the files, each by a run of its own where the common one breaks off."""
        for start in range(0, len(paths), 20):
            self._run(target, paths[start : start + 20])
        for path in paths:
            if not list((self._folder / "out").glob(f"{self._copies[path].stem}[.-]*")):
                self._run(target, [path])

    def _run(self, target: str, paths: list[Path]) -> None:
        profile = f"-env:UserInstallation=file://{self._folder}/profile"
        command = ["soffice", profile, "--headless", "--convert-to", target, "--outdir"]
        command += [str(self._folder / "out"), *(str(self._copies[path]) for path in paths)]
        try:
            subprocess.run(command, capture_output=True, check=False, timeout=30 + 10 * len(paths))
        except subprocess.TimeoutExpired:
            pass

    def text(self, path: Path) -> str | None:
        """What came of a file: the text, all sheets or slides of it; None where nothing came."""
        found = sorted((self._folder / "out").glob(f"{self._copies[path].stem}[.-]*"))
        texts = [
            one.read_text("utf-8-sig", "replace") if one.suffix == ".csv" else by_paragraphs(one)
            for one in found
        ]
        return "\n".join(texts) if texts else None


def by_paragraphs(path: Path) -> str:
    """Text of each paragraph in the body of flat OpenDocument; what stands in another one is a paragraph of its own."""
    root = etree.parse(path, etree.XMLParser(huge_tree=True)).getroot()
    body = root.find(f"{{{_ODF['office']}}}body")
    if body is None:
        return ""
    deleted = set(root.xpath("//text:changed-region[text:deletion]/@text:id", namespaces=_ODF))
    unread = (name.partition(":") for name in _NOT_OF_THE_FILE)
    etree.strip_elements(body, *(f"{{{_ODF[space]}}}{name}" for space, _, name in unread), with_tail=False)
    for repeated in body.xpath(_REPEATED, namespaces=_ODF):
        repeated.getparent().remove(repeated)
    for cell in body.xpath(".//table:table[@table:name='local-table']//text:p", namespaces=_ODF):
        if _MADE_LABEL.fullmatch("".join(cell.itertext()).strip()):
            cell.getparent().remove(cell)
    paragraphs = body.xpath(".//text:p | .//text:h", namespaces=_ODF)
    gone: set[str] = set()
    return "\n".join("".join(_own_text(paragraph, deleted, gone)) for paragraph in paragraphs)


def _own_text(element: etree._Element, deleted: set[str], gone: set[str]) -> Iterator[str]:
    """Text of a paragraph but for the paragraphs in it; `gone` are the deletions that have begun and not ended."""
    yield "" if gone else element.text or ""
    for child in element:
        name = etree.QName(child).localname if isinstance(child.tag, str) else ""
        if name in ("change-start", "change-end"):
            change = {child.get(f"{{{_ODF['text']}}}change-id", "")} & deleted
            gone.update(change) if name == "change-start" else gone.difference_update(change)
        elif name in ("p", "h", "line-break", "tab", "s"):
            yield " "
        elif name and name not in ("annotation", "note"):
            yield " " if name == "ruby-text" else ""
            yield from _own_text(child, deleted, gone)
        yield "" if gone else child.tail or ""


def by_pdftotext(path: Path) -> str | None:
    """Text by poppler; None where it refuses the file."""
    done = subprocess.run(["pdftotext", "-enc", "UTF-8", str(path), "-"], capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def by_lxml(data: bytes, *untold: str) -> str | None:
    """Text of a page without scripts and styles, and without the elements named."""
    try:
        parser = lxml_html.HTMLParser(encoding="utf-8" if _is_utf8(data) else None)
        root = lxml_html.document_fromstring(data, parser=parser)
    except (etree.LxmlError, ValueError):
        return None
    parts: list[str] = []
    for event, element in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        hidden = not isinstance(element.tag, str) or element.tag in (
            "script",
            "style",
            "template",
            "noscript",
            *untold,
        )
        breaks = isinstance(element.tag, str) and _BREAKING.fullmatch(element.tag) is not None
        if event == "start":
            parts += ["\n" if breaks else "", "" if hidden else element.text or ""]
        else:
            parts += ["\n" if breaks else "", element.tail or ""]
    return "".join(parts)


def each_once(text: str | None) -> str | None:
    """The lines of a page, each once."""
    return (
        None
        if text is None
        else "\n".join(dict.fromkeys(" ".join(line.split()) for line in text.split("\n")))
    )


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def by_epub(path: Path) -> str | None:
    """All pages in the package."""
    with zipfile.ZipFile(path) as package:
        pages = [name for name in package.namelist() if name.lower().endswith((".xhtml", ".html", ".htm"))]
        return "\n".join(by_lxml(package.read(page), "title") or "" for page in pages)


def by_email(path: Path) -> str | None:
    """Subject, addresses' names and the first readable body by Python's email; of a mailbox those of each message."""
    data = path.read_bytes()
    if path.suffix == ".mbox":
        import mailbox

        messages = [
            email.message_from_bytes(one.as_bytes(), policy=email.policy.default)
            for one in mailbox.mbox(path)
        ]
    else:
        messages = [email.message_from_bytes(data, policy=email.policy.default)]
    texts = []
    for message in messages:
        try:
            texts.append(str(message.get("subject", "")))
            body = message.get_body(("plain", "html"))
            content = body.get_content() if body is not None else ""
            is_html = body is not None and body.get_content_subtype() == "html"
            texts.append((by_lxml(content.encode()) or "") if is_html and content.strip() else content)
        except (KeyError, LookupError, ValueError, AttributeError):
            return None
    return "\n".join(texts)


def by_json(path: Path) -> str | None:
    """Sources and textual outputs of a notebook's cells."""
    parts: list[str] = []
    for cell in json.loads(path.read_bytes()).get("cells", []):
        parts.append("".join(cell.get("source", [])))
        for output in cell.get("outputs", []):
            parts.append("".join(output.get("text", [])))
            parts.append("".join(output.get("data", {}).get("text/plain", [])))
    return "\n".join(parts)


def by_bytes(path: Path) -> str | None:
    """The file's own text where it is UTF-8, XML without its tags."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None
    if path.suffix.lower() in (".xml", ".svg"):
        text = re.sub(r"<w:binData\b.*?</w:binData>", " ", text, flags=re.S)
        text = html.unescape(re.sub(r"<!--.*?-->|<[^>]*>", " ", text, flags=re.S))
    if path.suffix.lower() in (".csv", ".tsv"):
        text = "\n".join(" ".join(row) for row in csv.reader(text.splitlines()))
    return text


_SINGLE: dict[str, Callable[[Path], str | None]] = {
    "pdf": by_pdftotext,
    "epub": by_epub,
    "notebook": by_json,
    "html": lambda path: each_once(by_lxml(path.read_bytes())),
    **dict.fromkeys(_MAIL, by_email),
    **dict.fromkeys(_TEXT, by_bytes),
}


def references(paths: dict[Path, str], folder: Path) -> Iterator[tuple[Path, str]]:
    """Each file with the other reader's text, where there is one."""
    office = {path: kind for path, kind in paths.items() if kind in (*_OFFICE, *_SLIDES, *_SHEETS)}
    if office and shutil.which("soffice"):
        by_office = Office(list(office), folder)
        for target, kinds in (
            ("fodt", _OFFICE),
            ("fodp", _SLIDES),
            ("csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,true,false,false,-1", _SHEETS),
        ):
            by_office.convert(target, [path for path, kind in office.items() if kind in kinds])
        yield from ((path, text) for path in office if (text := by_office.text(path)) is not None)
    for path, kind in paths.items():
        if kind in _SINGLE and (text := _SINGLE[kind](path)) is not None:
            yield path, text


_Row = tuple[Path, int, Counter[str], int, int]
"""A file, the other reader's words, those that ours has less often, and of the different words all and the absent."""

EXPLAINED = ROOT / "benchmarks" / "results" / "texts" / "recall-explained.json"
REPEATED = "only repeated less often: each of its words is there"
UNEXPLAINED = "UNEXPLAINED"


def why_below(name: str, nowhere: int) -> str:
    """Why a file is below the goal, by what is missing and what was looked up once."""
    if not nowhere:
        return REPEATED
    reasons: dict[str, str] = json.loads(EXPLAINED.read_bytes())
    return next((why for pattern, why in reasons.items() if fnmatchcase(name, pattern)), UNEXPLAINED)


def measure(paths: list[Path]) -> dict[str, Any]:
    """Files, words and recall of each type, and the files below its goal."""
    found: dict[Path, tuple[Extract, ...]] = {}
    kinds: dict[Path, str] = {}
    refused: defaultdict[str, list[str]] = defaultdict(list)
    with Extractor(ExtractSettings(ocr="off")) as extractor:
        for path, outcome in extractor.extract_many(paths):
            if isinstance(outcome, ExtractionError):
                refused[detect_type(path)].append(f"{path.name}: {outcome.message}")
            elif path.suffix.lower() not in _CONTAINERS:
                found[path], kinds[path] = outcome, outcome[0].type
    rows: defaultdict[str, list[_Row]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for path, text in references(kinds, Path(folder)):
            numbers = kinds[path] not in (*_OFFICE, *_SLIDES, *_SHEETS)
            wanted = words(text, numbers)
            if kinds[path] in _SLIDES:
                wanted = Counter(set(wanted))
            if wanted:
                has = words(ours(found[path]), numbers)
                nowhere = len(wanted.keys() - has.keys())
                rows[kinds[path]].append((path, wanted.total(), wanted - has, len(wanted), nowhere))
    return {
        "files": sum(map(len, rows.values())),
        "types": {kind: _summary(kind, of) for kind, of in sorted(rows.items())},
        "not read": dict(sorted(refused.items())),
    }


def _summary(kind: str, rows: list[_Row]) -> dict[str, Any]:
    wanted, lost = sum(row[1] for row in rows), sum(row[2].total() for row in rows)
    goal = GOALS.get(kind, GOAL)
    below = [
        f"{path.name}: {1 - missing.total() / count:.4f} of {count}, without "
        + ", ".join(f"{word} {times}" for word, times in missing.most_common(12))
        + f" ({why_below(path.name, nowhere)})"
        for path, count, missing, _, nowhere in sorted(rows, key=lambda row: -row[2].total())
        if 1 - missing.total() / count < goal
    ]
    recall = round(1 - lost / max(1, wanted), 5)
    different = sum(of for *_, of, _ in rows)
    absent = sum(nowhere for *_, nowhere in rows)
    anywhere = round(1 - absent / max(1, different), 5)
    return {
        "files": len(rows),
        "words": wanted,
        "recall": recall,
        "different_words_found": anywhere,
        "goal": goal,
        "below": below,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recall",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=60, help="files of each ending in each folder")
    parser.add_argument("--out", type=Path, metavar="JSON")
    arguments = parser.parse_args()
    report = measure(list(files(arguments.folders, arguments.most)))
    written = json.dumps(report, indent=1, ensure_ascii=False)
    print(written)
    if arguments.out:
        arguments.out.write_text(written + "\n", "utf-8")
    return int(any(UNEXPLAINED in line for row in report["types"].values() for line in row["below"]))


if __name__ == "__main__":
    sys.exit(main())
