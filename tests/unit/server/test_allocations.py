"""Addresses and node ports of Services: given once, kept, and free again when their Service goes."""

from typing import Any

import pytest

from kedge.errors import Invalid
from kedge.kube.core import KINDS, NAMESPACE
from kedge.kube.kinds import Obj
from kedge.kube.services import SERVICE
from kedge.server import allocations
from kedge.server.allocations import API_SERVER, NODE_PORTS, RANGE, Allocations
from kedge.server.api import Api
from kedge.server.core import Admission
from kedge.store.memory import MemoryLog
from kedge.testing.clock import FakeClock, FakeIds


def service(name: str, **spec: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": [{"port": 80}], **spec}}


def api_over(store: MemoryLog, ids: FakeIds | None = None) -> Api:
    ids = ids or FakeIds()
    hooks: list[Admission] = [Allocations(store, ids).admit]
    return Api(store, KINDS, FakeClock(), ids, admission=hooks)


@pytest.fixture
def store() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def api(store: MemoryLog) -> Api:
    made = api_over(store)
    made.create(NAMESPACE, {"metadata": {"name": "default"}})
    return made


def test_no_address_is_given_twice(api: Api) -> None:
    addresses = [api.create(SERVICE, service(f"s{number}"))["spec"]["clusterIP"] for number in range(300)]
    assert len(set(addresses)) == 300
    assert API_SERVER not in addresses


def test_what_is_taken_is_known_again_after_a_restart(api: Api, store: MemoryLog) -> None:
    made = api.create(SERVICE, service("a", type="NodePort"))["spec"]
    again = api_over(store)
    with pytest.raises(Invalid, match=f"failed to allocate IP {made['clusterIP']}: provided IP is already allocated"):
        again.create(SERVICE, service("b", clusterIP=made["clusterIP"]))
    port = {"port": 1, "nodePort": made["ports"][0]["nodePort"]}
    with pytest.raises(Invalid, match=r"spec.ports\[0\].nodePort: .*provided port is already allocated"):
        again.create(SERVICE, service("b", type="NodePort", ports=[port]))


def test_a_deleted_service_gives_back_its_address_and_its_ports(api: Api) -> None:
    made = api.create(SERVICE, service("a", type="NodePort"))["spec"]
    api.delete(SERVICE, "a", "default")
    port = {"port": 1, "nodePort": made["ports"][0]["nodePort"]}
    again = api.create(SERVICE, service("b", type="NodePort", clusterIP=made["clusterIP"], ports=[port]))
    assert again["spec"]["clusterIP"] == made["clusterIP"]


def test_a_range_that_is_full_is_refused_until_one_is_free(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocations, "NODE_PORTS", NODE_PORTS[:2])
    for name in ("a", "b"):
        api.create(SERVICE, service(name, type="NodePort"))
    with pytest.raises(Invalid, match="failed to allocate a nodePort: range is full"):
        api.create(SERVICE, service("c", type="NodePort"))
    api.delete(SERVICE, "a", "default")
    api.create(SERVICE, service("c", type="NodePort"))


def change(api: Api, name: str, *dropped: str, **spec: Any) -> Obj:
    obj = api.get(SERVICE, name, "default")
    kept = {key: value for key, value in obj["spec"].items() if key not in dropped}
    return api.update(SERVICE, {**obj, "spec": {**kept, **spec}})["spec"]


def test_an_update_without_an_address_keeps_it_and_one_with_another_is_refused(api: Api) -> None:
    address = api.create(SERVICE, service("a"))["spec"]["clusterIP"]
    assert change(api, "a", "clusterIP", "clusterIPs", selector={"x": "y"})["clusterIPs"] == [address]
    for given in (str(RANGE[9]), "None"):
        with pytest.raises(Invalid, match=r"spec.clusterIPs\[0\]: Invalid value: .*may not change once set"):
            change(api, "a", clusterIP=given)


def test_a_change_of_the_type_gives_and_takes_what_belongs_to_it(api: Api) -> None:
    address = api.create(SERVICE, service("a"))["spec"]["clusterIP"]
    opened = change(api, "a", type="NodePort")
    assert (opened["clusterIP"], opened["externalTrafficPolicy"]) == (address, "Cluster")
    port = opened["ports"][0]["nodePort"]
    assert change(api, "a", ports=[{"port": 80}])["ports"][0]["nodePort"] == port, "a port that is sent without one keeps it"
    closed = change(api, "a", type="ClusterIP")
    assert ("nodePort" in closed["ports"][0], "externalTrafficPolicy" in closed) == (False, False)
    away = change(api, "a", type="ExternalName", externalName="example.com")
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"} & set(away)
    api.create(SERVICE, service("b", clusterIP=address))  # it is free now
    assert change(api, "a", "externalName", type="ClusterIP")["clusterIP"] not in {address, None}


def test_a_headless_service_and_an_external_name_take_no_address(api: Api) -> None:
    headless = api.create(SERVICE, service("a", clusterIP="None", selector={"a": "b"}))["spec"]
    assert (headless["clusterIPs"], headless["ipFamilies"]) == (["None"], ["IPv4"])
    named = api.create(SERVICE, service("b", type="ExternalName", externalName="example.com"))["spec"]
    assert "clusterIP" not in named
