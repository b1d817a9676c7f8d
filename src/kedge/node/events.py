"""Kubernetes Events about Pods, and what they wait for: only what a person would want to be told."""

import logging

from kedge.client.types import Writer
from kedge.control.background import Background
from kedge.errors import ApiError
from kedge.kube.clock import Clock, Ids, timestamp
from kedge.kube.core import EVENT
from kedge.kube.kinds import Obj

_log = logging.getLogger(__name__)
_LONGEST_MESSAGE = 1024  # as a real API server has it
# Events that may still be counted.
_REMEMBERED = 1024


class Events:
    """Writes events; that one cannot be written never stops anything.

    Args:
        writer: To the Kubernetes API.
        clock: When.
        ids: Names.
        node: This node's name.
        component: Who writes them.
    """

    def __init__(self, writer: Writer, clock: Clock, ids: Ids, node: str, *, component: str = "kedge-node") -> None:
        self._writer = writer
        self._clock = clock
        self._ids = ids
        self._source = {"component": component, "host": node} if component == "kedge-node" else {"component": component}
        self._background = Background("events")
        self._written: dict[tuple[str, str, str], tuple[str, int]] = {}  # (uid, reason, message) -> (name, count)

    def emit(self, about: Obj, reason: str, message: str, *, warning: bool = False) -> None:
        """Write one event about an object, a Pod mostly, soon; one that was written already is counted instead."""
        meta, now = about["metadata"], timestamp(self._clock.now())
        message = message[:_LONGEST_MESSAGE]
        key = (meta["uid"], reason, message)
        if (known := self._written.pop(key, None)) is not None:
            name, count = known[0], known[1] + 1
            self._background.start(self._count(name, meta["namespace"], {"count": count, "lastTimestamp": now}))
        else:
            name, count = f"{meta['name']}.{self._ids.suffix(10)}", 1
            self._background.start(
                self._write(self._event(about, name, {"reason": reason, "message": message}, now, warning=warning))
            )
        self._written[key] = (name, count)
        while len(self._written) > _REMEMBERED:
            del self._written[next(iter(self._written))]

    def _event(self, about: Obj, name: str, what: Obj, now: str, *, warning: bool) -> Obj:
        meta = about["metadata"]
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            "type": "Warning" if warning else "Normal",
            **what,
            "source": self._source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }

    async def close(self) -> None:
        """Wait until what was emitted is written."""
        await self._background.finish()

    async def _write(self, event: Obj) -> None:
        try:
            await self._writer.create(EVENT, event)
        except ApiError as error:
            _log.debug("an event was not written", extra={"reason": event["reason"], "error": str(error)})

    async def _count(self, name: str, namespace: str, change: Obj) -> None:
        try:
            await self._writer.patch(EVENT, name, namespace, change)
        except ApiError as error:
            _log.debug("an event was not counted", extra={"event": name, "namespace": namespace, "error": str(error)})
