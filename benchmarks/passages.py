"""Real text at scale: passages of about 120 words out of Debian documentation packages.

The packages in packages.txt are downloaded with apt-get and unpacked, not installed, so no root is needed. The same
packages give the same passages in the same order: that of their hashes, so that the first n are a fair sample of all.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from lxml import etree, html

WORDS = 120
CHARACTERS = 800
LEAST_WORDS = 60
PER_PACKAGE = 40_000
SUFFIXES = (".html", ".htm", ".xhtml", ".txt", ".rst", ".html.gz", ".txt.gz")
PACKAGES = Path(__file__).with_name("packages.txt")
LARGE = Path(__file__).with_name("packages-large.txt")
_LEFT_OUT = {"script", "style", "nav", "head", "header", "footer", "noscript", "svg", "form"}
_INLINE = {"a", "abbr", "b", "code", "em", "i", "kbd", "q", "samp", "small", "span", "strong", "sub", "sup", "tt"} | {
    "var", "u", "font", "cite", "dfn", "ins", "del", "mark", "big"
}  # fmt: skip
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])|\n+")
_WORD = re.compile(r"[A-Za-z]{2,}")


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage, its id (16 hexadecimal digits of its hash) and the page it comes from."""

    id: str
    text: str
    source: str


def hash_of(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


# --- packages to pages


def package_names(*files: Path) -> list[str]:
    lines = [line for file in files or (PACKAGES,) for line in file.read_text().splitlines()]
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def fetch(cache: Path, *files: Path) -> list[Path]:
    """Download and unpack the packages; one already there is kept. Returns their folders, named PACKAGE_VERSION."""
    folder = cache / "debs"
    folder.mkdir(parents=True, exist_ok=True)
    names = package_names(*files)
    missing = [name for name in names if not list(folder.glob(f"{name}_*.deb"))]
    if missing:
        _need(
            "apt-get",
            "the passages come from Debian packages; on another system give a corpus with --passages",
        )
        subprocess.run(["apt-get", "download", "-q", *missing], cwd=folder, check=True)
    return [_unpacked(next(folder.glob(f"{name}_*.deb")), cache / "pages") for name in names]


def _unpacked(deb: Path, parent: Path) -> Path:
    target = parent / "_".join(deb.stem.split("_")[:2])
    if not target.exists():
        _need("dpkg-deb", "it unpacks what apt-get downloaded")
        partial_ = target.with_suffix(".partial")
        shutil.rmtree(partial_, ignore_errors=True)
        partial_.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "-x", deb, partial_], check=True)
        partial_.rename(target)
    return target


def _need(program: str, why: str) -> None:
    if shutil.which(program) is None:
        raise SystemExit(f"{program} is missing: {why}")


# --- pages to text


def page_text(data: bytes, suffix: str) -> str:
    """The words of a page: blocks on lines of their own, navigation and scripts left out."""
    if suffix.endswith(".gz"):
        data = gzip.decompress(data)
    if ".htm" in suffix or ".xhtml" in suffix:
        return _html_text(data)
    return re.sub(r"(?<=\S)\n(?=\S)", " ", data.decode("utf-8", "replace"))


def _html_text(data: bytes) -> str:
    try:
        root = html.document_fromstring(data, parser=html.HTMLParser(encoding="utf-8", huge_tree=True))
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return ""
    body = root.find("body")
    parts: list[str] = []
    _walk(body if body is not None else root, parts)
    return "".join(parts)


def _walk(element: html.HtmlElement, parts: list[str]) -> None:
    """Append the text in document order; an explicit stack, since pages nest deeper than Python recurses."""
    stack: list[tuple[html.HtmlElement, bool]] = [(element, False)]
    while stack:
        node, leaving = stack.pop()
        wanted = isinstance(node.tag, str) and node.tag not in _LEFT_OUT
        edge = "" if node.tag in _INLINE or not wanted else "\n"
        if leaving:
            parts.append(edge + (node.tail or ""))
            continue
        stack.append((node, True))
        if wanted:
            parts.append(edge + (node.text or ""))
            stack.extend((child, False) for child in reversed(node))


# --- text to passages


def split(text: str) -> Iterator[str]:
    """Passages of whole sentences: closed at 120 words or 800 characters, dropped below 60 words or as symbols."""
    held: list[str] = []
    words = size = 0
    for sentence in _SENTENCE.split(text):
        sentence = " ".join(sentence.split())
        if not sentence:
            continue
        if held and size + len(sentence) > CHARACTERS:
            yield from _kept(held)
            held, words, size = [], 0, 0
        held.append(sentence)
        words += sentence.count(" ") + 1
        size += len(sentence) + 1
        if words >= WORDS:
            yield from _kept(held)
            held, words, size = [], 0, 0
    yield from _kept(held)


