"""Whether a node may run a Pod, decided as Kubernetes' scheduler does; plain functions.

A Pod that may not stays Pending. Each `Fault` says why in the scheduler's words, and what would help, which
it does not say. The questions are asked in its order, and as there the first that fails is the answer.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kedge.kube import quantities, selectors
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_sidecar
from kedge.kube.requests import add, requests_of

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
UNSCHEDULABLE: Obj = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
"""What a Pod must tolerate to run on a node that is cordoned."""
_KEEPS_AWAY = frozenset({"NoSchedule", "NoExecute"})


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a Pod cannot be scheduled.

    Attributes:
        reason: As Kubernetes' scheduler writes it of one node, such as ``1 node(s) were unschedulable``.
        help: A sentence that says what would help.
        until_pods_change: Whether it may be over when a Pod of a node changes.
    """

    reason: str
    help: str
    until_pods_change: bool = False


Labels = Mapping[str, Mapping[str, str]]
"""The labels of nodes, by their names."""


def faults(pod: Obj, node: Obj, others: Sequence[Obj] = (), labels: Labels = MappingProxyType({})) -> list[Fault]:
    """Why a node may not run a Pod; empty when it may.

    Args:
        pod: The Pod.
        node: The node.
        others: Pods that nodes have and that have not ended; matters only where `looks_at_pods`, or where one of them keeps
            others away.
        labels: Of the other nodes that have such Pods.
    """
    for question in (_cordoned, _tainted, unlike, _too_large):
        if found := question(pod, node):
            return found
    return _not_beside(pod, node, _Beside(node, others, labels))


def message(found: Iterable[Fault], nodes: int = 1) -> str:
    """What the Pod's condition says.

    Args:
        found: Why not, of all nodes.
        nodes: How many there are.

    Examples:
        >>> message([Fault("1 Insufficient cpu", "Lower its request.")])
        '0/1 nodes are available: 1 Insufficient cpu. Lower its request.'
        >>> message([Fault("1 node(s) were unschedulable", f"{name} is cordoned.") for name in ("a", "b")], 2)
        '0/2 nodes are available: 2 node(s) were unschedulable. a is cordoned. b is cordoned.'
    """
    found = sorted(found, key=lambda fault: fault.reason)
    counted = Counter(fault.reason for fault in found)
    reasons = sorted(f"{count}{reason[1:]}" if reason.startswith("1 ") else reason for reason, count in counted.items())
    helps = dict.fromkeys(fault.help for fault in found)
    return f"0/{nodes} nodes are available: {', '.join(reasons)}. {' '.join(helps)}"


def looks_at_pods(pod: Obj) -> bool:
    """Whether where a Pod may run depends on other Pods."""
    affinity = pod["spec"].get("affinity") or {}
    return bool(_host_ports(pod)) or any((affinity.get(kind) or {}).get(REQUIRED) for kind in ("podAffinity", "podAntiAffinity"))


def keeps_others_away(pod: Obj) -> bool:
    """Whether a Pod has a say in what may run beside it."""
    return bool(((pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}).get(REQUIRED))


def tolerates(pod: Obj, taint: Obj) -> bool:
    """Whether a Pod tolerates a taint.

    Examples:
        >>> taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
        >>> tolerates({"spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}}, taint)
        True
        >>> tolerates({"spec": {"tolerations": [{"key": "gpu", "value": "no"}]}}, taint)
        False
    """
    return any(tolerated(each, taint) for each in pod["spec"].get("tolerations") or ())


