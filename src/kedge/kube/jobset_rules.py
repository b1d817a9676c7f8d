"""The rules of a JobSet, in the words of the JobSet project where it has some."""

import re
from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import names
from kedge.kube.faults import LABEL_RULE, duplicate, invalid, label, not_negative, required, unsupported
from kedge.kube.jobset_claims import claim_faults
from kedge.kube.kinds import Obj

MANAGER = "jobset.sigs.k8s.io/jobset-controller"
RESTART, FORGIVEN, FAIL = "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts", "FailJobSet"
_ACTIONS = (FAIL, RESTART, FORGIVEN)
_STRATEGIES = ("Recreate", "BlockingRecreate")
_OPERATORS = ("All", "Any")
_ORDERS = ("AnyOrder", "InOrder")
_REASONS = (
    "BackoffLimitExceeded",
    "DeadlineExceeded",
    "FailedIndexes",
    "MaxFailedIndexesExceeded",
    "PodFailurePolicy",
)
_RULE_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
_JOB_NAMES = "JobSet name is too long, job names generated for this JobSet will exceed 63 characters"
_POD_NAMES = "JobSet name is too long, pod names generated for this JobSet will exceed 63 characters"
_SUFFIX = "-abcde"
_IMMUTABLE = ("network", "successPolicy", "failurePolicy", "startupPolicy", "coordinator", "volumeClaimPolicies")
# What of the Pods of a suspended JobSet may change, as the JobSet project has it.
_META = ("labels", "annotations")
_PLACING = ("nodeSelector", "tolerations", "schedulingGates")


