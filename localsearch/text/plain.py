"""Plain words: everything by which a word of a text can be asked for, whatever its language.

Stems decide what else a word finds; its plain forms, that it is found.
"""

from __future__ import annotations

import re
import string
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import NamedTuple

from localsearch.text.candidates import holding_plain
from localsearch.text.folding import UNSEEN, fold_word, unmarked
from localsearch.text.numbers import AMOUNT, amounts
from localsearch.text.pieces import (
    LONGEST,
    RUN,
    Piece,
    cleaned,
    clusters,
    is_flat,
    is_simple,
    pieces,
    without_apostrophes,
    words_of,
)

# Currency, paragraph and trade signs, arrows, mathematics, shapes, then emoji; not the lines of which tables are drawn.
_SIGNS = (
    "$\xa2-\xa7\xa9\xac\xae\xb0\xb1\xb6\xd7\xf7\u058f\u060b\u07fe\u07ff\u09f2\u09f3\u09fb\u0af1\u0bf9\u0e3f\u17db\u2020\u2021\u2030\u20a0-\u20cf\u2100-\u214f"
    "\u2190-\u245f\u249c-\u24e9\u25a0-\u27bf\u27f0-\u27ff\u2900-\u297f\u2a00-\u2bff\u3200-\u33ff\ua838\ufdfc\ufdfd\ufe69\uff04\uffe0-\uffe6\U0001f000-\U0001faff"
)
_TONES = "\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
_FLAG = "[\U0001f1e6-\U0001f1ff]{2}"
_SIGN = rf"[{_SIGNS}](?<!\w)[{_TONES}]*"
SIGN = re.compile(f"{_FLAG}|{_SIGN}(?:\u200d{_SIGN})*")
_ONE_SIGN = re.compile(f"{_FLAG}|[{_SIGNS}]")
ANY_SIGN = re.compile(f"[{_SIGNS}]")
DOTTED = re.compile(r"\.(?<![\w.]\.)[^\W\d_]\w*")
"""A name that begins with its dot: .NET, .gitignore."""
DASHED = re.compile(r"[−-](?<![\w−-][−-])-?[^\W_]\w{0,23}(?!\w)(?:[.,-]\w{1,24}(?!\w)){0,3}")
"""What begins with its minus: -rf, --no-embed, -18, -3.5."""

_CUTS = re.compile("[._,'\u200b\u200c-]+")
_SIGNS_BUT_DOTS = re.compile("[_,'-]")
_BUT_DOTS = re.compile("[,'\u200b\u200c-]+")
_CASED = [(letter, unicodedata.category(letter)) for letter in map(chr, range(0xC0, 0x2000))]
_UPPER = "A-Z" + "".join(letter for letter, kind in _CASED if kind == "Lu")
_LOWER = "a-z" + "".join(letter for letter, kind in _CASED if kind == "Ll")
_HUMP = re.compile(f"(?<=[{_LOWER}])(?=[{_UPPER}])|(?<=[{_UPPER}])(?=[{_UPPER}][{_LOWER}][{_LOWER}])")
_PLURAL = re.compile("[^\\W_]*[A-Z][A-Z0-9]s")
_DIGIT = re.compile(r"\d")
_CHANGE = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
"""Where letters and digits meet, as in 10km and iOS17."""
_MOST = 8
"""Pieces of a word up to which those in a row make words too, as in a part number; what has more is data."""
_UNSEEN = re.compile(f"[{UNSEEN}]+")
_SMALL_DIGITS = re.compile(
    "([\xb2\xb3\xb9\xbc-\xbe\u2070-\u2089\u2150-\u215f\u2460-\u249b\u24ea-\u24ff\u2776-\u2793]+)"
)
_VERSION = re.compile(r"[^\W\d_]+(\d+(?:\.\d+)+)")
_FIRST_LETTERS = re.compile(r"[^\W\d_]+(?=\d)")


