"""An unmodified ``kfp.Client`` starts, follows, stores and ends pipelines on Kedge."""

import subprocess
from pathlib import Path

import pytest
from environments import client_environment

from kedge.testing.host import RunningHost

# The oldest that is promised, one between, and the newest.
VERSIONS = ["2.9.0", "2.14.6", "2.17.0"]
PIPELINE = """
from kedge import dsl


@dsl.component
def add(x: int) -> int:
    return x + 1


@dsl.pipeline(name="adder")
def pipeline(start: int = 0) -> int:
    return add(x=add(x=start).output).output
"""
# Runs under kfp's interpreter. Arguments: address, token, YAML.
CLIENT = """
import sys, time, warnings

warnings.simplefilter("ignore")
import kfp

address, token, package = sys.argv[1:]
client = kfp.Client(host=address, existing_token=token)
started = client.create_run_from_pipeline_package(package, arguments={"start": 3}, enable_caching=False)
ended = client.wait_for_run_completion(started.run_id, timeout=60, sleep_duration=1)
assert ended.state == "SUCCEEDED", ended
assert ended.finished_at >= ended.created_at
assert ended.pipeline_spec["pipelineInfo"]["name"] == "adder"
assert [run.run_id for run in client.list_runs().runs] == [started.run_id]

stored = client.upload_pipeline(package, pipeline_name="mine")
version = client.upload_pipeline_version(package, "v2", pipeline_id=stored.pipeline_id)
assert client.get_pipeline_id("mine") == stored.pipeline_id
assert [v.display_name for v in client.list_pipeline_versions(stored.pipeline_id).pipeline_versions] == ["v2", "mine"]

experiment = client.create_experiment("trials")
assert client.get_experiment(experiment_name="trials").experiment_id == experiment.experiment_id
which = {"pipeline_id": stored.pipeline_id, "version_id": version.pipeline_version_id}
run = client.run_pipeline(experiment.experiment_id, "second", params={"start": 1}, **which)
assert client.wait_for_run_completion(run.run_id, 60, 1).state == "SUCCEEDED"
assert [found.display_name for found in client.list_runs(experiment_id=experiment.experiment_id).runs] == ["second"]

often = client.create_recurring_run(experiment.experiment_id, "often", interval_second=1, params={"start": 1}, **which)
assert [found.display_name for found in client.list_recurring_runs().recurring_runs] == ["often"]
for _ in range(600):
    fired = [found for found in client.list_runs(experiment_id=experiment.experiment_id).runs if found.recurring_run_id]
    if fired:
        break
    time.sleep(0.1)
assert client.wait_for_run_completion(fired[-1].run_id, 60, 1).state == "SUCCEEDED"
client.disable_recurring_run(often.recurring_run_id)
client.delete_recurring_run(often.recurring_run_id)

client.archive_run(run.run_id)
assert client.get_run(run.run_id).storage_state == "ARCHIVED"
client.unarchive_run(run.run_id)
client.terminate_run(run.run_id)
client.delete_run(run.run_id)
client.delete_pipeline_version(stored.pipeline_id, version.pipeline_version_id)
try:
    client.get_run(run.run_id)
except Exception as error:
    assert "not found" in str(error), error
else:
    raise AssertionError("the run was deleted")
"""


@pytest.mark.once_on_a_cluster
@pytest.mark.parametrize("version", VERSIONS)
def test_kfps_own_client_runs_and_stores_pipelines(own_either_host: RunningHost, tmp_path: Path, version: str) -> None:
    source, package, client = (tmp_path / name for name in ("pipeline.py", "pipeline.yaml", "client.py"))
    source.write_text(PIPELINE)
    client.write_text(CLIENT)
    own_either_host.cli("compile", str(source), "-o", str(package), check=True)
    python = client_environment("kfp", [f"kfp=={version}"])
    arguments = [str(python), str(client), own_either_host.host.http, own_either_host.host.token, str(package)]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
