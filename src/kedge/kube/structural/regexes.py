r"""Patterns as Kubernetes reads them: the syntax and the words of Go's package regexp, matched in time that grows with the text.

RE2 is the library that Go's package follows. Where the two differ is put right here: Go refuses ``\C``, and calls errors by other
names. Where the library has no wheel, Python's `re` matches, with a warning: a hostile pattern can hold it up.
"""

import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from kedge.kube.structural.backtracking import PatternError, translated

__all__ = ["PatternError", "compiled"]

_log = logging.getLogger(__name__)
_MEMORY = 64 << 20  # bytes that a pattern may take; what needs more is refused
_LONGEST = 1 << 20
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_GROUP = re.compile(r"\(\?P?<([^>]*)>")
_WORDS: Mapping[str, str] = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "bad repetition operator": "invalid nested repetition operator",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
}
"""Go's words by RE2's."""


@lru_cache(maxsize=1)
def library() -> Any:
    """RE2, loaded with the first pattern: a host without kinds of its users' needs none of its memory. ``None`` without it."""
    try:
        import re2  # pyright: ignore[reportMissingTypeStubs]  # it has none  # noqa: PLC0415
    except ImportError:
        return None
    return re2


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """A pattern of Go's; it has ``search`` and ``finditer`` as Python's patterns do.

    Raises:
        PatternError: It cannot be read, or is too large. The text is Go's.

    Examples:
        >>> compiled("(a+)+$").search("a" * 1000 + "b") is None
        True
    """
    if len(pattern) > _LONGEST:
        raise _error("expression too large", pattern)
    re2 = library()
    if re2 is None:
        _warn()
        return translated(pattern)
    _check(pattern)
    options = re2.Options()
    options.log_errors, options.max_mem = False, _MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0]
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        what, _, where = text.partition(": ")
        if what.startswith("pattern too large"):
            raise _error("expression too large", pattern) from error
        raise _error(_WORDS.get(what, what), where) from error
    except UnicodeEncodeError as error:
        raise _error("invalid UTF-8", pattern) from error


def _check(pattern: str) -> None:
    """Refuse what RE2 takes and Go does not."""
    at = 0
    while (found := _ESCAPE.search(pattern, at)) is not None:
        if found[1] == "C":
            raise _error("invalid escape sequence", r"\C")
        # What is quoted says what it says.
        at = pattern.find(r"\E", found.end()) if found[1] == "Q" else found.end()
        if at < 0:
            break
    for group in _GROUP.finditer(pattern):
        if group[1] and not group[1].isascii():
            raise _error("invalid named capture", group.group())


def _error(what: str, where: str) -> PatternError:
    return PatternError(f"error parsing regexp: {what}: `{where}`")


@lru_cache(maxsize=1)
def _warn() -> None:
    _log.warning(
        "google-re2 is not installed: patterns of definitions are matched by Python's re, which a hostile pattern can hold up "
        "for ever, and the host with it. Install it (`pip install google-re2`), or let nobody whom you do not trust define kinds."
    )
