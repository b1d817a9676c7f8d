"""JobSets: Jobs that start, end and begin anew together."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from kedge import errors
from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Change, Create, Delete, Plan, Update, set_status
from kedge.control.controller import Controller
from kedge.control.informer import Informer
from kedge.kube.batch import JOB
from kedge.kube.clock import Clock, parse_timestamp
from kedge.kube.conditions import condition, is_true, put
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM
from kedge.kube.jobset import JOBSET
from kedge.kube.jobset_rules import MANAGER
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, controller, is_deleting, key_of, owner_reference, uid_of
from kedge.kube.services import SERVICE
from kedge.workloads.job_look import finish_of
from kedge.workloads.jobset_jobs import (
    NAME,
    REPLICATED,
    attempt_of,
    claims_of,
    counts,
    has_names,
    job_name,
    job_of,
    replicated_jobs,
    restarts_of,
    resumed,
    subdomain_of,
)
from kedge.workloads.jobset_policies import Decision, is_successful, on_failure
from kedge.workloads.told import told

_BY = "jobset"
_RUNNING, _STARTED = "StartupPolicyInProgress", "StartupPolicyCompleted"
_ORDER = {
    _RUNNING: ("InOrderStartupPolicyInProgress", "in order startup policy is in progress"),
    _STARTED: ("InOrderStartupPolicyCompleted", "in order startup policy has completed"),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        jobset: The JobSet.
        jobs: Its Jobs, those of earlier attempts too as long as they are there.
        service: The Service for the names of its Pods, whoever made it; ``None`` where there is none.
        missing: The claims that its Pods share and that are not there, whoever makes them.
    """

    jobset: Obj
    jobs: tuple[Obj, ...] = ()
    service: Obj | None = None
    missing: tuple[Obj, ...] = ()


class JobSets:
    """Reconciles one JobSet."""

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a JobSet, its Jobs and its Service."""
        if (jobset := await get_or_none(reader, JOBSET, key.name, key.namespace)) is None:
            return None
        found = (await reader.list(JOB, key.namespace, labels=f"{NAME}={key.name}")).items
        jobs = tuple(job for job in found if (controller(job) or {}).get("uid") == uid_of(jobset))
        try:
            service = await reader.get(SERVICE, subdomain_of(jobset), key.namespace) if has_names(jobset) else None
        except errors.NotFound:
            service = None
        claims = claims_of(jobset)
        known = [await get_or_none(reader, PERSISTENT_VOLUME_CLAIM, each["metadata"]["name"], key.namespace) for each in claims]
        missing = tuple(claim for claim, found in zip(claims, known, strict=True) if found is None)
        return Seen(jobset, jobs, service, missing)

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide: which Jobs are made, go, pause or go on, and what the status says."""
        jobset = seen.jobset
        if jobset["spec"].get("managedBy", MANAGER) != MANAGER or is_deleting(jobset):
            return Plan()
        jobs = [job for job in seen.jobs if attempt_of(job) == restarts_of(jobset)]
        status = _counted(jobset, jobs)
        if is_true(jobset, "Completed") or is_true(jobset, "Failed"):
            return _after(jobset, status, jobs, now)
        ended = {job["metadata"]["name"]: end for job in jobs if (end := finish_of(job)) is not None}
        failed = [job for job in jobs if ended.get(job["metadata"]["name"], {}).get("type") == "Failed"]
        earlier = [Delete(JOB, job, "Foreground") for job in seen.jobs if attempt_of(job) != restarts_of(jobset)]
        if failed:
            return Plan((*_failed(jobset, status, on_failure(jobset, failed), now), *earlier))
        succeeded = [job for job in jobs if job["metadata"]["name"] in ended]
        if succeeded and is_successful(jobset, succeeded):
            return Plan((*_completed(jobset, status, now), *earlier))
        return Plan((*earlier, *_continued(seen, status, jobs, now)))


def _counted(jobset: Obj, jobs: list[Obj]) -> Obj:
    """The status with what is counted of each replicated Job."""
    found = [
        counts(each, [job for job in jobs if job["metadata"]["labels"].get(REPLICATED) == each["name"]])
        for each in replicated_jobs(jobset)
    ]
    known: Obj = jobset.get("status") or {}
    return {"restarts": 0, **known, "replicatedJobsStatus": found}


