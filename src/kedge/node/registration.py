"""The Node object of this machine: made when the node starts, and kept true by heartbeats.

Labels, taints and ``unschedulable`` that people set stay as they are, over restarts too; what the machine is, is written anew. As
on a cluster a heartbeat is a small Lease in ``kube-node-lease``, and the Node itself is written when something has changed.
"""

import asyncio
import logging
import os
import platform
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kedge import __version__
from kedge.client.types import Client
from kedge.config import Settings
from kedge.errors import AlreadyExists, ApiError, NotFound
from kedge.kube import conditions, quantities
from kedge.kube.clock import Clock, micro_timestamp, parse_timestamp, timestamp
from kedge.kube.core import LEASE, NODE
from kedge.kube.kinds import Obj
from kedge.kube.metadata import owner_reference
from kedge.node import pressure
from kedge.node.admission import Size

_log = logging.getLogger(__name__)
_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}
# Which labels came from the setting: those that it does not name any more are taken away.
_FROM_SETTING = "kedge.dev/labels-from-setting"
LEASES = "kube-node-lease"
"""The namespace of heartbeats."""
# The only address of a node that nobody reaches. No name may have a part as long as its first, so a cluster's API server knows at
# once, without asking anybody, that there is no such host; and what it answers to `kubectl logs` then has these words in it.
_UNREACHED = "kubectl-logs-exec-attach-and-port-forward-do-not-reach-nodes-of-kedge-join.invalid"
# As the kubelet's: a lease lasts 40 seconds and is renewed every 10; an unchanged Node is written every 5 minutes.
_LASTING_PODS = 110  # Pods that the node says it has room for: as a kubelet
_LEASE_SECONDS = 40
_RENEW_SECONDS = 10.0
_REPORT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is, as its API sees it.

    Attributes:
        address: The node's own.
        joined: Whether the API is another machine's. Pods share the machine's network then.
        taints: Those that it begins with.
        ports: Of this machine's loopback, which Pods in a network of their own find on theirs: where the host serves.
        api: Address and port at which Pods that share the machine's network find the API.
        dialed: Whether logs and programs of its Pods are reached: over connections that the node makes, or in one process. A
            cluster's API server would connect to the node's address, where nothing listens, or another machine's kubelet.
    """

    address: str = "127.0.0.1"
    joined: bool = False
    taints: tuple[Obj, ...] = ()
    ports: tuple[int, ...] = ()
    api: tuple[str, int] | None = None
    dialed: bool = True


HERE = Place()
"""On the machine of its API."""


class Registration:
    """Keeps the Node object.

    Args:
        client: The Kubernetes API.
        clock: The time.
        settings: Labels, how many Pods, and where they keep what they write.
        name: The node's name.
        capacity: What the machine has.
        place: Where the node is.

    Attributes:
        runtime: What runs containers, as ``NAME://VERSION``.
    """

    def __init__(
        self, client: Client, clock: Clock, settings: Settings, name: str, capacity: Size, *, place: Place = HERE
    ) -> None:
        self.runtime = f"kedge://{__version__}"
        self._client = client
        self._clock = clock
        self._settings = settings
        self._name = name
        self._capacity = capacity
        self._place = place
        self._node: Obj = {}

    async def register(self) -> None:
        """Make the Node object and its Lease, or bring them up to date."""
        try:
            node = await self._client.create(NODE, {"metadata": {"name": self._name}, "spec": {"taints": [*self._place.taints]}})
        except AlreadyExists:
            node = await self._client.get(NODE, self._name)
        if change := self._labels(node):
            node = await self._client.patch(NODE, self._name, None, {"metadata": change})
        self._node = node
        await self._report(always=True)
        await self._renew()

    async def run(self) -> None:
        """Keep both true until cancelled."""
        while True:
            await self._clock.sleep(_RENEW_SECONDS)
            try:
                self._node = await self._client.get(NODE, self._name)
                await self._renew()
                await self._report()
            except NotFound:
                await self._again()
            except ApiError as error:
                _log.warning("a node is not renewed; trying again", extra={"node": self._name, "error": str(error)})

    async def _again(self) -> None:
        """Somebody has deleted the Node."""
        try:
            await self.register()
        except ApiError as error:
            _log.warning("a node cannot be registered; trying again", extra={"node": self._name, "error": str(error)})

    def _labels(self, node: Obj) -> Obj:
        """The change of metadata that brings the node's own labels, and those of the setting."""
        meta, wanted = node["metadata"], self._settings.node_labels
        have: Mapping[str, str] = meta.get("labels") or {}
        before = filter(None, (meta.get("annotations") or {}).get(_FROM_SETTING, "").split(","))
        labels: dict[str, str | None] = {key: None for key in before if key in have and key not in wanted}
        labels |= {key: value for key, value in {**wanted, **own_labels(self._name)}.items() if have.get(key) != value}
        keys = ",".join(sorted(wanted)) or None
        changed = (meta.get("annotations") or {}).get(_FROM_SETTING) != keys
        return {**({"labels": labels} if labels else {}), **({"annotations": {_FROM_SETTING: keys}} if changed else {})}

    # -- heartbeats -----------------------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        now = micro_timestamp(self._clock.now())
        try:
            await self._client.patch(LEASE, self._name, LEASES, {"spec": {"renewTime": now}})
        except NotFound:
            spec = {"holderIdentity": self._name, "leaseDurationSeconds": _LEASE_SECONDS, "acquireTime": now, "renewTime": now}
            meta = {
                "name": self._name,
                "namespace": LEASES,
                "ownerReferences": [owner_reference(NODE, self._node, controlling=False, blocking=False)],
            }
            await self._client.create(LEASE, {"metadata": meta, "spec": spec})

    async def _report(self, *, always: bool = False) -> None:
        """Write the Node's status where it has changed, or was not written for long."""
        now, old = self._clock.now(), self._node.get("status") or {}
        status = self._status(old.get("conditions") or [], await asyncio.to_thread(pressure.observe, self._settings.home), now)
        if not always and _without_heartbeats(status) == _without_heartbeats({key: old.get(key) for key in status}):
            beat = next((each.get("lastHeartbeatTime") for each in old.get("conditions") or ()), None)
            if beat is not None and now - parse_timestamp(beat) < _REPORT:
                return
        self._node = await self._client.patch(NODE, self._name, None, {"status": status}, subresource="status")

    def _status(self, old: list[Obj], observed: list[pressure.Observation], now: datetime) -> Obj:
        has = self._resources()
        made = [conditions.condition(each.type, each.status, each.reason, each.message, now=now) for each in observed]
        made.append(conditions.condition("Ready", True, "KubeletReady", "the node takes Pods", now=now))
        for each in made:
            old = conditions.put(old, {**each, "lastHeartbeatTime": timestamp(now)})
        return {
            "capacity": has,
            "allocatable": has,
            "addresses": self._addresses(),
            "conditions": old,
            "nodeInfo": _info(self.runtime),
        }

    def _addresses(self) -> list[Obj]:
        if not self._place.dialed:
            return [{"type": "Hostname", "address": _UNREACHED}]
        return [
            {"type": "InternalIP", "address": self._place.address},
            {"type": "Hostname", "address": socket.gethostname()},
        ]

    def _resources(self) -> dict[str, str]:
        disk = shutil.disk_usage(self._settings.home).total
        has = {
            "cpu": quantities.render_cpu(self._capacity.cpu),
            "memory": f"{self._capacity.memory >> 10}Ki",
            "ephemeral-storage": f"{disk >> 10}Ki",
            "pods": str(max(self._settings.max_pods, _LASTING_PODS)),
            **{name: f"{amount:g}" for name, amount in self._capacity.other},
        }
        # As they are kept, so that what has not changed is seen not to have.
        return {name: quantities.canonical(amount) for name, amount in has.items()}


def architecture() -> str:
    """This machine's, as Kubernetes names it."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def own_labels(name: str) -> dict[str, str]:
    """Labels that every node has."""
    return {
        "kubernetes.io/arch": architecture(),
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": sys.platform,
    }


def _without_heartbeats(status: Obj) -> Obj:
    plain: list[dict[str, Any]] = [
        {key: value for key, value in each.items() if key != "lastHeartbeatTime"} for each in status.get("conditions") or ()
    ]
    return {**status, "conditions": plain}


def _info(runtime: str) -> Obj:
    machine = _first_line(Path("/etc/machine-id"))
    return {
        "machineID": machine,
        "systemUUID": machine,
        "bootID": _first_line(Path("/proc/sys/kernel/random/boot_id")),
        "kernelVersion": platform.release(),
        "osImage": _system(),
        "operatingSystem": sys.platform,
        "architecture": architecture(),
        "containerRuntimeVersion": runtime,
        "kubeletVersion": f"v{__version__}",
        "kubeProxyVersion": "",
    }


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").partition("\n")[0].strip()
    except (OSError, ValueError):
        return ""


def _system() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return os.uname().sysname
