"""Label and field selectors: parsed once, then a plain predicate.

Both follow Kubernetes' grammar: ``a=b``, ``a==b``, ``a!=b``, ``a in (b,c)``, ``a notin (b,c)``, ``a>1``, ``a<1``, ``a`` and
``!a`` for labels; ``=``, ``==`` and ``!=`` for fields, where a value may escape ``,``, ``=`` and a backslash with a backslash.
All must hold.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kedge import errors
from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.kinds import Kind, Obj

Predicate = Callable[[Obj], bool]

_SIGNS = "=!(),<>"
_TOKEN = re.compile(r"==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+")
_EXPECTED = "in, notin, =, ==, !=, gt, lt"
_OPERATORS = frozenset({"in", "notin", "=", "==", "!=", "<", ">"})
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_TERM = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL)
_ESCAPED = re.compile(r"\\[\\,=]")
# Fields that a selector knows by another name than the object, and what those are that an object need not have.
_PLACES = {"status.successful": "status.succeeded"}
_ABSENT = {"spec.hostNetwork": "false", "spec.unschedulable": "false", "status.successful": "0"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one key.

    Attributes:
        key: A label's key, or the path of a field.
        values: What its value may, or may not, be; ``None`` asks only whether it is there.
        negated: Whether the opposite must hold. A label that is absent fulfils every negated requirement.
        above: The value must be a whole number larger than this.
        below: The value must be a whole number smaller than this.
    """

    key: str
    values: frozenset[str] | None
    negated: bool = False
    above: int | None = None
    below: int | None = None

    def holds(self, value: str | None) -> bool:
        """Whether a value (``None``: absent) fulfils it."""
        if self.above is not None or self.below is not None:
            return value is not None and self._is_between(value)
        found = value is not None and (self.values is None or value in self.values)
        return found != self.negated

    def _is_between(self, value: str) -> bool:
        if not _WHOLE.fullmatch(value):
            return False
        return (self.above is None or int(value) > self.above) and (self.below is None or int(value) < self.below)


