"""Changing the tags of runs, and keeping the history's the same as the labels of Run objects.

While there is a Run object its labels decide, whoever wrote them. One that was deleted leaves its tags in the history, where they
can be changed as before.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from kedge.client.types import Client
from kedge.errors import Conflict, NotFound
from kedge.kube.kinds import Obj
from kedge.pipelines import tags
from kedge.pipelines.history import History
from kedge.pipelines.kinds import RUN
from kedge.pipelines.live import LiveRun
from kedge.pipelines.records import RunRecord

_AT_ONCE = 500


class Tagging:
    """Tags runs.

    Args:
        client: Where Run objects are.
        history: Where tags are found by.
        live: The run in memory, while it is not over.
    """

    def __init__(self, client: Client, history: History, live: Callable[[str], LiveRun | None]) -> None:
        self._client = client
        self._history = history
        self._live = live
        # What was read of an object is written before anybody reads it again: else an older look could be written last.
        self._one_at_a_time = asyncio.Lock()

    async def change(self, record: RunRecord, changes: Mapping[str, str | None]) -> RunRecord:
        """Set some tags of a run, and take away those whose value is ``None``.

        Returns:
            The run as it is now.

        Raises:
            BadRequest: One cannot be, or there would be too many.
            NotFound: The run was deleted meanwhile.
        """
        tags.check({key: value for key, value in changes.items() if value is not None})
        async with self._one_at_a_time:
            now = self._history.run(record.id)
            after = tags.changed(now.tags if now is not None else {}, changes)
            tags.check(after)
            try:
                labels = {"metadata": {"uid": record.id, "labels": dict(changes)}}
                after = tags.of(await self._client.patch(RUN, record.name, record.namespace, labels))
            except (NotFound, Conflict):
                pass  # the object is gone, or is another run's
            return self._write(record.id, after)

    async def follow(self, obj: Obj) -> None:
        """Take over the labels of a Run object, as they are at this moment."""
        metadata = obj["metadata"]
        async with self._one_at_a_time:
            try:
                found = await self._client.get(RUN, metadata["name"], metadata["namespace"])
                if found["metadata"]["uid"] == metadata["uid"]:
                    self._write(metadata["uid"], tags.of(found))
            except NotFound:
                pass  # the object is gone, or the run is not in the history yet, which takes it in with its labels

    def begin(self, objects: Sequence[Obj]) -> None:
        """Take over the labels that were changed while nobody followed."""
        wanted = {obj["metadata"]["uid"]: tags.of(obj) for obj in objects}
        ids = list(wanted)
        for start in range(0, len(ids), _AT_ONCE):
            for run_id, known in self._history.tags_of(ids[start : start + _AT_ONCE]).items():
                if known != wanted[run_id]:
                    self._write(run_id, wanted[run_id])

    def _write(self, run_id: str, found: Mapping[str, str]) -> RunRecord:
        record = self._history.set_tags(run_id, found)
        if record is None:
            raise NotFound(f"run {run_id!r} not found. `kedge runs list` shows those that exist.")
        if (live := self._live(run_id)) is not None:
            live.record = replace(live.record, tags=record.tags)
        return record