def _after(jobset: Obj, status: Obj, jobs: list[Obj], now: datetime) -> Plan:
    """What becomes of a JobSet that is over: what still runs of it goes, and it goes itself when its time has come."""
    changes: list[Change] = [set_status(JOBSET, jobset, status)]
    changes += [Delete(JOB, job, "Foreground") for job in jobs if finish_of(job) is None]
    seconds = jobset["spec"].get("ttlSecondsAfterFinished")
    if seconds is None:
        return Plan(changes)
    ends = [each for each in status["conditions"] if each["type"] in {"Completed", "Failed"} and each["status"] == "True"]
    left = (parse_timestamp(ends[0]["lastTransitionTime"]) + timedelta(seconds=seconds) - now).total_seconds()
    if left > 0:
        return Plan(changes, requeue_after=left)
    return Plan((*changes, Delete(JOBSET, jobset, "Foreground")))


def _failed(jobset: Obj, status: Obj, decision: Decision, now: datetime) -> Iterator[Change]:
    if decision.restarts:
        status = {**status, "restarts": restarts_of(jobset) + 1}
        counted = (status.get("restartsCountTowardsMax") or 0) + int(decision.counts)
        status["restartsCountTowardsMax"] = counted
    else:
        status = _with(status, "Failed", (decision.reason, decision.message), now)
        status["terminalState"] = "Failed"
    yield set_status(JOBSET, jobset, status)
    yield told(JOBSET, jobset, (decision.reason, decision.message), now, by=_BY, warning=True)


def _completed(jobset: Obj, status: Obj, now: datetime) -> Iterator[Change]:
    what = ("AllJobsCompleted", "jobset completed successfully")
    yield set_status(JOBSET, jobset, {**_with(status, "Completed", what, now), "terminalState": "Completed"})
    yield told(JOBSET, jobset, what, now, by=_BY)


def _with(status: Obj, kind: str, what: tuple[str, str], now: datetime, *, truth: bool = True) -> Obj:
    """The status with a condition set."""
    made = condition(kind, truth, what[0], what[1], now=now)
    return {**status, "conditions": put(status.get("conditions") or (), made)}


def _continued(seen: Seen, status: Obj, jobs: list[Obj], now: datetime) -> Iterator[Change]:
    """Go on: the Service, the Jobs that are missing, those that pause or go on, and what the status says of it."""
    jobset = seen.jobset
    if has_names(jobset) and seen.service is None:
        yield Create(SERVICE, _service(jobset))
    for claim in seen.missing:
        yield Create(PERSISTENT_VOLUME_CLAIM, claim)
    suspended = bool(jobset["spec"].get("suspend"))
    status, events = _suspended(jobset, status, suspended, now)
    in_order = (jobset["spec"].get("startupPolicy") or {}).get("startupPolicyOrder") == "InOrder" and not suspended
    counted = {each["name"]: each for each in status["replicatedJobsStatus"]}
    there = {job["metadata"]["name"]: job for job in jobs}
    waits = False
    for each in replicated_jobs(jobset):
        mine = {name: there.get(name) for name in (job_name(jobset, each, index) for index in range(each["replicas"]))}
        if in_order and _is_started(each, counted[each["name"]]) and not any(map(_is_paused, mine.values())):
            continue
        if _may_start(each, counted, jobset):
            yield from _wanted(seen, each, mine)
        if in_order:
            waits = True
            break
    if in_order:
        status = _startup(status, _RUNNING if waits else _STARTED, now)
    yield set_status(JOBSET, jobset, status)
    yield from events


def _wanted(seen: Seen, replicated: Obj, jobs: dict[str, Obj | None]) -> Iterator[Change]:
    """Make the Jobs of a replicated Job that are missing; have the others pause, or go on."""
    suspended, blocked = bool(seen.jobset["spec"].get("suspend")), _waits_for_earlier(seen)
    for index, (name, job) in enumerate(jobs.items()):
        if job is None:
            if not blocked and not _is_leaving(seen, name):
                yield Create(JOB, job_of(seen.jobset, replicated, index))
        elif finish_of(job) is None and _is_paused(job) != suspended:
            paused = {**job, "spec": {**job["spec"], "suspend": True}}
            yield Update(JOB, job, paused if suspended else resumed(job, replicated))


