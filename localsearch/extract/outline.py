"""Outlines and notes kept as XML: OPML, Freeplane and FreeMind maps, XMind, Evernote exports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean, decode
from localsearch.extract.fields import front_matter
from localsearch.extract.html import read_markup
from localsearch.extract.limits import failure
from localsearch.extract.packages import DAMAGE, open_package, part
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

DEEPEST_HEADING = 2
"""Levels of an outline that are headings; what lies deeper is its text, indented."""
LONGEST_HEADING = 150
NOTES = 100_000
"""Notes of one Evernote export, at most."""


def read_opml(source: Source) -> list[Extract]:
    """An OPML outline: each item's text and note, and the address it leads to. https://opml.org/spec2.opml"""
    root = _parsed(source)
    builder = Builder(source.limits.text)
    body = root.find("body")
    for depth, item, has_more in _walk(body if body is not None else root, "outline"):
        words = [
            item.get("text") or item.get("title") or "",
            item.get("_note") or item.get("description") or "",
        ]
        words += [item.get(name) or "" for name in ("xmlUrl", "htmlUrl", "url")]
        _add_item(builder, depth, words, has_more)
    head = root.find("head")
    title = (head.findtext("title") or "") if head is not None else ""
    own = {"author": head.findtext("ownerName") or ""} if head is not None else {}
    return [_whole(builder, "opml", title, front_matter(own))]


def read_mind_map(source: Source) -> list[Extract]:
    """A FreeMind or Freeplane map: nodes with their notes, details, attributes and links; the root is the title."""
    root = _parsed(source)
    builder = Builder(source.limits.text)
    for depth, node, has_more in _walk(root, "node"):
        words = [node.get("TEXT") or ""]
        for child in node:
            if child.tag == "richcontent":
                found = _html_of(child)
                words.insert(0, found) if child.get("TYPE") == "NODE" else words.append(found)
            elif child.tag == "attribute":
                words.append(f"{child.get('NAME') or ''}: {child.get('VALUE') or ''}")
        link = node.get("LINK") or ""
        _add_item(builder, depth, [*words, "" if link.startswith("#") else link], has_more)
    first = root.find("node")
    title = (first.get("TEXT") or "") if first is not None else ""
    return [_whole(builder, "mindmap", " ".join(title.split())[:300], {})]


def _html_of(element: ElementTree.Element) -> str:
    markup = "".join(ElementTree.tostring(child, encoding="unicode") for child in element)
    return read_markup(markup, Builder(100_000)).text if markup else (element.text or "")


def _walk(root: ElementTree.Element, tag: str) -> Iterator[tuple[int, ElementTree.Element, bool]]:
    """Depth from 1, element and whether it has more below it, in order, without recursion."""
    stack = [(1, child) for child in reversed(root.findall(tag))]
    while stack:
        depth, element = stack.pop()
        below = element.findall(tag)
        yield depth, element, bool(below)
        stack += [(depth + 1, child) for child in reversed(below)]


def _add_item(builder: Builder, depth: int, words: list[str], has_more: bool) -> None:
    """An item: a heading where others hang below it, else a line; its notes after it."""
    texts = [clean(word).strip() for word in words]
    texts = list(dict.fromkeys(text for text in texts if text))
    if not texts:
        return
    if has_more and depth <= DEEPEST_HEADING and len(texts[0]) <= LONGEST_HEADING and "\n" not in texts[0]:
        builder.heading(depth, texts[0])
    else:
        builder.add("  " * max(0, min(depth, 10) - 2) + "- " + texts[0], "list", joint="\n")
    for text in texts[1:]:
        builder.add(text, joint="\n")


def read_xmind(source: Source) -> list[Extract]:
    """An XMind workbook, of 2020 (JSON) or before (XML): topics, notes, labels and comments of every sheet."""
    package = open_package(source.data)
    names = package.names()
    builder = Builder(source.limits.text)
    try:
        if "content.json" in names:
            for sheet in json.loads(part(package, "content.json")):
                _add_topics(builder, sheet)
        else:
            _add_xml_topics(builder, ElementTree.fromstring(part(package, "content.xml")))
    except (KeyError, TypeError, AttributeError, ElementTree.ParseError, *DAMAGE) as error:
        raise failure("damaged", f"no readable XMind file: {error}") from None
    return [_whole(builder, "mindmap", "", {})]


