"""The Jobs of a JobSet: how they are named and labelled, and what they say of themselves."""

import copy
import hashlib
from typing import Any

from kedge.kube.batch import JOB
from kedge.kube.jobset import COUNTS, JOBSET
from kedge.kube.jobset_claims import DELETE, claim_name, is_mounted, templates
from kedge.kube.kinds import Obj
from kedge.kube.metadata import labels_of, owner_reference
from kedge.workloads.job_look import finish_of

_PREFIX = "jobset.sigs.k8s.io"
NAME = f"{_PREFIX}/jobset-name"
ATTEMPT = f"{_PREFIX}/restart-attempt"
REPLICATED = f"{_PREFIX}/replicatedjob-name"
COORDINATOR = f"{_PREFIX}/coordinator"
_PLACING = ("nodeSelector", "tolerations", "schedulingGates")


def replicated_jobs(jobset: Obj) -> list[Obj]:
    """The replicated Jobs of a JobSet, in their order."""
    return jobset["spec"].get("replicatedJobs") or []


def subdomain_of(jobset: Obj) -> str:
    """The name of the Service that its Pods' names belong to."""
    return (jobset["spec"].get("network") or {}).get("subdomain") or jobset["metadata"]["name"]


def has_names(jobset: Obj) -> bool:
    """Whether its Pods have names."""
    return bool((jobset["spec"].get("network") or {}).get("enableDNSHostnames"))


def job_name(jobset: Obj, replicated: Obj, index: int) -> str:
    """The name of one Job."""
    return f"{jobset['metadata']['name']}-{replicated['name']}-{index}"


def restarts_of(jobset: Obj) -> int:
    """How often the JobSet was begun anew."""
    return (jobset.get("status") or {}).get("restarts") or 0


def attempt_of(job: Obj) -> int:
    """In which attempt a Job was made."""
    text = labels_of(job).get(ATTEMPT) or "0"
    return int(text) if text.isdecimal() else 0


def _marks(jobset: Obj, replicated: Obj, index: int) -> dict[str, str]:
    """What Jobs and Pods bear, as labels and as annotations."""
    jobs = replicated_jobs(jobset)
    place = next(position for position, each in enumerate(jobs) if each["name"] == replicated["name"])
    group = replicated.get("groupName") or "default"
    fellows = [each for each in jobs if (each.get("groupName") or "default") == group]
    before = sum(each["replicas"] for each in jobs[:place])
    before_in_group = sum(each["replicas"] for each in jobs[:place] if each in fellows)
    meta, name = jobset["metadata"], job_name(jobset, replicated, index)
    key = hashlib.sha1(f"{meta['namespace']}/{name}".encode(), usedforsecurity=False).hexdigest()
    found = {
        "jobset-name": meta["name"],
        "jobset-uid": meta["uid"],
        "replicatedjob-name": replicated["name"],
        "group-name": group,
        "global-replicas": sum(each["replicas"] for each in jobs),
        "replicatedjob-replicas": replicated["replicas"],
        "group-replicas": sum(each["replicas"] for each in fellows),
        "restart-attempt": restarts_of(jobset),
        "job-index": index,
        "job-global-index": before + index,
        "job-group-index": before_in_group + index,
        "job-key": key,
    }
    marks = {f"{_PREFIX}/{key}": str(value) for key, value in found.items()}
    if coordinator := jobset["spec"].get("coordinator"):
        marks[COORDINATOR] = coordinator_of(jobset, coordinator)
    return marks


def coordinator_of(jobset: Obj, coordinator: Obj) -> str:
    """The name by which the Pods of a JobSet reach the one that coordinates them."""
    job, pod = coordinator.get("jobIndex") or 0, coordinator.get("podIndex") or 0
    return f"{jobset['metadata']['name']}-{coordinator['replicatedJob']}-{job}-{pod}.{subdomain_of(jobset)}"


