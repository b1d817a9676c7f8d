"""Rules in CEL: checked when a definition is made, and kept by its objects, with kube-apiserver's words, paths and reasons."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from kedge.errors import Cause
from kedge.kube.cel.checking import check
from kedge.kube.cel.costs import UNKNOWN, estimated
from kedge.kube.cel.evaluating import PER_RULE, Budget, OutOfBudget, evaluate
from kedge.kube.cel.syntax import CelError, Node, parse
from kedge.kube.cel.types import Kind, optional_of, type_of
from kedge.kube.cel.values import EvaluationError, Optional
from kedge.kube.faults import forbidden, invalid, required, shown, unmet, unsupported
from kedge.kube.json_patch import same
from kedge.kube.kinds import Obj
from kedge.kube.structural import cel
from kedge.kube.structural.budgets import Tally, repeated
from kedge.kube.structural.values import NOTHING, Schema, before, child

RULES = "x-kubernetes-validations"
PER_OBJECT = 5 * PER_RULE
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\['((?:[^'\\]|\\.)+)'\]")


@lru_cache(maxsize=4096)
def _read(text: str) -> Node:
    return parse(text)


def _names(node: Node) -> Iterator[str]:
    if node.kind == "name":
        yield str(node.value)
    for each in node.parts:
        yield from _names(each)


# --- of a definition --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counted:
    """What the rules of a part are counted for.

    Attributes:
        tally: All of the version.
        times: How many such parts an object may have; ``None`` where nothing says.
    """

    tally: Tally = field(default_factory=Tally)
    times: int | None = 1


def faults(
    schema: Schema, path: str, unknown: str = "", counted: Counted | None = None, *, root: bool = False
) -> Iterator[Cause]:
    """What is wrong with the rules of one part of a schema.

    Args:
        schema: The part.
        path: Where it stands.
        unknown: The list above whose items nobody knows again, for they have no keys; ``""`` without one.
        counted: What their costs are counted for.
        root: Whether it is the object itself.
    """
    kind: Kind | None = None
    for index, rule in enumerate(schema.get(RULES) or ()):
        place = f"{path}.{RULES}[{index}]"
        yield from _words(rule, schema, place)
        if rule.get("rule", "").strip():
            kind = kind or type_of(schema, root=root)
            yield from _meaning(rule, kind, place, unknown)
            yield from _cost(rule, kind, place, counted or Counted())
        else:
            yield required(f"{place}.rule", "rule is not specified")


def _words(rule: Obj, schema: Schema, place: str) -> Iterator[Cause]:
    message, reason, path = rule.get("message"), rule.get("reason"), rule.get("fieldPath")
    if message and not message.strip():
        yield invalid(f"{place}.message", message, "must be non-empty if specified")
    elif message and "\n" in message.strip():
        yield invalid(f"{place}.message", message, "must not contain line breaks")
    elif not message and "\n" in rule.get("rule", "").strip():
        yield required(f"{place}.message", "message must be specified if rule contains line breaks")
    if reason is not None and reason not in _REASONS:
        yield unsupported(f"{place}.reason", reason, _REASONS)
    if path and _path(path, schema) is None:
        yield invalid(f"{place}.fieldPath", path, "must be a valid path")


def _meaning(rule: Obj, kind: Kind, place: str, unknown: str) -> Iterator[Cause]:
    text, told, optional = rule["rule"], _internal(rule), bool(rule.get("optionalOldSelf"))
    names = {"self": kind, "oldSelf": optional_of(kind) if optional else kind}
    why = _compiled(text, names, "bool", ("compilation failed: ", "cel expression must evaluate to a bool"))
    if why:
        yield invalid(f"{place}.rule", told, why)
        return
    uses_old = "oldSelf" in set(_names(_read(text)))
    if uses_old and unknown:
        why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {unknown}"
        yield invalid(f"{place}.rule", text, why)
    if rule.get("optionalOldSelf") is not None and not uses_old:
        yield invalid(f"{place}.optionalOldSelf", rule["optionalOldSelf"], "may not be set if oldSelf is not used in rule")
    if expression := rule.get("messageExpression"):
        words = ("messageExpression compilation failed: ", "messageExpression must evaluate to a string")
        if why := _compiled(expression, names, "string", words):
            yield invalid(f"{place}.messageExpression", told, why)


def _cost(rule: Obj, kind: Kind, place: str, counted: Counted) -> Iterator[Cause]:
    """What a rule and its message may cost, where they can be used."""
    names = {"self": kind, "oldSelf": optional_of(kind) if rule.get("optionalOldSelf") else kind}
    if (cost := _estimate(rule["rule"], "bool", kind, names)) is not None:
        times = repeated(cost, counted.times, kind)
        yield from counted.tally.add(f"{place}.rule", times, "estimated rule cost")
    message = rule.get("messageExpression")
    if message and (cost := _estimate(message, "string", kind, names)) is not None:
        yield from counted.tally.add(f"{place}.messageExpression", cost, "estimated messageExpression cost")


def _estimate(text: str, wanted: str, kind: Kind, names: Mapping[str, Kind]) -> int | None:
    if _compiled(text, names, wanted, ("-", "-")):
        return None
    try:
        return estimated(_read(text), kind, names)
    except RecursionError:
        return UNKNOWN


def _compiled(text: str, names: Mapping[str, Kind], wanted: str, words: tuple[str, str]) -> str:
    """Why an expression cannot be used; ``""`` where it can."""
    try:
        found = check(_read(text), names)
    except CelError as error:
        return words[0] + error.told(text)
    except RecursionError:
        return words[0] + "the expression is nested too deeply"
    return "" if found.name in {wanted, "dyn"} else words[1]


def _internal(rule: Obj) -> Obj:
    """A rule as kube-apiserver writes it into a message."""
    return {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }


def _path(text: str, schema: Schema) -> str | None:
    """A rule's ``fieldPath`` as it stands in messages; ``None`` for one that leads nowhere."""
    at, told, part = 0, "", schema
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            return None
        key = found[1] or found[2].replace("\\'", "'")
        properties, extra = part.get("properties") or {}, part.get("additionalProperties")
        if key in properties:
            part, told = properties[key], f"{told}.{key}"
        elif isinstance(extra, Mapping):
            part, told = extra, f"{told}[{key}]"
        else:
            return None
        at = found.end()
    return told


