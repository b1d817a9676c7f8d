"""Paths of a REST API, put together of what people gave."""

from urllib.parse import quote

from kedge.errors import NotFound


def segment(identity: str) -> str:
    """An id as one segment of a path.

    Args:
        identity: As it was given.

    Raises:
        NotFound: It can be nobody's id: it is empty, or has a slash, and would be another path.

    Examples:
        >>> segment("a b")
        'a%20b'
        >>> segment("../b")
        Traceback (most recent call last):
        kedge.errors.NotFound: nothing has the id '../b': an id is not empty and has no slash. The command `list` shows them.
    """
    if not identity or "/" in identity or identity in {".", ".."}:
        raise NotFound(f"nothing has the id {identity!r}: an id is not empty and has no slash. The command `list` shows them.")
    return quote(identity, safe="")