def job_of(jobset: Obj, replicated: Obj, index: int) -> Obj:
    """Make one Job.

    Args:
        jobset: The JobSet.
        replicated: Which of its replicated Jobs.
        index: Which of the replicas.
    """
    template: Obj = copy.deepcopy(replicated["template"])
    meta: Obj = template.get("metadata") or {}
    marks = _marks(jobset, replicated, index)
    spec: Obj = template["spec"]
    pod: Obj = spec.setdefault("template", {})
    pod_meta: Obj = pod.setdefault("metadata", {})
    for key in ("labels", "annotations"):
        pod_meta[key] = {**(pod_meta.get(key) or {}), **marks}
    if has_names(jobset):
        pod["spec"]["subdomain"] = subdomain_of(jobset)
    spec["suspend"] = bool(jobset["spec"].get("suspend"))
    for _, claim in templates(jobset["spec"]):
        name = claim["metadata"]["name"]
        if is_mounted(pod["spec"], name):
            source = {"persistentVolumeClaim": {"claimName": claim_name(jobset["metadata"]["name"], name)}}
            pod["spec"]["volumes"] = [*(pod["spec"].get("volumes") or ()), {"name": name, **source}]
    made = {
        "name": job_name(jobset, replicated, index),
        "namespace": jobset["metadata"]["namespace"],
        "labels": {**(meta.get("labels") or {}), **marks},
        "annotations": {**(meta.get("annotations") or {}), **marks},
        "ownerReferences": [owner_reference(JOBSET, jobset)],
    }
    return {"apiVersion": JOB.api_version, "kind": JOB.kind, "metadata": made, "spec": spec}


def claims_of(jobset: Obj) -> list[Obj]:
    """The claims that a JobSet's Pods share. One that is kept has no owner, and outlives it."""
    meta = jobset["metadata"]
    found: list[Obj] = []
    for policy, template in templates(jobset["spec"]):
        given: Obj = template["metadata"]
        made: Obj = {
            "name": claim_name(meta["name"], given["name"]),
            "namespace": meta["namespace"],
            "labels": {**(given.get("labels") or {}), NAME: meta["name"]},
        }
        if given.get("annotations"):
            made["annotations"] = given["annotations"]
        if (policy.get("retentionPolicy") or {}).get("whenDeleted") == DELETE:
            made["ownerReferences"] = [owner_reference(JOBSET, jobset)]
        found.append({"metadata": made, "spec": copy.deepcopy(template.get("spec") or {})})
    return found


def resumed(job: Obj, replicated: Obj) -> Obj:
    """A Job that goes on, its Pods placed as the JobSet now says."""
    spec: Obj = copy.deepcopy(job["spec"])
    wanted: Obj = (replicated["template"]["spec"].get("template")) or {}
    pod, meta = spec["template"]["spec"], spec["template"].setdefault("metadata", {})
    for key in _PLACING:
        if key in (wanted.get("spec") or {}):
            pod[key] = copy.deepcopy(wanted["spec"][key])
    for key in ("labels", "annotations"):
        meta[key] = {**(meta.get(key) or {}), **((wanted.get("metadata") or {}).get(key) or {})}
    return {**job, "spec": {**spec, "suspend": False}}


def pods_of(job: Obj) -> int:
    """How many Pods of a Job run at once, or have to succeed where that is less."""
    spec = job["spec"]
    parallelism: int = spec.get("parallelism", 1)
    completions: Any = spec.get("completions")
    return parallelism if completions is None else min(parallelism, completions)


def counts(replicated: Obj, jobs: list[Obj]) -> Obj:
    """What a status says of one replicated Job."""
    found: dict[str, int] = dict.fromkeys(COUNTS, 0)
    for job in jobs:
        status: Obj = job.get("status") or {}
        end = finish_of(job)
        if end is not None:
            found["succeeded" if end["type"] == "Complete" else "failed"] += 1
            continue
        found["ready"] += (status.get("succeeded") or 0) + (status.get("ready") or 0) >= pods_of(job)
        found["active"] += (status.get("active") or 0) > 0
        found["suspended"] += bool(job["spec"].get("suspend"))
    return {"name": replicated["name"], **found}
