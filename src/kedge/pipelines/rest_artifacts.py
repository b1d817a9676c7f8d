"""REST: artifacts, and which task read or made them."""

import re
from collections.abc import AsyncGenerator, AsyncIterator

from starlette.responses import Response, StreamingResponse

from kedge.errors import BadRequest, Forbidden, NotFound
from kedge.pipelines import answers, openlineage, shapes
from kedge.pipelines.history import History
from kedge.pipelines.operations import Call
from kedge.pipelines.origins import Origins, code_of
from kedge.pipelines.ports import Artifacts
from kedge.pipelines.records import ArtifactRecord

_MOST_IDS = 1000
_MOST_PART = 16 << 20  # bytes that a Range may ask for; whoever asks for more gets all, in pieces
# An artifact is data from a step: a page of it must not run in the hub's own origin.


class ArtifactEndpoints:
    """The endpoints of artifacts."""

    def __init__(self, history: History, store: Artifacts, origins: Origins, version: str = "") -> None:
        self._history = history
        self._store = store
        self._origins = origins
        self._version = version

    async def list(self, call: Call) -> Response:
        """``GET /artifacts``, of one run with ``run_id``."""
        page = self._history.list_artifacts(call.listing, namespace=call.namespace or "", run_id=call.text("run_id"))
        return answers.listed("artifacts", [shapes.artifact_record(record) for record in page.items], page)

    async def get(self, call: Call) -> Response:
        """``GET /artifacts/{artifact_id}``."""
        return answers.answer(shapes.artifact_record(self._record(call)))

    async def origin(self, call: Call) -> Response:
        """``GET /artifacts/{artifact_id}/origin``: what made it, with which code; empty where that is not known any more."""
        record = self._record(call)
        found = self._origins.of(record.run, record.task) if record.run is not None and record.task is not None else None
        return answers.answer({"artifact_id": record.id} | (found or {}))

    async def task_origin(self, call: Call) -> Response:
        """``GET /runs/{run_id}/tasks/{task_id}/origin``: with which code a task's outputs were made."""
        run_id, task_id = call.path["run_id"], call.path["task_id"]
        found = self._origins.of(run_id, task_id)
        if found is None:
            raise NotFound(f"task {task_id!r} of run {run_id!r} not found. GET /apis/v2beta1/runs/{run_id}/tasks lists them.")
        return answers.answer(found)

    async def run_events(self, call: Call) -> Response:
        """``GET /runs/{run_id}:lineage``: the OpenLineage events of a run, as far as it has come."""
        run_id = call.path["run_id"]
        run = self._history.run(run_id)
        if run is None:
            raise NotFound(f"run {run_id!r} not found. `kedge runs list` or GET /apis/v2beta1/runs shows those that exist.")
        spec = self._history.spec(run.spec_digest)
        found = [event for _, event in openlineage.of_run(run, self._version)]
        for task in self._history.tasks(run_id):
            code = code_of(spec, task.component, task.executor) if spec is not None else {}
            found += [openlineage.with_code(event, code) for _, event in openlineage.of_task(run, task, self._version)]
        # The run begins before its tasks and ends after them, at the same microsecond too.
        edge = {"START": -1}
        found.sort(
            key=lambda one: (one["eventTime"], edge.get(one["eventType"], 1) if "parent" not in one["run"]["facets"] else 0)
        )
        return answers.answer({"events": found})

    async def files(self, call: Call) -> Response:
        """``GET /artifacts/{artifact_id}/files``: those of a folder; none for a single file."""
        record = self._record(call)
        self._check_place(record)
        files = await self._store.files(record.artifact.uri)
        return answers.answer({"files": [{"path": each.path, "size": each.size, "sha256": each.sha256} for each in files]})

    async def content(self, call: Call) -> Response:
        """``GET /artifacts/{artifact_id}/content``, or of one file of a folder with ``path``; some of it with ``Range``."""
        record = self._record(call)
        self._check_place(record)
        name = (call.text("path") or record.artifact.uri).rstrip("/").rpartition("/")[2]
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name)
        headers = {"Content-Disposition": f'attachment; filename="{safe or "artifact"}"', "Accept-Ranges": "bytes"}
        if asked := _range(call.request.headers.get("range", "")):
            some, size = await self._store.part(record.artifact.uri, call.text("path"), *asked)
            if some:
                start = max(0, size + asked[0]) if asked[0] < 0 else asked[0]
                headers["Content-Range"] = f"bytes {start}-{start + len(some) - 1}/{size}"
                return Response(some, 206, headers, "application/octet-stream")
        pieces = self._store.read(record.artifact.uri, call.text("path"))
        first = await anext(aiter(pieces), b"")  # an error comes before the first piece
        return StreamingResponse(_rest(first, pieces), media_type="application/octet-stream", headers=headers)

    async def links(self, call: Call) -> Response:
        """``GET /artifact_tasks``: which task read or made what."""
        named = {name: call.many(name) for name in ("artifact_ids", "run_ids", "task_ids")}
        for name, values in named.items():
            if len(values) > _MOST_IDS:
                raise BadRequest(f"{name}: there are {len(values)}; at most {_MOST_IDS} are read. Ask in parts.")
        kind = call.text("type")
        if kind and kind not in shapes.DIRECTIONS:
            raise BadRequest(f"type: only {' and '.join(shapes.DIRECTIONS)} are told apart here, got {kind!r:.80}.")
        direction = shapes.DIRECTIONS.get(kind)
        namespaces = [each for each in call.namespaces if each is not None]
        page = self._history.list_edges(call.listing, direction=direction, namespaces=namespaces, **named)
        makers = self._history.makers({edge.artifact for edge in page.items})
        shown = [shapes.artifact_task(edge, makers.get(edge.artifact)) for edge in page.items]
        return answers.listed("artifact_tasks", shown, page)

    def _check_place(self, record: ArtifactRecord) -> None:
        """Refuse to read for a namespace what is not its own, wherever the record comes from."""
        if fault := self._store.place_fault(record.artifact.uri, record.namespace):
            raise Forbidden(f"artifact {record.id!r}: {fault}.")

    def _record(self, call: Call) -> ArtifactRecord:
        artifact_id = call.path["artifact_id"]
        record = self._history.artifact(artifact_id)
        if record is None:
            raise no_artifact(artifact_id)
        return record


def _range(header: str) -> tuple[int, int] | None:
    """The first byte that a ``Range`` asks for, negative from the end, and how many; ``None`` where all is answered.

    Examples:
        >>> _range("bytes=10-19"), _range("bytes=-8"), _range("bytes=5-"), _range("bytes=0-1,5-9")
        ((10, 10), (-8, 8), None, None)
    """
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{1,18})", header.strip())
    if found is None:
        return None
    first, last = found[1], int(found[2])
    start, count = (int(first), last - int(first) + 1) if first else (-last, last)
    return (start, count) if 0 < count <= _MOST_PART else None


def no_artifact(artifact_id: str) -> NotFound:
    """There is no such artifact."""
    return NotFound(
        f"artifact {artifact_id!r} not found. `kedge artifacts list` or GET /apis/v2beta1/artifacts shows those that exist."
    )


async def _rest(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for piece in pieces:
        yield piece
