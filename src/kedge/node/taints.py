"""What taints do to Pods that run, and what ``kubectl cordon`` does to a node: two of Kubernetes' own controllers.

A taint with the effect ``NoExecute`` ends each Pod that does not tolerate it, at once or after its ``tolerationSeconds``. A node
that is cordoned has the taint ``node.kubernetes.io/unschedulable``, so that whoever reads taints sees it.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from kedge.client.types import Client
from kedge.control.controller import Controller
from kedge.control.followed import Followed
from kedge.control.informer import Informer
from kedge.errors import NotFound
from kedge.kube import conditions
from kedge.kube.clock import Clock, Ids, parse_timestamp, timestamp
from kedge.kube.core import NODE, POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, key_of
from kedge.node.events import Events
from kedge.node.scheduling import UNSCHEDULABLE, tolerated

_MESSAGE = "Taint manager: deleting due to NoExecute taint"


class Taints:
    """Carries out the taints of nodes.

    Args:
        client: The Kubernetes API.
        clock: The time.
        ids: Names of events.
    """

    def __init__(self, client: Client, clock: Clock, ids: Ids) -> None:
        self._client = client
        self._clock = clock
        self._events = Events(client, clock, ids, "", component="taint-eviction-controller")
        self._nodes = Informer(client, NODE, clock)
        placed = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
        self._controller = Controller[Key]("taints", self._look, clock)
        self._pods = Followed(lambda: Informer(client, POD, clock, fields=placed), self._add)

    async def run(self) -> None:
        """Carry out taints until cancelled."""
        self._controller.follow(self._nodes, lambda old, new: [key_of(each) for each in (new or old,) if each is not None])
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._nodes.run())
                tasks.create_task(self._controller.run())
        finally:
            self._pods.follow(wanted=False)
            await self._events.close()

    async def _look(self, key: Key) -> float | None:
        try:
            if key.namespace:
                return await self._look_at_pod(key)
            if (node := self._nodes.get(key)) is not None:
                await self._mark(node, _taints(node))
            self._follow_pods(follow=any(_executes(taint) for each in self._nodes.items() for taint in _taints(each)))
        except NotFound:
            return None  # it is gone
        return None

    async def _look_at_pod(self, key: Key) -> float | None:
        pod = self._pods.informer.get(key) if self._pods.informer is not None else None
        node = self._nodes.get(Key("", pod["spec"]["nodeName"])) if pod is not None else None
        if pod is None or node is None:
            return None
        return await self._carry_out(pod, [taint for taint in _taints(node) if _executes(taint)])

    async def _mark(self, node: Obj, taints: list[Obj]) -> None:
        """Give a cordoned node its taint, and others none; note when a taint that ends Pods came, for their tolerationSeconds."""
        now, cordoned = timestamp(self._clock.now()), bool(node["spec"].get("unschedulable"))
        wanted = [
            {**taint, "timeAdded": now} if _executes(taint) and not taint.get("timeAdded") else taint
            for taint in taints
            if cordoned or taint["key"] != UNSCHEDULABLE["key"]
        ]
        if cordoned and all(taint["key"] != UNSCHEDULABLE["key"] for taint in taints):
            wanted.append({**UNSCHEDULABLE, "timeAdded": now})
        if wanted != taints:
            meta = {"resourceVersion": node["metadata"]["resourceVersion"]}
            await self._client.patch(NODE, node["metadata"]["name"], None, {"metadata": meta, "spec": {"taints": wanted or None}})

    def _follow_pods(self, *, follow: bool) -> None:
        """Look at Pods while, and only while, a taint may end them; at all of them again when taints have changed."""
        known = self._pods.informer
        self._pods.follow(wanted=follow)
        if follow and known is not None:
            for pod in known.items():
                self._add(None, pod)

    def _add(self, _: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self._controller.queue.add(key_of(new))

    async def _carry_out(self, pod: Obj, taints: Iterable[Obj]) -> float | None:
        """End a Pod that does not tolerate the node's taints, or not any more; returns the seconds that it has left."""
        meta = pod["metadata"]
        if meta.get("deletionTimestamp"):
            return None
        left = [self._left(pod, taint) for taint in taints]
        soonest = min((each for each in left if each is not None), default=None)
        if soonest is None or soonest > 0:
            return soonest
        self._events.emit(pod, "TaintManagerEviction", f"Marking for deletion Pod {meta['namespace']}/{meta['name']}")
        made = conditions.condition("DisruptionTarget", True, "DeletionByTaintManager", _MESSAGE, now=self._clock.now())
        kept = conditions.put((pod.get("status") or {}).get("conditions") or [], made)
        patch: Obj = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": kept}}
        await self._client.patch(POD, meta["name"], meta["namespace"], patch, subresource="status")
        await self._client.delete(POD, meta["name"], meta["namespace"], uid=meta["uid"])
        return None

    def _left(self, pod: Obj, taint: Obj) -> float | None:
        """Seconds for which a Pod still tolerates a taint; ``None`` for ever."""
        matching = [each for each in pod["spec"].get("tolerations") or () if tolerated(each, taint)]
        if not matching:
            return 0.0
        seconds = [each["tolerationSeconds"] for each in matching if each.get("tolerationSeconds") is not None]
        if not seconds:
            return None
        added = taint.get("timeAdded") or timestamp(self._clock.now())
        since = max(parse_timestamp(added), parse_timestamp(pod["metadata"]["creationTimestamp"]))
        return (since + timedelta(seconds=min(seconds)) - self._clock.now()).total_seconds()


def _taints(node: Obj) -> list[Obj]:
    return node["spec"].get("taints") or []


def _executes(taint: Obj) -> bool:
    return taint.get("effect") == "NoExecute"
