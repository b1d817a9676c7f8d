"""Faults in Kubernetes' own sentences: what is wrong with a value, so that who reads it reads the same on every host."""

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from kedge.errors import Cause
from kedge.kube.kinds import Obj

REQUIRED, FORBIDDEN, UNSUPPORTED = "FieldValueRequired", "FieldValueForbidden", "FieldValueNotSupported"
PROTOCOLS = ("SCTP", "TCP", "UDP")
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME_PART = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_IS_SERVICE_DOMAIN = re.compile(r"[a-z0-9_]([-_a-z0-9]*[a-z0-9])?(\.[a-z0-9_]([-_a-z0-9]*[a-z0-9])?)*")
_IS_LABEL, _IS_SUBDOMAIN, _IS_NAME_PART = re.compile(_LABEL), re.compile(_SUBDOMAIN), re.compile(_NAME_PART)
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    f"alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
DNS_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end "
    "with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with "
    f"an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case "
    "alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation "
    rf"is '\*\.{_SUBDOMAIN}')"
)
_NAME_PART_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME_PART}')"
)
_LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
    f"an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '({_NAME_PART})?')"
)
_QUALIFIED_RULE = f"a qualified name {_NAME_PART_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
_PERCENT = re.compile("[0-9]+%")
PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation "
    "is '[0-9]+%')"
)
NOT_NEGATIVE = "must be greater than or equal to 0"
MAX_INT32 = 2**31 - 1
PORT_RULE = "must be between 1 and 65535, inclusive"
ADDRESS_RULE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_LINK_LOCAL_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))
CIDR_RULE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def shown(value: Any) -> str:
    """A value as messages show it: JSON as Go writes it.

    Examples:
        >>> shown(["a", 1])
        '["a",1]'
        >>> shown({"a": 1.0})
        '{"a":1}'
    """
    text = json.dumps(_whole(value), separators=(",", ":"), ensure_ascii=False)
    if isinstance(value, (dict, list)):
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text


def number(value: float) -> str:
    """A number as messages show it.

    Examples:
        >>> number(10.0), number(0.25)
        ('10', '0.25')
    """
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e21 else repr(value)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list) else value


def invalid(field: str, value: Any, why: str = "") -> Cause:
    """A value that breaks a rule.

    Examples:
        >>> invalid("spec.port", 0, PORT_RULE).message
        'Invalid value: 0: must be between 1 and 65535, inclusive'
    """
    return Cause(field, f"Invalid value: {shown(value)}: {why}" if why else f"Invalid value: {shown(value)}")


def unmet(field: str, why: str) -> Cause:
    """A rule that is not met by a value that is not told."""
    return Cause(field, f"Invalid value: {why}")


def of_type(field: str, value: Any, why: str) -> Cause:
    """A value of the wrong type."""
    return Cause(field, f"Invalid value: {shown(value)}: {why}", "FieldValueTypeInvalid")


def required(field: str, why: str = "") -> Cause:
    """A value that is missing."""
    return Cause(field, f"Required value: {why}" if why else "Required value", REQUIRED)


def forbidden(field: str, why: str) -> Cause:
    """A value that may not stand there."""
    return Cause(field, f"Forbidden: {why}", FORBIDDEN)


def duplicate(field: str, value: Any) -> Cause:
    """A value that stands somewhere else already."""
    return Cause(field, f"Duplicate value: {shown(value)}", "FieldValueDuplicate")


def not_found(field: str, value: Any) -> Cause:
    """A value that names what is not there."""
    return Cause(field, f"Not found: {shown(value)}", "FieldValueNotFound")


def unsupported(field: str, value: Any, supported: Iterable[Any]) -> Cause:
    """A value that is none of those there are."""
    listed = ", ".join(shown(each if isinstance(each, str) else shown(each)) for each in supported)
    return Cause(field, f"Unsupported value: {shown(value)}: supported values: {listed}", UNSUPPORTED)


def too_long(field: str, limit: int) -> Cause:
    """A text over its limit, in bytes."""
    return Cause(field, f"Too long: may not be more than {limit} bytes", "FieldValueTooLong")


