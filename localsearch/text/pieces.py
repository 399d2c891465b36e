"""What is a word, and of which parts it is composed: the same for every language."""

from __future__ import annotations

import itertools
import re
import unicodedata
from functools import cache
from typing import NamedTuple

from localsearch.text.folding import UNSEEN, fold_word
from localsearch.text.numbers import amounts

LONGEST = 64
"""Characters of a term: what is longer is data rather than a word, and only its start is kept."""

_NAME = re.compile(r"[0-9._+#]")

_MARKS = (
    "\u0300-\u034e\u0350-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u0900-\u0963\u0970-\u0dff\u0f71-\u0f84\u1ab0-\u1aff"
    "\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
# Written without spaces between words: cut into overlapping pairs. Kana and Han with their iteration marks, Hangul,
# then Thai, Lao, Myanmar, Khmer and Tai scripts without their punctuation and digits.
_UNSPACED = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecf\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
    "\u1950-\u1974\u1980-\u19c9\u1a20-\u1a7c\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaac2\uaadb-\uaadf"
)
_LOOKS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
RUN = re.compile(f"[{_UNSPACED}][{_UNSPACED}{_LOOKS}]*")
_CLUSTER = re.compile(
    f"(?:[\u1100-\u115f][\u1160-\u11a7]+[\u11a8-\u11ff]*|.)[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecf\u102b-\u103e\u17b4-\u17d3\u3099\u309a\uff9e\uff9f{_LOOKS}]*"
)
_LETTER = f"[^\\W{_UNSPACED}]"
_ATOM = f"{_LETTER}+(?:[{_MARKS}]{_LETTER}*|[{UNSEEN}](?=[{_MARKS}{UNSEEN}]*{_LETTER}){_LETTER}*)*"
_GLUE = r"(?<=\d),(?=\d\d\d)\d+"
_JOINERS = ".'’‐‑-"
# Of text without marks and unspaced scripts, which is most text: several times as fast as `any_word`.
PLAIN_WORD = re.compile(rf"\w+(?:[{_JOINERS}]\w+|{_GLUE})*(?:\+\+|#)?")
SPECIAL = re.compile(f"[{_UNSPACED}{_MARKS}{UNSEEN}]")

_HUMP = re.compile("(?<=[a-z][a-z])(?=[A-Z](?:[a-z][a-z]|[A-Z]))|(?<=[A-Z])(?=[A-Z][a-z][a-z])")
_JOINT = re.compile("[._\u200b\u200c-]+")
_HIDDEN = re.compile(f"(?![\u200b\u200c])[{UNSEEN}]")
_ELISION = re.compile(
    "^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|dell|all|nell|sull|dall|un|quest)'(?=\\w)", re.IGNORECASE
)
_POSSESSIVE = re.compile("'s?$")
_LETTERS_LIKE_IT = "ʻʼʽʾʿ"
_APOSTROPHES = re.compile(f"[’{_LETTERS_LIKE_IT}]")
"""The typographic one, and those that are letters: Hawaiian ʻokina, Ukrainian обʼєкт, and Arabic in Latin as ʿAbd."""


class Piece(NamedTuple):
    """The whole of a word or one of its parts; `inflected` is whether grammar may have changed it."""

    text: str
    inflected: bool


def pieces(raw: str) -> list[Piece]:
    """The whole, when the word is composed, then its parts; `O'Neill's` is simple, `os.path`, `IL-6` are not."""
    word = cleaned(raw)
    if word.endswith(("#", "++")):
        sign = word.lstrip("".join(set(word) - {"#", "+"}))
        base = pieces(word[: -len(sign)])
        return [Piece(word.casefold(), False), *base] if len(word) - len(sign) <= 2 else base
    if "," in word and (number := amounts(word)):
        return [Piece(each, False) for each in (number[:2] if "." in number[0] else number[:1])]
    word = without_apostrophes(word)
    parts = [part for piece in _JOINT.split(word.replace(",", ".")) if piece for part in humps(piece)]
    if len(parts) <= 1 or not _kept_whole(word):
        return [_piece(part) for part in parts]
    whole = word.replace("-", "").strip("_")
    return [_piece(whole), *(_piece(part) for part in parts[:LONGEST] if not _small_number(part))]