_HEBREW = "[\u05d0-\u05ea]"
_MIDDLE = re.compile(rf"[:;,·‧‘״׳](?<=\w.)(?=\w)|(?<={_HEBREW})\"(?={_HEBREW})")
# Rules WB6 to WB12 of Unicode Standard Annex 29; the double quote between Hebrew letters is that of an abbreviation.
_CHAIN = re.compile(
    r"(?<!\w)\w++(?:(?:(?<=\d)[,;.'’‘](?=\d)|(?<=[^\W\d_])[:·‧.'’‘״׳](?=[^\W\d_])"
    rf"|(?<={_HEBREW})\"(?={_HEBREW}))\w++)+"
)
_BROKEN = re.compile(r"([^\W\d_]++)[-‐\xad]\r?\n[ \t]*([^\W\d_]++)")
"""A word that is divided at the end of a line."""
_ENDS = ("-\n", "-\r", "‐\n", "‐\r", "\xad\n", "\xad\r")
_CONJOINED = re.compile("[وفبكل]ال(?=\\w\\w)")
"""Arabic writes and, so, by, like and to, then the article, as one word with the noun."""
_FIRSTS = {*string.digits, ".", "-"}
_NO_WORD = re.compile(r"\W+")


Place = tuple[str, int, int]
"""A plain form and where the words stand that it was made from."""


class Asked(NamedTuple):
    """A word of a query, `text[start:end]`, with the plain forms that will do for it and for each of its terms."""

    raw: str
    start: int
    end: int
    whole: tuple[str, ...]
    terms: tuple[tuple[str, ...], ...]


def variants(raw: str, taken_apart: Sequence[Piece] = ()) -> tuple[str, ...]:
    """The plain forms of a word of `words_of`: the whole, its parts, parts in a row, the number that it is.

    `taken_apart` are its `pieces`, where they are known.

    >>> variants("WF-M57")
    ('wfm57', 'wf', 'm57', 'wfm', 'm', '57')
    """
    if is_simple(raw):
        return (raw.lower()[:LONGEST],)
    if RUN.match(raw):
        return tuple(dict.fromkeys(fold_word(raw[low:high]) for low, high in clusters(raw)))
    word = cleaned(raw)
    found = [piece.text for piece in taken_apart or pieces(raw)] + _other_spellings(word)
    parts = [part for part in _CUTS.split(word) if part]
    found += parts
    found += [part for piece in parts if not is_flat(piece) for part in _HUMP.split(piece)]
    if _DIGIT.search(word):
        found += _in_a_row([chunk for part in _SIGNS_BUT_DOTS.split(word) for chunk in _CHANGE.split(part)])
        found += amounts(word)
    else:
        found += _SIGNS_BUT_DOTS.split(word)
    for dotted in _BUT_DOTS.split(word):
        found += _versions(dotted)
    if conjoined := _CONJOINED.match(word):
        found += [word[1:], word[conjoined.end() :]]
    if raw.isascii():
        return tuple(dict.fromkeys([form for each in found if (form := each.strip("_")[:LONGEST].lower())]))
    found += _SMALL_DIGITS.split(raw) + _UNSEEN.split(raw)
    found += [sign for signs in _SMALL_DIGITS.findall(raw) for sign in signs]
    return tuple(dict.fromkeys(form for each in found for form in _plain_forms(each.strip("_"))))


def asked(text: str) -> list[Asked]:
    """The words of a query in order, then its signs and what begins with a dot or a minus, which have no terms."""
    found = [
        Asked(match[0], match.start(), match.end(), *_forms_of(match[0]))
        for match in words_of(text).finditer(text)
    ]
    for match in AMOUNT.finditer(text):
        _add_amount(found, match)
    if not text.isascii() or "$" in text:
        found += [_sign(match, sign(match[0])) for match in SIGN.finditer(text)]
    if "." in text:
        found += [_sign(match, plain(match[0])) for match in DOTTED.finditer(text)]
    found += [_sign(match, dashed(match[0])) for match in DASHED.finditer(text)]
    return found


def words_in(text: str, forms: Callable[[str], Sequence[str]] = variants) -> set[str]:
    """All plain forms of all words of a text; `forms` are those of one word, `variants`."""
    return words_across(text).union(*map(forms, set(raw_words(text))))