def _kept(sentences: list[str]) -> Iterator[str]:
    text = " ".join(sentences)
    words = text.count(" ") + 1
    if len(text) <= 2 * CHARACTERS and words >= LEAST_WORDS and len(_WORD.findall(text)) >= 0.7 * words:
        yield text


def _of_page(file: Path, root: Path) -> list[tuple[str, str]]:
    suffix = "".join(file.suffixes[-2:]) if file.suffix == ".gz" else file.suffix
    source = str(file.relative_to(root.parent))
    return [(text, source) for text in split(page_text(file.read_bytes(), suffix))]


def _pages(root: Path) -> list[Path]:
    """Real files only, ordered by the hash of their path so that a cap takes a fair part of a package."""
    found = [file for file in root.rglob("*") if file.name.endswith(SUFFIXES) and file.is_file()]
    found = [file for file in found if not file.name.endswith("_source.html")]
    return sorted(
        (file for file in found if not file.is_symlink()), key=lambda f: hash_of(str(f.relative_to(root)))
    )


def of_package(root: Path, most: int = PER_PACKAGE) -> list[Passage]:
    """At most `most` passages of an unpacked package, without repeats."""
    found: dict[str, Passage] = {}
    for file in _pages(root):
        for text, source in _of_page(file, root):
            found.setdefault(hash_of(text), Passage(hash_of(text), text, source))
        if len(found) >= most:
            break
    return list(islice(found.values(), most))


def build(cache: Path) -> Path:
    """Write cache/passages.jsonl ({"id", "text", "source"} a line, in order of id) unless it is there; return it."""
    return _build(cache / "passages.jsonl", partial(fetch, cache), PER_PACKAGE)


def build_large(cache: Path) -> Path:
    """Write cache/passages-large.jsonl unless it is there: of more packages, each at most 400,000 passages; return it."""
    return _build(cache / "passages-large.jsonl", partial(fetch, cache, PACKAGES, LARGE), 10 * PER_PACKAGE)


def _build(target: Path, fetched: Callable[[], list[Path]], most: int) -> Path:
    if target.exists():
        return target
    found: dict[str, Passage] = {}
    with ProcessPoolExecutor() as pool:
        for passages in pool.map(partial(of_package, most=most), fetched()):
            found.update((passage.id, passage) for passage in passages)
    written = target.with_suffix(".partial")
    with written.open("w", encoding="utf-8") as lines:
        for passage in sorted(found.values(), key=lambda passage: passage.id):
            row = {"id": passage.id, "text": passage.text, "source": passage.source}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    written.rename(target)
    return target


def read(file: Path, count: int | None = None, start: int = 0) -> list[Passage]:
    """The passages from `start`, at most `count` of them."""
    with file.open(encoding="utf-8") as lines:
        stop = None if count is None else start + count
        return [Passage(**json.loads(line)) for line in islice(lines, start, stop)]


# --- queries from passages


def keywords(text: str, count: int, pick: int) -> str:
    """Words that someone might remember of a passage: `count` of its longest distinct ones, `pick` varying them."""
    words = list(dict.fromkeys(word.lower() for word in re.findall(r"[A-Za-z]{4,}", text)))
    chosen = sorted(words, key=partial(_rank, pick=pick))[:count]
    return " ".join(word for word in words if word in chosen)


def _rank(word: str, pick: int) -> tuple[int, str]:
    return (-min(len(word), 9), hash_of(f"{pick}{word}"))


def sentence(text: str, words: int) -> str:
    """The first `words` words of the passage's longest sentence, a query of natural length."""
    longest = max(_SENTENCE.split(text), key=len)
    return " ".join(re.findall(r"[A-Za-z0-9'-]+", longest)[:words])


@dataclass(frozen=True, slots=True)
class Queries:
    """Query texts by kind, each with the id of the passage that it was made from."""

    keywords: list[tuple[str, str]]
    sentences: list[tuple[str, str]]

    @classmethod
    def of(cls, passages: list[Passage]) -> Queries:
        """One three-word and one ten-word query from each passage."""
        return cls(
            [(keywords(passage.text, 3, index), passage.id) for index, passage in enumerate(passages)],
            [(sentence(passage.text, 10), passage.id) for passage in passages],
        )

    def mixed(self) -> list[str]:
        """Both kinds by turns, as text."""
        return [text for pair in zip(self.keywords, self.sentences, strict=True) for text, _ in pair]
