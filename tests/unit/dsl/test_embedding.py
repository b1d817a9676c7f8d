"""Files and notebooks that travel in a component's source, and the configuration that a component is told."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from kedge import dsl
from kedge.dsl import kubernetes
from kedge.dsl.compiling import compile as compiled
from kedge.dsl.embedding import LIMIT


def source_of(component: Any) -> str:
    return component.executor()["container"]["command"][3]


def loaded(component: Any) -> dict[str, Any]:
    """The names that a step's source defines."""
    names: dict[str, Any] = {"dsl": type("dsl", (), {})}
    text = source_of(component).partition("# kedge: file=<embedded>")[2].partition("\n")[2]
    exec(text.partition("\n# kedge: ")[0], names)  # noqa: S102  # the source that we made
    return names


def embed(path: Path) -> Any:
    @dsl.component(embedded_artifact_path=str(path))
    def step() -> None:
        pass

    return step


def notebook(path: Path) -> Any:
    @dsl.notebook_component(notebook_path=str(path))
    def step(n: int) -> None:
        dsl.run_notebook(n=n)

    return step


def test_a_step_unpacks_its_files_and_says_where_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "words.txt").write_text("words")
    whole, one = loaded(embed(folder)), loaded(embed(folder / "inner" / "words.txt"))
    assert (Path(whole["__KFP_EMBEDDED_ASSET_DIR"]) / "inner" / "words.txt").read_text() == "words"
    assert "__KFP_EMBEDDED_ASSET_FILE" not in whole
    assert Path(one["__KFP_EMBEDDED_ASSET_FILE"]).read_text() == "words"


def test_the_same_files_make_the_same_pipeline(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "words.txt").write_text("words")
    (tmp_path / "second" / "__pycache__").mkdir()
    (tmp_path / "second" / "__pycache__" / "words.pyc").write_text("what Python leaves behind")
    assert source_of(embed(tmp_path / "first")) == source_of(embed(tmp_path / "second"))
    (tmp_path / "second" / "words.txt").write_text("other words")
    assert source_of(embed(tmp_path / "first")) != source_of(embed(tmp_path / "second"))


def test_files_that_are_too_large_for_a_pipeline_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"".join(hashlib.sha256(bytes([n // 256, n % 256])).digest() for n in range(LIMIT // 31)))
    with pytest.raises(dsl.DslError, match=r"data is \d+ bytes when it is packed, and 1048576 can be embedded"):
        embed(tmp_path / "data")


def test_a_notebook_brings_its_folder_its_runner_and_its_packages(tmp_path: Path) -> None:
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "train-checkpoint.ipynb").write_text("{}")
    (tmp_path / "train.ipynb").write_text("{}")
    (tmp_path / "beside.py").write_text("")
    made = notebook(tmp_path)
    names = loaded(made)
    folder = Path(names["__KFP_EMBEDDED_ASSET_DIR"])
    assert sorted(path.name for path in folder.iterdir()) == ["beside.py", "train.ipynb"]
    assert names["__KFP_EMBEDDED_ASSET_FILE"] == str(folder / "train.ipynb")
    assert names["dsl"].run_notebook is names["__kedge_run_notebook"]
    assert "nbclient>=0.10,<1" in made.executor()["container"]["command"][2]


def test_of_two_notebooks_none_is_run(tmp_path: Path) -> None:
    for name in ("a.ipynb", "b.ipynb"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(dsl.DslError, match=r"has the notebooks a\.ipynb, b\.ipynb"):
        notebook(tmp_path)


def test_a_notebook_is_run_only_where_there_is_one() -> None:
    with pytest.raises(RuntimeError, match=r"declared with @dsl\.notebook_component"):
        dsl.run_notebook(n=1)


@dsl.component(task_config_passthroughs=[dsl.TaskConfigField.KUBERNETES_VOLUMES])
def launch(config: dsl.TaskConfig) -> None:
    pass


def test_a_component_says_in_the_ir_what_it_is_told() -> None:
    @dsl.pipeline
    def pipeline() -> None:
        kubernetes.empty_dir_mount(launch(), volume_name="v", mount_path="/v")

    component = compiled(pipeline).pipeline["components"]["comp-launch"]
    assert component["taskConfigPassthroughs"] == [{"field": "KUBERNETES_VOLUMES"}]
    assert component["inputDefinitions"]["parameters"] == {"config": {"parameterType": "TASK_CONFIG", "isOptional": True}}


@pytest.mark.parametrize(
    ("configure", "field"),
    [
        (lambda task: task.set_cpu_limit("1"), "RESOURCES"),
        (lambda task: task.set_env_variable("A", "b"), "ENV"),
        (lambda task: kubernetes.add_toleration(task, key="a", operator="Exists"), "KUBERNETES_TOLERATIONS"),
        (lambda task: kubernetes.add_node_selector(task, "a", "b"), "KUBERNETES_NODE_SELECTOR"),
        (
            lambda task: kubernetes.add_node_affinity(task, [{"key": "a", "operator": "In", "values": ["b"]}]),
            "KUBERNETES_AFFINITY",
        ),
    ],
    ids=["resources", "environment", "tolerations", "selector", "affinity"],
)
def test_what_a_component_does_not_hand_on_may_not_be_set(configure: Any, field: str) -> None:
    @dsl.pipeline
    def pipeline() -> None:
        configure(launch())

    with pytest.raises(dsl.DslError, match=f'Task "launch" sets {field}, which its component does not hand on'):
        compiled(pipeline)


@pytest.mark.parametrize(
    ("asked", "variable"),
    [
        ({}, "ARGO_DEBUG_PAUSE_AFTER"),
        ({"on_error": True}, "ARGO_DEBUG_PAUSE_ON_ERROR"),
        ({"before": True, "after": False}, "ARGO_DEBUG_PAUSE_BEFORE"),
    ],
)
def test_a_pause_is_asked_for_in_argos_words(asked: dict[str, bool], variable: str) -> None:
    @dsl.pipeline
    def pipeline() -> None:
        launch_any().set_debug_pause(**asked)

    (executor,) = compiled(pipeline).pipeline["deploymentSpec"]["executors"].values()
    assert executor["container"]["env"] == [{"name": variable, "value": "true"}]
    assert json.dumps(executor)


@dsl.component
def launch_any() -> None:
    pass