@functools.lru_cache(256)  # controllers list and watch by the same few again and again
def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Read a label selector.

    Raises:
        BadRequest: It cannot be read; says what stands where something else is expected.

    Examples:
        >>> parse_labels("app=web,!canary")[1]
        Requirement(key='canary', values=None, negated=True, above=None, below=None)
    """
    tokens = _Tokens(text)
    requirements: list[Requirement] = []
    while (sign := tokens.next) and (sign == "!" or _is_word(sign)):
        try:
            requirements.append(_requirement(tokens))
        except ValueError as error:
            raise errors.BadRequest(f"unable to parse requirement: {error}") from None
        if not (sign := tokens.take()):
            return tuple(requirements)
        if sign != ",":
            raise errors.BadRequest(f"found '{sign}', expected: ',' or 'end of string'")
        if tokens.next != "!" and not _is_word(tokens.next):
            raise errors.BadRequest(f"found '{tokens.next}', expected: identifier after ','")
    if sign:
        raise errors.BadRequest(f"found '{sign}', expected: !, identifier, or 'end of string'")
    return tuple(requirements)


class _Tokens:
    """The words and signs of a label selector.

    Args:
        text: The selector.

    Attributes:
        next: The one that comes; ``""`` at the end.
    """

    def __init__(self, text: str) -> None:
        self._left = iter(_TOKEN.findall(text))
        self.next: str = next(self._left, "")

    def take(self) -> str:
        """The one that comes, and go on."""
        taken, self.next = self.next, next(self._left, "")
        return taken


def _is_word(sign: str) -> bool:
    return sign != "" and sign[0] not in _SIGNS


def _requirement(tokens: _Tokens) -> Requirement:
    """The condition that comes.

    Raises:
        ValueError: It cannot be read.
    """
    sign = tokens.take()
    negated = sign == "!"
    key = tokens.take() if negated else sign
    if not _is_word(key):
        raise ValueError(f"found '{key}', expected: identifier")
    _require(faults.qualified("<nil>", key))
    if tokens.next in {"", ","}:
        return Requirement(key, None, negated)
    operator = tokens.take()
    if operator not in _OPERATORS:
        raise ValueError(f"found '{operator}', expected: {_EXPECTED}")
    values = _listed(tokens) if operator in {"in", "notin"} else (_exact(tokens),)
    if operator in {"<", ">"}:
        return _ordered(key, operator, *values)
    for index, value in enumerate(sorted({*values})):
        _require(faults.label_value(f"values[{index}][{key}]", value))
    return Requirement(key, frozenset(values), operator in {"!=", "notin"})


def _require(found: Iterable[Cause]) -> None:
    told = [f"{cause.field}: {cause.message}" for cause in found]
    if told:
        raise ValueError(told[0] if len(told) == 1 else f"[{', '.join(told)}]")


def _exact(tokens: _Tokens) -> str:
    if tokens.next in {"", ","}:
        return ""
    if not _is_word(value := tokens.take()):
        raise ValueError(f"found '{value}', expected: identifier")
    return value


def _listed(tokens: _Tokens) -> list[str]:
    """The values in parentheses; one that is left out is an empty one."""
    if (sign := tokens.take()) != "(":
        raise ValueError(f"found '{sign}' expected: '('")
    if tokens.next not in {")", ","} and not _is_word(tokens.next):
        raise ValueError(f"found '{tokens.next}', expected: ',', ')' or identifier")
    values = [_value_of_list(tokens)]
    while (sign := tokens.take()) == ",":
        values.append(_value_of_list(tokens))
    if sign != ")":
        raise ValueError(f"found '{sign}', expected: ',' or ')'")
    return values


def _value_of_list(tokens: _Tokens) -> str:
    if _is_word(tokens.next):
        return tokens.take()
    if tokens.next not in {")", ","}:
        raise ValueError(f"found '{tokens.next}', expected: ',', or identifier")
    return ""


def _ordered(key: str, operator: str, value: str) -> Requirement:
    if not _WHOLE.fullmatch(value):
        _require([faults.invalid("values[0]", value, "for 'Gt', 'Lt' operators, the value must be an integer")])
    _require(faults.label_value(f"values[0][{key}]", value))
    if operator == ">":
        return Requirement(key, None, above=int(value))
    return Requirement(key, None, below=int(value))


def parse_fields(text: str) -> tuple[Requirement, ...]:
    """Read a field selector.

    Args:
        text: Such as ``status.phase!=Succeeded,spec.nodeName=here``.

    Raises:
        BadRequest: It cannot be read.

    Examples:
        >>> parse_fields("status.phase!=Failed")
        (Requirement(key='status.phase', values=frozenset({'Failed'}), negated=True, above=None, below=None),)
    """
    requirements = list[Requirement]()
    for term in _split_unescaped(text):
        match = _TERM.fullmatch(term)
        if match is None:
            raise errors.BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")
        key, operator, value = match.groups()
        requirements.append(Requirement(key, frozenset((_unescaped(value),)), operator == "!="))
    return tuple(requirements)


def _unescaped(value: str) -> str:
    rest = _ESCAPED.sub("", value)
    if (at := rest.find("\\")) >= 0:
        raise errors.BadRequest(f"invalid field selector: invalid escape sequence: {rest[at : at + 2]}")
    if found := next((each for each in rest if each in ",="), ""):
        raise errors.BadRequest(f"invalid field selector: unescaped character in value: {ord(found)}")
    return _ESCAPED.sub(lambda match: match.group()[1], value)


def _split_unescaped(text: str) -> list[str]:
    return re.findall(r"(?:\\.|[^,\\]|\\$)+", text, re.DOTALL)


def label_predicate(requirements: Iterable[Requirement]) -> Predicate:
    """Whether an object's labels fulfil every requirement."""
    wanted = tuple(requirements)

    def matches(obj: Obj) -> bool:
        labels = obj.get("metadata", {}).get("labels") or {}
        return all(requirement.holds(labels.get(requirement.key)) for requirement in wanted)

    return matches


def place(path: str) -> str:
    """Where an object has the field of a selector.

    Examples:
        >>> place("status.successful"), place("status.phase")
        ('status.succeeded', 'status.phase')
    """
    return _PLACES.get(path, path)


