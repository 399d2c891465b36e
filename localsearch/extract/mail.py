"""Mail in files: single messages and mailboxes, each attachment a document of its own."""

from __future__ import annotations

from localsearch.errors import ExtractionError
from localsearch.extract.headers import parse
from localsearch.extract.limits import failure
from localsearch.extract.mbox import messages
from localsearch.extract.mime import read_message
from localsearch.extract.source import Source, unread
from localsearch.types import Extract


def read_eml(source: Source) -> list[Extract]:
    """A message: its texts as the document, and each attachment by its name."""
    return read_message(source, parse(source.data.lstrip(b"\xef\xbb\xbf\r\n")), None, "eml")


def read_emlx(source: Source) -> list[Extract]:
    """A message of Apple Mail: its length on the first line, the message, and what Mail notes on it."""
    first, _, rest = source.data.partition(b"\n")
    try:
        length = int(first)
    except ValueError:
        return read_eml(source)
    found = read_message(source, parse(rest[:length]), None, "emlx")
    if len(rest) < length:
        found.append(unread("", failure("damaged", "the message breaks off")))
    return found


def read_mbox(source: Source) -> list[Extract]:
    """Each message of a mailbox as a document of its own, addressed by its number from 1."""
    found: list[Extract] = []
    for number, data in enumerate(messages(source.data), 1):
        if source.budget.members <= 0:
            found.append(unread(str(number), failure("bomb", "this message and all after it were left out")))
            break
        source.budget.members -= 1
        try:
            found += read_message(source, parse(data), number, "mbox")
        except (ExtractionError, RecursionError) as error:
            found.append(unread(str(number), failure("damaged", f"could not be read: {error}")))
    if not found:
        raise failure("empty", "it holds no message")
    return found
