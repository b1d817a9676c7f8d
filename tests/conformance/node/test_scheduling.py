"""Pods that no node may run: they wait, say why and what would help, and start when it helps."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.node.conftest import Node, eventually

from kedge.kube import conditions
from kedge.kube.clock import SystemClock, SystemIds
from kedge.kube.core import CONFIG_MAP, EVENT, LEASE, NODE, POD
from kedge.kube.kinds import Kind, Obj
from kedge.node.scheduler import Scheduler
from kedge.node.scheduling import Fault
from kedge.node.taints import Taints

AFFINITY = "requiredDuringSchedulingIgnoredDuringExecution"


class Wanted:
    """A Pod waits for the ConfigMap that it names by an annotation."""

    kinds: tuple[Kind, ...] = (CONFIG_MAP,)

    def __init__(self, node: Node) -> None:
        self._node = node

    def concerns(self, pod: Obj) -> bool:
        return "wants" in (pod["metadata"].get("annotations") or {})

    async def fault(self, pod: Obj) -> Fault | None:
        name = pod["metadata"]["annotations"]["wants"]
        found = self._node.api.list(CONFIG_MAP, "default", fields=f"metadata.name={name}").items
        return None if found else Fault(f'configmap "{name}" not found', "Create it.")


class Scheduled:
    """A node with its scheduler."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.scheduler = Scheduler(node.client, SystemClock(), SystemIds(), "here", [Wanted(node)])
        node.api.core.admission = (self.scheduler.admit,)
        self.task = asyncio.create_task(self.scheduler.run())
        self.taints = asyncio.create_task(Taints(node.client, SystemClock(), SystemIds()).run())

    def pod(self, name: str, script: str = "true", **spec: Any) -> Obj:
        return self.node.pod(name, script, nodeName=None, **spec)

    async def waits(self, name: str, reason: str = "Unschedulable") -> str:
        """Wait until a Pod says that it cannot be scheduled; returns why."""

        def said(pod: Obj) -> bool:
            found = conditions.find(pod, "PodScheduled")
            return found is not None and (found["status"], found["reason"]) == ("False", reason)

        pod = await self.node.until(name, said)
        assert pod["status"]["phase"] == "Pending"
        assert not pod["spec"].get("nodeName")
        found = conditions.find(pod, "PodScheduled")
        assert found is not None
        return found["message"]

    def label(self, **labels: str | None) -> None:
        self.node.api.patch(NODE, "here", None, {"metadata": {"labels": labels}})

    def change(self, **spec: Any) -> None:
        self.node.api.patch(NODE, "here", None, {"spec": spec})

    def events(self, name: str) -> list[tuple[str, str]]:
        found = self.node.api.list(EVENT, "default", fields=f"involvedObject.name={name}").items
        return [(event["reason"], event["message"]) for event in found]


@pytest.fixture
async def scheduled(node: Node) -> AsyncIterator[Scheduled]:
    """A node that is up, with its scheduler."""
    made = Scheduled(node)
    await made.scheduler.ready()
    try:
        yield made
    finally:
        for task in (made.task, made.taints):
            task.cancel()
        await asyncio.gather(made.task, made.taints, return_exceptions=True)


async def test_a_pod_that_any_node_may_run_is_given_to_it_as_it_is_made(scheduled: Scheduled) -> None:
    await eventually(lambda: scheduled.pod(f"p{SystemIds().suffix(5)}")["spec"].get("nodeName") == "here")
    told = ("Scheduled", "Successfully assigned default/told to here")
    for name, labels in (("step", {"kedge.dev/run": "a"}), ("told", {})):
        assert scheduled.pod(name, metadata={"labels": labels})["spec"]["nodeName"] == "here"
    await eventually(lambda: told in scheduled.events("told"))
    assert "Scheduled" not in dict(scheduled.events("step"))


