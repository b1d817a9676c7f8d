"""What a Run object says of its run: enough for people who look at the object. The graph is in the history."""

from kedge.kube.clock import timestamp
from kedge.kube.kinds import Obj
from kedge.pipelines.engine.types import State
from kedge.pipelines.kinds import is_over
from kedge.pipelines.lifetimes import TTL
from kedge.pipelines.live import LiveRun
from kedge.pipelines.records import RunRecord
from kedge.pipelines.spec import Pipeline


def keep(obj: Obj) -> Obj:
    """Finished Runs are held without their pipelines."""
    if not is_over(obj):
        return obj
    spec = obj.get("spec") or {}
    return {**obj, "spec": {key: spec[key] for key in ("ttlSecondsAfterFinished", "terminate") if key in spec}}


def of_record(record: RunRecord) -> Obj:
    """What the status of a run says by its record alone: a merge patch, so what does not hold any more is null in it."""
    return {
        "state": record.state,
        "pipeline": record.pipeline_name,
        "startTime": record.started_at and timestamp(record.started_at),
        "completionTime": record.finished_at and timestamp(record.finished_at),
        "message": record.failure and record.failure.message,
    }


def lifetime(pipeline: Pipeline, record: RunRecord) -> Obj:
    """How long the object of a run that is over stays, where its pipeline says so."""
    seconds = pipeline.lifetime.ttl(record.state)
    return {TTL: seconds} if seconds else {}


def of_live(live: LiveRun) -> Obj:
    """What the status of a run says while somebody works on it: a merge patch likewise."""
    counts = live.counts()
    finished = sum(count for state, count in counts.items() if State(state).finished)
    tasks: Obj = {"total": sum(counts.values()), "finished": finished}
    tasks |= {state.lower(): counts.get(state) or None for state in State}
    return {**of_record(live.record), "tasks": tasks, "progress": f"{finished}/{tasks['total']}"}