def words_across(text: str) -> set[str]:
    """The plain forms that no single word of the text has."""
    found = {form for form, _, _ in across_words(text)}
    found.update([form for form, _, _ in chains(text, 0, len(text))])
    found.update([form for form, _, _ in broken(text)])
    return found


def places_of(
    text: str, wanted: frozenset[str], forms: Callable[[str], Sequence[str]] = variants
) -> list[Place]:
    """Where words stand that can be asked for by these plain forms, ascending."""
    stretches = holding_plain(text, wanted)
    words = words_of(text)
    found = list(broken(text))
    if stretches:
        found += across_words(text, wanted)
    for stretch in stretches:
        found += chains(text, *stretch)
        for match in words.finditer(text, *stretch):
            found += _in_word(match, wanted, forms)
    return sorted((place for place in found if place[0] in wanted), key=itemgetter(1, 2))


def _in_word(
    match: re.Match[str], wanted: frozenset[str], forms: Callable[[str], Sequence[str]]
) -> Iterable[Place]:
    raw, start = match[0], match.start()
    if RUN.match(raw):
        return ((fold_word(raw[low:high]), start + low, start + high) for low, high in clusters(raw))
    return () if wanted.isdisjoint(forms(raw)) else _at(match, forms(raw))


def across_words(text: str, wanted: Iterable[str] | None = None) -> Iterator[Place]:
    """The plain forms that are no part of a single word: amounts, signs, what begins with a dot or a minus.

    Of those that are not `wanted` some are left out, which takes less time.
    """
    firsts = _FIRSTS if wanted is None else {word[:1] for word in wanted}
    if not firsts.isdisjoint(string.digits):
        yield from _each(AMOUNT.finditer(text), amounts)
    if "$" in text or (not text.isascii() and ANY_SIGN.search(text)):
        yield from _each(SIGN.finditer(text), _of_signs)
    if "." in firsts:
        yield from _each(DOTTED.finditer(text), _of_dotted)
    if "-" in firsts:
        yield from _each(DASHED.finditer(text), _of_dashed)


def chains(text: str, start: int, end: int) -> Iterator[Place]:
    """The plain forms of what no white space divides but its signs do, such as `2,3,7,8-TCDD`: of all and each part."""
    if not _MIDDLE.search(text, start, end):
        return
    for match in _CHAIN.finditer(text, start, end):
        if _MIDDLE.search(match[0]):
            yield from _at(match, _of_chain(match[0]))


def may_be_broken(text: str) -> bool:
    """Whether a line of the text may end within a word."""
    return any(end in text for end in _ENDS)


def broken(text: str) -> Iterator[Place]:
    """The words that lines divide, whole: `encyclopaedia` of `encyclo-` and, on the next line, `paedia`."""
    if may_be_broken(text):
        yield from _each(_BROKEN.finditer(text), _of_broken)


def _each(matches: Iterable[re.Match[str]], forms: Callable[[str], Iterable[str]]) -> Iterator[Place]:
    for match in matches:
        yield from _at(match, forms(match[0]))


def _at(match: re.Match[str], forms: Iterable[str]) -> Iterator[Place]:
    return ((form, match.start(), match.end()) for form in forms)


def _of_signs(text: str) -> Iterable[str]:
    return map(sign, [text, *_ONE_SIGN.findall(text)])


def _of_dotted(text: str) -> Iterable[str]:
    return (plain(text),)


def _of_dashed(text: str) -> Iterable[str]:
    return (dashed(text),)


def _of_chain(text: str) -> Iterable[str]:
    return filter(
        None, [chain(text), *map(plain, _NO_WORD.split(text))]
    )  # ligatures of marks alone leave no word


def _of_broken(text: str) -> Iterable[str]:
    first, second = _BROKEN.fullmatch(text).groups()  # type: ignore[union-attr]
    return _plain_forms(cleaned(first + second)) if second.islower() else ()


ACROSS = (None, amounts, _of_signs, _of_dotted, _of_dashed, _of_chain, _of_broken)
"""What gives the plain forms of what is no single word, by the numbers of kernels/across.h."""


