"""A DaemonSet has a Pod on each node that may have one: through taints, labels, failures, new templates and restarts."""

from typing import Any

import pytest
from keepers import Keepers

from kedge import errors
from kedge.kube.apps import CONTROLLER_REVISION, DAEMON_SET
from kedge.kube.core import EVENT, NODE, POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key
from kedge.testing.api import StoppingClient
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World
from kedge.workloads.daemonsets import DaemonSets
from kedge.workloads.keeping import telling

_NODES = ("a", "b", "c")
_SURGES: dict[str, Any] = {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}}


@pytest.fixture
def host() -> Keepers:
    return with_nodes()


def with_nodes() -> Keepers:
    made = Keepers()
    for name in _NODES:
        made.api.create(NODE, {"metadata": {"name": name, "labels": {"name": name}}})
    return made


def place_of(pod: Obj) -> str:
    (term,) = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return str(term["matchFields"][0]["values"][0])


def places(host: Keepers) -> list[str]:
    return sorted(place_of(pod) for pod in host.pods())


def notes(host: Keepers) -> dict[str, list[str]]:
    """The notes in the templates of the Pods of each node."""
    found: dict[str, list[str]] = {}
    for pod in host.pods():
        found.setdefault(place_of(pod), []).append((pod["metadata"].get("annotations") or {}).get("note", ""))
    return found


async def test_each_node_gets_a_pod_also_a_later_one_and_loses_it_when_the_labels_do_not_fit(host: Keepers) -> None:
    host.make(DAEMON_SET)
    await host.settle(ready=True)
    assert places(host) == ["a", "b", "c"]
    host.api.create(NODE, {"metadata": {"name": "d"}})
    await host.settle(ready=True)
    assert places(host) == ["a", "b", "c", "d"]
    assert host.get(DAEMON_SET)["status"] == {
        "currentNumberScheduled": 4,
        "desiredNumberScheduled": 4,
        "numberAvailable": 4,
        "numberMisscheduled": 0,
        "numberReady": 4,
        "observedGeneration": 1,
        "updatedNumberScheduled": 4,
    }
    host.change(DAEMON_SET, {"spec": {"template": {"spec": {"nodeSelector": {"name": "b"}}}}})
    await host.settle(ready=True)
    assert places(host) == ["b"]


async def test_a_taint_keeps_new_pods_away_and_only_one_that_says_so_ends_those_that_run(host: Keepers) -> None:
    def taint(name: str, effect: str) -> None:
        host.api.patch(NODE, name, None, {"spec": {"taints": [{"key": "mine", "effect": effect}]}})

    host.make(DAEMON_SET)
    taint("a", "NoSchedule")
    await host.settle(ready=True)
    assert places(host) == ["b", "c"]
    taint("b", "NoSchedule")
    taint("c", "NoExecute")
    await host.settle(ready=True)
    assert places(host) == ["b"]
    status = host.get(DAEMON_SET)["status"]
    assert (status["desiredNumberScheduled"], status["numberMisscheduled"]) == (0, 1)
    host.change(DAEMON_SET, {"spec": {"template": {"spec": {"tolerations": [{"key": "mine", "operator": "Exists"}]}}}})
    await host.settle(ready=True)
    assert places(host) == ["a", "b", "c"]


async def test_a_cordoned_node_keeps_its_pod_and_gets_one(host: Keepers) -> None:
    unschedulable = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    host.api.patch(NODE, "a", None, {"spec": {"unschedulable": True, "taints": [unschedulable]}})
    host.make(DAEMON_SET)
    await host.settle(ready=True)
    assert places(host) == ["a", "b", "c"]


async def test_a_new_template_comes_node_by_node(host: Keepers) -> None:
    host.make(DAEMON_SET)
    await host.settle(ready=True)
    host.retemplate(DAEMON_SET, "two")
    await host.settle()
    assert notes(host) == {"a": ["two"], "b": [""], "c": [""]}  # the new one is not ready yet
    await host.settle(ready=True)
    assert set(map(tuple, notes(host).values())) == {("two",)}
    assert sorted(each["revision"] for each in host.api.list(CONTROLLER_REVISION).items) == [1, 2]


async def test_with_a_surge_the_new_pod_is_there_before_the_old_one_goes(host: Keepers) -> None:
    host.make(DAEMON_SET, **_SURGES)
    await host.settle(ready=True)
    host.retemplate(DAEMON_SET, "two")
    await host.settle()
    assert sorted(map(sorted, notes(host).values())) == [[""], [""], ["", "two"]]
    await host.settle(ready=True)
    assert set(map(tuple, notes(host).values())) == {("two",)}


async def test_on_delete_nothing_is_replaced_until_somebody_deletes_it(host: Keepers) -> None:
    host.make(DAEMON_SET, updateStrategy={"type": "OnDelete"})
    await host.settle(ready=True)
    host.retemplate(DAEMON_SET, "two")
    await host.settle(ready=True)
    assert set(map(tuple, notes(host).values())) == {("",)}
    host.api.delete(POD, host.names()[0], "default", grace_period=0)
    await host.settle(ready=True)
    assert sorted(map(tuple, notes(host).values())) == [("",), ("",), ("two",)]


