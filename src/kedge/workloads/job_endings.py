"""Why a Job ends: the first of its limits, policies and goals that is reached."""

from datetime import datetime, timedelta
from typing import NamedTuple

from kedge.kube.clock import parse_timestamp
from kedge.kube.conditions import find
from kedge.kube.kinds import Obj
from kedge.workloads.job_look import Look, has_failed
from kedge.workloads.job_pods import phase_of, restarts_of
from kedge.workloads.job_policies import success_rule

FAILURE, SUCCESS = "FailureTarget", "SuccessCriteriaMet"
_LAST = {FAILURE: "Failed", SUCCESS: "Complete"}


class Ending(NamedTuple):
    """Why a Job ends.

    Attributes:
        type: The condition that says that it is about to: `FAILURE` or `SUCCESS`.
        reason: One CamelCase word.
        message: A sentence.
    """

    type: str
    reason: str
    message: str

    @property
    def last(self) -> str:
        """The condition that says that it is over."""
        return _LAST[self.type]


DONE = Ending(SUCCESS, "CompletionsReached", "Reached expected number of succeeded pods")
_BACKOFF = Ending(FAILURE, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
_DEADLINE = Ending(FAILURE, "DeadlineExceeded", "Job was active longer than specified deadline")
_TOO_MANY = Ending(FAILURE, "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes")
_SOME = Ending(FAILURE, "FailedIndexes", "Job has failed indexes")


def ending(look: Look, now: datetime) -> Ending | None:
    """Why the Job ends, before it has all that it was to do; ``None`` when it goes on. What was decided once stays."""
    for kind in (SUCCESS, FAILURE):
        known = find(look.job, kind)
        if known is not None and known.get("status") == "True":
            return Ending(kind, known.get("reason") or "", known.get("message") or "")
    return _failed_policy(look) or _limit(look, now) or _failed_indexes(look) or _enough(look)


def _failed_policy(look: Look) -> Ending | None:
    for pod in look.tracked:
        if has_failed(look.job, pod) and (said := look.verdict(pod)).action == "FailJob":
            return Ending(FAILURE, "PodFailurePolicy", said.message)
    return None


def _limit(look: Look, now: datetime) -> Ending | None:
    limit: int = look.spec.get("backoffLimit", 6)
    if look.failed > limit or _restarted_too_often(look, limit):
        return _BACKOFF
    left = until_deadline(look, now)
    return _DEADLINE if left is not None and left <= 0 else None


def _restarted_too_often(look: Look, limit: int) -> bool:
    if (look.spec["template"].get("spec") or {}).get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(restarts_of(pod) for pod in look.tracked if phase_of(pod) in {"Running", "Pending"})
    return restarts > 0 if limit == 0 else restarts >= limit


def until_deadline(look: Look, now: datetime) -> float | None:
    """Seconds that the Job may still take; ``None`` for any."""
    seconds, start = look.spec.get("activeDeadlineSeconds"), look.status.get("startTime")
    if seconds is None or start is None or look.suspended or _was_suspended(look.job):
        return None
    return (parse_timestamp(start) + timedelta(seconds=seconds) - now).total_seconds()


def _was_suspended(job: Obj) -> bool:
    condition = find(job, "Suspended")
    return condition is not None and condition.get("status") == "True"


def _failed_indexes(look: Look) -> Ending | None:
    failed, most = len(look.failed_indexes), look.spec.get("maxFailedIndexes")
    if not look.indexed or look.per_index is None:
        return None
    if most is not None and failed > most:
        return _TOO_MANY
    return _SOME if failed and failed + len(look.completed) >= (look.completions or 0) else None


def _enough(look: Look) -> Ending | None:
    if not look.indexed:
        return None
    position = success_rule(look.spec.get("successPolicy"), look.completed, look.completions or 0)
    return None if position is None else Ending(SUCCESS, "SuccessPolicy", f"Matched rules at index {position}")