def _add_topics(builder: Builder, sheet: dict[str, Any]) -> None:
    stack = [(1, sheet["rootTopic"])]
    while stack:
        depth, topic = stack.pop()
        children = [child for group in (topic.get("children") or {}).values() for child in group]
        notes = ((topic.get("notes") or {}).get("plain") or {}).get("content") or ""
        words = [str(topic.get("title") or ""), str(notes), *map(str, topic.get("labels") or [])]
        href = str(topic.get("href") or "")
        _add_item(builder, depth, [*words, href if href.startswith("http") else ""], bool(children))
        stack += [(depth + 1, child) for child in reversed(children)]
    for relation in sheet.get("relationships") or []:
        builder.add(str(relation.get("title") or ""))


def _add_xml_topics(builder: Builder, root: ElementTree.Element) -> None:
    depth = 0
    for event, element in _events(root):
        name = element.tag.rpartition("}")[2]
        if name == "topic":
            depth += 1 if event == "start" else -1
        if event == "end" or name not in ("title", "plain", "label", "content"):
            continue
        text = (element.text or "").strip()
        if text:
            _add_item(builder, max(1, depth), [text], has_more=name == "title" and depth <= DEEPEST_HEADING)


def _events(root: ElementTree.Element) -> Iterator[tuple[str, ElementTree.Element]]:
    stack = [("end", root), ("start", root)]
    while stack:
        event, element = stack.pop()
        yield event, element
        if event == "start":
            for child in reversed(element):
                stack += [("end", child), ("start", child)]


def read_enex(source: Source) -> list[Extract]:
    """An Evernote export: each note a document, with its title, tags, author and dates, its markup out."""
    root = _parsed(source)
    found: list[Extract] = []
    notes: tuple[str, ...] = ()
    for number, note in enumerate(root.iter("note"), 1):
        if number > NOTES:
            notes = (f"only its first {NOTES} notes were read",)
            break
        title = " ".join((note.findtext("title") or "").split())
        builder = Builder(source.limits.text)
        place = Place(message=number)
        builder.add(title, place=place)
        read_markup(_evernote(note.findtext("content") or ""), builder, place)
        own = {"created": note.findtext("created"), "modified": note.findtext("updated")}
        for name in ("author", "source-url", "location"):
            own[name] = note.findtext(f"note-attributes/{name}")
        words = [element.text or "" for element in note.findall("tag")]
        files = [
            element.text for element in note.findall("resource/resource-attributes/file-name") if element.text
        ]
        if files:
            builder.add("Attachments: " + ", ".join(files), place=place)
            builder.notes.append(f"its {len(files)} attachments were not read: export them from Evernote")
        metadata = front_matter({**own, "tags": words})
        found.append(builder.extract("enex", title=title or None, metadata=metadata, member=str(number)))
    if not found:
        raise failure("no-text", "it holds no notes")
    return [*found[:-1], replace(found[-1], notes=(*found[-1].notes, *notes))]


def _evernote(content: str) -> str:
    """A note's markup as HTML: its own elements are boxes to tick, pictures and what is encrypted."""
    content = content.partition("?>")[2] if content.lstrip().startswith("<?xml") else content
    return content.replace("<en-note", "<div").replace("</en-note", "</div").replace("<en-media", "<span")


def _parsed(source: Source) -> ElementTree.Element:
    from localsearch.extract.data import declared_in_xml

    declared = declared_in_xml(source.data)
    data: bytes | str = source.data
    if declared and not declared.lower().startswith("utf"):
        data = decode(source.data, declared)[0].replace(declared, "utf-8", 1).encode()
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        if "amplification" in str(error):
            raise failure("bomb", f"its entities unpack to far more than it holds: {error}") from None
        raise failure("damaged", f"no valid XML: {error}") from None


def _whole(builder: Builder, kind: str, title: str, metadata: dict[str, Any]) -> Extract:
    if builder.empty:
        raise failure("no-text", "it holds no text")
    return builder.extract(kind, title=title, metadata=metadata)
