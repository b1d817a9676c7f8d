"""Kubernetes Events about Pods: only what a person would want to be told."""

import asyncio
import logging

from kedge.client.types import Writer
from kedge.errors import ApiError
from kedge.kube.clock import Clock, Ids, timestamp
from kedge.kube.core import EVENT
from kedge.kube.kinds import Obj

_log = logging.getLogger(__name__)
_LONGEST_MESSAGE = 1024  # as a real API server has it


class Events:
    """Writes events; that one cannot be written never stops anything.

    Args:
        writer: To the Kubernetes API.
        clock: When.
        ids: Names.
        node: This node's name.
    """

    def __init__(self, writer: Writer, clock: Clock, ids: Ids, node: str) -> None:
        self._writer = writer
        self._clock = clock
        self._ids = ids
        self._node = node
        self._tasks: set[asyncio.Task[None]] = set()

    def emit(self, pod: Obj, reason: str, message: str, *, warning: bool = False) -> None:
        """Write one event about a Pod, soon."""
        meta, now = pod["metadata"], timestamp(self._clock.now())
        event: Obj = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{self._ids.suffix(10)}", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:_LONGEST_MESSAGE],
            "source": {"component": "kedge-node", "host": self._node},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        task = asyncio.create_task(self._write(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait until what was emitted is written."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self, event: Obj) -> None:
        try:
            await self._writer.create(EVENT, event)
        except ApiError as error:
            _log.debug("event %s was not written: %s", event["reason"], error)
