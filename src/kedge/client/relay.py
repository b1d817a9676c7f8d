"""A relay in a cluster, and a hub on this machine that answers what comes through it.

The relay is a small Pod (`kedge.relay`) with a Service. It is brought there when a hub starts, and stays when the hub stops, so
that steps which run meanwhile wait at it; `remove` takes it away for good. Each data directory has one of its own.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kedge import errors
from kedge.client.http import HttpClient
from kedge.client.relay_objects import DEPLOYMENT, LABEL, SERVICE, Wanted, objects
from kedge.client.tunnel import Handler, Tunnel, Way
from kedge.kube.clock import Clock, Ids, SystemClock, SystemIds
from kedge.kube.core import CONFIG_MAP, POD, SECRET
from kedge.kube.kinds import Kind, Obj

_log = logging.getLogger(__name__)

_CONTENT = "kedge.dev/content"  # a digest of what an object was made of, by which is seen that it is another now
_READY_SECONDS = 300.0
_LOOK_SECONDS = 0.25
_TELL_SECONDS = 5.0
_REACHED_SECONDS = 60.0
_NO_IMAGE = frozenset({"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_ELSEWHERE = "Or set KEDGE_LISTEN and KEDGE_HUB_ADDRESS, where Pods can reach this machine themselves."


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose a relay is.

    Attributes:
        name: Part of its objects' names: lower-case letters and digits.
        secret: What its tunnel asks for.
    """

    name: str
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Identity({self.name!r})"


