"""Pipelines that unmodified ``kfp`` packages compile, of several versions, run as they are on a real host."""

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from environments import client_environment

from kedge.pipelines import documents
from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost, running_host

NEWEST = "2.17.0"
# The template changed in 2.10 (use_venv), 2.14 (the user's packages first), 2.15 (embedded files) and 2.17 (--no-deps).
VERSIONS = ["2.9.0", "2.11.0", "2.13.0", "2.14.6", "2.15.2", NEWEST]
# The same line, as kfp writes it and as somebody has edited it.
LINES = pytest.mark.parametrize("line", ["--quiet", "-q"], ids=["recognised", "edited"])
COMPILE = "\nimport sys\nfrom kfp import compiler\ncompiler.Compiler().compile(pipeline, sys.argv[1])\n"


def compiled(source: str, folder: Path, version: str = NEWEST) -> str:
    """The text that an unmodified kfp makes of a source with a function ``pipeline``."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "source.py"
    file.write_text(source + COMPILE)
    python = client_environment("kfp", [f"kfp=={version}"])
    argv = [python, "-W", "ignore", file, folder / "pipeline.yaml"]
    done = subprocess.run(argv, cwd=folder, check=False, capture_output=True, text=True)
    assert not done.returncode, done.stdout + done.stderr
    return (folder / "pipeline.yaml").read_text()


def run(kedge: RunningHost, text: str, **parameters: Any) -> dict[str, Any]:
    """Run a pipeline to its end and return it."""
    started = kedge.client.run(documents.read(text), parameters=parameters)
    return kedge.client.wait(started["run_id"])


def outputs(kedge: RunningHost, text: str, **parameters: Any) -> dict[str, Any]:
    """Run a pipeline well, and return its outputs that are parameters."""
    ended = run(kedge, text, **parameters)
    assert ended["state"] == "SUCCEEDED", logs(kedge, ended)
    root = next(task for task in kedge.client.tasks(ended["run_id"]) if not task.get("name"))
    return root["outputs"]["parameters"]


def logs(kedge: RunningHost, ended: dict[str, Any]) -> str:
    """What the steps of a run have said, and why it failed."""
    done = kedge.cli("logs", ended["run_id"])
    return f"{ended.get('error')}\n{done.stdout}\n{done.stderr}"


EVERYTHING = """
from typing import Dict, List, NamedTuple, Optional

from kfp import dsl
from kfp.dsl import Artifact, ClassificationMetrics, Dataset, HTML, Input, InputPath, Markdown, Metrics, Model, Output, OutputPath


@dsl.component(base_image="python:3.11")
def make(
    n: int,
    table: Output[Dataset],
    model: Output[Model],
    numbers: Output[Metrics],
    curve: Output[ClassificationMetrics],
    page: Output[HTML],
    note: Output[Markdown],
    length: OutputPath(int),
    text: OutputPath(Dataset),
) -> NamedTuple("Made", [("count", int), ("share", float), ("names", List[str]), ("by_name", Dict[str, int])]):
    import logging

    logging.info("making %s", n)
    with open(table.path, "w") as file:
        file.write("x" * n)
    table.metadata["rows"] = n
    model.framework = "none"
    with open(model.path, "w") as file:
        file.write("model")
    numbers.log_metric("accuracy", 0.5)
    curve.log_roc_curve([0.0, 1.0], [0.0, 1.0], [1.0, 0.0])
    for one in (page, note):
        with open(one.path, "w") as file:
            file.write("<p>hello</p>")
    with open(length, "w") as file:
        file.write(str(n))
    with open(text, "w") as file:
        file.write("plain")
    return n + 1, n / 2, ["a", "b"], {"a": n}


@dsl.component(base_image="python:3.11")
def read(
    table: Input[Dataset],
    model: Input[Model],
    text: InputPath("Dataset"),
    count: int,
    share: float,
    names: List[str],
    by_name: Dict[str, int],
    length: int,
    flag: bool = True,
    word: Optional[str] = None,
    other: Optional[str] = "default",
    numbers: list = [1, 2],
) -> str:
    with open(table.path) as file:
        size = len(file.read())
    with open(text) as file:
        plain = file.read()
    rows = table.metadata["rows"]
    found = (type(table).__name__, size, int(rows), type(model).__name__, model.framework, plain, count, share, names, by_name)
    return repr((*found, length, flag, word, other, numbers))


