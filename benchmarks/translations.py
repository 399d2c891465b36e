"""Sentences in many languages, out of the translations that Debian packages bring.

    apt-get download evolution-common gnucash-common gimp-data wesnoth-1.16-data
    for package in *.deb; do dpkg-deb -x "$package" translations; done

Catalogues (`LANGUAGE/LC_MESSAGES/NAME.mo`) are read wherever they lie below that folder. Nothing of them is kept here.
"""

from __future__ import annotations

import gettext
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SHORTEST = 30
"""Characters of a message that is taken for a sentence."""
_MARKUP = re.compile(r"<[^>]{0,200}>|\$\w+|%[-\w.$]*[a-zA-Z]|[{}|\\~*]|\s+|[\u200e\u200f]")
_ACCESS_KEY = re.compile(r"[_&](?=\w)")
_ALTERNATIVES = {"no": ("nb_NO", "nb", "nn", "no"), "pt": ("pt", "pt_BR"), "zh": ("zh_CN",), "en": ("en_GB",)}


@cache
def sentences(root: Path, language: str) -> tuple[str, ...]:
    """Messages in a language without their markup, each once, in a fixed order; those left in English are left out."""
    found: dict[str, None] = {}
    for name in _ALTERNATIVES.get(language, (language,)):
        for catalogue in sorted(root.rglob(f"{name}/LC_MESSAGES/*.mo")):
            for text in _messages(catalogue, keep_english=language == "en"):
                found.setdefault(text)
    return tuple(found)


def _messages(catalogue: Path, keep_english: bool) -> Iterator[str]:
    with catalogue.open("rb") as file:
        messages = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    for original, translated in messages.items():
        source = original if isinstance(original, str) else original[0]
        if not source or (translated == source and not keep_english):
            continue
        text = _MARKUP.sub(" ", _ACCESS_KEY.sub("", translated)).split()
        line = " ".join(text)
        if len(line) >= SHORTEST or (_unspaced(line) and len(line) >= SHORTEST // 3):
            yield line


def _unspaced(text: str) -> bool:
    return any("\u3040" <= sign <= "\u9fff" or "\u0e00" <= sign <= "\u0e7f" for sign in text)


def pieces(root: Path, language: str, count: int, *, length: int = 0, words: int = 0) -> list[str]:
    """Up to `count` pieces of running sentences: of about `length` characters, or of that many words."""
    pool = list(sentences(root, language))
    random.Random(f"{language} {length} {words}").shuffle(pool)
    made: list[str] = []
    while pool and len(made) < count:
        text = pool.pop()
        while pool and len(text) < length:
            text += " " + pool.pop()
        text = _whole_words(text, length) if length else " ".join(text.split()[:words])
        if len(text) >= length * 0.7 and len(text.split()) >= words:
            made.append(text)
    return made


def _whole_words(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    cut = text[:length]
    return cut.rpartition(" ")[0] if " " in cut[length // 2 :] and not _unspaced(cut) else cut
