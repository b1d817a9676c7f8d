"""A user's file is imported, its pipeline found and compiled; what goes wrong is told in the user's own lines."""

# ruff: noqa: E501  # a message is compared as it is read

import sys
from pathlib import Path
from typing import Any

import pytest

import kedge
from kedge.errors import PipelineError
from kedge.pipelines import documents
from kedge.pipelines.compiler import compile_file, compile_pipeline

HEAD = """\
from kedge import dsl
@dsl.component
def work(n: int = 1) -> int:
    return n
"""
ONE = HEAD + "@dsl.pipeline\ndef train(n: int = 3):\n    work(n=n)\n"
TWO = ONE + "@dsl.pipeline(name='check-it')\ndef check():\n    work()\n"
NESTED = ONE + "@dsl.pipeline\ndef whole():\n    train()\n"
NONE = HEAD


def saved(folder: Path, text: str, name: str = "pipeline.py") -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / name
    path.write_text(text)
    return path


FOUND: dict[str, tuple[str, dict[str, Any], str]] = {
    "the only one": (ONE, {}, "train"),
    "one by its function's name": (TWO, {"pipeline_name": "check"}, "check-it"),
    "one by its own name": (TWO, {"pipeline_name": "check-it"}, "check-it"),
    "the one that calls the others": (NESTED, {}, "whole"),
    "a part, by name": (NESTED, {"pipeline_name": "train"}, "train"),
    "a component, by name": (NONE, {"pipeline_name": "work"}, "work"),
}


@pytest.mark.parametrize("case", FOUND)
def test_the_pipeline_is_found(case: str, tmp_path: Path) -> None:
    text, options, expected = FOUND[case]
    assert compile_file(saved(tmp_path, text), **options).pipeline["pipelineInfo"]["name"] == expected


def test_defaults_and_names_can_be_given(tmp_path: Path) -> None:
    document = compile_file(saved(tmp_path, ONE), parameters={"n": 7}, display_name="Mine")
    assert document.pipeline["root"]["inputDefinitions"]["parameters"]["n"]["defaultValue"] == 7
    assert document.pipeline["pipelineInfo"] == {"name": "train", "displayName": "Mine"}


def test_a_document_written_and_read_is_the_same(tmp_path: Path) -> None:
    document = compile_file(saved(tmp_path, ONE))
    assert documents.read(documents.write(document)) == document


