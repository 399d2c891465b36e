"""Numbers as people write them: grouped by commas, points, apostrophes or spaces, with a decimal point or comma."""

from __future__ import annotations

from localsearch.patterns import regex

# A search is quick for what begins with one of a few characters: what may not come before stands after the first.
_GROUPS = r"(?<=[1-9])\d{0,2}(?P<group>[.,'’\u00a0\u202f\u2009 ])\d{3}(?:(?P=group)\d{3})*"
AMOUNT = regex(
    r"\d(?<![\w.,'’-]\d)(?<!\d[ \u00a0\u202f\u2009]\d)"
    rf"(?:{_GROUPS}(?:(?!(?P=group))[.,]\d+)?|\d*[.,]\d+)"
    r"(?![\w]|[.,'’:/-]\d|[ \u00a0\u202f\u2009]\d)"
)
"""One amount of a text: grouped by three, with a decimal point or comma, or both; not a version, a date or a column."""
_NOT_DIGITS = regex(r"\D")


def amounts(text: str) -> tuple[str, ...]:
    """The numbers that an amount may be, then their integer part, in digits with a decimal point; none for no amount.

    >>> amounts("1.234,56"), amounts("12,345")
    (('1234.56', '1234'), ('12345', '12.345', '12'))
    """
    match = AMOUNT.fullmatch(text)
    if match is None:
        return ()
    group = match["group"]
    head, sign, tail = _decimals(text, group)
    if not sign:
        digits = _NOT_DIGITS.sub("", text)
        whole, _, rest = text.partition(group)
        # One group may as well be decimals: 12,345 inhabitants, 12,345 Meter.
        return (digits, f"{whole}.{rest}", whole) if group in ".," and len(rest) == 3 else (digits,)
    whole = _NOT_DIGITS.sub("", head)
    return f"{whole}.{tail}", whole


def _decimals(text: str, group: str | None) -> tuple[str, str, str]:
    """What stands before the decimal sign, the sign, and the decimals; no sign where there are only groups."""
    for sign in ".,":
        if sign != group and sign in text:
            return text.rpartition(sign)
    return text, "", ""