async def test_a_pod_of_another_scheduler_is_left_to_it_but_for_steps(scheduled: Scheduled) -> None:
    await eventually(lambda: scheduled.pod(f"p{SystemIds().suffix(5)}")["spec"].get("nodeName") == "here")
    scheduled.pod("step", schedulerName="volcano", metadata={"labels": {"kedge.dev/run": "a"}})
    scheduled.pod("other", schedulerName="volcano", nodeSelector={"disk": "ssd"})
    assert (await scheduled.node.ended("step"))["status"]["phase"] == "Succeeded"
    found = scheduled.node.api.get(POD, "other", "default")
    assert (found["spec"].get("nodeName"), found["status"].get("conditions")) == (None, None)
    scheduled.label(disk="ssd")
    scheduled.node.api.patch(POD, "other", "default", {"spec": {"nodeName": "here"}})
    assert (await scheduled.node.ended("other"))["status"]["phase"] == "Succeeded"


async def test_a_selector_that_no_node_fits_keeps_a_pod_pending_until_the_node_is_labelled(scheduled: Scheduled) -> None:
    scheduled.pod("picky", nodeSelector={"disk": "ssd"})
    told = (
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. "
        "here is not labelled disk=ssd: kubectl label node here disk=ssd."
    )
    assert await scheduled.waits("picky") == told
    await eventually(lambda: ("FailedScheduling", told) in scheduled.events("picky"))
    scheduled.label(disk="hdd")
    await scheduled.node.until("picky", lambda pod: "its disk is hdd" in str(pod["status"]))
    scheduled.label(disk="ssd")
    pod = await scheduled.node.ended("picky")
    assert (pod["status"]["phase"], pod["spec"]["nodeName"]) == ("Succeeded", "here")
    assert conditions.is_true(pod, "PodScheduled")
    await eventually(lambda: "Scheduled" in dict(scheduled.events("picky")))


async def test_a_pod_waits_for_what_a_check_says_and_runs_once_that_is_there(scheduled: Scheduled) -> None:
    scheduled.pod("waiting", metadata={"annotations": {"wants": "settings"}})
    assert await scheduled.waits("waiting") == '0/1 nodes are available: configmap "settings" not found. Create it.'
    scheduled.node.config_map("settings", {})
    await scheduled.node.ended("waiting")
    scheduled.pod("glad", metadata={"annotations": {"wants": "settings"}})
    assert (await scheduled.node.ended("glad"))["status"]["phase"] == "Succeeded"
    assert not [reason for reason, _ in scheduled.events("glad") if reason == "FailedScheduling"]


async def test_a_cordoned_node_takes_no_pod_that_does_not_tolerate_it(scheduled: Scheduled) -> None:
    scheduled.change(unschedulable=True)
    await eventually(lambda: not scheduled.pod(f"p{SystemIds().suffix(5)}")["spec"].get("nodeName"))
    scheduled.pod("later")
    told = "0/1 nodes are available: 1 node(s) were unschedulable. here is cordoned; kubectl uncordon here lets Pods in again."
    assert await scheduled.waits("later") == told
    scheduled.pod("tolerant", tolerations=[{"operator": "Exists"}])
    await scheduled.node.ended("tolerant")
    scheduled.change(unschedulable=None)
    await scheduled.node.ended("later")


async def test_a_taint_keeps_pods_away_that_do_not_tolerate_it(scheduled: Scheduled) -> None:
    scheduled.change(
        taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}, {"key": "slow", "effect": "PreferNoSchedule"}]
    )
    await eventually(lambda: not scheduled.pod(f"p{SystemIds().suffix(5)}")["spec"].get("nodeName"))
    scheduled.pod("other")
    assert await scheduled.waits("other") == (
        "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}. "
        "Give the Pod a toleration for it, or take it away: kubectl taint node here gpu:NoSchedule-."
    )
    scheduled.pod("tolerant", tolerations=[{"key": "gpu", "operator": "Equal", "value": "yes"}])
    await scheduled.node.ended("tolerant")
    scheduled.change(taints=None)
    await scheduled.node.ended("other")


