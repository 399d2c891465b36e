"""Markdown as HTML for the preview: no markup of its own, no picture, no script; blocks of a passage are marked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

PASSAGE = "passage"
"""The class of blocks that the passage reaches into."""
_BLOCKS = frozenset(
    ["paragraph_open", "heading_open", "list_item_open", "tr_open", "fence", "code_block", "hr"]
)


class _Renderer(RendererHTML):
    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """What a picture shows, in words: pictures are elsewhere, and are not fetched."""
        return self.text([Token("text", "", 0, content=tokens[idx].content)], 0, options, env)


_MARKDOWN = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable(
    ["table", "strikethrough"]
)


def headings(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Title, level, and the characters [start, stop) of each heading with what stands under it.

    >>> list(headings("# One\\n\\na\\n\\n## Two\\n\\nb\\n"))
    [('One', 1, 0, 10), ('Two', 2, 10, 20)]
    """
    starts = [0, *(match.end() for match in re.finditer("\n", text)), len(text)]
    tokens = _MARKDOWN.parse(text)
    found = [
        (
            "".join(one.content for one in tokens[at + 1].children or ()),
            int(token.tag[1]),
            starts[token.map[0]],
        )
        for at, token in enumerate(tokens)
        if token.type == "heading_open" and token.map
    ]
    ends = [*(start for _, _, start in found[1:]), len(text)]
    for (title, level, start), stop in zip(found, ends):
        yield title, level, start, stop


def rendered(text: str, low: int, high: int) -> str:
    """The text as HTML with the class `passage` on each block that reaches into [low, high), offsets into the text.

    Markup in the text is shown as text, links lead nowhere but where Markdown allows, pictures are their descriptions.

    >>> rendered("# One\\n\\nTwo <b>", 7, 9)
    '<h1>One</h1>\\n<p class="passage">Two &lt;b&gt;</p>\\n'
    """
    first, last = text.count("\n", 0, low), text.count("\n", 0, max(low, high - 1))
    tokens = _MARKDOWN.parse(text)
    for token in tokens:
        if token.map and token.type in _BLOCKS and token.map[0] <= last and token.map[1] > first:
            token.attrJoin("class", PASSAGE)
    return str(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))
