"""``Binding``, by which schedulers give a Pod to a node: posted to ``pods/NAME/binding`` or, as of old, to ``bindings``."""

from typing import Any

from kedge.errors import About, BadRequest, Cause, Conflict
from kedge.kube import conditions
from kedge.kube.core import BINDING, POD
from kedge.kube.faults import required, unsupported
from kedge.kube.kinds import Obj
from kedge.kube.metadata import is_deleting
from kedge.server import metadata, schema
from kedge.server.accepting import accept
from kedge.server.core import Core, Target, WriteOptions, copy


def bind(core: Core, target: Target, obj: Obj, options: WriteOptions) -> Obj:
    """Answer a ``Binding``.

    Args:
        core: The server.
        target: The Pod.
        obj: The request, whose ``target`` names the node.
        options: Dry run.

    Returns:
        A ``Status``.

    Raises:
        Conflict: The Pod has a node, waits for gates or is being deleted; or is not the one that is meant.
        Invalid: No node is named.
        NotFound: There is no such Pod.
    """
    request = accept(Target(BINDING, target.namespace, target.name), schema.without_nulls(obj), options)
    meta = request["metadata"]
    if meta.get("name", target.name) != target.name:
        raise BadRequest("name in URL does not match name in Binding object")
    if faults := list(_faults(request.get("target") or {})):
        raise metadata.invalid(BINDING, target.name, faults)
    whole = Target(POD, target.namespace, target.name)
    record = core.find(whole)
    pod = copy(record, POD)
    if why := _why_not(pod, meta):
        conflict = Conflict(f'Operation cannot be fulfilled on pods/binding "{target.name}": {why}')
        conflict.about = About("pods/binding", name=target.name)
        raise conflict
    pod["spec"]["nodeName"] = request["target"]["name"]
    if notes := meta.get("annotations"):
        pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), **notes}
    scheduled = conditions.condition("PodScheduled", True, "", now=core.clock.now())
    status = pod.get("status") or {}
    pod["status"] = {**status, "conditions": conditions.put(status.get("conditions") or [], scheduled)}
    if not options.dry_run:
        core.replace(whole, pod, record)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def bind_named(core: Core, target: Target, obj: Any, options: WriteOptions) -> Obj:
    """Answer a ``Binding`` that was posted to the collection, and names its Pod itself; see `bind`."""
    request = accept(target, schema.without_nulls(obj), options)
    if not request["metadata"].get("name"):
        raise BadRequest("Name parameter required.")
    return bind(core, Target(POD, target.namespace, request["metadata"]["name"], "binding"), obj, options)


def _faults(node: Obj) -> "list[Cause]":
    found: list[Cause] = []
    if (kind := node.get("kind")) and kind != "Node":
        found.append(unsupported("target.kind", kind, ("Node", "<empty>")))
    if not node.get("name"):
        found.append(required("target.name"))
    return found


def _why_not(pod: Obj, wanted: Obj) -> str:
    meta, spec = pod["metadata"], pod["spec"]
    name = meta["name"]
    if wanted.get("uid") and wanted["uid"] != meta["uid"]:
        return f"Precondition failed: UID in precondition: {wanted['uid']}, UID in object meta: {meta['uid']}"
    if is_deleting(pod):
        return f"pod {name} is being deleted, cannot be assigned to a host"
    if spec.get("nodeName"):
        return f'pod {name} is already assigned to node "{spec["nodeName"]}"'
    return f"pod {name} has non-empty .spec.schedulingGates" if spec.get("schedulingGates") else ""
