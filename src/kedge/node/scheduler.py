"""The scheduler of a host with one node: gives Pods to it, and keeps those that it may not run Pending, with the reason.

Most Pods are given to the node as they are made (`Scheduler.admit`), which saves a write for each. The others are looked at when
something changes that may let them run: the node's labels and taints, the Pods beside them, or what a `Check` follows.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from kedge.client.types import Client
from kedge.control.controller import Controller
from kedge.control.followed import Followed, identity
from kedge.control.informer import Informer
from kedge.errors import NotFound
from kedge.kube import conditions
from kedge.kube.clock import Clock, Ids, parse_timestamp
from kedge.kube.core import NODE, POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, key_of
from kedge.node import scheduling
from kedge.node.events import Events
from kedge.node.scheduling import Fault

UNSCHEDULABLE = "Unschedulable"
_GATED = "Scheduling is blocked due to non-empty scheduling gates"


class Check(Protocol):
    """Something that a Pod must wait for and that is no matter of nodes, such as a claim that is not there."""

    @property
    def kinds(self) -> Sequence[Kind]:
        """Kinds whose changes may end the waiting: Pods that wait are looked at again."""
        ...

    def concerns(self, pod: Obj) -> bool:
        """Whether the Pod has to be asked about at all; called for each Pod that is made, so it is quick."""
        ...

    async def fault(self, pod: Obj) -> Fault | None:
        """Why the Pod cannot be scheduled now; ``None`` when it can."""
        ...


class Scheduler:
    """Gives Pods to one node.

    Args:
        client: The Kubernetes API.
        clock: The time.
        ids: Names of events.
        node_name: The node.
        checks: What else Pods may have to wait for.
    """

    def __init__(self, client: Client, clock: Clock, ids: Ids, node_name: str, checks: Iterable[Check] = ()) -> None:
        self._client = client
        self._clock = clock
        self._node_name = node_name
        self._here = f"spec.nodeName={node_name}"
        self._checks = tuple(checks)
        self._events = Events(client, clock, ids, node_name, component="default-scheduler")
        self._nodes = Informer(client, NODE, clock, fields=f"metadata.name={node_name}")
        self._waiting = Informer(client, POD, clock, fields="spec.nodeName=,status.phase=Pending")
        self._controller = Controller[Key]("scheduler", self._schedule, clock)
        # Pods of the node, while there is a Pod that waits for others.
        self._beside = Followed(lambda: Informer(client, POD, clock, fields=self._here).keeping(identity), self._look_again)
        # Pods of the node that may keep others away, by uid; None until they have been looked for.
        self._keepers: set[str] | None = None
        # What was last told of each Pod that waits, by uid.
        self._told: dict[str, str] = {}

    def admit(self, verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        """Give a Pod that is being made to the node, or say why not, if that can be decided at once: a hook of the server's."""
        if verb != "create" or kind is not POD or old is not None or new["spec"].get("nodeName"):
            return
        node = self._node
        if node is None or self._keepers is None or self._keepers or new["spec"].get("schedulingGates"):
            return
        if scheduling.looks_at_pods(new) or any(check.concerns(new) for check in self._checks):
            return
        if found := scheduling.faults(new, node):
            why = conditions.condition("PodScheduled", False, UNSCHEDULABLE, scheduling.message(found), now=self._clock.now())
            new["status"] = {**(new.get("status") or {}), "conditions": [why]}
        else:
            new["spec"]["nodeName"] = self._node_name

    async def run(self) -> None:
        """Schedule Pods until cancelled."""
        self._controller.follow(self._waiting, self._changed)
        self._controller.follow(self._nodes, self._node_changed)
        others = [Informer(self._client, kind, self._clock) for kind in {kind for check in self._checks for kind in check.kinds}]
        for informer in others:
            self._controller.follow(informer, self._all)
        try:
            await self._pods_of_node()
            async with asyncio.TaskGroup() as tasks:
                for informer in (self._waiting, self._nodes, *others):
                    tasks.create_task(informer.run())
                tasks.create_task(self._controller.run())
        finally:
            self._beside.follow(wanted=False)
            await self._events.close()

    async def ready(self) -> None:
        """Wait until Pods can be given to the node as they are made."""
        await self._nodes.synced()

    @property
    def _node(self) -> Obj | None:
        return self._nodes.get(Key("", self._node_name))

    def _changed(self, old: Obj | None, new: Obj | None) -> list[Key]:
        if new is not None:
            return [key_of(new)]
        if old is not None:
            self._told.pop(old["metadata"]["uid"], None)
        if not len(self._waiting):
            self._beside.follow(wanted=False)
        return []

    def _all(self, old: Obj | None, new: Obj | None) -> list[Key]:
        del old, new
        return [key_of(pod) for pod in self._waiting.items()]

    def _node_changed(self, old: Obj | None, new: Obj | None) -> list[Key]:
        return [] if old is not None and new is not None and _deciding(old) == _deciding(new) else self._all(old, new)

    def _look_again(self, old: Obj | None, new: Obj | None) -> None:
        for key in self._all(old, new):
            self._controller.queue.add(key)

    async def _pods_of_node(self) -> list[Obj]:
        pods = (await self._client.list(POD, fields=f"{self._here},status.phase!=Succeeded,status.phase!=Failed")).items
        self._keepers = {pod["metadata"]["uid"] for pod in pods if scheduling.keeps_others_away(pod)}
        return pods

    async def _schedule(self, key: Key) -> float | None:
        try:
            return await self._look(key)
        except NotFound:
            return None  # it is gone

    async def _look(self, key: Key) -> float | None:
        """Give one Pod to the node, or say why not; returns the seconds after which to look again."""
        pod, node = self._waiting.get(key), self._node
        if pod is None or node is None:
            return None
        if pod["metadata"].get("deletionTimestamp"):
            # No kubelet will ever end it; whoever holds it by a finalizer must see that it is over.
            await self._end(pod, "", "The Pod was deleted before it was scheduled.")
            return None
        if gates := pod["spec"].get("schedulingGates"):
            names = ", ".join(gate["name"] for gate in gates)
            await self._say(pod, "SchedulingGated", f"{_GATED}: {names}.")
            return None
        found = await self._faults(pod, node)
        if not found:
            await self._bind(pod)
            return None
        message = scheduling.message(found)
        if (left := self._left(pod)) is not None and left <= 0:
            seconds = pod["spec"]["activeDeadlineSeconds"]
            await self._end(pod, "DeadlineExceeded", f"The Pod could not be scheduled for {seconds} seconds: {message}")
            return None
        await self._say(pod, UNSCHEDULABLE, message)
        if self._told.get(uid := pod["metadata"]["uid"]) != message:
            self._told[uid] = message
            self._events.emit(pod, "FailedScheduling", message, warning=True)
        return left

    async def _faults(self, pod: Obj, node: Obj) -> list[Fault]:
        for check in self._checks:
            if check.concerns(pod) and (fault := await check.fault(pod)) is not None:
                if fault.until_pods_change:
                    self._beside.follow(wanted=True)
                return [fault]
        asks = scheduling.looks_at_pods(pod)
        found = scheduling.faults(pod, node, await self._pods_of_node() if asks or self._keepers else ())
        if found and (asks or self._keepers):
            self._beside.follow(wanted=True)
        return found

    async def _bind(self, pod: Obj) -> None:
        meta = pod["metadata"]
        waited = conditions.find(pod, "PodScheduled")
        if waited is not None and waited["status"] != "True":
            await self._put(pod, conditions.condition("PodScheduled", True, "", now=self._clock.now()))
        spec = {"metadata": {"uid": meta["uid"]}, "spec": {"nodeName": self._node_name}}
        await self._client.patch(POD, meta["name"], meta["namespace"], spec)
        if scheduling.keeps_others_away(pod) and self._keepers is not None:
            self._keepers.add(meta["uid"])
        if waited is not None:
            text = f"Successfully assigned {meta['namespace']}/{meta['name']} to {self._node_name}"
            self._events.emit(pod, "Scheduled", text)

    async def _say(self, pod: Obj, reason: str, message: str) -> None:
        """Write why a Pod is not scheduled."""
        known = conditions.find(pod, "PodScheduled") or {}
        if (known.get("status"), known.get("reason"), known.get("message")) != ("False", reason, message):
            await self._put(pod, conditions.condition("PodScheduled", False, reason, message, now=self._clock.now()))

    async def _put(self, pod: Obj, condition: Obj) -> None:
        await self._write(pod, {"conditions": conditions.put((pod.get("status") or {}).get("conditions") or [], condition)})

    async def _write(self, pod: Obj, status: Obj) -> None:
        meta = pod["metadata"]
        patch: Obj = {"metadata": {"uid": meta["uid"]}, "status": status}
        await self._client.patch(POD, meta["name"], meta["namespace"], patch, subresource="status")

    async def _end(self, pod: Obj, reason: str, message: str) -> None:
        await self._write(pod, {"phase": "Failed", "message": message, **({"reason": reason} if reason else {})})

    def _left(self, pod: Obj) -> float | None:
        """Seconds until the Pod has waited as long as it may; ``None`` without a deadline.

        On a cluster the deadline counts from when a node accepts the Pod, so that one which none accepts waits for ever.
        """
        seconds = pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return None
        began: datetime = parse_timestamp(pod["metadata"]["creationTimestamp"])
        return (began + timedelta(seconds=seconds) - self._clock.now()).total_seconds()


def _deciding(node: Obj) -> tuple[Any, ...]:
    """What of a node decides: its heartbeats do not."""
    return node["metadata"].get("labels"), node["spec"], (node.get("status") or {}).get("allocatable")
