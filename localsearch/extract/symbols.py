"""Letters of the Symbol font, and the signs of Wingdings that carry meaning, as Unicode.

Reference: Adobe's Symbol encoding, as published by the Unicode Consortium (MAPPINGS/VENDORS/ADOBE/symbol.txt).
"""

from __future__ import annotations

_SYMBOL_20 = " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼"
_SYMBOL_A0 = "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑"
_WINGDINGS = {0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑", 0xA8: "☐", 0xDF: "←", 0xE0: "→", 0xE8: "→", 0x4A: "☺",
              0x4C: "☹", 0x28: "☎", 0x2A: "✉"}  # fmt: skip


def symbol(font: str, code: str) -> str:
    """The character that a font shows for a code in hexadecimal, "" where it has none in Unicode."""
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    private = 0xF000 <= number <= 0xF0FF
    low = number & 0xFF if private else number
    if font.lower() == "symbol":
        return _letter(low)
    if font.lower().startswith("wingdings"):
        return _WINGDINGS.get(low, "") if font.lower() == "wingdings" else ""
    return "" if private or not 0x20 <= number < 0x110000 or 0xD800 <= number < 0xE000 else chr(number)


def _letter(code: int) -> str:
    if 0x20 <= code < 0x20 + len(_SYMBOL_20):
        return _SYMBOL_20[code - 0x20]
    return _SYMBOL_A0[code - 0xA0] if 0xA0 <= code < 0xA0 + len(_SYMBOL_A0) else ""
