"""Regular expressions that are compiled when they are first used.

To compile them all takes a tenth of the processor time in which a command starts, and a command uses few of them.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


def regex(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What `re.compile` gives, later: its first use compiles it, and raises re.error for one that is none."""
    return cast("re.Pattern[AnyStr]", Later(text, flags))


class Later:
    """Takes each method from the compiled expression when it is first asked for, and keeps it."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, found)
        return found
