"""Whether a value fits a Go type of Kubernetes that not every JSON value of its kind fits, and what Kubernetes says where not.

Numbers have a width, times a layout, bytes are base64. What is looked at for every object is quick; the words are found
afterwards, and are those of Go's own readers of such texts, for clients show them to people.
"""

import binascii
import calendar
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]?\d|2[0-3]):[0-5]\d:[0-5]\d([.,]\d+)?(?:Z|[+-](?:[01]\d|2[0-4]):[0-5]\d)",
    re.ASCII,
)
_QUANTITY = re.compile(
    r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2}|[KMGTPE]i|[numkMGTPE])?\s*", re.ASCII
)  # `kedge.kube.quantities.parse` reads these
_LIKE_A_QUANTITY = re.compile(r"[+-]?\d*(?:\.\d*)?[eEinumkKMGTP]*[-+]?\d*", re.ASCII)
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_LINE_ENDS = b"\r\n"
_DAYS_OF_EVERY_MONTH = "28"
# A layout of Go is an example: how it writes each piece, and how such a one is read.
_PIECES = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d\d?"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
    ("05", r"\d\d"),
)
_RANGES = {"01": ("month", 1, 12), "15": ("hour", 0, 23), "04": ("minute", 0, 59), "05": ("second", 0, 59)}
_USUAL = len("2026-01-02T15:04:05Z")
_MICRO = 7  # digits of a fraction, with its point


def _is_int32(value: Any) -> bool:
    return type(value) is int and -0x80000000 <= value <= 0x7FFFFFFF


def _is_int64(value: Any) -> bool:
    return type(value) is int and -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF


def _is_int_or_text(value: Any) -> bool:
    return type(value) is str or _is_int32(value)


def _is_quantity(value: Any) -> bool:
    kind = type(value)
    return (kind is str or kind is int or kind is float) and _reads_as_quantity(str(value))


@lru_cache(512)  # most objects name the same few
def _reads_as_quantity(text: str) -> bool:
    return _QUANTITY.fullmatch(text) is not None


def _is_time(value: Any) -> bool:
    if type(value) is not str:
        return False
    if len(value) == _USUAL and value[10] == "T" and value[13] == ":" and value[19] == "Z" and value[5] != "W":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass  # the year 0, or no time: the slow way finds it out
        else:
            return True
    return _TIME.fullmatch(value) is not None and _has_day(value)


def _is_micro_time(value: Any) -> bool:
    found = _TIME.fullmatch(value) if type(value) is str else None
    return found is not None and found[1] is not None and len(found[1]) == _MICRO and _has_day(value)


def _has_day(text: str) -> bool:
    return text[8:10] <= _DAYS_OF_EVERY_MONTH or int(text[8:10]) <= calendar.monthrange(int(text[:4]), int(text[5:7]))[1]


def _is_bytes(value: Any) -> bool:
    if type(value) is not str:
        return False
    try:
        binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        return base64_fault(value) is None
    return True


FITS: Mapping[str, Callable[[Any], bool]] = {
    "int32": _is_int32,
    "int64": _is_int64,
    "intorstr": _is_int_or_text,
    "quantity": _is_quantity,
    "time": _is_time,
    "microtime": _is_micro_time,
    "byte": _is_bytes,
    "schemaorbool": lambda value: type(value) is bool or type(value) is dict,
}
"""By the word of the table of fields: whether a value is one."""


def why(word: str, value: Any) -> str:
    """What a text is wrong in that is no such value; "" where its type alone is wrong.

    Args:
        word: Of the table of fields.
        value: What does not fit.

    Examples:
        >>> why("byte", "YQ")
        'illegal base64 data at input byte 0'
        >>> why("time", "2026-13-01T00:00:00Z")
        'parsing time "2026-13-01T00:00:00Z": month out of range'
    """
    if word == "quantity":
        return _quantity_fault(value)
    if word == "schemaorbool":
        return "boolean or JSON schema expected"
    if not isinstance(value, str):
        return ""
    if word in {"time", "microtime"}:
        return _time_fault(value, (".000000", r"[.,]\d{6}") if word == "microtime" else ("", r"(?:[.,]\d+)?"))
    return f"illegal base64 data at input byte {base64_fault(value)}" if word == "byte" else ""


def _quantity_fault(value: Any) -> str:
    text = str(value).strip()
    if not isinstance(value, bool) and text and _LIKE_A_QUANTITY.fullmatch(text) and any(map(str.isalpha, text)):
        return "unable to parse quantity's suffix"
    return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def base64_fault(text: str) -> int | None:
    """At which byte a text stops being base64; ``None`` where it is all base64. Ends of lines may stand anywhere.

    Args:
        text: The text.

    Examples:
        >>> base64_fault("YQ=="), base64_fault("YQ==="), base64_fault("Y Q=")
        (None, 4, 1)
    """
    raw = text.encode("utf-8", "surrogatepass")
    places = [at for at, byte in enumerate(raw) if byte not in _LINE_ENDS]
    end = next((count for count, at in enumerate(places) if raw[at] not in _BASE64), len(places))
    rest = end % 4
    if end == len(places):
        return len(raw) - rest if rest else None
    if raw[places[end]] != ord("=") or rest < 2:
        return places[end]
    last = end
    if rest == 2:
        last = end + 1
        if last == len(places):
            return len(raw)
        if raw[places[last]] != ord("="):
            return places[last] - 1
    return None if last + 1 == len(places) else places[last + 1]


def _time_fault(text: str, fraction: tuple[str, str]) -> str:
    """What is wrong with a time, piece by piece of its layout; "" for nothing.

    Args:
        text: The time.
        fraction: How the layout writes the parts of a second, and how they are read.
    """
    numbers, rest = dict[str, int](), text
    for piece, pattern in (*_PIECES, fraction, ("Z07:00", r"Z|[+-]\d\d:\d\d")):
        found = re.match(pattern, rest, re.ASCII)
        if found is None:
            layout = f"2006-01-02T15:04:05{fraction[0]}Z07:00"
            return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{piece}"'
        rest = rest[found.end() :]
        if piece.isdigit():
            numbers[piece] = int(found[0])
        name, least, most = _RANGES.get(piece, ("", 0, 0))
        if name and not least <= numbers[piece] <= most:
            return f'parsing time "{text}": {name} out of range'
    if rest:
        return f'parsing time "{text}": extra text: "{rest}"'
    has_day = 1 <= numbers["02"] <= calendar.monthrange(numbers["2006"], numbers["01"])[1]
    return "" if has_day else f'parsing time "{text}": day out of range'
