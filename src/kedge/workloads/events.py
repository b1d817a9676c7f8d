"""Events are forgotten an hour after they last happened, as on a cluster."""

from datetime import datetime

from kedge import errors
from kedge.client.types import Client, pages
from kedge.control.controller import Controller
from kedge.kube.clock import Clock, parse_timestamp
from kedge.kube.core import EVENT
from kedge.kube.kinds import Obj
from kedge.kube.metadata import key_of, uid_of

LIFETIME = 3600.0  # seconds
_PAUSE = 300.0  # seconds between two looks at least: nobody minds an Event that is five minutes too old
EVERYWHERE = "everywhere"


def last_seen(event: Obj) -> datetime | None:
    """When an Event happened last, as far as it says."""
    series = event.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("metadata", {}).get("creationTimestamp"),
    )
    for text in times:
        if isinstance(text, str):
            try:
                return parse_timestamp(text)
            except ValueError:
                continue
    return None


def events_controller(client: Client, clock: Clock) -> Controller[str]:
    """The controller that deletes old Events. It has one key and looks again when the next Event is due."""

    async def sweep(_: str) -> float | None:
        now, due = clock.now(), LIFETIME
        async for page in pages(client, EVENT):
            for event in page.items:
                seen = last_seen(event)
                left = LIFETIME - (now - seen).total_seconds() if seen else 0.0
                if left > 0:
                    due = min(due, left)
                    continue
                key = key_of(event)
                try:
                    await client.delete(EVENT, key.name, key.namespace, uid=uid_of(event))
                except (errors.NotFound, errors.Conflict):
                    continue
        return max(due, _PAUSE)

    controller = Controller[str]("events", sweep, clock)
    controller.queue.add(EVERYWHERE)
    return controller