def too_many(field: str, count: int, limit: int) -> Cause:
    """A list or map over its limit."""
    return Cause(field, f"Too many: {count}: must have at most {limit} items", "FieldValueTooMany")


def not_negative(owner: Obj, path: str, *keys: str) -> Iterator[Cause]:
    """The faults of numbers that may not be negative."""
    for key in keys:
        if isinstance(value := owner.get(key), int) and value < 0:
            yield invalid(f"{path}.{key}" if path else key, value, NOT_NEGATIVE)


def between(field: str, value: Any, least: int, most: int = MAX_INT32) -> Iterator[Cause]:
    """The fault of a number that must lie between two; a missing one is right."""
    if isinstance(value, int) and not least <= value <= most:
        yield invalid(field, value, f"must be between {least} and {most}, inclusive")


def one_of(obj: Obj, key: str, field: str, supported: Sequence[str]) -> Iterator[Cause]:
    """The fault of a text that must be one of a few; a missing one is right."""
    if (value := obj.get(key)) is not None and value not in supported:
        yield unsupported(f"{field}.{key}" if field else key, value, supported)


def label(field: str, value: str) -> Iterator[Cause]:
    """The faults of a text that must be a DNS label."""
    if len(value) > 63:
        yield invalid(field, value, "must be no more than 63 characters")
    if not _IS_LABEL.fullmatch(value):
        yield invalid(field, value, "must not contain dots" if _IS_SUBDOMAIN.fullmatch(value) else LABEL_RULE)


def subdomain(field: str, value: str, *, wildcard: bool = False, underscores: bool = False) -> Iterator[Cause]:
    """The fault of a text that must be a DNS subdomain.

    Args:
        field: Where it stands.
        value: The text.
        wildcard: Whether it may begin with ``*.``.
        underscores: Whether it may have underscores, as domains that are searched may.
    """
    if underscores and _IS_SERVICE_DOMAIN.fullmatch(value):
        return
    if wildcard and "*" in value:
        if not (value.startswith("*.") and _IS_SUBDOMAIN.fullmatch(value[2:])):
            yield invalid(field, value, _WILDCARD_RULE)
    elif not _IS_SUBDOMAIN.fullmatch(value):
        yield invalid(field, value, _SUBDOMAIN_RULE)
    elif len(value) > 253:
        yield invalid(field, value, "must be no more than 253 characters")


def qualified(field: str, value: str) -> Iterator[Cause]:
    """The faults of a text that must be a name with, or without, a domain before it."""
    prefix, slash, name = value.partition("/")
    if "/" in name:
        yield invalid(field, value, _QUALIFIED_RULE)
        return
    if not slash:
        prefix, name = "", prefix
    elif not prefix:
        yield invalid(field, value, "prefix part must be non-empty")
    elif not _IS_SUBDOMAIN.fullmatch(prefix):
        yield invalid(field, value, f"prefix part {_SUBDOMAIN_RULE}")
    if not name:
        yield invalid(field, value, "name part must be non-empty")
    elif len(name) > 63:
        yield invalid(field, value, "name part must be no more than 63 bytes")
    if not _IS_NAME_PART.fullmatch(name):
        yield invalid(field, value, f"name part {_NAME_PART_RULE}")


def label_value(field: str, value: str) -> Iterator[Cause]:
    """The faults of a text that must be the value of a label."""
    if len(value) > 63:
        yield invalid(field, value, "must be no more than 63 bytes")
    if value and not _IS_NAME_PART.fullmatch(value):
        yield invalid(field, value, _LABEL_VALUE_RULE)


def annotations(field: str, values: Obj | None) -> Iterator[Cause]:
    """The faults of a map of annotations."""
    for key in values or {}:
        for cause in qualified(field, key.lower()):
            yield replace(cause, message=cause.message.replace(shown(key.lower()), shown(key), 1))


def labels(field: str, values: Obj | None) -> Iterator[Cause]:
    """The faults of a map of labels, such as a selector's."""
    for key, value in (values or {}).items():
        yield from qualified(field, key)
        yield from label_value(field, value or "")


