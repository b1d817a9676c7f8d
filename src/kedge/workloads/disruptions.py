"""PodDisruptionBudgets: how many of the Pods that a budget guards are healthy, and how many may be evicted now.

What an eviction takes of it is written by `kedge.server.evictions`; here it is counted anew whenever something changed. The rules
are those of Kubernetes' disruption controller (https://kubernetes.io/docs/tasks/run-application/configure-pdb/).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Change, Plan, set_status
from kedge.control.controller import Controller
from kedge.control.informer import Informer
from kedge.kube import conditions
from kedge.kube.apps import DEPLOYMENT, REPLICA_SET, STATEFUL_SET
from kedge.kube.clock import Clock, parse_timestamp
from kedge.kube.disruption_budgets import POD_DISRUPTION_BUDGET, disruption_allowed, is_guarded, percentage
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, controller, is_deleting, key_of
from kedge.kube.pods import is_ready
from kedge.kube.replication_controllers import REPLICATION_CONTROLLER
from kedge.workloads.keeping import itself
from kedge.workloads.told import told

# How long an evicted Pod may take to be deleted before it counts again.
_DELETION = timedelta(minutes=2)
_BY = "controllermanager"
_SCALED: tuple[Kind, ...] = (REPLICA_SET, STATEFUL_SET, DEPLOYMENT, REPLICATION_CONTROLLER)
_UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of the PDB "
    "cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set "
    '".spec.minAvailable" field of the PDB to an integer value.'
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        budget: The PodDisruptionBudget.
        pods: The Pods that it guards.
        scales: How many Pods each of their controllers shall keep, by uid; only where the budget counts by that.
        unmanaged: Whether Pods are among them that no controller keeps.
        fault: Why it cannot be said how many Pods there shall be; empty otherwise.
    """

    budget: Obj
    pods: tuple[Obj, ...]
    scales: Mapping[str, int] = field(default_factory=dict[str, int])
    unmanaged: bool = False
    fault: str = ""


class Disruptions:
    """Reconciles one PodDisruptionBudget.

    Args:
        pods: Those of all namespaces.
    """

    def __init__(self, pods: Informer) -> None:
        self._pods = pods

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a budget, its Pods, and what keeps them."""
        budget = await get_or_none(reader, POD_DISRUPTION_BUDGET, key.name, key.namespace)
        if budget is None or is_deleting(budget):
            return None
        pods = tuple(pod for pod in self._pods.items(key.namespace) if is_guarded(pod, budget))
        if not _counts_by_scale(budget["spec"]):
            return Seen(budget, pods)
        scales: dict[str, int] = {}
        unmanaged, fault = False, ""
        for pod in pods:
            holder = controller(pod)
            if holder is None:
                unmanaged = True
            elif holder["uid"] not in scales and not fault:
                fault = await _find(reader, pod, holder, scales)
        return Seen(budget, pods, scales, unmanaged, fault)

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Count."""
        budget, status = seen.budget, seen.budget["status"]
        if seen.fault:
            failed = conditions.condition(
                "DisruptionAllowed", False, "SyncFailed", seen.fault, now=now, generation=status.get("observedGeneration")
            )
            after = {**status, "disruptionsAllowed": 0, "conditions": conditions.put(status.get("conditions") or [], failed)}
            return Plan(tuple(_told(seen, after, now)))
        disrupted, again = _disrupted(seen, now)
        expected, desired = _wanted(seen)
        healthy = sum(1 for pod in seen.pods if not is_deleting(pod) and key_of(pod).name not in disrupted and is_ready(pod))
        after = {
            **{name: value for name, value in status.items() if name != "disruptedPods"},
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "disruptionsAllowed": max(healthy - desired, 0) if expected > 0 else 0,
            "observedGeneration": budget["metadata"].get("generation", 0),
            **({"disruptedPods": disrupted} if disrupted else {}),
        }
        after["conditions"] = disruption_allowed(after, now)
        return Plan(tuple(_told(seen, after, now)), requeue_after=again)


