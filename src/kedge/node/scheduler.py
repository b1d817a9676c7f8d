"""The scheduler of a host: gives Pods to its nodes, and keeps those that none may run Pending, with the reason.

Mostly a host has one node, its own. Then most Pods are given to it as they are made (`Scheduler.admit`), which saves a write for
each, and what does not fit beside others waits on the node. Where others have joined, a Pod gets the first that has what it
requests free: the host's own, then the others by age. Pods that wait are looked at when something changes that may let them run:
the nodes' labels and taints, the Pods beside them, or what a `Check` follows.

A Pod that names another scheduler is left to it. The Event of a Pod that was given to the node as it was made is written a moment
later, together with others'; a step of a run that never waited has none, since its run tells its story.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from kedge.client.types import Client, get_or_none
from kedge.control.controller import Controller
from kedge.control.followed import Followed, identity
from kedge.control.informer import Informer
from kedge.errors import NotFound
from kedge.kube import conditions
from kedge.kube.clock import Clock, Ids, parse_timestamp
from kedge.kube.core import NODE, POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, is_deleting, key_of
from kedge.node import scheduling
from kedge.node.events import Events
from kedge.node.network import is_step
from kedge.node.scheduling import Fault

UNSCHEDULABLE = "Unschedulable"
DEFAULT_SCHEDULER = "default-scheduler"
"""By whose name Pods are this scheduler's."""
_TELL_SECONDS = 0.5
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
    """Gives Pods to nodes.

    Args:
        client: The Kubernetes API.
        clock: The time.
        ids: Names of events.
        node_name: The host's own node, which is the first choice.
        checks: What else Pods may have to wait for.
        stays: Says what a Pod shares with the host's own node, so that no other may run it; empty where any may.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        ids: Ids,
        node_name: str,
        checks: Iterable[Check] = (),
        *,
        stays: Callable[[Obj], str] = lambda _: "",
    ) -> None:
        self._client = client
        self._clock = clock
        self._node_name = node_name
        self._stays = stays
        self._checks = tuple(checks)
        self._events = Events(client, clock, ids, node_name, component=DEFAULT_SCHEDULER)
        self._nodes = Informer(client, NODE, clock)
        self._waiting = Informer(client, POD, clock, fields="spec.nodeName=,status.phase=Pending")
        self._controller = Controller[Key]("scheduler", self._schedule, clock)
        # Pods of the nodes, while there is a Pod that waits for others.
        self._beside = Followed(lambda: Informer(client, POD, clock, fields=self._anywhere).keeping(identity), self._look_again)
        # Pods of the nodes that may keep others away, by uid; None until they have been looked for.
        self._keepers: set[str] | None = None
        # What was last told of each Pod that waits, by uid.
        self._told: dict[str, str] = {}
        # Pods that were given to the node as they were made, of which nobody has been told yet.
        self._given: list[Obj] = []
        self._any_given = asyncio.Event()

    def admit(self, verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        """Give a Pod that is being made to the node, or say why not, if that can be decided at once: a hook of the server's."""
        if verb != "create" or kind is not POD or old is not None or new["spec"].get("nodeName") or not _is_ours(new):
            return
        node = self._node
        if node is None or len(self._nodes) > 1 or self._keepers is None or self._keepers or new["spec"].get("schedulingGates"):
            return
        if scheduling.looks_at_pods(new) or any(check.concerns(new) for check in self._checks):
            return
        if found := scheduling.faults(new, node):
            why = conditions.condition("PodScheduled", False, UNSCHEDULABLE, scheduling.message(found), now=self._clock.now())
            new["status"] = {**(new.get("status") or {}), "conditions": [why]}
        else:
            new["spec"]["nodeName"] = self._node_name
            if not is_step(new):
                self._given.append(new)
                self._any_given.set()

    async def run(self) -> None:
        """Schedule Pods until cancelled."""
        self._controller.follow(self._waiting, self._changed)
        self._controller.follow(self._nodes, self._node_changed)
        others = [Informer(self._client, kind, self._clock) for kind in {kind for check in self._checks for kind in check.kinds}]
        for informer in others:
            self._controller.follow(informer, self._all)
        try:
            await self._placed()
            async with asyncio.TaskGroup() as tasks:
                for informer in (self._waiting, self._nodes, *others):
                    tasks.create_task(informer.run())
                tasks.create_task(self._controller.run())
                tasks.create_task(self._tell_given())
        finally:
            self._beside.follow(wanted=False)
            await self._events.close()

    async def _tell_given(self) -> None:
        """Write the Events of Pods that were given to the node as they were made, and then stored."""
        while True:
            await self._any_given.wait()
            await self._clock.sleep(_TELL_SECONDS)
            given, self._given = self._given, []
            self._any_given.clear()
            for pod in given:
                meta = pod["metadata"]
                found = await get_or_none(self._client, POD, meta["name"], meta["namespace"])
                if found is not None and found["metadata"]["uid"] == meta["uid"]:
                    self._tell_bound(pod, self._node_name)
                    await asyncio.sleep(0)  # whoever asks meanwhile is answered between two of them

    def _tell_bound(self, pod: Obj, node: str) -> None:
        meta = pod["metadata"]
        self._events.emit(pod, "Scheduled", f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}")

    async def ready(self) -> None:
        """Wait until Pods can be given to the node as they are made."""
        await self._nodes.synced()

    @property
    def _anywhere(self) -> str:
        """Selects the Pods that nodes have: by the name of the only one, by which they are found without looking at all."""
        return f"spec.nodeName={self._node_name}" if len(self._nodes) < 2 else "spec.nodeName!="

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
        if old is None or new is None:
            self._beside.follow(wanted=False)  # the Pods of how many nodes are followed is another question now
        elif _deciding(old) == _deciding(new):
            return []
        return self._all(old, new)

    def _look_again(self, old: Obj | None, new: Obj | None) -> None:
        for key in self._all(old, new):
            self._controller.queue.add(key)

    async def _placed(self) -> list[Obj]:
        """The Pods that nodes have and that have not ended."""
        pods = (await self._client.list(POD, fields=f"{self._anywhere},status.phase!=Succeeded,status.phase!=Failed")).items
        self._keepers = {pod["metadata"]["uid"] for pod in pods if scheduling.keeps_others_away(pod)}
        return pods

    async def _schedule(self, key: Key) -> float | None:
        try:
            return await self._look(key)
        except NotFound:
            return None  # it is gone

    async def _look(self, key: Key) -> float | None:
        """Give one Pod to a node, or say why not; returns the seconds after which to look again."""
        pod = self._waiting.get(key)
        if pod is None or self._node is None:
            return None
        if is_deleting(pod):
            # No kubelet will ever end it; whoever holds it by a finalizer must see that it is over.
            await self._end(pod, "", "The Pod was deleted before it was scheduled.")
        if is_deleting(pod) or not _is_ours(pod):
            return None
        if gates := pod["spec"].get("schedulingGates"):
            names = ", ".join(gate["name"] for gate in gates)
            await self._say(pod, "SchedulingGated", f"{_GATED}: {names}.")
            return None
        chosen, found = await self._choose(pod)
        if chosen:
            await self._bind(pod, chosen)
            return None
        message = scheduling.message(found, len(self._nodes))
        if (left := self._left(pod)) is not None and left <= 0:
            seconds = pod["spec"]["activeDeadlineSeconds"]
            await self._end(pod, "DeadlineExceeded", f"The Pod could not be scheduled for {seconds} seconds: {message}")
            return None
        await self._say(pod, UNSCHEDULABLE, message)
        if self._told.get(uid := pod["metadata"]["uid"]) != message:
            self._told[uid] = message
            self._events.emit(pod, "FailedScheduling", message, warning=True)
        return left

    async def _choose(self, pod: Obj) -> tuple[str, list[Fault]]:
        """The node that a Pod gets; or empty, and why it gets none."""
        for check in self._checks:
            if check.concerns(pod) and (fault := await check.fault(pod)) is not None:
                if fault.until_pods_change:
                    self._beside.follow(wanted=True)
                return "", [fault]
        nodes = self._candidates()
        asks = scheduling.looks_at_pods(pod) or bool(self._keepers)
        placed = await self._placed() if asks or len(nodes) > 1 else []
        labels = {name: node["metadata"].get("labels") or {} for node in nodes if (name := node["metadata"]["name"])}
        found: list[Fault] = []
        for node in nodes:
            why = self._elsewhere(pod, node) or scheduling.faults(pod, node, placed, labels)
            if not why and len(nodes) > 1 and not self._stays(pod):
                here = node["metadata"]["name"]
                why = scheduling.no_room(pod, node, (each for each in placed if each["spec"]["nodeName"] == here))
            if not why:
                return node["metadata"]["name"], []
            found += why
        if asks or any(fault.until_pods_change for fault in found):
            self._beside.follow(wanted=True)
        return "", found

    def _candidates(self) -> list[Obj]:
        """The nodes, in the order in which they are asked: the host's own, then the others by age."""
        return sorted(self._nodes.items(), key=self._rank)

    def _rank(self, node: Obj) -> tuple[bool, str, str]:
        meta = node["metadata"]
        return meta["name"] != self._node_name, meta["creationTimestamp"], meta["name"]

    def _elsewhere(self, pod: Obj, node: Obj) -> list[Fault]:
        """Why a Pod stays on the host's own node, where this is another."""
        name = node["metadata"]["name"]
        if name == self._node_name or not (why := self._stays(pod)):
            return []
        return [Fault("1 node(s) didn't share what the Pod uses", f"{name} is another machine: {why}.")]

    async def _bind(self, pod: Obj, node: str) -> None:
        meta = pod["metadata"]
        waited = conditions.find(pod, "PodScheduled")
        if waited is not None and waited["status"] != "True":
            await self._put(pod, conditions.condition("PodScheduled", True, "", now=self._clock.now()))
        spec = {"metadata": {"uid": meta["uid"]}, "spec": {"nodeName": node}}
        await self._client.patch(POD, meta["name"], meta["namespace"], spec)
        if scheduling.keeps_others_away(pod) and self._keepers is not None:
            self._keepers.add(meta["uid"])
        if waited is not None or not is_step(pod):
            self._tell_bound(pod, node)

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


def _is_ours(pod: Obj) -> bool:
    """Whether a Pod is this scheduler's to bind: steps of runs always are, which name another one for the sake of clusters."""
    return pod["spec"].get("schedulerName") in {None, "", DEFAULT_SCHEDULER} or is_step(pod)


def _deciding(node: Obj) -> tuple[Any, ...]:
    """What of a node decides: its heartbeats do not."""
    return node["metadata"].get("labels"), node["spec"], (node.get("status") or {}).get("allocatable")
