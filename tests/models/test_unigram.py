"""The compiled normaliser, as the library reads it."""

from __future__ import annotations

import unicodedata

import numpy as np
from tokenizers import normalizers

from localsearch.models.unigram import charsmap


def test_each_character_becomes_its_text_and_no_other_changes() -> None:
    """All of NFKC's single characters as rules; every other character of the plane stays as it is."""
    characters = [chr(point) for point in range(1, 0x30000) if not 0xD800 <= point < 0xE000]
    rules = {
        one: unicodedata.normalize("NFKC", one)
        for one in characters
        if unicodedata.normalize("NFKC", one) != one
    }
    assert len(rules) > 4000
    normalizer = normalizers.Precompiled(charsmap(rules))
    chosen = np.random.default_rng(2).choice(len(characters), 20_000, replace=False)
    for one in [*rules, *(characters[n] for n in chosen)]:
        assert normalizer.normalize_str(one) == rules.get(one, one), hex(ord(one))


def test_longer_keys_and_removal() -> None:
    normalizer = normalizers.Precompiled(charsmap({"a": "1", "é": "", "ß": "ss", "\U0001f600": "smile"}))
    assert normalizer.normalize_str("abß\U0001f600éc") == "1bsssmilec"
