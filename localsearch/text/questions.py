"""Questions made from chunks, where those that people ask are not known."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_LONGEST = 200


def question(chunk: str, number: int) -> str:
    """What someone might type who looks for this passage: by turns, as `number` counts on, two or three of its longest
    words, five or ten words from its middle. Empty for a passage without words.

    >>> question("The quick brown foxes were running along the river", 1)
    'quick brown running'
    """
    words = _WORD.findall(chunk)
    count = (2, 3, 5, 10)[number % 4]
    if number % 4 < 2:
        distinct = list(dict.fromkeys(words))
        longest = sorted(distinct, key=len, reverse=True)[:count]
        return " ".join(word for word in distinct if word in longest)[:_LONGEST]
    start = max(0, (len(words) - count) // 2)
    return " ".join(words[start : start + count])[:_LONGEST]
