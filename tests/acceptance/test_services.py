"""What Services lead to, with an unmodified `kubectl`: Endpoints and EndpointSlices are the same on both hosts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hosts import HOSTS
from places import WAIT, Place, place_on

Obj = dict[str, Any]
SERVED = "endpointslice-controller.k8s.io"
OWN = "kubernetes.io/service-name=kubernetes"
TAKEN = "provided IP is already allocated"
MIRRORED = "endpointslicemirroring-controller.k8s.io"


@pytest.fixture(scope="module", params=HOSTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Either host."""
    with place_on(request, tmp_path_factory.mktemp("services")) as made:
        yield made


def pod(name: str, app: str, **spec: Any) -> Obj:
    """A Pod that sleeps, and names a port."""
    container = {"name": "main", "image": "python:3.11", "command": ["sleep", "3600"]}
    ports = [{"name": "web", "containerPort": 8080}, {"name": "talk", "containerPort": 9090}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{**container, "ports": ports}], **spec},
    }


def service(name: str, selector: Obj | None, *ports: Obj, labels: Obj | None = None, **spec: Any) -> Obj:
    made = {"ports": list(ports), **spec} | ({"selector": selector} if selector else {})
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels or {}}, "spec": made}


def running(place: Place, *names: str) -> dict[str, Obj]:
    """Pods that are ready, by name."""
    place("wait", "--for=condition=Ready", *(f"pod/{name}" for name in names), WAIT)
    return {name: place.json("get", "pod", name) for name in names}


def endpoints(place: Place, name: str) -> Obj | None:
    """What is told of an Endpoints object: labels and subsets, with addresses in the order of their Pods."""
    found = place("get", "endpoints", name, "--ignore-not-found", "-o", "json")
    if "{" not in found:
        return None
    made = json.loads(found[found.index("{") :])  # a warning that Endpoints are deprecated may stand before
    subsets = made.get("subsets") or []
    for subset in subsets:
        for key in ("addresses", "notReadyAddresses"):
            subset.setdefault(key, []).sort(key=lambda each: (each.get("targetRef") or {}).get("name", each["ip"]))
    return {"labels": made["metadata"].get("labels"), "subsets": subsets}


def slices(place: Place, name: str) -> list[Obj]:
    """What is told of a Service's slices, likewise."""
    found = place.json("get", "endpointslices", "-l", f"kubernetes.io/service-name={name}")["items"]
    told: list[Obj] = []
    for each in found:
        held = sorted(each.get("endpoints") or [], key=lambda one: (one.get("targetRef") or {}).get("name", one["addresses"]))
        owners = [
            (owner["kind"], owner["name"], owner.get("controller")) for owner in each["metadata"].get("ownerReferences", [])
        ]
        labels = {key: text for key, text in each["metadata"]["labels"].items() if key != "kubernetes.io/service-name"}
        told.append({"labels": labels, "owners": owners, "ports": each.get("ports") or [], "endpoints": held})
    return sorted(told, key=lambda one: json.dumps(one["ports"]))


def target(made: Obj) -> Obj:
    meta = made["metadata"]
    return {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}


def address(made: Obj, **more: Any) -> Obj:
    return {"ip": made["status"]["podIP"], "nodeName": made["spec"]["nodeName"], "targetRef": target(made), **more}


def endpoint(made: Obj, *, ready: bool = True, serving: bool = True, **more: Any) -> Obj:
    return {
        "addresses": [made["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": serving, "terminating": False},
        "nodeName": made["spec"]["nodeName"],
        "targetRef": target(made),
        **more,
    }


def test_ready_pods_stand_behind_a_service_at_the_ports_that_they_name(place: Place) -> None:
    ports = (
        {"name": "http", "port": 80, "targetPort": "web"},
        {"name": "plain", "port": 81},
        {"name": "no", "port": 9, "targetPort": "no"},
    )
    place.apply(service("shop", {"app": "shop"}, *ports, labels={"tier": "front"}))
    place.found(
        lambda: endpoints(place, "shop"),
        {"labels": {"tier": "front", "endpoints.kubernetes.io/managed-by": "endpoint-controller"}, "subsets": []},
    )
    labels = {"tier": "front", "endpointslice.kubernetes.io/managed-by": SERVED}
    owners = [("Service", "shop", True)]
    place.found(lambda: slices(place, "shop"), [{"labels": labels, "owners": owners, "ports": [], "endpoints": []}])
    for name in ("a", "b"):
        place.apply(pod(name, "shop"))
    place.apply(pod("other", "else"))
    found = running(place, "a", "b")
    told = [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "plain", "port": 81, "protocol": "TCP"}]
    one = {"addresses": [address(each) for each in found.values()], "notReadyAddresses": []}

    def subsets() -> list[Obj]:
        seen = (endpoints(place, "shop") or {}).get("subsets", [])
        return [{**each, "ports": sorted(each["ports"], key=lambda port: port["port"], reverse=True)} for each in seen]

    place.found(subsets, [{**one, "ports": told}])
    wanted = {"labels": labels, "owners": owners, "ports": told, "endpoints": [endpoint(each) for each in found.values()]}
    place.found(lambda: slices(place, "shop"), [wanted])
    place("delete", "pod", "a", "--now")
    place.found(lambda: slices(place, "shop"), [{**wanted, "endpoints": [endpoint(found["b"])]}])
    place("label", "pod", "b", "app=gone", "--overwrite")
    place.found(lambda: slices(place, "shop"), [{**wanted, "ports": [], "endpoints": []}])
    assert "shop" in place("get", "endpointslices", "-l", "kubernetes.io/service-name=shop", "-o", "name")
    place("delete", "service", "shop")
    place.found(lambda: (endpoints(place, "shop"), slices(place, "shop")), (None, []))
    place("delete", "pods", "--all", "--now", "--wait=false")