def words_of(text: str) -> re.Pattern[str]:
    """What finds the words of this text: most have none of the scripts for which it takes long."""
    return PLAIN_WORD if is_plain(text) else any_word()


def is_plain(text: str) -> bool:
    """Whether a text has no marks and no unspaced scripts."""
    return text.isascii() or SPECIAL.search(text) is None


@cache
def any_word() -> re.Pattern[str]:
    """A word of any text, compiled for the first one that needs it, which takes more than 10 ms."""
    return re.compile(f"{RUN.pattern}|{_ATOM}(?:[{_JOINERS}]{_ATOM}|{_GLUE})*(?:\\+\\+|#)?")


def unspaced(text: str) -> bool:
    """Whether a text holds characters of a script without spaces between words."""
    return RUN.search(text) is not None


def cleaned(raw: str) -> str:
    """Without what nobody sees, with one kind of hyphen and of apostrophe."""
    if raw.isascii():
        return raw
    word = _HIDDEN.sub("", unicodedata.normalize("NFKC", raw)).replace("‐", "-")
    word = _APOSTROPHES.sub("'", word) if raw.strip(_LETTERS_LIKE_IT) else word
    return "".join(word.split())


def humps(piece: str) -> list[str]:
    """`readFile` gives `read File`; what has no capitals has no humps to look for."""
    return [piece] if is_flat(piece) else _HUMP.split(piece)


def is_flat(piece: str) -> bool:
    """Whether no capital stands beside or after a small letter, so that it has no humps."""
    return piece.islower() or piece[1:].islower() or piece.isupper()


def is_simple(raw: str) -> bool:
    """Whether a word is letters of ASCII of one case, a capital first or not: most are, and need no taking apart."""
    return raw.isascii() and raw.isalpha() and (raw.islower() or raw.isupper() or raw.istitle())


def is_name(text: str) -> bool:
    """Whether a word of ASCII is a name, which grammar does not change: never `inflected`, and sooner told."""
    return _NAME.search(text) is not None and text.isascii()


def without_apostrophes(word: str) -> str:
    """`l'eau` gives `eau`, `Anna's` gives `Anna`, `O'Neill` and `don't` become one word."""
    return _ELISION.sub("", _POSSESSIVE.sub("", word)).replace("'", "") if "'" in word else word


def _piece(text: str) -> Piece:
    return Piece(text.casefold(), inflected(text))


def inflected(text: str) -> bool:
    """Whether grammar may have changed a word: not what has a digit, a dot or an underscore in it, which is a name."""
    if text.isalpha() or text.isascii():
        return text.isalpha() or _NAME.search(text) is None
    return not any(c.isdigit() or c in "._+#" for c in text)


def _small_number(part: str) -> bool:
    """The 3 and 11 of 3.11, the 01 of 2024-01-15: on their own they only add noise."""
    return len(part) <= 2 and part.isdigit()


def _kept_whole(word: str) -> bool:
    """Identifiers, versions, dates and names with numbers are searched as one; hyphenated prose is not."""
    return "_" in word or "." in word or any(map(str.isdigit, word)) or _HUMP.search(word) is not None


def clusters(run: str) -> list[tuple[int, int]]:
    """Where the characters of a run of an unspaced script stand, each with its marks."""
    return [(match.start(), match.end()) for match in _CLUSTER.finditer(run)]


def pairs(run: str) -> list[tuple[str, int, int]]:
    """Overlapping pairs of characters with their places; a single character stays alone."""
    places = clusters(run)
    if len(places) == 1:
        return [(fold_word(run), 0, len(run))]
    spans = [(low, high) for (low, _), (_, high) in itertools.pairwise(places)]
    return [(fold_word(run[low:high]), low, high) for low, high in spans]
