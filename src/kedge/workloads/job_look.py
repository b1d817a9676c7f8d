"""What a Job and its Pods amount to at one look: who runs, who ended and is not counted yet, which indexes are done.

A Pod that ended is counted once, whenever the host is stopped. A Pod holds a finalizer until then. First the status names its uid
in ``uncountedTerminatedPods``, then the finalizer goes, and when it is gone the number is raised and the uid taken out, in one
write. An index is counted by its number, of which there is one: it needs no list.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from kedge.kube import indexes
from kedge.kube.kinds import Obj
from kedge.kube.metadata import is_deleting, uid_of
from kedge.kube.pods import is_active, is_over
from kedge.workloads.job_pods import failures_of, index_of, is_tracked, phase_of
from kedge.workloads.job_policies import Verdict, verdict

_NEW = 500  # Pods whose uids a status takes at once, so that it stays small


@dataclass(frozen=True, slots=True)
class End:
    """How a Pod ended.

    Attributes:
        at: When.
        failed: Whether it failed.
    """

    at: datetime
    failed: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        job: The Job.
        pods: Those that are its own, deleted ones too as long as they are there.
        unowned: Pods that its selector finds and that nobody manages.
        ends: Pods of it that ended, those too that are gone, as far as this process saw them.
    """

    job: Obj
    pods: tuple[Obj, ...] = ()
    unowned: tuple[Obj, ...] = ()
    ends: tuple[End, ...] = ()


def only_failed_are_replaced(job: Obj) -> bool:
    """Whether a Pod that is being deleted holds its place until it has ended."""
    return job["spec"].get("podReplacementPolicy") == "Failed"


def has_failed(job: Obj, pod: Obj) -> bool:
    """Whether a Pod counts as failed: it failed, or is being deleted where that is enough."""
    if phase_of(pod) == "Failed":
        return True
    return is_deleting(pod) and phase_of(pod) != "Succeeded" and not only_failed_are_replaced(job)


