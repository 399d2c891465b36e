"""Front matter: what stands between two rules at the top of a text, in YAML or TOML, and what was meant to be."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from localsearch.extract.fields import UNREAD, front_matter

_YAML = re.compile(r"\A---[ \t]*\n(.{0,65536}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(.{0,65536}?)\n\+\+\+[ \t]*(?:\n|\Z)", re.S)
_FIELD = re.compile(
    r"""(?P<name>"[^"\n]{1,100}"|'[^'\n]{1,100}'|\w[\w ./-]{0,99}?)[ \t]*(?P<mark>[:=])(?:[ \t]+|$)"""
)
_TAG = re.compile(r"!\S*(?:\s+|$)")
"""A type that a program gave a value, such as !include: only that program knows what it means."""
_QUOTED = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,]*))\s*""")


def read_front(text: str) -> tuple[dict[str, Any], int, tuple[str, ...]]:
    """Front matter as metadata, where the body starts, and notes on what of it could not be read as it was meant.

    What is no YAML or TOML is read line by line. A block whose first line is no field, or in which no field is sound
    by itself, is no front matter.
    """
    for pattern, parse, kind in ((_YAML, _yaml, "YAML"), (_TOML, tomllib.loads, "TOML")):
        match = pattern.match(text)
        if match is None:
            continue
        try:
            values = parse(match[1])
        except Exception:  # what a YAML constructor may raise on damaged values has no common type
            values = _by_lines(match[1])
            if not values:
                return {}, 0, ()
            note = f"its front matter is no valid {kind} and was read line by line"
            return front_matter(values), match.end(), (note,)
        if isinstance(values, Mapping):
            return front_matter(values), match.end(), ()
    return {}, 0, ()


def _yaml(text: str) -> Any:
    import yaml

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _by_lines(text: str) -> dict[str, Any]:
    """Each field by itself: as YAML where it is, else as the text or the list that stands there."""
    fields: dict[str, Any] = {}
    unread: list[str] = []
    sound = False
    for at, (name, lines) in enumerate(_fields(text)):
        if name:
            fields.setdefault(name, _value(lines))
            sound = sound or not lines[0].startswith(("[", "{")) or lines[-1].endswith(("]", "}"))
        elif at == 0:
            return {}
        else:
            unread += lines
    if not sound:
        return {}
    return fields | ({UNREAD: "\n".join(unread)} if unread else {})


def _fields(text: str) -> Iterator[tuple[str, list[str]]]:
    """Names with the lines that follow the mark; a name is empty where lines are no field's."""
    name, lines = None, list[str]()
    for line in text.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        match = _FIELD.match(line)
        if match is None and name is not None and (line[0] in " \t]}" or line.startswith(("- ", "-\t"))):
            match = _FIELD.match(line.lstrip()) if lines[0].strip(" \t|>+-") else None
            line = line.lstrip() if match else line
            if match is None:
                lines.append(line)
                continue
        if name is not None:
            yield name, lines
        name, lines = (match["name"].strip("\"'"), [line[match.end() :]]) if match else ("", [line])
    if name is not None:
        yield name, lines


def _value(lines: list[str]) -> Any:
    """The value of a field that may go on over several lines."""
    spaced = [line.replace("\t", "  ") for line in lines]
    first, rest = _TAG.sub("", spaced[0].strip()), [line for line in spaced[1:] if line.strip()]
    try:
        found = _yaml("\n".join([f"value: {first}", *(f"  {line}" for line in rest)]))["value"]
    except Exception:  # as above
        found = None
    if found is not None and not isinstance(found, Mapping):
        return found
    if found and rest and not first:
        return found
    whole = " ".join([first, *(line.strip() for line in rest)]).strip()
    if whole.startswith("["):
        return _listed(whole[1:].removesuffix("]"))
    if not first and rest and all(line.lstrip().startswith("- ") for line in rest):
        return [line.lstrip()[2:].strip().strip("\"'") for line in rest]
    return whole.strip("\"'")


def _listed(text: str) -> list[str]:
    """The items of a list in brackets; a comma in quotes parts nothing."""
    items = ("".join(filter(None, match.groups())).strip() for match in _QUOTED.finditer(text))
    return [bare for item in items if (bare := item.strip("\"'"))]
