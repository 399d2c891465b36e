"""The grammar of the query box as a table: what docs/QUERIES.md and /docs show, each row with an example."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """What is written, and what it finds."""

    example: str
    meaning: str


GRAMMAR = (
    Row("pruning roses", "Documents by words and meaning, best first; no single word need occur."),
    Row("+pruning roses", "The word with + must occur; the others rank."),
    Row("roses -spring", "The word with - must not occur. The answer's notes say what was left out."),
    Row(
        "rm -rf",
        "A minus before a number or a single letter, or that stands so in the texts, is part of the text.",
    ),
    Row('"-rf"', "In quotation marks a minus is text always."),
    Row('"climbing roses"', "These words in this order, one after another."),
    Row('"climbing walls"~3', "The same, with up to three words between them; to swap two costs two."),
    Row("climbing NEAR/5 walls", "Both, in any order, with up to five words between; NEAR alone allows ten."),
    Row("roses AND walls", "Both must occur somewhere in the document."),
    Row("tulips OR walls", "At least one must occur."),
    Row(
        "roses NOT walls",
        "The first must occur, the second must not. Beside AND, OR, NOT and NEAR every word is a condition.",
    ),
    Row("(tulips OR roses) AND spring", "Parentheses group. Without them AND binds before OR."),
    Row("prun*", "Words that begin so. * stands for any letters, also within a word or before it: *oses."),
    Row("colo?r", "? within a word stands for exactly one letter; at its end it is a question mark."),
    Row("kind:manual", "A field of the document. Any field of the metadata may be named."),
    Row("kind:manual,letter", "One of several values; the same field twice means the same."),
    Row(
        "type:email",
        "Types as people say them: email, word, excel, slides, ebook, image, md, txt, py; or as a hit shows.",
    ),
    Row("ext:sh", "Files whose name ends so."),
    Row("name:freezer", "Files with this in their name; also a field of that name."),
    Row("-kind:manual", "Not with this value."),
    Row("author:*", "Has the field."),
    Row("rank:>2", "Compares; also >=, <, <= and rank:2..4. size takes kb, mb, gb."),
    Row(
        "after:2024-03", "The document's date from then on; before: is earlier. Also modified:2024, created:."
    ),
    Row("kind:letter OR tulips", "Fields and words join freely."),
    Row("(roses AND", "What does not parse is searched as plain words, and a note says so."),
)
