"""Kinds that users define: on both hosts, good and bad objects get kube-apiserver's verdict, path, reason and words."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import custom_requests
import httpx
import kubeconfigs
import pytest
from custom_cases import GROUP, Obj
from custom_definitions import BAD
from custom_requests import ANSWERS, Asker
from hosts import HOSTS

from kedge.testing.host import running_host

WANTED: Obj = json.loads(ANSWERS.read_text(encoding="utf-8"))
_UNCHECKED = "some validation rules were not checked because the object was invalid"


@pytest.fixture(scope="module", params=HOSTS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[httpx.Client, bool]]:
    """A client for an API server, and whether that is Kubernetes'."""
    if request.param == "cluster":
        with kubeconfigs.client(request.getfixturevalue("cluster").kubeconfig) as client:
            yield client, True
        return
    with running_host() as kedge, kubeconfigs.client(Path(kedge.host.kubeconfig)) as client:
        yield client, False


@pytest.fixture(scope="module")
def found(server: tuple[httpx.Client, bool]) -> Obj:
    """What this server says to everything."""
    return custom_requests.answers(server[0])


def causes(answer: Obj) -> set[tuple[str, str, str]]:
    """Reason, path and words of each fault; of metadata without the words, which are the host's own."""
    told = answer.get("details", {}).get("causes") or []
    named = any(each["field"] == "metadata.name" for each in told)
    return {
        (each["reason"], each["field"], "" if each["field"].startswith("metadata") else each["message"])
        for each in told
        if not (named and _UNCHECKED in each["message"])
    }


def compared(answer: Obj) -> Obj:
    """What two servers have to have in common."""
    body: Any = answer.get("body")
    if isinstance(body, dict) and body.get("kind") == "Table":
        first, *others = body["columnDefinitions"]
        # The last cell is the age, which goes on.
        rows = [row["cells"][:-1] for row in body["rows"]]
        body = {**body, "columnDefinitions": [{**first, "description": ""}, *others], "rows": rows}
    warnings = sorted(answer.get("warnings", ())) if answer["code"] < 400 else []
    return {"code": answer["code"], "causes": causes(answer), "body": body, "warnings": warnings}


@pytest.mark.parametrize("case", WANTED["objects"])
def test_an_object_gets_the_verdict_of_kube_apiserver(found: Obj, case: str) -> None:
    assert list(map(compared, found["objects"][case])) == list(map(compared, WANTED["objects"][case]))


@pytest.mark.parametrize("case", WANTED["ratcheting"])
def test_what_is_older_than_a_rule_gets_the_verdict_of_kube_apiserver(found: Obj, case: str) -> None:
    (here,), (there,) = found["ratcheting"][case], WANTED["ratcheting"][case]
    assert (here["code"], causes(here)) == (there["code"], causes(there))
    if "body" in there:
        assert here["body"]["spec"] == there["body"]["spec"]


@pytest.mark.parametrize("case", BAD)
def test_a_definition_gets_the_verdict_of_kube_apiserver(found: Obj, server: tuple[httpx.Client, bool], case: str) -> None:
    here, there = found["definitions"][case], WANTED["definitions"][case]
    assert compared(here) == compared(there)


def test_a_definition_is_discovered_explained_and_gone_with_its_objects(server: tuple[httpx.Client, bool]) -> None:
    client, _ = server
    with custom_requests.namespace(client) as space:
        asker = Asker(client, space)
        asker.definition(custom_requests.custom_cases.trials())
        (listed,) = [each for each in client.get(f"/apis/{GROUP}/v1").json()["resources"] if each["name"] == "trials"]
        assert (listed["shortNames"], listed["categories"]) == (["tri"], ["all", "lab"])
        asker.until(f"/openapi/v3/apis/{GROUP}/v1", lambda answer: "minReplicas" in answer.text)
        (answer,) = asker.case("one", [custom_requests.custom_cases.create()])
        assert answer["code"] == 201
        asker.remove(f"trials.{GROUP}")
        asker.until(f"/apis/{GROUP}/v1/trials", lambda answer: answer.status_code == 404)
        asker.definition(custom_requests.custom_cases.trials())
        assert client.get(f"/apis/{GROUP}/v1/namespaces/{space}/trials").json()["items"] == []
        asker.remove(f"trials.{GROUP}")


