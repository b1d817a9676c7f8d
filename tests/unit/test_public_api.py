"""The public API is one list, and importing it costs nothing."""

import importlib
import subprocess
import sys

import pytest

import kedge

PUBLIC = {
    "kedge": ["Client", "KedgeError", "Run", "__version__", "compile", "dsl", "run"],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_this_list(module: str) -> None:
    assert sorted(importlib.import_module(module).__all__) == sorted(PUBLIC[module])


def test_every_public_name_can_be_loaded_and_is_listed_by_dir() -> None:
    assert dir(kedge) == sorted(kedge.__all__)
    for name in kedge.__all__:
        assert getattr(kedge, name) is not None


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match=r"module 'kedge' has no attribute 'Cleint'; it has Client, "):
        _ = kedge.Cleint  # pyright: ignore[reportAttributeAccessIssue]  # that it is missing is the point


def test_importing_a_module_that_only_kfp_has_says_what_to_do_instead() -> None:
    with pytest.raises(ImportError, match=r"kfp\.local has no counterpart in Kedge\. .*kedge\.run\(pipeline, name=value"):
        exec("from kedge import local")  # noqa: S102  # as a user's script does


@pytest.mark.parametrize("statement", ["import kedge", "from kedge import dsl"])
def test_importing_loads_no_third_party_module(statement: str) -> None:
    def modules(program: str) -> set[str]:
        program += "\nimport sys\nprint(*{name.partition('.')[0] for name in sys.modules})"
        return set(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split())

    assert modules(statement) - modules("") - set(sys.stdlib_module_names) == {"kedge"}


@pytest.mark.parametrize("statement", ["import kedge", "from kedge import dsl"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    """The budget (60 ms) is measured by bench/; this holds off the import of something large by accident."""

    def modules(program: str) -> set[str]:
        program += "\nimport sys\nprint(*sys.modules)"
        return set(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split())

    heavy = [
        "asyncio",
        "concurrent",
        "ctypes",
        "email",
        "http",
        "logging",
        "multiprocessing",
        "sqlite3",
        "ssl",
        "subprocess",
        "unittest",
        "urllib",
        "xml",
    ]
    loaded = modules(statement) - modules("pass")
    assert not loaded & set(heavy)
    assert len(loaded) < 150
