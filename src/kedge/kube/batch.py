"""Work that ends: Jobs, and CronJobs, which make one at each moment of a schedule."""

from typing import Any

from kedge.kube import batch_columns
from kedge.kube.cron_rules import default_cron_job, validate_cron_job
from kedge.kube.job_rules import UID_LABEL, validate_job
from kedge.kube.kinds import Kind, Obj
from kedge.kube.schemas import CoreSchema
from kedge.kube.templates import default_template

NAME_LABEL = "batch.kubernetes.io/job-name"
INDEX = "batch.kubernetes.io/job-completion-index"
"""The label and the annotation that say which index a Pod does."""
_UNLIMITED = 2**31 - 1


def default_job(job: Obj) -> None:
    """Fill in what a real API server fills in: the usual values, and the selector that finds the Pods of this Job alone."""
    spec: Any = job.setdefault("spec", {})
    job.setdefault("status", {})
    if not isinstance(spec, dict):
        return
    default_job_spec(spec)
    spec.setdefault("manualSelector", False)
    template: Any = spec.setdefault("template", {})
    meta: Obj = job["metadata"]
    if not isinstance(template, dict) or spec["manualSelector"] or not meta.get("uid"):
        return
    made = {UID_LABEL: meta["uid"], NAME_LABEL: meta["name"], "controller-uid": meta["uid"], "job-name": meta["name"]}
    labels: Obj = template.setdefault("metadata", {}).setdefault("labels", {})
    labels.update(made)
    spec.setdefault("selector", {}).setdefault("matchLabels", {})[UID_LABEL] = meta["uid"]
    if not meta.get("labels"):
        meta["labels"] = dict(labels)  # as on a real API server: a Job without labels has those of its Pods


def default_job_spec(spec: Obj) -> None:
    """Fill in the usual values of a Job's spec, in place."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    for key, value in (
        ("parallelism", 1),
        ("backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else _UNLIMITED),
        ("completionMode", "NonIndexed"),
        ("suspend", False),
        ("podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") is not None else "TerminatingOrFailed"),
    ):
        if spec.get(key) is None:
            spec[key] = value
    policy: Any = spec.get("podFailurePolicy")
    for rule in policy.get("rules") or () if isinstance(policy, dict) else ():
        for pattern in rule.get("onPodConditions") or ():
            pattern.setdefault("status", "True")
    default_template(spec)


def _default_cron_job(cron_job: Obj) -> None:
    default_cron_job(cron_job)
    template: Any = (cron_job.get("spec") or {}).get("jobTemplate")
    if isinstance(template, dict) and isinstance(spec := template.setdefault("spec", {}), dict):
        spec.setdefault("template", {})
        default_template(spec)


JOB = Kind(
    "Job",
    "jobs",
    group="batch",
    categories=("all",),
    subresources=("status",),
    schema=CoreSchema("Job"),
    field_selectors=("status.successful",),
    default=default_job,
    validate=validate_job,
    columns=batch_columns.JOB,
)
CRON_JOB = Kind(
    "CronJob",
    "cronjobs",
    group="batch",
    short_names=("cj",),
    categories=("all",),
    subresources=("status",),
    schema=CoreSchema("CronJob"),
    default=_default_cron_job,
    validate=validate_cron_job,
    columns=batch_columns.CRON_JOB,
)

KINDS = (JOB, CRON_JOB)
