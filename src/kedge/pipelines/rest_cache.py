"""REST: what the cache holds, listed, shown and cleared."""

from starlette.responses import Response

from kedge.errors import BadRequest
from kedge.kube.clock import parse_timestamp
from kedge.pipelines import answers, shapes
from kedge.pipelines.cache_entries import CacheEntries, Entry, Selection
from kedge.pipelines.cache_reasons import CacheReasons
from kedge.pipelines.operations import Call
from kedge.pipelines.ports import Artifacts

_MOST_TOLD = 100


class CacheEndpoints:
    """The endpoints of the cache.

    Args:
        entries: What it holds.
        store: Where artifacts lie.
        reasons: Says why steps found nothing in it.
    """

    def __init__(self, entries: CacheEntries, store: Artifacts, reasons: CacheReasons) -> None:
        self._entries = entries
        self._store = store
        self._reasons = reasons

    async def list(self, call: Call) -> Response:
        """``GET /cache_entries``."""
        page = self._entries.page(_selection(call), call.number("page_size") or 0, call.text("page_token"))
        return answers.listed("cache_entries", [self._shown(entry) for entry in page.items], page)

    async def get(self, call: Call) -> Response:
        """``GET /cache_entries/{cache_fingerprint}``, with what was made and whether it is still there."""
        entry = self._entries.get(
            call.path["cache_fingerprint"], namespace=call.namespace or "", pipeline=call.text("pipeline_name")
        )
        made = entry.task.outputs.artifacts.values() if entry.task.outputs is not None else ()
        gone = [
            artifact.uri
            for listed in made
            for artifact in listed
            if artifact.digest and not await self._store.exists(artifact.uri)
        ]
        outputs = shapes.values(entry.task.outputs)
        return answers.answer(self._shown(entry) | ({"outputs": outputs} if outputs else {}) | ({"gone": gone} if gone else {}))

    async def of_task(self, call: Call) -> Response:
        """``GET /runs/{run_id}/tasks/{task_id}/cache``."""
        return answers.answer(self._reasons.of(call.path["run_id"], call.path["task_id"]).to_json())

    async def clear(self, call: Call) -> Response:
        """``DELETE /cache_entries``: those that are chosen; all of them only with ``all=true``."""
        selection = _selection(call)
        if selection.is_everything != call.flag("all"):
            raise BadRequest(
                "all: is true, and something else narrows it down. Leave out one of the two."
                if call.flag("all")
                else "which? Give pipeline_name, component, task_name, before or namespace; or all=true for every entry."
            )
        found = self._entries.clear(selection)
        told = [{"pipeline_name": one.pipeline, "component": one.component, "count": one.count} for one in found[:_MOST_TOLD]]
        return answers.answer({"removed": sum(one.count for one in found), "entries": told})

    def _shown(self, entry: Entry) -> shapes.Json:
        return shapes.cache_entry(entry, self._entries.expires(entry))


def _selection(call: Call) -> Selection:
    before = None
    if text := call.text("before"):
        try:
            before = parse_timestamp(text)
        except (ValueError, OverflowError) as error:
            raise BadRequest(f"before: {text!r:.80} is no RFC 3339 time, such as 2026-11-23T09:05:07Z.") from error
    return Selection(call.namespace or "", call.text("pipeline_name"), call.text("component"), call.text("task_name"), before)
