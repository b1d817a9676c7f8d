"""Runs that are over and go on because somebody changed something: the pipeline, or their mind about one task."""

from collections.abc import Callable

from msgspec.structs import replace

from kedge.errors import BadRequest, NotFound, PipelineError
from kedge.kube.clock import Clock
from kedge.pipelines.adoption import Registrar
from kedge.pipelines.controller import CAN_GO_ON, RunController
from kedge.pipelines.engine.arguments import check_parameters
from kedge.pipelines.engine.resuming import Past, Plan, again_from, resumed
from kedge.pipelines.engine.types import Values
from kedge.pipelines.history import History
from kedge.pipelines.records import RunRecord, Spec


class Resumptions:
    """Lets runs go on.

    Args:
        controller: Opens them.
        history: Knows them.
        registrar: Reads their pipelines.
        clock: For times.
    """

    def __init__(self, controller: RunController, history: History, registrar: Registrar, clock: Clock) -> None:
        self._controller = controller
        self._history = history
        self._registrar = registrar
        self._clock = clock

    async def retry_task(self, run_id: str, task: str) -> Plan:
        """Run a task of a run that is over again, and what depends on it.

        Args:
            run_id: The run.
            task: The task's id, or its name where only one has it.

        Raises:
            NotFound: There is no such run.
            BadRequest: It is not over, it has no such task, or its object is gone.
        """
        record = await self._still(run_id, "only a task of a run that is over can be run again. Wait for its end, or cancel it")
        spec = self._spec(record)
        return await self._go_on(record, lambda: again_from(self._registrar.pipeline(spec), task, self._past(run_id)))

    async def resume(self, run_id: str, spec: Spec) -> Plan:
        """Go on with a run that failed or was canceled, with a changed pipeline.

        Args:
            run_id: The run.
            spec: The pipeline; already checked.

        Returns:
            What was kept, and what runs again for which reason.

        Raises:
            NotFound: There is no such run.
            BadRequest: It did not fail, its arguments do not fit the pipeline, or its object is gone.
        """
        record = await self._still(run_id, "only one that is over can be resumed. Wait for its end, or cancel it")
        if record.state not in CAN_GO_ON:
            raise BadRequest(f"run {run_id!r} is {record.state}: only one that failed or was canceled can be resumed.")
        before, new = self._spec(record), self._registrar.pipeline(spec)
        same_code = before.project.get("digest") == spec.project.get("digest")

        def plan() -> Plan:
            inputs = Values(check_parameters(new, record.parameters))
            return resumed(self._registrar.pipeline(before), new, inputs, self._past(run_id), same_code=same_code)

        if spec.digest == record.spec_digest:
            return await self._go_on(record, plan)
        self._history.keep_spec(spec, self._clock.now())
        # What it runs now is no stored version any more.
        return await self._go_on(replace(record, spec_digest=spec.digest, pipeline_id=None, pipeline_version_id=None), plan)

    async def _go_on(self, record: RunRecord, plan: Callable[[], Plan]) -> Plan:
        try:
            plan()  # what cannot be done is refused before anything is changed
            return await self._controller.reopen(record, lambda _: plan())
        except PipelineError as error:
            raise BadRequest(f"run {record.id!r}: {error}") from error

    async def _still(self, run_id: str, rule: str) -> RunRecord:
        record = self._history.run(run_id)
        if record is None:
            raise NotFound(f"run {run_id!r} not found. `kedge runs list` shows those that exist.")
        if not record.finished or not await self._controller.comes_to_rest(run_id):
            raise BadRequest(f"run {run_id!r} is {record.state}: {rule}.")
        return record

    def _spec(self, record: RunRecord) -> Spec:
        found = self._history.spec(record.spec_digest)
        if found is None:
            raise BadRequest(f"run {record.id!r} has lost its pipeline, so what has changed cannot be told. Start another run.")
        return found

    def _past(self, run_id: str) -> Past:
        numbers: dict[str, int] = {}
        for attempt in self._history.attempts(run_id):
            numbers[attempt.task] = max(numbers.get(attempt.task, 0), attempt.number + 1)
        return Past(self._history.tasks(run_id), numbers, self._clock.now())
