"""GPUs: which there are, which Pod has which, and what its containers see of them.

A GPU is its index, in the order of the PCI bus as ``nvidia-smi`` counts. Who asks for ``nvidia.com/gpu`` gets so many for itself,
and who does not sees none, as on a cluster. Variables that CUDA reads keep it so: this orders steps that mean well, and guards no
GPU against others.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from kedge.client.types import Client
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_sidecar
from kedge.kube.requests import requests_of

GPU = "nvidia.com/gpu"
VISIBLE = "CUDA_VISIBLE_DEVICES"
# Which GPUs a Pod has, for an agent after this one.
_HELD = "kedge.dev/gpus"
_DRIVER = Path("/proc/driver/nvidia/gpus")
_ASK_SECONDS = 10.0


def discover(environ: Mapping[str, str], count: int | None = None, driver: Path = _DRIVER) -> tuple[str, ...]:
    """The GPUs that may be handed out, by index.

    Args:
        environ: The environment that Kedge was started in: its ``CUDA_VISIBLE_DEVICES`` keeps the others for somebody else.
        count: So many there are, whatever the driver says.
        driver: Where the driver describes its GPUs, a directory each, named by place on the PCI bus.
    """
    if count is not None and VISIBLE not in environ:
        return tuple(map(str, range(count)))  # nobody has to be asked
    uuids = _described(driver) or _asked(environ)
    names = [str(index) for index in range(len(uuids) if count is None else count)]
    if VISIBLE not in environ:
        return tuple(names)
    wanted = [word.strip() for word in environ[VISIBLE].split(",")]
    by_uuid = dict(zip(uuids, names, strict=False))
    chosen = (by_uuid.get(word, word) for word in wanted)
    return tuple(name for name in dict.fromkeys(chosen) if name in names)


def _described(driver: Path) -> list[str]:
    """UUIDs in the order of the bus, as the driver's files have them: that takes no time, and wakes no GPU."""
    found: list[str] = []
    for place in sorted(driver.glob("*/information")):
        lines = dict(line.split(":", 1) for line in place.read_text(encoding="utf-8").splitlines() if ":" in line)
        found.append(lines.get("GPU UUID", "").strip())
    return found


def _asked(environ: Mapping[str, str]) -> list[str]:
    """The same, of ``nvidia-smi``: where a sandbox or Windows' Linux hides the driver's files."""
    program = shutil.which("nvidia-smi", path=environ.get("PATH", os.defpath))
    if program is None:
        return []
    command = [program, "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


class Devices:
    """Who has which GPU.

    Args:
        client: Notes on each Pod what it has.
        found: The GPUs of this machine.
    """

    def __init__(self, client: Client, found: Iterable[str] = ()) -> None:
        self._client = client
        self.found = tuple(found)
        self._held: dict[str, tuple[str, ...]] = {}

    @property
    def resources(self) -> tuple[tuple[str, float], ...]:
        """What the node has of them."""
        return ((GPU, float(len(self.found))),) if self.found else ()

    def adopt(self, pod: Obj) -> None:
        """A Pod runs already, with the GPUs that it was given."""
        if held := (pod["metadata"].get("annotations") or {}).get(_HELD):
            self._held[pod["metadata"]["uid"]] = tuple(held.split(","))

    def release(self, uid: str) -> None:
        """A Pod is over."""
        self._held.pop(uid, None)

    async def give(self, pod: Obj) -> dict[str, tuple[str, ...]]:
        """Give a Pod its GPUs, which admission has counted: those of each container, empty where the machine has none at all.

        What it has is on the Pod before anything of it starts.
        """
        if not self.found:  # as on most machines, where this must cost a step nothing
            return {}
        meta = pod["metadata"]
        count = int(requests_of(pod["spec"]).get(GPU, 0))
        if count and meta["uid"] not in self._held:
            taken = {name for held in self._held.values() for name in held}
            self._held[meta["uid"]] = held = tuple([name for name in self.found if name not in taken][:count])
            change: Obj = {"metadata": {"uid": meta["uid"], "annotations": {_HELD: ",".join(held)}}}
            # By its status: of a Pod's other parts a node may change none.
            await self._client.patch(POD, meta["name"], meta["namespace"], change, subresource="status")
        return shares(pod["spec"], self._held.get(meta["uid"], ()))


def shares(spec: Obj, held: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The part of each container in its Pod's GPUs; init containers that end use again what the others will have.

    Examples:
        >>> container = lambda name, gpus: {"name": name, "resources": {"limits": {"nvidia.com/gpu": gpus}}}
        >>> shares({"initContainers": [container("i", 2)], "containers": [container("a", 1), container("b", 1)]}, ("4", "5"))
        {'i': ('4', '5'), 'a': ('4',), 'b': ('5',)}
    """
    found: dict[str, tuple[str, ...]] = {}
    used = 0
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        wanted = int(requests_of({"containers": [container]}).get(GPU, 0))
        found[container["name"]] = held[used : used + wanted]
        if container in spec["containers"] or is_sidecar(container):
            used += wanted
    return found


def variables(given: tuple[str, ...] | None, asked: str | None) -> dict[str, str]:
    """What tells CUDA and its libraries which GPUs a container has.

    Args:
        given: The machine's GPUs that are the container's; ``None`` where the machine has none.
        asked: The ``CUDA_VISIBLE_DEVICES`` of its Pod, which counts what the container has, from 0.

    Examples:
        >>> variables(("2", "3"), "1")["CUDA_VISIBLE_DEVICES"]
        '3'
    """
    if given is None:
        return {}
    if asked is not None:
        wanted = [word.strip() for word in asked.split(",")]
        given = tuple(given[int(word)] for word in wanted if word.isdecimal() and int(word) < len(given))
    text = ",".join(given)
    return {VISIBLE: text, "NVIDIA_VISIBLE_DEVICES": text or "void", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
