"""Where ``pods/NAME/proxy`` and ``services/NAME/proxy`` lead, and where nobody is led."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from kedge.kube.core import POD
from kedge.kube.endpoints import ENDPOINTS
from kedge.kube.kinds import Obj
from kedge.kube.services import SERVICE
from kedge.server.api import Api

HERE = "/api/v1/namespaces/default"
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: a=b\r\nclear-site-data: *\r\ncontent-security-policy: none\r\n\r\nhi"
)


class Reached:
    """Connects to one server wherever it is asked to, and notes where that was."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[tuple[str, int]] = []

    async def reach(
        self, host: str, port: int, context: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert context is None
        self.asked.append((host, port))
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.fixture
async def reached(api: Api) -> AsyncIterator[Reached]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made: Any = Reached(server.sockets[0].getsockname()[1])
    api.processes, api.own_ports = made, frozenset({7001, 7002})
    yield made
    server.close()


def pod(api: Api, name: str, address: str, *ports: int) -> None:
    container = {"name": "c", "image": "i", "ports": [{"containerPort": port} for port in ports]}
    meta = {"name": name, "namespace": "default"}
    api.create(POD, {"metadata": meta, "spec": {"containers": [container]}})
    api.patch(POD, name, "default", {"status": {"podIP": address, "podIPs": [{"ip": address}]}}, subresource="status")


def service(api: Api, name: str, address: str, target: int, behind: str = "") -> None:
    """A Service, and endpoints that are stored already, whatever is accepted today."""
    api.create(SERVICE, {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": [{"port": 80}]}})
    endpoint: Obj = {"ip": address, **({"targetRef": {"kind": "Pod", "name": behind}} if behind else {})}
    subsets = [{"addresses": [{**endpoint, "ip": "10.0.0.1"}], "ports": [{"port": target}]}]
    api.create(ENDPOINTS, {"metadata": {"name": name, "namespace": "default"}, "subsets": subsets})
    place = f"/registry/endpoints/default/{name}"
    record = api.core.store.get(place)
    assert record is not None
    api.core.store.update(place, record.value.replace(b"10.0.0.1", address.encode()), record.revision)


async def test_a_pod_with_an_address_of_its_own_is_reached_at_every_port(
    http: httpx.AsyncClient, api: Api, reached: Reached
) -> None:
    pod(api, "p", "10.244.0.7", 80)
    for port in (80, 7001):
        assert (await http.get(f"{HERE}/pods/p:{port}/proxy/")).text == "hi"
    assert reached.asked == [("10.244.0.7", 80), ("10.244.0.7", 7001)]


async def test_a_pod_of_the_machines_network_is_reached_where_it_serves_alone(
    http: httpx.AsyncClient, api: Api, reached: Reached
) -> None:
    pod(api, "p", "127.0.0.1", 8080, 7001)
    answers = {port: await http.get(f"{HERE}/pods/p:{port}/proxy/") for port in (8080, 22, 7001, 7002)}
    assert {port: answer.status_code for port, answer in answers.items()} == {8080: 200, 22: 400, 7001: 400, 7002: 400}
    assert answers[22].json()["message"] == "address not allowed"
    pod(api, "silent", "127.0.0.1")
    assert (await http.get(f"{HERE}/pods/silent/proxy/")).status_code == 400
    assert reached.asked == [("127.0.0.1", 8080)]


@pytest.mark.usefixtures("reached")
async def test_nobody_is_told_to_ask_again_for_a_service_that_nothing_stands_behind(http: httpx.AsyncClient, api: Api) -> None:
    """Clients of Kubernetes would, ten times."""
    api.create(SERVICE, {"metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}})
    answer = await http.get(f"{HERE}/services/s:80/proxy/")
    assert (answer.status_code, answer.json()["message"]) == (503, 'no endpoints available for service "s"')
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "::ffff:127.0.0.1", "127.0.0.9", "fe80::1", ""])  # noqa: S104
async def test_no_pod_is_reached_where_none_may_be(http: httpx.AsyncClient, api: Api, reached: Reached, address: str) -> None:
    pod(api, "p", address, 80)
    answer = await http.get(f"{HERE}/pods/p:80/proxy/")
    assert (answer.status_code, answer.json()["message"]) == (400, "address not allowed")
    assert not reached.asked


async def test_a_service_leads_to_the_machines_own_address_only_by_a_pod_that_serves_there(
    http: httpx.AsyncClient, api: Api, reached: Reached
) -> None:
    pod(api, "p", "127.0.0.1", 8080, 7001)
    pod(api, "elsewhere", "10.244.0.7", 22)
    service(api, "good", "127.0.0.1", 8080, behind="p")
    service(api, "away", "10.244.0.7", 22)
    for name, target, behind in (
        ("undeclared", 22, "p"),
        ("nobody", 8080, ""),
        ("absent", 8080, "gone"),
        ("lie", 22, "elsewhere"),
        ("host", 7001, "p"),
    ):
        service(api, name, "127.0.0.1", target, behind)
        answer = await http.get(f"{HERE}/services/{name}:80/proxy/")
        assert (name, answer.status_code, answer.json()["message"]) == (name, 400, "address not allowed")
    for name in ("good", "away"):
        assert (await http.get(f"{HERE}/services/{name}:80/proxy/")).text == "hi"
    assert reached.asked == [("127.0.0.1", 8080), ("10.244.0.7", 22)]


async def test_what_a_pod_answers_is_no_page_of_the_dashboards_origin(
    http: httpx.AsyncClient, api: Api, reached: Reached
) -> None:
    del reached
    pod(api, "p", "10.244.0.7", 80)
    answer = await http.get(f"{HERE}/pods/p/proxy/")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert not {"set-cookie", "clear-site-data"} & set(answer.headers)
    by_kubectl = await http.get(f"https://localhost:1{HERE}/pods/p/proxy/")
    assert (by_kubectl.headers["content-security-policy"], by_kubectl.headers["clear-site-data"]) == ("none", "*")
