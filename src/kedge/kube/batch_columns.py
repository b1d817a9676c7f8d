"""What ``kubectl get`` shows of Jobs and CronJobs, besides NAME and AGE."""

from datetime import timedelta
from typing import Any

from kedge.kube.clock import parse_timestamp
from kedge.kube.columns import at, objects
from kedge.kube.kinds import Column, Obj

_NEVER = timedelta(days=-1)
_NOT_YET = "<none>"
_CONDITIONS = ("Suspended", "FailureTarget", "SuccessCriteriaMet")
_TEMPLATE = ("spec", "template")


def _job_status(job: Obj) -> str:
    """One word for how a Job is."""
    true = [each.get("type") for each in objects(job, "status", "conditions") if each.get("status") == "True"]
    for condition in ("Complete", "Failed"):
        if condition in true:
            return condition
    if at(job, "metadata", "deletionTimestamp"):
        return "Terminating"
    return next((each for each in _CONDITIONS if each in true), "Running")


def _completions(job: Obj) -> str:
    succeeded, completions = at(job, "status", "succeeded") or 0, at(job, "spec", "completions")
    if completions is not None:
        return f"{succeeded}/{completions}"
    parallelism = at(job, "spec", "parallelism")
    return f"{succeeded}/1 of {parallelism}" if isinstance(parallelism, int) and parallelism > 1 else f"{succeeded}/1"


def _duration(job: Obj) -> Any:
    """How long it took, or the time since when it is under way."""
    start, end = at(job, "status", "startTime"), at(job, "status", "completionTime")
    if not start:
        return _NEVER
    try:
        return parse_timestamp(end) - parse_timestamp(start) if end else start
    except (TypeError, ValueError):
        return "<invalid>"


def _selector(job: Obj) -> str:
    labels = at(job, "spec", "selector", "matchLabels")
    return (
        ",".join(f"{key}={value}" for key, value in sorted(labels.items())) if isinstance(labels, dict) and labels else "<none>"
    )


def _names(obj: Obj, key: str, *path: str) -> str:
    return ",".join(str(each.get(key, "")) for each in objects(obj, *path, "spec", "containers"))


JOB = (
    Column("Status", _job_status, description="How it is, in one word."),
    Column("Completions", _completions, description="Pods that succeeded, of those that have to."),
    Column("Duration", _duration, type="date", description="How long it took, or has taken so far."),
    Column("Containers", lambda job: _names(job, "name", *_TEMPLATE), priority=1, description="Names of its containers."),
    Column("Images", lambda job: _names(job, "image", *_TEMPLATE), priority=1, description="What they run."),
    Column("Selector", _selector, priority=1, description="What finds its Pods."),
)


def _suspended(cron_job: Obj) -> str:
    return str(bool(at(cron_job, "spec", "suspend")))


def _active(cron_job: Obj) -> int:
    return len(objects(cron_job, "status", "active"))


_CRON_TEMPLATE = ("spec", "jobTemplate", "spec", "template")

CRON_JOB = (
    Column("Schedule", lambda obj: at(obj, "spec", "schedule") or "", description="When."),
    Column(
        "Timezone", lambda obj: at(obj, "spec", "timeZone") or "<none>", description="Of the schedule; UTC where there is none."
    ),
    Column("Suspend", _suspended, description="Whether it makes no Jobs for now."),
    Column("Active", _active, type="integer", description="Jobs of it that run."),
    Column(
        "Last Schedule",
        lambda obj: at(obj, "status", "lastScheduleTime") or _NOT_YET,
        type="date",
        description="Its last moment.",
    ),
    Column("Containers", lambda obj: _names(obj, "name", *_CRON_TEMPLATE), priority=1, description="Names of its containers."),
    Column("Images", lambda obj: _names(obj, "image", *_CRON_TEMPLATE), priority=1, description="What they run."),
    Column("Selector", lambda _: "<none>", priority=1, description="Each Job has one of its own."),
)
