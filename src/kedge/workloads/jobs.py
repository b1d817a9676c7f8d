"""Jobs: Pods until enough of them succeeded.

What a Job is at a look is worked out in `job_look`, why it ends in `job_endings`, how its Pods are made in `job_pods`. Here is
what follows from that: which Pods are made and which go, and what the status says.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from kedge import errors
from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Change, Create, Delete, Plan, Update, set_status
from kedge.control.controller import Controller, reconcile
from kedge.control.informer import Informer
from kedge.kube import indexes, selectors
from kedge.kube.batch import JOB
from kedge.kube.clock import Clock, parse_timestamp, timestamp
from kedge.kube.core import POD
from kedge.kube.job_rules import MANAGER
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, controller, finalizers, is_deleting, key_of, owner_reference, owners, uid_of, with_metadata
from kedge.kube.pods import is_active, is_over, is_ready
from kedge.workloads.job_backoff import until_next, until_next_of_index
from kedge.workloads.job_endings import DONE, Ending, ending, until_deadline
from kedge.workloads.job_look import End, Look, Seen, finish_of, has_failed, only_failed_are_replaced
from kedge.workloads.job_pods import (
    TRACKING,
    ended_at,
    failures_of,
    first_to_go,
    index_of,
    names_for,
    pod_of,
    surplus,
    untracked,
)
from kedge.workloads.told import told

_BY = "job-controller"
_CREATED = 500  # Pods made at one look


class Jobs:
    """Reconciles one Job."""

    def __init__(self) -> None:
        # How Pods ended that may be gone by now: what a Job waits before it tries again follows from that.
        self._ends: dict[str, dict[str, End]] = {}

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a Job and its Pods."""
        if (job := await get_or_none(reader, JOB, key.name, key.namespace)) is None:
            return None
        uid = uid_of(job)
        found = (await reader.list(POD, key.namespace, labels=selectors.selector_text(job["spec"]["selector"]))).items
        pods = tuple(pod for pod in found if (controller(pod) or {}).get("uid") == uid)
        unowned = tuple(pod for pod in found if controller(pod) is None and not is_deleting(pod))
        if finish_of(job) is not None:
            self._ends.pop(uid, None)
            return Seen(job, pods)
        ends = self._ends.setdefault(uid, {})
        for pod in pods:
            if is_over(pod) or (has_failed(job, pod) and TRACKING in finalizers(pod)):
                ends.setdefault(uid_of(pod), End(ended_at(pod), has_failed(job, pod)))
        return Seen(job, pods, unowned, tuple(ends.values()))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide: which Pods are made, which go, and what the status says."""
        job = seen.job
        if job["spec"].get("managedBy", MANAGER) != MANAGER:
            return Plan()
        if is_deleting(job):
            return Plan(tuple(_released(seen.pods)))
        if (end := finish_of(job)) is not None:
            return _after(seen, end, now)
        if seen.unowned:
            return Plan(tuple(_adopted(job, seen.unowned)), requeue_after=0)
        look = Look(seen)
        why = ending(look, now)
        if why is None and not look.active and _is_done(look):
            why = DONE
        return _ended(look, why, now) if why is not None else _continued(look, now)

    def forget(self, uid: str) -> None:
        """Remember no more how Pods of a Job ended: it is gone."""
        self._ends.pop(uid, None)


def _released(pods: tuple[Obj, ...]) -> Iterator[Change]:
    for pod in pods:
        yield Update(POD, pod, untracked(pod))


def _adopted(job: Obj, pods: tuple[Obj, ...]) -> Iterator[Change]:
    for pod in pods:
        references = [*owners(pod), owner_reference(JOB, job)]
        yield Update(POD, pod, with_metadata(pod, ownerReferences=references, finalizers=[*finalizers(pod), TRACKING]))


def _after(seen: Seen, end: Obj, now: datetime) -> Plan:
    """What becomes of a Job that is over: nothing of it runs, and it goes when its time has come."""
    changes: list[Change] = list(_released(seen.pods))
    changes += [Delete(POD, pod) for pod in seen.pods if is_active(pod)]
    seconds = seen.job["spec"].get("ttlSecondsAfterFinished")
    if seconds is None:
        return Plan(changes)
    left = (parse_timestamp(end["lastTransitionTime"]) + timedelta(seconds=seconds) - now).total_seconds()
    if left > 0:
        return Plan(changes, requeue_after=left)
    return Plan((*changes, Delete(JOB, seen.job, "Foreground")))


def _is_done(look: Look) -> bool:
    return look.succeeded > 0 if look.completions is None else look.succeeded >= look.completions


def _ended(look: Look, why: Ending, now: datetime) -> Plan:
    """End a Job: its Pods go, and when the last is gone and counted the Job is over."""
    job = look.job
    good, bad, free = look.to_count(why.type)
    running = [*look.active, *look.strays]
    conditions = _with(look, why.type, why, now)
    counted = (good, bad)
    status = _status(look, counted, active=[], leaving=len(look.terminating) + len(running))
    if not look.suspended:
        status.setdefault("startTime", timestamp(now))
    over = not running and not look.terminating and not free and not good and not bad
    if over:
        conditions = _with(look, why.last, why, now, conditions)
        if why.last == "Complete":
            status["completionTime"] = timestamp(now)
    status["conditions"] = conditions
    changes: list[Change] = [set_status(JOB, job, status)]
    changes += [Update(POD, pod, untracked(pod)) for pod in free]
    changes += _gone(job, running, now)
    if over:
        what = ("Completed", "Job completed") if why.last == "Complete" else (why.reason, why.message)
        changes.append(told(JOB, job, what, now, by=_BY, warning=why.last == "Failed"))
    return Plan(changes)


def _continued(look: Look, now: datetime) -> Plan:
    """Go on with a Job: count what ended, then make or give up Pods."""
    job = look.job
    good, bad, free = look.to_count(None)
    going, coming, wait = _pods(look, now)
    leaving = {uid_of(pod) for pod in going}
    kept = [pod for pod in look.active if uid_of(pod) not in leaving]
    status = _status(look, (good, bad), kept, leaving=len(look.terminating) + len(going))
    status["active"] = len(kept) + len(coming)
    events = _suspended(look, status, now)
    counting = set_status(JOB, job, _trimmed(status))
    untrack: list[Change] = [Update(POD, pod, untracked(pod)) for pod in free]
    given_up: list[Change] = [Update(POD, pod, untracked(pod)) for pod in going]
    made: list[Change] = []
    for pod in coming:
        made += [Create(POD, pod), told(JOB, job, ("SuccessfulCreate", f"Created pod: {pod['metadata']['name']}"), now, by=_BY)]
    if good or bad or free or not made:
        changes = [counting, *untrack, *given_up, *_gone(job, going, now), *made]
    else:  # as on a cluster, the status tells of Pods that are there
        changes = [*made, counting]
    waits = [each for each in (wait, until_deadline(look, now)) if each is not None]
    if "startTime" in status and "startTime" not in look.status and look.spec.get("activeDeadlineSeconds") is not None:
        waits.append(float(look.spec["activeDeadlineSeconds"]))
    return Plan((*changes, *events), requeue_after=min(waits) if waits else None)


def _gone(job: Obj, pods: list[Obj], now: datetime) -> Iterator[Change]:
    for pod in pods:
        yield Delete(POD, pod)
        yield told(JOB, job, ("SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}"), now, by=_BY)


def _pods(look: Look, now: datetime) -> tuple[list[Obj], list[Obj], float | None]:
    """Pods to be given up, Pods to be made, and after how many seconds to look again.

    As a real Job controller, one look does one of the two.
    """
    if look.suspended:
        return [*look.active, *look.strays], [], None
    wanted = look.parallelism
    if look.completions is not None:
        wanted = max(min(wanted, look.completions - look.succeeded), 0)
    elif look.succeeded:
        wanted = len(look.active)
    going = [*look.strays, *(surplus(look.active, look.completions or 0) if look.indexed else [])]
    if (more := len(look.active) - len(going) + len(look.strays) - wanted) > 0:
        chosen = {uid_of(pod) for pod in going}
        going += [pod for pod in first_to_go(look.active) if uid_of(pod) not in chosen][:more]
    if going:
        return going, [], None
    held = len(look.terminating) if only_failed_are_replaced(look.job) else 0
    missing = min(wanted - len(look.active) - held, _CREATED)
    if missing <= 0:
        return [], [], None
    again = 0.0 if wanted - len(look.active) - held > missing else None
    if look.per_index is None and (wait := until_next(look.seen.ends, now)) > 0:
        return [], [], wait
    chosen_indexes, wait_of_index = _next_indexes(look, missing, now)
    return [], _made(look, chosen_indexes, now), again if again is not None else wait_of_index


def _next_indexes(look: Look, count: int, now: datetime) -> tuple[list[int | None], float | None]:
    """The indexes whose turn it is, and after how many seconds that of another comes."""
    if not look.indexed:
        return [None] * count, None
    busy = {index_of(pod) for pod in look.active} | look.completed | look.failed_indexes
    if only_failed_are_replaced(look.job):
        busy |= {index_of(pod) for pod in look.terminating}
    found, waits = list[int | None](), list[float]()
    for index in range(look.completions or 0):
        if len(found) >= count:
            break
        if index in busy:
            continue
        wait = until_next_of_index(look.held_back.get(index), now)
        if wait > 0:
            waits.append(wait)
        else:
            found.append(index)
    return found, min(waits) if waits else None


def _made(look: Look, chosen: list[int | None], now: datetime) -> list[Obj]:
    names = names_for(look.job, chosen, {pod["metadata"]["name"] for pod in look.seen.pods}, now)
    return [pod_of(look.job, name, index, _failures(look, index)) for index, name in zip(chosen, names, strict=True)]


def _failures(look: Look, index: int | None) -> tuple[int, int] | None:
    """What the next Pod of an index has to say of those before it."""
    if look.per_index is None or index is None:
        return None
    last = look.held_back.get(index)
    if last is None:
        return 0, 0
    counted, ignored = failures_of(last)
    return (counted + 1, ignored) if look.verdict(last).counts else (counted, ignored + 1)


def _status(look: Look, uncounted: tuple[list[str], list[str]], active: list[Obj], *, leaving: int) -> Obj:
    """The status but for its conditions."""
    succeeded, failed = look.counted
    status = {
        **look.status,
        "active": len(active),
        "ready": sum(map(is_ready, active)),
        "terminating": leaving,
        "succeeded": len(look.completed) if look.indexed else succeeded,
        "failed": failed,
        "uncountedTerminatedPods": {key: uids for key, uids in zip(("succeeded", "failed"), uncounted, strict=True) if uids},
        "completedIndexes": indexes.render(look.completed),
    }
    if look.per_index is not None:
        status["failedIndexes"] = indexes.render(look.failed_indexes)
    return _trimmed(status)


def _trimmed(status: Obj) -> Obj:
    """Without what says nothing, as Kubernetes writes it."""
    unsaid = ("active", "succeeded", "failed", "completedIndexes", "startTime")
    return {key: value for key, value in status.items() if value or key not in unsaid}


def _suspended(look: Look, status: Obj, now: datetime) -> list[Change]:
    """Say in the status whether the Job is suspended; what is told of it when that changes."""
    conditions: list[Any] = look.status.get("conditions") or []
    known = next((each.get("status") == "True" for each in conditions if each.get("type") == "Suspended"), None)
    changed = known is not True if look.suspended else known is True
    if look.suspended:
        status["startTime"] = None
    elif changed or not status.get("startTime"):
        status["startTime"] = timestamp(now)
    if not changed:
        return []
    word = "Suspended" if look.suspended else "Resumed"
    said = Ending("Suspended", f"Job{word}", f"Job {word.lower()}")
    status["conditions"] = _with(look, "Suspended", said, now, truth=look.suspended)
    return [told(JOB, look.job, (word, said.message), now, by=_BY)]


def _with(
    look: Look, kind: str, why: Ending, now: datetime, conditions: list[Obj] | None = None, *, truth: bool = True
) -> list[Obj]:
    """The conditions with one set; the same one again stays as it is."""
    known: list[Obj] = conditions if conditions is not None else list(look.status.get("conditions") or [])
    moment = timestamp(now)
    made: Obj = {
        "type": kind,
        "status": str(truth),
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": why.reason,
        "message": why.message,
    }
    for position, each in enumerate(known):
        if each.get("type") == kind:
            same = each.get("status") == made["status"]
            return known if same else [*known[:position], made, *known[position + 1 :]]
    return [*known, made]


def jobs_controller(jobs: Informer, pods: Informer, client: Client, clock: Clock) -> Controller[Key]:
    """The controller of all Jobs.

    Args:
        jobs: All Jobs.
        pods: All Pods.
        client: Reads and writes objects.
        clock: For limits and pauses.
    """
    reconciler = Jobs()

    async def handle(key: Key) -> float | None:
        try:
            _, again = await reconcile(reconciler, client, key, clock.now())
        except (errors.Invalid, errors.Forbidden) as error:
            await _tell_refused(client, key, error, clock.now())
            raise
        return again

    def of_pod(old: Obj | None, new: Obj | None) -> list[Key]:
        found = {_job_of(pod, jobs) for pod in (old, new) if pod is not None}
        return [key for key in found if key is not None]

    def of_job(old: Obj | None, new: Obj | None) -> list[Key]:
        if new is None:
            reconciler.forget(uid_of(old or {}))
        return [key_of(new)] if new is not None else []

    controller = Controller[Key]("jobs", handle, clock)
    controller.follow(jobs, of_job)
    controller.follow(pods, of_pod)
    return controller


async def _tell_refused(client: Client, key: Key, error: errors.ApiError, now: datetime) -> None:
    """A Job whose Pods are refused says so to whoever looks at it."""
    try:
        job = await client.get(JOB, key.name, key.namespace)
        change = told(JOB, job, ("FailedCreate", f"Error creating: {error}"), now, by=_BY, warning=True)
        await client.create(change.kind, change.obj)
    except errors.ApiError:
        return


def _job_of(pod: Obj, jobs: Informer) -> Key | None:
    """The Job of a Pod, or one that may take it."""
    namespace: str = pod["metadata"].get("namespace") or ""
    owner = controller(pod)
    if owner is not None:
        return Key(namespace, owner["name"]) if owner.get("kind") == JOB.kind else None
    for job in jobs.items(namespace):
        wanted = selectors.from_label_selector((job.get("spec") or {}).get("selector"))
        if wanted and selectors.label_predicate(wanted)(pod):
            return key_of(job)
    return None
