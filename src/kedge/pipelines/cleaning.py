"""Deleting the Pods of ended steps that nobody needs any more: every one of them is read when a hub starts.

The Pods that ended last are kept, for those who look at them with ``kubectl``. Deleting one costs an API server as much as
beginning a step does, so while steps go on without a pause more may stay, and the rest goes when there is time.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from contextlib import suppress
from typing import Any

from kedge.client.types import Client
from kedge.errors import Conflict, NotFound
from kedge.kube.core import POD
from kedge.pipelines.history import History
from kedge.pipelines.timers import Timers

_INTERVAL = 5.0  # seconds without a change are a pause
_AT_ONCE = 50
_KEY = "cleaning"


class Cleaning:
    """Deletes them, those that ended first before the others.

    Args:
        client: Where Pods are.
        history: Knows which ended when, over all runs.
        timers: What is due later.
        most: How many are kept, and how many while steps go on without a pause.
        insist: Does something now, and again for as long as the server cannot take it.
    """

    def __init__(
        self,
        client: Client,
        history: History,
        timers: Timers,
        *,
        most: tuple[int, int],
        insist: Callable[[Hashable, Callable[[], Coroutine[Any, Any, None]]], None],
    ) -> None:
        self._client = client
        self._history = history
        self._timers = timers
        self._most = most
        self._insist = insist
        self._at_work = asyncio.Lock()
        self._changed_at = 0.0

    def changed(self) -> None:
        """A step may have begun or ended: look soon whether there are too many."""
        self._changed_at = self._timers.now()
        self._later()

    def _later(self) -> None:
        if not self._timers.pending(_KEY):
            self._timers.after(_INTERVAL, _KEY, lambda: self._insist(_KEY, self._clean))

    async def _clean(self) -> None:
        if self._at_work.locked():
            return  # that one goes on until no more are kept than may be
        paused, meanwhile = self._most
        goes_on = self._timers.now() - self._changed_at < _INTERVAL
        if goes_on:
            self._later()
        async with self._at_work:
            while ended := self._history.ended_pods(max(paused, meanwhile) if goes_on else paused, _AT_ONCE):
                for attempt, namespace in ended:
                    with suppress(NotFound, Conflict):
                        await self._client.delete(POD, attempt.pod_name, namespace, uid=attempt.pod_uid)
                    await asyncio.sleep(0)  # steps go first
                self._history.forget_pods((attempt.run, attempt.task, attempt.number) for attempt, _ in ended)
