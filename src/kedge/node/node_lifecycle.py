"""Marks nodes that have gone silent, as Kubernetes' node lifecycle controller does, and ends Pods of nodes that are gone.

A node says that it is there by its Lease. Silence is measured by this process's own clock, from when it last saw the Lease
change: the clocks of other machines are not compared, and a host that was down gives every node its time again.
"""

import asyncio
import logging
from dataclasses import dataclass

from kedge.client.types import Client
from kedge.control.informer import Informer
from kedge.errors import ApiError, Conflict, NotFound
from kedge.kube import conditions
from kedge.kube.clock import Clock, Ids, timestamp
from kedge.kube.core import LEASE, NODE, POD
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_over
from kedge.node.events import Events
from kedge.node.registration import LEASES

_log = logging.getLogger(__name__)
GRACE = 50.0
"""Seconds of silence after which a node is marked, as kube-controller-manager's ``--node-monitor-grace-period``."""
_PERIOD = 5.0
_QUARANTINE = 40.0  # seconds for which a node must be gone before its Pods are
_OBSERVED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
UNREACHABLE, NOT_READY = "node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"
_EFFECTS = ("NoSchedule", "NoExecute")
_ORPHAN = "PodGC: node no longer exists"


@dataclass(slots=True)
class _Heard:
    """The last that was heard of a node: what its Lease said, and when that was new here."""

    said: str
    at: float


