"""REST: recurring runs, which can be changed in place (upstream cannot)."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from kedge.errors import BadRequest, Cause
from kedge.kube.clock import Clock, Ids, parse_timestamp, timestamp
from kedge.pipelines import answers, rest_bodies, shapes, tags
from kedge.pipelines.cron import Cron, every
from kedge.pipelines.engine.values import MAX_DEPTH, is_shallow
from kedge.pipelines.history import History
from kedge.pipelines.operations import Call
from kedge.pipelines.records import Spec
from kedge.pipelines.recurring import RecurringRun, RecurringRuns
from kedge.pipelines.rest_runs import refuse_plugins
from kedge.pipelines.scheduler import Scheduler
from kedge.pipelines.schedules import Trigger
from kedge.pipelines.submissions import Found, Order, Submissions

_MODES = {"MODE_UNSPECIFIED": True, "ENABLE": True, "DISABLE": False, 0: True, 1: True, 2: False}
_MOST_CONCURRENT = 10
_MOST_COMING = 100
_FIRST_YEAR, _LAST_YEAR = 1970, 9000
_CENTURY = 100 * 366 * 86400


@dataclass(frozen=True, slots=True)
class Parts:
    """What the endpoints work with."""

    recurring: RecurringRuns
    scheduler: Scheduler
    submissions: Submissions
    history: History
    clock: Clock
    ids: Ids


class RecurringRunEndpoints:
    """The endpoints of recurring runs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(self, call: Call) -> Response:
        """``POST /recurringruns``."""
        asked: rest_bodies.RecurringRun = call.body
        if not asked.display_name:
            raise BadRequest("the RecurringRun: display_name must not be empty.")
        if asked.trigger is None:
            raise BadRequest("the RecurringRun: trigger is required: when shall it run?")
        changes, spec = await self._changes(call, None)
        now = self._parts.clock.now()
        record = RecurringRun(
            id=self._parts.ids.uid(),
            namespace=call.home,
            created_at=now,
            updated_at=now,
            **changes,
        )
        self._parts.recurring.add(record, spec)
        self._parts.scheduler.look(record.id)
        return self._shown(record)

    async def update(self, call: Call) -> Response:
        """``PATCH /recurringruns/{recurring_run_id}``: the fields that are given."""
        known = self._parts.recurring.get(call.path["recurring_run_id"])
        changes, spec = await self._changes(call, known)
        record = self._parts.recurring.change(known.id, self._parts.clock.now(), spec=spec, **changes)
        self._parts.scheduler.look(record.id)
        return self._shown(record)

    async def list(self, call: Call) -> Response:
        """``GET /recurringruns``."""
        page = self._parts.recurring.page(call.listing, namespace=call.namespace or "", experiment_id=call.text("experiment_id"))
        return answers.listed("recurring_runs", [shapes.recurring_run(record) for record in page.items], page)

    async def get(self, call: Call) -> Response:
        """``GET /recurringruns/{recurring_run_id}``."""
        return self._shown(self._parts.recurring.get(call.path["recurring_run_id"]))

    async def preview(self, call: Call) -> Response:
        """``GET /recurringruns:preview``."""
        limits = {"start_time": call.text("start_time") or None, "end_time": call.text("end_time") or None}
        cron, interval = call.text("cron"), call.text("interval_second")
        asked = rest_bodies.Trigger(
            cron_schedule=rest_bodies.CronSchedule(cron=cron, **limits) if cron else None,
            periodic_schedule=rest_bodies.PeriodicSchedule(interval_second=interval, **limits) if interval else None,
        )
        return self._coming(call, _trigger(asked, self._parts.clock.now()))

    async def preview_of(self, call: Call) -> Response:
        """``GET /recurringruns/{recurring_run_id}:preview``."""
        return self._coming(call, self._parts.recurring.get(call.path["recurring_run_id"]).trigger)

    def _coming(self, call: Call, trigger: Trigger) -> Response:
        count = 5 if (given := call.number("count")) is None else given
        if not 1 <= count <= _MOST_COMING:
            raise BadRequest(f"count: must be 1 to {_MOST_COMING}, got {count}.")
        coming = trigger.coming(self._parts.clock.now(), count)
        local = [moment.astimezone(trigger.zone).isoformat(timespec="seconds") for moment in coming]
        told = {"trigger_in_words": trigger.in_words(), "time_zone": str(trigger.zone)}
        return answers.answer({**told, "moments": [timestamp(moment) for moment in coming], "local_moments": local})

    async def delete(self, call: Call) -> Response:
        """``DELETE /recurringruns/{recurring_run_id}``."""
        self._parts.recurring.delete(call.path["recurring_run_id"])
        return answers.answer({})

    async def enable(self, call: Call) -> Response:
        """``POST /recurringruns/{recurring_run_id}:enable``."""
        return self._switch(call, enabled=True)

    async def disable(self, call: Call) -> Response:
        """``POST /recurringruns/{recurring_run_id}:disable``."""
        return self._switch(call, enabled=False)

    def _switch(self, call: Call, *, enabled: bool) -> Response:
        recurring_run_id = call.path["recurring_run_id"]
        self._parts.recurring.change(recurring_run_id, self._parts.clock.now(), enabled=enabled)
        self._parts.scheduler.look(recurring_run_id)
        return answers.answer({})

    def _shown(self, record: RecurringRun) -> Response:
        spec = self._parts.history.spec(record.spec_digest) if record.spec_digest else None
        return answers.answer(shapes.recurring_run(record, spec))

    # ---- what is asked for

    async def _changes(self, call: Call, known: RecurringRun | None) -> tuple[dict[str, Any], Spec | None]:
        """The fields that a request sets, and the pipeline that it brings.

        Raises:
            BadRequest: One cannot be.
        """
        asked: rest_bodies.RecurringRun = call.body
        refuse_plugins(asked.plugins_input)
        changes: dict[str, Any] = {
            name: value
            for name in ("display_name", "description", "experiment_id", "service_account", "no_catchup")
            if (value := getattr(asked, name)) is not None
        }
        if changes.get("display_name") == "":
            raise BadRequest("the RecurringRun: display_name must not be empty.")
        if changes.get("experiment_id") == "":
            changes["experiment_id"] = None
        if asked.tags is not None:
            tags.check(asked.tags)
            changes["tags"] = asked.tags
        if asked.mode is not None:
            changes["enabled"] = _enabled(asked.mode)
        if asked.max_concurrency is not None:
            changes["max_concurrency"] = _concurrency(asked.max_concurrency)
        if asked.trigger is not None:
            changes |= self._moments(asked.trigger, known)
        if asked.runtime_config is not None:
            changes["parameters"] = asked.runtime_config.parameters or {}
            if not is_shallow(changes["parameters"]):
                raise BadRequest(f"runtime_config.parameters: are nested more than {MAX_DEPTH} levels deep.")
            changes["pipeline_root"] = asked.runtime_config.pipeline_root or ""
        found = await self._pipeline(call, known)
        if found is not None:
            changes |= _source(asked, found)
        await self._check(found, changes, known, call.home)
        return changes, found.spec if found is not None and found.version is None else None

    def _moments(self, asked: rest_bodies.Trigger, known: RecurringRun | None) -> dict[str, Any]:
        now = self._parts.clock.now()
        trigger = _trigger(asked, now)
        if known is None:
            return {"trigger": trigger, "since": trigger.first}
        if _same(trigger, known.trigger):
            return {}
        return {"trigger": trigger, "since": now}  # what the new trigger would have done before is nobody's wish

    async def _pipeline(self, call: Call, known: RecurringRun | None) -> Found | None:
        """What it shall run, if the request says it."""
        asked: rest_bodies.RecurringRun = call.body
        silent = asked.pipeline_spec is None and asked.pipeline_version_reference is None and not asked.pipeline_version_id
        if known is not None and silent:
            return None
        version_id = asked.pipeline_version_id or ""
        return await self._parts.submissions.find(
            asked.pipeline_spec, asked.pipeline_version_reference, version_id=version_id, size=call.size
        )

    async def _check(self, found: Found | None, changes: dict[str, Any], known: RecurringRun | None, namespace: str) -> None:
        """Refuse what no firing could start. Macros are still texts here, as they are when they are filled in."""
        relevant = {"parameters", "pipeline_root", "experiment_id"} & changes.keys()
        if found is None and not (known is not None and relevant):
            return
        if found is None and known is not None:
            stored = self._parts.submissions
            digest = known.spec_digest
            found = stored.kept(digest) if digest else stored.stored(known.pipeline_id or "", known.pipeline_version_id or "")
        kept = {name: getattr(known, name) for name in ("parameters", "pipeline_root", "experiment_id")} if known else {}
        wanted = {**kept, **{name: changes[name] for name in relevant}}
        order = Order(
            namespace=namespace,
            parameters=wanted.get("parameters") or {},
            pipeline_root=wanted.get("pipeline_root") or "",
            experiment_id=wanted.get("experiment_id") or "",
        )
        if found is not None:
            await self._parts.submissions.check(found, order)