@dsl.component(base_image="python:3.11")
def one(item: int) -> Dataset:
    made = Dataset(uri=dsl.get_uri("mine"), metadata={"item": item})
    with open(made.path, "w") as file:
        file.write("y" * item)
    return made


@dsl.component(base_image="python:3.11")
def together(tables: Input[List[Dataset]]) -> list:
    return [len(open(table.path).read()) for table in tables]


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def plain(model: Input[Artifact]) -> Artifact:
    return "text of a " + type(model).__name__


@dsl.component(base_image="python:3.11")
def content(artifact: Input[Artifact]) -> str:
    with open(artifact.path) as file:
        return file.read()


@dsl.component(base_image="python:3.11")
def told(status: dsl.PipelineTaskFinalStatus) -> str:
    print("status:", status.state, status.pipeline_task_name, status.error_message)
    return status.state


@dsl.pipeline(name="everything")
def pipeline(n: int = 3) -> NamedTuple("Outputs", [("read", str), ("sizes", list), ("content", str)]):
    exit_task = told()
    with dsl.ExitHandler(exit_task):
        one(item=1)
    made = make(n=n)
    out = made.outputs
    got = read(
        table=out["table"], model=out["model"], text=out["text"], count=out["count"], share=out["share"], names=out["names"],
        by_name=out["by_name"], length=out["length"],
    )
    with dsl.ParallelFor([1, 2, 3]) as item:
        each = one(item=item)
    sizes = together(tables=dsl.Collected(each.output))
    last = content(artifact=plain(model=out["model"]).output)
    from collections import namedtuple
    return namedtuple("Outputs", "read sizes content")(got.output, sizes.output, last.output)
"""


@pytest.mark.once_on_a_cluster
@pytest.mark.parametrize("version", VERSIONS)
def test_the_whole_contract_of_a_step_is_kept_for_what_every_version_compiles(
    version: str, either_host: RunningHost, tmp_path: Path
) -> None:
    got = outputs(either_host, compiled(EVERYTHING, tmp_path, version), n=3)
    assert ast.literal_eval(got["read"]) == (
        "Dataset", 3, 3, "Model", "none", "plain", 4, 1.5, ["a", "b"], {"a": 3}, 3, True, None, "default", [1, 2],
    )  # fmt: skip
    assert got["sizes"] == [1, 2, 3]
    assert got["content"] == "text of a Model"


def test_what_a_line_that_somebody_edited_makes_is_the_same(either_host: RunningHost, tmp_path: Path) -> None:
    text = compiled(EVERYTHING, tmp_path)
    edited = text.replace("--no-warn-script-location", "--no-warn-script-location -q").replace(
        "program_path=$(mktemp -d)", "program_path=$(mktemp  -d)"
    )
    assert edited != text
    assert outputs(either_host, edited, n=4)["sizes"] == [1, 2, 3]


PACKAGES = """
from kfp import dsl

@dsl.component(base_image="python:3.11", packages_to_install=["six==1.16.0"]{options})
def version() -> str:
    import importlib.metadata
    import sys
    import six
    assert "kedge" in sys.modules["kfp.dsl"].Dataset.__module__
    return six.__version__ + str([d.name for d in importlib.metadata.distributions() if d.name.startswith("kfp")])

@dsl.pipeline(name="packages")
def pipeline() -> str:
    return version().output
