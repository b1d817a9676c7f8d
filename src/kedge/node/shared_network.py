"""What becomes of names and ports where Pods share the machine's network, because it has no namespaces.

The known frameworks say by variables where they meet: their names of Pods become 127.0.0.1, and their ports others, the same ones
for all Pods of a job and different ones for different jobs. Whatever else speaks of the cluster's names is refused.
"""

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kedge.kube.kinds import Obj
from kedge.node.env import MissingError
from kedge.node.refusals import Refusal

_LOOPBACK = "127.0.0.1"
# Where a framework's port is moved to: above what is handed out as ports of nodes, below what a system takes by itself.
_FIRST_PORT, _PORTS = 33000, 20000
_JOBS = ("jobset.sigs.k8s.io/jobset-name", "batch.kubernetes.io/job-name", "job-name", "training.kubeflow.org/job-name")
# PyTorch, torchrun, JAX, DMLC (XGBoost, MXNet), TensorFlow.
_NAMES = ("MASTER_ADDR", "PET_MASTER_ADDR", "DMLC_PS_ROOT_URI", "DMLC_TRACKER_URI")
_NUMBERS = ("MASTER_PORT", "PET_MASTER_PORT", "DMLC_PS_ROOT_PORT", "DMLC_TRACKER_PORT")
_PLACES = ("PET_RDZV_ENDPOINT", "JAX_COORDINATOR_ADDRESS", "COORDINATOR_ADDRESS")
_CONFIGURATION = "TF_CONFIG"
_MOVED = frozenset({*_NUMBERS, *_PLACES})
_OF_SERVICES = re.compile(r"\b[a-z0-9]([-a-z0-9.]*[a-z0-9])?\.svc\b")


class PortTakenError(MissingError):
    """A Pod of the machine's network declares a port that another one has declared before; it waits until that has ended."""

    reason = "PortTaken"


class Ports:
    """The ports that Pods have declared where all share the machine's network: each is one Pod's at a time."""

    def __init__(self) -> None:
        self._holders: dict[tuple[int, str], tuple[str, str]] = {}

    def take(self, pod: Obj, refusal: str) -> None:
        """Hold a Pod's ports for it.

        Args:
            pod: The Pod.
            refusal: Why it has no network of its own.

        Raises:
            PortTakenError: Another Pod has one of them; names it.
        """
        meta = pod["metadata"]
        ports = _declared(pod)
        for port in ports:
            uid, name = self._holders.get(port, (meta["uid"], ""))
            if uid != meta["uid"]:
                what = (
                    f"port {port[0]}/{port[1]} is declared by Pod {name} too, which runs, and Pods share this machine's network"
                )
                raise PortTakenError(
                    f"{what}: {refusal}. This one starts when that has ended; or give it a containerPort of its own."
                )
        self.adopt(pod)

    def adopt(self, pod: Obj) -> None:
        """Hold the ports of a Pod that runs, as far as nobody else has them."""
        meta = pod["metadata"]
        for port in _declared(pod):
            self._holders.setdefault(port, (meta["uid"], f"{meta.get('namespace')}/{meta['name']}"))

    def release(self, uid: str) -> None:
        """Let go of a Pod's ports."""
        self._holders = {port: holder for port, holder in self._holders.items() if holder[0] != uid}


def _declared(pod: Obj) -> set[tuple[int, str]]:
    """The ports that a Pod declares, but for those by which a known framework meets, which are moved."""
    every: list[Obj] = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    told = [str(each.get("value") or "") for container in every for each in container.get("env") or () if each["name"] in _MOVED]
    moved = {text.rpartition(":")[2] for text in told}
    ports: list[Obj] = [port for container in every for port in container.get("ports") or ()]
    return {(each["containerPort"], each.get("protocol") or "TCP") for each in ports if str(each["containerPort"]) not in moved}


def adapted(pod: Obj, container: Obj, values: Mapping[str, str], refusal: str) -> dict[str, str]:
    """The variables of a container by which a known framework meets, as they are on a shared network.

    Args:
        pod: The Pod.
        container: One of its containers.
        values: Its variables.
        refusal: Why the machine has no networks for Pods; empty where the Pod has what it wants.

    Raises:
        Refusal: Something else speaks of a name that only a network of the Pod's own has.
    """
    if not refusal:
        return {}
    speaks = _speaker(pod)
    for path, text in _texts(container, values):
        if found := speaks(text):
            what = f"container {container['name']}: {path} speaks of {found!r}, which is not found on this machine"
            instead = (
                "Use 127.0.0.1 and a port of its own, or run the Pod where it has a network of its own: on a cluster, or on "
                "Linux with user namespaces allowed, as a process or with root's podman."
            )
            raise Refusal("NetworkNotSupported", f"{what}, whose network Pods share: {refusal}. {instead}")
    job = _job_of(pod)
    made = {name: _LOOPBACK for name in _NAMES if speaks(values.get(name, ""))}
    made |= {name: str(_moved(int(values[name]), job)) for name in _NUMBERS if values.get(name, "").isdigit()}
    made |= {name: _place(values[name], job) for name in _PLACES if speaks(values.get(name, ""))}
    if speaks(values.get(_CONFIGURATION, "")):
        made[_CONFIGURATION] = _configuration(values[_CONFIGURATION], job)
    return made


def _texts(container: Obj, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    known = {*_NAMES, *_PLACES, _CONFIGURATION}
    for name, value in values.items():
        if name not in known:
            yield f"the variable {name}", value
    for field in ("command", "args"):
        for index, word in enumerate(container.get(field) or ()):
            yield f"{field}[{index}]", word


def _speaker(pod: Obj) -> Callable[[str], str]:
    """Finds the cluster's names in a text: of Services, and of Pods below this one's subdomain."""
    below = pod["spec"].get("subdomain")
    own = re.compile(rf"\b[a-z0-9][-a-z0-9]*\.{re.escape(below)}\b") if below else None

    def speaks(text: str) -> str:
        found = _OF_SERVICES.search(text) or (own.search(text) if own else None)
        return found.group() if found else ""

    return speaks


def _job_of(pod: Obj) -> str:
    """What Pods have in common that meet: their job's name, otherwise their subdomain's."""
    meta = pod["metadata"]
    labels: dict[str, str] = meta.get("labels") or {}
    name = next((labels[key] for key in _JOBS if key in labels), pod["spec"].get("subdomain") or meta["name"])
    return f"{meta.get('namespace')}/{name}"


def _moved(port: int, job: str) -> int:
    return _FIRST_PORT + zlib.crc32(f"{job}/{port}".encode()) % _PORTS


def _place(text: str, job: str) -> str:
    _, _, port = text.rpartition(":")
    return f"{_LOOPBACK}:{_moved(int(port), job)}" if port.isdigit() else _LOOPBACK


def _configuration(text: str, job: str) -> str:
    """TensorFlow's: all its places, each told from the others by its port."""
    config: dict[str, Any] = json.loads(text)
    cluster: dict[str, list[str]] = config.get("cluster") or {}
    for role, places in cluster.items():
        cluster[role] = [_place(place, f"{job}/{role}/{index}") for index, place in enumerate(places)]
    return json.dumps(config)