def test_a_pod_that_is_not_ready_is_told_apart_and_published_where_that_is_asked_for(place: Place) -> None:
    place.apply(service("slow", {"app": "slow"}, {"port": 80}))
    place.apply(service("eager", {"app": "slow"}, {"port": 80}, publishNotReadyAddresses=True))
    first = {"name": "first", "image": "python:3.11", "command": ["sleep", "3600"]}
    place.apply(pod("slow", "slow", initContainers=[first]))
    place("wait", "--for=jsonpath={.status.podIP}", "pod/slow", WAIT)
    found = place.json("get", "pod", "slow")
    ports = [{"port": 80, "protocol": "TCP"}]

    def told(name: str) -> tuple[list[Obj], list[list[Obj]]]:
        return (endpoints(place, name) or {}).get("subsets", []), [each["endpoints"] for each in slices(place, name)]

    waiting = {"addresses": [], "notReadyAddresses": [address(found)], "ports": ports}
    place.found(lambda: told("slow"), ([waiting], [[endpoint(found, ready=False, serving=False)]]))
    there = {"addresses": [address(found)], "notReadyAddresses": [], "ports": ports}
    place.found(lambda: told("eager"), ([there], [[endpoint(found, ready=True, serving=False)]]))
    place("delete", "service", "slow", "eager")
    place("delete", "pod", "slow", "--now", "--wait=false")


def test_pods_have_their_names_within_a_headless_service(place: Place) -> None:
    place.apply(service("db", {"app": "db"}, clusterIP="None"))
    place.apply(pod("db-0", "db", hostname="zero", subdomain="db"))
    place.apply(pod("db-1", "db", hostname="one", subdomain="another"))
    found = running(place, "db-0", "db-1")
    zero, one = found["db-0"], found["db-1"]
    labels = {"service.kubernetes.io/headless": ""}
    addresses = [address(zero, hostname="zero"), address(one)]
    wanted = {
        "labels": {**labels, "endpoints.kubernetes.io/managed-by": "endpoint-controller"},
        "subsets": [{"addresses": addresses, "notReadyAddresses": []}],
    }
    place.found(lambda: endpoints(place, "db"), wanted)
    slice_ = {"labels": {**labels, "endpointslice.kubernetes.io/managed-by": SERVED}, "owners": [("Service", "db", True)]}
    held = [endpoint(zero, hostname="zero"), endpoint(one)]
    place.found(lambda: slices(place, "db"), [{**slice_, "ports": [], "endpoints": held}])
    place("delete", "service", "db")
    place("delete", "pods", "--all", "--now", "--wait=false")


def test_what_users_write_for_a_service_without_a_selector_is_mirrored(place: Place) -> None:
    place.apply(service("outside", None, {"name": "sql", "port": 5432}))
    by_hand: Obj = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "outside", "labels": {"by": "hand"}, "annotations": {"note": "kept"}},
        "subsets": [
            {
                "addresses": [{"ip": "192.0.2.7"}],
                "notReadyAddresses": [{"ip": "192.0.2.8"}],
                "ports": [{"name": "sql", "port": 5432}],
            }
        ],
    }
    place.apply(by_hand)
    wanted: Obj = {
        "labels": {"by": "hand", "endpointslice.kubernetes.io/managed-by": MIRRORED},
        "owners": [("Endpoints", "outside", True)],
        "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": ["192.0.2.7"], "conditions": {"ready": True}},
            {"addresses": ["192.0.2.8"], "conditions": {"ready": False}},
        ],
    }
    place.found(lambda: slices(place, "outside"), [wanted])
    (found,) = place.json("get", "endpointslices", "-l", "kubernetes.io/service-name=outside")["items"]
    assert found["metadata"]["annotations"] == {"note": "kept"}
    del by_hand["subsets"][0]["notReadyAddresses"]
    place.apply(by_hand)
    place.found(lambda: slices(place, "outside"), [{**wanted, "endpoints": wanted["endpoints"][:1]}])
    place("label", "endpoints", "outside", "endpointslice.kubernetes.io/skip-mirror=true")
    place.found(lambda: slices(place, "outside"), [])
    place("delete", "service", "outside")
    place.found(lambda: endpoints(place, "outside"), None)