"""


@pytest.mark.parametrize(
    ("version", "options"),
    [
        ("2.9.0", ""),
        ("2.11.0", ", use_venv=True"),
        (NEWEST, ", use_venv=True"),
        (NEWEST, ", install_kfp_package=False"),
        (NEWEST, ', kfp_package_path="git+https://example.invalid/pipelines@refs/pull/1/merge#subdirectory=sdk/python"'),
        ("2.15.2", ', kfp_package_path="kfp==2.15.0"'),
    ],
)
def test_the_users_packages_are_installed_and_kfp_is_not(
    version: str, options: str, either_host: RunningHost, tmp_path: Path
) -> None:
    text = compiled(PACKAGES.replace("{options}", options), tmp_path, version)
    assert outputs(either_host, text) == {"Output": "1.16.0[]"}


def test_a_line_that_somebody_edited_installs_the_rest_for_its_own_step_only(either_host: RunningHost, tmp_path: Path) -> None:
    text = compiled(PACKAGES.replace("{options}", ", use_venv=True").replace("1.16.0", "1.15.0"), tmp_path)
    edited = text.replace("--no-warn-script-location", "--no-warn-script-location --no-input")
    assert outputs(either_host, edited) == {"Output": "1.15.0[]"}
    absent = PACKAGES.replace(', packages_to_install=["six==1.16.0"]{options}', "").replace("import six", "import importlib.util")
    absent = absent.replace("six.__version__", "str(importlib.util.find_spec('six'))")
    assert outputs(either_host, compiled(absent, tmp_path / "absent")) == {"Output": "None[]"}


INTERPRETERS = """
from kfp import dsl

@dsl.component(base_image="python:{version}")
def version(numbers: list, word: dsl.Output[dsl.Dataset]) -> str:
    import sys
    with open(word.path, "w") as file:
        file.write("a")
    return "%d.%d" % sys.version_info[:2] + str(numbers)

@dsl.pipeline(name="interpreters")
def pipeline() -> str:
    return version(numbers=[1]).outputs["Output"]
"""


@LINES
@pytest.mark.parametrize("version", ["3.8", "3.9", "3.12"])
def test_a_component_runs_under_the_interpreter_of_its_image(
    version: str,
    line: str,
    either_host: RunningHost,
    tmp_path: Path,
) -> None:
    text = compiled(INTERPRETERS.replace("{version}", version), tmp_path)
    assert outputs(either_host, text.replace("--quiet", line)) == {"Output": f"{version}[1]"}


BEYOND = """
from kfp import dsl

@dsl.component(base_image="python:3.11")
def nested(data: dsl.Input[dsl.Dataset], copy: dsl.Output[dsl.Dataset]) -> str:
    from kfp import compiler

    @dsl.container_component
    def echo():
        return dsl.ContainerSpec(image="alpine", command=["echo"])

    compiler.Compiler().compile(echo, "/tmp/echo.yaml")
    with open(data.path) as file, open(copy.path, "w") as target:
        target.write(file.read())
    copy.metadata["client"] = kfp.Client.__name__
    return copy.uri.partition(":")[0] + " " + open("/tmp/echo.yaml").read().partition(chr(10))[0]

@dsl.component(base_image="python:3.11")
def make() -> dsl.Dataset:
    return "content"

@dsl.component(base_image="python:3.11")
def see(copy: dsl.Input[dsl.Dataset]) -> str:
    with open(copy.path) as file:
        return file.read() + copy.metadata["client"]

@dsl.pipeline(name="beyond")
def pipeline() -> str:
    done = nested(data=make().output)
    return see(copy=done.outputs["copy"]).output
"""


def test_a_step_that_uses_more_of_kfp_gets_the_real_package(either_host: RunningHost, tmp_path: Path) -> None:
    assert outputs(either_host, compiled(BEYOND, tmp_path)) == {"Output": "contentClient"}


def test_more_of_kfp_that_is_only_seen_while_the_step_runs_is_the_real_package_too(
    either_host: RunningHost, tmp_path: Path
) -> None:
    source = BEYOND.replace("from kfp import compiler", "compiler = __import__('importlib').import_module('kf' + 'p.compiler')")
    source = source.replace("kfp.Client.__name__", "'Client'").replace(
        "    @dsl.container", "    from kfp import dsl\n    @dsl.container"
    )
    assert outputs(either_host, compiled(source, tmp_path)) == {"Output": "contentClient"}


MODULES = """
from kedge import dsl

@dsl.component
def modules() -> list:
    import kfp
    from kfp.dsl import executor, structures
    assert kfp.Client is kfp.Client
    return [executor.Executor.__module__, structures.ComponentSpec.__module__, kfp.Client.__module__]

@dsl.pipeline
def pipeline() -> list:
    return modules().output