async def test_a_pod_that_failed_is_replaced_after_a_while_and_told(host: Keepers) -> None:
    host.make(DAEMON_SET)
    await host.settle(ready=True)
    failed = host.names()[0]
    host.mark(failed, phase="Failed", ready=False)
    await host.settle(ready=True)
    assert failed in host.names()
    await host.advance(10)
    await host.settle(ready=True)
    assert failed not in host.names()
    assert places(host) == ["a", "b", "c"]


async def test_where_a_quota_is_full_those_that_go_make_room_and_what_is_refused_is_told(host: Keepers) -> None:
    def full(verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        del new, old
        if verb == "create" and kind is POD and host.pods():
            raise errors.Forbidden("exceeded quota: pods")

    host.make(DAEMON_SET)
    host.change(DAEMON_SET, {"spec": {"template": {"spec": {"nodeSelector": {"name": "a"}}}}})
    await host.settle(ready=True)
    host.api.core.admission = [full]
    host.change(DAEMON_SET, {"spec": {"template": {"spec": {"nodeSelector": {"name": "b"}}}}})
    await host.settle(ready=True)
    assert places(host) == ["b"]
    host.change(DAEMON_SET, {"spec": {"template": {"spec": {"nodeSelector": None}}}})
    handle = telling(DaemonSets(lambda _: []), StoppingClient(host.api), host.clock)
    with pytest.raises(errors.Forbidden):
        await handle(Key("default", "web"))
    status = host.get(DAEMON_SET)["status"]
    assert (status["observedGeneration"], status["desiredNumberScheduled"], status["currentNumberScheduled"]) == (4, 3, 1)
    told = [each for each in host.api.list(EVENT).items if each["reason"] == "FailedCreate"]
    assert [each["message"] for each in told] == ["Error creating: exceeded quota: pods"]


async def test_an_old_pod_that_is_not_ready_does_not_keep_its_place_from_a_surging_one(host: Keepers) -> None:
    host.make(DAEMON_SET, **_SURGES)
    await host.settle(ready=True)
    host.retemplate(DAEMON_SET, "two")
    await host.settle()
    host.mark(ready=False)
    await host.settle()
    assert ["two"] in notes(host).values()


async def test_an_ended_pod_that_waits_for_a_finalizer_keeps_no_place(host: Keepers) -> None:
    host.make(DAEMON_SET)
    host.change(DAEMON_SET, {"spec": {"template": {"spec": {"nodeSelector": {"name": "a"}}}}})
    await host.settle(ready=True)
    (first,) = host.names()
    host.api.patch(POD, first, "default", {"metadata": {"finalizers": ["example.com/mine"]}})
    host.mark(first, phase="Failed", ready=False)
    await host.advance(10)
    await host.settle(ready=True)
    assert places(host) == ["a"]
    assert host.api.get(POD, first, "default")["metadata"]["deletionTimestamp"]


async def test_a_toleration_that_ends_gives_way_to_that_of_daemons(host: Keepers) -> None:
    brief = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    host.make(DAEMON_SET)
    host.change(DAEMON_SET, {"spec": {"template": {"spec": {"tolerations": [brief]}}}})
    await host.settle()
    for pod in host.pods():
        assert [each for each in pod["spec"]["tolerations"] if each["key"].endswith("unreachable")] == [
            {"key": brief["key"], "operator": "Exists", "effect": "NoExecute"}
        ]


async def test_the_pod_that_was_meant_for_a_node_that_is_gone_goes_and_a_bound_one_waits(host: Keepers) -> None:
    host.make(DAEMON_SET)
    await host.settle(ready=True)
    (on_c,) = (pod for pod in host.pods() if place_of(pod) == "c")
    host.api.create(POD, {"target": {"kind": "Node", "name": "c"}}, name=on_c["metadata"]["name"], subresource="binding")
    for name in ("b", "c"):
        host.api.delete(NODE, name, None)
    await host.settle(ready=True)
    assert places(host) == ["a", "c"]


@pytest.mark.parametrize("spec", [pytest.param({}, id="one by one"), pytest.param(_SURGES, id="surging")])
class TestConformance(ReconcilerConformance):
    """Stopped between any two writes it converges."""

    @pytest.fixture
    def scenario(self, spec: Obj) -> Scenario:
        async def make() -> World:
            host = with_nodes()
            host.make(DAEMON_SET, **spec)
            await host.settle(ready=True)
            host.retemplate(DAEMON_SET, "two")

            async def one_pass(client: Any) -> None:
                await host.one_pass(client)
                host.bury()
                host.mark()

            def is_settled() -> bool:
                return set(map(tuple, notes(host).values())) == {("two",)} and places(host) == [*_NODES]

            return World(host.api, one_pass, is_settled, _nothing)

        return make


async def _nothing(*_: Any) -> None:
    return
