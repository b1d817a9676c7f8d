"""Whether a node may run a Pod, in each of the scheduler's questions."""

from typing import Any

import pytest

from kedge.kube.kinds import Obj
from kedge.node import scheduling
from kedge.node.scheduling import REQUIRED, faults, message

LABELS = {"kubernetes.io/hostname": "here", "disk": "ssd", "cores": "8"}


def a_node(**spec: Any) -> Obj:
    allocatable = {"cpu": "2", "memory": "4Gi", "pods": "4", "nvidia.com/gpu": "1"}
    return {"metadata": {"name": "here", "labels": LABELS}, "spec": spec, "status": {"allocatable": allocatable}}


def a_pod(name: str = "p", labels: dict[str, str] | None = None, namespace: str = "default", **spec: Any) -> Obj:
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": name, "labels": labels or {}},
        "spec": {"containers": [{"name": "main"}], **spec},
    }


def by_node(*terms: Obj) -> Obj:
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}


def expression(key: str, operator: str, *values: str) -> Obj:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (expression("disk", "In", "hdd", "ssd"), True),
        (expression("disk", "In", "hdd"), False),
        (expression("disk", "NotIn", "hdd"), True),
        (expression("disk", "NotIn", "ssd"), False),
        (expression("zone", "NotIn", "a"), True),
        (expression("disk", "Exists"), True),
        (expression("zone", "Exists"), False),
        (expression("zone", "DoesNotExist"), True),
        (expression("disk", "DoesNotExist"), False),
        (expression("cores", "Gt", "4"), True),
        (expression("cores", "Gt", "8"), False),
        (expression("cores", "Lt", "9"), True),
        (expression("cores", "Lt", "8"), False),
        (expression("disk", "Gt", "1"), False),
        (expression("zone", "Lt", "1"), False),
    ],
    ids=lambda value: f"{value['key']} {value['operator']} {value.get('values', '')}" if isinstance(value, dict) else str(value),
)
def test_a_node_fits_an_expression_as_kubernetes_says(wanted: Obj, fits: bool) -> None:  # noqa: FBT001  # the table's column
    assert (faults(a_pod(affinity=by_node({"matchExpressions": [wanted]})), a_node()) == []) is fits


def test_all_of_a_term_must_fit_and_one_term_is_enough() -> None:
    ssd, zone = expression("disk", "In", "ssd"), expression("zone", "Exists")
    here, there = ({"matchFields": [expression("metadata.name", "In", name)]} for name in ("here", "there"))
    for terms, fits in (
        ([{"matchExpressions": [ssd, zone]}], False),
        ([{"matchExpressions": [zone]}, {"matchExpressions": [ssd]}], True),
        ([here], True),
        ([there], False),
        ([{**there, "matchExpressions": [ssd]}], False),
        ([{}], False),
        ([], False),
    ):
        assert (faults(a_pod(affinity=by_node(*terms)), a_node()) == []) is fits, terms
    assert faults(a_pod(nodeSelector={"disk": "ssd"}, affinity=by_node(there)), a_node()) != []


def test_what_a_pod_wants_of_a_node_is_told_in_words() -> None:
    terms = [
        {"matchExpressions": [expression("disk", "In", "hdd"), expression("zone", "Exists")]},
        {"matchExpressions": [expression("cores", "Gt", "9"), expression("disk", "DoesNotExist")]},
    ]
    told = message(faults(a_pod(affinity=by_node(*terms)), a_node()))
    assert told == (
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. "
        "The Pod wants a node with disk in (hdd) and zone, or cores > 9 and no disk: "
        "kubectl label node here KEY=VALUE gives here a label."
    )


def test_a_preference_keeps_no_pod_away() -> None:
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    term = {"weight": 1, "preference": {"matchExpressions": [expression("zone", "Exists")]}}
    pods = {"weight": 1, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {}}}
    affinity = {"nodeAffinity": {preferred: [term]}, "podAffinity": {preferred: [pods]}, "podAntiAffinity": {preferred: [pods]}}
    assert faults(a_pod(affinity=affinity), a_node(taints=[{"key": "a", "effect": "PreferNoSchedule"}])) == []


TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("toleration", "tolerates"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "operator": "Equal", "value": "no"}, False),
        ({"key": "gpu"}, False),
        ({"key": "cpu", "operator": "Exists"}, False),
    ],
    ids=str,
)
def test_a_toleration_is_for_the_taints_that_it_names(toleration: Obj, tolerates: bool) -> None:  # noqa: FBT001  # likewise
    assert (faults(a_pod(tolerations=[toleration]), a_node(taints=[TAINT])) == []) is tolerates


def test_the_first_question_that_fails_is_the_answer() -> None:
    pod = a_pod(nodeSelector={"zone": "a"}, containers=[{"name": "main", "resources": {"requests": {"cpu": "3"}}}])
    node = a_node(unschedulable=True, taints=[TAINT])
    for change, reason in (
        ({"unschedulable": False}, "1 node(s) were unschedulable"),
        ({"taints": []}, "1 node(s) had untolerated taint {gpu: yes}"),
        ({}, "1 node(s) didn't match Pod's node affinity/selector"),
    ):
        assert [fault.reason for fault in faults(pod, node)] == [reason]
        node["spec"] |= change
    pod["spec"]["nodeSelector"] = {}
    assert [fault.reason for fault in faults(pod, node)] == ["1 Insufficient cpu"]


