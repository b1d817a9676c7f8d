"""Every feature of the IR, three ways: compiled by Kedge, compiled by unmodified kfp, and submitted by an unmodified kfp.Client.

Each file of ``pipelines/`` is a pipeline as a user writes it, and says at its end what comes of it:

    ARGUMENTS   of the run. ``folder`` becomes a directory of the run's own, ``way`` the way's name.
    EXPECTED    outputs    of the pipeline: its parameters
                tasks      states of steps by name: a list for steps of a loop, in order; steps that are not named may be in any
                returned   output parameters of steps, likewise
                state      of the run; SUCCEEDED unless it says otherwise
                failure    a part of the run's failure, in words
                cache      run with caching, which is off otherwise
                kind       of Kubernetes' objects that the host must serve; the pipeline waits for the day that it does
    OBJECTS     of Kubernetes that are there before.

For kfp only the import line changes. Hosts of either kind run many at once; tests wait for one by one.
"""

import ast
import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from environments import client_environment
from hosts import StartHost, shared_folder

from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access, load
from kedge.errors import PipelineError
from kedge.kube.core import KINDS
from kedge.pipelines import documents
from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost

Json = dict[str, Any]
_AT_ONCE = 8
"""Runs on a cluster, which starts all Pods that there are: a machine's own host lets them wait for their turn."""
CASES = {path.stem: path for path in sorted((Path(__file__).parent / "pipelines").glob("*.py"))}
WAYS = ("kedge", "kfp", "client")
KFP = ["kfp==2.17.0", "kfp-kubernetes==2.17.0"]

# Runs under kfp's interpreter. Arguments: a folder of sources, address, token. Input: arguments and caching of each. It compiles
# every source and submits it, and answers with each run's id, or the traceback.
CLIENT = """
import json, pathlib, runpy, sys, traceback, warnings

warnings.simplefilter("ignore")
import kfp
from kfp import compiler

folder, address, token = sys.argv[1:]
client = kfp.Client(host=address, existing_token=token)
answers = {}
for name, how in json.load(sys.stdin).items():
    source = pathlib.Path(folder, name + ".py")
    try:
        compiler.Compiler().compile(runpy.run_path(str(source))["pipeline"], str(source.with_suffix(".yaml")))
        package = str(source.with_suffix(".yaml"))
        if not how["submit"]:
            answers[name] = {}
            continue
        made = client.create_run_from_pipeline_package(
            package, how["arguments"], run_name=name + " by client", enable_caching=None if how["cache"] else False
        )
        answers[name] = {"run": made.run_id}
    except Exception:
        answers[name] = {"error": traceback.format_exc()}
json.dump(answers, open(pathlib.Path(folder, "answers.json"), "w"))
"""


class Runs:
    """The runs of all pipelines: started together, for each way when its first is asked for.

    Args:
        kedge: The host that runs them.
        asked: Which, and in which way, in the tests' order.
        folder: For sources and compiled pipelines.
        shared: For what steps leave behind.
    """

    def __init__(self, kedge: RunningHost, asked: list[tuple[str, str]], folder: Path, shared: Path) -> None:
        self._asked = asked
        self._shared = shared
        self._client = kedge.client
        self._kedge = kedge
        self._sources = folder
        self._answers: dict[str, Json] = {}
        self._started: dict[tuple[str, str], Json] = {}
        access = load(Path(kedge.host.kubeconfig))
        self.namespace = access.namespace
        self._at_once = _AT_ONCE if kedge.options else len(asked)
        objects = [each for case in {case for case, _ in asked} for each in stated(case, "OBJECTS") or ()]
        asyncio.run(_create(access, objects))

    def ended(self, case: str, way: str) -> tuple[Json, list[Json]]:
        """A run that is over, and its tasks."""
        due = [each for each in self._asked[: self._asked.index((case, way)) + self._at_once] if each not in self._started]
        if clients := [name for name, other in due if other == "client"]:
            self._compile(clients, submit=True)
            self._started |= {(name, "client"): self._answers[name] for name in clients}
        for name, other in due:
            if other != "client":
                self._started[name, other] = self._start(name, other)
        started = self._started[case, way]
        assert "run" in started, started["error"]
        return self._client.wait(started["run"]), self._client.tasks(started["run"])

    def _start(self, case: str, way: str) -> Json:
        if way == "kedge":
            return self._submit(case, way, partial(compile_file, CASES[case], pipeline_name="pipeline"))
        if case not in self._answers:
            self._compile([name for name, other in self._asked if other == way and name not in self._answers], submit=False)
        compiled = self._sources / f"{case}.yaml"
        return self._submit(case, way, partial(_read, compiled)) if compiled.exists() else self._answers[case]

    def _compile(self, cases: list[str], *, submit: bool) -> None:
        """Have kfp compile pipelines, and a kfp.Client submit them."""
        asked: dict[str, Json] = {}
        for name in cases:
            source = CASES[name].read_text().replace("from kedge.dsl import kubernetes", "from kfp import kubernetes")
            (self._sources / f"{name}.py").write_text(source.replace("from kedge", "from kfp"))
            how = {"submit": submit, "cache": bool(expected(name).get("cache"))}
            asked[name] = {**how, "arguments": self._arguments(name, "client") if submit else {}}
        python, host = client_environment("kfp", KFP), self._kedge.host
        arguments = [str(python), "-c", CLIENT, str(self._sources), host.http, host.token]
        subprocess.run(arguments, input=json.dumps(asked), check=True, text=True, stdout=subprocess.DEVNULL)
        self._answers |= json.loads((self._sources / "answers.json").read_text())

    def _submit(self, name: str, way: str, document: Callable[[], documents.Document]) -> Json:
        parameters, cache = self._arguments(name, way), bool(expected(name).get("cache"))
        try:
            made = self._client.run(document(), parameters=parameters, name=f"{name} by {way}", cache=cache)
        except PipelineError as error:
            return {"error": str(error)}
        return {"run": made["run_id"]}

    def _arguments(self, case: str, way: str) -> Json:
        found = stated(case, "ARGUMENTS")
        if "folder" in found:
            found["folder"] = str(self._shared / way / case)
            Path(found["folder"]).mkdir(parents=True)
        if "way" in found:
            found["way"] = way
        return found