# id: (text of the file, options, message; {file} is its path)
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "no pipeline": ("x = 1\n", {}, "{file}: the file defines no pipeline. Decorate a function with @dsl.pipeline."),
    "components alone": (
        NONE,
        {},
        "{file}: the file defines no pipeline. Decorate a function with @dsl.pipeline, or name a component to run alone: work.",
    ),
    "several pipelines": (TWO, {}, "{file}: the file defines 2 pipelines: train, check. Say which one by its name."),
    "an unknown pipeline": (
        TWO,
        {"pipeline_name": "test"},
        "{file}: there is no pipeline named 'test'. The file has work, train, check.",
    ),
    "a syntax error": (
        "from kedge import dsl\ndef f(:\n    pass\n",
        {},
        "{file}:2: invalid syntax.\n    def f(:\nCorrect that line.",
    ),
    "an exception": (
        "def f():\n    return {}['key']\nf()\n",
        {},
        (
            "{file}:2: the file could not be imported: KeyError: 'key'\n"
            '  File "{file}", line 3, in <module>\n    f()\n'
            "  File \"{file}\", line 2, in f\n    return {{}}['key']\nCorrect that line."
        ),
    ),
    "an exception in a pipeline": (
        "from kedge import dsl\n@dsl.pipeline\ndef p():\n    with dsl.ParallelFor([1]):\n        1 / 0\n",
        {},
        (
            "{file}:5: the file could not be imported: ZeroDivisionError: division by zero\n"
            '  File "{file}", line 2, in <module>\n    @dsl.pipeline\n'
            '  File "{file}", line 5, in p\n    1 / 0\nCorrect that line.'
        ),
    ),
    "a misspelt method": (
        HEAD + "@dsl.pipeline\ndef p():\n    work(n=1).set_cpu_limt('1')\n",
        {},
        'A task has no attribute "set_cpu_limt".\n  where: {file}:7\n  fix:   Did you mean "set_cpu_limit"?',
    ),
    "an exit": (
        "import sys\nsys.exit('no data')\n",
        {},
        (
            "{file}:2: the file could not be imported: SystemExit: no data\n"
            "  File \"{file}\", line 2, in <module>\n    sys.exit('no data')\nCorrect that line."
        ),
    ),
    "a relative import": (
        "from .features import scale\n",
        {},
        (
            "{file}:1: the file could not be imported: ImportError: attempted relative import with no known parent package\n"
            '  File "{file}", line 1, in <module>\n    from .features import scale\n'
            "A pipeline file is run as a script: without the dot, a module beside it is found, here and in every step."
        ),
    ),
    "a missing module": (
        "import nowhere_to_be_found.part\n",
        {},
        (
            "{file}:1: there is no module named 'nowhere_to_be_found' here.\n"
            "Put nowhere_to_be_found.py beside the pipeline file, or install the package here. What only the steps need is better imported "
            "inside of the component's function and listed in packages_to_install."
        ),
    ),
    "the other import line": (
        "from kfp import dsl\n",
        {},
        (
            "{file}:1: there is no module named 'kfp' here.\n"
            "Write `from kedge import dsl` in place of `from kfp import dsl`, and `from kedge.dsl import kubernetes` in place of "
            "`from kfp import kubernetes`; the names are the same."
        ),
    ),
    "a wrong pipeline": (
        HEAD + "@dsl.pipeline\ndef p():\n    work(m=1)\n",
        {},
        (
            'Task "work" in pipeline "p" has no input "m".\n  where: {file}:7\n  why:   Its inputs are "n".\n'
            '  fix:   Remove "m", or add it to the component.'
        ),
    ),
    "an unknown parameter": (
        ONE,
        {"parameters": {"m": 1}},
        'Pipeline "train" has no parameter "m".\n  where: {file}:5\n  why:   Its parameters are "n".\n  fix:   Correct the name.',
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_in_the_users_own_lines(case: str, tmp_path: Path) -> None:
    text, options, message = WRONG[case]
    path = saved(tmp_path, text)
    with pytest.raises(PipelineError) as caught:
        compile_file(path, **options)
    lines = [line for line in str(caught.value).splitlines() if not set(line.strip()) <= {"^", "~"}]
    assert "\n".join(lines) == message.format(file=path)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(PipelineError) as caught:
        compile_file("missing.py")
    assert str(caught.value) == "missing.py: there is no such file. Give the path of a Python file that defines a @dsl.pipeline."


def test_a_mistake_in_a_neighbour_is_told_with_the_neighbours_line(tmp_path: Path) -> None:
    saved(tmp_path, "x = 1\n1 / 0\n", "features.py")
    with pytest.raises(PipelineError, match=rf"{tmp_path}/features\.py:2: the file could not be imported: ZeroDivisionError"):
        compile_file(saved(tmp_path, "import features\n"))


USING = """\
from kedge import dsl
import features
@dsl.component
def inside(n: int = 1) -> int:
    import lazily
    return lazily.run(n)
@dsl.component
def outside(n: int = 1) -> int:
    return features.run(n)
@dsl.pipeline
def p():
    inside()
    outside()
"""


def test_neighbours_that_steps_import_travel_along(tmp_path: Path) -> None:
    saved(tmp_path, "def run(n): return n\n", "features.py")
    saved(tmp_path, "def run(n): return n\n", "lazily.py")
    saved(tmp_path, "", "unrelated.py")
    document = compile_file(saved(tmp_path, USING))
    project = document.platforms["kedge"]["config"]["project"]
    assert sorted(project) == ["archive", "digest"]
    assert documents.read(documents.write(document)).platforms == document.platforms
    # The file's own import of what a function uses travels with the function.
    outside = document.pipeline["deploymentSpec"]["executors"]["exec-outside"]["container"]["command"][3]
    assert "import features\n" in outside


def test_a_pipeline_without_neighbours_has_no_project(tmp_path: Path) -> None:
    assert compile_file(saved(tmp_path, ONE)).platforms == {}


def test_nothing_of_the_file_is_left_behind_and_changes_are_seen(tmp_path: Path) -> None:
    text = "from kedge import dsl\nfrom features import NAME\n@dsl.component\ndef work():\n    pass\n"
    text += "@dsl.pipeline(name=NAME)\ndef p():\n    work()\n"
    path = list(sys.path)
    for name in ("first", "second"):
        saved(tmp_path, f"NAME = {name!r}\n", "features.py")
        assert compile_file(saved(tmp_path, text)).pipeline["pipelineInfo"]["name"] == name
    assert ({name for name in sys.modules if name == "features" or name.startswith("kedge_pipeline")}, sys.path) == (set(), path)


def test_components_of_a_neighbour_that_changes_are_read_again(tmp_path: Path) -> None:
    pipeline = saved(tmp_path, "from kedge import dsl\nfrom parts import work\n@dsl.pipeline\ndef p():\n    work()\n")
    for line in ("return n", "return n + 1"):
        saved(tmp_path, "# a longer file\n" * len(line) + HEAD.replace("return n", line), "parts.py")
        [executor] = compile_file(pipeline).pipeline["deploymentSpec"]["executors"].values()
        assert executor["container"]["command"][3].endswith(f"    {line}\n")


def test_a_source_that_changes_is_read_again(tmp_path: Path) -> None:
    first = compile_file(saved(tmp_path, ONE))
    second = compile_file(saved(tmp_path, ONE.replace("return n", "return n + 1")))
    assert "return n + 1" in str(second.pipeline)
    assert "return n + 1" not in str(first.pipeline)


def test_pipelines_defined_in_a_program_are_packed_from_where_they_stand(tmp_path: Path) -> None:
    saved(tmp_path, "", "features.py")
    path = saved(tmp_path, HEAD.replace("return n", "import features; return n") + "@dsl.pipeline\ndef p():\n    work()\n")
    namespace: dict[str, Any] = {"__name__": "program"}
    exec(compile(path.read_text(), str(path), "exec"), namespace)  # noqa: S102
    assert "kedge" in compile_pipeline(namespace["p"]).platforms


def test_what_is_no_pipeline_is_named_with_the_decorator_that_makes_one(tmp_path: Path) -> None:
    def train() -> None:
        """Nobody has decorated it."""

    message = r"^train is no pipeline\. Decorate its function with @dsl\.pipeline, or give the path of a file\.$"
    for call in (kedge.run, lambda given: kedge.compile(given, tmp_path / "pipeline.yaml")):
        with pytest.raises(PipelineError, match=message):
            call(train)
