"""Turn text into token ids with the model's own tokenizer.json. A text that is cut keeps its special tokens.

For `models` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
        self.size = inner.get_vocab_size()
        self.special = [id for id, token in inner.get_added_tokens_decoder().items() if token.special]

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

    def uncut(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each whole text, special tokens included."""
        return [encoding.ids for encoding in self._encode(texts)]

    def normalized(self, text: str) -> str:
        """A text as the tokenizer cuts it: folded, decomposed, replaced as its file says."""
        normalizer = self._inner.normalizer
        return str(normalizer.normalize_str(self._prepare(text))) if normalizer else text

    @property
    def largest_id(self) -> int:
        """The largest id of the vocabulary, added tokens included; -1 for an empty one."""
        return max(self._inner.get_vocab(with_added_tokens=True).values(), default=-1)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text, special tokens and truncation left out."""
        return [len(encoding.ids) - self.frame.size for encoding in self._encode(texts)]

    def pairs(self, first: str, seconds: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """Ids and segments of `first` with each of `seconds`, at most `max_tokens`, the longer of a pair cut first."""
        left = self._prepare(first)
        found = self._pairing.encode_batch_fast([(left, self._prepare(text)) for text in seconds])
        return [(encoding.ids, encoding.type_ids) for encoding in found]

    @cached_property
    def _pairing(self) -> HuggingFaceTokenizer:
        """A second tokenizer that cuts pairs; the first one cuts nothing, so that it can count."""
        pairing = type(self._inner).from_str(self._inner.to_str())
        pairing.enable_truncation(self.max_tokens, strategy="longest_first")
        return pairing

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
