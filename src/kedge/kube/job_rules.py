"""The rules of a Job, in the words of a real API server: what it may say, and what of it may change."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults, indexes, names, selectors
from kedge.kube.faults import invalid, required, unmet, unsupported
from kedge.kube.kinds import Obj
from kedge.kube.templates import template_faults

MANAGER = "kubernetes.io/job-controller"
UID_LABEL = "batch.kubernetes.io/controller-uid"
_MAX_PARALLELISM = 100_000
_MAX_RULES = 20
_MAX_VALUES = 255
_MODES = ("NonIndexed", "Indexed")
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_TRUTHS = ("False", "True", "Unknown")
_IMMUTABLE = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
# What of a suspended Job's template may change: where its Pods may run, and what they ask for.
_SCHEDULING = ("nodeSelector", "tolerations", "affinity", "schedulingGates")
_OWN_LABELS = frozenset({UID_LABEL, "controller-uid"})


def whole_numbers(spec: Obj, path: str, keys: tuple[str, ...]) -> Iterator[Cause]:
    """Numbers that are below zero, or more than 32 bits hold."""
    for key in keys:
        yield from faults.not_negative(spec, path, key)
        value = spec.get(key)
        if isinstance(value, int) and value > faults.MAX_INT32 and key != "activeDeadlineSeconds":
            yield invalid(f"{path}.{key}", value, f"must be less than or equal to {faults.MAX_INT32}")


def validate_job(job: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule; for a change, also each field that may not change."""
    spec: Obj = job.get("spec") or {}
    if old is not None and spec == old.get("spec"):
        return list(_status_faults(job, old))
    causes = list(job_faults(spec, "spec"))
    causes += _selector_faults(job, spec)
    if old is None:
        causes += _name_faults(job, spec)
    else:
        causes += _change_faults(spec, old)
    return causes


