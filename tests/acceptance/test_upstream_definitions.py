"""Kubeflow's own definitions apply, and a hundred good and bad objects get the same verdict and field on both hosts.

The answers are those of Kubernetes' own package for custom resources (apiextensions-apiserver 1.36.3).
"""

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import kubeconfigs
import pytest
import upstream_cases
from hosts import HOSTS
from upstream_cases import Obj

from kedge.testing.host import running_host

ANSWERS: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("upstream_answers.json").read_text())
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SECONDS = 60


@pytest.fixture(scope="module")
def definitions() -> dict[str, Obj]:
    """By name."""
    return {each["metadata"]["name"]: each for each in upstream_cases.definitions()}


@pytest.fixture(scope="module", params=HOSTS)
def server(request: pytest.FixtureRequest, definitions: dict[str, Obj]) -> Iterator[httpx.Client]:
    """An API server that has the definitions."""
    if request.param == "cluster":
        cluster = request.getfixturevalue("cluster")
        with kubeconfigs.client(cluster.kubeconfig, cluster.context) as client:
            yield from _defined(client, definitions)
        return
    with running_host() as kedge, kubeconfigs.client(kedge.home / "kubeconfig") as client:
        yield from _defined(client, definitions)


def _defined(client: httpx.Client, definitions: dict[str, Obj]) -> Iterator[httpx.Client]:
    made = list[str]()
    try:
        for name, definition in definitions.items():
            answer = client.post(DEFINITIONS, json=definition)
            assert answer.status_code in {201, 409}, answer.text
            made += [name] if answer.status_code == 201 else []
        deadline = time.monotonic() + SECONDS
        for name in definitions:
            while not _established(client.get(f"{DEFINITIONS}/{name}").json()):
                assert time.monotonic() < deadline, f"{name} is not served"
        yield client
    finally:
        for name in made:
            client.delete(f"{DEFINITIONS}/{name}")


def _established(definition: Obj) -> bool:
    conditions = {each["type"]: each["status"] for each in definition["status"].get("conditions") or ()}
    return conditions.get("Established") == conditions.get("NamesAccepted") == "True"


@pytest.mark.parametrize("name", ANSWERS)
def test_objects_of_kubeflows_kinds_get_the_verdict_of_kubernetes(
    server: httpx.Client, definitions: dict[str, Obj], name: str
) -> None:
    definition = definitions[name]
    spec, version = definition["spec"], upstream_cases.version_of(definition)
    space = "/namespaces/default" if spec["scope"] == "Namespaced" else ""
    path = f"/apis/{spec['group']}/{version['name']}{space}/{spec['names']['plural']}"
    found: dict[str, Any] = {}
    for case, obj in upstream_cases.objects(definition):
        body = {**obj, "metadata": {"name": f"x{secrets.token_hex(4)}"}}
        answer = server.post(path, params={"dryRun": "All"}, content=json.dumps(body, default=str))
        deadline = time.monotonic() + SECONDS
        while answer.status_code == 404 and time.monotonic() < deadline:  # a cluster serves a kind a moment later
            answer = server.post(path, params={"dryRun": "All"}, content=json.dumps(body, default=str))
        found[case] = _told(answer)
    assert found == ANSWERS[name]


def _told(answer: httpx.Response) -> list[str]:
    """Reason and field of each fault; without that rules were left out, and what a path of a subresource leads to."""
    if answer.status_code == 201:
        return []
    assert answer.status_code == 422, answer.text
    causes: list[Obj] = answer.json()["details"]["causes"]
    told = {f"{each['reason']} {each['field']}" for each in causes if each["field"] != "<nil>" and each["field"][0] != "."}
    return sorted(told)


def test_there_are_a_hundred_objects() -> None:
    verdicts = [answer for answers in ANSWERS.values() for answer in answers.values()]
    assert len(verdicts) >= 100
    assert 20 <= sum(not each for each in verdicts) <= 80
