"""The lower-level API of ``kfp``, generated from upstream's document: retry, terminate, pages, sorting and every filter."""

from pathlib import Path

from kfp_scripts import succeeds

from kedge.testing.host import RunningHost

# Runs under kfp's interpreter. Arguments: address, token, a folder.
CLIENT = """
import json, sys, time, warnings

warnings.simplefilter("ignore")
import kfp, kfp_server_api
from kfp import compiler, dsl

address, token, folder = sys.argv[1:]
client = kfp.Client(host=address, existing_token=token)
runs, pipelines = client._run_api, client._pipelines_api


@dsl.component(base_image="python:3.11")
def check(x: int) -> int:
    if x < 0:
        raise ValueError("no")
    return x


@dsl.component(base_image="python:3.11")
def wait():
    import time

    time.sleep(600)


@dsl.pipeline(name="checker")
def checker(x: int = 0):
    check(x=x)


@dsl.pipeline(name="waiter")
def waiter():
    wait()


def ended(run_id):
    while True:
        run = runs.run_service_get_run(run_id=run_id)
        if run.state in ("SUCCEEDED", "FAILED", "CANCELED"):
            return run
        time.sleep(0.05)


for name, function in (("checker", checker), ("waiter", waiter)):
    compiler.Compiler().compile(function, f"{folder}/{name}.yaml")


def start(name, number=None, pipeline="checker"):
    arguments = {} if number is None else {"x": number}
    return client.create_run_from_pipeline_package(f"{folder}/{pipeline}.yaml", arguments=arguments, run_name=name).run_id


# ---- ending, and going on
bad = start("bad", -1)
failed = ended(bad)
assert failed.state == "FAILED" and "ValueError: no" in failed.error.message, failed
runs.run_service_retry_run(run_id=bad)
assert ended(bad).state == "FAILED"
waiting = start("waits", pipeline="waiter")
runs.run_service_terminate_run(run_id=waiting)
assert ended(waiting).state == "CANCELED"
made = {name: start(name, number) for number, name in enumerate(["a1", "a2", "a3", "b1", "b2"])}
assert {ended(run_id).state for run_id in made.values()} == {"SUCCEEDED"}
(task,) = [task for task in runs.run_service_get_run(run_id=made["a1"]).run_details.task_details if task.display_name == "check"]
assert task.state == "SUCCEEDED" and task.pod_name, task

# ---- pages
names, pages, token = [], 0, ""
while pages == 0 or token:
    page = runs.run_service_list_runs(page_size=3, page_token=token, sort_by="display_name desc")
    assert page.total_size == 7
    names, pages, token = names + [run.display_name for run in page.runs], pages + 1, page.next_page_token
assert (pages, names) == (3, ["waits", "bad", "b2", "b1", "a3", "a2", "a1"]), (pages, names)


# ---- filters
def found(operation, key, **value):
    text = json.dumps({"predicates": [{"operation": operation, "key": key, **value}]})
    return sorted(run.display_name for run in runs.run_service_list_runs(filter=text).runs or [])


earliest = min(runs.run_service_get_run(run_id=run_id).created_at for run_id in (bad, *made.values())).isoformat()
everything = sorted([*made, "bad", "waits"])
assert found("EQUALS", "display_name", string_value="a1") == ["a1"]
assert found("EQUALS", "name", string_value="a1") == ["a1"]
assert found("NOT_EQUALS", "display_name", string_value="a1") == [name for name in everything if name != "a1"]
assert found("EQUALS", "state", string_value="FAILED") == ["bad"]
assert found("IN", "display_name", string_values={"values": ["a1", "b2", "c3"]}) == ["a1", "b2"]
assert found("IS_SUBSTRING", "display_name", string_value="A") == found("IS_SUBSTRING", "display_name", string_value="a")
assert found("IS_SUBSTRING", "display_name", string_value="b") == ["b1", "b2", "bad"]
assert found("GREATER_THAN_EQUALS", "created_at", timestamp_value=earliest) == everything
assert found("LESS_THAN", "created_at", timestamp_value=earliest) == []
both = [name for how in ("GREATER_THAN", "LESS_THAN_EQUALS") for name in found(how, "created_at", timestamp_value=earliest)]
assert sorted(both) == everything
try:
    found("EQUALS", "colour", string_value="red")
except kfp_server_api.ApiException as error:
    assert error.status == 400 and "Fields here: created_at" in json.loads(error.body)["message"], error
else:
    raise AssertionError("a field that does not exist was taken")

# ---- tags
for name, team in (("one", "red"), ("two", "blue"), ("three", None)):
    tags = {"team": team} if team else None
    pipelines.pipeline_service_create_pipeline(pipeline=kfp_server_api.V2beta1Pipeline(display_name=name, tags=tags))


def tagged(operation, **value):
    text = json.dumps({"predicates": [{"operation": operation, "key": "tags.team", **value}]})
    return sorted(each.display_name for each in pipelines.pipeline_service_list_pipelines(filter=text).pipelines or [])


assert tagged("EQUALS", string_value="red") == ["one"]
assert tagged("EQUALS", string_value="green") == []
assert tagged("IN", string_values={"values": ["red", "blue"]}) == ["one", "two"]
assert tagged("IS_SUBSTRING", string_value="e") == ["one", "two"]
"""


def test_the_generated_api_is_served(own_either_host: RunningHost, tmp_path: Path) -> None:
    succeeds(own_either_host, CLIENT, tmp_path)
