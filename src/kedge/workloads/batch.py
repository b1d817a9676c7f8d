"""The controllers of work that ends, with the informers that they share."""

from kedge.client.types import Client
from kedge.control.controller import Controller
from kedge.control.informer import Informer
from kedge.kube.batch import CRON_JOB, JOB
from kedge.kube.clock import Clock
from kedge.kube.core import POD
from kedge.kube.jobset import JOBSET
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key
from kedge.workloads.cronjobs import cronjobs_controller
from kedge.workloads.job_orphans import job_orphans_controller
from kedge.workloads.jobs import jobs_controller
from kedge.workloads.jobsets import jobsets_controller


def _names(obj: Obj) -> Obj:
    """What a change is told by: whose it is, and what it selects. All else is read when it is looked at."""
    return {"metadata": obj["metadata"], "spec": {"selector": (obj.get("spec") or {}).get("selector")}}


class Batch:
    """Jobs, CronJobs and JobSets.

    Args:
        client: Reads and writes objects.
        clock: For limits, schedules and pauses.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        found = tuple(Informer(client, kind, clock).keeping(_names) for kind in (POD, JOB, JOBSET, CRON_JOB))
        self.informers: tuple[Informer, ...] = found
        pods, jobs, jobsets, cron_jobs = found
        self.controllers: tuple[Controller[Key], ...] = (
            jobs_controller(jobs, pods, client, clock),
            job_orphans_controller(jobs, pods, client, clock),
            jobsets_controller(jobsets, jobs, client, clock),
            cronjobs_controller(cron_jobs, jobs, client, clock),
        )
