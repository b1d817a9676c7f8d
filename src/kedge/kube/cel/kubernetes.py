"""The functions that Kubernetes adds to expressions: URLs, quantities, addresses, versions and named formats."""

import ipaddress
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kedge.kube.cel.values import EvaluationError, Opaque, Optional
from kedge.kube.structural.formats import FORMATS

_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,4}))?", re.ASCII)
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][\w-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][\w-]*))*))?"
    r"(?:\+[\w-]+(?:\.[\w-]+)*)?",
    re.ASCII,
)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise EvaluationError("no such overload")
    return value


def _opaque(value: Any, kind: str) -> Any:
    if not isinstance(value, Opaque) or value.kind != kind:
        raise EvaluationError("no such overload")
    return value.value


def _is(make: Callable[[str], Any]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        try:
            make(_text(value))
        except EvaluationError:
            return False
        return True

    return check


# --- quantities -------------------------------------------------------------------------------------------------------------


def _quantity(text: str) -> Opaque:
    found = _QUANTITY.fullmatch(_text(text))
    if found is None:
        raise EvaluationError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, suffix = Fraction(found[1]), found[2] or ""
    if suffix.endswith("i"):
        return Opaque("kubernetes.Quantity", number * 1024 ** ("KMGTPE".index(suffix[0]) + 1))
    return Opaque("kubernetes.Quantity", number * Fraction(10) ** (int(found[3]) if found[3] else _SUFFIXES[suffix]))


def _amount(value: Any) -> Fraction:
    return Fraction(value) if isinstance(value, int) and not isinstance(value, bool) else _opaque(value, "kubernetes.Quantity")


def _as_integer(value: Any) -> int:
    number = _amount(value)
    if number.denominator != 1 or abs(number) >= 1 << 63:
        raise EvaluationError("cannot convert value to integer")
    return int(number)


# --- addresses --------------------------------------------------------------------------------------------------------------


def _ip(text: Any) -> Opaque:
    if isinstance(text, Opaque):  # of a network
        return Opaque("net.IP", _opaque(text, "net.CIDR").ip)
    try:
        found = ipaddress.ip_address(_text(text))
    except ValueError as error:
        raise EvaluationError(f'IP Address "{text}" parse error during conversion from string') from error
    if "%" in text or getattr(found, "ipv4_mapped", None) is not None:
        raise EvaluationError(f'IP Address "{text}" parse error: zones and mapped addresses are not allowed')
    return Opaque("net.IP", found)


def _cidr(text: Any) -> Opaque:
    why = f'network address parse error during conversion from string: "{text}"'
    if "/" not in _text(text):
        raise EvaluationError(why)
    try:
        return Opaque("net.CIDR", ipaddress.ip_interface(text))
    except ValueError as error:
        raise EvaluationError(why) from error


def _contains_ip(cidr: Any, address: Any) -> bool:
    wanted = _ip(address).value if isinstance(address, str) else _opaque(address, "net.IP")
    return wanted in _opaque(cidr, "net.CIDR").network


def _contains_cidr(cidr: Any, other: Any) -> bool:
    outer = _opaque(cidr, "net.CIDR").network
    inner = (_cidr(other).value if isinstance(other, str) else _opaque(other, "net.CIDR")).network
    return inner.version == outer.version and inner.subnet_of(outer)


# --- URLs, versions, formats ------------------------------------------------------------------------------------------------


def _url(text: Any) -> Opaque:
    if not re.fullmatch(r"([a-zA-Z][a-zA-Z0-9+.-]*:|/)[^\s\x00-\x1f]*", _text(text)):
        raise EvaluationError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise EvaluationError(f"URL parse error during conversion from string: {error}") from error
    return Opaque("kubernetes.URL", parts)


def _of_url(part: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: part(_opaque(value, "kubernetes.URL"))


def _semver(text: Any, normalize: Any = False) -> Opaque:  # noqa: FBT002  # as in expressions
    given = _text(text)
    if normalize:
        given = ".".join(
            [*(str(int(each)) if each.isdecimal() else each for each in given.removeprefix("v").split(".")), "0", "0"][:3]
        )
    found = _SEMVER.fullmatch(given)
    if found is None:
        raise EvaluationError(f"invalid semver: {text}")
    return Opaque("kubernetes.Semver", (int(found[1]), int(found[2]), int(found[3]), found[4] or ""))


def _precedence(value: Any) -> tuple[Any, ...]:
    major, minor, patch, rest = _opaque(value, "kubernetes.Semver")
    parts = [(0, int(each), "") if each.isdecimal() else (1, 0, each) for each in rest.split(".")] if rest else []
    return major, minor, patch, not rest, parts


def _sign(a: Any, b: Any) -> int:
    return (a > b) - (a < b)


def _order(a: Any, b: Any) -> int:
    if isinstance(a, Opaque) and a.kind == "kubernetes.Semver":
        return _sign(_precedence(a), _precedence(b))
    return _sign(_amount(a), _amount(b))


_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAMED: dict[str, tuple[str, int]] = {
    "dns1123Label": (_LABEL, 63),
    "dns1123Subdomain": (rf"{_LABEL}(\.{_LABEL})*", 253),
    "dns1035Label": (r"[a-z]([-a-z0-9]*[a-z0-9])?", 63),
    "dns1123LabelPrefix": (r"[a-z0-9]([-a-z0-9]*)", 63),
    "dns1123SubdomainPrefix": (r"[a-z0-9]([-a-z0-9.]*)", 253),
    "dns1035LabelPrefix": (r"[a-z]([-a-z0-9]*)", 63),
    "qualifiedName": (rf"({_LABEL}(\.{_LABEL})*/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", 317),
    "labelValue": (r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", 63),
}
_FORMATS = {"uri": "uri", "uuid": "uuid", "byte": "byte", "date": "date", "datetime": "date-time"}


def _named(name: Any) -> Optional:
    known = _text(name) in _NAMED or name in _FORMATS
    return Optional((Opaque("kubernetes.NamedFormat", name),)) if known else Optional()


def _validate(form: Any, text: Any) -> Optional:
    name = _opaque(form, "kubernetes.NamedFormat")
    if name in _FORMATS:
        good = FORMATS[_FORMATS[name]](_text(text))
    else:
        pattern, limit = _NAMED[name]
        good = len(_text(text)) <= limit and re.fullmatch(pattern, text, re.ASCII) is not None
    return Optional() if good else Optional(([f"invalid {name}"],))


KUBERNETES: dict[str, Callable[..., Any]] = {
    "quantity": _quantity,
    "isQuantity": _is(_quantity),
    "isInteger": lambda value: _amount(value).denominator == 1 and abs(_amount(value)) < 1 << 63,
    "asInteger": _as_integer,
    "asApproximateFloat": lambda value: float(_amount(value)),
    "sign": lambda value: _sign(_amount(value), 0),
    "add": lambda a, b: Opaque("kubernetes.Quantity", _amount(a) + _amount(b)),
    "sub": lambda a, b: Opaque("kubernetes.Quantity", _amount(a) - _amount(b)),
    "compareTo": _order,
    "isGreaterThan": lambda a, b: _order(a, b) > 0,
    "isLessThan": lambda a, b: _order(a, b) < 0,
    "ip": _ip,
    "isIP": _is(_ip),
    "ip.isCanonical": lambda text: str(_ip(text).value) == text,
    "family": lambda value: _opaque(value, "net.IP").version,
    "isUnspecified": lambda value: _opaque(value, "net.IP").is_unspecified,
    "isLoopback": lambda value: _opaque(value, "net.IP").is_loopback,
    "isLinkLocalMulticast": lambda value: _opaque(value, "net.IP").is_multicast and _opaque(value, "net.IP").is_link_local,
    "isLinkLocalUnicast": lambda value: _opaque(value, "net.IP").is_link_local,
    "isGlobalUnicast": lambda value: (
        not (
            _opaque(value, "net.IP").is_multicast
            or value.value.is_loopback
            or value.value.is_link_local
            or value.value.is_unspecified
        )
    ),
    "cidr": _cidr,
    "isCIDR": _is(_cidr),
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "prefixLength": lambda value: _opaque(value, "net.CIDR").network.prefixlen,
    "masked": lambda value: Opaque("net.CIDR", ipaddress.ip_interface(str(_opaque(value, "net.CIDR").network))),
    "url": _url,
    "isURL": _is(_url),
    "getScheme": _of_url(lambda parts: parts.scheme),
    "getHost": _of_url(lambda parts: parts.netloc.rpartition("@")[2]),
    "getHostname": _of_url(lambda parts: parts.hostname or ""),
    "getPort": _of_url(lambda parts: str(parts.port or "")),
    "getEscapedPath": _of_url(lambda parts: parts.path),
    "getQuery": _of_url(lambda parts: parse_qs(parts.query, keep_blank_values=True)),
    "semver": _semver,
    "isSemver": lambda *values: _is(lambda text: _semver(text, *values[1:]))(values[0]),
    "major": lambda value: _opaque(value, "kubernetes.Semver")[0],
    "minor": lambda value: _opaque(value, "kubernetes.Semver")[1],
    "patch": lambda value: _opaque(value, "kubernetes.Semver")[2],
    "format.named": _named,
    "validate": _validate,
    **{f"format.{name}": (lambda name=name: Opaque("kubernetes.NamedFormat", name)) for name in (*_NAMED, *_FORMATS)},
}
