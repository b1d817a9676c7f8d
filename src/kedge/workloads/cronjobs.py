"""CronJobs: a Job at each moment of a schedule."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Change, Create, Delete, Plan, set_status
from kedge.control.controller import Controller
from kedge.control.informer import Informer
from kedge.kube.batch import CRON_JOB, JOB
from kedge.kube.clock import Clock, parse_timestamp, timestamp
from kedge.kube.cron_schedules import Schedule
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, annotations_of, controller, is_deleting, key_of, owner_reference, uid_of
from kedge.workloads.job_look import finish_of
from kedge.workloads.told import told

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_BY = "cronjob-controller"
_MANY = 100
_TOO_MANY = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
_ACTIVE = "Not starting job because prior execution is running and concurrency policy is Forbid"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        cron_job: The CronJob.
        jobs: The Jobs that it owns.
    """

    cron_job: Obj
    jobs: tuple[Obj, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """What a schedule says at a moment.

    Attributes:
        at: The last moment that no Job was made for; ``None`` where there is none.
        too_many: Whether there were more than a hundred of them.
        next: The next moment.
    """

    at: datetime | None
    too_many: bool
    next: datetime | None


class CronJobs:
    """Reconciles one CronJob."""

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a CronJob and its Jobs."""
        if (cron_job := await get_or_none(reader, CRON_JOB, key.name, key.namespace)) is None:
            return None
        found = (await reader.list(JOB, key.namespace)).items
        return Seen(cron_job, tuple(job for job in found if (controller(job) or {}).get("uid") == uid_of(cron_job)))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide: whether a Job is made now, which old ones go, and when to look again."""
        cron_job = seen.cron_job
        status, events = _noted(seen, now)
        if is_deleting(cron_job):
            return Plan((set_status(CRON_JOB, cron_job, status), *events))
        old = list(_old(seen, now))
        spec: Obj = cron_job["spec"]
        if spec.get("suspend"):
            return Plan((set_status(CRON_JOB, cron_job, status), *events, *old))
        schedule = Schedule(spec["schedule"], spec.get("timeZone"))
        due = due_of(cron_job, schedule, now)
        made: list[Change] = []
        if due.at is not None:
            made, status = _start(seen, due, schedule, status, now)
        wait = (due.next - now).total_seconds() if due.next is not None else None
        return Plan((*events, *made, set_status(CRON_JOB, cron_job, status), *old), requeue_after=wait)


def due_of(cron_job: Obj, schedule: Schedule, now: datetime) -> Due:
    """What the schedule of a CronJob says at a moment."""
    last = (cron_job.get("status") or {}).get("lastScheduleTime") or cron_job["metadata"]["creationTimestamp"]
    since = parse_timestamp(last)
    if (seconds := cron_job["spec"].get("startingDeadlineSeconds")) is not None:
        since = max(since, now - timedelta(seconds=seconds))
    following = schedule.after(now)
    first = schedule.after(since)
    if first is None or first > now:
        return Due(None, too_many=False, next=following)
    second = schedule.after(first)
    at = schedule.last(since, now)
    missed = 1 if second is None else (now - first) / max(second - first, timedelta(seconds=1)) + 1
    return Due(at, missed > _MANY, following)


def _start(seen: Seen, due: Due, schedule: Schedule, status: Obj, now: datetime) -> tuple[list[Change], Obj]:
    """Make the Job of a moment, unless the CronJob's policy is against it; what the status says then."""
    cron_job, at = seen.cron_job, due.at
    if at is None:
        return [], status
    spec: Obj = cron_job["spec"]
    changes: list[Change] = []

    def tell(reason: str, message: str, *, warning: bool = False) -> None:
        changes.append(told(CRON_JOB, cron_job, (reason, message), now, by=_BY, warning=warning))

    if due.too_many:
        tell("TooManyMissedTimes", _TOO_MANY, warning=True)
    active = [job for job in seen.jobs if _is_scheduled(job) and finish_of(job) is None and not is_deleting(job)]
    name = f"{cron_job['metadata']['name']}-{int(at.timestamp()) // 60}"
    started = {**status, "lastScheduleTime": timestamp(at)}
    if any(job["metadata"]["name"] == name for job in seen.jobs):
        return changes, started
    if spec["concurrencyPolicy"] == "Forbid" and active:
        tell("JobAlreadyActive", _ACTIVE)
        return changes, status
    if spec["concurrencyPolicy"] == "Replace":
        for job in active:
            changes.append(Delete(JOB, job))
            tell("SuccessfulDelete", f"Deleted job {job['metadata']['name']}")
    changes.append(Create(JOB, _job(cron_job, name, at.astimezone(schedule.zone))))
    tell("SuccessfulCreate", f"Created job {name}")
    return changes, started


def _job(cron_job: Obj, name: str, at: datetime) -> Obj:
    template: Obj = copy.deepcopy(cron_job["spec"]["jobTemplate"])
    meta: Obj = template.get("metadata") or {}
    moment = at.isoformat(timespec="seconds").replace("+00:00", "Z")
    made: Obj = {
        "name": name,
        "namespace": cron_job["metadata"]["namespace"],
        "annotations": {**(meta.get("annotations") or {}), SCHEDULED: moment},
        "ownerReferences": [owner_reference(CRON_JOB, cron_job)],
    }
    if labels := meta.get("labels"):
        made["labels"] = labels
    return {"apiVersion": JOB.api_version, "kind": JOB.kind, "metadata": made, "spec": template["spec"]}


def _is_scheduled(job: Obj) -> bool:
    """Whether a Job was made for a moment, rather than by a person."""
    return SCHEDULED in annotations_of(job)


def _noted(seen: Seen, now: datetime) -> tuple[Obj, list[Change]]:
    """What the status says of the Jobs, and what is told of those that ended or are gone."""
    cron_job = seen.cron_job
    status: Obj = dict(cron_job.get("status") or {})
    by_uid = {uid_of(job): job for job in seen.jobs}
    known: list[Obj] = status.get("active") or []
    events: list[Change] = []
    kept = list[Obj]()
    for reference in known:
        job = by_uid.get(reference.get("uid") or "")
        end = finish_of(job) if job is not None else None
        if job is None:
            what = ("MissingJob", f"Active job went missing: {reference.get('name')}")
        elif end is not None:
            what = ("SawCompletedJob", f"Saw completed job: {reference.get('name')}, condition: {end['type']}")
        else:
            kept.append(reference)
            continue
        events.append(told(CRON_JOB, cron_job, what, now, by=_BY))
    held = {reference.get("uid") for reference in kept}
    found = (job for job in seen.jobs if _is_scheduled(job) and finish_of(job) is None and uid_of(job) not in held)
    kept += [_reference(job) for job in found]
    status["active"] = kept
    ends = [(job.get("status") or {}).get("completionTime") for job in seen.jobs]
    times = [time for time in (*ends, status.get("lastSuccessfulTime")) if time]
    if times:
        status["lastSuccessfulTime"] = max(times)
    return {key: value for key, value in status.items() if value or key != "active"}, events


def _reference(job: Obj) -> Obj:
    meta: Obj = job["metadata"]
    found = {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion") if key in meta}
    return {"apiVersion": JOB.api_version, "kind": JOB.kind, **found}


def _old(seen: Seen, now: datetime) -> Iterator[Change]:
    """Jobs that ended and that are more than the history keeps: the oldest go."""
    spec: Obj = seen.cron_job["spec"]
    for end, limit in (("Complete", spec.get("successfulJobsHistoryLimit")), ("Failed", spec.get("failedJobsHistoryLimit"))):
        ended = [job for job in seen.jobs if (finish_of(job) or {}).get("type") == end and not is_deleting(job)]
        ended.sort(key=_started)
        for job in ended[: max(len(ended) - limit, 0)] if limit is not None else ():
            yield Delete(JOB, job)
            message = f"Deleted job {job['metadata']['name']}"
            yield told(CRON_JOB, seen.cron_job, ("SuccessfulDelete", message), now, by=_BY)


def _started(job: Obj) -> tuple[Any, str]:
    return (job.get("status") or {}).get("startTime") or "", job["metadata"]["name"]


def cronjobs_controller(cron_jobs: Informer, jobs: Informer, client: Client, clock: Clock) -> Controller[Key]:
    """The controller of all CronJobs.

    Args:
        cron_jobs: All CronJobs.
        jobs: All Jobs.
        client: Reads and writes objects.
        clock: When a moment has come.
    """
    made = Controller[Key].of("cronjobs", CronJobs(), client, clock)
    made.follow(cron_jobs, lambda _, new: [key_of(new)] if new is not None else [])

    def of_job(old: Obj | None, new: Obj | None) -> list[Key]:
        job: Obj = new or old or {"metadata": {}}
        owner = controller(job)
        if owner is None or owner.get("kind") != CRON_JOB.kind:
            return []
        return [Key(job["metadata"].get("namespace") or "", owner["name"])]

    made.follow(jobs, of_job)
    return made
