"""Every method of an unmodified ``kfp.Client``."""

import subprocess
from pathlib import Path

from environments import client_environment
from kfp_scripts import KFP, succeeds

from kedge.testing.host import RunningHost

# Runs under kfp's interpreter. Arguments: address, token, a folder.
CLIENT = '''
import inspect, sys, time, warnings

warnings.simplefilter("ignore")
import kfp, kfp_server_api
from kfp import compiler, dsl

address, token, folder = sys.argv[1:]
plain = kfp.Client(host=address, existing_token=token)
called = set()


class Noting:
    """The client, and a note of which of its methods were called."""

    def __getattr__(self, name):
        called.add(name)
        return getattr(plain, name)


client = Noting()


@dsl.component(base_image="python:3.11")
def add(x: int) -> int:
    return x + 1


@dsl.component(base_image="python:3.11")
def fail():
    raise ValueError("no")


@dsl.pipeline(name="adder", description="adds")
def adder(start: int = 0) -> int:
    return add(x=add(x=start).output).output


@dsl.pipeline(name="failing")
def failing():
    fail()


package = folder + "/adder.yaml"
compiler.Compiler().compile(adder, package)

# ---- the client itself
assert client.get_kfp_healthz().multi_user is False
assert client.get_user_namespace() == ""
client.set_user_namespace("")

# ---- experiments
trials = client.create_experiment("trials", description="d")
assert client.create_experiment("trials").experiment_id == trials.experiment_id
assert client.get_experiment(trials.experiment_id).description == "d"
assert client.get_experiment(experiment_name="trials").experiment_id == trials.experiment_id
listed = client.list_experiments(page_size=1, sort_by="created_at desc")
assert [found.display_name for found in listed.experiments] == ["trials"] and listed.total_size == 2
assert client.list_experiments(page_size=1, page_token=listed.next_page_token, sort_by="created_at desc").experiments
client.archive_experiment(trials.experiment_id)
assert client.get_experiment(trials.experiment_id).storage_state == "ARCHIVED"
client.unarchive_experiment(trials.experiment_id)
assert client.get_experiment(trials.experiment_id).storage_state == "AVAILABLE"

# ---- pipelines
stored = client.upload_pipeline(package, pipeline_name="mine", description="d")
assert client.upload_pipeline_from_pipeline_func(adder, pipeline_name="other").display_name == "other"
second = client.upload_pipeline_version(package, "v2", pipeline_id=stored.pipeline_id, description="second")
third = client.upload_pipeline_version_from_pipeline_func(adder, "v3", pipeline_name="mine")
assert client.get_pipeline(stored.pipeline_id).description == "d"
assert client.get_pipeline_id("mine") == stored.pipeline_id
assert client.get_pipeline_id("nobody's") is None
assert sorted(found.display_name for found in client.list_pipelines().pipelines) == ["mine", "other"]
versions = client.list_pipeline_versions(stored.pipeline_id, sort_by="created_at desc").pipeline_versions
assert [found.display_name for found in versions] == ["v3", "v2", "mine"]
shown = client.get_pipeline_version(stored.pipeline_id, second.pipeline_version_id)
assert shown.pipeline_spec["pipelineInfo"]["name"] == "adder"

# ---- runs
which = {"pipeline_id": stored.pipeline_id, "version_id": second.pipeline_version_id}
run = client.run_pipeline(trials.experiment_id, "first", params={"start": 3}, **which)
ended = client.wait_for_run_completion(run.run_id, 60, 1)
assert ended.state == "SUCCEEDED" and ended.run_details.task_details
assert client.get_run(run.run_id).runtime_config.parameters == {"start": 3}
by_function = client.create_run_from_pipeline_func(adder, arguments={"start": 1}, experiment_name="trials", run_name="second")
assert by_function.wait_for_run_completion(60).state == "SUCCEEDED"
by_package = client.create_run_from_pipeline_package(package, arguments={}, run_name="third")
assert client.wait_for_run_completion(by_package.run_id, 60, 1).state == "SUCCEEDED"
listed = client.list_runs(experiment_id=trials.experiment_id, sort_by="created_at asc")
assert [found.display_name for found in listed.runs] == ["first", "second"]
import json
wanted = json.dumps({"predicates": [{"operation": 9, "key": "display_name", "stringValue": "eco"}]})
assert [found.display_name for found in client.list_runs(filter=wanted).runs] == ["second"]
client.archive_run(run.run_id)
assert client.get_run(run.run_id).storage_state == "ARCHIVED"
client.unarchive_run(run.run_id)
client.terminate_run(run.run_id)
client.delete_run(run.run_id)

# ---- recurring runs
every = client.create_recurring_run(
    trials.experiment_id, "often", interval_second=1, max_concurrency=10, params={"start": 7}, no_catchup=True, **which
)
assert client.get_recurring_run(every.recurring_run_id).trigger.periodic_schedule.interval_second == "1"
for _ in range(600):
    fired = [found for found in client.list_runs(experiment_id=trials.experiment_id).runs if found.recurring_run_id]
    if fired:
        break
    time.sleep(0.1)
assert client.wait_for_run_completion(fired[-1].run_id, 60, 1).recurring_run_id == every.recurring_run_id
client.disable_recurring_run(every.recurring_run_id)
assert client.get_recurring_run(every.recurring_run_id).status == "DISABLED"
client.enable_recurring_run(every.recurring_run_id)
client.disable_job(every.recurring_run_id)
client.enable_job(every.recurring_run_id)
daily = client.create_recurring_run(
    trials.experiment_id, "daily", cron_expression="0 0 9 * * *", enabled=False, pipeline_package_path=package,
    start_time="2026-01-01T00:00:00Z", end_time="2100-01-01T00:00:00Z",
)
assert (daily.mode, daily.status, daily.max_concurrency) == ("DISABLE", "DISABLED", "1")
assert client.list_recurring_runs(experiment_id=trials.experiment_id).total_size == 2
assert len(client.list_recurring_runs(experiment_id=trials.experiment_id).recurring_runs) == 2
client.delete_recurring_run(every.recurring_run_id)
client.delete_job(daily.recurring_run_id)
assert client.list_recurring_runs().recurring_runs is None

# ---- forgetting, and what is not there
client.delete_pipeline_version(stored.pipeline_id, second.pipeline_version_id)
client.delete_pipeline_version(stored.pipeline_id, third.pipeline_version_id)
client.delete_pipeline_version(stored.pipeline_id, versions[-1].pipeline_version_id)
client.delete_pipeline(stored.pipeline_id)
client.delete_experiment(trials.experiment_id)
for ask, gone in ((client.get_pipeline, stored.pipeline_id), (client.get_run, run.run_id), (client.get_experiment, "x")):
    try:
        ask(gone)
    except kfp_server_api.ApiException as error:
        assert error.status == 404 and "not found" in json.loads(error.body)["message"], error
    else:
        raise AssertionError("it should be gone")

methods = {name for name, _ in inspect.getmembers(kfp.Client, inspect.isfunction) if not name.startswith("_")}
assert methods == called, methods ^ called
'''


def test_every_method_of_kfps_own_client_is_served(own_either_host: RunningHost, tmp_path: Path) -> None:
    succeeds(own_either_host, CLIENT, tmp_path)


# Without a host: the kubeconfig says where the API server is, and its proxy leads to the pipelines.
HOSTLESS = """
import warnings

warnings.simplefilter("ignore")
import kfp

client = kfp.Client(namespace="kubeflow")
assert client.get_kfp_healthz().pipeline_store == "database"
made = client.create_experiment("through the proxy")
assert client.get_experiment(made.experiment_id).display_name == "through the proxy"
"""


def test_a_client_without_a_host_comes_in_through_the_kubeconfig(own_either_host: RunningHost, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "KUBECONFIG": own_either_host.host.kubeconfig}
    arguments = [str(client_environment("kfp", [KFP])), "-c", HOSTLESS]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=60, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
