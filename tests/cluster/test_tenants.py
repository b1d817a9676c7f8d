"""Namespaces as tenants on a real cluster: its own tokens, its own RBAC with Kubeflow's roles, and unmodified clients."""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from access import Cluster
from environments import client_environment
from hosts import Hubs
from s3 import BUCKET
from tenant_table import EDIT, VIEW, Things, in_order, roles, table

from kedge.client.kubeconfig import load, write
from kedge.kube.crds import crd
from kedge.manifests import rights
from kedge.pipelines.client import Client
from kedge.pipelines.compiler import compile_file
from kedge.pipelines.kinds import RUN
from kedge.testing.cluster import running_hub

AUDIENCE = "pipelines.kubeflow.org"
SECRET = "only the proxy knows"
SOURCE = """
from kedge import dsl
from kedge.dsl import Dataset, Output

@dsl.component
def write(n: int, out: Output[Dataset]):
    print("written here")
    with open(out.path, "w") as file:
        file.write("x" * n)

@dsl.pipeline(name="train")
def pipeline(n: int = 7):
    write(n=n)
"""
ANN = {"kubeflow-userid": "ann@example.com", "x-kedge-proxy-secret": SECRET}
TEAM = {"kubeflow-userid": "bea@example.com", "kubeflow-groups": "others,readers", "x-kedge-proxy-secret": SECRET}
Json = dict[str, Any]


@dataclass
class Tenants:
    """A hub for two namespaces, whose callers have tokens of theirs.

    Attributes:
        cluster: The cluster.
        address: The hub's.
        a: A namespace.
        b: Another.
        root: Below which artifacts lie.
        pipeline: What runs.
    """

    cluster: Cluster
    address: str
    a: str
    b: str
    root: str
    pipeline: Json

    def token(self, account: str, namespace: str, *more: str, audience: str = AUDIENCE) -> str:
        return self.cluster.kubectl("create", "token", account, "--namespace", namespace, "--audience", audience, *more).strip()

    def headers(self, account: str, namespace: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(account, namespace)}"}

    def ask(self, who: dict[str, str], method: str, path: str, **more: Any) -> httpx.Response:
        whole = path if path.startswith("/apis/") else f"/apis/v2beta1{path}"
        return httpx.request(method, self.address + whole, headers=who, timeout=60, **more)

    def done(self, who: dict[str, str], method: str, path: str, **more: Any) -> Json:
        found = self.ask(who, method, path, **more)
        assert found.status_code == 200, found.text
        return found.json()

    def run(self, who: dict[str, str], **body: Any) -> Json:
        """A run that is over."""
        run = self.done(who, "POST", "/runs", json={"pipeline_spec": self.pipeline, **body})["run_id"]
        with contextlib.closing(Client(self.address, who["Authorization"].removeprefix("Bearer "))) as client:
            client.wait(run)
        return self.done(who, "GET", f"/runs/{run}")

    def things(self, who: dict[str, str], namespace: str) -> Things:
        here = {"namespace": namespace}
        run = self.run(who, **here)
        assert run["state"] == "SUCCEEDED", run
        body = {"pipeline": {"name": "train", **here}, "pipeline_version": {"pipeline_spec": self.pipeline}}
        pipeline = self.done(who, "POST", "/pipelines/create", json=body)["pipeline_id"]
        version = self.done(who, "GET", f"/pipelines/{pipeline}/versions")["pipeline_versions"][0]["pipeline_version_id"]
        trigger = {"cron_schedule": {"cron": "0 0 0 1 1 *"}}
        yearly = {"display_name": "yearly", **here, "trigger": trigger, "pipeline_version_reference": {"pipeline_id": pipeline}}
        recurring = self.done(who, "POST", "/recurringruns", json=yearly)["recurring_run_id"]
        artifact = self.done(who, "GET", "/artifacts", params=here)["artifacts"][0]["artifact_id"]
        entry = self.done(who, "GET", "/cache_entries", params=here)["cache_entries"][0]["cache_fingerprint"]
        experiment = self.done(who, "GET", "/experiments", params=here)["experiments"][0]["experiment_id"]
        ids = (run["run_id"], "write", "write", "out", artifact, pipeline, version, experiment, recurring, entry, "train")
        return Things(namespace, *ids)


def bind(role: str, **subject: str) -> Json:
    """A RoleBinding; ``subject`` is its kind and name."""
    ((kind, name),) = subject.items()
    group = {} if kind == "ServiceAccount" else {"apiGroup": "rbac.authorization.k8s.io"}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{role}-{name.partition('@')[0]}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": kind, "name": name, **group}],
    }


