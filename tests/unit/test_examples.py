"""Every example in a docstring runs, and every public name of the language has one."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import kedge
from kedge import dsl

SOURCE = Path(kedge.__file__).parent
# Programs, not modules: they act when they are imported.
_PROGRAMS = ("launcher/again.py", "launcher/shims/", "db/migrations/")
_HOST = {"kedge.pipelines.client"}  # its example needs one; tests/acceptance has many
MODULES = [
    ".".join(("kedge", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>> " in path.read_text() and not path.relative_to(SOURCE).as_posix().startswith(_PROGRAMS)
]
# What is said of them is said of the class that they are an instance of.
_PLAIN = {"Condition", "HTML", "Markdown", "Model", "Dataset", "DslError", "TypeMismatch", "PipelineTaskFinalStatus"}


@pytest.mark.parametrize("module", sorted(set(MODULES) - _HOST))
def test_the_examples_of_a_module_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0
    assert found.attempted > 0


@pytest.mark.parametrize("name", sorted(set(dsl.__all__) - _PLAIN))
def test_a_name_of_the_language_has_an_example(name: str) -> None:
    value = getattr(dsl, name)
    if not callable(value):
        return
    texts = [inspect.getdoc(value) or ""]
    texts += [inspect.getdoc(part) or "" for part in vars(value).values()] if inspect.isclass(value) else []
    assert any(">>> " in text for text in texts), f"dsl.{name} has no example in its docstring"
