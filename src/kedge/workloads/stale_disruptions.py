"""Pods that somebody meant to end, and did not: after two minutes their condition ``DisruptionTarget`` is taken back.

As Kubernetes' disruption controller does it; what a node says of a Pod that it ends itself stays, however long that takes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Plan, set_status
from kedge.control.controller import Controller
from kedge.control.informer import Informer
from kedge.kube import conditions
from kedge.kube.clock import Clock, parse_timestamp, timestamp
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, is_deleting, key_of
from kedge.kube.pods import is_over

DISRUPTION_TARGET = "DisruptionTarget"
_PATIENCE = timedelta(minutes=2)
_BY_NODE = "TerminationByKubelet"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        pod: The Pod.
        since: When somebody meant to end it.
    """

    pod: Obj
    since: datetime


class StaleDisruptions:
    """Reconciles one Pod."""

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look whether the Pod was meant to end, and is not ending."""
        pod = await get_or_none(reader, POD, key.name, key.namespace)
        if pod is None or is_deleting(pod) or is_over(pod) or not conditions.is_true(pod, DISRUPTION_TARGET):
            return None
        found = conditions.find(pod, DISRUPTION_TARGET) or {}
        return None if found.get("reason") == _BY_NODE else Seen(pod, parse_timestamp(found["lastTransitionTime"]))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Take it back when its time is over."""
        left = (seen.since + _PATIENCE - now).total_seconds()
        if left > 0:
            return Plan(requeue_after=left)
        status = seen.pod["status"]
        over: Obj = {"type": DISRUPTION_TARGET, "status": "False", "lastTransitionTime": timestamp(now)}
        return Plan((set_status(POD, seen.pod, {**status, "conditions": conditions.put(status["conditions"], over)}),))


def stale_disruptions_controller(client: Client, clock: Clock, pods: Informer) -> Controller[Key]:
    """The controller.

    Args:
        client: Reads and writes objects.
        clock: For times.
        pods: All Pods, with whether they have the condition; run by whoever made it.
    """
    made = Controller[Key].of("stale disruptions", StaleDisruptions(), client, clock)

    def meant(old: Obj | None, new: Obj | None) -> Iterable[Key]:
        del old
        if new is not None and new["status"]["disrupted"] and not is_deleting(new):
            yield key_of(new)

    made.follow(pods, meant)
    return made
