"""Words of a text: the one analyser for index, query and snippets, and the language a text is in."""

from localsearch.text.analyzer import Analyzer, Token, normalize
from localsearch.text.detect import detect_language

__all__ = ["Analyzer", "Token", "detect_language", "normalize"]