def validate_jobset(jobset: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule; for a change, also each field that may not change."""
    spec: Obj = jobset.get("spec") or {}
    if old is not None and spec == old.get("spec"):
        return []
    causes = [*_job_faults(jobset, spec), *_policy_faults(spec), *_failure_faults(spec), *_other_faults(spec)]
    causes += claim_faults(jobset["metadata"].get("name") or "", spec)
    if old is not None:
        causes += _change_faults(spec, old)
    return causes


def _jobs(spec: Obj) -> list[Obj]:
    return spec.get("replicatedJobs") or []


def _job_faults(jobset: Obj, spec: Obj) -> Iterator[Cause]:
    seen = set[str]()
    for position, each in enumerate(_jobs(spec)):
        at = f"spec.replicatedJobs[{position}]"
        name, replicas = each.get("name") or "", each.get("replicas", 1)
        yield from label(f"{at}.name", name)
        if name in seen:
            yield duplicate(f"{at}.name", name)
        yield from not_negative(each, at, "replicas")
        job: Obj = (each.get("template") or {}).get("spec") or {}
        if not ((job.get("template") or {}).get("spec") or {}).get("containers"):
            yield required(f"{at}.template.spec.template.spec.containers")
        yield from _depends_faults(each, at, seen, spec)
        last = f"{jobset['metadata'].get('name')}-{name}-{max(int(replicas) - 1, 0)}"
        pod = f"{last}-{max((job.get('completions') or job.get('parallelism') or 1) - 1, 0)}{_SUFFIX}"
        if len(last) > names.LABEL_LIMIT:
            yield invalid("metadata.name", jobset["metadata"].get("name"), _JOB_NAMES)
        elif names.label_fault(last):
            yield invalid("metadata.name", jobset["metadata"].get("name"), LABEL_RULE)
        elif job.get("completionMode") == "Indexed" and len(pod) > names.LABEL_LIMIT:
            yield invalid("metadata.name", jobset["metadata"].get("name"), _POD_NAMES)
        seen.add(name)


def _depends_faults(each: Obj, at: str, before: set[str], spec: Obj) -> Iterator[Cause]:
    depends: list[Obj] = each.get("dependsOn") or []
    if depends and (spec.get("startupPolicy") or {}).get("startupPolicyOrder") == "InOrder":
        yield invalid(f"{at}.dependsOn", depends, "DependsOn and startupPolicy InOrder are mutually exclusive")
    for position, one in enumerate(depends):
        if one.get("name") not in before:
            path = f"{at}.dependsOn[{position}].name"
            yield invalid(path, one.get("name"), "must name a replicatedJob that stands before this one")


def _target_faults(holder: Obj, path: str, spec: Obj) -> Iterator[Cause]:
    known = {each.get("name") for each in _jobs(spec)}
    for position, name in enumerate(holder.get("targetReplicatedJobs") or ()):
        if name not in known:
            why = f"invalid replicatedJob name '{name}' does not appear in .spec.ReplicatedJobs"
            yield invalid(f"{path}.targetReplicatedJobs[{position}]", name, why)


def _policy_faults(spec: Obj) -> Iterator[Cause]:
    success: Obj = spec.get("successPolicy") or {}
    if success.get("operator") not in _OPERATORS:
        yield unsupported("spec.successPolicy.operator", success.get("operator"), _OPERATORS)
    yield from _target_faults(success, "spec.successPolicy", spec)
    order = (spec.get("startupPolicy") or {}).get("startupPolicyOrder")
    if order not in _ORDERS:
        yield unsupported("spec.startupPolicy.startupPolicyOrder", order, _ORDERS)


def _failure_faults(spec: Obj) -> Iterator[Cause]:
    policy: Any = spec.get("failurePolicy")
    if policy is None:
        return
    if (most := policy.get("maxRestarts", 0)) < 0:
        yield invalid("spec.failurePolicy.maxRestarts", most, "must be greater than or equal to 0")
    if (strategy := policy.get("restartStrategy", "Recreate")) not in _STRATEGIES:
        yield unsupported("spec.failurePolicy.restartStrategy", strategy, _STRATEGIES)
    taken = set[str]()
    for position, rule in enumerate(policy.get("rules") or ()):
        at = f"spec.failurePolicy.rules[{position}]"
        name = rule.get("name") or ""
        if not _RULE_NAME.fullmatch(name):
            yield invalid(f"{at}.name", name, f"must match {_RULE_NAME.pattern}")
        if name in taken:
            yield duplicate(f"{at}.name", name)
        taken.add(name)
        yield from _rule_faults(rule, at, spec)


def _rule_faults(rule: Obj, at: str, spec: Obj) -> Iterator[Cause]:
    if rule.get("action") not in _ACTIONS:
        yield unsupported(f"{at}.action", rule.get("action"), _ACTIONS)
    for index, reason in enumerate(rule.get("onJobFailureReasons") or ()):
        if reason not in _REASONS:
            yield unsupported(f"{at}.onJobFailureReasons[{index}]", reason, _REASONS)
    for index, pattern in enumerate(rule.get("onJobFailureMessagePatterns") or ()):
        if not _is_pattern(pattern):
            yield invalid(f"{at}.onJobFailureMessagePatterns[{index}]", pattern, "must be a regular expression")
    yield from _target_faults(rule, at, spec)


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _other_faults(spec: Obj) -> Iterator[Cause]:
    if subdomain := (spec.get("network") or {}).get("subdomain"):
        yield from label("spec.network.subdomain", subdomain)
    yield from not_negative(spec, "spec", "ttlSecondsAfterFinished")
    manager = spec.get("managedBy")
    prefix, slash, name = str(manager).partition("/")
    if manager is not None and (not slash or not name or names.subdomain_fault(prefix)):
        yield invalid("spec.managedBy", manager, 'must be a domain-prefixed path (such as "acme.io/foo")')
    yield from _coordinator_faults(spec)


def _coordinator_faults(spec: Obj) -> Iterator[Cause]:
    coordinator: Any = spec.get("coordinator")
    if coordinator is None:
        return
    name, at = coordinator.get("replicatedJob"), "spec.coordinator"
    found = next((each for each in _jobs(spec) if each.get("name") == name), None)
    if found is None:
        yield invalid(f"{at}.replicatedJob", name, f"coordinator replicatedJob {name} does not exist")
        return
    job, pod = coordinator.get("jobIndex") or 0, coordinator.get("podIndex") or 0
    template: Obj = (found.get("template") or {}).get("spec") or {}
    if not 0 <= job < found.get("replicas", 1):
        yield invalid(f"{at}.jobIndex", job, f"coordinator job index {job} is invalid for replicatedJob {name}")
    if template.get("completionMode") != "Indexed":
        yield invalid(f"{at}.replicatedJob", name, "job for coordinator pod must be indexed completion mode")
    elif not 0 <= pod < (template.get("completions") or template.get("parallelism") or 1):
        yield invalid(f"{at}.podIndex", pod, f"coordinator pod index {pod} is invalid for replicatedJob {name} job index {job}")


def _change_faults(spec: Obj, old_jobset: Obj) -> Iterator[Cause]:
    old: Obj = old_jobset.get("spec") or {}
    for key in (*_IMMUTABLE, "managedBy"):
        if spec.get(key) != old.get(key):
            yield invalid(f"spec.{key}", spec.get(key), "field is immutable" if key == "managedBy" else "Value is immutable")
    before, after = _jobs(old), _jobs(spec)
    if before == after:
        return
    # Where Pods may run may be told anew while none of them does.
    if old.get("suspend") or spec.get("suspend"):
        before, after = [_fixed_part(each) for each in before], [_fixed_part(each) for each in after]
    if before != after:
        yield invalid("spec.replicatedJobs", _jobs(spec), "field is immutable")


def _fixed_part(replicated: Obj) -> Obj:
    job: Obj = (replicated.get("template") or {}).get("spec") or {}
    template: Obj = job.get("template") or {}
    pod = {key: value for key, value in (template.get("spec") or {}).items() if key not in _PLACING}
    meta = {key: value for key, value in (template.get("metadata") or {}).items() if key not in _META}
    rest = {key: value for key, value in job.items() if key != "template"}
    return {**replicated, "template": {**(replicated.get("template") or {}), "spec": rest}, "pod": pod, "meta": meta}