class Look:
    """A Job at one moment. Everything is worked out once, when it is first asked for.

    Args:
        seen: What was seen.
    """

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.job = seen.job
        self.spec: Obj = seen.job["spec"]
        self.status: Obj = seen.job.get("status") or {}
        self.completions: int | None = self.spec.get("completions")
        self.parallelism: int = self.spec.get("parallelism") or 0
        self.indexed = self.spec.get("completionMode") == "Indexed"
        self.per_index: int | None = self.spec.get("backoffLimitPerIndex")
        self.suspended = bool(self.spec.get("suspend"))
        self.tracked = [pod for pod in seen.pods if is_tracked(pod)]
        self.active = [pod for pod in self.tracked if is_active(pod)]
        self.strays = [pod for pod in seen.pods if is_active(pod) and not is_tracked(pod)]
        self.terminating = [pod for pod in seen.pods if is_deleting(pod) and not is_over(pod)]

    @cached_property
    def uncounted(self) -> tuple[list[str], list[str]]:
        """Uids that the status names and whose Pods still hold the finalizer: of Pods that succeeded, and that failed."""
        held = {uid_of(pod) for pod in self.tracked}
        named: Obj = self.status.get("uncountedTerminatedPods") or {}
        good, bad = ([uid for uid in named.get(key) or () if uid in held] for key in ("succeeded", "failed"))
        return good, bad

    @cached_property
    def counted(self) -> tuple[int, int]:
        """Pods that succeeded and failed, and are counted for good."""
        named: Obj = self.status.get("uncountedTerminatedPods") or {}
        good, bad = self.uncounted
        succeeded = (self.status.get("succeeded") or 0) + len(named.get("succeeded") or ()) - len(good)
        failed = (self.status.get("failed") or 0) + len(named.get("failed") or ()) - len(bad)
        return succeeded, failed

    @cached_property
    def completed(self) -> frozenset[int]:
        """Indexes that are done."""
        if not self.indexed:
            return frozenset()
        known = indexes.parse(self.status.get("completedIndexes"), self.completions or 0)
        done = (index_of(pod) for pod in self.tracked if phase_of(pod) == "Succeeded")
        return known | {index for index in done if index is not None and index < (self.completions or 0)}

    @cached_property
    def failed_indexes(self) -> frozenset[int]:
        """Indexes that are given up."""
        if self.per_index is None:
            return frozenset()
        known = indexes.parse(self.status.get("failedIndexes"), self.completions or 0)
        lost = {index_of(pod) for pod in self.tracked if self._gives_up(pod)}
        return known | {index for index in lost if index is not None and index < (self.completions or 0)}

    def _gives_up(self, pod: Obj) -> bool:
        if not has_failed(self.job, pod):
            return False
        said = self.verdict(pod)
        return said.action == "FailIndex" or (said.counts and failures_of(pod)[0] >= (self.per_index or 0))

    def verdict(self, pod: Obj) -> Verdict:
        """What the Job's policy says of a failed Pod."""
        return verdict(self.spec.get("podFailurePolicy"), pod) if phase_of(pod) == "Failed" else Verdict()

    @cached_property
    def succeeded(self) -> int:
        """Pods, or indexes, that succeeded, whether counted for good or not yet."""
        if self.indexed:
            return len(self.completed)
        good, _ = self.uncounted
        return self.counted[0] + len({*good, *(uid_of(pod) for pod in self.tracked if phase_of(pod) == "Succeeded")})

    @cached_property
    def failed(self) -> int:
        """Pods whose failure counts, whether counted for good or not yet."""
        _, bad = self.uncounted
        lost = (uid_of(pod) for pod in self.tracked if has_failed(self.job, pod) and self.verdict(pod).counts)
        return self.counted[1] + len({*bad, *lost})

    @cached_property
    def held_back(self) -> dict[int, Obj]:
        """The last failed Pod of each index that is to be tried again.

        It keeps its finalizer, and so the count of failures, until the next one is there to carry it on.
        """
        if self.per_index is None:
            return {}
        busy = {index_of(pod) for pod in self.active} | self.completed | self.failed_indexes
        found = dict[int, Obj]()
        for pod in self.tracked:
            index = index_of(pod)
            if index is None or index in busy or index >= (self.completions or 0) or not has_failed(self.job, pod):
                continue
            last = found.get(index)
            if last is None or sum(failures_of(last)) <= sum(failures_of(pod)):
                found[index] = pod
        return found

    def to_count(self, ending: str | None) -> tuple[list[str], list[str], list[Obj]]:
        """What is counted now.

        Args:
            ending: The type of the condition that ends the Job; ``None`` when it goes on.

        Returns:
            Uids to be named as succeeded and as failed, and the Pods whose finalizer goes after that.
        """
        good, bad = map(list[str], self.uncounted)
        known, free = {*good, *bad}, list[Obj]()
        back = {uid_of(pod) for pod in self.held_back.values()} if ending is None else set[str]()
        for pod in self.tracked:
            uid = uid_of(pod)
            failed = has_failed(self.job, pod) or (ending == "FailureTarget" and phase_of(pod) != "Succeeded")
            if uid in back:
                continue
            if phase_of(pod) == "Succeeded":
                good += [uid] if not self.indexed and uid not in known else []
            elif failed:
                bad += [uid] if uid not in known and self._is_of_it(pod) and self.verdict(pod).counts else []
            elif ending is None:
                continue
            free.append(pod)
            if len(free) >= _NEW:
                break
        return good, bad, free

    def _is_of_it(self, pod: Obj) -> bool:
        index = index_of(pod)
        return not self.indexed or (index is not None and index < (self.completions or 0))


def finish_of(job: Obj) -> Obj | None:
    """The condition by which a Job is over, or ``None``."""
    conditions: list[Any] = (job.get("status") or {}).get("conditions") or []
    over = (each for each in conditions if each.get("type") in {"Complete", "Failed"} and each.get("status") == "True")
    return next(over, None)