# --- of an object -----------------------------------------------------------------------------------------------------------


def broken(schema: Schema, value: Any, old: Any = NOTHING) -> list[Cause]:
    """The rules that an object breaks.

    Args:
        schema: Of the whole object.
        value: The object; of the right types.
        old: As it was.
    """
    return _Keeping().all(schema, value, old)


class _Keeping:
    """Looks at one object, within a budget for all of its rules."""

    def __init__(self) -> None:
        self._budget = Budget(PER_OBJECT)
        self._found = list[Cause]()

    def all(self, schema: Schema, value: Any, old: Any) -> list[Cause]:
        try:
            self._part(schema, value, "", old, root=True)
        except OutOfBudget:
            why = "validation failed due to running out of cost budget, no further validation rules will be run"
            self._found.append(unmet("", why))
        return self._found

    def _part(self, schema: Schema, value: Any, path: str, old: Any, *, root: bool = False) -> None:
        if value is None:
            return
        if rules := schema.get(RULES):
            self._rules(rules, (schema, value, old), path, root=root)
        if isinstance(value, dict):
            properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
            was: Any = old if isinstance(old, dict) else {}
            for key, each in value.items():
                inner = properties.get(key, extra)
                if isinstance(inner, Mapping):
                    place = child(path, key) if key in properties else f"{path}[{key}]"
                    self._part(inner, each, place, was.get(key, NOTHING))
        elif isinstance(value, list) and isinstance(items := schema.get("items"), Mapping):
            for index, item in enumerate(value):
                self._part(items, item, f"{path}[{index}]", before(schema, old, item))

    def _rules(self, rules: list[Obj], values: tuple[Schema, Any, Any], path: str, *, root: bool) -> None:
        schema, value, old = values
        now = cel.value(schema, value, root=root)
        then = NOTHING if old is NOTHING else cel.value(schema, old, root=root)
        unchanged = old is not NOTHING and same(old, value)
        for rule in rules:
            uses_old = "oldSelf" in set(_names(_read(rule["rule"])))
            optional = bool(rule.get("optionalOldSelf"))
            if (uses_old and not optional and then is NOTHING) or (unchanged and not uses_old):
                continue
            scope = {"self": now}
            if uses_old:
                scope["oldSelf"] = Optional(() if then is NOTHING else (then,)) if optional else then
            self._one(rule, scope, (schema, value), path)

    def _one(self, rule: Obj, scope: Mapping[str, Any], of: tuple[Schema, Any], path: str) -> None:
        text = rule["rule"]
        told = rule.get("message") or text.strip()
        try:
            if self._spend(lambda budget: evaluate(_read(text), scope, budget)) is True:
                return
        except EvaluationError as error:
            why = f"{error} evaluating rule: {told}"
            if str(error) == "no such overload":
                why = (
                    f"'{error}': call arguments did not match a supported operator, function or macro signature for rule: {told}"
                )
            self._found.append(_refused(path, of[1], why))
            return
        except RecursionError:
            self._found.append(_refused(path, of[1], f"nested too deeply evaluating rule: {told}"))
            return
        place = path + (_path(rule["fieldPath"], of[0]) or "" if rule.get("fieldPath") else "")
        why = self._message(rule, scope) or rule.get("message") or f"failed rule: {text.strip()}"
        self._found.append(_reasoned(rule.get("reason"), place.removeprefix("."), of[1], why))

    def _message(self, rule: Obj, scope: Mapping[str, Any]) -> str:
        """What the rule's expression says; ``""`` where that is nothing that can be shown."""
        if not (expression := rule.get("messageExpression")):
            return ""
        try:
            found = self._spend(lambda budget: evaluate(_read(expression), scope, budget))
        except (EvaluationError, RecursionError):
            return ""
        return found.strip() if isinstance(found, str) and "\n" not in found.strip() else ""

    def _spend(self, use: Callable[[Budget], Any]) -> Any:
        budget = Budget(min(PER_RULE, self._budget.left))
        before_use = budget.left
        try:
            return use(budget)
        finally:
            self._budget.left -= before_use - max(budget.left, 0)


def _refused(path: str, value: Any, why: str) -> Cause:
    told = "" if isinstance(value, (dict, list)) else f"{shown(value)}: "
    return Cause(path, f"Invalid value: {told}{why}", "FieldValueInvalid")


def _reasoned(reason: str | None, path: str, value: Any, why: str) -> Cause:
    if reason == "FieldValueForbidden":
        return forbidden(path, why)
    if reason == "FieldValueRequired":
        return required(path, why)
    if reason == "FieldValueDuplicate":
        return Cause(path, f"Duplicate value: {shown(value)}", reason)
    return _refused(path, value, why)