def _counts_by_scale(spec: Obj) -> bool:
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def _wanted(seen: Seen) -> tuple[int, int]:
    """How many Pods there shall be, and how many of them healthy."""
    spec = seen.budget["spec"]
    scale = sum(seen.scales.values())
    if (most := spec.get("maxUnavailable")) is not None:
        return scale, max(scale - percentage(most, scale), 0)
    least = spec.get("minAvailable")
    if isinstance(least, str):
        return scale, percentage(least, scale)
    return (0, 0) if least is None else (len(seen.pods), least)


def _disrupted(seen: Seen, now: datetime) -> tuple[dict[str, str], float | None]:
    """The evicted Pods that are still to be deleted, and the seconds until the first of them counts again."""
    noted = seen.budget["status"].get("disruptedPods") or {}
    found: dict[str, str] = {}
    again: float | None = None
    for pod in seen.pods:
        name = key_of(pod).name
        if is_deleting(pod) or name not in noted:
            continue
        left = (parse_timestamp(noted[name]) + _DELETION - now).total_seconds()
        if left > 0:
            found[name] = noted[name]
            again = left if again is None else min(again, left)
    return found, again


def _told(seen: Seen, after: Obj, now: datetime) -> Iterator[Change]:
    """The new status, with what people should know of it."""
    budget = seen.budget
    if after == budget["status"]:
        return
    yield set_status(POD_DISRUPTION_BUDGET, budget, after)
    if not seen.pods:
        yield told(POD_DISRUPTION_BUDGET, budget, ("NoPods", "No matching pods found"), now, by=_BY)
    if seen.fault:
        message = f"Failed to calculate the number of expected pods: {seen.fault}"
        yield told(POD_DISRUPTION_BUDGET, budget, ("CalculateExpectedPodCountFailed", message), now, by=_BY, warning=True)
    if seen.unmanaged:
        message = _UNMANAGED.format(budget["spec"].get("selector"))
        yield told(POD_DISRUPTION_BUDGET, budget, ("UnmanagedPods", message), now, by=_BY, warning=True)


async def _find(reader: Reader, pod: Obj, holder: Obj, scales: dict[str, int]) -> str:
    """Note how many Pods the controller of one shall keep; returns why that is not known."""
    key = key_of(pod)
    kind = next((each for each in _SCALED if (each.api_version, each.kind) == (holder["apiVersion"], holder["kind"])), None)
    if kind is None:
        group = holder["apiVersion"].rpartition("/")[0]
        plural = f"{holder['kind'].lower()}s"
        return (
            f"{plural}.{group} does not implement the scale subresource"
            if group
            else f'found no controllers for pod "{key.name}"'
        )
    found = await get_or_none(reader, kind, holder["name"], key.namespace)
    if found is None or found["metadata"]["uid"] != holder["uid"]:
        return f'found no controllers for pod "{key.name}"'
    scales[holder["uid"]] = found["spec"]["replicas"]
    above = controller(found)
    if kind is REPLICA_SET and above is not None and above["kind"] == DEPLOYMENT.kind:
        # While a Deployment is rolled several sets are its; together they keep what it asks for.
        owner = await get_or_none(reader, DEPLOYMENT, above["name"], key.namespace)
        if owner is not None and owner["metadata"]["uid"] == above["uid"]:
            scales[holder["uid"]] = 0
            scales[above["uid"]] = owner["spec"]["replicas"]
    return ""


def disruptions_controller(client: Client, clock: Clock, pods: Informer) -> tuple[Informer, Controller[Key]]:
    """The controller of PodDisruptionBudgets, and what must run beside it.

    Args:
        client: Reads and writes objects.
        clock: For times.
        pods: All Pods, with their labels, owners and whether they are ready; run by whoever made it.
    """
    budgets = Informer(client, POD_DISRUPTION_BUDGET, clock)
    made = Controller[Key].of("disruptions", Disruptions(pods), client, clock)

    def guarding(old: Obj | None, new: Obj | None) -> Iterable[Key]:
        changed = [pod for pod in (old, new) if pod is not None]
        for budget in budgets.items(key_of(changed[0]).namespace):
            if any(is_guarded(pod, budget) for pod in changed):
                yield key_of(budget)

    made.follow(budgets, itself)
    made.follow(pods, guarding)
    return budgets, made
