"""Label and field selectors: parsed once, then a plain predicate.

Both follow Kubernetes' grammar: ``a=b``, ``a==b``, ``a!=b``, ``a in (b,c)``, ``a notin (b,c)``, ``a`` and ``!a`` for labels;
``=``, ``==`` and ``!=`` for fields, where a value may escape ``,``, ``=`` and a backslash with a backslash. All must hold.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kedge import errors
from kedge.kube import names
from kedge.kube.kinds import Obj

Predicate = Callable[[Obj], bool]

_SET = re.compile(r"(?P<key>[^\s!=,()]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUAL = re.compile(r"(?P<key>[^\s!=,()]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s!=,()]*)")
_EXISTS = re.compile(r"(?P<absent>!)?\s*(?P<key>[^\s!=,()]+)")
_ALWAYS_FIELDS = ("metadata.name", "metadata.namespace")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one key.

    Attributes:
        key: A label's key, or the path of a field.
        values: What its value may, or may not, be; ``None`` asks only whether it is there.
        negated: Whether the opposite must hold. A label that is absent fulfils every negated requirement.
    """

    key: str
    values: frozenset[str] | None
    negated: bool = False

    def holds(self, value: str | None) -> bool:
        """Whether a value (``None``: absent) fulfils it."""
        found = value is not None and (self.values is None or value in self.values)
        return found != self.negated


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Read a label selector.

    Raises:
        BadRequest: It cannot be read; says where.

    Examples:
        >>> parse_labels("app=web,!canary")[1]
        Requirement(key='canary', values=None, negated=True)
    """
    requirements = list[Requirement]()
    position, end = 0, len(text)
    while position < end and text[position:].strip():
        while position < end and text[position].isspace():
            position += 1
        match = _SET.match(text, position) or _EQUAL.match(text, position) or _EXISTS.match(text, position)
        if match is None:
            raise _unreadable("label", text, text[position:])
        requirements.append(_label_requirement(match, text))
        position = match.end()
        while position < end and text[position].isspace():
            position += 1
        if position < end:
            if text[position] != "," or not text[position + 1 :].strip():
                raise _unreadable("label", text, text[position:])
            position += 1
    return tuple(requirements)


def _label_requirement(match: re.Match[str], text: str) -> Requirement:
    parts = match.groupdict()
    key: str = parts["key"]
    operator: str = parts.get("operator") or ""
    if operator in {"in", "notin"}:
        requirement = Requirement(key, frozenset(value.strip() for value in parts["values"].split(",")), operator == "notin")
    elif operator:
        requirement = Requirement(key, frozenset((parts["value"],)), operator == "!=")
    else:
        requirement = Requirement(key, None, bool(parts.get("absent")))
    faults = [names.qualified_fault(key), *(names.label_value_fault(value) for value in requirement.values or ())]
    if fault := next(filter(None, faults), ""):
        raise errors.BadRequest(f"label selector {text!r}: {key!r}: {fault}.")
    return requirement


def _unreadable(what: str, text: str, rest: str) -> errors.BadRequest:
    return errors.BadRequest(f"{what} selector {text!r}: cannot be read at {rest!r}. Write it like 'app=web,tier in (a,b),!old'.")


def parse_fields(text: str, allowed: Iterable[str] | None = None) -> tuple[Requirement, ...]:
    """Read a field selector.

    Args:
        text: Such as ``status.phase!=Succeeded,spec.nodeName=here``.
        allowed: The paths that may be used besides name and namespace; ``None`` for any.

    Raises:
        BadRequest: It cannot be read, or uses a field that the kind cannot be selected by.

    Examples:
        >>> parse_fields("status.phase!=Failed")
        (Requirement(key='status.phase', values=frozenset({'Failed'}), negated=True),)
    """
    requirements = list[Requirement]()
    for term in _split_unescaped(text):
        if not term.strip():
            continue
        match = re.match(r"([^!=\\]+)(==|=|!=)(.*)", term.strip(), re.DOTALL)
        if match is None:
            raise errors.BadRequest(f"field selector {text!r}: cannot be read at {term!r}. Write it like 'status.phase!=Failed'.")
        key, operator, value = match.groups()
        requirements.append(Requirement(key, frozenset((re.sub(r"\\([\\,=])", r"\1", value),)), operator == "!="))
    known = None if allowed is None else {*_ALWAYS_FIELDS, *allowed}
    for requirement in requirements:
        if known is not None and requirement.key not in known:
            usable = ", ".join(sorted(known))
            raise errors.BadRequest(f"field label not supported: {requirement.key}. A selector of this kind may use {usable}.")
    return tuple(requirements)


def _split_unescaped(text: str) -> list[str]:
    return re.findall(r"(?:\\.|[^,\\])+", text, re.DOTALL)


def label_predicate(requirements: Iterable[Requirement]) -> Predicate:
    """Whether an object's labels fulfil every requirement."""
    wanted = tuple(requirements)

    def matches(obj: Obj) -> bool:
        labels = obj.get("metadata", {}).get("labels") or {}
        return all(requirement.holds(labels.get(requirement.key)) for requirement in wanted)

    return matches


def field_predicate(requirements: Iterable[Requirement]) -> Predicate:
    """Whether an object's fields fulfil every requirement; a field that is absent counts as ``""``."""
    wanted = tuple((tuple(requirement.key.split(".")), requirement) for requirement in requirements)

    def matches(obj: Obj) -> bool:
        return all(requirement.holds(_field(obj, path)) for path, requirement in wanted)

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


def predicate(labels: str = "", fields: str = "", *, allowed_fields: Iterable[str] | None = None) -> Predicate | None:
    """Parse both selectors into one predicate, or ``None`` when everything matches.

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
    by_field = parse_fields(fields, allowed_fields)
    tests = [make(wanted) for make, wanted in ((label_predicate, by_label), (field_predicate, by_field)) if wanted]
    if len(tests) == 2:
        first, second = tests
        return lambda obj: first(obj) and second(obj)
    return tests[0] if tests else None


def from_label_selector(selector: Mapping[str, Any] | None) -> tuple[Requirement, ...]:
    """Read a ``LabelSelector`` object, as ``spec.selector`` of a Job holds it; an empty one matches everything.

    Raises:
        BadRequest: An operator that does not exist.

    Examples:
        >>> from_label_selector({"matchLabels": {"app": "web"}})
        (Requirement(key='app', values=frozenset({'web'}), negated=False),)
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