class Relay:
    """A relay of ours in a cluster.

    Args:
        client: Speaks to the cluster's API server; the relay is in its namespace.
        identity: Whose relay it is.
        image: Any with Python 3.8 or newer.
        seen: Namespaces in which its hub works, besides its own; ``None`` for all. No other hub's relay may be there.
        clock: For pauses.
        ids: Names the session.

    Attributes:
        address: Where Pods reach it, such as ``http://kedge-relay-x1y2.default.svc:80``.
    """

    def __init__(
        self,
        client: HttpClient,
        identity: Identity,
        image: str,
        *,
        seen: Sequence[str | None] = (),
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> None:
        self._client = client
        self._seen = seen
        self._clock = clock or SystemClock()
        self._wanted = Wanted(identity.name, client.namespace, image, identity.secret)
        self._way = Way(self._wanted.tunnel, identity.secret, (ids or SystemIds()).uid())
        self.address = self._wanted.address

    async def start(self, handler: Handler) -> Tunnel:
        """Reach the relay, once it was brought.

        Args:
            handler: Answers the requests of Pods.

        Returns:
            What to run: it answers what comes through the relay. The relay itself stays when that ends, and lets Pods wait.

        Raises:
            StateError: It cannot be reached; says why, and what to do.
        """
        tunnel = Tunnel(self._client, self._way, handler, self._clock, self._make)
        await self._reach(tunnel)
        return tunnel

    async def bring(self) -> None:
        """See that the relay runs, before the hub looks at any run; returns when it does.

        Raises:
            StateError: It does not start, or another hub's is there; says why, and what to do.
            UnsupportedError: We may not do what it takes.
        """
        try:
            await check_alone(self._client, [self._wanted.namespace, *self._seen], own=self._wanted.identity)
            await self._make()
            await self._await_ready()
            await self._sweep()
        except errors.Forbidden as error:
            raise errors.UnsupportedError(
                f"the relay, through which Pods reach this machine, needs rights in namespace {self._wanted.namespace}: {error} "
                "It takes get, list, create, update and delete of configmaps, secrets, services and deployments.apps, "
                "list of pods, and get and create of services/proxy; ask whoever administers the cluster for them. " + _ELSEWHERE
            ) from error

    async def _make(self) -> None:
        """See that its objects are there, and what they should be: somebody may have deleted them."""
        for kind, obj in objects(self._wanted):
            await _apply(self._client, kind, obj)

    async def _await_ready(self) -> None:
        start = told = self._clock.monotonic()
        while True:
            found = await self._client.get(DEPLOYMENT, self._wanted.name, self._wanted.namespace)
            if _is_ready(found):
                return
            listed = await self._client.list(POD, self._wanted.namespace, labels=f"{LABEL}={self._wanted.identity}")
            why = _waits_for(found, listed.items)
            now = self._clock.monotonic()
            if _is_hopeless(found, listed.items) or now - start > _READY_SECONDS:
                raise errors.StateError(
                    f"the relay, through which Pods reach this machine, does not start in namespace {self._wanted.namespace}: "
                    f"{why}. Its image is {self._wanted.image} (KEDGE_STAGER_IMAGE names another one with Python 3.8 or newer); "
                    f"`kubectl describe deployment {self._wanted.name}` says more. {_ELSEWHERE}"
                )
            if now - told > _TELL_SECONDS:
                told = now
                _log.info("the relay is being started", extra={"image": self._wanted.image, "waits": why})
            await self._clock.sleep(_LOOK_SECONDS)

    async def _reach(self, tunnel: Tunnel) -> None:
        """Say hello; what has just been started may not be in the API server's tables yet."""
        start = self._clock.monotonic()
        while True:
            try:
                await tunnel.greet()
            except errors.ApiError as error:
                if self._clock.monotonic() - start > _REACHED_SECONDS:
                    raise errors.StateError(
                        f"the relay runs, but cannot be reached through the API server's proxy: {error}. The API server must be "
                        f"able to connect to Pods, and we need get and create of "
                        f"services/proxy in namespace {self._wanted.namespace}. {_ELSEWHERE}"
                    ) from error
                await self._clock.sleep(_LOOK_SECONDS)
            else:
                return

    async def _sweep(self) -> None:
        """Take away programs of versions before."""
        await _delete_programs(self._client, self._wanted.namespace, self._wanted.identity, keep=self._wanted.program)


async def check_alone(client: HttpClient, namespaces: Iterable[str | None], *, own: str = "") -> None:
    """Refuse places where another data directory's relay is: its hub works there, or left steps that wait for it.

    Args:
        client: Speaks to the API server.
        namespaces: Where a hub is to work; ``None`` for all. Each is looked into once.
        own: The identity of the relay that may be there.

    Raises:
        StateError: One is there; says whose it is, and how to take its place.
        Forbidden: We may not look.
    """
    there = [
        found
        for namespace in dict.fromkeys(namespaces)
        for found in (await client.list(CONFIG_MAP, namespace, labels=LABEL)).items
    ]
    for found in there:
        where, other = found["metadata"]["namespace"], found["metadata"]["labels"][LABEL]
        if other != own:
            raise errors.StateError(
                f"another hub's relay, {other}, is in namespace {where}: two hubs would undo each other's work. Use another "
                "namespace, or take its place: `kedge down` where that hub was started; where it is gone for good, kubectl "
                f"delete deployments,services,secrets,configmaps --namespace {where} --selector {LABEL}={other}"
            )


async def remove(client: HttpClient, identity: str) -> bool:
    """Take a relay away, with all that belongs to it.

    Args:
        client: Speaks to the API server; its namespace is the relay's.
        identity: Whose it is.

    Returns:
        Whether there was one.
    """
    name = f"kedge-relay-{identity}"
    found = False
    for kind in (DEPLOYMENT, SERVICE, SECRET):
        try:
            await client.delete(kind, name, client.namespace)
            found = True
        except errors.NotFound:
            continue
    await _delete_programs(client, client.namespace, identity)
    return found


async def _delete_programs(client: HttpClient, namespace: str, identity: str, keep: str = "") -> None:
    for obj in (await client.list(CONFIG_MAP, namespace, labels=f"{LABEL}={identity}")).items:
        if obj["metadata"]["name"] != keep:
            try:
                await client.delete(CONFIG_MAP, obj["metadata"]["name"], namespace)
            except errors.NotFound:
                continue


async def _apply(client: HttpClient, kind: Kind, obj: Obj) -> None:
    """Create an object, or make it what it should be."""
    meta = obj["metadata"]
    digest = hashlib.sha256(json.dumps(obj, sort_keys=True).encode()).hexdigest()[:32]
    wanted: Obj = {**obj, "metadata": {**meta, "annotations": {_CONTENT: digest}}}
    try:
        found = await client.get(kind, meta["name"], meta["namespace"])
    except errors.NotFound:
        try:
            await client.create(kind, wanted)
        except errors.AlreadyExists:
            return  # by ourselves, a moment ago: there is one hub for each
        return
    if (found["metadata"].get("annotations") or {}).get(_CONTENT) != digest:
        wanted["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
        await client.update(kind, wanted)


def _is_ready(deployment: Obj) -> bool:
    status = deployment.get("status") or {}
    current = int(status.get("observedGeneration", 0)) >= int(deployment["metadata"].get("generation", 1))
    return current and bool(status.get("updatedReplicas")) and bool(status.get("availableReplicas"))


def _waits_for(deployment: Obj, pods: list[Obj]) -> str:
    """Why a relay does not run yet, in the cluster's words."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message") or condition.get("reason"))
    for pod in pods:
        status: dict[str, Any] = pod.get("status") or {}
        for condition in status.get("conditions") or ():
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"no node takes its Pod: {condition.get('message')}"
        for container in status.get("containerStatuses") or ():
            waiting = container["state"].get("waiting")
            if waiting:
                return f"{waiting.get('reason')}: {waiting.get('message') or 'its Pod is being prepared'}"
            ended = container["state"].get("terminated") or (container.get("lastState") or {}).get("terminated")
            if ended:
                return f"its container ended with exit code {ended.get('exitCode')} ({ended.get('reason')})"
    return "its Pod is not ready yet" if pods else "it has no Pod yet"


def _is_hopeless(deployment: Obj, pods: list[Obj]) -> bool:
    """Whether waiting is of no use: a quota is used up, a policy forbids the Pod, or its image cannot be had."""
    conditions = (deployment.get("status") or {}).get("conditions") or ()
    if any(condition["type"] == "ReplicaFailure" and condition["status"] == "True" for condition in conditions):
        return True
    return any(
        (container["state"].get("waiting") or {}).get("reason") in _NO_IMAGE
        for pod in pods
        for container in (pod.get("status") or {}).get("containerStatuses") or ()
    )
