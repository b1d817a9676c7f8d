r"""RE2's patterns under Python's `re`, where there is no RE2: what RE2 lacks is refused, what is written otherwise is rewritten.

It tries one way after the other, so that a pattern such as ``(a+)+$`` takes ages for a text that does not match.

RE2 has no look-around, no back-references, no possessive or atomic groups: they are refused. Where the two differ and both
accept: in RE2 ``\d``, ``\w``, ``\s`` and ``\b`` are ASCII, ``$`` is the very end, ``\z`` ends the text, and a flag may stand in
the middle. ``\pL`` names a Unicode class: general categories are read, scripts (``\p{Greek}``) are refused, and so is ``\C``.
"""

import re
import unicodedata
from functools import lru_cache

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")


class PatternError(ValueError):
    """A pattern that cannot be used; the text is RE2's."""


def translated(pattern: str) -> "re.Pattern[str]":
    """A pattern of RE2's, for Python's `re`.

    Raises:
        PatternError: It cannot be read, or is not RE2.
    """
    text = _Translation(pattern).text()
    try:
        return re.compile(text, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"error parsing regexp: {error}: `{pattern}`") from error


class _Translation:
    def __init__(self, pattern: str) -> None:
        self._pattern, self._at, self._out = pattern, 0, list[str]()
        self._repeats = [0]  # how deep repeats stand in the groups that are open

    def text(self) -> str:
        pattern = self._pattern
        while self._at < len(pattern):
            char = pattern[self._at]
            if char == "\\":
                self._escape(in_class=False)
            elif char == "[":
                self._class()
            elif char == "(" and pattern.startswith("(?", self._at):
                self._group()
            elif char == "$":
                self._put(r"\Z", 1)
            elif char in "*+?" and self._is_possessive():
                raise PatternError(
                    f"error parsing regexp: invalid nested repetition operator: `{pattern[self._at - 1 : self._at + 1]}`"
                )
            elif char == "{" and (found := _REPEAT.match(pattern, self._at)) and max(int(n or 0) for n in found.groups()) > 1000:
                raise PatternError(f"error parsing regexp: invalid repeat count: `{found.group()}`")
            else:
                self._put(char, 1)
        return "".join(self._out)

    def _put(self, text: str, width: int) -> None:
        self._out.append(text)
        self._at += width

    def _is_possessive(self) -> bool:
        before = self._pattern[: self._at]
        if not before or before.endswith("\\" + before[-1:]) or before[-1] not in "*+?}":
            return False
        char = self._pattern[self._at]
        if char == "?":
            # One question mark makes a repeat lazy, a second one is refused.
            return len(before) > 1 and before[-1] == "?" and before[-2] in "*+?}" and not before[:-2].endswith("\\")
        return before[-1] != "}" or _ends_in_repeat(before)

    def _escape(self, *, in_class: bool) -> None:
        rest = self._pattern[self._at + 1 : self._at + 2]
        if not rest:
            raise PatternError("error parsing regexp: trailing backslash at end of expression: ``")
        if rest == "z" and not in_class:
            self._put(r"\Z", 2)
        elif rest in "pP":
            self._unicode()
        elif rest == "Q" and not in_class:
            end = self._pattern.find(r"\E", self._at)
            stop = len(self._pattern) if end < 0 else end
            self._put(re.escape(self._pattern[self._at + 2 : stop]), (stop if end < 0 else end + 2) - self._at)
        elif rest == "x" and (found := re.match(r"\\x\{([0-9A-Fa-f]+)\}", self._pattern[self._at :])):
            self._put(re.escape(chr(int(found[1], 16))), found.end())
        elif (rest.isdigit() and rest != "0") or rest in "CKGXRNUuZ" or (rest.isalpha() and rest not in "AbBdDsSwWafnrtvx"):
            raise PatternError(f"error parsing regexp: invalid escape sequence: `\\{rest}`")
        else:
            self._put("\\" + rest, 2)

    def _unicode(self) -> None:
        found = re.match(r"\\([pP])(?:\{(\^?)(\w+)\}|(\w))", self._pattern[self._at :])
        name = (found[3] or found[4]) if found else ""
        chars = _category(name)
        if found is None or not chars:
            raise PatternError(f"error parsing regexp: invalid character class range: `{self._pattern[self._at : self._at + 6]}`")
        negative = (found[1] == "P") != bool(found[2])
        if self._out and self._out[-1].startswith("[") and negative:
            raise PatternError(f"error parsing regexp: `{found.group()}` inside brackets is not supported here")
        self._put(chars if self._in_class else f"[{'^' if negative else ''}{chars}]", found.end())

    _in_class = False

    def _group(self) -> None:
        found = re.match(r"\(\?(?:P?<(\w+)>|([imsU]*(?:-[imsU]+)?)([:)]))", self._pattern[self._at :])
        if found is None:
            raise PatternError(
                f"error parsing regexp: invalid or unsupported Perl syntax: `{self._pattern[self._at : self._at + 3]}`"
            )
        if found[1]:
            self._put(f"(?P<{found[1]}>", found.end())
        elif found[3] == ":" or not found[2]:
            self._put(found.group(), found.end())
        else:
            # A flag for the rest of the group: Python has it for a whole group alone.
            if "U" in found[2]:
                raise PatternError("error parsing regexp: the flag U is not supported here")
            rest, self._pattern = self._pattern[self._at + found.end() :], self._pattern[: self._at]
            inner = _Translation(rest).text()
            self._out.append(f"(?{found[2]}:{inner})")

    def _class(self) -> None:
        pattern, start = self._pattern, self._at
        end = start + 1
        self._put("[", 1)
        if pattern.startswith("^", end):
            self._put("^", 1)
        first = self._at
        self._in_class = True
        while True:
            if self._at >= len(pattern):
                raise PatternError(f"error parsing regexp: missing closing ]: `{pattern[start:]}`")
            char = pattern[self._at]
            if char == "]" and self._at > first:
                self._put("]", 1)
                break
            if found := re.match(r"\[:(\^?)(\w+):\]", pattern[self._at :]):
                if found[2] not in _CLASSES or found[1]:
                    raise PatternError(f"error parsing regexp: invalid character class range: `{found.group()}`")
                self._put(_CLASSES[found[2]], found.end())
            elif char == "\\":
                self._escape(in_class=True)
            else:
                # What Python keeps for sets of its own is plain here.
                self._put("\\" + char if char in "[]&~|" else char, 1)
        self._in_class = False


def _ends_in_repeat(text: str) -> bool:
    start = text.rfind("{")
    return start >= 0 and _REPEAT.fullmatch(text, start) is not None


@lru_cache(maxsize=64)
def _category(name: str) -> str:
    """The characters of a general category, as the inside of brackets; "" for one that is not known."""
    if not name or len(name) > 2 or not name[0].isupper():
        return ""
    ranges, start = list[tuple[int, int]](), -1
    for code in range(0x11000):
        if unicodedata.category(chr(code)).startswith(name):
            start = code if start < 0 else start
        elif start >= 0:
            ranges.append((start, code - 1))
            start = -1
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)
