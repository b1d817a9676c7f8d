"""Both hosts say the same to the same objects: defaults, verdicts, fields and sentences are those of a real API server."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import kubeconfigs
import pytest
import rules_requests
from hosts import HOSTS
from rules_cases import CASES, CORE, Obj
from types_cases import CHANGES, FORMS

from kedge.testing.host import running_host

KNOWN: dict[str, dict[str, Obj]] = json.loads(rules_requests.ANSWERS.read_text())


@pytest.fixture(scope="module", params=HOSTS)
def server(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """The API server of either host, for its owner."""
    if request.param == "cluster":
        cluster = request.getfixturevalue("cluster")
        with kubeconfigs.client(cluster.kubeconfig, cluster.context) as client:
            yield client
        return
    with running_host() as kedge, kubeconfigs.client(kedge.home / "kubeconfig") as client:
        yield client


@pytest.mark.parametrize("path", CASES)
def test_objects_get_the_same_answer_as_from_a_real_api_server(server: httpx.Client, path: str) -> None:
    found = dict(rules_requests.ask(server, path))
    told: dict[str, Any] = {name: answer for name, answer in found.items() if answer != KNOWN[path][name]}
    assert told == {name: KNOWN[path][name] for name in told}


@pytest.mark.parametrize(("how", "change", "code", "told"), CHANGES)
def test_changes_to_a_wrong_type_get_the_same_answer(server: httpx.Client, how: str, change: Any, code: int, told: str) -> None:
    said: Obj = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    whole = {**said, **change, "metadata": said["metadata"] | change.get("metadata", {})} if how in {"", "apply"} else change
    params = {"dryRun": "All"} | ({"fieldManager": "m"} if how == "apply" else {})
    answer = server.request(
        "PATCH" if how else "PUT",
        f"{CORE}/serviceaccounts/default".replace("{namespace}", rules_requests.NAMESPACE),
        params=params,
        content=json.dumps(whole),
        headers={"Content-Type": FORMS[how]},
    )
    assert answer.status_code in ((code,) if code else (400, 500))  # a real API server has no reason for what cannot be applied
    assert not told or answer.json()["message"].endswith(told)


CONTAINER: Obj = {
    "name": "c",
    "image": "x:1",
    "imagePullPolicy": "",
    "stdin": False,
    "env": [],
    "ports": [],
    "securityContext": {},
}
TEMPLATE: Obj = {"hostNetwork": False, "nodeSelector": {}, "tolerations": [], "volumes": [], "containers": [CONTAINER]}
DEPLOYMENT: Obj = {
    "metadata": {"name": "says-nothing", "labels": {}, "annotations": {}, "finalizers": []},
    "spec": {
        "replicas": 0,
        "paused": False,
        "minReadySeconds": 0,
        "selector": {"matchLabels": {"a": "b"}, "matchExpressions": []},
        "template": {"metadata": {"labels": {"a": "b"}, "annotations": {}}, "spec": TEMPLATE},
    },
}


def test_fields_that_say_nothing_are_not_kept_and_get_their_defaults(server: httpx.Client) -> None:
    answer = server.post("/apis/apps/v1/namespaces/default/deployments", params={"dryRun": "All"}, json=DEPLOYMENT)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert {"labels", "annotations", "finalizers"} & found["metadata"].keys() == set()
    spec = found["spec"]
    assert spec["replicas"] == 0
    assert spec["selector"] == {"matchLabels": {"a": "b"}}
    assert {"paused", "minReadySeconds"} & spec.keys() == set()
    assert "annotations" not in spec["template"]["metadata"]
    pod = spec["template"]["spec"]
    assert {"hostNetwork", "nodeSelector", "tolerations", "volumes"} & pod.keys() == set()
    (container,) = pod["containers"]
    assert {"stdin", "env"} & container.keys() == set()
    assert (container["imagePullPolicy"], container["securityContext"]) == ("IfNotPresent", {})
    empty: Obj = {"metadata": {"name": "says-nothing"}, "data": {}, "binaryData": {}, "immutable": False}
    found = server.post("/api/v1/namespaces/default/configmaps", params={"dryRun": "All"}, json=empty).json()
    assert {"data", "binaryData"} & found.keys() == set()
    assert found["immutable"] is False, "of what may be left out, false is another word than nothing"
