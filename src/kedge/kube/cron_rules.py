"""The rules of a CronJob, in the words of a real API server."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from kedge.errors import Cause
from kedge.kube import cron_schedules
from kedge.kube.faults import invalid, required, unsupported
from kedge.kube.job_rules import job_faults, whole_numbers
from kedge.kube.kinds import Obj

_POLICIES = ("Allow", "Forbid", "Replace")
# A Job's name has the minute of its schedule added: eleven characters.
_LONGEST_NAME = 52


def default_cron_job(cron_job: Obj) -> None:
    """Fill in what a real API server fills in, but for the template's Pods."""
    spec = cron_job.setdefault("spec", {})
    if not isinstance(spec, dict):
        return
    for key, value in (
        ("concurrencyPolicy", "Allow"),
        ("suspend", False),
        ("successfulJobsHistoryLimit", 3),
        ("failedJobsHistoryLimit", 1),
    ):
        if spec.get(key) in {None, ""}:
            spec[key] = value


def validate_cron_job(cron_job: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule. All of a CronJob may change: Jobs that it has made stay as they are."""
    spec: Obj = cron_job.get("spec") or {}
    if old is not None and spec == old.get("spec"):
        return []
    causes = list(_schedule_faults(spec))
    if (policy := spec.get("concurrencyPolicy")) not in _POLICIES:
        causes.append(unsupported("spec.concurrencyPolicy", policy, _POLICIES))
    limits = ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    causes += whole_numbers(spec, "spec", limits)
    template: Obj = (spec.get("jobTemplate") or {}).get("spec") or {}
    if template.get("manualSelector"):
        at = "spec.jobTemplate.spec.manualSelector"
        causes.append(unsupported(at, template["manualSelector"], ("nil", "false")))
    if template.get("selector") is not None:
        causes.append(invalid("spec.jobTemplate.spec.selector", template["selector"], "`selector` will be auto-generated"))
    causes += job_faults(template, "spec.jobTemplate.spec")
    name = cron_job["metadata"].get("name") or ""
    if old is None and len(name) > _LONGEST_NAME:
        causes.append(invalid("metadata.name", name, f"must be no more than {_LONGEST_NAME} characters"))
    return causes


def _schedule_faults(spec: Obj) -> Iterator[Cause]:
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        yield required("spec.schedule")
    elif "TZ" in schedule:
        yield invalid("spec.schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    elif fault := cron_schedules.fault(schedule):
        yield invalid("spec.schedule", schedule, fault)
    if zone is None:
        return
    if not zone:
        yield invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")
    elif zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield invalid("spec.timeZone", zone, why)
    elif not _is_zone(zone):
        yield invalid("spec.timeZone", zone, f"unknown time zone {zone}")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
