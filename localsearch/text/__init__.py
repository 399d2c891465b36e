"""Words of a text: the one analyser for index, query and snippets, and the language a text is in."""

from localsearch.text.analyzer import Analyzer, Found, Token, normalize
from localsearch.text.detect import detect_language
from localsearch.text.questions import question

__all__ = ["Analyzer", "Found", "Token", "detect_language", "normalize", "question"]
