"""A node without processes: it plays the kubelet for Pods of runs, so that controllers can be tested without starting any.

What a Pod does is a function that the test gives. What a real node keeps outside of the hub (which Pods it has started, how they
ended) is kept here outside of it too, in `Machine`: a new hub with a new `StandInNode` on the same machine finds it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kedge.artifacts.staging import StagedOutputs
from kedge.client.types import Client
from kedge.control.informer import Informer
from kedge.errors import Conflict, Invalid, KedgeError, NotFound
from kedge.kube.clock import Clock, timestamp
from kedge.kube.core import POD
from kedge.kube.kinds import Obj


@dataclass(frozen=True, slots=True)
class Ended:
    """How the container ``main`` ended.

    Attributes:
        code: Its exit code.
        message: Its termination message.
        reason: As the kubelet gives it.
        pod_reason: ``status.reason`` of the Pod, such as ``Evicted``.
    """

    code: int = 0
    message: str = ""
    reason: str = ""
    pod_reason: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A Pod, as what runs in it sees it.

    Attributes:
        pod: The Pod.
        told: What ``KEDGE_STEP`` says; empty for Pods without.
        commit: Commits outputs over staging.
    """

    pod: Obj
    told: Mapping[str, Any]
    commit: Callable[[StagedOutputs], Awaitable[None]]

    @property
    def task(self) -> str:
        """Its task's id."""
        return self.pod["metadata"]["annotations"]["kedge.dev/task"]

    @property
    def attempt(self) -> int:
        """Its attempt's number."""
        return int(self.pod["metadata"]["annotations"]["kedge.dev/attempt"])

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its input parameters."""
        return (self.told.get("executorInput") or {}).get("inputs", {}).get("parameterValues", {})

    @property
    def returns(self) -> list[str]:
        """Names of the output parameters; none of a container that is told nothing."""
        return list((self.told.get("executorInput") or {}).get("outputs", {}).get("parameters", {}))


Behaviour = Callable[[Step], Awaitable[Ended]]


@dataclass(slots=True)
class Machine:
    """What outlives the hub.

    Attributes:
        behaviour: What a Pod does.
        started: UIDs of the Pods that were started, in order: each begins once.
        ended: How they ended.
    """

    behaviour: Behaviour
    started: list[str] = field(default_factory=list[str])
    ended: dict[str, Ended] = field(default_factory=dict[str, Ended])


def output(name: str, value: Any) -> Ended:
    """The end of a step whose only output is one parameter."""
    return Ended(message=json.dumps({"kedge": 1, "outputs": {name: value}}))


def raised(kind: str, message: str) -> Ended:
    """The end of a step whose function raised."""
    trace = f"Traceback (most recent call last):\n{kind}: {message}\n"
    return Ended(1, json.dumps({"kedge": 1, "error": {"type": kind, "message": message, "traceback": trace}}), "Error")


class StandInNode:
    """Runs the Pods of a server.

    Args:
        client: The server.
        clock: For times, and pauses between tries.
        machine: What outlives this node.
        commit: Where steps commit: the hub's staging backend; what it raises as `errors.KedgeError` is tried again.
    """

    def __init__(
        self, client: Client, clock: Clock, machine: Machine, commit: Callable[[str, StagedOutputs], Awaitable[None]]
    ) -> None:
        self._client = client
        self._clock = clock
        self._machine = machine
        self._commit = commit
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pods = Informer(client, POD, clock)

    async def run(self) -> None:
        """Run Pods until cancelled."""
        self._pods.on_change(self._changed)
        try:
            await self._pods.run()
        finally:
            for task in self._tasks.values():
                task.cancel()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            if old is not None and (task := self._tasks.pop(old["metadata"]["uid"], None)) is not None:
                task.cancel()
            return
        uid = new["metadata"]["uid"]
        if new["metadata"].get("deletionTimestamp") and new["status"].get("phase") not in {"Succeeded", "Failed"}:
            if (task := self._tasks.pop(uid, None)) is not None:
                task.cancel()
            self._machine.ended.setdefault(uid, Ended(143, reason="Error"))
        if uid not in self._tasks and new["status"].get("phase") not in {"Succeeded", "Failed"}:
            self._tasks[uid] = asyncio.get_running_loop().create_task(self._live(new))

    async def _live(self, pod: Obj) -> None:
        uid = pod["metadata"]["uid"]
        try:
            if uid not in self._machine.ended:
                await self._status(
                    pod, {"phase": "Running", "containerStatuses": [_main({"running": {"startedAt": self._now()}})]}
                )
                if uid not in self._machine.started:
                    self._machine.started.append(uid)
                self._machine.ended[uid] = await self._machine.behaviour(
                    Step(pod, _told(pod), lambda made: self._stage(uid, made))
                )
            ended = self._machine.ended[uid]
            terminated: Obj = {"exitCode": ended.code, "reason": ended.reason or ("Completed" if not ended.code else "Error")}
            if ended.message:
                terminated["message"] = ended.message
            status: Obj = {
                "phase": "Failed" if ended.code else "Succeeded",
                "containerStatuses": [_main({"terminated": terminated})],
            }
            if ended.pod_reason:
                status["reason"] = ended.pod_reason
            await self._status(pod, status)
            await self._gone(pod)
        except NotFound:
            pass

    async def _stage(self, uid: str, made: StagedOutputs) -> None:
        """Commit, for as long as a hub takes to come back."""
        while True:
            try:
                await self._commit(uid, made)
            except (Conflict, Invalid):
                raise
            except KedgeError:
                await self._clock.sleep(0.05)
            else:
                return

    async def _status(self, pod: Obj, status: Obj) -> None:
        metadata = pod["metadata"]
        await self._client.patch(POD, metadata["name"], metadata["namespace"], {"status": status}, subresource="status")

    async def _gone(self, pod: Obj) -> None:
        metadata = pod["metadata"]
        found = await self._client.get(POD, metadata["name"], metadata["namespace"])
        if found["metadata"].get("deletionTimestamp"):
            await self._client.delete(POD, metadata["name"], metadata["namespace"], grace_period=0, uid=metadata["uid"])

    def _now(self) -> str:
        return timestamp(self._clock.now())


def _main(state: Obj) -> Obj:
    return {"name": "main", "ready": "running" in state, "restartCount": 0, "image": "", "imageID": "", "state": state}


def _told(pod: Obj) -> dict[str, Any]:
    for container in pod["spec"]["containers"]:
        for variable in container.get("env", ()):
            if variable["name"] == "KEDGE_STEP":
                return json.loads(variable["value"].replace("$$", "$"))  # as a kubelet hands it on
    return {}