def selector(field: str, value: Obj | None) -> Iterator[Cause]:
    """The faults of a LabelSelector."""
    given = value or {}
    yield from labels(f"{field}.matchLabels", given.get("matchLabels"))
    for index, term in enumerate(given.get("matchExpressions") or ()):
        at, operator, values = f"{field}.matchExpressions[{index}]", term.get("operator"), term.get("values") or []
        if operator in {"In", "NotIn"}:
            if not values:
                yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in {"Exists", "DoesNotExist"}:
            if values:
                yield forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        else:
            yield invalid(f"{at}.operator", operator or "", "not a valid selector operator")
        yield from qualified(f"{at}.key", term.get("key") or "")
        for place, each in enumerate(values):
            yield from label_value(f"{at}.values[{place}]", each)


def no_backsteps(field: str, path: str) -> Iterator[Cause]:
    """The fault of a path that may not lead upwards."""
    if ".." in path.split("/"):
        yield invalid(field, path, "must not contain '..'")


def descending(field: str, path: str) -> Iterator[Cause]:
    """The faults of a path that must stay inside."""
    if path.startswith("/"):
        yield invalid(field, path, "must be a relative path")
    yield from no_backsteps(field, path)


def port(field: str, value: Any) -> Iterator[Cause]:
    """The fault of a number that must be a port's."""
    if not isinstance(value, int) or not 1 <= value <= 65535:
        yield invalid(field, value or 0, PORT_RULE)


def port_name(field: str, value: str) -> Iterator[Cause]:
    """The faults of the name of a container's port (IANA's service names)."""
    if len(value) > 15:
        yield invalid(field, value, "must be no more than 15 characters")
    if not re.fullmatch("[-a-z0-9]+", value):
        yield invalid(field, value, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        yield invalid(field, value, "must contain at least one letter (a-z)")
    if "--" in value:
        yield invalid(field, value, "must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        yield invalid(field, value, "must not begin or end with a hyphen")


def number_or_percent(field: str, value: Any, *, most: int = 100) -> Iterator[Cause]:
    """The fault of what must be a number or a percentage; with ``most`` the highest of percentages, 0 for none."""
    if not isinstance(value, str):
        if value < 0:
            yield invalid(field, value, NOT_NEGATIVE)
    elif not _PERCENT.fullmatch(value):
        yield invalid(field, value, PERCENT_RULE)
    elif most and int(value[:-1]) > most:
        yield invalid(field, value, f"must not be greater than {most}%")


def port_or_name(field: str, value: Any) -> Iterator[Cause]:
    """The faults of what is a port's number or its name."""
    yield from port_name(field, value) if isinstance(value, str) else port(field, value)


def address(field: str, value: Any) -> Iterator[Cause]:
    """The fault of a text that must be an IP address."""
    if not is_address(value):
        yield invalid(field, value, ADDRESS_RULE)


def reachable(field: str, address: Any, *, here: bool = False) -> Iterator[Cause]:
    """The faults of an IP address to which others are led.

    Args:
        field: Where it stands.
        address: The address.
        here: Whether it may be this machine's loopback.
    """
    if not is_address(address):
        yield invalid(field, address, ADDRESS_RULE)
        return
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified:
        yield invalid(field, address, f"may not be unspecified ({address})")
    if parsed.is_loopback and not here:
        yield invalid(field, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if parsed.is_link_local:
        yield invalid(field, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if any(parsed.version == each.version and parsed in each for each in _LINK_LOCAL_MULTICAST):
        yield invalid(field, address, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def is_address(value: Any) -> bool:
    """Whether a text is an IP address.

    Examples:
        >>> is_address("10.0.0.1"), is_address("x")
        (True, False)
    """
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return isinstance(value, str)


def network(value: Any) -> "ipaddress.IPv4Network | ipaddress.IPv6Network | None":
    """The network that a text names; ``None`` where it names none."""
    if not isinstance(value, str) or "/" not in value:
        return None
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


def objects(items: Any) -> Iterator[tuple[int, Obj]]:
    """The objects of a list, with their places."""
    found: list[Any] = items if isinstance(items, list) else []
    for index, item in enumerate(found):
        yield index, item if isinstance(item, dict) else {}
