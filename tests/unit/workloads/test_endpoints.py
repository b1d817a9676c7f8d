"""Endpoints and slices follow the Pods behind a Service: many of them, in few slices, through restarts and refusals."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from kedge.client.types import Client
from kedge.control.controller import Reconciler, reconcile
from kedge.kube.clock import timestamp
from kedge.kube.core import NODE, POD
from kedge.kube.endpoint_slices import ENDPOINT_SLICE
from kedge.kube.endpoints import ENDPOINTS
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key
from kedge.kube.services import SERVICE
from kedge.server.api import Api
from kedge.testing.api import StoppingClient, memory_api
from kedge.testing.clock import FakeClock
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World
from kedge.workloads import backends
from kedge.workloads.endpoints import OVER_CAPACITY, EndpointsOfServices
from kedge.workloads.endpointslices import SlicesOfServices, prefix
from kedge.workloads.mirroring import MirroredEndpoints

WEB = Key("default", "web")


class Host:
    """The API without a node: Pods are given their addresses by hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api: Api = memory_api(clock=self.clock)
        self.api.create(NODE, {"metadata": {"name": "here", "labels": {"topology.kubernetes.io/zone": "attic"}}})
        self.reconcilers: tuple[Reconciler[Key, Any], ...] = (
            EndpointsOfServices(self.behind),
            SlicesOfServices(self.behind),
            MirroredEndpoints(),
        )

    def behind(self, service: Obj) -> Iterable[Obj]:
        return [backends.glimpse(pod) for pod in self.api.list(POD).items if backends.matches(service, pod)]

    def service(self, **spec: Any) -> Obj:
        made: Obj = {"selector": {"app": "web"}, "ports": [{"port": 80}], "clusterIP": "10.96.0.9", **spec}
        return self.api.create(SERVICE, {"metadata": {"name": "web", "namespace": "default"}, "spec": made})

    def pod(self, name: str, address: str, *, port: int = 8080, node: str = "here") -> Obj:
        container = {"name": "c", "image": "i:1", "ports": [{"name": "web", "containerPort": port}]}
        meta = {"name": name, "namespace": "default", "labels": {"app": "web"}}
        pod = self.api.create(POD, {"metadata": meta, "spec": {"containers": [container], "nodeName": node}})
        state = {"type": "Ready", "status": "True", "lastTransitionTime": timestamp(self.clock.now() + timedelta(seconds=1))}
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [state]}
        return self.api.update(POD, {**pod, "status": status}, subresource="status")

    async def settle(self, client: Client | None = None) -> int:
        counted = StoppingClient(self.api)
        for reconciler in self.reconcilers:
            await reconcile(reconciler, client or counted, WEB, self.clock.now())
        return counted.writes

    def slices(self) -> list[Obj]:
        return self.api.list(ENDPOINT_SLICE).items

    def endpoints(self) -> Obj:
        return self.api.get(ENDPOINTS, "web", "default")


@pytest.fixture
def host() -> Host:
    return Host()


async def test_a_slice_has_a_hundred_endpoints_and_what_goes_makes_room(host: Host) -> None:
    host.service()
    for number in range(105):
        host.pod(f"p{number}", f"10.0.0.{number + 1}")
    await host.settle()
    assert sorted(len(each["endpoints"]) for each in host.slices()) == [5, 100]
    large = next(each for each in host.slices() if len(each["endpoints"]) == 100)
    gone = large["endpoints"][3]["targetRef"]["name"]
    host.api.delete(POD, gone, "default", grace_period=0)
    host.pod("late", "10.0.1.1")
    await host.settle()
    after = next(each for each in host.slices() if each["metadata"]["name"] == large["metadata"]["name"])
    names = {each["targetRef"]["name"] for each in after["endpoints"]}
    assert (len(names), "late" in names, gone in names) == (100, True, False)
    assert await host.settle() == 0


async def test_pods_of_one_address_are_told_apart(host: Host) -> None:
    host.service()
    host.pod("a", "127.0.0.1")
    host.pod("b", "127.0.0.1")
    await host.settle()
    ((slice_,), (subset,)) = (host.slices(), host.endpoints()["subsets"])
    assert [each["targetRef"]["name"] for each in slice_["endpoints"]] == ["a", "b"]
    assert [each["zone"] for each in slice_["endpoints"]] == ["attic", "attic"]
    assert [each["targetRef"]["name"] for each in subset["addresses"]] == ["a", "b"]


