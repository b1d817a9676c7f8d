"""REST: runs."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse

from kedge.errors import BadRequest, NotFound
from kedge.pipelines import answers, rest_bodies, shapes
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.controller import RunController
from kedge.pipelines.deletions import Deletions
from kedge.pipelines.engine.resuming import Plan
from kedge.pipelines.engine.types import CANCELLED
from kedge.pipelines.history import History
from kedge.pipelines.operations import Call
from kedge.pipelines.records import RunRecord
from kedge.pipelines.resumptions import Resumptions
from kedge.pipelines.submissions import Found, Order, Submissions

# A run of more tasks is shown without them: a client that polls would have the hub write megabytes again and again.
_MOST_DETAILS = 1000
_VIEWS = ("", "DEFAULT", "FULL")  # of one run, as KFP 3.0 has them
_MOST_KEPT = 100
_line = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Ends:
    """What comes after a run's end."""

    deletions: Deletions
    resumptions: Resumptions


class Runs:
    """The endpoints of runs.

    Args:
        controller: Begins and ends runs.
        history: Knows them all.
        catalog: Knows their experiments.
        submissions: Makes runs of requests.
        ends: What comes after a run's end.
    """

    def __init__(
        self, controller: RunController, history: History, *, catalog: Catalog, submissions: Submissions, ends: Ends
    ) -> None:
        self._controller = controller
        self._history = history
        self._catalog = catalog
        self._submissions = submissions
        self._ends = ends

    async def create(self, call: Call) -> Response:
        """``POST /runs``."""
        return answers.answer(shapes.run(await self._submissions.submit(*await self._asked(call))))

    async def validate(self, call: Call) -> Response:
        """``POST /runs:validate``."""
        await self._submissions.check(*await self._asked(call))
        return answers.answer({})

    async def _asked(self, call: Call) -> tuple[Found, Order]:
        """The pipeline and what a request asks for besides."""
        asked: rest_bodies.Run = call.body
        refuse_plugins(asked.plugins_input)
        version_id = asked.pipeline_version_id or ""
        found = await self._submissions.find(
            asked.pipeline_spec, asked.pipeline_version_reference, version_id=version_id, size=call.size
        )
        config = asked.runtime_config or rest_bodies.RuntimeConfig()
        order = Order(
            namespace=call.home,
            parameters=config.parameters or {},
            pipeline_root=config.pipeline_root or "",
            display_name=asked.display_name or "",
            description=asked.description or "",
            experiment_id=asked.experiment_id or call.text("experiment_id"),
            service_account=asked.service_account or "",
            cache=call.flag("cache", default=True),
            tags=asked.tags or {},
        )
        return found, order

    async def list(self, call: Call) -> Response:
        """``GET /runs``; with ``watch=true`` one JSON a line, for each change of any."""
        if call.flag("watch"):
            if others := [name for name in ("page_size", "page_token", "sort_by", "filter") if call.text(name)]:
                raise BadRequest(f"{others[0]}: is for a list. Of a watch only namespace and experiment_id choose.")
            return StreamingResponse(self._watch(call), media_type="application/json-seq")
        page = self._history.list_runs(call.listing, namespace=call.namespace or "", experiment_id=call.text("experiment_id"))
        return answers.listed("runs", [shapes.run(record) for record in page.items], page)

    async def _watch(self, call: Call) -> AsyncGenerator[bytes]:
        namespace, experiment_id = call.namespace or "", call.text("experiment_id")

        def wanted(record: RunRecord) -> bool:
            return namespace in ("", record.namespace) and experiment_id in ("", record.experiment_id)

        async for changes in self._history.run_changes.follow(wanted):
            for each in changes:
                yield _line(shapes.run(each.run) | ({"deleted": True} if each.deleted else {})) + b"\n"

    async def get(self, call: Call) -> Response:
        """``GET /runs/{run_id}``."""
        record = known_run(self._controller, self._history, call.path["run_id"])
        spec = None if record.pipeline_version_id else self._history.spec(record.spec_digest)
        view = call.text("view")
        if view not in _VIEWS:
            raise BadRequest(f"view: must be one of {', '.join(filter(None, _VIEWS))}, got {view!r:.80}.")
        count = self._history.count_tasks(record.id)
        body = {**shapes.run(record, spec), "task_count": count}
        if count <= _MOST_DETAILS:
            tasks, attempts = self._history.tasks(record.id), self._history.attempts(record.id)
            body |= shapes.run_tasks(tasks, attempts, record.id, full=view == "FULL", pipeline=self._controller.pipeline(record))
        elif view == "FULL":
            raise BadRequest(
                f"view: run {record.id} has {count:,} tasks, too many for one answer. "
                f"GET /apis/v2beta1/runs/{record.id}/tasks?page_size=200 has them in pages."
            )
        return answers.answer(body)

    async def terminate(self, call: Call) -> Response:
        """``POST /runs/{run_id}:terminate``."""
        await self._controller.cancel(call.path["run_id"], CANCELLED)
        return answers.answer({})

    async def retry(self, call: Call) -> Response:
        """``POST /runs/{run_id}:retry``."""
        if task := call.text("task_id"):
            return answers.answer(_resumption(await self._ends.resumptions.retry_task(call.path["run_id"], task)))
        await self._controller.retry(call.path["run_id"])
        return answers.answer({})

    async def resume(self, call: Call) -> Response:
        """``POST /runs/{run_id}:resume``."""
        asked: rest_bodies.Resumption = call.body
        found = await self._submissions.find(asked.pipeline_spec, asked.pipeline_version_reference, size=call.size)
        return answers.answer(_resumption(await self._ends.resumptions.resume(call.path["run_id"], found.spec)))

    async def tag(self, call: Call) -> Response:
        """``POST /runs/{run_id}:tag``."""
        record = self._history.run(call.path["run_id"])
        if record is None:
            raise no_run(call.path["run_id"])
        asked: rest_bodies.Tags = call.body
        return answers.answer(shapes.run(await self._controller.tagging.change(record, asked.tags)))

    async def archive(self, call: Call) -> Response:
        """``POST /runs/{run_id}:archive``."""
        return self._store(call.path["run_id"], "ARCHIVED")

    async def unarchive(self, call: Call) -> Response:
        """``POST /runs/{run_id}:unarchive``."""
        run_id = call.path["run_id"]
        record = self._history.run(run_id)
        if record is not None and record.experiment_id:
            experiment = self._catalog.experiment(record.experiment_id)
            if experiment.storage_state == "ARCHIVED":
                raise BadRequest(f"run {run_id!r}: its experiment {experiment.display_name!r} is archived. Unarchive that first.")
        return self._store(run_id, "AVAILABLE")

    def _store(self, run_id: str, state: str) -> Response:
        if not self._history.set_storage_state(run_id, state):
            raise no_run(run_id)
        return answers.answer({})

    async def delete(self, call: Call) -> Response:
        """``DELETE /runs/{run_id}``."""
        done = await self._ends.deletions.delete(call.path["run_id"], keep_artifacts=call.flag("keep_artifacts"))
        # A run of 10,000 shared artifacts is not answered with all their names.
        shown = msgspec.structs.replace(done, kept=done.kept[:_MOST_KEPT])
        return answers.answer({**msgspec.to_builtins(shown), "kept_count": len(done.kept)})


def known_run(controller: RunController, history: History, run_id: str) -> RunRecord:
    """A run as it is now; raises `errors.NotFound`."""
    live = controller.live(run_id)
    record = live.record if live is not None else history.run(run_id)
    if record is None:
        raise no_run(run_id)
    return record


def no_run(run_id: str) -> NotFound:
    """There is no such run."""
    return NotFound(f"run {run_id!r} not found. `kedge runs list` or GET /apis/v2beta1/runs shows those that exist.")


def refuse_plugins(given: object) -> None:
    """Refuse what would be passed over in silence."""
    if given:
        raise BadRequest("plugins_input: there are no plugins here. Leave it out.")


def _resumption(plan: Plan) -> dict[str, Any]:
    again = [{"task_id": task, "reason": reason} for task, reason in plan.again.items()]
    return {"kept": plan.kept, "again": again, "dropped": plan.dropped}
