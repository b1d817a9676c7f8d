"""Where a step runs: labels, taints and affinities."""

# ruff: noqa: FBT001, PLR0917  # the signatures are upstream's
from typing import Any, Dict, List, Optional, Tuple, Union

from kedge.dsl.channels import Channel, unwrapped
from kedge.dsl.tasks import PipelineTask
from kedge.dsl.values import shown

from .options import Task, add, error, of_task, source_of, stated

_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
_AFFINITY = ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution")


def add_node_selector(task: Task, label_key: str, label_value: str) -> Task:
    """Run only on nodes that have this label; several calls ask for all of theirs."""
    found = of_task(task)
    found.setdefault("nodeSelector", {}).setdefault("labels", {})[label_key] = label_value
    return task


def add_node_selector_json(task: Task, node_selector_json: Union[Channel, Dict[str, str]]) -> Task:
    """Run only on nodes that have these labels, in place of those of `add_node_selector`.

    Args:
        task: The task.
        node_selector_json: Labels, or a parameter that holds them.
    """
    origin = source_of(task, "nodeSelectorJson", node_selector_json, ("STRUCT", ""))
    of_task(task).setdefault("nodeSelector", {})["nodeSelectorJson"] = origin
    return task


def add_toleration(
    task: Task, key: Optional[str] = None, operator: Optional[str] = None, value: Optional[str] = None,
    effect: Optional[str] = None, toleration_seconds: Optional[int] = None,
) -> Task:  # fmt: skip
    """Run on nodes with this taint too.

    Args:
        task: The task.
        key: The taint's key; all keys where it is left out, with the operator ``"Exists"``.
        operator: ``"Equal"`` or ``"Exists"``.
        value: The taint's value, for ``"Equal"``.
        effect: ``"NoSchedule"``, ``"PreferNoSchedule"`` or ``"NoExecute"``; all where it is left out.
        toleration_seconds: For ``"NoExecute"``: how long.
    """
    made: Dict[str, Any] = {"key": key, "operator": operator, "value": value, "effect": effect}
    made["tolerationSeconds"] = None if toleration_seconds is None else str(int(toleration_seconds))
    return add(task, "tolerations", stated(made))


def add_toleration_json(
    task: Task, toleration_json: Union[Channel, Dict[str, Any], List[Dict[str, Any]]]
) -> Task:  # fmt: skip
    """Run on nodes with these taints too.

    Args:
        task: The task.
        toleration_json: A toleration, a list of them, or a parameter that holds one of these.
    """
    given = unwrapped(toleration_json)
    if isinstance(given, Channel):
        return add(task, "tolerations", {"tolerationJson": source_of(task, "tolerationJson", given, ("STRUCT", "LIST", ""))})
    for one in given if isinstance(given, list) else [given]:
        if not isinstance(one, dict):
            raise error(
                task, f"is given {shown(one)} as a toleration", 'Pass a dict such as {"key": "gpu", "operator": "Exists"}.'
            )
        seconds = one.get("toleration_seconds", one.get("tolerationSeconds"))
        add_toleration(task, one.get("key"), one.get("operator"), one.get("value"), one.get("effect"), seconds)
    return task


def add_node_affinity(
    task: Task, match_expressions: Optional[List[Dict[str, Any]]] = None,
    match_fields: Optional[List[Dict[str, Any]]] = None, weight: Optional[int] = None,
) -> Task:  # fmt: skip
    """Run only on nodes that match; with a weight, rather on these than on others.

    Args:
        task: The task.
        match_expressions: On labels: dicts of ``key``, ``operator`` and ``values``.
        match_fields: The same on fields of the node.
        weight: From 1 to 100.
    """
    made: Dict[str, Any] = {}
    for field, terms in (("matchExpressions", match_expressions), ("matchFields", match_fields)):
        if terms:
            made[field] = [_requirement(task, term, "node", _OPERATORS) for term in terms]
    if weight is not None:
        _check_weight(task, weight, "node")
        made["weight"] = weight
    return add(task, "nodeAffinity", made)


