"""What a hub of many callers passes on of the Kubernetes API: what its Role and the caller's rights both allow, and no more."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from kedge import errors
from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.kube.core import EVENT, POD
from kedge.kube.kinds import Kind, Obj
from kedge.manifests import rights
from kedge.pipelines.kinds import RUN
from kedge.server import guarded
from kedge.server.cluster_callers import ClusterCallers, TrustedProxy
from kedge.server.cluster_tokens import ClusterTokens
from kedge.testing.clock import FakeClock

ANN = {"kubeflow-userid": "ann", "x-kedge-proxy-secret": "known"}
PODS = "/api/v1/namespaces/a/pods"


class Cluster:
    """An API server that has everything, and lets callers do what is in its list."""

    def __init__(self) -> None:
        self.allowed = {
            "list pods",
            "get pods",
            "get pods/log",
            "delete pods",
            "update pods",
            "watch pods",
            "list secrets",
            "list nodes",
        }
        self.asked: list[str] = []

    async def document(self, path: str) -> Obj:
        raise errors.Unavailable(path)

    async def create(self, kind: Kind, obj: Obj) -> Obj:
        about = obj["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
        question = (kind.kind, obj["spec"]["user"], about["namespace"], about["group"])
        is_anns = question == ("LocalSubjectAccessReview", "ann", "a", "")
        return {"status": {"allowed": is_anns and f"{about['verb']} {resource}" in self.allowed}}

    def answer(self, request: Request) -> JSONResponse:
        self.asked.append(f"{request.method} {request.url.path}?{request.url.query}")
        return JSONResponse({"authorization": request.headers.get("authorization")})


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
async def hub(cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    clock = FakeClock()
    proxy = TrustedProxy.of("", "known")
    callers = ClusterCallers(cluster, ClusterTokens(cluster, clock), clock, ("kedge", ("a", "b")), proxy)
    behind = httpx.ASGITransport(Starlette(routes=[Route("/{rest:path}", cluster.answer, methods=["GET", "DELETE", "PUT"])]))
    async with HttpClient(Access("http://cluster", token="the hub's own"), transport=behind) as client:
        made = Starlette(routes=guarded.routes(client, callers, (POD, EVENT, RUN), rights.RUNS))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://hub") as http:
            yield http


async def test_what_both_may_is_passed_on_with_the_hubs_credentials(hub: httpx.AsyncClient, cluster: Cluster) -> None:
    listed = await hub.get(PODS, params={"limit": 5, "labelSelector": "x=y"}, headers=ANN)
    assert listed.json() == {"authorization": "Bearer the hub's own"}
    for path in (PODS + "/p", PODS + "/p/log"):
        assert (await hub.get(path, headers=ANN)).status_code == 200
    assert (await hub.delete(PODS + "/p", headers=ANN)).status_code == 200
    assert cluster.asked == [
        f"GET {PODS}?limit=5&labelSelector=x%3Dy",
        f"GET {PODS}/p?",
        f"GET {PODS}/p/log?",
        f"DELETE {PODS}/p?",
    ]


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/api/v1/namespaces/a/secrets", "`kubectl get secrets --namespace a`"),
        ("GET", "/api/v1/nodes", "`kubectl get nodes`"),
        ("GET", "/api/v1/pods", "`kubectl get pods --all-namespaces`"),
        ("PUT", PODS + "/p", "`kubectl edit pods p --namespace a`"),
        ("DELETE", PODS, "does not deletecollection pods"),
        ("GET", PODS + "/p/exec", "does not get pods/exec"),
        ("GET", "/api/v1/namespaces/b/events", "ann may not list events in namespace b"),
        ("GET", "/api/v1/namespaces/kube-system/pods", "ann may not list pods in namespace kube-system"),
        ("GET", "/apis/kedge.dev/v1/namespaces/a/runs", "ann may not list runs in namespace a"),
        ("GET", "/apis/kedge.dev/v2/namespaces/a/runs", "may not see runs"),
    ],
)
async def test_what_either_may_not_is_refused(
    hub: httpx.AsyncClient, cluster: Cluster, method: str, path: str, said: str
) -> None:
    refused = await hub.request(method, path, headers=ANN)
    assert (refused.status_code, cluster.asked) == (403, [])
    assert said in refused.json()["message"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (PODS + "?watch=true", 400),
        (PODS + "/p/log?follow=true", 400),
        (PODS + "/..%2f..%2fb", 404),
        ("/api/v1/namespaces/A_B/pods", 404),
        ("/apis/kedge.dev", 404),
    ],
)
async def test_what_is_not_understood_is_not_passed_on(hub: httpx.AsyncClient, cluster: Cluster, path: str, code: int) -> None:
    assert (await hub.get(path, headers=ANN)).status_code == code
    assert cluster.asked == []


async def test_nobody_is_told_anything_and_who_is_known_which_kinds_there_are(hub: httpx.AsyncClient) -> None:
    for path in ("/api", "/apis", "/api/v1", PODS):
        assert (await hub.get(path)).status_code == 401

    def kinds(found: Any) -> list[str]:
        return [each["resource"] for group in found["items"] for version in group["versions"] for each in version["resources"]]

    assert kinds((await hub.get("/api", headers=ANN)).json()) == ["pods", "events"]
    assert kinds((await hub.get("/apis", headers=ANN)).json()) == ["runs"]
    assert {each["name"] for each in (await hub.get("/api/v1", headers=ANN)).json()["resources"]} == {"pods", "events"}
