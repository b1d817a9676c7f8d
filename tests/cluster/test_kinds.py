"""Runs on a cluster keep the rules that the embedded host checks: the API server reads them in the kind's definition."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from access import Cluster

from kedge.client import definitions
from kedge.client.http import HttpClient
from kedge.client.kubeconfig import load
from kedge.errors import StateError
from kedge.kube.crds import CRD, crd
from kedge.kube.kinds import Kind, Obj
from kedge.pipelines.kinds import RUN

PIPELINE = {"pipelineInfo": {"name": "p"}, "root": {"dag": {"tasks": {}}}, "schemaVersion": "2.1.0", "sdkVersion": "kfp-2"}


@pytest.fixture
def runs(cluster: Cluster, namespace: str) -> "Runs":
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", said=json.dumps(crd(RUN)))
    cluster.kubectl("wait", "--for=condition=Established", "crd/runs.kedge.dev", "--timeout=60s")
    return Runs(cluster, namespace)


class Runs:
    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self._here = ("--namespace", namespace)

    def create(self, name: str, **spec: Any) -> None:
        obj = {"apiVersion": RUN.api_version, "kind": "Run", "metadata": {"name": name}, "spec": spec}
        self.cluster.kubectl("create", *self._here, "-f", "-", said=json.dumps(obj))

    def change(self, name: str, part: str = "", **patch: Any) -> None:
        subresource = ["--subresource", part] if part else []
        self.cluster.kubectl("patch", *self._here, "run", name, *subresource, "--type", "merge", "-p", json.dumps(patch))

    def listed(self, *options: str) -> str:
        return self.cluster.kubectl("get", *self._here, "runs", *options)


def test_a_run_names_one_pipeline(runs: Runs) -> None:
    for spec in ({}, {"pipelineSpec": PIPELINE, "pipelineDigest": "sha256:0"}):
        with pytest.raises(
            RuntimeError, match="give it a pipelineSpec, or the pipelineDigest of a pipeline that is stored, and not"
        ):
            runs.create("neither", **spec)


@pytest.mark.parametrize(
    "changed",
    [
        {"pipelineSpec": {**PIPELINE, "sdkVersion": "kfp-3"}},
        {"parameters": {"x": 2}},
        {"parameters": None},
        {"cache": False},
        {"serviceAccountName": "other"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_a_run_does_is_not_changed(runs: Runs, changed: dict[str, Any]) -> None:
    runs.create("mine", pipelineSpec=PIPELINE, parameters={"x": 1})
    with pytest.raises(RuntimeError, match="may not be changed once the run exists"):
        runs.change("mine", spec=changed)
    runs.change("mine", spec={"description": "texts may"})


def test_a_termination_is_not_taken_back_while_the_run_ends(runs: Runs) -> None:
    runs.create("mine", pipelineSpec=PIPELINE)
    runs.change("mine", spec={"terminate": True})
    with pytest.raises(RuntimeError, match="may not be taken back: the run is ending"):
        runs.change("mine", spec={"terminate": None})
    runs.change("mine", "status", status={"state": "CANCELED"})
    runs.change("mine", spec={"terminate": None})


def test_runs_are_listed_with_their_state_and_found_by_it(runs: Runs) -> None:
    runs.create("good", pipelineSpec=PIPELINE)
    runs.create("bad", pipelineSpec=PIPELINE)
    runs.change("bad", "status", status={"state": "FAILED", "progress": "1/2", "message": "no such column", "pipeline": "p"})
    assert runs.listed("--no-headers", "--field-selector", "status.state=FAILED").split()[:3] == ["bad", "FAILED", "1/2"]
    assert "no such column" in runs.listed("-o", "wide")


@pytest.fixture
def rivals(cluster: Cluster) -> Iterator[tuple[Obj, Obj]]:
    """Definitions of two kinds of one name."""
    group = f"x{secrets.token_hex(4)}.kedge.test"
    kinds = [
        Kind("Thing", plural, group=group, version="v1", subresources=(), schema=RUN.schema) for plural in ("firsts", "seconds")
    ]
    first, second = (crd(kind) for kind in kinds)
    yield first, second
    names = [f"customresourcedefinition/{each['metadata']['name']}" for each in (first, second)]
    cluster.kubectl("delete", *names, "--ignore-not-found", "--wait=false")


async def test_a_kind_whose_name_another_one_has_is_told_of_at_once(cluster: Cluster, rivals: tuple[Obj, Obj]) -> None:
    async with HttpClient(load(cluster.kubeconfig, context=cluster.context or None)) as client:
        first, second = [await client.create(CRD, each) for each in rivals]
        await definitions.established(client, first)
        with pytest.raises(
            StateError, match=r"seconds\.x.*: the cluster does not serve it: .*already in use.* delete it if nobody"
        ):
            await definitions.established(client, second)


async def test_a_kind_that_is_not_served_in_time_is_told_of_in_the_clusters_words(
    cluster: Cluster, rivals: tuple[Obj, Obj], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(definitions, "_SECONDS", 0.0)
    async with HttpClient(load(cluster.kubeconfig, context=cluster.context or None)) as client:
        made = await client.create(CRD, rivals[0])
        with pytest.raises(StateError, match=r"firsts\.x.*: the cluster does not serve it after 0 s: .*describe"):
            await definitions.established(client, made)
