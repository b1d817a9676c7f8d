"""The Node object of this machine: made when the node starts, and kept true.

Labels, taints and ``unschedulable`` that people set stay as they are, over restarts too; what the machine is, is written anew.
"""

import os
import platform
import shutil
import socket
import sys
from collections.abc import Mapping
from datetime import datetime

from kedge.client.types import Client
from kedge.config import Settings
from kedge.errors import AlreadyExists
from kedge.kube import conditions, quantities
from kedge.kube.clock import Clock
from kedge.kube.core import NODE
from kedge.kube.kinds import Obj
from kedge.node.admission import Size

_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}
# Which labels came from the setting: those that it does not name any more are taken away.
_FROM_SETTING = "kedge.dev/labels-from-setting"


class Registration:
    """Keeps the Node object.

    Args:
        client: The Kubernetes API.
        clock: The time.
        settings: Labels, how many Pods, and where they keep what they write.
        name: The node's name.
        capacity: What the machine has.
    """

    def __init__(self, client: Client, clock: Clock, settings: Settings, name: str, capacity: Size) -> None:
        self._client = client
        self._clock = clock
        self._settings = settings
        self._name = name
        self._capacity = capacity

    async def register(self) -> None:
        """Make the Node object, or bring it up to date."""
        try:
            node = await self._client.create(NODE, {"metadata": {"name": self._name}, "spec": {}})
        except AlreadyExists:
            node = await self._client.get(NODE, self._name)
        if change := self._labels(node):
            node = await self._client.patch(NODE, self._name, None, {"metadata": change})
        status = self._status(node, self._clock.now())
        await self._client.patch(NODE, self._name, None, {"status": status}, subresource="status")

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

    def _status(self, node: Obj, now: datetime) -> Obj:
        has = self._resources()
        old: list[Obj] = (node.get("status") or {}).get("conditions") or []
        ready = conditions.condition("Ready", True, "KubeletReady", "the node takes Pods", now=now)
        return {
            "capacity": has,
            "allocatable": has,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": socket.gethostname()}],
            "conditions": conditions.put(old, ready),
            "nodeInfo": {
                "operatingSystem": sys.platform,
                "architecture": architecture(),
                "kernelVersion": platform.release(),
                "osImage": _system(),
            },
        }

    def _resources(self) -> dict[str, str]:
        disk = shutil.disk_usage(self._settings.home).total
        return {
            "cpu": quantities.render_cpu(self._capacity.cpu),
            "memory": f"{self._capacity.memory >> 10}Ki",
            "ephemeral-storage": f"{disk >> 10}Ki",
            "pods": str(self._settings.max_pods),
            **{name: f"{amount:g}" for name, amount in self._capacity.other},
        }


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


def _system() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return os.uname().sysname