async def test_a_taint_that_executes_ends_pods_that_do_not_tolerate_it_for_so_long(scheduled: Scheduled) -> None:
    taint = {"key": "away", "effect": "NoExecute"}
    for name, tolerations in (
        ("intolerant", []),
        ("patient", [{**taint, "operator": "Exists", "tolerationSeconds": 1}]),
        ("tolerant", [{**taint, "operator": "Exists"}]),
    ):
        scheduled.pod(name, "sleep 3600", tolerations=tolerations, metadata={"finalizers": ["example.com/look"]})
        await scheduled.node.running(name)
    scheduled.change(taints=[taint])
    for name in ("intolerant", "patient"):
        pod = await scheduled.node.ended(name)
        assert conditions.is_true(pod, "DisruptionTarget")
        await eventually(lambda name=name: "TaintManagerEviction" in dict(scheduled.events(name)))
    assert scheduled.node.get("tolerant")["status"]["phase"] == "Running"


async def test_a_node_that_is_cordoned_has_the_taint_of_one(scheduled: Scheduled) -> None:
    def taints() -> list[str]:
        return [taint["key"] for taint in scheduled.node.api.get(NODE, "here")["spec"].get("taints") or ()]

    scheduled.change(unschedulable=True)
    await eventually(lambda: taints() == ["node.kubernetes.io/unschedulable"])
    scheduled.change(unschedulable=None)
    await eventually(lambda: taints() == [])


async def test_a_pod_larger_than_the_machine_stays_pending(scheduled: Scheduled) -> None:
    scheduled.pod("huge", container={"resources": {"requests": {"cpu": "9000"}, "limits": {"nvidia.com/gpu": "512"}}})
    message = await scheduled.waits("huge")
    assert message.startswith("0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient nvidia.com/gpu. ")
    assert "requests 9000 of cpu and here has " in message


async def test_many_containers_that_state_nothing_wait_for_the_whole_machine(scheduled: Scheduled) -> None:
    more = [{"name": f"c{number}", "image": "debian:12", "command": ["true"]} for number in range(40)]
    main = {"name": "main", "image": "debian:12", "command": ["true"]}
    scheduled.pod("crowd", containers=[main, *more])
    assert (await scheduled.node.ended("crowd"))["status"]["phase"] == "Succeeded"


async def test_a_pod_that_names_its_node_is_refused_by_it_as_a_kubelet_does(scheduled: Scheduled) -> None:
    scheduled.node.pod("picky", "true", nodeSelector={"disk": "ssd"})
    scheduled.node.pod("huge", "true", container={"resources": {"requests": {"cpu": "9000"}}})
    for name, reason in (("picky", "NodeAffinity"), ("huge", "OutOfcpu")):
        status = (await scheduled.node.ended(name))["status"]
        assert (status["phase"], status["reason"]) == ("Failed", reason)


async def test_pods_that_keep_each_other_away_run_one_after_the_other(scheduled: Scheduled) -> None:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "alone"}}}
    labels, affinity = {"labels": {"app": "alone"}}, {"podAntiAffinity": {AFFINITY: [term]}}
    scheduled.pod("one", "sleep 3600", metadata=labels, affinity=affinity)
    await scheduled.node.running("one")
    scheduled.pod("two", metadata=labels)
    assert "didn't satisfy existing pods anti-affinity rules" in await scheduled.waits("two")
    scheduled.pod("three", metadata=labels, affinity=affinity)
    assert "anti-affinity rules" in await scheduled.waits("three")
    scheduled.node.api.delete(POD, "one", "default", grace_period=0)
    await scheduled.node.ended("two")
    await scheduled.node.ended("three")


async def test_a_pod_runs_when_what_it_wants_to_be_beside_runs(scheduled: Scheduled) -> None:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "cache"}}}
    scheduled.pod("friend", affinity={"podAffinity": {AFFINITY: [term]}})
    assert "1 node(s) didn't match pod affinity rules. It runs when" in await scheduled.waits("friend")
    scheduled.pod("cache", "sleep 3600", metadata={"labels": {"app": "cache"}})
    await scheduled.node.ended("friend")


