"""The main job on a cluster: the penguins example, unchanged, with packages that its steps install themselves."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from access import Cluster
from hosts import Hubs, shared_folder

from kedge.testing.host import RunningHost

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-penguins"
LABEL = "kedge.test/packages"
MINUTES = 10


@pytest.fixture(scope="module")
def packages() -> Path:
    """What the example's steps install, as files: the Pods of a test's cluster reach no package index."""
    text = (EXAMPLE / "pipeline.py").read_text("utf-8")
    found = re.search(r"^PACKAGES = (\[.*?\])", text, re.MULTILINE | re.DOTALL)
    assert found, "the example names its packages elsewhere"
    wanted: list[str] = json.loads(found[1].replace("'", '"'))
    folder = shared_folder().with_name("packages") / sha256(json.dumps(wanted).encode()).hexdigest()[:12]
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial")
        for_image = ["--python-version", "3.11", "--only-binary", ":all:"]  # that of the image of the tests
        argv = [sys.executable, "-m", "pip", "download", "--quiet", *for_image, "--dest", str(partial), *wanted]
        subprocess.run(argv, check=True)
        partial.rename(folder)
    return folder


@pytest.fixture
def kedge(hubs: Hubs, cluster: Cluster, packages: Path) -> Iterator[RunningHost]:
    """A hub in a namespace whose Pods are told where packages are, as the administrator of a closed network does."""
    folder = json.dumps(str(packages))
    name = "packages.kedge.test"
    variable = 'Object.spec.containers.env{{name: "{}", value: {}}}'
    told = [variable.format("PIP_NO_INDEX", '"1"'), variable.format("PIP_FIND_LINKS", folder)]
    settings = f"env: [{', '.join(told)}]"
    mounts = f'volumeMounts: [Object.spec.containers.volumeMounts{{name: "packages", mountPath: {folder}, readOnly: true}}]'
    containers = f"containers: object.spec.containers.map(each, Object.spec.containers{{name: each.name, {settings}, {mounts}}})"
    volume = f'volumes: [Object.spec.volumes{{name: "packages", hostPath: Object.spec.volumes.hostPath{{path: {folder}}}}}]'
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    kind: dict[str, Any] = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    selector = {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]}
    cluster.apply(
        {
            **kind,
            "kind": "MutatingAdmissionPolicy",
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "reinvocationPolicy": "Never",
                "failurePolicy": "Fail",
                "mutations": [
                    {
                        "patchType": "ApplyConfiguration",
                        "applyConfiguration": {"expression": f"Object{{spec: Object.spec{{{containers}, {volume}}}}}"},
                    }
                ],
            },
        },
        {
            **kind,
            "kind": "MutatingAdmissionPolicyBinding",
            "spec": {"policyName": name, "matchResources": {"namespaceSelector": selector}},
        },
    )
    with Hubs(hubs.cluster, hubs.s3, {LABEL: "yes"}).start() as running:
        yield running


@pytest.mark.cluster
@pytest.mark.timeout(60 * MINUTES, func_only=True)
def test_the_example_runs_unchanged_and_computes_nothing_twice(kedge: RunningHost) -> None:
    def run() -> dict[str, Any]:
        done = kedge.cli("run", str(EXAMPLE / "pipeline.py"), "-o", "json", timeout=60 * MINUTES)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return json.loads(done.stdout)

    first = {task["id"]: task for task in run()["tasks"]}
    assert first[""]["outputs"]["parameters"]["Output"] > 0.95
    steps = {task for task, found in first.items() if found["kind"] == "step"}
    assert len(steps) > 8
    again = {task["id"]: task for task in run()["tasks"]}
    assert {task for task in steps if again[task]["state"] != "CACHED"} == set()
    assert again[""]["outputs"] == first[""]["outputs"]
