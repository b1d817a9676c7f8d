"""The subresource ``pods/NAME/eviction``: a deletion that honours PodDisruptionBudgets, as ``kubectl drain`` asks for it.

The rules and words are those of Kubernetes' API-initiated eviction
(https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/). What a budget allows is counted by
`kedge.workloads.disruptions`; here one is taken of it, and the Pod is noted there, so that the next caller sees that it goes.
"""

from collections.abc import Iterator

from kedge.errors import About, BadRequest, Cause, Forbidden, ServerError, TooManyRequests
from kedge.kube import conditions
from kedge.kube.clock import timestamp
from kedge.kube.core import POD
from kedge.kube.disruption_budgets import POD_DISRUPTION_BUDGET, disruption_allowed, is_guarded
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import is_deleting
from kedge.kube.schemas import CoreSchema
from kedge.server import schema
from kedge.server.accepting import accept
from kedge.server.core import Core, Target, WriteOptions, copy, prefix
from kedge.server.delete import DeleteOptions, delete
from kedge.server.requests import NO_OPTIONS, delete_options
from kedge.server.waiting import at_once
from kedge.store.types import Record

EVICTION = Kind("Eviction", "evictions", group="policy", schema=CoreSchema("Eviction"))
_OLDER = "policy/v1beta1"
_WOULD_VIOLATE = "Cannot evict pod as it would violate the pod's disruption budget."
_PROCESSING_SECONDS = 10
_MOST_DISRUPTED = 2000
_UNGUARDED = frozenset({"Succeeded", "Failed", "Pending"})


def evict(core: Core, target: Target, obj: Obj, options: WriteOptions) -> Obj:
    """Answer an ``Eviction``.

    Args:
        core: The server.
        target: The Pod.
        obj: The request; its ``deleteOptions`` may bound the time that the Pod has to end.
        options: Dry run.

    Returns:
        A ``Status``.

    Raises:
        Conflict: A precondition fails.
        NotFound: There is no such Pod.
        ServerError: Several budgets guard it.
        TooManyRequests: Its budget does not allow it now.
    """
    given = schema.without_nulls(obj)
    if isinstance(given, dict) and given.get("apiVersion") == _OLDER:
        given = {**given, "apiVersion": EVICTION.api_version}
    request = accept(Target(EVICTION, target.namespace, target.name), given, options)
    if request["metadata"].get("name", target.name) != target.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    how = delete_options(NO_OPTIONS, request.get("deleteOptions"))
    whole, dry = Target(POD, target.namespace, target.name), options.dry_run or how.dry_run
    record = core.find(whole)
    pod = core.load(record, POD)
    if (pod.get("status") or {}).get("phase") not in _UNGUARDED and not is_deleting(pod):
        _ask_budget(core, pod, dry_run=dry)
        if not dry:
            core.replace(whole, _disrupted(core, record), record)
    seconds = DeleteOptions(how.uid, how.resource_version, how.grace, how.propagation, dry)
    at_once(delete(core, whole, seconds))  # webhooks were asked about the eviction
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _budgets(core: Core, pod: Obj) -> Iterator[Record]:
    for record in core.store.list(prefix(Target(POD_DISRUPTION_BUDGET, pod["metadata"]["namespace"]))).records:
        if is_guarded(pod, core.load(record, POD_DISRUPTION_BUDGET)):
            yield record


def _ask_budget(core: Core, pod: Obj, *, dry_run: bool) -> None:
    """Take one disruption of the Pod's budget, if it has one."""
    found = list(_budgets(core, pod))
    if len(found) > 1:
        raise ServerError("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")
    for record in found:
        budget = copy(record, POD_DISRUPTION_BUDGET)
        if not conditions.is_true(pod, "Ready") and _lets_unready_go(budget):
            return
        _check(budget)
        if dry_run:
            return
        status = budget["status"]
        status["disruptionsAllowed"] -= 1
        status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod["metadata"]["name"]: timestamp(core.clock.now())}
        status["conditions"] = disruption_allowed(status, core.clock.now())
        meta = budget["metadata"]
        core.replace(Target(POD_DISRUPTION_BUDGET, meta["namespace"], meta["name"]), budget, record)


def _lets_unready_go(budget: Obj) -> bool:
    """Whether a Pod that is not ready, and so not counted, may go whatever is left of the budget."""
    status: Obj = budget["status"]
    enough = status["currentHealthy"] >= status["desiredHealthy"] > 0
    return enough or budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"


def _check(budget: Obj) -> None:
    meta, status = budget["metadata"], budget["status"]
    name = meta["name"]
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        raise _not_now(f"The disruption budget {name} is still being processed by the server.", _PROCESSING_SECONDS)
    if status["disruptionsAllowed"] < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > _MOST_DISRUPTED:
        raise _forbidden(name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if status["disruptionsAllowed"]:
        return
    found = conditions.find(budget, "DisruptionAllowed") or {}
    if found.get("reason") == "SyncFailed":
        why = f"does not allow evicting pods currently because it failed sync: {found['message']}"
    else:
        why = f"needs {status['desiredHealthy']} healthy pods and has {status['currentHealthy']} currently"
    raise _not_now(f"The disruption budget {name} {why}")


def _not_now(why: str, seconds: int | None = None) -> TooManyRequests:
    return TooManyRequests(_WOULD_VIOLATE, causes=[Cause("", why, "DisruptionBudget")], retry_after=seconds)


def _forbidden(name: str, why: str) -> Forbidden:
    error = Forbidden(f'poddisruptionbudget.policy "{name}" is forbidden: {why}')
    error.about = About("poddisruptionbudget", "policy", name)
    return error


def _disrupted(core: Core, record: Record) -> Obj:
    """The Pod as it says why it ends."""
    pod = copy(record, POD)
    why = conditions.condition("DisruptionTarget", True, "EvictionByEvictionAPI", "Eviction API: evicting", now=core.clock.now())
    status = pod.get("status") or {}
    pod["status"] = {**status, "conditions": conditions.put(status.get("conditions") or [], why)}
    return pod
