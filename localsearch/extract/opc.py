"""Open Packaging Conventions: the parts of an Office Open XML file, their relationships, and their XML.

References: ECMA-376 part 2 (packages), part 1 annex on strict namespaces.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote
from xml.etree import ElementTree

from localsearch.errors import ExtractionError
from localsearch.extract.limits import failure
from localsearch.extract.packages import DAMAGE, open_package, part

Element = ElementTree.Element
MOST_ELEMENTS = 1_500_000
"""Elements of the largest part that is parsed into a tree: about 300 bytes each."""

_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/(\w+)")
_TRANSITIONAL = rb"http://schemas.openxmlformats.org/\1/2006/\2"
_RELATIONSHIP = re.compile(r"<(?:\w+:)?Relationship\s([^>]*)>")
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*("[^"]*"|'[^']*')""")
RELATION_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


@dataclass(frozen=True, slots=True)
class Relation:
    """Where one part points: the last word of the relationship's type, and the target's name in the package."""

    kind: str
    target: str
    external: bool


class Package:
    """An Office Open XML file. What could not be read of it is collected in `notes`."""

    def __init__(self, data: bytes) -> None:
        self._zip = open_package(data)
        self._names = {_key(name): name for name in self._zip.names()}
        self._relations: dict[str, dict[str, Relation]] = {}
        self.notes: list[str] = []

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._names

    def names(self) -> list[str]:
        """The names of all parts, as stored."""
        return list(self._names.values())

    def read(self, name: str) -> bytes:
        """A part's bytes; KeyError if it is not there, ExtractionError if it is damaged, too large or encrypted."""
        stored = self._names[_key(name)]
        try:
            return part(self._zip, stored)
        except RuntimeError:
            raise failure("encrypted", "it asks for a password") from None
        except (NotImplementedError, *DAMAGE) as error:
            raise failure("damaged", f"its part {name} could not be unpacked: {error}") from None

    def size(self, name: str) -> int:
        """Bytes that a part unpacks to by its own account, 0 if it is not there."""
        stored = self._names.get(_key(name))
        return self._zip.size(stored) if stored else 0

    def pieces(self, name: str, size: int) -> Iterator[bytes]:
        """A part in pieces that end before a tag, however large it is; a damaged one up to where it breaks."""
        stored, rest = self._names[_key(name)], b""
        whole = self._zip.whole(stored, size)
        if whole is not None:
            yield whole
            return
        try:
            with self._zip.open(stored) as file:
                while data := file.read(size):
                    whole, mark, tail = (rest + data).rpartition(b"<")
                    yield whole
                    rest = mark + tail
        except (RuntimeError, NotImplementedError, *DAMAGE) as error:
            self.notes.append(f"{name} could not be unpacked to its end: {error}")
        yield rest

    def tree(self, name: str, shortened: Callable[[bytes], bytes] = bytes) -> Element:
        """A part as XML, strict namespaces as transitional ones; a broken one up to where it breaks.

        `shortened` leaves out of its bytes what need not be parsed.
        """
        data = shortened(self.read(name))
        root, error = parse(data, name)
        if error:
            self.notes.append(f"{name} is no well-formed XML ({error}); it was read up to there")
        return root

    def optional(self, name: str, shortened: Callable[[bytes], bytes] = bytes) -> Element | None:
        """A part as XML, or None with a note where it is missing or unreadable."""
        try:
            return self.tree(name, shortened)
        except KeyError:
            self.notes.append(f"its part {name} is missing")
        except ExtractionError as error:
            self.notes.append(f"{name} was not read: {error.message}")
        return None

    def optional_bytes(self, name: str) -> bytes:
        """A part's bytes, or none with a note where it is missing or unreadable."""
        try:
            return self.read(name)
        except KeyError:
            self.notes.append(f"its part {name} is missing")
        except ExtractionError as error:
            self.notes.append(f"{name} was not read: {error.message}")
        return b""

    def relations(self, name: str = "") -> dict[str, Relation]:
        """Relationships of a part, by id; those of the package itself without a name."""
        if name not in self._relations:
            folder, base = posixpath.split(name)
            self._relations[name] = self._read_relations(f"{folder}/_rels/{base}.rels".lstrip("/"), folder)
        return self._relations[name]

    def related(self, name: str, kind: str) -> list[str]:
        """Parts inside the package that a part points to by one kind of relationship, in order."""
        return [r.target for r in self.relations(name).values() if r.kind == kind and not r.external]

    def main(self, usual: str) -> str:
        """The main part: what the package's relationships name, else the usual name."""
        named = [name for name in self.related("", "officeDocument") if name in self]
        if named or usual in self:
            return named[0] if named else usual
        raise failure("damaged", f"it has no main part such as {usual}")

    def _read_relations(self, name: str, folder: str) -> dict[str, Relation]:
        if name not in self:
            return {}
        found: dict[str, Relation] = {}
        for one in self._relationships(name):
            external = one.get("TargetMode") == "External"
            target = one.get("Target", "")
            if not external:
                target = _resolved(folder, target)
            kind = one.get("Type", "").rpartition("/")[2]
            found[one.get("Id", "")] = Relation(kind, target.lstrip("/"), external)
        return found

    def _relationships(self, name: str) -> Iterator[dict[str, str]]:
        """Attributes of each relationship in a part: a flat list, which needs no tree where its bytes are ASCII's."""
        data = self.optional_bytes(name)
        if b"\0" in data or b"<!" in data:
            root = self.optional(name)
            yield from (one.attrib for one in (root if root is not None else ()))
            return
        for one in _RELATIONSHIP.findall(data.decode("utf-8", "replace")):
            yield {key: unescape(value[1:-1]) for key, value in _ATTRIBUTE.findall(one)}