def job_faults(spec: Obj, path: str) -> Iterator[Cause]:
    """What is wrong with the spec of a Job, or of a template of Jobs, but for its selector.

    Args:
        spec: The spec.
        path: Where it stands.
    """
    numbers = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
    yield from whole_numbers(spec, path, (*numbers, "backoffLimitPerIndex", "maxFailedIndexes"))
    yield from _index_faults(spec, path)
    yield from _manager_faults(spec, path)
    yield from _failure_policy_faults(spec, f"{path}.podFailurePolicy")
    yield from _success_policy_faults(spec, f"{path}.successPolicy")
    replacements = ("Failed",) if spec.get("podFailurePolicy") else ("Failed", "TerminatingOrFailed")
    if (replacement := spec.get("podReplacementPolicy")) not in {None, *replacements}:
        yield unsupported(f"{path}.podReplacementPolicy", replacement, replacements)
    template: Obj = spec.get("template") or {}
    yield from template_faults(template, f"{path}.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in {"OnFailure", "Never"}:
        yield required(f"{path}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif spec.get("podFailurePolicy") and policy != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        yield invalid(f"{path}.template.spec.restartPolicy", policy, why)


def _index_faults(spec: Obj, path: str) -> Iterator[Cause]:
    mode, completions = spec.get("completionMode"), spec.get("completions")
    parallelism, limit = spec.get("parallelism"), spec.get("backoffLimitPerIndex")
    most = spec.get("maxFailedIndexes")
    if mode not in {None, *_MODES}:
        yield unsupported(f"{path}.completionMode", mode, _MODES)
    if mode == "Indexed":
        if completions is None:
            yield required(f"{path}.completions", "when completion mode is Indexed")
        if isinstance(parallelism, int) and parallelism > _MAX_PARALLELISM:
            why = f"must be less than or equal to {_MAX_PARALLELISM} when completion mode is Indexed"
            yield invalid(f"{path}.parallelism", parallelism, why)
        if isinstance(most, int) and isinstance(completions, int) and most > completions:
            yield invalid(f"{path}.maxFailedIndexes", most, "must be less than or equal to completions")
    elif limit is not None:
        yield invalid(f"{path}.backoffLimitPerIndex", limit, "requires indexed completion mode")
    if most is not None and limit is None:
        yield required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")


def _manager_faults(spec: Obj, path: str) -> Iterator[Cause]:
    manager = spec.get("managedBy")
    if manager is None:
        return
    prefix, slash, name = str(manager).partition("/")
    if not slash or not name or names.subdomain_fault(prefix):
        yield invalid(f"{path}.managedBy", manager, 'must be a domain-prefixed path (such as "acme.io/foo")')
    if len(manager) > 63:
        yield faults.too_long(f"{path}.managedBy", 63)


def _failure_policy_faults(spec: Obj, path: str) -> Iterator[Cause]:
    rules: list[Obj] = (spec.get("podFailurePolicy") or {}).get("rules") or []
    if len(rules) > _MAX_RULES:
        yield faults.too_many(f"{path}.rules", len(rules), _MAX_RULES)
    pod: Obj = (spec.get("template") or {}).get("spec") or {}
    containers = {each.get("name") for key in ("containers", "initContainers") for each in pod.get(key) or ()}
    for index, rule in enumerate(rules):
        at = f"{path}.rules[{index}]"
        action = rule.get("action")
        if not action:
            yield required(f"{at}.action", 'valid values: ["Count" "FailIndex" "FailJob" "Ignore"]')
        elif action not in _ACTIONS:
            yield unsupported(f"{at}.action", action, _ACTIONS)
        elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            yield invalid(f"{at}.action", action, "requires the backoffLimitPerIndex to be set")
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            yield from _exit_code_faults(codes, f"{at}.onExitCodes", containers)
        yield from _pod_condition_faults(conditions or [], f"{at}.onPodConditions")
        if codes is not None and conditions:
            yield Cause(at, "Invalid value: specifying both OnExitCodes and OnPodConditions is not supported")
        if codes is None and not conditions:
            yield Cause(at, "Invalid value: specifying one of OnExitCodes and OnPodConditions is required")


def _exit_code_faults(codes: Obj, path: str, containers: set[Any]) -> Iterator[Cause]:
    operator, values = codes.get("operator"), codes.get("values") or []
    if not operator:
        yield required(f"{path}.operator", 'valid values: ["In" "NotIn"]')
    elif operator not in {"In", "NotIn"}:
        yield unsupported(f"{path}.operator", operator, ("In", "NotIn"))
    container = codes.get("containerName")
    if container is not None and container not in containers:
        why = "must be one of the container or initContainer names in the pod template"
        yield invalid(f"{path}.containerName", container, why)
    if not values:
        yield invalid(f"{path}.values", [], "at least one value is required")
    elif len(values) > _MAX_VALUES:
        yield faults.too_many(f"{path}.values", len(values), _MAX_VALUES)
    seen = set[Any]()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            yield invalid(f"{path}.values[{index}]", value, "must not be 0 for the In operator")
        if value in seen:
            yield faults.duplicate(f"{path}.values[{index}]", value)
        seen.add(value)
    if values != sorted(values):
        yield invalid(f"{path}.values", values, "must be ordered")


def _pod_condition_faults(conditions: list[Obj], path: str) -> Iterator[Cause]:
    if len(conditions) > _MAX_RULES:
        yield faults.too_many(path, len(conditions), _MAX_RULES)
    for index, condition in enumerate(conditions):
        at = f"{path}[{index}]"
        kind, status = condition.get("type") or "", condition.get("status")
        yield from faults.qualified(f"{at}.type", kind)
        if not status:
            yield required(f"{at}.status", 'valid values: ["False" "True" "Unknown"]')
        elif status not in _TRUTHS:
            yield unsupported(f"{at}.status", status, _TRUTHS)


def _success_policy_faults(spec: Obj, path: str) -> Iterator[Cause]:
    policy = spec.get("successPolicy")
    if policy is None:
        return
    if spec.get("completionMode") != "Indexed":
        yield invalid(path, policy, "requires indexed completion mode")
        return
    rules: list[Obj] = policy.get("rules") or []
    if not rules:
        yield required(f"{path}.rules", "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > _MAX_RULES:
        yield faults.too_many(f"{path}.rules", len(rules), _MAX_RULES)
    completions = spec.get("completions") or 0
    for index, rule in enumerate(rules):
        at = f"{path}.rules[{index}]"
        text, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        if text is None and count is None:
            yield required(at, "at least one of succeededCount or succeededIndexes must be specified")
        yield from whole_numbers(rule, at, ("succeededCount",))
        if text is not None and (fault := indexes.fault(text, completions)):
            yield invalid(f"{at}.succeededIndexes", text, f"error parsing succeededIndexes: {fault}")
        elif text is not None and isinstance(count, int) and count > (total := len(indexes.parse(text))):
            why = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            yield invalid(f"{at}.succeededCount", count, why)
        if isinstance(count, int) and count > completions:
            why = f"must be less than or equal to {completions} (the number of specified completions)"
            yield invalid(f"{at}.succeededCount", count, why)


def _selector_faults(job: Obj, spec: Obj) -> Iterator[Cause]:
    selector, labels = spec.get("selector"), ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    uid = job["metadata"].get("uid")
    if selector is None:
        yield required("spec.selector")
    elif not spec.get("manualSelector") and selector != {"matchLabels": {UID_LABEL: uid}}:
        yield invalid("spec.selector", selector, "`selector` not auto-generated")
    wanted = selectors.from_label_selector(selector)
    if selector is None or not wanted or not selectors.label_predicate(wanted)({"metadata": {"labels": labels or {}}}):
        yield invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")


def _name_faults(job: Obj, spec: Obj) -> Iterator[Cause]:
    name = job["metadata"].get("name") or ""
    completions = spec.get("completions")
    if spec.get("completionMode") == "Indexed" and isinstance(completions, int) and completions > 0:
        last = f"{name}-{completions - 1}"
        if names.label_fault(last):
            yield invalid("metadata.name", name, f"will not able to create pod with invalid DNS label: {last}")


def _change_faults(spec: Obj, old_job: Obj) -> Iterator[Cause]:
    old: Obj = old_job.get("spec") or {}
    yield from _completions_faults(spec, old)
    if spec.get("selector") != old.get("selector"):
        yield invalid("spec.selector", spec.get("selector"), "field is immutable")
    yield from _template_change_faults(spec, old, old_job)
    for key in _IMMUTABLE:
        if spec.get(key) != old.get(key):
            yield invalid(f"spec.{key}", spec.get(key), "field is immutable")


def _completions_faults(spec: Obj, old: Obj) -> Iterator[Cause]:
    completions = spec.get("completions")
    if completions == old.get("completions"):
        return
    if completions is None or spec.get("completionMode") != "Indexed" or old.get("completionMode") != "Indexed":
        if not (completions is None and spec.get("completionMode") == "Indexed"):  # that it is required was said
            yield invalid("spec.completions", completions, "field is immutable")
    elif completions != spec.get("parallelism"):
        yield invalid("spec.completions", completions, "can only be modified in tandem with spec.parallelism")


def _template_change_faults(spec: Obj, old: Obj, old_job: Obj) -> Iterator[Cause]:
    before, after = old.get("template") or {}, spec.get("template") or {}
    if before == after:
        return
    # A Job that is suspended and has no Pods may be told anew where they shall run.
    status: Obj = old_job.get("status") or {}
    suspended = old.get("suspend") and not status.get("active") and not status.get("terminating")
    if not suspended:
        yield invalid("spec.template", after, "field is immutable")
    elif _fixed_part(before) != _fixed_part(after):
        yield invalid("spec.template.spec", after.get("spec"), "field is immutable")


def _fixed_part(template: Obj) -> Obj:
    spec = {key: value for key, value in (template.get("spec") or {}).items() if key not in _SCHEDULING}
    for key in ("containers", "initContainers"):
        if key in spec:
            spec[key] = [{name: part for name, part in each.items() if name != "resources"} for each in spec[key]]
    labels = ((template.get("metadata") or {}).get("labels")) or {}
    return {"spec": spec, "labels": {key: value for key, value in labels.items() if key in _OWN_LABELS}}


def _status_faults(job: Obj, old: Obj) -> Iterator[Cause]:
    status: Obj = job.get("status") or {}
    if status == (old.get("status") or {}):
        return
    true = {each.get("type") for each in status.get("conditions") or () if each.get("status") == "True"}
    if {"Complete", "Failed"} <= true:
        yield unmet("status.conditions", "cannot set Complete=True and Failed=true conditions")
    if "Complete" in true and not status.get("completionTime"):
        yield required("status.completionTime", "completionTime is required for Complete jobs")
    for end, first in (("Failed", "FailureTarget"), ("Complete", "SuccessCriteriaMet")):
        if end in true and first not in true:
            why = f"cannot set {end}=True condition without the {first}=true condition"
            yield unmet("status.conditions", why)
    yield from whole_numbers(status, "status", ("active", "succeeded", "failed", "ready", "terminating"))
    active = status.get("active") or 0
    if true & {"Complete", "Failed"} and active > 0:
        yield invalid("status.active", active, "active>0 is invalid for finished job")
