"""Whatever schemathesis makes of the OpenAPI documents of the Kubernetes API, no answer is a 5xx."""

import json
import subprocess
from pathlib import Path
from typing import Any

import kubeconfigs
import pytest
from environments import client_environment
from test_rest_schema import SCHEMATHESIS

from kedge.testing.host import running_host

GROUPS = ["api/v1", "apis/apps/v1", "apis/batch/v1", "apis/rbac.authorization.k8s.io/v1", "apis/apiextensions.k8s.io/v1"]
EXAMPLES = {"short": 2, "long": 60}
KNOWN = {"namespace": ["default", "fuzzed"], "name": ["known", "other"]}
# A Pod that no node takes: what is tried out here is the API.
OBJECTS = [
    ("/api/v1/namespaces", {}),
    ("/api/v1/namespaces/default/configmaps", {"data": {"a": "b"}}),
    (
        "/api/v1/namespaces/default/pods",
        {"spec": {"nodeSelector": {"nowhere": "yes"}, "containers": [{"name": "a", "image": "b"}]}},
    ),
    ("/api/v1/namespaces/default/services", {"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}),
]


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The document, whose paths lead to what may be there, without what has no end and what others than the API answer."""
    document["paths"] = {path: found for path, found in document["paths"].items() if "/proxy" not in path}
    for path in document["paths"].values():
        path["parameters"] = [{**each, "schema": {"type": "string", "enum": KNOWN[each["name"]]}} for each in path["parameters"]]
        for operation in path.values():
            if isinstance(operation, dict):
                told = [each for each in operation.get("parameters", ()) if each["name"] not in {"watch", "follow"}]
                operation["parameters"] = told
    return document


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("length", ["short", pytest.param("long", marks=pytest.mark.soak)])
def test_schemathesis_gets_no_5xx_from_the_kubernetes_api(length: str, tmp_path: Path) -> None:
    python = client_environment("schemathesis", [SCHEMATHESIS])
    with running_host() as kedge, kubeconfigs.client(kedge.home / "kubeconfig") as server:
        for path, obj in OBJECTS:
            server.post(path, json={"metadata": {"name": "known"}, **obj}).raise_for_status()
        for group in GROUPS:
            document = server.get(f"/openapi/v3/{group}").raise_for_status().json()
            described = tmp_path / "openapi.json"
            described.write_text(json.dumps(narrowed(document)))
            arguments = ["--phases", "fuzzing", "--max-examples", str(EXAMPLES[length]), "--seed", "1", "--no-shrink"]
            arguments += ["--continue-on-failure", "--checks", "not_a_server_error", "--suppress-health-check", "all"]
            arguments += ["--warnings", "off", "--header", f"Authorization: Bearer {kedge.host.token}"]
            done = subprocess.run(
                [str(python.with_name("schemathesis")), "run", str(described), *arguments, "--url", kedge.host.http],
                check=False,
                capture_output=True,
                text=True,
                cwd=tmp_path,
            )
            assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
            assert "Tested" in done.stdout or "passed" in done.stdout, done.stdout[-2000:]
        assert "defect" not in (kedge.home / "hub.log").read_text()
