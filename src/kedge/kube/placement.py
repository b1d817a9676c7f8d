"""The rules of the fields that say where Pods may run: a node's taints, a Pod's affinity, tolerations and spread."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.kinds import Obj

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Equal", "Exists")
_NUMERIC = frozenset({"Gt", "Lt"})
_UNSATISFIED = ("DoNotSchedule", "ScheduleAnyway")
_POLICIES = ("Honor", "Ignore")
_NOT_AN_OPERATOR = "not a valid selector operator"
_PODS_OF_NODE = 'node updates may not change {} except from "" to valid'


def validate_node(node: Obj, old: Obj | None) -> list[Cause]:
    """Name each field of a Node that breaks a rule."""
    spec: Obj = node.setdefault("spec", {})
    found = list(_taint_faults(spec, "metadata.taints"))  # where a real API server says that they are
    before: Obj = (old or {}).get("spec") or {}
    for key, told in (("podCIDRs", "podCIDR"), ("providerID", "providerID")):
        if before.get(key) and before[key] != spec.get(key):
            found.append(faults.forbidden(f"spec.{key}", _PODS_OF_NODE.format(told)))
    for index, each in enumerate(spec.get("podCIDRs") or ()):
        if old is None and faults.network(each) is None:
            found.append(faults.invalid(f"spec.podCIDRs[{index}]", each, faults.CIDR_RULE))
    return found


def _taint_faults(spec: Obj, path: str) -> Iterator[Cause]:
    seen = set[tuple[Any, Any]]()
    for index, taint in faults.objects(spec.get("taints")):
        at, effect = f"{path}[{index}]", taint.get("effect")
        yield from faults.qualified(f"{at}.key", taint.get("key") or "")
        yield from faults.label_value(f"{at}.value", taint.get("value") or "")
        if not effect:
            yield faults.required(f"{at}.effect")
        yield from faults.one_of(taint, "effect", at, _EFFECTS) if effect else ()
        which = (taint.get("key"), effect)
        if which in seen:
            shown = {"Key": which[0], "Value": taint.get("value") or "", "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            told = faults.duplicate(at, shown)
            yield Cause(at, f"{told.message}: taints must be unique by key and effect pair", told.reason)
        seen.add(which)


def toleration_faults(spec: Obj, path: str) -> Iterator[Cause]:
    """What is wrong with the tolerations of a Pod."""
    for index, toleration in faults.objects(spec.get("tolerations")):
        at, key = f"{path}[{index}]", toleration.get("key") or ""
        operator, value, effect = (toleration.get(name) or "" for name in ("operator", "value", "effect"))
        if key:
            yield from faults.qualified(f"{at}.key", key)
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            yield faults.invalid(f"{at}.operator", operator, why)
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            yield faults.invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        if operator in {"", "Equal"}:
            yield from faults.label_value(f"{at}.operator", value)
        elif operator == "Exists":
            if value:
                yield faults.invalid(f"{at}.operator", value, "value must be empty when `operator` is 'Exists'")
        elif operator not in _NUMERIC:
            yield faults.unsupported(f"{at}.operator", operator, _OPERATORS)
        if effect:
            yield from faults.one_of(toleration, "effect", at, _EFFECTS)


def spread_faults(spec: Obj, path: str) -> Iterator[Cause]:
    """What is wrong with how a Pod shall be spread."""
    rules = [rule for _, rule in faults.objects(spec.get("topologySpreadConstraints"))]
    for index, rule in enumerate(rules):
        at = f"{path}[{index}]"
        key, action = rule.get("topologyKey") or "", rule.get("whenUnsatisfiable") or ""
        if (skew := rule.get("maxSkew") or 0) <= 0:
            yield faults.invalid(f"{at}.maxSkew", skew, "must be greater than zero")
        if not key:
            yield faults.required(f"{at}.topologyKey", "can not be empty")
        else:
            yield from faults.qualified(f"{at}.topologyKey", key)
        if action not in _UNSATISFIED:
            yield faults.unsupported(f"{at}.whenUnsatisfiable", action, _UNSATISFIED)
        if any((each.get("topologyKey"), each.get("whenUnsatisfiable")) == (key, action) for each in rules[index + 1 :]):
            yield faults.duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}")
        yield from _least_faults(rule.get("minDomains"), action, f"{at}.minDomains")
        for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            yield from faults.one_of(rule, policy, at, _POLICIES)
        yield from _key_faults(rule, "matchLabelKeys", at)
        yield from faults.selector(f"{at}.labelSelector", rule.get("labelSelector"))


def _least_faults(least: Any, action: str, at: str) -> Iterator[Cause]:
    if least is None:
        return
    if least <= 0:
        yield faults.invalid(at, least, "must be greater than zero")
    if action != "DoNotSchedule":
        why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        yield faults.invalid(at, least, why)


def _key_faults(holder: Obj, name: str, at: str) -> Iterator[Cause]:
    """The keys of labels whose values of the Pod itself are taken."""
    keys, selector = holder.get(name) or [], holder.get("labelSelector")
    if keys and selector is None:
        yield faults.forbidden(f"{at}.{name}", "must not be specified when labelSelector is not set")
        return
    named = {*((selector or {}).get("matchLabels") or {})}
    named |= {term.get("key") for _, term in faults.objects((selector or {}).get("matchExpressions"))}
    for index, key in enumerate(keys):
        yield from faults.qualified(f"{at}.{name}[{index}]", key)
        if name == "matchLabelKeys" and key in named:
            yield faults.invalid(f"{at}.{name}[{index}]", key, "exists in both matchLabelKeys and labelSelector")


# -- affinity -----------------------------------------------------------------------------------------------------------


def affinity_faults(spec: Obj, path: str) -> Iterator[Cause]:
    """What is wrong with the affinity of a Pod, to nodes and to other Pods."""
    affinity = spec.get("affinity") or {}
    nodes = affinity.get("nodeAffinity") or {}
    if (needed := nodes.get(REQUIRED)) is not None:
        yield from node_selector_faults(needed, f"{path}.nodeAffinity.{REQUIRED}")
    for index, term in faults.objects(nodes.get(PREFERRED)):
        at = f"{path}.nodeAffinity.{PREFERRED}[{index}]"
        yield from _weight_faults(term, at)
        yield from _node_term_faults(term.get("preference") or {}, f"{at}.preference", values=False)
    for kind in ("podAffinity", "podAntiAffinity"):
        pods = affinity.get(kind) or {}
        for index, term in faults.objects(pods.get(REQUIRED)):
            yield from _pod_term_faults(term, f"{path}.{kind}.{REQUIRED}[{index}]")
        for index, term in faults.objects(pods.get(PREFERRED)):
            at = f"{path}.{kind}.{PREFERRED}[{index}]"
            yield from _weight_faults(term, at)
            yield from _pod_term_faults(term.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")


def _weight_faults(term: Obj, at: str) -> Iterator[Cause]:
    if not 1 <= (weight := term.get("weight") or 0) <= 100:
        yield faults.invalid(f"{at}.weight", weight, "must be in the range 1-100")


def node_selector_faults(selector: Obj, path: str) -> Iterator[Cause]:
    """What is wrong with a NodeSelector."""
    if not selector.get("nodeSelectorTerms"):
        yield faults.required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in faults.objects(selector.get("nodeSelectorTerms")):
        yield from _node_term_faults(term, f"{path}.nodeSelectorTerms[{index}]", values=True)


def _node_term_faults(term: Obj, path: str, *, values: bool) -> Iterator[Cause]:
    for index, expression in faults.objects(term.get("matchExpressions")):
        yield from _expression_faults(expression, f"{path}.matchExpressions[{index}]", values=values)
    for index, expression in faults.objects(term.get("matchFields")):
        yield from _field_faults(expression, f"{path}.matchFields[{index}]")


def _expression_faults(expression: Obj, at: str, *, values: bool) -> Iterator[Cause]:
    operator, given = expression.get("operator") or "", expression.get("values") or []
    if operator in {"In", "NotIn"}:
        if not given:
            yield faults.required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in {"Exists", "DoesNotExist"}:
        if given:
            yield faults.forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in _NUMERIC:
        if len(given) != 1:
            yield faults.required(f"{at}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        yield faults.invalid(f"{at}.operator", operator, _NOT_AN_OPERATOR)
    yield from faults.qualified(f"{at}.key", expression.get("key") or "")
    for index, each in enumerate(given if values else ()):
        yield from faults.label_value(f"{at}.values[{index}]", each)


def _field_faults(expression: Obj, at: str) -> Iterator[Cause]:
    operator, given, key = expression.get("operator") or "", expression.get("values") or [], expression.get("key") or ""
    if operator not in {"In", "NotIn"}:
        yield faults.invalid(f"{at}.operator", operator, _NOT_AN_OPERATOR)
    elif len(given) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield faults.required(f"{at}.values", why)
    if key != "metadata.name":
        yield faults.invalid(f"{at}.key", key, "not a valid field selector key")
        return
    for index, each in enumerate(given):
        yield from faults.subdomain(f"{at}.values[{index}]", each)


def _pod_term_faults(term: Obj, at: str) -> Iterator[Cause]:
    for selector in ("labelSelector", "namespaceSelector"):
        yield from faults.selector(f"{at}.{selector}", term.get(selector))
    for name in term.get("namespaces") or ():
        yield from faults.label(f"{at}.namespace", name)
    for keys in ("matchLabelKeys", "mismatchLabelKeys"):
        yield from _key_faults(term, keys, at)
    if not (key := term.get("topologyKey") or ""):
        yield faults.required(f"{at}.topologyKey", "can not be empty")
    yield from faults.qualified(f"{at}.topologyKey", key)
