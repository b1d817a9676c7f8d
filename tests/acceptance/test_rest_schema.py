"""The served OpenAPI document is true: in the whole API schemathesis finds no defect, and no answer that it does not describe."""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from environments import client_environment

from kedge.testing import pipelines
from kedge.testing.host import RunningHost

SCHEMATHESIS = "schemathesis==4.32.5"
EXAMPLES = 4  # of each operation; besides them, every constraint of the document is tried and broken
# What a schema cannot say (a valid pipeline, an unused name) may be refused although it fits the document.
WITHOUT = "positive_data_acceptance"


def known_ids(kedge: RunningHost) -> dict[str, str]:
    """Something real for each name in a path, so that more than refusals is tested."""
    api = httpx.Client(
        base_url=f"{kedge.host.http}/apis/v2beta1",
        headers={"Authorization": f"Bearer {kedge.host.token}"},
        trust_env=False,
        timeout=60,
    )
    with api:

        def post(path: str, **body: Any) -> dict[str, Any]:
            return api.post(path, json=body).raise_for_status().json()

        chain = pipelines.chain(1)
        experiment = post("/experiments", display_name="known")
        stored = post("/pipelines", display_name="known", tags={"a": "b"})
        version = post(f"/pipelines/{stored['pipeline_id']}/versions", display_name="v", pipeline_spec=chain)
        run = post("/runs", pipeline_spec=chain, experiment_id=experiment["experiment_id"])
        trigger = {"cron_schedule": {"cron": "@daily"}}
        recurring = post("/recurringruns", display_name="known", pipeline_spec=chain, trigger=trigger)
    kedge.client.wait(run["run_id"])
    return {
        "run_id": run["run_id"],
        "task_id": "s0",
        "node_id": "s0",
        "experiment_id": experiment["experiment_id"],
        "pipeline_id": stored["pipeline_id"],
        "pipelineid": stored["pipeline_id"],
        "pipeline_version_id": version["pipeline_version_id"],
        "recurring_run_id": recurring["recurring_run_id"],
        "name": "known",
    }


def with_known_ids(document: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    """The document, narrowed to what exists; what deletes is left to delete what does not."""
    for path in document["paths"].values():
        for method, operation in path.items():
            for parameter in operation.get("parameters", ()):
                if method != "delete" and parameter["in"] == "path" and parameter["name"] in known:
                    parameter["schema"] = {"type": "string", "enum": [known[parameter["name"]]]}
    listed = document["paths"]["/apis/v2beta1/runs"]["get"]  # a watch of all runs has no end
    listed["parameters"] = [each for each in listed["parameters"] if each["name"] != "watch"]
    return document


@pytest.mark.slow
@pytest.mark.soak_on_a_cluster
@pytest.mark.timeout(420)
def test_schemathesis_finds_nothing(own_either_host: RunningHost, tmp_path: Path) -> None:
    known = known_ids(own_either_host)
    document = (
        httpx.get(f"{own_either_host.host.http}/apis/v2beta1/openapi.json", trust_env=False, timeout=60).raise_for_status().json()
    )
    described = tmp_path / "openapi.json"
    described.write_text(json.dumps(with_known_ids(document, known)))
    python = client_environment("schemathesis", [SCHEMATHESIS])
    arguments = ["--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1", "--no-shrink"]
    arguments += ["--continue-on-failure", "--exclude-checks", WITHOUT, "--suppress-health-check", "all", "--warnings", "off"]
    arguments += ["--header", f"Authorization: Bearer {own_either_host.host.token}", "--url", own_either_host.host.http]
    done = subprocess.run(
        [str(python.with_name("schemathesis")), "run", str(described), *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "defect" not in (own_either_host.home / "hub.log").read_text()
