"""Fires recurring runs: looks at one, decides by `kedge.pipelines.schedules`, takes the moments, makes the Runs.

Taking a moment is a row whose key is the recurring run and the moment; making its Run is a create under a name that follows from
both. Whatever is killed between the two is found at the next start and done again, with the same one Run as its end.
"""

import logging

from kedge.control.background import Background
from kedge.control.controller import Controller
from kedge.control.queue import WorkQueue
from kedge.errors import ApiError, KedgeError, Unavailable
from kedge.kube.clock import Clock
from kedge.pipelines.records import RunRecord
from kedge.pipelines.recurring import Firing, RecurringRun, RecurringRuns
from kedge.pipelines.schedules import Seen, desire, filled
from kedge.pipelines.submissions import Found, Order, Submissions

_log = logging.getLogger(__name__)
# The wall clock may be set, or the machine sleep: no wait is longer than this.
_LONGEST_WAIT = 30.0


class Scheduler:
    """Fires recurring runs.

    Args:
        recurring: What there is.
        submissions: Makes Runs.
        clock: For times.
    """

    def __init__(self, recurring: RecurringRuns, submissions: Submissions, clock: Clock) -> None:
        self._recurring = recurring
        self._submissions = submissions
        self._clock = clock
        self._controller: Controller[str] = Controller("recurring run", self._handle, clock)
        self._background = Background("recurring runs")

    @property
    def queue(self) -> WorkQueue[str]:
        """The recurring runs to look at."""
        return self._controller.queue

    async def start(self) -> None:
        """Begin; the moments that were missed while nothing ran are seen at once."""
        for recurring_run_id in self._recurring.to_look_at():
            self._controller.queue.add(recurring_run_id)
        self._background.start(self._controller.run())

    async def stop(self) -> None:
        """Let go; what was taken is finished by the next start."""
        await self._background.stop()

    def look(self, recurring_run_id: str) -> None:
        """Something about it has changed."""
        self._controller.queue.add(recurring_run_id)

    def run_ended(self, record: RunRecord) -> None:
        """A run is over: if it was one of these, there is room for the next."""
        if record.recurring_run_id is not None:
            self.look(record.recurring_run_id)

    async def _handle(self, recurring_run_id: str) -> float | None:
        """One look; returns the seconds after which to look again."""
        record = self._recurring.find(recurring_run_id)
        if record is None:
            return None
        await self._finish(record)
        now = self._clock.now()
        seen = Seen(
            trigger=record.trigger,
            since=record.since,
            enabled=record.enabled,
            no_catchup=record.no_catchup,
            room=record.max_concurrency - self._recurring.live(record.id),
        )
        decision = desire(seen, now)
        self._recurring.take(record, decision.moments)
        await self._finish(record)
        if not record.enabled:
            return None
        if decision.wake_at is None:
            return _LONGEST_WAIT
        return min(max((decision.wake_at - now).total_seconds(), 0.0), _LONGEST_WAIT)

    async def _finish(self, record: RecurringRun) -> None:
        """Make the Runs of the moments that are taken."""
        for firing in self._recurring.open_firings(record.id):
            try:
                made = await self._make(record, firing)
            except Unavailable:
                raise  # not now: the controller tries again
            except (ApiError, KedgeError) as error:
                about = {"recurring_run_id": record.id, "moment": str(firing.moment), "error": str(error)}
                _log.warning("a recurring run makes no run for a moment", extra=about)
                self._recurring.close(firing, error=str(error))
            else:
                self._recurring.close(firing, run_id=made.id)

    async def _make(self, record: RecurringRun, firing: Firing) -> RunRecord:
        moment = firing.moment
        order = Order(
            namespace=record.namespace,
            parameters=filled(record.parameters, moment, self._clock.now(), firing.position),
            pipeline_root=record.pipeline_root,
            display_name=f"{record.display_name} {moment:%Y-%m-%d %H:%M:%S}",
            experiment_id=record.experiment_id or "",
            service_account=record.service_account,
            recurring_run_id=record.id,
            scheduled_at=moment,
            tags=record.tags,
            name=firing.run_name,
        )
        return await self._submissions.submit(self._found(record), order)

    def _found(self, record: RecurringRun) -> Found:
        """The pipeline as it is now: of the newest version, where none is named."""
        if record.spec_digest is not None:
            return self._submissions.kept(record.spec_digest)
        return self._submissions.stored(record.pipeline_id or "", record.pipeline_version_id or "")
