"""When a JobSet is done, when it has failed, and when it begins anew."""

import re
from typing import NamedTuple

from kedge.kube.clock import parse_timestamp
from kedge.kube.jobset_rules import FAIL, FORGIVEN, RESTART
from kedge.kube.kinds import Obj
from kedge.kube.metadata import labels_of
from kedge.workloads.job_look import finish_of
from kedge.workloads.jobset_jobs import REPLICATED, replicated_jobs


class Decision(NamedTuple):
    """What becomes of a JobSet one of whose Jobs failed.

    Attributes:
        reason: One CamelCase word.
        message: A sentence.
        restarts: Whether it begins anew; otherwise it failed.
        counts: Whether that counts towards ``maxRestarts``.
    """

    reason: str
    message: str
    restarts: bool = False
    counts: bool = True


def _first(failed: list[Obj]) -> Obj:
    return min(failed, key=lambda job: (_moment(job), job["metadata"]["name"]))


def _moment(job: Obj) -> float:
    text = (finish_of(job) or {}).get("lastTransitionTime")
    return parse_timestamp(text).timestamp() if text else 0.0


def on_failure(jobset: Obj, failed: list[Obj]) -> Decision:
    """Decide what a failed Job leads to.

    Args:
        jobset: The JobSet.
        failed: Its Jobs that failed in this attempt, one at least.
    """
    policy = jobset["spec"].get("failurePolicy")
    if policy is None:
        return Decision("FailedJobs", _message("jobset failed due to one or more job failures", _first(failed)))
    action, job = _rule(policy, failed)
    if action == FAIL:
        return Decision("FailJobSetFailurePolicyAction", _message("applying FailJobSet failure policy action", job))
    counted = (jobset.get("status") or {}).get("restartsCountTowardsMax") or 0
    if action == RESTART and counted >= (policy.get("maxRestarts") or 0):
        return Decision("ReachedMaxRestarts", _message("jobset failed due to reaching max number of restarts", job))
    message = _message(f"applying {action} failure policy action", job)
    return Decision(f"{action}FailurePolicyAction", message, restarts=True, counts=action != FORGIVEN)


def _rule(policy: Obj, failed: list[Obj]) -> tuple[str, Obj]:
    """The action of the first rule that one of the failed Jobs fulfils, and the first Job that does."""
    for rule in policy.get("rules") or ():
        if matching := [job for job in failed if _matches(rule, job)]:
            return rule["action"], _first(matching)
    return RESTART, _first(failed)


def _matches(rule: Obj, job: Obj) -> bool:
    end = finish_of(job) or {}
    reasons, patterns = rule.get("onJobFailureReasons") or [], rule.get("onJobFailureMessagePatterns") or []
    targets = rule.get("targetReplicatedJobs") or []
    return (
        (not targets or labels_of(job).get(REPLICATED) in targets)
        and (not reasons or end.get("reason") in reasons)
        and (not patterns or any(re.search(pattern, end.get("message") or "") for pattern in patterns))
    )


def _message(text: str, job: Obj) -> str:
    return f"{text} (first failed job: {job['metadata']['name']})"


def is_successful(jobset: Obj, succeeded: list[Obj]) -> bool:
    """Whether the Jobs that succeeded are those that have to."""
    policy: Obj = jobset["spec"].get("successPolicy") or {}
    targets = policy.get("targetReplicatedJobs") or []
    wanted = [each for each in replicated_jobs(jobset) if not targets or each["name"] in targets]
    names = {each["name"] for each in wanted}
    done = [job for job in succeeded if labels_of(job).get(REPLICATED) in names]
    if policy.get("operator") == "Any":
        return bool(done)
    return len(done) >= sum(each["replicas"] for each in wanted)
