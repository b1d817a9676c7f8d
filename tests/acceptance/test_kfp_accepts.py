"""What Kedge compiles is what `kfp` compiles: the unmodified package loads it, and means the same by the same source."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from environments import client_environment
from ir_meaning import meaning

from kedge.pipelines import documents
from kedge.pipelines.compiler import compile_file

KFP = ["kfp==2.17.0", "kfp-kubernetes==2.17.0"]
PIPELINES = sorted((Path(__file__).parent / "pipelines").glob("*.py"))
NAMES = [path.stem for path in PIPELINES]

# Runs under kfp's interpreter. Arguments: a folder of sources and Kedge's YAML; it adds what kfp makes of each, as JSON.
CLIENT = '''
import json, pathlib, runpy, sys, traceback, warnings

warnings.simplefilter("ignore")
import yaml
from google.protobuf import json_format
from kfp import compiler, components
from kfp.pipeline_spec import pipeline_spec_pb2


def documents(path):
    found = list(yaml.safe_load_all(path.read_text()))
    return {"pipeline": found[0], "platforms": found[1]["platforms"] if len(found) > 1 else {}}


def compiled(source):
    target = source.with_suffix(".kfp.yaml")
    compiler.Compiler().compile(runpy.run_path(str(source))["pipeline"], str(target))
    return documents(target)


def loaded(text, target):
    """Loaded by kfp, and compiled by it again."""
    json_format.ParseDict(yaml.safe_load(text.split("\\n---\\n")[0]), pipeline_spec_pb2.PipelineSpec())
    compiler.Compiler().compile(components.load_component_from_text(text), str(target))
    return documents(target)


answers = {}
for source in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    answers[source.stem] = answer = {}
    for what, make in {
        "compiled": lambda: compiled(source),
        "loaded": lambda: loaded(source.with_suffix(".yaml").read_text(), source.with_suffix(".loaded.yaml")),
    }.items():
        try:
            answer[what] = make()
        except Exception:
            answer[what] = traceback.format_exc()
json.dump(answers, sys.stdout)
'''


@pytest.fixture(scope="module")
def ours() -> dict[str, documents.Document]:
    """Every pipeline, compiled by Kedge."""
    return {path.stem: compile_file(path) for path in PIPELINES}


@pytest.fixture(scope="module")
def theirs(ours: dict[str, documents.Document], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the unmodified kfp makes of each: of our YAML, and of the source with the import line changed."""
    folder = tmp_path_factory.mktemp("kfp")
    for path in PIPELINES:
        (folder / path.name).write_text(
            path.read_text().replace("from kedge.dsl import k", "from kfp import k").replace("from kedge", "from kfp")
        )
        (folder / f"{path.stem}.yaml").write_text(documents.write(ours[path.stem]))
    python = client_environment("kfp", KFP)
    done = subprocess.run([python, "-c", CLIENT, str(folder)], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_kfp_loads_what_kedge_compiled_and_means_the_same(
    name: str, ours: dict[str, documents.Document], theirs: dict[str, Any]
) -> None:
    loaded = theirs[name]["loaded"]
    assert isinstance(loaded, dict), loaded
    assert meaning(_plain(loaded["pipeline"]))["steps"] == meaning(_plain(ours[name].pipeline))["steps"]


@pytest.mark.parametrize("name", NAMES)
def test_changing_the_import_line_changes_nothing(name: str, ours: dict[str, documents.Document], theirs: dict[str, Any]) -> None:
    compiled = theirs[name]["compiled"]
    assert isinstance(compiled, dict), compiled
    assert meaning(_plain(ours[name].pipeline)) == meaning(_plain(compiled["pipeline"]))
    assert ours[name].platforms == compiled["platforms"]


def _plain(pipeline: dict[str, Any]) -> dict[str, Any]:
    """As JSON; the two components that come with the language are described in words of our own."""
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(pipeline))
    for name in {"comp-createpvc", "comp-deletepvc"} & made["components"].keys():
        for side in ("inputDefinitions", "outputDefinitions"):
            for parameter in made["components"][name].get(side, {}).get("parameters", {}).values():
                parameter.pop("description", None)
    return made


RUNNABLE = """
from typing import NamedTuple
from kedge import dsl

FACTOR = 3

@dsl.component(install_kfp_package=False)
def make(n: int, out: dsl.Output[dsl.Dataset], metrics: dsl.Output[dsl.Metrics]) -> NamedTuple("Made", [("a", int), ("b", str)]):
    with open(out.path, "w") as file:
        file.write("x" * n)
    metrics.log_metric("n", n)
    return n * FACTOR, "done"

@dsl.component(install_kfp_package=False)
def use(data: dsl.Input[dsl.Dataset], k: int) -> dsl.Model:
    with open(data.path) as file:
        size = len(file.read())
    model = dsl.Model(uri=dsl.get_uri("mine"), metadata={"size": size, "k": k})
    with open(model.path, "w") as file:
        file.write("m")
    return model

@dsl.component(install_kfp_package=False, embedded_artifact_path="words.txt")
def tell(model: dsl.Input[dsl.Model], word: str, words: dsl.EmbeddedInput[dsl.Dataset]) -> str:
    with open(words.path) as file:
        word = file.read() + word
    return f"{word} {int(model.metadata['size'])} {int(model.metadata['k'])}"

@dsl.pipeline
def pipeline(n: int = 4) -> str:
    made = make(n=n)
    used = use(data=made.outputs["out"], k=made.outputs["a"])
    return tell(model=used.output, word=made.outputs["b"]).output
"""

RUNNER = """
import json, sys
from kfp import components, local

local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[2])
task = components.load_component_from_file(sys.argv[1])(n=5)
json.dump(task.outputs, open(sys.argv[3], "w"))
"""


def test_what_kedge_compiled_runs_under_the_runtime_of_kfp(tmp_path: Path) -> None:
    source, target, answer = tmp_path / "pipeline.py", tmp_path / "pipeline.yaml", tmp_path / "answer.json"
    source.write_text(RUNNABLE)
    (tmp_path / "words.txt").write_text("well ")
    target.write_text(documents.write(compile_file(source)))
    python = client_environment("kfp", KFP)
    done = subprocess.run(
        [python, "-W", "ignore", "-c", RUNNER, target, tmp_path / "outputs", answer], check=False, capture_output=True, text=True,
        # Steps start as `python3`; on another backend that is the image's.
        env={"PATH": f"{python.parent}:{os.defpath}", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert not done.returncode, done.stdout + done.stderr
    assert json.loads(answer.read_text()) == {"Output": "well done 5 15"}