"""


def test_a_step_that_kedge_compiled_gets_the_real_packages_modules_too(either_host: RunningHost, tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text(MODULES)
    started = either_host.client.run(compile_file(tmp_path / "pipeline.py"))
    ended = either_host.client.wait(started["run_id"])
    assert ended["state"] == "SUCCEEDED", logs(either_host, ended)
    made = next(task for task in either_host.client.tasks(started["run_id"]) if task.get("name") == "modules")
    assert made["outputs"]["parameters"]["Output"] == ["kfp.dsl.executor", "kfp.dsl.structures", "kfp.client.client"]


WHOSE = """
from kfp import dsl

@dsl.component(base_image="python:3.11")
def whose(data: dsl.Input[dsl.Dataset]) -> str:
    with open(data.path) as file:
        return dsl.Dataset.__module__.partition(".")[0] + file.read()

@dsl.component(base_image="python:3.11")
def make(out: dsl.Output[dsl.Dataset]):
    with open(out.path, "w") as file:
        file.write("!")

@dsl.pipeline(name="whose")
def pipeline() -> str:
    task = whose(data=make().outputs["out"])
    {setting}
    return task.output
"""


@LINES
@pytest.mark.parametrize("runtime", ["", "installed"])
def test_whose_runtime_a_step_has_can_be_chosen(
    runtime: str,
    line: str,
    either_host: RunningHost,
    tmp_path: Path,
) -> None:
    setting = f"task.set_env_variable('KEDGE_KFP_RUNTIME', '{runtime}')" if runtime else "pass"
    text = compiled(WHOSE.replace("{setting}", setting), tmp_path)
    assert outputs(either_host, text.replace("--quiet", line)) == {"Output": "kfp!" if runtime else "kedge!"}


@pytest.fixture(scope="module")
def offline_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host that has never built an environment and reaches no network."""
    nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    caches = {name: str(tmp_path_factory.mktemp("cache")) for name in ("KEDGE_CACHE", "UV_CACHE_DIR")}
    with running_host({**nowhere, **caches, "UV_OFFLINE": "1"}) as kedge:
        yield kedge


@LINES
def test_components_need_no_network(
    line: str,
    offline_host: RunningHost,
    tmp_path: Path,
) -> None:
    text = compiled(EVERYTHING, tmp_path)
    assert outputs(offline_host, text.replace("--quiet", line))["content"] == "text of a Model"


def test_without_a_network_a_step_that_needs_the_real_package_says_so(offline_host: RunningHost, tmp_path: Path) -> None:
    text = compiled(BEYOND, tmp_path)
    started = offline_host.client.run(documents.read(text))
    ended = offline_host.client.wait(started["run_id"])
    assert ended["state"] == "FAILED"
    failed = json.dumps([task.get("error") for task in offline_host.client.tasks(started["run_id"])])
    assert f"kfp=={NEWEST}" in failed
    assert "could not be built" in failed


def test_a_line_that_fails_after_the_function_has_made_nothing(either_host: RunningHost, tmp_path: Path) -> None:
    text = compiled(WHOSE.replace("{setting}", "pass"), tmp_path).replace('\\"$@\\"\\n"', '\\"$@\\"\\nexit 7\\n"')
    edited = text.replace('"$@"\n', '"$@"\nexit 7\n') if "exit 7" not in text else text
    ended = run(either_host, edited)
    assert ended["state"] == "FAILED"
    make = next(task for task in either_host.client.tasks(ended["run_id"]) if task.get("name") == "make")
    assert make["state"] == "FAILED"
    assert not make.get("outputs", {}).get("artifacts")


EMBEDDED = """
from kfp import dsl

def twice(n: int) -> int:
    return 2 * n

@dsl.component(base_image="python:3.11", additional_funcs=[twice])
def call(n: int) -> int:
    return twice(n)

@dsl.component(base_image="python:3.11", embedded_artifact_path="folder")
def imports(files: dsl.EmbeddedInput[dsl.Dataset]) -> str:
    import os
    import beside
    return beside.NAME + type(files).__name__ + str(sorted(name for name in os.listdir(files.path) if "." in name))

@dsl.component(base_image="python:3.11", embedded_artifact_path="folder/words.txt")
def reads(file: dsl.EmbeddedInput[dsl.Artifact]) -> str:
    with open(file.path) as words:
        return words.read()

@dsl.component(base_image="python:3.11")
def configured(config: dsl.TaskConfig) -> str:
    return str(config.resources is None or bool(config.resources))

@dsl.component(base_image="python:3.11")
def joined(n: int, a: str, b: str, c: str) -> str:
    return f"{n} {a} {b} {c}"

@dsl.pipeline(name="embedded")
def pipeline() -> str:
    return joined(n=call(n=4).output, a=imports().output, b=reads().output, c=configured().output).output
"""


