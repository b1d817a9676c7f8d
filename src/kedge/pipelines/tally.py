"""What has become of runs and steps since the host started, as numbers."""

from kedge.measures import LONG_SECONDS, Counter, Histogram
from kedge.pipelines.engine.types import State
from kedge.pipelines.records import Changes


class Tally:
    """Counts what is written to the history.

    Attributes:
        runs: Runs that ended, by state.
        attempts: Attempts of steps that ended, by state.
        waited: Seconds from the making of attempts to their start.
        worked: Seconds from their start to their end, by state.
        cached: Tasks that took their results from the cache.
        artifacts: Artifacts that were committed.
        artifact_bytes: How large they were.
    """

    def __init__(self) -> None:
        self.runs, self.attempts, self.cached = Counter(), Counter(), Counter()
        self.artifacts, self.artifact_bytes = Counter(), Counter()
        self.waited, self.worked = Histogram(LONG_SECONDS), Histogram(LONG_SECONDS)

    def see(self, changes: Changes) -> None:
        """Count changes that were written."""
        if changes.run is not None and changes.run.finished:
            self.runs.add(changes.run.state)
        for task in changes.tasks.values():
            if task.state is State.CACHED:
                self.cached.add()
        for attempt in changes.attempts.values():
            if not attempt.state.finished:
                continue
            self.attempts.add(attempt.state.value)
            if attempt.started_at is not None:
                self.waited.observe(max(0.0, (attempt.started_at - attempt.created_at).total_seconds()))
                if attempt.finished_at is not None:
                    took = (attempt.finished_at - attempt.started_at).total_seconds()
                    self.worked.observe(max(0.0, took), attempt.state.value)
        for record in changes.artifacts:
            self.artifacts.add()
            self.artifact_bytes.add(by=record.artifact.size or 0)
