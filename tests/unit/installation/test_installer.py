"""What an installation and its removal look at before they do anything."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.client.relay_objects import Wanted
from kedge.client.relay_objects import objects as relay_objects
from kedge.errors import Forbidden, StateError
from kedge.installation.installer import Installer
from kedge.installation.removal import Removal
from kedge.kube.clock import SystemClock
from kedge.kube.core import CONFIG_MAP
from kedge.manifests import hub
from kedge.manifests.options import Options
from kedge.pipelines.kinds import RUN

OPTIONS = Options("ml", "kedge:1", "s3://bucket/ml", "1.0")


class _Server:
    """Has installations' Deployments and a relay, and nothing else; lets everybody do everything, or nothing more than look."""

    def __init__(self, *installed: Options, allowed: bool = True, relay: str = "") -> None:
        wanted = Wanted("theirs", relay, "python:3", "secret")
        self._relays = [obj for kind, obj in relay_objects(wanted) if kind is CONFIG_MAP and relay]
        self._deployments = {one.namespace: hub.deployment(one) for one in installed}
        self._allowed = allowed
        self.written: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("selfsubjectaccessreviews"):
            return httpx.Response(201, json={"status": {"allowed": self._allowed}})
        if request.method != "GET":
            self.written.append(f"{request.method} {path}")
            return httpx.Response(200, json={})
        if path.endswith("/deployments/kedge"):
            found = self._deployments.get(path.split("/")[-3])
            return httpx.Response(200 if found else 404, json=found or {})
        items: list[Any] = []
        if path == "/apis/apps/v1/deployments":
            items = [*self._deployments.values()]
        elif path.endswith("/configmaps"):
            items = [
                one for one in self._relays if path in {"/api/v1/configmaps", f"/api/v1/namespaces/{_where(one)}/configmaps"}
            ]
        selector = request.url.params.get("labelSelector", "")
        return httpx.Response(200, json={"metadata": {}, "items": [one for one in items if _fits(one, selector)]})


def _where(obj: Any) -> str:
    return obj["metadata"]["namespace"]


def _fits(obj: Any, selector: str) -> bool:
    labels = obj["metadata"]["labels"]
    terms = [term.partition("=") for term in selector.split(",") if term]
    return all(key in labels and (not equals or labels[key] == value) for key, equals, value in terms)


def _client(server: Callable[[httpx.Request], httpx.Response]) -> HttpClient:
    return HttpClient(Access("http://host"), transport=httpx.MockTransport(server))


async def test_the_history_is_not_left_behind_by_the_name_of_another_database() -> None:
    server = _Server(OPTIONS)
    async with _client(server) as client:
        installer = Installer(client, (RUN,), clock=SystemClock(), say=lambda _: None, seconds=1)
        with pytest.raises(StateError, match="--database-secret: an installation does not move the history"):
            await installer.install(OPTIONS.changed(database_secret="db"))
    assert server.written == []


async def test_another_version_is_not_put_over_an_installation() -> None:
    server = _Server(OPTIONS)
    async with _client(server) as client:
        installer = Installer(client, (RUN,), clock=SystemClock(), say=lambda _: None, seconds=1)
        with pytest.raises(StateError, match=r"namespace ml has Kedge 1\.0, and this is 2\.0\. Run kedge upgrade"):
            await installer.install(OPTIONS.changed(version="2.0"))
    assert server.written == []


@pytest.mark.parametrize("watched", [(), ("other", "ml"), ("*",)], ids=["its own", "some", "all"])
async def test_where_a_laptops_hub_works_nothing_is_installed_or_upgraded(watched: tuple[str, ...]) -> None:
    server, options = _Server(OPTIONS, relay="ml"), OPTIONS.changed(namespaces=watched)
    async with _client(server) as client:
        installer = Installer(client, (RUN,), clock=SystemClock(), say=lambda _: None, seconds=1)
        told = r"another hub's relay, theirs, is in namespace ml: .*`kedge down` where that hub was started.*relay=theirs"
        with pytest.raises(StateError, match=told):
            await installer.install(options)
        with pytest.raises(StateError, match=told):
            await installer.upgrade("ml", "2.0", {"namespaces": watched})
    assert server.written == []


@pytest.mark.parametrize("delete_data", [False, True], ids=["data stays", "data goes"])
async def test_who_may_not_uninstall_is_told_of_every_right_that_it_takes(*, delete_data: bool) -> None:
    server = _Server(OPTIONS.changed(namespaces=("*",)), allowed=False)
    async with _client(server) as client:
        removal = Removal(client, (RUN,), clock=SystemClock(), say=lambda _: None, seconds=1)
        with pytest.raises(Forbidden) as refused:
            await removal.uninstall("ml", delete_data=delete_data)
    said = str(refused.value)
    for right in (
        "list pods in namespace ml",
        "list persistentvolumeclaims in namespace ml",
        "delete configmaps in the cluster",
        "delete clusterroles.rbac.authorization.k8s.io in the cluster",
        "list clusterrolebindings.rbac.authorization.k8s.io in the cluster",
    ):
        assert right in said
    for right in (
        "patch runs.kedge.dev in the cluster",
        "delete pods in the cluster",
        "delete persistentvolumeclaims in namespace",
    ):
        assert (right in said) == delete_data
    assert server.written == []


async def test_a_kind_stays_defined_while_another_hub_is_in_the_cluster() -> None:
    server, said = _Server(Options("other", "kedge:1", "s3://bucket/ml", "1.0")), list[str]()
    async with _client(server) as client:
        removal = Removal(client, (RUN,), clock=SystemClock(), say=said.append, seconds=1)
        await removal.uninstall("ml", delete_data=True)
    assert len(said) == 1
    assert said[0].startswith("CustomResourceDefinition runs.kedge.dev kept: ")
    assert said[0].endswith(" other/kedge needs it")
    assert server.written == []
