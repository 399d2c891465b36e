"""Words of a text: the one analyser for index, query and snippets, and the language a text is in."""

from localsearch.text.analyzer import Analyzer, Found, Token, worth_suggesting
from localsearch.text.detect import detect_language
from localsearch.text.folding import normalize
from localsearch.text.lexicon import Taken
from localsearch.text.pieces import unspaced
from localsearch.text.plain import Asked, chain, dashed
from localsearch.text.questions import question

__all__ = [
    "Analyzer",
    "Asked",
    "Found",
    "Taken",
    "Token",
    "chain",
    "dashed",
    "detect_language",
    "normalize",
    "question",
    "unspaced",
    "worth_suggesting",
]