async def test_pods_whose_named_port_differs_are_in_slices_and_subsets_of_their_own(host: Host) -> None:
    host.service(ports=[{"port": 80, "targetPort": "web", "name": "http"}, {"port": 443, "name": "same"}])
    host.pod("a", "10.0.0.1")
    host.pod("b", "10.0.0.2", port=9090)
    await host.settle()
    found = {each["endpoints"][0]["targetRef"]["name"]: [port["port"] for port in each["ports"]] for each in host.slices()}
    assert found == {"a": [8080, 443], "b": [9090, 443]}
    told = [
        ([each["ip"] for each in one["addresses"]], [port["port"] for port in one["ports"]])
        for one in host.endpoints()["subsets"]
    ]
    assert told == [(["10.0.0.1"], [8080]), (["10.0.0.1", "10.0.0.2"], [443]), (["10.0.0.2"], [9090])]


async def test_when_it_happened_is_told_of_what_is_new_alone(host: Host) -> None:
    made = host.service()
    await host.settle()
    assert backends.TRIGGERED in host.endpoints()["metadata"]["annotations"]
    assert host.endpoints()["metadata"]["annotations"][backends.TRIGGERED] == made["metadata"]["creationTimestamp"]
    pod = host.pod("a", "10.0.0.1")
    ready = pod["status"]["conditions"][0]["lastTransitionTime"]
    await host.settle()
    (slice_,) = host.slices()
    assert {each["metadata"]["annotations"][backends.TRIGGERED] for each in (slice_, host.endpoints())} == {ready}
    host.api.delete(POD, "a", "default", grace_period=0)
    await host.settle()
    assert backends.TRIGGERED not in (host.endpoints()["metadata"].get("annotations") or {})


async def test_a_pod_of_a_node_that_is_not_there_is_left_out_until_it_is(host: Host) -> None:
    host.service()
    host.pod("a", "10.0.0.1", node="lost")
    again = await reconcile(host.reconcilers[1], StoppingClient(host.api), WEB, host.clock.now())
    assert (again[1], [each["endpoints"] for each in host.slices()]) == (5.0, [[]])
    host.api.create(NODE, {"metadata": {"name": "lost"}})
    await host.settle()
    assert [each["targetRef"]["name"] for each in host.slices()[0]["endpoints"]] == ["a"]


async def test_more_than_a_thousand_addresses_are_cut_in_endpoints_and_that_is_told(host: Host) -> None:
    host.service()
    for number in range(1001):
        host.pod(f"p{number}", f"10.0.{number // 250}.{number % 250 + 1}")
    await reconcile(host.reconcilers[0], StoppingClient(host.api), WEB, host.clock.now())
    found = host.endpoints()
    assert [len(each["addresses"]) for each in found["subsets"]] == [1000]
    assert found["metadata"]["annotations"][OVER_CAPACITY] == "truncated"


async def test_a_service_that_goes_gets_no_new_slice(host: Host) -> None:
    host.service()
    host.api.delete(SERVICE, "web", "default", propagation="Foreground")
    await host.settle()
    assert host.slices() == []


@pytest.mark.parametrize(("name", "wanted"), [("web", "web-"), ("a" * 253, "a" * 253)], ids=["short", "as long as may be"])
def test_names_of_slices_begin_with_their_services(name: str, wanted: str) -> None:
    assert prefix(name) == wanted


class TestEndpointsConverge(ReconcilerConformance):
    @pytest.fixture
    def scenario(self) -> Scenario:
        async def make() -> World:
            host = Host()
            host.service(ports=[{"port": 80, "targetPort": "web"}])
            for number, port in enumerate((8080, 8080, 9090)):
                host.pod(f"p{number}", f"10.0.0.{number + 1}", port=port)

            async def one_pass(client: Client) -> None:
                await host.settle(client)

            def is_settled() -> bool:
                held = sorted(len(each["endpoints"]) for each in host.slices())
                return held == [1, 2] and len(host.endpoints()["subsets"]) == 2

            return World(host.api, one_pass, is_settled, _nothing)

        return make


class TestMirroredEndpointsConverge(ReconcilerConformance):
    @pytest.fixture
    def scenario(self) -> Scenario:
        async def make() -> World:
            host = Host()
            host.service(selector=None)
            subsets = [
                {"addresses": [{"ip": "192.0.2.7"}, {"ip": "2001:db8::7"}], "ports": [{"name": "sql", "port": 5432}]},
                {"notReadyAddresses": [{"ip": "192.0.2.8"}], "ports": [{"name": "sql", "port": 5433}]},
            ]
            host.api.create(ENDPOINTS, {"metadata": {"name": "web", "namespace": "default"}, "subsets": subsets})

            async def one_pass(client: Client) -> None:
                await host.settle(client)

            def is_settled() -> bool:
                return sorted(each["addressType"] for each in host.slices()) == ["IPv4", "IPv4", "IPv6"]

            return World(host.api, one_pass, is_settled, _nothing)

        return make


async def _nothing() -> None:
    pass
