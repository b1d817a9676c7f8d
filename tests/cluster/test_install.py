"""``kedge install``, ``upgrade`` and ``uninstall`` on a real cluster, in namespaces that enforce the restricted standard."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest
from access import Cluster
from deployed_s3 import DeployedS3
from installed import RESTRICTED, Home, home, left, volume
from sized import document

from kedge.client import kubeconfig as kubeconfigs
from kedge.client.http import tls
from kedge.installation.reaching import find
from kedge.pipelines.client import Client
from kedge.server.callers import AUTHORIZATION, NAMESPACE
from kedge.server.cluster_callers import AUDIENCE

NOTEBOOK = """
import asyncio, sys
import kedge

async def cell():  # a notebook's loop runs already
    run = kedge.run(sys.argv[1])
    print(run.state, run.outputs["Output"])

asyncio.run(cell())
"""


@pytest.fixture
def place(cluster: Cluster, s3: DeployedS3, tmp_path: Path) -> Iterator[Home]:
    with home(cluster, s3, tmp_path) as found:
        yield found


def who_has_but_two_roles_may_use_it(place: Home) -> None:
    """Somebody who may do nothing else in the cluster."""
    place.kubectl("create", "serviceaccount", "ann")
    access = kubeconfigs.load(place.kubeconfig)
    token = place.kubectl("create", "token", "ann").strip()
    own = place.folder / "ann"
    kubeconfigs.write(own, kubeconfigs.Access(access.server, access.ca, token, namespace=place.name), name="ann")
    assert "its namespace has none" in place.kedge("runs", "list", "--context", "ann", fails=True, kubeconfig=own)
    for role in ("kedge-user", "kedge-proxy"):
        place.kubectl("create", "rolebinding", f"ann-{role}", "--role", role, "--serviceaccount", f"{place.name}:ann")
    assert "first" in place.kedge("runs", "list", "--context", "ann", kubeconfig=own)
    assert "these rights are missing" in place.kedge("uninstall", "--context", "ann", fails=True, kubeconfig=own)
    place.kubectl("delete", "serviceaccount/ann", "rolebinding/ann-kedge-user", "rolebinding/ann-kedge-proxy")


def test_what_a_dry_run_writes_is_taken_by_the_cluster(place: Home) -> None:
    said = place.kedge("install", "--dry-run", "--image", "example.test/kedge:1", "--namespace", place.name, *place.options)
    given = ("--filename", "-")
    taken = place.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", *given, said=said)
    assert "deployment.apps/kedge serverside-applied" in taken


def test_it_is_installed_used_and_uninstalled(place: Home) -> None:
    with volume(place) as options:
        assert f"Kedge 0.1.0 runs in namespace {place.name}" in place.install(*options)
        again = place.install()
        assert "created" not in again
        assert "changed" not in again
        with place.client() as client:
            run = client.run(document(place.folder), name="first")
            ended = client.wait(run["run_id"])
            assert ended["state"] == "SUCCEEDED", str(ended["error"]) + place.said()
        place.kedge("run", str(place.folder / "pipeline.py"), "--context", "tests")
        assert "installed" in place.kedge("status", "--context", "tests")
        said = place.kedge("up", "--kubeconfig", str(place.kubeconfig), "--detach", fails=True)
        assert f"namespace {place.name} is served by the Kedge that is installed in namespace {place.name}" in said
        assert "ok" in place.kubectl("get", "--raw", f"/api/v1/namespaces/{place.name}/services/ml-pipeline:http/proxy/healthz")
        assert "first" in place.kedge("runs", "list", "--context", "tests")
        assert "size" in place.kedge("runs", "show", "first", "--context", "tests")

        notebook = place.folder / "notebook.py"
        notebook.write_text(NOTEBOOK)
        assert "SUCCEEDED 7" in place.python(str(notebook), str(place.folder / "pipeline.py"), context="tests")
        who_has_but_two_roles_may_use_it(place)
        said = place.kedge("uninstall")
        assert "Kept: the Runs, the claim kedge-data, the kinds' definitions" in said
        kinds = {name.partition("/")[0] for name in left(place)}
        assert kinds == {"run.kedge.dev", "pod", "configmap", "persistentvolumeclaim"}  # the run, what it owns, and the history
        place.install(*options)
        with place.client() as client:
            assert client.get("first")["state"] == "SUCCEEDED"
        place.kedge("uninstall", "--delete-data", "--yes")
        assert left(place) == set()


def test_a_hub_serves_the_namespaces_that_it_is_given_and_is_taken_out_of_them(place: Home) -> None:
    with place.cluster.namespace(RESTRICTED) as other, volume(place) as options:
        place.install("--namespaces", other, *options)
        access = replace(kubeconfigs.load(place.kubeconfig), namespace=other)
        client = find(access)
        assert client is not None
        with client:
            ended = client.wait(client.run(document(place.folder))["run_id"])
            assert ended["state"] == "SUCCEEDED", str(ended["error"]) + place.said()
            assert place.cluster.get("runs.kedge.dev", "--namespace", other)["items"]
        assert find(kubeconfigs.load(place.kubeconfig)) is None  # its own namespace is none of them
        said = place.install("--namespaces", place.name)
        assert f"Role {other}/kedge-runs deleted" in said
        assert f"ServiceAccount {place.name}/kedge-user created" in said
        place.kedge("uninstall", "--delete-data", "--yes")
        assert left(place) == set()


@contextmanager
def launchers_kept(cluster: Cluster) -> Generator[None]:
    """Hubs of other tests, idle meanwhile, have theirs afterwards too: an uninstallation takes those of all its namespaces."""
    mine = ("--all-namespaces", "--selector", "app.kubernetes.io/managed-by=kedge,!kedge.dev/relay")
    kept = [obj for obj in cluster.get("configmaps", *mine)["items"] if not obj["metadata"].get("ownerReferences")]
    yield
    for obj in kept:
        meta = {name: obj["metadata"][name] for name in ("name", "namespace", "labels")}
        with suppress(RuntimeError):  # its namespace is gone
            cluster.apply({**obj, "metadata": meta})


def test_a_hub_of_all_namespaces_serves_people_in_theirs_and_leaves_nothing_of_the_whole_cluster(place: Home) -> None:
    if not place.cluster.is_here:
        pytest.skip("the hub would take up the Runs of a cluster that others use too")
    cluster, labels = place.cluster, ("--selector", f"kedge.dev/installed={place.name}")
    with launchers_kept(cluster), cluster.namespace(RESTRICTED) as team, volume(place) as options:
        place.install("--all-namespaces", *options)
        ann = f"--serviceaccount={team}:ann"
        cluster.kubectl("create", "serviceaccount", "ann", "--namespace", team)
        cluster.kubectl("create", "rolebinding", "ann", "--namespace", team, "--clusterrole=kedge-edit", ann)
        place.kubectl("create", "rolebinding", "ann", "--role=kedge-proxy", ann)
        access = kubeconfigs.load(place.kubeconfig)
        token = partial(cluster.kubectl, "create", "token", "ann", "--namespace", team)
        given = {"Authorization": f"Bearer {token().strip()}", AUTHORIZATION: f"Bearer {token(f'--audience={AUDIENCE}').strip()}"}
        address = f"{access.server}/api/v1/namespaces/{place.name}/services/http:kedge:http/proxy"
        with httpx.Client(base_url=address, headers=given | {NAMESPACE: team}, verify=tls(access), timeout=60) as http:
            client = Client(address, http=http)
            run = client.run(document(place.folder))["run_id"]
            assert client.wait(run)["state"] == "SUCCEEDED", str(client.get(run)["error"]) + place.said()
            assert cluster.get("runs.kedge.dev", "--namespace", team)["items"][0]["metadata"]["uid"] == run
            refused = http.get("/apis/v2beta1/runs", params={"namespace": place.name})
            assert refused.status_code == 403, refused.text
        there = cluster.kubectl("get", "clusterroles,clusterrolebindings", "--output=name", *labels).split()
        assert len(there) == 4
        place.kubectl("delete", "rolebinding", "ann")
        said = place.kedge("uninstall")
        assert f"ClusterRole kedge-{place.name}-runs deleted" in said
        assert cluster.kubectl("get", "clusterroles,clusterrolebindings", "--output=name", *labels) == ""
        assert cluster.kubectl("get", "roles,rolebindings,serviceaccounts", "--namespace", team, "--output=name", *labels) == ""
        assert left(place) == {"persistentvolumeclaim/kedge-data"}