def test_metadata_that_does_not_fit_its_types_is_told_as_by_kube_apiserver(server: tuple[httpx.Client, bool]) -> None:
    told = {
        json.dumps({"name": "x", "labels": {"a": 1}}): "number into Go struct field ObjectMeta.labels of type string",
        json.dumps({"name": "x", "generation": 1.5}): "number 1.5 into Go struct field ObjectMeta.generation of type int64",
        json.dumps([]): "array into Go value of type v1.ObjectMeta",
        json.dumps({"name": "x", "creationTimestamp": "x"}): 'cannot parse "x" as "2006"',
    }
    with custom_requests.namespace(server[0]) as space:
        asker = Asker(server[0], space)
        asker.definition(custom_requests.custom_cases.trials())
        body = {"apiVersion": f"{GROUP}/v1", "kind": "Trial"}
        steps: list[Obj] = [{"method": "POST", "path": "trials", "body": {**body, "metadata": json.loads(each)}} for each in told]
        steps += [
            {"method": "POST", "path": "trials", "body": []},
            {"method": "POST", "path": "trials", "body": {**body, "kind": 5}},
        ]
        *answers, listed, numbered = asker.case("x", steps)
        asker.remove(f"trials.{GROUP}")
    head = 'Trial in version "v1" cannot be handled as a Trial: '
    assert all(
        each["message"].startswith(head) and each["message"].endswith(end)
        for each, end in zip(answers, told.values(), strict=True)
    )
    assert listed["message"].startswith(
        "the object provided is unrecognized (must be of type Trial): couldn't get version/kind; "
    )
    assert "number into Go struct field .kind of type string (" in numbered["message"]


def test_a_namespace_takes_objects_of_users_kinds_along(server: tuple[httpx.Client, bool]) -> None:
    client, _ = server
    with custom_requests.namespace(client) as space:
        asker = Asker(client, space)
        asker.definition(custom_requests.custom_cases.trials())
        (answer,) = asker.case("one", [custom_requests.custom_cases.create()])
        assert answer["code"] == 201
    asker.until(f"/api/v1/namespaces/{space}", lambda answer: answer.status_code == 404)
    assert client.get(f"/apis/{GROUP}/v1/trials").json()["items"] == []
    asker.remove(f"trials.{GROUP}")


def test_a_deprecated_version_warns(server: tuple[httpx.Client, bool]) -> None:
    client, _ = server
    older = {
        "v1alpha1": {"deprecated": True},
        "v1beta1": {"deprecated": True, "deprecationWarning": "of old"},
        "v2": {"deprecated": True},
    }
    with custom_requests.namespace(client) as space:
        asker = Asker(client, space)
        wanted = custom_requests.custom_cases.definition("fading", "Fading", custom_requests.custom_cases.LOOSE)
        (version,) = wanted["spec"]["versions"]
        wanted["spec"]["versions"] += [{**version, "name": name, "storage": False, **more} for name, more in older.items()]
        asker.definition(wanted)
        told = {name: client.get(f"/apis/{GROUP}/{name}/fading").headers.get("warning") for name in ("v1", *older)}
        asker.remove(f"fading.{GROUP}")
    assert told == {
        "v1": None,
        "v1alpha1": f'299 - "{GROUP}/v1alpha1 Fading is deprecated; use {GROUP}/v1 Fading"',
        "v1beta1": '299 - "of old"',
        "v2": f'299 - "{GROUP}/v2 Fading is deprecated"',
    }