class NodeLifecycle:
    """Looks every few seconds at who has renewed its Lease.

    Args:
        client: The Kubernetes API.
        clock: The time.
        ids: Names of events.
        own: The host's own node, which is never judged: its agent lives in this process.
        grace: Seconds of silence after which a node is marked.
    """

    def __init__(self, client: Client, clock: Clock, ids: Ids, own: str, *, grace: float = GRACE) -> None:
        self._client = client
        self._clock = clock
        self._own = own
        self._grace = grace
        self._events = Events(client, clock, ids, "", component="node-controller")
        self._nodes = Informer(client, NODE, clock)
        self._heard: dict[str, _Heard] = {}
        self._missing: dict[str, float] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._nodes.run())
                await self._nodes.synced()
                while True:
                    await self._look_at_all()
                    await self._clock.sleep(_PERIOD)
        finally:
            await self._events.close()

    async def _look_at_all(self) -> None:
        try:
            for node in self._nodes.items():
                if node["metadata"]["name"] != self._own:
                    await self._look(node)
            await self._collect()
        except (NotFound, Conflict) as error:
            _log.debug("a node has changed meanwhile", extra={"error": str(error)})
        except ApiError as error:
            _log.warning("nodes cannot be looked at; trying again", extra={"error": str(error)})

    async def _look(self, node: Obj) -> None:
        """Mark one node, or take the marks away."""
        name = node["metadata"]["name"]
        if self._silence(name, await self._lease(name)) > self._grace:
            node = await self._give_up(node)
        ready = (conditions.find(node, "Ready") or {}).get("status", "Unknown")
        await self._taint(node, UNREACHABLE if ready == "Unknown" else NOT_READY if ready == "False" else "")

    async def _lease(self, name: str) -> str:
        try:
            lease = await self._client.get(LEASE, name, LEASES)
        except NotFound:
            return ""
        return lease["spec"].get("renewTime") or ""

    def _silence(self, name: str, said: str) -> float:
        """Seconds since a node was heard of."""
        now = self._clock.monotonic()
        known = self._heard.get(name)
        if known is None or known.said != said:
            self._heard[name] = known = _Heard(said, now)
        return now - known.at

    async def _give_up(self, node: Obj) -> Obj:
        """Write that nothing is known of a silent node."""
        known: list[Obj] = (node.get("status") or {}).get("conditions") or []
        was_ready = conditions.is_true(node, "Ready")
        wanted, now = known, self._clock.now()
        for aspect in _OBSERVED:
            found = conditions.find(node, aspect)
            if found is not None and found["status"] == "Unknown":
                continue
            never = found is None
            reason = "NodeStatusNeverUpdated" if never else "NodeStatusUnknown"
            message = "Kubelet never posted node status." if never else "Kubelet stopped posting node status."
            made = conditions.condition(aspect, None, reason, message, now=now)
            beat = found.get("lastHeartbeatTime") if found is not None else node["metadata"]["creationTimestamp"]
            wanted = conditions.put(wanted, {**made, "lastHeartbeatTime": beat})
        if wanted == known:
            return node
        meta = node["metadata"]
        patch: Obj = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "status": {"conditions": wanted}}
        node = await self._client.patch(NODE, meta["name"], None, patch, subresource="status")
        if was_ready:
            _log.warning("a node has gone silent", extra={"node": meta["name"], "seconds": self._grace})
            about = {**node, "metadata": {**meta, "namespace": "default"}}
            self._events.emit(about, "NodeNotReady", f"Node {meta['name']} status is now: NodeNotReady")
            await self._mark_pods(meta["name"])
        return node

    async def _mark_pods(self, name: str) -> None:
        """Take the Pods of a silent node out of their Services."""
        for pod in (await self._client.list(POD, fields=f"spec.nodeName={name}")).items:
            if not conditions.is_true(pod, "Ready"):
                continue
            meta = pod["metadata"]
            found = {
                **(conditions.find(pod, "Ready") or {}),
                "status": "False",
                "lastTransitionTime": timestamp(self._clock.now()),
            }
            patch: Obj = {
                "metadata": {"uid": meta["uid"]},
                "status": {"conditions": conditions.put(pod["status"]["conditions"], found)},
            }
            try:
                await self._client.patch(POD, meta["name"], meta["namespace"], patch, subresource="status")
            except (NotFound, Conflict):
                continue  # it is gone
            self._events.emit(pod, "NodeNotReady", "Node is not ready", warning=True)

    async def _taint(self, node: Obj, key: str) -> None:
        """Give a node the taint that its condition has, and no other of this controller's."""
        taints: list[Obj] = node["spec"].get("taints") or []
        wanted = [taint for taint in taints if taint["key"] not in {UNREACHABLE, NOT_READY} or taint["key"] == key]
        have = {taint["effect"] for taint in wanted if taint["key"] == key}
        now = timestamp(self._clock.now())
        wanted += [{"key": key, "effect": effect, "timeAdded": now} for effect in _EFFECTS if key and effect not in have]
        if wanted != taints:
            meta = node["metadata"]
            patch: Obj = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "spec": {"taints": wanted or None}}
            await self._client.patch(NODE, meta["name"], None, patch)

    async def _collect(self) -> None:
        """End Pods whose node has been gone for a while: nobody else can."""
        there = {node["metadata"]["name"] for node in self._nodes.items()}
        for name in self._heard.keys() - there:
            del self._heard[name]
            self._missing.setdefault(name, self._clock.monotonic())
        for name, since in tuple(self._missing.items()):
            if name in there:
                del self._missing[name]
            elif self._clock.monotonic() - since >= _QUARANTINE:
                for pod in (await self._client.list(POD, fields=f"spec.nodeName={name}")).items:
                    await self._end(pod)
                del self._missing[name]

    async def _end(self, pod: Obj) -> None:
        meta = pod["metadata"]
        if not is_over(pod):
            made = conditions.condition("DisruptionTarget", True, "DeletionByPodGC", _ORPHAN, now=self._clock.now())
            kept = conditions.put((pod.get("status") or {}).get("conditions") or [], made)
            patch: Obj = {"metadata": {"uid": meta["uid"]}, "status": {"phase": "Failed", "conditions": kept}}
            await self._client.patch(POD, meta["name"], meta["namespace"], patch, subresource="status")
        await self._client.delete(POD, meta["name"], meta["namespace"], uid=meta["uid"], grace_period=0)
