"""The formats of texts that a schema may name; one that is not known is not checked, as on kube-apiserver."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_LONG_UNITS = {
    **_UNITS,
    **dict.fromkeys(("nano", "nanos", "nanosecond", "nanoseconds"), 1),
    **dict.fromkeys(("micro", "micros", "microsecond", "microseconds"), 1_000),
    **dict.fromkeys(("milli", "millis", "millisecond", "milliseconds"), 1_000_000),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), _UNITS["s"]),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), _UNITS["m"]),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), _UNITS["h"]),
    **dict.fromkeys(("d", "day", "days"), 24 * _UNITS["h"]),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), 7 * 24 * _UNITS["h"]),
}
_DURATION = re.compile(r"([-+]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_WORDS = re.compile(r"(\d+)\s*([A-Za-zµ]+)")
_TIME = re.compile(r"(\d{2}):(\d{2}):(\d{2})(\.\d+)?(z|[+-]\d{2}:\d{2})", re.ASCII)
_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"


def go_duration(text: str) -> int:
    """A duration as Go writes it, in nanoseconds.

    Raises:
        ValueError: It is none.

    Examples:
        >>> go_duration("1h30m")
        5400000000000
    """
    if text in {"0", "+0", "-0"}:
        return 0
    if not (found := _DURATION.fullmatch(text)):
        raise ValueError(f"{text!r} is no duration")
    whole = sum(round(float(amount) * _UNITS[unit]) for amount, unit in _PART.findall(text))
    return -whole if found[1] == "-" else whole


def duration(text: str) -> int:
    """The same, or in words (``3 weeks``).

    Raises:
        ValueError: It is none.
    """
    try:
        return go_duration(text)
    except ValueError:
        total, found = 0, False
        for amount, unit in _WORDS.findall(text):
            if unit.lower() in _LONG_UNITS:
                total, found = total + int(amount) * _LONG_UNITS[unit.lower()], True
        if not found:
            raise
        return total


def _reads(read: Callable[[str], object]) -> Callable[[str], bool]:
    def is_read(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return is_read


def _matches(pattern: str, flags: int = re.ASCII) -> Callable[[str], bool]:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text) is not None


def _day(text: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise ValueError(text)
    return date.fromisoformat(text)


def _moment(text: str) -> None:
    day, _, time = text.lower().partition("t")
    _day(day)
    if not (found := _TIME.fullmatch(time)) or int(found[1]) > 23 or int(found[2]) > 59 or int(found[3]) > 59:
        raise ValueError(text)


def _base64(text: str) -> None:
    try:
        base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(text) from error


def _network(text: str) -> None:
    if "/" not in text:
        raise ValueError(text)
    ipaddress.ip_interface(text)


def _luhn(text: str) -> bool:
    digits = [int(each) for each in re.sub(r"[^0-9]", "", text)]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [each * 2 - 9 * (each > 4) for each in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _isbn10(text: str) -> bool:
    bare = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{9}[\dX]", bare, re.ASCII):
        return False
    return sum((10 - at) * (10 if char == "X" else int(char)) for at, char in enumerate(bare)) % 11 == 0


def _isbn13(text: str) -> bool:
    bare = re.sub(r"[\s-]", "", text)
    return (
        bool(re.fullmatch(r"\d{13}", bare, re.ASCII))
        and sum(int(char) * (3 if at % 2 else 1) for at, char in enumerate(bare)) % 10 == 0
    )


def _uuid(version: str = "[0-9A-F]", variant: str = "[0-9A-F]") -> Callable[[str], bool]:
    return _matches(
        rf"[0-9A-F]{{8}}-?[0-9A-F]{{4}}-?{version}[0-9A-F]{{3}}-?{variant}[0-9A-F]{{3}}-?[0-9A-F]{{12}}", re.IGNORECASE | re.ASCII
    )


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "date-time": _reads(_moment),
    "datetime": _reads(_moment),
    "date": _reads(_day),
    "duration": _reads(duration),
    "byte": _reads(_base64),
    "email": _matches(r"(?:[^<>@]*<)?[^\s@<>,;:\"]+@[^\s@<>,;:\"]+>?"),
    "hostname": _matches(rf"{_LABEL}|({_LABEL}\.)+[a-zA-Z]{{2,63}}"),
    "ipv4": _reads(ipaddress.IPv4Address),
    "ipv6": _reads(ipaddress.IPv6Address),
    "cidr": _reads(_network),
    "mac": _matches(r"([0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}(([:-][0-9a-fA-F]{2}){2})?|([0-9a-fA-F]{4}\.){2,3}[0-9a-fA-F]{4})"),
    "uuid": _uuid(),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4", "[89AB]"),
    "uuid5": _uuid("5", "[89AB]"),
    "uri": _matches(r"([a-zA-Z][a-zA-Z0-9+.-]*:|/)\S*"),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _luhn,
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _matches(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _matches(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)"),
    "bsonobjectid": _matches(r"[0-9a-fA-F]{24}"),
    "k8s-short-name": _matches(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"),
    "k8s-long-name": _matches(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"),
}