def account(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


def hub_rights(namespace: str) -> list[Json]:
    """What an installed hub may do in a namespace: no more than its Role."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "kedge"}, "rules": [*rights.RUNS]}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "kedge"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "kedge"},
        "subjects": [{"kind": "ServiceAccount", "name": "kedge", "namespace": namespace}],
    }
    return [role, binding]


@pytest.fixture(scope="module")
def tenants(cluster: Cluster, hubs: Hubs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """The hub runs under a service account that has the rights of an installed one, in its namespaces alone."""
    folder = tmp_path_factory.mktemp("tenants")
    (folder / "pipeline.py").write_text(SOURCE)
    document = compile_file(folder / "pipeline.py")
    with cluster.namespace() as own, cluster.namespace() as a, cluster.namespace() as b:
        named = {name: f"{name}-{own}" for name in (VIEW, EDIT)}  # they are the cluster's: another test may have its own
        cluster.apply(*({**role, "metadata": {"name": named[role["metadata"]["name"]]}} for role in roles()))
        try:
            _people(cluster, a, b, named)
            for each in (own, a, b):
                cluster.apply(*hub_rights(own), namespace=each)
            cluster.apply(account("kedge"), namespace=own)
            _define(cluster)
            admin = load(cluster.kubeconfig, context=cluster.context or None)
            token = cluster.kubectl("create", "token", "kedge", "--namespace", own, "--duration", "2h").strip()
            write(folder / "kubeconfig", replace(admin, certificate=None, key=None, token=token, token_file=None))
            root = f"s3://{BUCKET}/{own}"
            environ = {
                "KEDGE_LISTEN": cluster.host,
                "KEDGE_ARTIFACTS": root,
                "KEDGE_STAGER_IMAGE": "python:3.11",
                "KEDGE_CALLERS": "cluster",
                "KEDGE_WATCH_NAMESPACES": f"{a},{b}",
                "KEDGE_TRUSTED_PROXY_SECRET": SECRET,
                **hubs.s3.environ,
            }
            with running_hub(folder / "kubeconfig", environ, namespace=own) as kedge:
                yield Tenants(cluster, kedge.host.http, a, b, root, document.pipeline)
        finally:
            cluster.kubectl("delete", "clusterrole", *named.values())


def _people(cluster: Cluster, a: str, b: str, named: dict[str, str]) -> None:
    for namespace in (a, b):
        cluster.apply(*map(account, ("editor", "viewer", "nobody", "runner")), namespace=namespace)
        cluster.apply(
            bind(named[EDIT], ServiceAccount="editor"),
            bind(named[VIEW], ServiceAccount="viewer"),
            bind(named[VIEW], Group="readers"),
            namespace=namespace,
        )
    cluster.apply(bind(named[EDIT], User="ann@example.com"), namespace=a)


def _define(cluster: Cluster) -> None:
    if "runs.kedge.dev" not in cluster.kubectl("get", "crd", "--output", "name"):
        cluster.apply(crd(RUN))
        cluster.kubectl("wait", "--for=condition=Established", "crd/runs.kedge.dev", "--timeout=60s")


@pytest.fixture(scope="module")
def things(tenants: Tenants) -> Things:
    """What there is in one of the namespaces."""
    return tenants.things(tenants.headers("editor", tenants.a), tenants.a)


def test_roles_and_operations_are_as_the_table_says(tenants: Tenants) -> None:
    editor = tenants.headers("editor", tenants.b)
    things, wrong = tenants.things(editor, tenants.b), list[str]()
    people = {
        "nobody": (tenants.headers("nobody", tenants.b), "no"),
        "an editor of another namespace": (tenants.headers("editor", tenants.a), "no"),
        "another's user": (ANN, "no"),
        "a viewer": (tenants.headers("viewer", tenants.b), "view"),
        "a group of the proxy's": (TEAM, "view"),
        "an editor": (editor, "edit"),
    }
    for row in in_order(table()):
        method, path, more = things.request(row.operation)
        for name, (who, role) in people.items():
            found = tenants.ask(who, method, path, **more)
            allowed = {"no": False, "view": row.view, "edit": row.edit}[role]
            if (found.status_code in {401, 403, 404}) is allowed or found.status_code >= 500:
                wrong.append(f"{name}: {row.operation}: {found.status_code}: {found.text[:300]}")
    assert wrong == []


def test_a_run_is_made_in_its_namespace_under_its_service_account(tenants: Tenants) -> None:
    run = tenants.run(
        tenants.headers("editor", tenants.a), namespace=tenants.a, service_account="runner", display_name="as runner"
    )
    assert run["state"] == "SUCCEEDED", run
    pods = tenants.cluster.get("pods", "--namespace", tenants.a, "--selector", f"kedge.dev/run={run['run_id']}")["items"]
    assert {pod["spec"]["serviceAccountName"] for pod in pods} == {"runner"}
    stored = tenants.done(tenants.headers("viewer", tenants.a), "GET", "/artifacts", params={"run_id": run["run_id"]})
    assert [made["uri"].startswith(f"{tenants.root}/{tenants.a}/train/") for made in stored["artifacts"]] == [True]


def test_a_refusal_names_the_caller_and_what_would_allow_it(tenants: Tenants, things: Things) -> None:
    said = tenants.ask(tenants.headers("viewer", tenants.a), "DELETE", f"/runs/{things.run_id}")
    assert said.status_code == 403
    assert f'User "system:serviceaccount:{tenants.a}:viewer" cannot delete resource "runs"' in said.json()["message"]
    assert f"--role kedge-edit --serviceaccount={tenants.a}:viewer" in said.json()["message"]


def test_a_namespace_that_is_not_served_is_refused(tenants: Tenants) -> None:
    found = tenants.ask(tenants.headers("editor", tenants.a), "GET", "/runs", params={"namespace": "kube-system"})
    assert found.status_code == 403
    assert "'kube-system' is not served by this hub" in found.json()["message"]


@pytest.mark.parametrize(
    "who",
    [
        {},
        {"kubeflow-userid": "ann@example.com"},
        {**ANN, "x-kedge-proxy-secret": "a guess"},
        {**ANN, "kubeflow-userid": "system:admin"},
        {**ANN, "kubeflow-groups": "system:masters"},
        {"Authorization": "Bearer not.a.token"},
    ],
    ids=["nobody", "no secret", "another secret", "a name of the cluster's", "a group of the cluster's", "no token"],
)
def test_whoever_proves_nothing_is_nobody(tenants: Tenants, things: Things, who: dict[str, str]) -> None:
    assert tenants.ask(who, "GET", f"/runs/{things.run_id}").status_code == 401


def test_a_token_for_others_is_refused_and_the_other_header_is_read(tenants: Tenants, things: Things) -> None:
    other = tenants.token("editor", tenants.a, audience="https://kubernetes.default.svc.cluster.local")
    found = tenants.ask({"Authorization": f"Bearer {other}"}, "GET", f"/runs/{things.run_id}")
    assert found.status_code == 401
    assert f"not for {AUDIENCE}" in found.json()["message"]
    assert other not in found.text
    both = {"Authorization": f"Bearer {other}", "X-Kedge-Authorization": f"Bearer {tenants.token('editor', tenants.a)}"}
    assert tenants.ask(both, "GET", f"/runs/{things.run_id}").status_code == 200


def test_a_right_that_is_taken_away_is_gone_within_seconds(tenants: Tenants) -> None:
    who = {**ANN, "kubeflow-userid": "leaving@example.com"}
    (binding,) = [
        each
        for each in tenants.cluster.get("rolebindings", "--namespace", tenants.a)["items"]
        if each["subjects"][0]["name"] == "ann@example.com"
    ]
    mine = bind(binding["roleRef"]["name"], User="leaving@example.com")
    assert tenants.ask(who, "GET", "/runs", params={"namespace": tenants.a}).status_code == 403
    tenants.cluster.apply(mine, namespace=tenants.a)
    assert_soon(tenants, who, 200)
    tenants.cluster.kubectl("delete", "rolebinding", mine["metadata"]["name"], "--namespace", tenants.a)
    assert_soon(tenants, who, 403)


def assert_soon(tenants: Tenants, who: dict[str, str], code: int) -> None:
    deadline = time.monotonic() + 60
    while tenants.ask(who, "GET", "/runs", params={"namespace": tenants.a}).status_code != code:
        assert time.monotonic() < deadline
        time.sleep(0.2)  # noqa: TID251  # an answer is used for some seconds


# ---- grants


def test_an_importer_brings_nothing_of_another_namespace(tenants: Tenants, things: Things) -> None:
    who = tenants.headers("editor", tenants.a)
    (made,) = tenants.done(who, "GET", "/artifacts", params={"run_id": things.run_id})["artifacts"]
    importer = {"artifactUri": {"constant": made["uri"]}, "typeSchema": {"schemaTitle": "system.Dataset"}}
    taken = {
        "pipelineInfo": {"name": "taken"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kedge-test",
        "root": {"dag": {"tasks": {"take": {"componentRef": {"name": "comp-take"}, "taskInfo": {"name": "take"}}}}},
        "components": {
            "comp-take": {
                "executorLabel": "exec-take",
                "outputDefinitions": {"artifacts": {"artifact": {"artifactType": {"schemaTitle": "system.Dataset"}}}},
            }
        },
        "deploymentSpec": {"executors": {"exec-take": {"importer": importer}}},
    }
    other = tenants.headers("editor", tenants.b)
    run = tenants.run(other, namespace=tenants.b, pipeline_spec=taken)
    assert run["state"] == "FAILED"
    assert f"another namespace than '{tenants.b}'" in json.dumps(tenants.done(other, "GET", f"/runs/{run['run_id']}/tasks"))
    assert tenants.run(who, namespace=tenants.a, pipeline_spec=taken)["state"] == "SUCCEEDED"


def test_grants_are_for_the_pods_of_steps_alone(tenants: Tenants) -> None:
    def begin(token: str) -> httpx.Response:
        body = {"protocol": 1}
        return tenants.ask({"Authorization": f"Bearer {token}"}, "POST", "/apis/kedge.dev/v1/staging/begin", json=body)

    assert "bound to no Pod" in begin(tenants.token("editor", tenants.a, audience="kedge")).json()["message"]
    assert begin(tenants.token("editor", tenants.a)).status_code == 401
    stranger = {"containers": [{"name": "main", "image": "python:3.11", "command": ["sleep", "60"]}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stranger"}, "spec": stranger}
    tenants.cluster.apply({**pod, "spec": {**stranger, "serviceAccountName": "editor"}}, namespace=tenants.a)
    bound = ("--bound-object-kind", "Pod", "--bound-object-name", "stranger")
    found = begin(tenants.token("editor", tenants.a, *bound, audience="kedge"))
    assert found.status_code == 409, found.text
    tenants.cluster.kubectl("delete", "pod", "stranger", "--namespace", tenants.a, "--now")


# ---- clients

CLIENT = """
import sys, warnings

warnings.simplefilter("ignore")
import kfp
from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials
from kfp_server_api.exceptions import ApiException

address, token_file, package, mine, other = sys.argv[1:]
client = kfp.Client(host=address, credentials=ServiceAccountTokenVolumeCredentials(path=token_file))
client.set_user_namespace(mine)
experiment = client.create_experiment("trials", namespace=mine)
assert experiment.namespace == mine, experiment
started = client.run_pipeline(experiment.experiment_id, "first", package, params={"n": 3}, enable_caching=False)
ended = client.wait_for_run_completion(started.run_id, timeout=90, sleep_duration=1)
assert ended.state == "SUCCEEDED", ended
assert started.run_id in [run.run_id for run in client.list_runs(namespace=mine).runs]
stored = client.upload_pipeline(package, pipeline_name="by kfp", namespace=mine)
assert "by kfp" in [one.display_name for one in client.list_pipelines(namespace=mine).pipelines]

def refused(call, **given):
    try:
        call(**given)
    except ApiException as error:
        return error.status
    raise AssertionError("it was not refused")

assert refused(client.list_runs, namespace=other) == 403
assert refused(client.list_pipelines, namespace=other) == 403
assert refused(client.create_experiment, name="trials", namespace=other) == 403
assert refused(client.upload_pipeline, pipeline_package_path=package, pipeline_name="x", namespace=other) == 403
print("done")
"""


def test_kfp_s_own_client_works_in_its_namespace_alone(tenants: Tenants, tmp_path: Path) -> None:
    python = client_environment("kfp-2.17.0", ["kfp==2.17.0"])
    token, package, script = tmp_path / "token", tmp_path / "train.yaml", tmp_path / "client.py"
    token.write_text(tenants.token("editor", tenants.a))
    package.write_text(json.dumps(tenants.pipeline))
    script.write_text(CLIENT)
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    arguments = (tenants.address, str(token), str(package), tenants.a, tenants.b)
    done = subprocess.run([python, script, *arguments], env=environ, capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout.endswith("done\n"), done.stderr
