r"""Letters that LaTeX and BibTeX write as commands, as they are printed: \"a is ä, {\ss} is ß, \v{S} is Š.

Accents are those of the LaTeX kernel (fontenc T1, OT1); a command that is none of these stays as it is.
"""

from __future__ import annotations

import re
import unicodedata

_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", '"': "\u0308", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "k": "\u0328", "r": "\u030a", "b": "\u0331",
    "d": "\u0323", "h": "\u0309", "G": "\u030f", "U": "\u030e", "t": "\u0361",
}  # fmt: skip
_LETTERS = {
    "ss": "ß", "SS": "SS", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "o": "ø", "O": "Ø",
    "l": "ł", "L": "Ł", "dh": "ð", "DH": "Ð", "dj": "đ", "DJ": "Đ", "th": "þ", "TH": "Þ", "ng": "ŋ", "NG": "Ŋ",
    "i": "ı", "j": "ȷ", "ij": "ĳ", "IJ": "Ĳ", "euro": "€", "pounds": "£", "S": "§", "P": "¶", "copyright": "©",
    "textendash": "–", "textemdash": "—", "ldots": "…", "dots": "…", "textquoteright": "’", "textquoteleft": "‘",
    "textquotedblleft": "“", "textquotedblright": "”", "guillemotleft": "«", "guillemotright": "»",
    "textdegree": "°", "textmu": "µ", "texteuro": "€", "EUR": "€", "textregistered": "®", "texttrademark": "™",
    "textasciitilde": "~", "textbackslash": "\\", "quotedblbase": "„", "glqq": "„", "grqq": "“", "flqq": "«",
    "frqq": "»", "textexclamdown": "¡", "textquestiondown": "¿", "textordmasculine": "º", "textordfeminine": "ª",
}  # fmt: skip
_BASE = r"(?:\\([ij])(?![A-Za-z])|([A-Za-z\u00c0-\u024f]))"
_GLUED = rf"(?:\{{\s*{_BASE}(?:\{{\}})?\s*\}}|[ \t]*{_BASE})"
_SIGN_ACCENT = re.compile(r"\\([`'^~\"=.])" + _GLUED)
_WORD_ACCENT = re.compile(
    r"\\([uvHckrbdhGUt])\{\s*" + _BASE + r"(?:\{\})?\s*\}"
    r"|\\([uvHckr])[ \t]+" + _BASE + r"|\\([bdhGUt])[ \t]+" + _BASE + r"(?![A-Za-z])"
)
"""The rarer ones before a letter that stands alone: their names are taken by writers for commands of their own."""
_TIE = re.compile(r"\\t\{([A-Za-z]{2})\}")
_LETTER = re.compile(
    r"\{\\(" + "|".join(sorted(_LETTERS, key=len, reverse=True)) + r")[ \t]*\}"
    r"|\\(" + "|".join(sorted(_LETTERS, key=len, reverse=True)) + r")(?:\{\}|(?![A-Za-z])[ \t]*)"
)
_BRACED = re.compile(r"\{([^\x00-\x7f]+)\}")
_HYPHEN = re.compile(r'\\-|\\/|\\,(?=\d)|(?<=\w)"-(?=\w)')
_SHORTHAND = re.compile(r'"([aouAOUsSz])(?![A-Za-z]*"[^\w])')
_GERMAN = re.compile(
    r"\\usepackage\s*(?:\[[^\]]*(?:german|austrian)[^\]]*\])?\s*\{(?:[^}]*,\s*)?(?:n?german|babel)\b"
)
_GERMAN_OPTION = re.compile(r"(?:german|austrian|swissgerman)")
_SHORT = {"a": "ä", "o": "ö", "u": "ü", "A": "Ä", "O": "Ö", "U": "Ü", "s": "ß", "z": "ß", "S": "SS"}


def printed(text: str) -> str:
    r"""The source with letters and accents as they are printed, line by line as before.

    `W\"armelehre, Stra{\ss}e, \v{S}koda` is `Wärmelehre, Straße, Škoda`.
    """
    if '"' in text and _is_german(text):
        text = _SHORTHAND.sub(lambda match: _SHORT[match[1]] if not _escaped(match) else match[0], text)
    if "\\" not in text:
        return text
    text = _HYPHEN.sub("", text)
    text = _TIE.sub(r"\1", text)
    for accent in (_SIGN_ACCENT, _WORD_ACCENT):
        text = accent.sub(_accented, text)
    text = _LETTER.sub(lambda match: _LETTERS[match[1] or match[2]], text)
    return _BRACED.sub(r"\1", text)


def _escaped(match: re.Match[str]) -> bool:
    return match.string[match.start() - 1 : match.start()] in ("\\", "=", "{")


def _is_german(text: str) -> bool:
    """Whether a document switches on babel's German, in which "a is ä."""
    match = _GERMAN.search(text[:20_000])
    return match is not None and _GERMAN_OPTION.search(text[:20_000]) is not None


def _accented(match: re.Match[str]) -> str:
    """A letter with its accent, one sign where there is one."""
    mark, base = filter(None, match.groups())
    joined = unicodedata.normalize("NFC", base + _ACCENTS[mark])
    return joined if len(joined) == 1 else base + _ACCENTS[mark]