def test_what_is_larger_than_the_machine_never_fits() -> None:
    def asks(**requests: str) -> list[str]:
        resources = {"requests": {name.replace("_", "."): amount for name, amount in requests.items()}}
        return [fault.reason for fault in faults(a_pod(containers=[{"name": "main", "resources": resources}]), a_node())]

    assert asks(cpu="2", memory="4Gi") == []
    assert asks(cpu="2001m", memory="5Gi") == ["1 Insufficient cpu", "1 Insufficient memory"]
    assert asks(widgets="1") == ["1 Insufficient widgets"]
    many = [{"name": str(number), "resources": {"limits": {"nvidia.com/gpu": "1"}}} for number in range(2)]
    (fault,) = faults(a_pod(containers=many), a_node())
    assert fault.reason == "1 Insufficient nvidia.com/gpu"
    assert fault.help == "The Pod requests 2 of nvidia.com/gpu and here has 1: lower the request."


def near(selector: Obj | None, topology: str = "kubernetes.io/hostname", **more: Any) -> list[Obj]:
    return [{"topologyKey": topology, **({"labelSelector": selector} if selector is not None else {}), **more}]


WEB = {"matchLabels": {"app": "web"}}


def test_pods_that_want_to_be_together_are() -> None:
    web, other = a_pod("web", {"app": "web"}), a_pod("db", {"app": "db"}, "elsewhere")
    friend = a_pod("friend", affinity={"podAffinity": {REQUIRED: near(WEB)}})
    assert faults(friend, a_node(), [web, other]) == []
    assert [fault.reason for fault in faults(friend, a_node(), [other])] == ["1 node(s) didn't match pod affinity rules"]
    for term, fits in (
        (near({"matchLabels": {"app": "db"}}), False),
        (near({"matchLabels": {"app": "db"}}, namespaces=["elsewhere"]), True),
        (near({"matchLabels": {"app": "db"}}, namespaceSelector={}), True),
        (near({"matchLabels": {"app": "db"}}, namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "x"}}), False),
        (near(WEB, "rack"), False),
        (near({}), True),
        (near(None), False),
    ):
        pod = a_pod("friend", affinity={"podAffinity": {REQUIRED: term}})
        assert (faults(pod, a_node(), [web, other]) == []) is fits, term


def test_the_first_of_pods_that_want_to_be_together_may_start() -> None:
    assert faults(a_pod("web", {"app": "web"}, affinity={"podAffinity": {REQUIRED: near(WEB)}}), a_node()) == []


def test_pods_that_keep_away_from_each_other_do() -> None:
    web = a_pod("web", {"app": "web"})
    shy = a_pod("shy", {"app": "shy"}, affinity={"podAntiAffinity": {REQUIRED: near(WEB)}})
    assert faults(shy, a_node()) == []
    (fault,) = faults(shy, a_node(), [web])
    assert fault == scheduling.Fault("1 node(s) didn't match pod anti-affinity rules", "It runs when Pod default/web has ended.")
    (fault,) = faults(web, a_node(), [shy])
    assert fault.reason == "1 node(s) didn't satisfy existing pods anti-affinity rules"
    far = a_pod("far", affinity={"podAntiAffinity": {REQUIRED: near(WEB, "rack")}})
    assert faults(far, a_node(), [web]) == []


def test_a_pod_may_keep_away_from_others_of_its_own_version_alone() -> None:
    def of(version: str, name: str) -> Obj:
        term = near(WEB, matchLabelKeys=["version"])
        return a_pod(name, {"app": "web", "version": version}, affinity={"podAntiAffinity": {REQUIRED: term}})

    assert faults(of("2", "new"), a_node(), [of("1", "old")]) == []
    assert faults(of("1", "new"), a_node(), [of("1", "old")]) != []


def with_port(name: str, port: int, protocol: str = "TCP", address: str = "", **spec: Any) -> Obj:
    wanted = {"containerPort": 80, "hostPort": port, "protocol": protocol, "hostIP": address}
    return a_pod(name, containers=[{"name": "main", "ports": [wanted]}], **spec)


@pytest.mark.parametrize(
    ("other", "free"),
    [
        pytest.param(with_port("other", 8080, nodeName="here"), False, id="the same"),
        pytest.param(with_port("other", 8080, address="127.0.0.1", nodeName="here"), False, id="everywhere and somewhere"),
        pytest.param(with_port("other", 8080, "UDP", nodeName="here"), True, id="another protocol"),
        pytest.param(with_port("other", 8081, nodeName="here"), True, id="another port"),
        pytest.param(with_port("other", 8080, nodeName="there"), True, id="another node"),
    ],
)
def test_no_two_pods_have_one_port_of_a_node(other: Obj, free: bool) -> None:  # noqa: FBT001  # the table's column
    pod = with_port("p", 8080)
    assert scheduling.looks_at_pods(pod)
    found = faults(pod, a_node(), [other])
    assert (found == []) is free
    if not free:
        assert message(found) == (
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. "
            "Pod default/other has TCP port 8080 of here: it runs when that has ended."
        )