async def _create(access: Access, objects: list[Json]) -> None:
    kinds = {kind.kind: kind for kind in KINDS}
    async with HttpClient(access) as client:
        for each in objects:
            metadata = {**each["metadata"], "namespace": access.namespace}
            await client.create(kinds[each["kind"]], {**each, "metadata": metadata})


def _read(path: Path) -> documents.Document:
    return documents.read(path.read_text())


def stated(case: str, name: str) -> Any:
    """What a pipeline's file says about itself; an empty mapping where it does not."""
    for line in ast.parse(CASES[case].read_text()).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name) and line.targets[0].id == name:
            return ast.literal_eval(line.value)
    return {}


def expected(case: str) -> Json:
    """What comes of a pipeline."""
    return stated(case, "EXPECTED")


def ways(case: str) -> tuple[str, ...]:
    """The ways that a pipeline goes: all three, unless it uses what kfp refuses to compile, or what the host does not serve."""
    kind = expected(case).get("kind")
    return () if kind and kind not in {known.kind for known in KINDS} else expected(case).get("ways", WAYS)


@pytest.fixture(scope="module")
def runs(either_host: RunningHost, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The runs of all pipelines that are tested, on one host."""
    given: list[Json] = [each.params for item in request.session.items if (each := getattr(item, "callspec", None)) is not None]
    host = "cluster" if either_host.options else "embedded"
    asked = [(each["case"], each["way"]) for each in given if each.get("either_host") == host and "way" in each]
    with TemporaryDirectory(dir=shared_folder()) as shared:
        yield Runs(either_host, asked, tmp_path_factory.mktemp("pipelines"), Path(shared))


@pytest.mark.acceptance
@pytest.mark.parametrize(("case", "way"), [(case, way) for way in WAYS for case in CASES if way in ways(case)])
def test_a_pipeline_gives_what_its_semantics_say(runs: Runs, case: str, way: str) -> None:
    run, tasks = runs.ended(case, way)
    wanted = json.loads(json.dumps(expected(case)).replace("{namespace}", runs.namespace))
    failures = {task["id"]: task["error"]["message"] for task in tasks if task.get("error")}
    assert run["state"] == wanted.get("state", "SUCCEEDED"), failures
    if "failure" in wanted:
        assert wanted["failure"] in run["error"]["message"]
    if "outputs" in wanted:
        assert exactly(run_outputs(tasks), wanted["outputs"])
    steps = by_name(tasks)
    # kfp.Client turns the cache off for the root's own tasks alone: an inner one may find what the other ways have made.
    word = {} if way != "client" or wanted.get("cache") else {"CACHED": "SUCCEEDED"}
    for name, states in wanted.get("tasks", {}).items():
        found = [word.get(task["state"], task["state"]) for task in steps.get(name, [])]
        assert found == ([states] if isinstance(states, str) else states), name
    for name, values in wanted.get("returned", {}).items():
        made = [task.get("outputs", {}).get("parameters", {}) for task in steps[name]]
        assert exactly(made, [values] if isinstance(values, dict) else values), name


@pytest.mark.acceptance
def test_exit_tasks_are_told_upstreams_word_for_success_where_the_setting_says_so(start_host: StartHost) -> None:
    with start_host({"KEDGE_FINAL_STATUS": "COMPLETE"}) as kedge:
        run = kedge.client.run(compile_file(CASES["exit_handler_after_success"]))
        kedge.client.wait(run["run_id"])
        report = by_name(kedge.client.tasks(run["run_id"]))["report"][0]
    assert report["outputs"]["parameters"]["Output"][0] == "COMPLETE"


def run_outputs(tasks: list[Json]) -> Json:
    """Output parameters of the pipeline itself."""
    return next(task for task in tasks if not task["id"]).get("outputs", {}).get("parameters", {})


def by_name(tasks: list[Json]) -> dict[str, list[Json]]:
    """Steps and imports by name; those of a loop in the order of its items."""
    found: dict[str, list[Json]] = {}
    for task in sorted(tasks, key=lambda task: [(part.isdecimal() and int(part), part) for part in task["id"].split(".")]):
        if task["kind"] in ("step", "importer"):
            found.setdefault(task["name"], []).append(task)
    return found


def exactly(found: Any, wanted: Any) -> bool:
    """Whether JSON values are equal, and whole numbers where whole numbers are wanted; shows both where they are not."""
    assert json.dumps(found, indent=1, sort_keys=True) == json.dumps(wanted, indent=1, sort_keys=True)
    return True
