"""Which webhooks a write is for: their rules, selectors and conditions, as kube-apiserver reads them."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from kedge.errors import Forbidden
from kedge.kube.cel.evaluating import Budget, OutOfBudget, evaluate
from kedge.kube.cel.syntax import Node, parse
from kedge.kube.cel.values import EvaluationError
from kedge.kube.core import NAMESPACE
from kedge.kube.kinds import Kind, Obj
from kedge.kube.selectors import from_label_selector, label_predicate
from kedge.server.core import Core, Target, Write, key
from kedge.server.webhooks import reviews

_BUDGET = 200_000  # steps, for all conditions of one webhook


def matched(core: Core, hook: Obj, write: Write) -> Kind | None:
    """The kind as which a webhook is to be asked about a write; ``None`` where it is not meant.

    Args:
        core: Knows the namespaces and the other versions of a kind.
        hook: An entry of a configuration.
        write: What is about to happen.

    Raises:
        Forbidden: A condition cannot be evaluated, and the webhook's failure is to be the request's.
        NotFound: The namespace whose labels decide is not there.
    """
    if not _selected(hook.get("objectSelector"), write.new, write.old):
        return None
    kind = _kind(core, hook, write)
    if kind is None or not _in_namespace(core, hook, write):
        return None
    return kind if _meets(hook, write, kind) else None


def _kind(core: Core, hook: Obj, write: Write) -> Kind | None:
    rules: list[Obj] = hook.get("rules") or []
    kind = write.target.kind
    if any(_ruled(rule, write, kind) for rule in rules):
        return kind
    if hook.get("matchPolicy") == "Exact":
        return None
    others = list(_equivalents(core, kind))
    return next((other for rule in rules for other in others if _ruled(rule, write, other)), None)


def _equivalents(core: Core, kind: Kind) -> Iterator[Kind]:
    """The same objects under other versions: of those that users define there may be several."""
    if kind.structural:
        for other in core.registry:
            if (other.group, other.plural) == (kind.group, kind.plural) and other.version != kind.version:
                yield other


def _ruled(rule: Obj, write: Write, kind: Kind) -> bool:
    part = write.target.subresource
    return (
        _scoped(rule.get("scope") or "*", kind)
        and _listed(rule.get("operations"), write.operation)
        and _listed(rule.get("apiGroups"), kind.group)
        and _listed(rule.get("apiVersions"), kind.version)
        and any(_is_resource(each, kind.plural, part) for each in rule.get("resources") or ())
    )


def _scoped(scope: str, kind: Kind) -> bool:
    return scope == "*" or (scope == "Namespaced") == kind.namespaced


def _listed(items: Any, wanted: str) -> bool:
    return "*" in (items or ()) or wanted in (items or ())


def _is_resource(listed: str, plural: str, part: str) -> bool:
    name, _, sub = listed.partition("/")
    return name in {"*", plural} and sub in {"*", part}


def _selected(selector: Obj | None, *objects: Obj | None) -> bool:
    if not selector:
        return True
    fits = label_predicate(from_label_selector(selector))
    return any(obj is not None and "metadata" in obj and fits(obj) for obj in objects)  # options of connections have no labels


def _in_namespace(core: Core, hook: Obj, write: Write) -> bool:
    selector, target = hook.get("namespaceSelector"), write.target
    is_namespace = target.kind == NAMESPACE
    if not selector or not (is_namespace or target.kind.namespaced):
        return True
    if is_namespace and not target.subresource and write.new is not None:
        return _selected(selector, write.new)
    name = target.name if is_namespace else target.namespace or ""
    place = Target(NAMESPACE, name=name)
    return _selected(selector, core.load(core.find(place), NAMESPACE)) if core.store.get(key(place)) else _missing(core, place)


def _missing(core: Core, place: Target) -> bool:
    core.find(place)  # says that it is not there
    return False


@lru_cache(maxsize=1024)
def _read(expression: str) -> Node:
    return parse(expression)


def _meets(hook: Obj, write: Write, kind: Kind) -> bool:
    conditions: list[Obj] = hook.get("matchConditions") or []
    if not conditions:
        return True
    scope: Mapping[str, Any] = {
        "object": reviews.shown(write.new, write, kind),
        "oldObject": reviews.shown(write.old, write, kind),
        "namespaceObject": None,
        "request": reviews.request(write, kind),
    }
    failed, budget = list[str](), Budget(_BUDGET)
    for condition in conditions:
        text = condition["expression"].strip()
        try:
            found = evaluate(_read(text), scope, budget)
        except (EvaluationError, RecursionError) as error:
            failed.append(f"expression '{text}' resulted in error: {error}")
            continue
        except OutOfBudget:
            failed.append("validation failed due to running out of cost budget, no further validation rules will be run")
            break
        if found is False:
            return False
    if failed and hook.get("failurePolicy") != "Ignore":
        told = failed[0] if len(failed) == 1 else f"[{', '.join(failed)}]"
        raise Forbidden(f"{write.target} is forbidden: {told}")
    return not failed