def field_predicate(requirements: Iterable[Requirement]) -> Predicate:
    """Whether an object's fields fulfil every requirement; a text that is absent counts as ``""``."""
    wanted = tuple((tuple(place(each.key).split(".")), _ABSENT.get(each.key, ""), each) for each in requirements)

    def matches(obj: Obj) -> bool:
        return all(requirement.holds(_field(obj, path) or absent) for path, absent, requirement in wanted)

    return matches


def _field(obj: Obj, path: tuple[str, ...]) -> str:
    value: Any = obj
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, dict):  # ``source`` of an Event selects by its component
        return str(value.get("component") or "")
    return ""


def predicate(labels: str = "", fields: str = "", *, kind: Kind | None = None) -> Predicate | None:
    """Parse both selectors into one predicate, or ``None`` when everything matches.

    Args:
        labels: A label selector.
        fields: A field selector.
        kind: Of the objects, where fields that it cannot be selected by are to be refused.

    Raises:
        BadRequest: One of them cannot be read, or a field cannot be selected by.

    Examples:
        >>> matches = predicate("app=web", "status.phase!=Failed")
        >>> matches({"metadata": {"labels": {"app": "web"}}, "status": {"phase": "Running"}})
        True
        >>> predicate() is None
        True
    """
    by_label = parse_labels(labels)
    by_field = parse_fields(fields)
    if kind is not None:
        _require_selectable(kind, by_field)
    tests = [make(wanted) for make, wanted in ((label_predicate, by_label), (field_predicate, by_field)) if wanted]
    if len(tests) == 2:
        first, second = tests
        return lambda obj: first(obj) and second(obj)
    return tests[0] if tests else None


def _require_selectable(kind: Kind, requirements: Iterable[Requirement]) -> None:
    """Refuse fields that a kind cannot be selected by, in the words of those who know the kind on a real API server."""
    for each in requirements:
        if each.key in kind.field_selectors or each.key == "metadata.name":
            continue
        if each.key == "metadata.namespace" and (kind.namespaced or not kind.structural):
            continue
        if (kind.group, kind.kind) == ("batch", "Job"):
            raise errors.BadRequest(f'field label "{each.key}" not supported for Job')
        if kind.structural or kind.field_selectors:
            raise errors.BadRequest(f"field label not supported: {each.key}")
        raise errors.BadRequest(f'"{each.key}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def from_label_selector(selector: Mapping[str, Any] | None) -> tuple[Requirement, ...]:
    """Read a ``LabelSelector`` object, as ``spec.selector`` of a Job holds it; an empty one matches everything.

    Raises:
        BadRequest: An operator that does not exist.

    Examples:
        >>> from_label_selector({"matchLabels": {"app": "web"}})
        (Requirement(key='app', values=frozenset({'web'}), negated=False, above=None, below=None),)
    """
    selector = selector or {}
    found = [Requirement(key, frozenset((value,))) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator, key = expression.get("operator"), expression["key"]
        if operator in {"In", "NotIn"}:
            found.append(Requirement(key, frozenset(expression.get("values") or ()), operator == "NotIn"))
        elif operator in {"Exists", "DoesNotExist"}:
            found.append(Requirement(key, None, operator == "DoesNotExist"))
        else:
            raise errors.BadRequest(f"matchExpressions: operator must be In, NotIn, Exists or DoesNotExist, got {operator!r}.")
    return tuple(found)


def of_owner(owner: Obj) -> Mapping[str, Any] | None:
    """The selector of who keeps Pods, as a ``LabelSelector``; a ReplicationController's is nothing but labels.

    Examples:
        >>> of_owner({"spec": {"selector": {"app": "web"}}}), of_owner({"spec": {"selector": {"matchLabels": {"app": "web"}}}})
        ({'matchLabels': {'app': 'web'}}, {'matchLabels': {'app': 'web'}})
    """
    selector: Mapping[str, Any] | None = owner["spec"].get("selector")
    if selector and all(isinstance(value, str) for value in selector.values()):
        return {"matchLabels": selector}
    return selector


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """Write a ``LabelSelector`` object in the language of `parse_labels`, in the order of its keys.

    Examples:
        >>> selector_text({"matchLabels": {"b": "1", "a": "2"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]})
        'a=2,b=1,c'
    """
    selector = selector or {}
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(sorted(expression.get("values") or ()))
        words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
        parts.append((key, words[expression["operator"]]))
    return ",".join(text for _, text in sorted(parts))
