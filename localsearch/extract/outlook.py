"""Outlook's messages as documents, and its stores, .pst and .ost, by libpff (the extra [outlook])."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from localsearch.errors import ExtractionError
from localsearch.extract.builder import Builder
from localsearch.extract.limits import failure
from localsearch.extract.mapi import (
    BODY,
    DISPLAY_NAME,
    FILE_DATA,
    FILE_NAME,
    HTML,
    LONG_FILE_NAME,
    RTF,
    Letter,
    value_of,
)
from localsearch.extract.mime import attached
from localsearch.extract.source import Source, clean_name, unread
from localsearch.extract.tnef import read_tnef
from localsearch.types import Extract, Place

if TYPE_CHECKING:
    import pypff

MISSING = "an Outlook store; pip install 'localsearch[outlook]' to read it"


def letter_extracts(
    source: Source, letter: Letter, number: int | None, kind: str, member: str
) -> list[Extract]:
    """The message as the first document, each file attached to it as one more."""
    builder, place = Builder(source.limits.text), Place(message=number)
    letter.add_head(builder, place)
    letter.add_text(builder, source, place)
    files = letter.all_files()
    if files:
        builder.add("Attachments: " + ", ".join(name for name, _ in files), place=place)
    first = builder.extract(kind, title=letter.subject, metadata=letter.metadata(), member=member)
    return [first, *attached(source, files, place, member)]


def read_winmail(source: Source) -> list[Extract]:
    """A winmail.dat that was kept as a file."""
    try:
        letter = read_tnef(source.data)
    except (ValueError, LookupError, struct.error) as error:
        raise failure("damaged", f"no readable winmail.dat: {error}") from None
    return letter_extracts(source, letter, None, "tnef", "")


def read_store(source: Source) -> list[Extract]:
    """Each item of an Outlook store as a document, addressed by its folder and number."""
    try:
        import pypff
    except ImportError:
        raise failure("unsupported", MISSING) from None
    store = pypff.file()
    try:
        store.open_file_object(io.BytesIO(source.data))
        root = store.get_root_folder()
    except OSError as error:
        raise failure("damaged", f"no readable Outlook store: {error}") from None
    try:
        found = list(_documents(source, root))
    finally:
        store.close()
    if not found:
        raise failure("empty", "it holds no message")
    return found


def _documents(source: Source, root: pypff.folder) -> Iterator[Extract]:
    number = 0
    for path, item in _items(root):
        number += 1
        if source.budget.members <= 0:
            yield unread(path, failure("bomb", "this item and all after it were left out"))
            return
        source.budget.members -= 1
        member = f"{clean_name(path)}/{number}" if path else str(number)
        try:
            letter = _letter(item)
        except OSError as error:
            yield unread(member, failure("damaged", f"could not be read: {error}"))
            continue
        yield from letter_extracts(source, letter, number, "pst", member)


def _items(root: pypff.folder) -> Iterator[tuple[str, pypff.message]]:
    """Items with the path of their folder, depth first."""
    waiting: list[tuple[str, Any]] = [("", root)]
    while waiting:
        path, folder = waiting.pop()
        for index in range(folder.number_of_sub_messages):
            yield path, folder.get_sub_message(index)
        inner = [folder.get_sub_folder(index) for index in range(folder.number_of_sub_folders)]
        waiting += [(f"{path}/{one.name or 'unnamed'}".lstrip("/"), one) for one in reversed(inner)]


def _letter(item: pypff.message) -> Letter:
    properties = _properties(item)
    for id, body in ((BODY, "plain_text_body"), (HTML, "html_body"), (RTF, "rtf_body")):
        value = _tried(item, body)
        if value:
            properties[id] = value
    letter = Letter(properties)
    recipients = _tried(item, "recipients")
    if recipients is not None:
        letter.recipients += _record_sets(recipients)
    for index in range(item.number_of_attachments):
        try:
            _attach(letter, item.get_attachment(index), index + 1)
        except OSError as error:
            letter.notes.append(f"attachment {index + 1} could not be read: {error}")
    return letter


def _attach(letter: Letter, file: Any, number: int) -> None:
    own = Letter(_properties(file))
    name = own.text(LONG_FILE_NAME, FILE_NAME, DISPLAY_NAME) or f"part {number}"
    size = _tried(file, "size")
    if size:
        letter.files.append((name, file.read_buffer(size)))
    elif file.number_of_sub_items:
        letter.letters += [_letter(file.get_sub_item(index)) for index in range(file.number_of_sub_items)]
    elif isinstance(own.properties.get(FILE_DATA), bytes):
        letter.files.append((name, own.properties[FILE_DATA]))
    else:
        letter.notes.append(f"{name} is not kept in the store")


def _properties(item: Any) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for properties in _record_sets(item):
        found = properties | found
    return found


def _record_sets(item: Any) -> list[dict[int, Any]]:
    """The properties of each set; one that cannot be read is left out."""
    sets = []
    for index in range(item.number_of_record_sets):
        found: dict[int, Any] = {}
        for entry in item.get_record_set(index).entries:
            data = _tried(entry, "data")
            if entry.entry_type is not None and isinstance(data, bytes) and data:
                found[entry.entry_type] = value_of(entry.value_type, data)
        sets.append(found)
    return sets


def _tried(item: Any, name: str) -> Any:
    """An attribute, or None where libpff cannot read it."""
    try:
        return getattr(item, name)
    except (OSError, ExtractionError):
        return None