def chain(text: str) -> str:
    """Words of a text without spaces as one: what a double click selects of `2,3,7,8-TCDD` or `foo:bar`."""
    return plain(_NO_WORD.sub("", cleaned(text)))


def plain(text: str) -> str:
    """A word or a part of one, folded but not stemmed."""
    word = text[:LONGEST]
    return word.lower() if word.isascii() else fold_word(word)


def sign(text: str) -> str:
    """A sign, folded; the stroke through one such as ≠ is no accent."""
    word = unicodedata.normalize("NFKC", text[:LONGEST]).casefold()
    return _UNSEEN.sub("", word).replace(" ", "") or text


def dashed(text: str) -> str:
    """What begins with its minus, folded, with one kind of minus."""
    return plain(text.replace("−", "-"))


def raw_words(text: str) -> list[str]:
    """The words of a text as written, runs of an unspaced script whole."""
    return words_of(text).findall(text)


@lru_cache(10_000)
def _forms_of(raw: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The plain forms that will do for a word of a query, and those for each of its terms."""
    if RUN.match(raw):
        places = clusters(raw)
        whole = (plain(raw),) if len(places) == 1 else ()
        return whole, (whole,) * max(1, len(places) - 1)
    word = cleaned(raw)
    spellings = [form for each in _other_spellings(word) for form in _plain_forms(each)]
    others = (*spellings, *amounts(word))
    one = plain(without_apostrophes(word).replace("-", "").strip("_"))
    terms = tuple(tuple(dict.fromkeys((plain(piece.text), *others))) for piece in pieces(raw))
    return tuple(dict.fromkeys((one, *others))), terms


def _sign(match: re.Match[str], form: str) -> Asked:
    return Asked("", match.start(), match.end(), (form,), ((form,),))


def _add_amount(found: list[Asked], match: re.Match[str]) -> None:
    """Add the numbers of an amount as other forms of each term of the words that are in it."""
    others = amounts(match[0])[:2]
    for at in range(bisect_left(found, match.start(), key=attrgetter("start")), len(found)):
        word = found[at]
        if word.end > match.end():
            return
        if word.raw != match[0]:
            terms = tuple(forms + others for forms in word.terms)
            found[at] = word._replace(whole=word.whole + others, terms=terms)


def _other_spellings(word: str) -> list[str]:
    """The same word as others write it: `email` for e-mail, `usa` for U.S.A., `pdf` for PDFs, `1.2` for v1.2."""
    found = ["".join(_CUTS.split(word))]
    if _PLURAL.fullmatch(word):
        found.append(word[:-1])
    if word.endswith(("'s", "'S")):
        found.append("".join(_CUTS.split(word[:-2])))
    if version := _VERSION.fullmatch(word):
        found.append(version[1])
    return found


def _plain_forms(text: str) -> Iterator[str]:
    """Folded; and without the marks that folding leaves alone, for those who type none."""
    if form := plain(text):
        yield form
    if not text.isascii() and (bare := plain(unmarked(text).replace(" ", ""))) != form and bare:
        yield bare


def _in_a_row(chunks: list[str]) -> list[str]:
    """`KT-INS114` is also kt, ktins, ktins114, ins, ins114 and 114."""
    chunks = [chunk for chunk in chunks if chunk]
    digits = [chunk.isdigit() for chunk in chunks]
    if not 1 < len(chunks) <= _MOST or not any(digits) or all(digits):
        return chunks
    ends = range(1, len(chunks) + 1)
    return ["".join(chunks[low:high]) for high in ends for low in range(high)]


def _versions(dotted: str) -> list[str]:
    """Parts in a row of what has dots: 3.11 and 11.4 of 3.11.4, and 1.2 of v1.2.3."""
    parts = [part for part in dotted.split(".") if part]
    if len(parts) > _MOST:
        return parts
    ends = range(1, len(parts) + 1)
    rows = [".".join(parts[low:high]) for high in ends for low in range(high)]
    if first := _FIRST_LETTERS.match(dotted):
        rows += [".".join(parts[:high])[first.end() :] for high in ends]
    return rows
