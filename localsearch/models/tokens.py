"""Text to token ids with the model's own tokenizer.json; special tokens kept when a text is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localsearch.errors import ModelDamagedError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer


@dataclass(frozen=True, slots=True)
class Frame:
    """How many special tokens stand before and after a text."""

    before: int
    after: int

    @property
    def size(self) -> int:
        return self.before + self.after


class Tokenizer:
    """Ids of texts, never padded, cut to `max_tokens` with the special tokens kept at both ends."""

    def __init__(self, inner: HuggingFaceTokenizer, max_tokens: int, lowercase: bool = False) -> None:
        inner.no_padding()
        inner.no_truncation()
        self._inner = inner
        self._lowercase = lowercase
        self.max_tokens = max_tokens
        self.frame = _frame(inner.encode("a").special_tokens_mask)

    @classmethod
    def load(cls, path: Path, max_tokens: int, lowercase: bool = False) -> Tokenizer:
        """Read tokenizer.json; ModelDamagedError when it does not parse."""
        from tokenizers import Tokenizer as HuggingFaceTokenizer

        try:
            return cls(HuggingFaceTokenizer.from_file(str(path)), max_tokens, lowercase)
        except Exception as error:  # the library raises nothing narrower
            raise ModelDamagedError(
                f"{path} does not parse: {error}", hint="Pull or import the model again."
            ) from error

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens included, at most `max_tokens`."""
        return [self._cut(encoding.ids) for encoding in self._encode(texts)]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text, special tokens and truncation left out."""
        return [len(encoding.ids) - self.frame.size for encoding in self._encode(texts)]

    def pairs(self, first: str, seconds: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """Ids and segments of `first` with each of `seconds`, the longer one of a pair cut first."""
        inner = self._inner
        left = inner.encode(self._prepare(first), add_special_tokens=False)
        found = []
        for right in inner.encode_batch_fast(
            [self._prepare(text) for text in seconds], add_special_tokens=False
        ):
            one, two = _fit(left, right, self.max_tokens - inner.num_special_tokens_to_add(True))
            pair = inner.post_process(one, two)
            found.append((pair.ids, pair.type_ids))
        return found

    def _encode(self, texts: Sequence[str]) -> list[Any]:
        return self._inner.encode_batch_fast([self._prepare(text) for text in texts])

    def _prepare(self, text: str) -> str:
        # Lone surrogates (from file names) cannot be encoded as UTF-8 and would raise inside the library.
        clean = text.encode("utf-8", "replace").decode("utf-8")
        return clean.lower() if self._lowercase else clean

    def _cut(self, ids: list[int]) -> list[int]:
        if len(ids) <= self.max_tokens:
            return ids
        after = self.frame.after
        return ids[: self.max_tokens - after] + ids[len(ids) - after :]


def _frame(special: list[int]) -> Frame:
    before = special.index(0) if 0 in special else len(special)
    after = special[::-1].index(0) if 0 in special else 0
    return Frame(before, after)


def _fit(left: Any, right: Any, room: int) -> tuple[Any, Any]:
    """Cut a pair to `room` tokens as "longest first" does: one token at a time off the longer, the second on a tie."""
    one, two = len(left.ids), len(right.ids)
    over = max(0, one + two - room)
    if over:
        level = max(0, min(over, abs(one - two)))
        one, two = (one - level, two) if one > two else (one, two - level)
        rest = over - level
        two -= -(-rest // 2)
        one -= rest // 2
    return _truncated(left, one), _truncated(right, two)


def _truncated(encoding: Any, length: int) -> Any:
    if len(encoding.ids) > length:
        from copy import copy

        encoding = copy(encoding)
        encoding.truncate(length)
    return encoding
