"""An unmodified ``kfp.Client`` starts, follows, stores and ends pipelines on Kedge."""

import subprocess
from pathlib import Path

from environments import client_environment

from kedge.testing.host import RunningHost

KFP = "kfp==2.17.0"
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
import sys, warnings

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


def test_kfps_own_client_runs_and_stores_pipelines(kedge_host: RunningHost, tmp_path: Path) -> None:
    source, package, client = (tmp_path / name for name in ("pipeline.py", "pipeline.yaml", "client.py"))
    source.write_text(PIPELINE)
    client.write_text(CLIENT)
    kedge_host.cli("compile", str(source), "-o", str(package), check=True)
    arguments = [str(client_environment("kfp", [KFP])), str(client), kedge_host.host.http, kedge_host.host.token, str(package)]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