def add_node_affinity_json(task: Task, node_affinity_json: Union[Channel, Dict[str, Any]]) -> Task:
    """Set the Pod's ``nodeAffinity`` as Kubernetes writes it; takes the place of an earlier one.

    Args:
        task: The task.
        node_affinity_json: The affinity, or a parameter that holds it.
    """
    given = unwrapped(node_affinity_json)
    wrong = next((key for key in given if key not in _AFFINITY), None) if isinstance(given, dict) else None
    if wrong is not None:
        raise error(
            task, f"is given a node affinity with the key {shown(wrong)}", f'Its keys are "{_AFFINITY[0]}" and "{_AFFINITY[1]}".'
        )
    origin = source_of(task, "nodeAffinityJson", given, ("STRUCT", ""))
    found = of_task(task)
    found["nodeAffinity"] = [one for one in found.get("nodeAffinity", []) if "nodeAffinityJson" not in one]
    return add(task, "nodeAffinity", {"nodeAffinityJson": origin})


def add_pod_affinity(
    task: Task, match_pod_expressions: Optional[List[Dict[str, Any]]] = None, match_pod_labels: Optional[Dict[str, str]] = None,
    topology_key: Optional[str] = None, namespaces: Optional[List[str]] = None,
    match_namespace_expressions: Optional[List[Dict[str, Any]]] = None,
    match_namespace_labels: Optional[Dict[str, str]] = None, weight: Optional[int] = None, anti: Optional[bool] = None,
) -> Task:  # fmt: skip
    """Run only beside Pods that match, or only apart from them; with a weight, rather than elsewhere.

    Args:
        task: The task.
        match_pod_expressions: On the Pods' labels: dicts of ``key``, ``operator`` and ``values``.
        match_pod_labels: Labels that they have.
        topology_key: The label of nodes that says what is beside.
        namespaces: Where these Pods are; in the step's own namespace where nothing is said.
        match_namespace_expressions: On labels of these namespaces.
        match_namespace_labels: Labels that they have.
        weight: From 1 to 100.
        anti: Whether apart is meant.
    """
    given = (("matchPodExpressions", match_pod_expressions), ("matchNamespaceExpressions", match_namespace_expressions))
    made: Dict[str, Any] = {
        field: [_requirement(task, term, "pod", _OPERATORS[:4]) for term in terms] for field, terms in given if terms
    }
    labels = (("matchPodLabels", match_pod_labels), ("matchNamespaceLabels", match_namespace_labels))
    made.update({field: dict(found) for field, found in labels if found})
    if topology_key:
        made["topologyKey"] = topology_key
    if namespaces:
        made["namespaces"] = list(namespaces)
    if weight is not None:
        _check_weight(task, weight, "pod")
        made["weight"] = weight
    return add(task, "podAffinity", made if anti is None else {**made, "anti": bool(anti)})


def add_pod_affinity_json(
    task: Task, pod_affinity_json: Union[Channel, Dict[str, Any]], anti: Optional[bool] = None
) -> Task:  # fmt: skip
    """Set a term of the Pod's ``podAffinity`` or ``podAntiAffinity`` as Kubernetes writes it, in place of an earlier one.

    Args:
        task: The task.
        pod_affinity_json: The term, or a parameter that holds it.
        anti: Whether apart is meant.
    """
    origin = source_of(task, "podAffinityJson", pod_affinity_json, ("STRUCT", ""))
    found = of_task(task)
    kept = [one for one in found.get("podAffinity", []) if "podAffinityJson" not in one or one.get("anti", False) != bool(anti)]
    found["podAffinity"] = kept
    made = {"podAffinityJson": origin}
    return add(task, "podAffinity", made if anti is None else {**made, "anti": bool(anti)})


def _check_weight(task: PipelineTask, weight: Any, what: str) -> None:
    if type(weight) is not int or not 1 <= weight <= 100:
        raise error(task, f"is given {shown(weight)} as the weight of a {what} affinity", "Pass a whole number from 1 to 100.")


def _requirement(task: PipelineTask, term: Dict[str, Any], what: str, operators: Tuple[str, ...]) -> Dict[str, Any]:
    key, operator = term.get("key"), term.get("operator")
    if not key or operator not in operators:
        known = ", ".join(operators)
        raise error(
            task, f"is given {shown(term)} as a term of a {what} affinity", f"Give it a key, and one of the operators {known}."
        )
    made = {"key": key, "operator": operator}
    return {**made, "values": list(term["values"])} if term.get("values") else made
