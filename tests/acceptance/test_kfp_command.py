"""The ``kfp`` command line, unmodified, against Kedge: every subcommand of pipelines, runs, recurring runs and experiments."""

from pathlib import Path

import pytest
from kfp_scripts import succeeds

from kedge.testing.host import RunningHost

# Runs under kfp's interpreter, which starts once for all commands. Arguments: address, token, a folder.
COMMANDS = '''
import json, os, sys, time, warnings

warnings.simplefilter("ignore")
import click
from click.testing import CliRunner
from kfp import compiler, dsl
from kfp.cli.cli import cli

address, token, folder = sys.argv[1:]
options = ["--endpoint", address, "--existing-token", token, "--output"]
called = set()


def kfp(*command, answer=None, form="json", code=0):
    """What a command prints."""
    called.add(" ".join(command[:2]))
    done = CliRunner().invoke(cli, [*options, form, *command], input=answer, obj={})
    assert done.exit_code == code, (command, done.output, str(done.exception))
    if code:
        return str(done.exception)
    if form == "table" or answer is not None:
        return done.output
    begins = "[" if command[1].startswith("list") else "{"
    return json.loads(done.output[done.output.index(begins) :])


def gone(*command):
    """What is said of something that is not there."""
    said = kfp(*command, code=1)
    assert "(404)" in said and "not found" in said, said


@dsl.component(base_image="python:3.11")
def add(x: int) -> int:
    return x + 1


@dsl.pipeline(name="adder", description="adds")
def adder(start: int = 0) -> int:
    return add(x=start).output


package = os.path.join(folder, "adder.yaml")
compiler.Compiler().compile(adder, package)

# ---- experiments
trials = kfp("experiment", "create", "trials", "--description", "d")
assert trials["display_name"] == "trials"
kfp("experiment", "create", "others")
listed = kfp("experiment", "list", "--sort-by", "created_at asc")
assert [found["display_name"] for found in listed] == ["Default", "trials", "others"], listed
table = kfp("experiment", "list", "--max-size", "1", form="table")
assert "others" in table and "trials" not in table, table
which = trials["experiment_id"]
assert kfp("experiment", "get", which)["description"] == "d"
assert kfp("experiment", "archive", "--experiment-name", "others")["storage_state"] == "ARCHIVED"
assert kfp("experiment", "unarchive", "--experiment-name", "others")["storage_state"] == "AVAILABLE"

# ---- pipelines
stored = kfp("pipeline", "create", "-p", "mine", "-d", "d", package)
one = stored["pipeline_id"]
version = kfp("pipeline", "create-version", "-v", "v2", "-p", one, package)["pipeline_version_id"]
kfp("pipeline", "create-version", "-v", "v3", "-n", "mine", package)
assert [found["display_name"] for found in kfp("pipeline", "list")] == ["mine"]
versions = kfp("pipeline", "list-versions", one, "--sort-by", "created_at asc")
assert [found["display_name"] for found in versions] == ["mine", "v2", "v3"], versions
assert kfp("pipeline", "get", one)["description"] == "d"
assert kfp("pipeline", "get-version", one, version)["display_name"] == "v2"
assert "mine" in kfp("pipeline", "list", form="table")

# ---- runs
done = kfp("run", "create", "-e", "trials", "-r", "first", "-f", package, "-t", "60", "start=4")
assert done["state"] == "SUCCEEDED" and done["runtime_config"]["parameters"] == {"start": 4}, done
kfp("run", "create", "-e", "trials", "-r", "second", "-n", "mine", "-v", version, "-t", "60")
listed = kfp("run", "list", "-e", which, "--sort-by", "display_name desc")
assert [found["display_name"] for found in listed] == ["second", "first"], listed
wanted = json.dumps({"predicates": [{"operation": "IS_SUBSTRING", "key": "display_name", "stringValue": "fir"}]})
assert [found["display_name"] for found in kfp("run", "list", "--filter", wanted)] == ["first"]
assert kfp("run", "get", done["run_id"])["display_name"] == "first"
assert "SUCCEEDED" in kfp("run", "get", done["run_id"], form="table")
assert kfp("run", "archive", done["run_id"])["storage_state"] == "ARCHIVED"
assert kfp("run", "unarchive", done["run_id"])["storage_state"] == "AVAILABLE"
kfp("run", "delete", done["run_id"], answer="n\\n")
assert kfp("run", "get", done["run_id"])["state"] == "SUCCEEDED"
kfp("run", "delete", done["run_id"], answer="y\\n")
gone("run", "get", done["run_id"])

# ---- recurring runs
often = kfp(
    "recurring-run", "create", "--experiment-name", "trials", "--job-name", "nightly", "--interval-second", "1",
    "--pipeline-id", one, "--version-id", version, "--max-concurrency", "2", "--no-catchup", "--enabled", "start=7",
)
known = often["recurring_run_id"]
assert (often["display_name"], often["no_catchup"], often["status"]) == ("nightly", True, "ENABLED"), often
fired = json.dumps({"predicates": [{"operation": "IS_SUBSTRING", "key": "display_name", "stringValue": "nightly"}]})
for _ in range(200):
    ended = [found for found in kfp("run", "list", "--filter", fired) if found["state"] == "SUCCEEDED"]
    if ended:
        break
    time.sleep(0.1)
assert ended[0]["recurring_run_id"] == known, ended
assert [found["display_name"] for found in kfp("recurring-run", "list", "-e", which)] == ["nightly"]
assert kfp("recurring-run", "get", known)["trigger"]["periodic_schedule"]["interval_second"] == "1"
assert kfp("recurring-run", "disable", known)["status"] == "DISABLED"
assert kfp("recurring-run", "enable", known)["status"] == "ENABLED"
assert "nightly" in kfp("recurring-run", "list", form="table")
kfp("recurring-run", "delete", known, answer="y\\n")
gone("recurring-run", "get", known)

# ---- forgetting
for each in versions:
    kfp("pipeline", "delete-version", one, each["pipeline_version_id"], answer="y\\n")
gone("pipeline", "get-version", one, version)
kfp("pipeline", "delete", one, answer="y\\n")
gone("pipeline", "get", one)
kfp("experiment", "delete", which, answer="y\\n")
gone("experiment", "get", which)

groups = {name: group for name, group in cli.commands.items() if name in ("pipeline", "run", "recurring-run", "experiment")}
every = {f"{name} {command}" for name, group in groups.items() for command in group.commands}
assert len(groups) == 4 and every == called, every ^ called
'''


@pytest.mark.slow
def test_every_subcommand_of_kfp_works(own_either_host: RunningHost, tmp_path: Path) -> None:
    succeeds(own_either_host, COMMANDS, tmp_path)