def parse(data: bytes, name: str) -> tuple[Element, str]:
    """A part's tree, and what is wrong where only its beginning could be parsed.

    ExtractionError for entity declarations, which no office program writes, for far too many elements, and for
    what is no XML from the start.
    """
    if b"<!ENTITY" in data or b"<\0!\0E\0N\0T\0I\0T\0Y" in data:
        raise failure("bomb", f"{name} declares entities")
    if data.count(b"<") > 2 * MOST_ELEMENTS:
        raise failure("bomb", f"{name} holds more than {MOST_ELEMENTS / 1e6:g} million elements")
    if b"purl.oclc.org/ooxml" in data:
        data = _STRICT.sub(_TRANSITIONAL, data)
    try:
        return ElementTree.fromstring(data), ""
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        return _beginning(data, name, str(error)), str(error)


def _beginning(data: bytes, name: str, error: str) -> Element:
    """The tree of what stands before the place where a part breaks."""
    builder = ElementTree.TreeBuilder()
    roots: list[Element] = []

    class _Target:
        def start(self, tag: str, attributes: dict[str, str]) -> None:
            roots.append(builder.start(tag, attributes)) if not roots else builder.start(tag, attributes)

        end, data = builder.end, builder.data

    try:
        ElementTree.XMLParser(target=_Target()).feed(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        pass
    if not roots:
        raise failure("damaged", f"{name} is no valid XML: {error}")
    builder.start("cut", {})  # hands over the text before the break, which the builder still holds
    return roots[0]


def _resolved(folder: str, target: str) -> str:
    """The name of the part that a relationship of a part in `folder` points to."""
    target = unquote(target).replace("\\", "/") if "%" in target or "\\" in target else target
    if target[:1].isalnum() and "/." not in target and "//" not in target:
        return f"{folder}/{target}"
    return posixpath.normpath(posixpath.join("/", folder, target))


def _key(name: str) -> str:
    """Part names are compared without case, with either slash."""
    return name.replace("\\", "/").lstrip("/").lower()