def tolerated(toleration: Obj, taint: Obj) -> bool:
    """Whether one toleration is for a taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator, wanted, value = toleration.get("operator") or "Equal", toleration.get("value") or "", taint.get("value") or ""
    if operator in {"Lt", "Gt"}:
        return _compare(operator, value, [wanted])
    return operator == "Exists" or (bool(toleration.get("key")) and wanted == value)


def _cordoned(pod: Obj, node: Obj) -> list[Fault]:
    if not node["spec"].get("unschedulable") or tolerates(pod, UNSCHEDULABLE):
        return []
    name = node["metadata"]["name"]
    return [Fault("1 node(s) were unschedulable", f"{name} is cordoned; kubectl uncordon {name} lets Pods in again.")]


def _tainted(pod: Obj, node: Obj) -> list[Fault]:
    name = node["metadata"]["name"]
    for taint in node["spec"].get("taints") or ():
        # The taint of a cordoned node follows `unschedulable`, which `_cordoned` has looked at.
        if taint.get("effect") not in _KEEPS_AWAY or taint["key"] == UNSCHEDULABLE["key"] or tolerates(pod, taint):
            continue
        key, value, effect = taint["key"], taint.get("value") or "", taint["effect"]
        text = f"Give the Pod a toleration for it, or take it away: kubectl taint node {name} {key}:{effect}-."
        return [Fault(f"1 node(s) had untolerated taint {{{key}: {value}}}", text)]
    return []


# -- labels of the node -------------------------------------------------------------------------------------------------


def chooses(pod: Obj) -> bool:
    """Whether a Pod cares which node it runs on.

    Examples:
        >>> chooses({"spec": {"nodeSelector": {"disk": "ssd"}}}), chooses({"spec": {}})
        (True, False)
    """
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    return bool(pod["spec"].get("nodeSelector") or affinity.get(REQUIRED))


def unlike(pod: Obj, node: Obj) -> list[Fault]:
    """Whether a node is not one of those that a Pod chooses, by its labels and its name."""
    spec, labels = pod["spec"], node["metadata"].get("labels") or {}
    missing = {key: value for key, value in (spec.get("nodeSelector") or {}).items() if labels.get(key) != value}
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    terms: list[Obj] = (affinity or {}).get("nodeSelectorTerms") or []
    if not missing and (affinity is None or any(_term_holds(term, node) for term in terms)):
        return []
    name = node["metadata"]["name"]
    if missing:
        pairs = " ".join(f"{key}={value}" for key, value in sorted(missing.items()))
        have = "; ".join(f"its {key} is {labels[key]}" for key in sorted(missing) if key in labels)
        over = " --overwrite" if have else ""
        text = f"{name} is not labelled {pairs}{f' ({have})' if have else ''}: kubectl label node {name} {pairs}{over}."
    else:
        wanted = ", or ".join(_in_words(term) for term in terms) or "nothing, which no node is"
        text = f"The Pod wants a node with {wanted}: kubectl label node {name} KEY=VALUE gives {name} a label."
    return [Fault("1 node(s) didn't match Pod's node affinity/selector", text)]


def _term_holds(term: Obj, node: Obj) -> bool:
    """Whether a node fits one term; one that is empty fits none."""
    labels, fields = node["metadata"].get("labels") or {}, {"metadata.name": node["metadata"]["name"]}
    expressions, names = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not names:
        return False
    return all(_holds(each, labels) for each in expressions) and all(_holds(each, fields) for each in names)


def _holds(expression: Obj, have: Mapping[str, str]) -> bool:
    value, operator, values = have.get(expression["key"]), expression["operator"], expression.get("values") or []
    if operator in {"In", "NotIn"}:
        return (value in values) == (operator == "In")
    if operator in {"Exists", "DoesNotExist"}:
        return (value is not None) == (operator == "Exists")
    return value is not None and _compare(operator, value, values)


def _compare(operator: str, value: str, than: list[str]) -> bool:
    """Whether a whole number is greater, or less, than another; what is no number is neither."""
    try:
        number, bound = int(value), int(than[0])
    except (ValueError, IndexError):
        return False
    return number > bound if operator == "Gt" else number < bound if operator == "Lt" else False


_OPERATORS = {"In": "in", "NotIn": "not in", "Gt": ">", "Lt": "<"}


def _in_words(term: Obj) -> str:
    """One term as people read it.

    Examples:
        >>> _in_words({"matchExpressions": [{"key": "gpu", "operator": "In", "values": ["a", "b"]}]})
        'gpu in (a, b)'
    """
    words: list[str] = []
    for each in (*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())):
        key, operator, values = each["key"], each["operator"], each.get("values") or []
        if operator in {"In", "NotIn"}:
            words.append(f"{key} {_OPERATORS[operator]} ({', '.join(values)})")
        elif operator in {"Gt", "Lt"}:
            words.append(f"{key} {_OPERATORS[operator]} {' '.join(values)}")
        else:
            words.append(key if operator == "Exists" else f"no {key}")
    return " and ".join(words) or "an empty term, which fits no node"


# -- what it has --------------------------------------------------------------------------------------------------------


def _too_large(pod: Obj, node: Obj) -> list[Fault]:
    """Requests against an empty node: what does not fit beside others waits for its turn on the node itself."""
    allocatable, name = (node.get("status") or {}).get("allocatable") or {}, node["metadata"]["name"]
    found: list[Fault] = []
    for resource, amount in sorted(requests_of(pod["spec"]).items()):
        if amount > quantities.parse(allocatable.get(resource) or 0):
            has = allocatable.get(resource) or "none"
            text = f"The Pod requests {_amount(resource, float(amount))} of {resource} and {name} has {has}: lower the request."
            found.append(Fault(f"1 Insufficient {resource}", text))
    return found


def no_room(pod: Obj, node: Obj, others: Iterable[Obj]) -> list[Fault]:
    """What a node has not enough of for a Pod beside those that it runs.

    Args:
        pod: The Pod, which an empty node could run.
        node: The node.
        others: Pods that it has and that have not ended.
    """
    allocatable, name = (node.get("status") or {}).get("allocatable") or {}, node["metadata"]["name"]
    used: dict[str, float] = {}
    count = 0
    for count, other in enumerate(others, 1):  # noqa: B007  # how many there were
        add(used, requests_of(other["spec"]))
    found: list[Fault] = []
    for resource, amount in sorted(requests_of(pod["spec"]).items()):
        free = float(quantities.parse(allocatable.get(resource) or 0)) - used.get(resource, 0.0)
        if amount > free:
            left = f"{name} has {_amount(resource, max(free, 0.0))} of {resource} free"
            text = f"The Pod requests {_amount(resource, float(amount))} and {left}: it runs when others have ended."
            found.append(Fault(f"1 Insufficient {resource}", text, until_pods_change=True))
    if "pods" in allocatable and count >= quantities.parse(allocatable["pods"]):
        found.append(Fault("1 Too many pods", f"{name} runs {count}: it runs when others have ended.", until_pods_change=True))
    return found


def _amount(resource: str, amount: float) -> str:
    if resource == "cpu":
        return quantities.render_cpu(amount)
    return quantities.render_memory(int(amount)) if amount == int(amount) else f"{amount:g}"


# -- other Pods ---------------------------------------------------------------------------------------------------------


class _Beside:
    """The Pods that others run beside.

    Args:
        node: Where a Pod would run.
        others: The Pods.
        labels: Of the nodes that have them; one that is not named has the labels of ``node``.
    """

    def __init__(self, node: Obj, others: Sequence[Obj], labels: Labels) -> None:
        self.name: str = node["metadata"]["name"]
        self.labels: Mapping[str, str] = node["metadata"].get("labels") or {}
        self.others = others
        self._labels = labels

    def near(self, key: str) -> Iterator[Obj]:
        """Those in the same topology: on nodes with the same value of a label. A node without it is in none."""
        if (here := self.labels.get(key)) is not None:
            yield from (other for other in self.others if self._labels_of(other).get(key) == here)

    def _labels_of(self, other: Obj) -> Mapping[str, str]:
        return self._labels.get(other["spec"].get("nodeName", ""), self.labels)


def _not_beside(pod: Obj, node: Obj, beside: _Beside) -> list[Fault]:
    """What Pods demand of those beside them, and what these have that no two may have."""
    labels, name = beside.labels, node["metadata"]["name"]
    if taken := _ports_taken(pod, name, beside.others):
        return [taken]
    for other in beside.others:
        for term in _terms(other, "podAntiAffinity"):
            if any(each is other for each in beside.near(term["topologyKey"])) and _chosen(term, other, pod):
                who = f"{other['metadata']['namespace']}/{other['metadata']['name']}"
                return [
                    Fault(
                        "1 node(s) didn't satisfy existing pods anti-affinity rules",
                        f"Pod {who} keeps it away; it runs when that has ended.",
                    )
                ]
    for term in _terms(pod, "podAffinity"):
        together = any(_chosen(term, pod, other) for other in beside.near(term["topologyKey"]))
        # The first of a group that wants to be together may start it.
        first = term["topologyKey"] in labels and _chosen(term, pod, pod)
        if not together and not (first and not any(_chosen(term, pod, other) for other in beside.others)):
            text = (
                f"It runs when a Pod that its podAffinity chooses runs on {name}."
                if term["topologyKey"] in labels
                else f"{name} has no label {term['topologyKey']}."
            )
            return [Fault("1 node(s) didn't match pod affinity rules", text)]
    for term in _terms(pod, "podAntiAffinity"):
        near = next((other for other in beside.near(term["topologyKey"]) if _chosen(term, pod, other)), None)
        if near is not None:
            who = f"{near['metadata']['namespace']}/{near['metadata']['name']}"
            return [Fault("1 node(s) didn't match pod anti-affinity rules", f"It runs when Pod {who} has ended.")]
    return []


_EVERYWHERE = frozenset({"", "0.0.0.0"})  # noqa: S104  # what a Pod may say


def _host_ports(pod: Obj) -> list[tuple[str, int, str]]:
    """Ports of the machine that a Pod has: protocol, port and address of each."""
    spec = pod["spec"]
    sidecars = [each for each in spec.get("initContainers") or () if is_sidecar(each)]
    ports = [port for each in (*sidecars, *spec["containers"]) for port in each.get("ports") or () if port.get("hostPort")]
    return [(port.get("protocol") or "TCP", port["hostPort"], port.get("hostIP") or "") for port in ports]


def _ports_taken(pod: Obj, name: str, others: Iterable[Obj]) -> Fault | None:
    """Whether a Pod of the same node has a port of the machine that this one wants."""
    wanted = _host_ports(pod)
    if not wanted:
        return None
    for other in others:
        if other["spec"].get("nodeName") != name or other["metadata"].get("uid") == pod["metadata"].get("uid", ""):
            continue
        for protocol, port, address in _host_ports(other):
            for ours in wanted:
                if ours[:2] == (protocol, port) and (ours[2] == address or _EVERYWHERE & {ours[2], address}):
                    who = f"{other['metadata']['namespace']}/{other['metadata']['name']}"
                    return Fault(
                        "1 node(s) didn't have free ports for the requested pod ports",
                        f"Pod {who} has {protocol} port {port} of {name}: it runs when that has ended.",
                        until_pods_change=True,
                    )
    return None


def _terms(pod: Obj, kind: str) -> Iterator[Obj]:
    yield from ((pod["spec"].get("affinity") or {}).get(kind) or {}).get(REQUIRED) or ()


def _chosen(term: Obj, owner: Obj, other: Obj) -> bool:
    """Whether a term of a Pod's affinity means another Pod."""
    theirs = other["metadata"].get("namespace")
    spaces: list[Any] = term.get("namespaces") or []
    anywhere = term.get("namespaceSelector")
    if anywhere is None and not spaces:
        spaces = [owner["metadata"].get("namespace")]
    # Namespaces are not read here: a selector that is not empty is taken by the one label that each namespace has.
    if theirs not in spaces and not (anywhere is not None and _of_namespace(anywhere, theirs)):
        return False
    if term.get("labelSelector") is None:
        return False
    selector = [*selectors.from_label_selector(term["labelSelector"]), *_by_keys(term, owner)]
    return selectors.label_predicate(selector)(other)


def _of_namespace(selector: Obj, name: str | None) -> bool:
    labels = {"kubernetes.io/metadata.name": name}
    return selectors.label_predicate(selectors.from_label_selector(selector))({"metadata": {"labels": labels}})


def _by_keys(term: Obj, owner: Obj) -> Iterator[selectors.Requirement]:
    """``matchLabelKeys`` and ``mismatchLabelKeys``: what the Pod's own labels say."""
    own = owner["metadata"].get("labels") or {}
    for field, negated in (("matchLabelKeys", False), ("mismatchLabelKeys", True)):
        for key in term.get(field) or ():
            if key in own:
                yield selectors.Requirement(key, frozenset((own[key],)), negated)
