"""Numbers and dates as a spreadsheet shows them.

Reference: ECMA-376 part 1, 18.8.30 and 18.8.31 (number format codes). Names of months and days come out in English;
fractions and what cannot be told come out as None.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: "$#,##0", 6: "$#,##0", 7: "$#,##0.00", 8: "$#,##0.00",
    9: "0%", 10: "0.00%", 11: "0.00E+00", 14: "mm-dd-yy", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy",
    18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "m/d/yy h:mm",
    37: "#,##0 ;(#,##0)", 38: "#,##0 ;(#,##0)", 39: "#,##0.00;(#,##0.00)", 40: "#,##0.00;(#,##0.00)",
    45: "mm:ss", 46: "[h]:mm:ss", 47: "mmss.0", 48: "##0.0E+0",
}  # fmt: skip
_PIECE = re.compile(
    r'"([^"]*)"|\\(.)|_.|\*.|\[([^\]]*)\]|(AM/PM|A/P|General|E[+-]0+|y+|m+|d+|h+|s+|\.0+|[0#?]|.)',
    re.I | re.S,
)
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?[\d.]+)\]")
_MOST_DIGITS = 15


def shown(value: object, code: str) -> str | None:
    """A value under a format code as a person sees it; None where the code is not understood.

    shown(2134, "00000")    # "02134"
    shown(0.425, "0.0 %")   # "42.5 %"
    """
    if isinstance(value, (datetime, date, time, timedelta)):
        return _moment(value, _sections(code)[0])
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) >= 1e15:
        return None
    section, number = _chosen(_sections(code), value)
    return _number(section, number)


@lru_cache(1000)
def _sections(code: str) -> tuple[str, ...]:
    parts, current, quoted, at = [], "", False, 0
    while at < len(code):
        sign = code[at]
        if sign == "\\" and not quoted:
            current += code[at : at + 2]
            at += 2
            continue
        quoted = quoted != (sign == '"')
        if sign == ";" and not quoted:
            parts.append(current)
            current = ""
        else:
            current += sign
        at += 1
    return (*parts, current)


def _chosen(sections: tuple[str, ...], value: float) -> tuple[str, float]:
    """The section for a value, and the value without the sign that the section itself shows."""
    for section in sections:
        condition = _CONDITION.search(section)
        if condition is None:
            continue
        sign, bound = condition.group(1), float(condition.group(2))
        if {"<": value < bound, ">": value > bound, "=": value == bound, "<=": value <= bound,
            ">=": value >= bound, "<>": value != bound}[sign]:  # fmt: skip
            return section, value
    if value < 0 and len(sections) > 1:
        return sections[1], -value
    if value == 0 and len(sections) > 2:
        return sections[2], value
    return sections[0], value


@lru_cache(1000)
def _pieces(section: str) -> tuple[tuple[str, str], ...]:
    """What a section is made of: ("text", …) for literals, ("code", …) for the rest."""
    found: list[tuple[str, str]] = []
    for match in _PIECE.finditer(section):
        literal, escaped, bracket, code = match.groups()
        if literal is not None or escaped is not None:
            found.append(("text", literal if literal is not None else escaped))
        elif bracket is not None:
            if bracket.startswith("$"):
                found.append(("text", bracket[1:].partition("-")[0]))
            elif set(bracket.lower()) <= set("hms"):
                found.append(("elapsed", bracket.lower()))
        elif code is not None:
            found.append(("code", code))
        elif match.group().startswith("_"):
            found.append(("text", " "))
    return tuple(found)


def _number(section: str, value: float) -> str | None:
    plan = _plan(section)
    if plan is None or isinstance(plan, str):
        return plan
    pieces, pattern, percents, exponent = plan
    text = _digits(pattern, value * 100**percents if percents else value, exponent)
    sign = "-" if value < 0 and text.strip("0.,") else ""
    return sign + _laid_out(pieces, text)


@lru_cache(1000)
def _plan(section: str) -> tuple[tuple[tuple[str, str], ...], str, int, str] | str | None:
    """Pieces of a section for numbers, its digits, percent signs and exponent; its text alone where it has no digits.

    None for dates, fractions and General.
    """
    pieces = _pieces(section)
    codes = [code for kind, code in pieces if kind == "code"]
    strange = any(code.lower() in ("general", "@", "/") or code[0].lower() in "ymdhs" for code in codes)
    if strange or any(kind == "elapsed" for kind, _ in pieces):
        return None
    pattern = "".join(code for code in codes if code[0] in "0#?.,")
    if not any(sign in pattern for sign in "0#?"):
        return "".join(text for _, text in pieces).strip()
    return pieces, pattern, codes.count("%"), next((code for code in codes if code[0] in "Ee"), "")


def _laid_out(pieces: tuple[tuple[str, str], ...], number: str) -> str:
    """The literals of a section, its digits where their signs stand; a point or separators stay with the digits."""
    before, places, after = _around(pieces)
    if places == 0:
        return (before + number + after).strip()
    first = max(len(number) - places + 1, 0)
    digits = iter([number[:first], *number[first:]] if first else list(number.rjust(places)))
    out: list[str] = []
    for kind, text in pieces:
        if kind == "code" and text[0] in "0#?.,":
            out.append(next(digits, "").strip())
        elif kind != "code" or text[0] not in "Ee":
            out.append(text)
    return "".join(out).strip()


@lru_cache(1000)
def _around(pieces: tuple[tuple[str, str], ...]) -> tuple[str, int, str]:
    """Text before the digits and after them, and how many places there are where text stands among them, else 0."""
    kept = [
        (kind == "code" and text[0] in "0#?.,", text)
        for kind, text in pieces
        if kind != "code" or text[0] not in "Ee"
    ]
    places = [index for index, (digit, _) in enumerate(kept) if digit]
    first, last = places[0], places[-1]
    among = last - first + 1 != len(places) and not any(kept[index][1][0] in ".," for index in places)
    before = "".join(text for _, text in kept[:first])
    return before, len(places) if among else 0, "".join(text for digit, text in kept[first:] if not digit)


def _digits(pattern: str, value: float, exponent: str) -> str:
    whole, _, fraction = pattern.partition(".")
    scale = len(whole) - len(whole.rstrip(",")) if not fraction else len(fraction) - len(fraction.rstrip(","))
    fraction = fraction.replace(",", "")
    decimals = min(len(fraction), _MOST_DIGITS)
    if exponent:
        mantissa, _, power = f"{abs(value):.{decimals}E}".partition("E")
        return f"{mantissa}E{'-' if power[0] == '-' else '+'}{power[1:].lstrip('0') or '0':0>{len(exponent) - 2}}"
    rounded = (abs(Decimal(repr(value))) / 1000**scale).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    integer, _, rest = f"{rounded:f}".partition(".")
    least = fraction.rfind("0") + 1
    while len(rest) > least and rest.endswith("0"):
        rest = rest[:-1]
    places = whole.count("0")
    integer = integer.lstrip("0").rjust(places, "0")
    if "," in whole.rstrip(","):
        integer = f"{int(integer or 0):,}".rjust(places, "0") if integer else ""
    return integer + ("." + rest if rest or (fraction and not least and integer == "") else "")


def _moment(value: datetime | date | time | timedelta, section: str) -> str | None:
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        moment = datetime(1899, 12, 30) + value
    else:
        moment = (
            value if isinstance(value, datetime)
            else datetime.combine(date(1899, 12, 30), value) if isinstance(value, time)
            else datetime(value.year, value.month, value.day)
        )  # fmt: skip
        seconds = (moment - datetime(1899, 12, 30)).total_seconds()
    pieces = _pieces(section)
    afternoon = any(code.upper() in ("AM/PM", "A/P") for kind, code in pieces if kind == "code")
    out: list[str] = []
    last = ""
    for index, (kind, code) in enumerate(pieces):
        low = code.lower()
        if kind == "elapsed":
            out.append(_elapsed(low, seconds))
            last = low[0]
        elif kind == "text" or low[0] not in "ymdhsag.":
            out.append("" if code == "@" else code)
        elif low == "general":
            return None
        else:
            minutes = low[0] == "m" and (last == "h" or _next_unit(pieces[index + 1 :]) == "s")
            out.append(_unit(low, moment, minutes and len(low) < 3, afternoon))
            last = low[0] if low[0] in "ymdhs" else last
    return "".join(out).strip()


def _next_unit(pieces: tuple[tuple[str, str], ...]) -> str:
    return next(
        (code[0].lower() for kind, code in pieces if kind != "text" and code[0].lower() in "ymdhs"), ""
    )


def _elapsed(code: str, seconds: float) -> str:
    whole = int(seconds // {"h": 3600, "m": 60, "s": 1}[code[0]])
    return str(whole).rjust(len(code), "0")


def _unit(code: str, moment: datetime, minutes: bool, afternoon: bool) -> str:
    size = len(code)
    if code in ("am/pm", "a/p"):
        word = "AM" if moment.hour < 12 else "PM"
        return word if size > 3 else word[0]
    if code[0] == ".":
        return f".{moment.microsecond:06d}"[:size]
    if code[0] == "y":
        return f"{moment.year:04d}" if size > 2 else f"{moment.year % 100:02d}"
    if code[0] == "m" and not minutes and size > 2:
        name = _MONTHS[moment.month - 1]
        return name[:3] if size == 3 else name[0] if size == 5 else name
    if code[0] == "d" and size > 2:
        name = _DAYS[moment.weekday()]
        return name[:3] if size == 3 else name
    hour = (moment.hour % 12 or 12) if afternoon else moment.hour
    number = {"m": moment.minute if minutes else moment.month, "d": moment.day, "h": hour, "s": moment.second}
    return str(number[code[0]]).rjust(min(size, 2), "0") if code[0] in number else code
