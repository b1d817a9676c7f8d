"""The run's side of staging: what a Pod is to do, and what it did.

This is where an attempt becomes a success: the commit is one transaction that records the outputs and whatever they set off. It
names the Pod by its UID, and is taken from the attempt's own Pod alone, once; asked again it answers the same.
"""

from collections.abc import Sequence
from typing import Any

from kedge.artifacts.staging import Assignment, Batch, StagedOutputs
from kedge.errors import Conflict, Invalid, Unavailable
from kedge.kube.clock import Clock
from kedge.pipelines import observations
from kedge.pipelines.controller import RunController
from kedge.pipelines.engine.types import Inputs, Outputs, State, StepCommitted, StepStarted
from kedge.pipelines.engine.values import MismatchError, conform
from kedge.pipelines.history import History
from kedge.pipelines.live import LiveRun
from kedge.pipelines.records import Attempt
from kedge.pipelines.series import Points, Series, SeriesKey
from kedge.pipelines.spec import Component, OutputParameter, ParameterType


class Commits:
    """`kedge.artifacts.staging.Backend` for the steps of runs.

    Args:
        controller: Knows the runs that are not over.
        history: Knows the others.
        series: Keeps the points of metrics.
        clock: For the times of commits.
    """

    def __init__(self, controller: RunController, history: History, series: Series, clock: Clock) -> None:
        self._controller = controller
        self._history = history
        self._series = series
        self._clock = clock

    async def begin(self, pod_uid: str) -> Assignment:
        """Say what the Pod is to do.

        Raises:
            Conflict: Its attempt is not wanted any more, or never was one of ours.
            Unavailable: Not now; ask again.
        """
        live, attempt = self._current(pod_uid)
        task = live.engine.tasks[attempt.task]
        plan = live.steps.plan(task.component, task.executor)
        inputs = task.inputs or Inputs()
        given = live.steps.executor_input(plan, attempt.task, attempt.number, inputs)
        known = [
            one for listed in inputs.artifacts.values() for one in listed if one.digest or observations.was_never_written(one)
        ]
        return Assignment(given, str(live.spec.project.get("digest", "")), {one.uri: one.digest for one in known})

    async def commit(self, pod_uid: str, outputs: StagedOutputs) -> None:
        """Record what the Pod did.

        Raises:
            Conflict: The attempt is not wanted any more.
            Invalid: An output does not fit its declaration: the step's failure.
            Unavailable: It could not be written now; try again.
        """
        if self._is_repeated(pod_uid):
            return
        live, attempt = self._current(pod_uid)
        task = live.engine.tasks[attempt.task]
        plan = live.steps.plan(task.component, task.executor)
        made = _outputs(live.record.id, attempt, plan.component, outputs)
        worker = self._controller.worker(live.record.id)
        if worker is None:
            raise Conflict(_not_wanted(pod_uid))
        pod = self._controller.pod(live.record.namespace, attempt.pod_name)
        if plan.staged and not isinstance(
            observations.judge(pod, "nothing") if pod is not None else None, observations.Succeeded
        ):
            # The sidecar is told to stop when the user's command has ended, however it ended: whether with 0 is not known yet.
            live.stage(attempt, made)
            if pod is not None:
                worker.observe(pod, gone=False)
            return
        begun = [StepStarted(attempt.created_at, attempt.task, attempt.number)] if attempt.state is State.PENDING else []
        worker.feed([*begun, StepCommitted(self._clock.now(), attempt.task, attempt.number, made)])
        if pod is not None:
            worker.observe(pod, gone=False)  # so that it is let go
        self._check(live, attempt)

    async def record(self, pod_uid: str, series: Sequence[Batch]) -> None:
        """Record points of metrics that the Pod logs.

        Raises:
            Conflict: Its attempt is not wanted any more, or has committed.
            Invalid: A metric belongs to no output of the step, or more was logged than is kept of an attempt.
            Unavailable: Not now; send them again.
        """
        live, attempt = self._current(pod_uid)
        task = live.engine.tasks[attempt.task]
        outputs = live.steps.plan(task.component, task.executor).component.output_definitions.artifacts
        found: dict[SeriesKey, Points] = {}
        for batch in series:
            if batch.output not in outputs:
                known = ", ".join(sorted(outputs)) or "none"
                raise Invalid(
                    f"metric {batch.name!r}: step {attempt.task!r} has no output artifact {batch.output!r}, only {known}."
                )
            key = SeriesKey(attempt.task, batch.name, attempt.number, batch.output, batch.index)
            points = found.setdefault(key, {})
            points.update((step, (at, float(value))) for step, at, value in batch.points)
        self._series.check_room(live.record.id, attempt.task, attempt.number)
        self._series.record(live.record.id, found)

    def _check(self, live: LiveRun, attempt: Attempt) -> None:
        task = live.engine.tasks[attempt.task]
        if task.state is State.SUCCEEDED and task.attempt == attempt.number:
            return
        failure = task.failure
        if failure is not None and failure.reason == "OutputInvalid":
            raise Invalid(failure.message)
        raise Conflict(_not_wanted(attempt.pod_uid or attempt.pod_name))

    def _is_repeated(self, pod_uid: str) -> bool:
        """Whether this Pod's commit is recorded already: the answer was lost on its way."""
        found = self._controller.find(pod_uid)
        if found is None:
            known = self._history.attempt_of_pod(pod_uid)
            return known is not None and known.state is State.SUCCEEDED
        live = self._controller.live(found.run)
        if live is not None and (found.task, found.attempt) in live.attempts:
            return False
        attempts = [a for a in self._history.attempts(found.run, found.task) if a.number == found.attempt]
        if attempts and attempts[0].failure is not None and attempts[0].failure.reason == "OutputInvalid":
            raise Invalid(attempts[0].failure.message)
        return bool(attempts) and attempts[0].state is State.SUCCEEDED and attempts[0].pod_uid == pod_uid

    def _current(self, pod_uid: str) -> tuple[LiveRun, Attempt]:
        found = self._controller.find(pod_uid)
        live = self._controller.live(found.run) if found is not None else None
        if found is None or live is None:
            raise Conflict(_not_wanted(pod_uid))
        if live.broken:
            raise Unavailable("the run's history cannot be written just now; try again.", retry_after=1)
        live.seen(found.task, found.attempt, pod_uid)
        attempt = live.attempts.get((found.task, found.attempt))
        if attempt is None or attempt.pod_uid != pod_uid:
            raise Conflict(_not_wanted(pod_uid))
        return live, attempt


def _not_wanted(pod: str) -> str:
    return f"Pod {pod}: this attempt is not wanted any more. It was cancelled, or another took its place."


def _outputs(run: str, attempt: Attempt, component: Component, staged: StagedOutputs) -> Outputs:
    """What a step said it made, as the engine takes it."""
    texts = {name: _parsed(text, component.output_definitions.parameters.get(name)) for name, text in staged.texts.items()}
    made = observations.made(run, attempt.task, attempt.number, staged.artifacts)
    return Outputs({**texts, **staged.parameters}, made)  # what an ExecutorOutput says wins over the files of parameters


def _parsed(text: str, definition: OutputParameter | None) -> Any:
    """The value that a file of text spells; what does not is left as it is, and refused with its type by the engine."""
    if definition is None or definition.kind is ParameterType.STRING:
        return text
    try:
        return conform(text.strip(), definition.kind, parse=True)
    except MismatchError:
        return text
