"""Markdown of steps as elements of a page: without HTML of its own, styles, or anything that is loaded from elsewhere."""

from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_LINKS = ("http://", "https://", "mailto:", "#")
_BELOW = 2  # the page has headings of its own above


def rendered(text: str) -> Markup:
    """Elements for a text in Markdown.

    Args:
        text: CommonMark, and tables.

    Examples:
        >>> str(rendered("[x](javascript:alert(1)) <b> *c*")).strip()
        '<p>[x](javascript:alert(1)) &lt;b&gt; <em>c</em></p>'
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    tokens = parser.parse(text)
    _tame(tokens)
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704  # the renderer escapes all that is text


def _tame(tokens: Sequence[Token]) -> None:
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + _BELOW)}"
        if token.type in {"td_open", "th_open"} and token.attrs.pop("style", ""):
            token.attrs["class"] = "number"
        if token.type == "link_open":
            _tame_link(token)
        if token.type == "image" and not str(token.attrs.get("src", "")).startswith("data:image/"):
            token.type, token.content = "text", f"[picture: {token.content}]"
        _tame(token.children or ())


def _tame_link(token: Token) -> None:
    """A link leads to the outside, or nowhere: within these pages nothing but they themselves may say where it goes."""
    if not str(token.attrs.get("href", "")).startswith(_LINKS):
        del token.attrs["href"]
    token.attrs["rel"] = "noopener noreferrer"