@pytest.mark.once_on_a_cluster
@pytest.mark.parametrize("version", ["2.15.2", NEWEST])
def test_what_travels_in_the_source_of_a_step_is_there(version: str, either_host: RunningHost, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "beside.py").write_text("NAME = 'beside'\n")
    (folder / "words.txt").write_text("some words")
    got = outputs(either_host, compiled(EMBEDDED, tmp_path, version))
    assert got == {"Output": "8 besideDataset['beside.py', 'words.txt'] some words True"}


NOTEBOOK = """
from kfp import dsl

@dsl.notebook_component(notebook_path="count.ipynb", base_image="python:3.11")
def count(n: int, made: dsl.Output[dsl.Dataset]):
    dsl.run_notebook(n=n, path=made.path)

@dsl.component(base_image="python:3.11")
def read(made: dsl.Input[dsl.Dataset]) -> str:
    with open(made.path) as file:
        return file.read()

@dsl.pipeline(name="notebook")
def pipeline(n: int) -> str:
    return read(made=count(n=n).outputs["made"]).output
"""


def write_notebook(folder: Path) -> None:
    texts = {"parameters": "n = 0\npath = ''", "": "open(path, 'w').write(str(n + 1))"}
    cells = [
        {
            "cell_type": "code",
            "metadata": {"tags": [tag]},
            "source": text,
            "outputs": [],
            "execution_count": None,
            "id": f"a{tag}",
        }
        for tag, text in texts.items()
    ]
    (folder / "count.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


@pytest.mark.slow
@pytest.mark.timeout(300)
@LINES
def test_a_notebook_is_run_as_a_step(line: str, either_host: RunningHost, tmp_path: Path) -> None:
    write_notebook(tmp_path)
    text = compiled(NOTEBOOK, tmp_path)
    assert outputs(either_host, text.replace("--quiet", line), n=41) == {"Output": "42"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_notebook_that_kedge_compiled_is_run_as_a_step(either_host: RunningHost, tmp_path: Path) -> None:
    write_notebook(tmp_path)
    (tmp_path / "source.py").write_text(NOTEBOOK.replace("from kfp", "from kedge"))
    assert outputs(either_host, documents.write(compile_file(tmp_path / "source.py")), n=41) == {"Output": "42"}


MODELS = """
from kfp import dsl

@dsl.component(base_image="python:3.11")
def make() -> dict:
    return {"name": "a", "sizes": [1, 2]}

@dsl.component(base_image="python:3.11")
def custom(out: dsl.Output[dsl.Artifact]):
    out.custom_path = "/tmp/mine.txt"
    with open(out.path, "w") as file:
        file.write("custom")

@dsl.component(base_image="python:3.11")
def see(given: dict, out: dsl.Input[dsl.Artifact], null: str = None) -> str:
    with open(out.path) as file:
        return f"{given} {file.read()} {null}"

@dsl.pipeline(name="models")
def pipeline() -> str:
    return see(given=make().output, out=custom().outputs["out"]).output
"""


def test_a_custom_path_is_where_the_artifact_is_taken_from(either_host: RunningHost, tmp_path: Path) -> None:
    assert outputs(either_host, compiled(MODELS, tmp_path)) == {"Output": "{'name': 'a', 'sizes': [1, 2]} custom None"}


@pytest.mark.timeout(600)  # it installs the real package for two versions
def test_a_host_can_run_every_component_under_the_real_package(tmp_path: Path) -> None:
    text = compiled(WHOSE.replace("{setting}", "pass"), tmp_path)
    with running_host({"KEDGE_KFP_RUNTIME": "installed"}) as kedge:
        for line in ("--quiet", "-q"):
            assert outputs(kedge, text.replace("--quiet", line)) == {"Output": "kfp!"}
        for version in (VERSIONS[0], NEWEST):
            got = outputs(kedge, compiled(EVERYTHING, tmp_path / version, version), n=3)
            assert (got["sizes"], got["content"]) == ([1, 2, 3], "text of a Model")
