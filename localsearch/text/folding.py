"""Characters that make no difference between words: case, accents, width, other digits, and what nobody sees."""

from __future__ import annotations

import unicodedata

from localsearch.patterns import regex

UNSEEN = (
    "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff"
    "\U000e0100-\U000e01ef"
)
"""For a class of a regular expression: soft hyphens, joiners, marks of direction, selectors of a character's looks."""

# Marks that writers leave out: accents, and the vowel points of Arabic and Hebrew. Voicing marks of kana and vowel
# signs of Indic scripts are letters in their own right and stay.
_FOLDED = regex(f"[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670{UNSEEN}]")
LETTERS = str.maketrans(
    {
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ł": "l",
        "ı": "i",
        "þ": "th",
        "ħ": "h",
        "ŧ": "t",
        "’": "'",
        "ʻ": "'",
        "ʼ": "'",
        "ʽ": "'",
        "ʾ": "'",
        "ʿ": "'",
        # Keyboards of Arabic, Persian and Urdu have other codes for one letter, and many type the first for the second;
        # as ArabicNormalizer and PersianNormalizer of Apache Lucene have it.
        "ى": "ي",
        "ی": "ي",
        "ے": "ي",
        "ک": "ك",
        "ہ": "ه",
        "ە": "ه",
        "ة": "ه",
    }
)
_OTHER_DIGITS = regex("[^\\D0-9]")


def normalize(text: str) -> str:
    """NFKC, case folded, without accents, vowel points and what nobody sees: `"Ｃａｆé"` gives `"cafe"`."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return ascii_digits(unicodedata.normalize("NFC", _FOLDED.sub("", folded).translate(LETTERS)))


def ascii_digits(text: str) -> str:
    """With the digits of every script as those of ASCII: `"١٢٣"` gives `"123"`."""
    return _OTHER_DIGITS.sub(lambda digit: str(unicodedata.digit(digit[0])), text)


def unmarked(text: str) -> str:
    """Without any combining mark: people leave out those of Greek, Indic and Japanese letters too."""
    apart = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(c for c in apart if not unicodedata.combining(c)))


def fold_word(text: str) -> str:
    """A word or a part of one, normalized: never empty, and without the blanks that signs such as U+309B fold to."""
    word = normalize(text)
    if " " in word:
        word = unicodedata.normalize("NFC", word.replace(" ", ""))
    return word or text
