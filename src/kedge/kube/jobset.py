"""JobSets (``jobset.x-k8s.io/v1alpha2``): Jobs that belong together, such as the parts of one training.

The names and the meaning of fields, labels and reasons are those of the JobSet project: what users wrote for it works here.
"""

from typing import Any

from kedge.kube.jobset_rules import validate_jobset
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import of_type

GROUP = "jobset.x-k8s.io"
_TEXT: Obj = {"type": "string"}
_NUMBER: Obj = {"type": "integer", "format": "int32"}
_FLAG: Obj = {"type": "boolean"}
_TEXTS: Obj = {"type": "array", "items": _TEXT}


def _object(required: tuple[str, ...] = (), **properties: Any) -> Obj:
    made: Obj = {"type": "object", "properties": properties}
    return {**made, "required": list(required)} if required else made


def _listed(item: Obj, *keys: str) -> Obj:
    made: Obj = {"type": "array", "items": item}
    if keys:
        made |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
    return made


COUNTS = ("ready", "succeeded", "failed", "active", "suspended")
"""What a status counts of each replicated Job."""
_CONDITION = _object(
    ("type", "status"),
    type=_TEXT,
    status=_TEXT,
    reason=_TEXT,
    message=_TEXT,
    lastTransitionTime={"type": "string", "format": "date-time"},
    observedGeneration={"type": "integer", "format": "int64"},
)


def _schema() -> Obj:
    claim = dict(of_type("PersistentVolumeClaim"))  # of which the name and the spec count
    depends = _object(("name", "status"), name=_TEXT, status={"type": "string", "enum": ["Ready", "Complete"]})
    replicated = _object(
        ("name", "template"),
        name=_TEXT,
        groupName=_TEXT,
        replicas=_NUMBER,
        template=dict(of_type("JobTemplateSpec")),
        dependsOn=_listed(depends, "name"),
    )
    rule = _object(
        ("action",),
        name=_TEXT,
        action=_TEXT,
        onJobFailureReasons=_TEXTS,
        onJobFailureMessagePatterns=_TEXTS,
        targetReplicatedJobs=_TEXTS,
    )
    spec = _object(
        replicatedJobs=_listed(replicated, "name"),
        network=_object(enableDNSHostnames=_FLAG, subdomain=_TEXT, publishNotReadyAddresses=_FLAG),
        successPolicy=_object(("operator",), operator=_TEXT, targetReplicatedJobs=_TEXTS),
        failurePolicy=_object(maxRestarts=_NUMBER, restartStrategy=_TEXT, rules={"type": "array", "items": rule}),
        startupPolicy=_object(("startupPolicyOrder",), startupPolicyOrder=_TEXT),
        suspend=_FLAG,
        coordinator=_object(("replicatedJob",), replicatedJob=_TEXT, jobIndex=_NUMBER, podIndex=_NUMBER),
        managedBy=_TEXT,
        ttlSecondsAfterFinished=_NUMBER,
        volumeClaimPolicies=_listed(_object(templates=_listed(claim), retentionPolicy=_object(whenDeleted=_TEXT))),
    )
    counts = dict.fromkeys(COUNTS, _NUMBER)
    status = _object(
        conditions=_listed(_CONDITION, "type"),
        restarts=_NUMBER,
        restartsCountTowardsMax=_NUMBER,
        terminalState=_TEXT,
        replicatedJobsStatus=_listed(_object(("name", *COUNTS), name=_TEXT, **counts), "name"),
    )
    return _object(spec=spec, status=status)


def default_jobset(jobset: Obj) -> None:
    """Fill in what JobSet's own webhook fills in, in place."""
    spec: Any = jobset.setdefault("spec", {})
    jobset.setdefault("status", {})
    if not isinstance(spec, dict):
        return
    _set(spec.setdefault("successPolicy", {}), operator="All")
    _set(spec.setdefault("startupPolicy", {}), startupPolicyOrder="AnyOrder")
    _set(spec.setdefault("network", {}), enableDNSHostnames=True, publishNotReadyAddresses=True)
    if isinstance(policy := spec.get("failurePolicy"), dict):
        _set(policy, maxRestarts=0, restartStrategy="Recreate")
        for position, rule in enumerate(policy.get("rules") or ()):
            _set(rule, name=f"failurePolicyRule{position}")
    for each in spec.get("volumeClaimPolicies") or ():
        _set(each, retentionPolicy={})
        _set(each["retentionPolicy"], whenDeleted="Delete")
    for each in spec.get("replicatedJobs") or ():
        _set(each, replicas=1, groupName="default")
        job: Any = each.setdefault("template", {}).setdefault("spec", {})
        _set(job, completionMode="Indexed")
        if isinstance(pod := (job.get("template") or {}).get("spec"), dict):
            _set(pod, restartPolicy="OnFailure")


def _set(obj: Any, **values: Any) -> None:
    for key, value in values.items():
        if isinstance(obj, dict) and obj.get(key) is None:
            obj[key] = value


def _at(obj: Any, *path: str) -> Any:
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return "" if obj is None else obj


def _completed(jobset: Obj) -> str:
    found = _at(jobset, "status", "conditions")
    of_type = (
        (each for each in found if isinstance(each, dict) and each.get("type") == "Completed") if isinstance(found, list) else ()
    )
    return next((str(each.get("status")) for each in of_type), "")


JOBSET = Kind(
    "JobSet",
    "jobsets",
    group=GROUP,
    version="v1alpha2",
    subresources=("status",),
    schema=_schema(),
    default=default_jobset,
    validate=validate_jobset,
    columns=(
        Column("TerminalState", lambda obj: _at(obj, "status", "terminalState"), path=".status.terminalState"),
        Column("Restarts", lambda obj: _at(obj, "status", "restarts"), path=".status.restarts"),
        Column("Completed", _completed),
        Column("Suspended", lambda obj: str(_at(obj, "spec", "suspend")).lower(), path=".spec.suspend"),
    ),
)