def test_the_api_server_has_a_service_of_its_own(place: Place) -> None:
    where = ["--namespace=default"]
    found = place.json("get", "service", "kubernetes", *where)
    assert found["metadata"]["labels"] == {"component": "apiserver", "provider": "kubernetes"}
    (port,) = found["spec"]["ports"]
    number = port["targetPort"]
    assert port == {"name": "https", "port": 443, "protocol": "TCP", "targetPort": number}
    spec = {key: found["spec"][key] for key in ("sessionAffinity", "type", "internalTrafficPolicy", "ipFamilyPolicy")}
    assert spec == {
        "sessionAffinity": "None",
        "type": "ClusterIP",
        "internalTrafficPolicy": "Cluster",
        "ipFamilyPolicy": "SingleStack",
    }
    (slice_,) = place.json("get", "endpointslices", *where, "-l", "kubernetes.io/service-name=kubernetes")["items"]
    assert slice_["metadata"]["name"] == "kubernetes"
    assert slice_["ports"] == [{"name": "https", "port": number, "protocol": "TCP"}]
    ((endpoint_),) = slice_["endpoints"]
    assert endpoint_["conditions"] == {"ready": True}
    told = place("get", "endpoints", "kubernetes", *where)
    assert "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice" in told
    assert f"{endpoint_['addresses'][0]}:{number}" in told


def test_the_service_of_the_api_server_and_its_endpoints_come_back(place: Place) -> None:
    where = ["--namespace=default"]
    uid = place.json("get", "service", "kubernetes", *where)["metadata"]["uid"]
    held = [each["endpoints"] for each in place.json("get", "endpointslices", *where, "-l", OWN)["items"]]
    address = place("get", "service", "kubernetes", *where, "-o", "jsonpath={.spec.clusterIP}")
    place("delete", "service", "kubernetes", *where)

    def back() -> Obj:
        found = place("get", "service", "kubernetes", *where, "--ignore-not-found", "-o", "json")
        return json.loads(found) if found else {"metadata": {"uid": uid}}

    place.found(lambda: back()["metadata"]["uid"] != uid, wanted=True)
    assert back()["spec"]["clusterIP"] == address
    place("delete", "endpoints,endpointslices", "kubernetes", *where)
    place.found(lambda: [each["endpoints"] for each in place.json("get", "endpointslices", *where, "-l", OWN)["items"]], held)
    place.found(lambda: endpoints_there(place), wanted=True)


def endpoints_there(place: Place) -> bool:
    return ":" in place("get", "endpoints", "kubernetes", "--namespace=default", "--ignore-not-found", "--no-headers")


def test_addresses_that_the_host_has_itself_are_given_to_no_service(place: Place) -> None:
    show = ["python3", "-c", "print(open('/etc/resolv.conf').read().split('nameserver ')[1].split()[0])"]
    container = {"name": "main", "image": "python:3.11", "command": show}
    place.apply({**pod("asks", "asks"), "spec": {"restartPolicy": "Never", "containers": [container]}})
    place("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/asks", WAIT)
    own = place("get", "service", "kubernetes", "--namespace=default", "-o", "jsonpath={.spec.clusterIP}")
    for address in (place("logs", "asks").strip(), own):
        said = place.apply(service("greedy", None, {"port": 80}, clusterIP=address), fails=True)
        wanted = f'Invalid value: ["{address}"]: failed to allocate IP {address}: '
        assert f'The Service "greedy" is invalid: spec.clusterIPs: {wanted}' in said
        why = said.partition(wanted)[2].strip()
        # A cluster's resolver may have an address that is no Service's.
        assert why == TAKEN or (address != own and why == "the provided network does not match the current range")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("0.0.0.0", "may not be unspecified (0.0.0.0)"),  # noqa: S104
        ("169.254.169.254", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("224.0.0.1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ],
)
def test_addresses_at_which_nobody_else_is_are_refused(place: Place, address: str, why: str) -> None:
    meta = {"name": "nowhere", "labels": {"kubernetes.io/service-name": "nowhere"}}
    subset = {"addresses": [{"ip": address}], "ports": [{"port": 80}]}
    said = place.apply({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": [subset]}, fails=True)
    assert f'The Endpoints "nowhere" is invalid: subsets[0].addresses[0].ip: Invalid value: "{address}": {why}' in said
    slice_ = {"addressType": "IPv4", "endpoints": [{"addresses": [address]}], "ports": [{"port": 80}]}
    said = place.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, **slice_}, fails=True)
    assert f'endpoints[0].addresses[0]: Invalid value: "{address}": {why}' in said
    said = place.apply(service("nowhere", None, {"port": 80}, externalIPs=[address]), fails=True)
    assert f'spec.externalIPs[0]: Invalid value: "{address}": {why}' in said
