"""Pods that no Job counts any more, since it is gone or no longer selects them: they lose the finalizer that holds them."""

from dataclasses import dataclass
from datetime import datetime

from kedge import errors
from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Plan, Update
from kedge.control.controller import Controller
from kedge.control.informer import Informer
from kedge.kube import selectors
from kedge.kube.batch import JOB
from kedge.kube.clock import Clock
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, controller, key_of, labels_of, owners, uid_of, with_metadata
from kedge.workloads.job_pods import is_tracked, untracked

_BY_OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        pod: A Pod that waits to be counted.
        job: The Job that manages it, if that is there.
    """

    pod: Obj
    job: Obj | None


class JobOrphans:
    """Reconciles one Pod that waits to be counted."""

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a Pod and at its Job."""
        if (pod := await get_or_none(reader, POD, key.name, key.namespace)) is None:
            return None
        if not is_tracked(pod):
            return None
        owner = controller(pod)
        if owner is None or owner.get("kind") != JOB.kind:
            return Seen(pod, None)
        try:
            job = await reader.get(JOB, owner["name"], key.namespace)
        except errors.NotFound:
            return Seen(pod, None)
        return Seen(pod, job if uid_of(job) == owner["uid"] else None)

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Let it go when there is nobody to count it."""
        del now
        pod, job = seen.pod, seen.job
        if job is None:
            return Plan((Update(POD, pod, untracked(pod)),))
        wanted = selectors.from_label_selector(job["spec"]["selector"])
        if selectors.label_predicate(wanted)(pod):
            return Plan()
        others = [owner for owner in owners(pod) if owner["uid"] != uid_of(job)]
        return Plan((Update(POD, pod, with_metadata(untracked(pod), ownerReferences=others or None)),))


def job_orphans_controller(jobs: Informer, pods: Informer, client: Client, clock: Clock) -> Controller[Key]:
    """The controller of Pods without a Job; arguments as of `jobs_controller`."""
    made = Controller[Key].of("job-orphans", JobOrphans(), client, clock)
    pods.index(_BY_OWNER, lambda pod: [owner["uid"] for owner in owners(pod)])

    def of_pod(old: Obj | None, new: Obj | None) -> list[Key]:
        if new is None or not is_tracked(new):
            return []
        same = old is not None and labels_of(old) == labels_of(new) and owners(old) == owners(new)
        return [] if same else [key_of(new)]

    def of_job(old: Obj | None, new: Obj | None) -> list[Key]:
        if new is not None or old is None:
            return []
        return [key_of(pod) for pod in pods.find(_BY_OWNER, uid_of(old)) if is_tracked(pod)]

    made.follow(pods, of_pod)
    made.follow(jobs, of_job)
    return made