def _source(asked: rest_bodies.RecurringRun, found: Found) -> dict[str, Any]:
    """Where its pipeline is. A version that was not named stays open: it is the newest at each firing."""
    if found.version is None:
        return {"spec_digest": found.spec.digest, "pipeline_id": None, "pipeline_version_id": None}
    reference = asked.pipeline_version_reference
    named = asked.pipeline_version_id or (reference.pipeline_version_id if reference is not None else None)
    return {"spec_digest": None, "pipeline_id": found.version.pipeline_id, "pipeline_version_id": named or None}


def _enabled(mode: str | int) -> bool:
    if mode not in _MODES:
        raise BadRequest(f"mode: must be ENABLE or DISABLE, got {mode!r:.80}.")
    return _MODES[mode]


def _concurrency(value: int | str) -> int:
    number = _whole("max_concurrency", value)
    if not 1 <= number <= _MOST_CONCURRENT:
        raise BadRequest(f"max_concurrency: must be 1 to {_MOST_CONCURRENT}, got {number}.")
    return number


def _whole(name: str, value: int | str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise BadRequest(f"{name}: {value!r:.80} is no whole number.") from error


def _trigger(asked: rest_bodies.Trigger, now: datetime) -> Trigger:
    """A trigger as it is asked for, checked.

    Raises:
        BadRequest: It has none or both kinds of moments, or one that cannot be.
    """
    cron, periodic = asked.cron_schedule, asked.periodic_schedule
    chosen = cron or periodic
    if chosen is None or (cron is not None and periodic is not None):
        raise BadRequest("trigger: one of cron_schedule and periodic_schedule is required.")
    with _blamed("start_time"):
        start = _time("start_time", chosen.start_time)
    with _blamed("end_time"):
        end = _time("end_time", chosen.end_time)
        if start is not None and end is not None and end <= start:
            raise BadRequest("trigger: end_time must be after start_time.")
    limits: dict[str, Any] = {"start": start, "end": end, "anchor": now}
    if cron is not None:
        with _blamed("cron"):
            if every(cron.cron) is None:
                Cron(cron.cron)
        return Trigger(cron=cron.cron, **limits)
    with _blamed("interval_second"):
        interval = _whole("interval_second", periodic.interval_second if periodic is not None else 0)
        if not 1 <= interval <= _CENTURY:
            raise BadRequest(f"interval_second: must be at least 1 and at most a century, got {interval}.")
    return Trigger(interval=interval, **limits)


@contextmanager
def _blamed(field: str) -> Generator[None]:
    """Name the field of a trigger that a refusal is about."""
    try:
        yield
    except BadRequest as error:
        error.causes = (Cause(field, str(error)),)
        raise


def _same(one: Trigger, other: Trigger) -> bool:
    return (one.cron, one.interval, one.start, one.end) == (other.cron, other.interval, other.start, other.end)


def _time(name: str, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        found = parse_timestamp(text)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"trigger: {name}: {text!r:.80} is no RFC 3339 time, such as 2026-11-23T09:05:07Z.") from error
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise BadRequest(f"trigger: {name}: {text!r:.80} is not in the years {_FIRST_YEAR} to {_LAST_YEAR}.")
    return found