async def test_priorities_and_spreads_change_nothing_on_one_node(scheduled: Scheduled) -> None:
    """A Pod of a high priority waits for one that came before it."""
    whole = {"resources": {"requests": {"cpu": scheduled.node.api.get(NODE, "here")["status"]["allocatable"]["cpu"]}}}
    spread = {"maxSkew": 1, "topologyKey": "no-such-label", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2}
    wanted: list[Obj] = [{}, {"priorityClassName": "low"}, {"priorityClassName": "high", "topologySpreadConstraints": [spread]}]
    for number, spec in enumerate(wanted):
        scheduled.pod(f"p{number}", "date +%s%N; sleep 0.2", container=whole, **spec)
    for number in range(3):
        assert (await scheduled.node.ended(f"p{number}"))["status"]["phase"] == "Succeeded"
    began = [int(await scheduled.node.log(f"p{number}")) for number in range(3)]
    assert began == sorted(began)


async def test_a_gated_pod_waits_until_its_gates_are_gone(scheduled: Scheduled) -> None:
    scheduled.pod("gated", schedulingGates=[{"name": "example.com/quota"}])
    assert "example.com/quota" in await scheduled.waits("gated", "SchedulingGated")
    scheduled.node.api.patch(POD, "gated", "default", {"spec": {"schedulingGates": None}})
    await scheduled.node.ended("gated")


async def test_a_deadline_ends_a_pod_that_nobody_may_run(scheduled: Scheduled) -> None:
    scheduled.pod("short", nodeSelector={"disk": "ssd"}, activeDeadlineSeconds=1)
    status = (await scheduled.node.ended("short"))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert "didn't match Pod's node affinity/selector" in status["message"]


async def test_a_pod_that_waits_is_gone_when_deleted_and_over_when_something_holds_it(scheduled: Scheduled) -> None:
    for name, finalizers in (("free", []), ("held", ["example.com/hold"])):
        scheduled.pod(name, nodeSelector={"disk": "ssd"}, metadata={"finalizers": finalizers})
        await scheduled.waits(name)
        scheduled.node.api.delete(POD, name, "default")
    assert [pod["metadata"]["name"] for pod in scheduled.node.api.list(POD, "default").items] == ["held"]
    assert (await scheduled.node.ended("held"))["status"]["phase"] == "Failed"


async def test_a_pod_that_waited_while_the_host_was_away_is_looked_at_again(scheduled: Scheduled) -> None:
    scheduled.pod("patient", nodeSelector={"disk": "ssd"})
    await scheduled.waits("patient")
    scheduled.task.cancel()
    await asyncio.gather(scheduled.task, return_exceptions=True)
    await scheduled.node.restart(lambda: scheduled.label(disk="ssd"))
    scheduled.scheduler = Scheduler(scheduled.node.client, SystemClock(), SystemIds(), "here")
    scheduled.task = asyncio.create_task(scheduled.scheduler.run())
    await scheduled.node.ended("patient")


async def test_labels_of_the_setting_come_and_go_and_those_of_people_stay(tmp_path: Path, cache: Path) -> None:
    node = Node(tmp_path / "home", cache)
    object.__setattr__(node.settings, "node_labels", {"disk": "ssd", "zone": "a"})
    await node.agent.start()
    try:
        node.api.patch(NODE, "here", None, {"metadata": {"labels": {"mine": "yes"}}})
        object.__setattr__(node.settings, "node_labels", {"disk": "hdd"})
        await node.restart()
        labels = node.api.get(NODE, "here")["metadata"]["labels"]
        assert {key: labels.get(key) for key in ("disk", "zone", "mine")} == {"disk": "hdd", "zone": None, "mine": "yes"}
    finally:
        await node.agent.stop_all(grace=0)


async def test_a_node_says_what_it_is_and_how_it_is_by_heartbeats(node: Node) -> None:
    status = node.api.get(NODE, "here")["status"]
    told = {each["type"]: each["status"] for each in status["conditions"]}
    assert told["Ready"] == "True"
    assert told.keys() == {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}
    assert status["allocatable"].keys() >= {"cpu", "memory", "ephemeral-storage", "pods"}
    lease = node.api.get(LEASE, "here", "kube-node-lease")
    assert lease["spec"]["holderIdentity"] == "here"
    assert lease["metadata"]["ownerReferences"][0]["kind"] == "Node"
