"""``--param``: values by declared type, and what a bad one gets."""

import re
from typing import Any

import pytest

from kedge.cli.parameters import read_parameters
from kedge.errors import PipelineError

PIPELINE: dict[str, Any] = {
    "pipelineInfo": {"name": "penguins"},
    "root": {
        "inputDefinitions": {
            "parameters": {
                "learning_rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.1},
                "epochs": {"parameterType": "NUMBER_INTEGER", "isOptional": True},
                "shuffle": {"parameterType": "BOOLEAN", "defaultValue": True},
                "models": {"parameterType": "LIST", "defaultValue": []},
                "options": {"parameterType": "STRUCT", "defaultValue": {}},
                "title": {"parameterType": "STRING", "defaultValue": ""},
                "kind": {"parameterType": "STRING", "defaultValue": "svm", "literals": ["svm", "tree"]},
            }
        }
    },
}
PARAMETERS = PIPELINE["root"]["inputDefinitions"]["parameters"]
NEEDY = {
    "pipelineInfo": {"name": "p"},
    "root": {"inputDefinitions": {"parameters": {"n": {"parameterType": "NUMBER_INTEGER"}, "s": {"parameterType": "STRING"}}}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("learning_rate=0.5", 0.5),
        ("learning_rate=1", 1),
        ("epochs=3", 3),
        ("shuffle=false", False),
        ("shuffle=True", True),
        ('models=["a", "b"]', ["a", "b"]),
        ('options={"a": {"b": 1}}', {"a": {"b": 1}}),
        ("title=12", "12"),
        ("title=a=b", "a=b"),
        ("title=", ""),
        ("kind=tree", "tree"),
    ],
)
def test_a_text_becomes_a_value_of_the_declared_type(text: str, value: object) -> None:
    assert list(read_parameters(PIPELINE, [text]).values()) == [value]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["lerning_rate=1"], "--param lerning_rate: pipeline 'penguins' has no such parameter. Did you mean learning_rate?"),
        (["zzz=1"], f"--param zzz: pipeline 'penguins' has no such parameter. It has: {', '.join(PARAMETERS)}."),
        (["epochs"], "--param epochs: must be NAME=VALUE, such as --param epochs=0.1."),
        (["epochs=1", "epochs=2"], "--param epochs: given twice. Give it once."),
        (["epochs=many"], "--param epochs: must be an integer, got 'many'."),
        (["epochs=1.5"], "--param epochs: must be an integer, got '1.5'."),
        (["epochs=true"], "--param epochs: must be an integer, got 'true'."),
        (["learning_rate=NaN"], "--param learning_rate: must be a number, got 'NaN'."),
        (["models=[NaN]"], """--param models: must be a JSON list, such as [1, 2] or ["a", "b"], got '[NaN]'."""),
        (["shuffle=1"], "--param shuffle: must be true or false, got '1'."),
        (["models=a,b"], """--param models: must be a JSON list, such as [1, 2] or ["a", "b"], got 'a,b'."""),
        (["kind=forest"], "--param kind: must be one of svm, tree; got 'forest'."),
    ],
)
def test_what_does_not_fit_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(PipelineError, match=f"^{re.escape(message)}$"):
        read_parameters(PIPELINE, texts)


def test_what_is_missing_is_named_with_the_option_that_gives_it() -> None:
    with pytest.raises(PipelineError, match=r"^Pipeline 'p' needs n, s, which have no default. Add --param n=1 --param s=TEXT.$"):
        read_parameters(NEEDY, [])


def test_a_pipeline_without_parameters_says_so() -> None:
    with pytest.raises(PipelineError, match=r"It has none\.$"):
        read_parameters({"pipelineInfo": {"name": "p"}, "root": {}}, ["a=1"])
