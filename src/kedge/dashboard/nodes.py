"""Nodes as pages show them: whether each takes Pods and why not, what presses it, and what of it is asked for by what runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kedge.dashboard.page import Page
from kedge.errors import ApiError
from kedge.kube import quantities
from kedge.kube.requests import add, requests_of

_MOST = 1000  # Pods that are looked at
_RUNNING = "status.phase=Running"
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Use:
    """What of a resource is asked for.

    Attributes:
        asked: By the Pods that run.
        there: What the node has for Pods.
    """

    asked: float
    there: float

    @property
    def share(self) -> int:
        """In hundredths."""
        return min(round(100 * self.asked / self.there), 100) if self.there else 0


@dataclass(slots=True)
class Node:
    """A node.

    Attributes:
        name: Its name.
        state: ``ready``, ``not ready`` or ``unknown``.
        why: Why it is not ready.
        troubles: What presses it, as its condition is called, and in a sentence.
        closed: Whether it is cordoned.
        cpu: Processors.
        memory: Bytes.
        gpus: GPUs; nothing where it has none.
        pods: Pods that run, of those that may.
        disk: Bytes that it has, as a quantity.
        info: What it is.
        created: Since when it is there.
    """

    name: str
    state: str
    why: str
    troubles: list[tuple[str, str]]
    closed: bool
    cpu: Use
    memory: Use
    gpus: Use
    pods: Use
    disk: str
    info: Json = field(default_factory=dict[str, Any])
    created: str = ""

    @property
    def page(self) -> str:
        """Its page."""
        return f"/cluster/objects/core/v1/nodes/-/{self.name}"


async def nodes(page: Page) -> list[Node]:
    """The nodes of the host, with what its running Pods ask for.

    Raises:
        ApiError: They are not served here, or not to this person.
    """
    found: list[Json] = (await page.api.get("/api/v1/nodes", limit=_MOST))["items"]
    try:
        pods = (await page.api.get("/api/v1/pods", fieldSelector=_RUNNING, limit=_MOST))["items"]
    except ApiError:  # of another namespace, say
        pods = []
    return [read(each, pods) for each in found]


def read(node: Json, pods: Iterable[Json] = ()) -> Node:
    """A node.

    Args:
        node: As the Kubernetes API has it.
        pods: Those that run, of any node.
    """
    name, status, spec = node["metadata"]["name"], node.get("status") or {}, node.get("spec") or {}
    conditions: dict[str, Json] = {each["type"]: each for each in status.get("conditions") or ()}
    ready = conditions.get("Ready", {})
    state = {"True": "ready", "False": "not ready"}.get(str(ready.get("status", "")), "unknown")
    own = [each for each in pods if (each.get("spec") or {}).get("nodeName") == name]
    asked: dict[str, float] = {}
    for pod in own:
        add(asked, requests_of(pod["spec"]))
    there = status.get("allocatable") or status.get("capacity") or {}

    def use(resource: str, of: float | None = None) -> Use:
        return Use(asked.get(resource, 0.0) if of is None else of, float(quantities.parse(there.get(resource, "0"))))

    return Node(
        name=name,
        state=state,
        why="" if state == "ready" else str(ready.get("message") or "it has not said how it is"),
        troubles=[(kind, str(each.get("message", ""))) for kind, each in conditions.items() if _presses(kind, each)],
        closed=bool(spec.get("unschedulable")),
        cpu=use("cpu"),
        memory=use("memory"),
        gpus=use("nvidia.com/gpu"),
        pods=use("pods", len(own)),
        disk=str((status.get("capacity") or {}).get("ephemeral-storage", "")),
        info=status.get("nodeInfo") or {},
        created=str(node["metadata"].get("creationTimestamp") or ""),
    )


def _presses(kind: str, condition: Json) -> bool:
    return kind != "Ready" and condition["status"] == "True"