def _startup(status: Obj, kind: str, now: datetime) -> Obj:
    """The status with one of the two conditions of the startup policy True, and the other, if it is there, False."""
    other = _RUNNING if kind == _STARTED else _STARTED
    known = next((each for each in status.get("conditions") or () if each["type"] == other), None)
    if known is not None and known["status"] == "True":
        status = _with(status, other, _ORDER[other], now, truth=False)
    return _with(status, kind, _ORDER[kind], now)


def _is_paused(job: Obj | None) -> bool:
    return job is not None and bool(job["spec"].get("suspend"))


def _is_started(replicated: Obj, counted: Obj) -> bool:
    return counted["ready"] + counted["succeeded"] + counted["failed"] >= replicated["replicas"]


def _may_start(replicated: Obj, counted: dict[str, Obj], jobset: Obj) -> bool:
    """Whether those that a replicated Job depends on are as far as it says."""
    replicas = {each["name"]: each["replicas"] for each in replicated_jobs(jobset)}
    for each in replicated.get("dependsOn") or ():
        found = counted[each["name"]]
        reached = found["succeeded"] + (found["ready"] if each["status"] == "Ready" else 0)
        if reached < replicas[each["name"]]:
            return False
    return True


def _waits_for_earlier(seen: Seen) -> bool:
    """Whether nothing is made until all of the attempt before is gone."""
    policy: Obj = seen.jobset["spec"].get("failurePolicy") or {}
    earlier = any(attempt_of(job) != restarts_of(seen.jobset) for job in seen.jobs)
    return earlier and policy.get("restartStrategy") == "BlockingRecreate"


def _is_leaving(seen: Seen, name: str) -> bool:
    """Whether a Job of that name is still there, from an attempt before."""
    return any(job["metadata"]["name"] == name for job in seen.jobs)


def _suspended(jobset: Obj, status: Obj, suspended: bool, now: datetime) -> tuple[Obj, list[Change]]:  # noqa: FBT001
    """Say in the status whether the JobSet is suspended; what is told of it when that changes."""
    known = next((each["status"] == "True" for each in status.get("conditions") or () if each["type"] == "Suspended"), None)
    if known is suspended or (known is None and not suspended):
        return status, []
    what = ("SuspendedJobs", "jobset is suspended") if suspended else ("ResumeJobs", "jobset is resumed")
    return _with(status, "Suspended", what, now, truth=suspended), [told(JOBSET, jobset, what, now, by=_BY)]


def _service(jobset: Obj) -> Obj:
    network: Obj = jobset["spec"].get("network") or {}
    meta = {
        "name": subdomain_of(jobset),
        "namespace": jobset["metadata"]["namespace"],
        "ownerReferences": [owner_reference(JOBSET, jobset)],
    }
    spec = {
        "clusterIP": "None",
        "selector": {NAME: jobset["metadata"]["name"]},
        "publishNotReadyAddresses": bool(network.get("publishNotReadyAddresses", True)),
    }
    return {"metadata": meta, "spec": spec}


def jobsets_controller(jobsets: Informer, jobs: Informer, client: Client, clock: Clock) -> Controller[Key]:
    """The controller of all JobSets.

    Args:
        jobsets: All JobSets.
        jobs: All Jobs.
        client: Reads and writes objects.
        clock: For the time after the end.
    """
    made = Controller[Key].of("jobsets", JobSets(), client, clock)
    made.follow(jobsets, lambda _, new: [key_of(new)] if new is not None else [])

    def of_job(old: Obj | None, new: Obj | None) -> list[Key]:
        found: list[Key] = []
        for job in (old, new):
            owner = controller(job) if job is not None else None
            if job is not None and owner is not None and owner.get("kind") == JOBSET.kind:
                found.append(Key(job["metadata"].get("namespace") or "", owner["name"]))
        return list(dict.fromkeys(found))

    made.follow(jobs, of_job)
    return made
