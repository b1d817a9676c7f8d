"""The Pods of a Job: how they are made, what they say of themselves, and which go first."""

import copy
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from kedge.kube.batch import INDEX, JOB
from kedge.kube.clock import parse_timestamp
from kedge.kube.kinds import Obj
from kedge.kube.metadata import annotations_of, finalizers, is_deleting, owner_reference, without_finalizer
from kedge.kube.names import suffix_of
from kedge.kube.pods import is_ready

TRACKING = "batch.kubernetes.io/job-tracking"
"""The finalizer of a Pod that its Job has not counted yet."""
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"
_VARIABLE = "JOB_COMPLETION_INDEX"
_LONGEST = 58  # letters before the suffix


def is_tracked(pod: Obj) -> bool:
    """Whether a Pod waits to be counted."""
    return TRACKING in finalizers(pod)


def untracked(pod: Obj) -> Obj:
    """The Pod when it has been counted."""
    return without_finalizer(pod, TRACKING)


def phase_of(pod: Obj) -> str:
    """The phase of a Pod."""
    return (pod.get("status") or {}).get("phase") or "Pending"


def index_of(pod: Obj) -> int | None:
    """The completion index that a Pod works on; ``None`` where it says none."""
    text = annotations_of(pod).get(INDEX) or ""
    return int(text) if text.isdecimal() else None


def failures_of(pod: Obj) -> tuple[int, int]:
    """How often its index had failed before this Pod: failures that counted, and those that did not."""
    found = [annotations_of(pod).get(key) or "" for key in (FAILURES, IGNORED)]
    counted, ignored = (int(text) if text.isdecimal() else 0 for text in found)
    return counted, ignored


def ended_at(pod: Obj) -> datetime:
    """When a Pod ended: its last container, or when its deletion was asked for, or when it was made."""
    status: Obj = pod.get("status") or {}
    ends = [
        ended["finishedAt"]
        for each in status.get("containerStatuses") or ()
        if (ended := (each.get("state") or {}).get("terminated")) and ended.get("finishedAt")
    ]
    meta: Obj = pod["metadata"]
    if ends:
        return max(map(parse_timestamp, ends))
    if is_deleting(pod):
        grace = timedelta(seconds=meta.get("deletionGracePeriodSeconds") or 0)
        return parse_timestamp(meta["deletionTimestamp"]) - grace
    return parse_timestamp(meta["creationTimestamp"])


def pod_of(job: Obj, name: str, index: int | None = None, failures: tuple[int, int] | None = None) -> Obj:
    """Make a Pod of a Job.

    Args:
        job: The Job.
        name: The Pod's name.
        index: The completion index that it works on.
        failures: How often that index failed, counted and ignored, where the Job limits that for each index.
    """
    template: Obj = copy.deepcopy(job["spec"]["template"])
    meta: Obj = template.get("metadata") or {}
    labels, annotations = dict(meta.get("labels") or {}), dict(meta.get("annotations") or {})
    spec: Obj = template["spec"]
    if index is not None:
        labels[INDEX] = annotations[INDEX] = str(index)
        spec["hostname"] = f"{job['metadata']['name']}-{index}"
        _tell_index(spec)
    if failures is not None:
        annotations[FAILURES] = str(failures[0])
        if failures[1]:
            annotations[IGNORED] = str(failures[1])
    made: Obj = {
        "name": name,
        "generateName": prefix_of(job, index),
        "namespace": job["metadata"]["namespace"],
        "labels": labels,
        "finalizers": [*(meta.get("finalizers") or ()), TRACKING],
        "ownerReferences": [owner_reference(JOB, job)],
    }
    if annotations:
        made["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": spec}


def _tell_index(spec: Obj) -> None:
    path = f"metadata.labels['{INDEX}']"
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        env: list[Obj] = container.get("env") or []
        if not any(each.get("name") == _VARIABLE for each in env):
            container["env"] = [*env, {"name": _VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": path}}}]


def prefix_of(job: Obj, index: int | None) -> str:
    """What the names of a Job's Pods begin with."""
    tail = "-" if index is None else f"-{index}-"
    return job["metadata"]["name"][: _LONGEST - len(tail)] + tail


def names_for(job: Obj, indexes: Iterable[int | None], taken: set[str], now: datetime) -> Iterator[str]:
    """Names of new Pods: the same for the same look, so that a plan stays a plain function of what was seen.

    Args:
        job: The Job.
        indexes: Which Pods.
        taken: Names that Pods of the Job have.
        now: When.
    """
    used = set(taken)
    for ordinal, index in enumerate(indexes):
        for attempt in range(1000):
            seed = f"{job['metadata'].get('uid')} {now.isoformat()} {index} {ordinal} {attempt}"
            name = prefix_of(job, index) + suffix_of(seed)
            if name not in used:
                used.add(name)
                yield name
                break


def first_to_go(pods: Iterable[Obj]) -> list[Obj]:
    """Active Pods in the order in which they are given up: those that have got the least far first."""
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}
    newest_first = sorted(pods, key=lambda pod: pod["metadata"].get("creationTimestamp") or "", reverse=True)
    return sorted(newest_first, key=lambda pod: (bool(pod["spec"].get("nodeName")), phases.get(phase_of(pod), 2), is_ready(pod)))


def surplus(pods: Iterable[Obj], completions: int) -> list[Obj]:
    """Active Pods of an indexed Job that it does not want: of no index, of one that it does not have, or the second of one."""
    kept = set[int]()
    over = list[Obj]()
    for pod in reversed(first_to_go(pods)):
        index = index_of(pod)
        if index is None or index >= completions or index in kept:
            over.append(pod)
        else:
            kept.add(index)
    return over


def restarts_of(pod: Obj) -> int:
    """How often containers of a Pod were started again."""
    status: Obj = pod.get("status") or {}
    found: list[Any] = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return sum(each.get("restartCount") or 0 for each in found)
