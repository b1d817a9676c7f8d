"""When a step may be forked: each row of the table."""

from dataclasses import replace
from typing import Any

import pytest

from kedge.node.forking import CONDITIONS, Start, why_not

FINE = Start(platform="linux", allowed=True, launcher=True, variables=["KEDGE_STEP", "MODEL", "PATH"])


def test_an_ordinary_step_is_forked() -> None:
    assert why_not(FINE) == ("", "")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param({"launcher": False}, "NotLauncher", id="another program"),
        pytest.param({"allowed": False}, "Disabled", id="a setting"),
        pytest.param({"platform": "darwin"}, "Platform", id="macOS"),
        pytest.param({"rlimits": True}, "Limits", id="limits"),
        *(
            pytest.param({"variables": [name]}, "Variable", id=name)
            for name in (
                "PYTHONPATH",
                "PYTHONHASHSEED",
                "LD_PRELOAD",
                "LD_LIBRARY_PATH",
                "MALLOC_ARENA_MAX",
                "GLIBC_TUNABLES",
                "OMP_NUM_THREADS",
                "MKL_NUM_THREADS",
                "OPENBLAS_NUM_THREADS",
                "KMP_AFFINITY",
                "NUMEXPR_MAX_THREADS",
                "LC_ALL",
                "LANG",
                "TZ",
            )
        ),
    ],
)
def test_what_forbids_it(change: dict[str, Any], name: str) -> None:
    found, text = why_not(replace(FINE, **change))
    assert found == name
    assert text


def test_the_status_names_the_variable() -> None:
    assert why_not(replace(FINE, variables=["B", "OMP_NUM_THREADS"]))[1].startswith("the variable OMP_NUM_THREADS")


def test_every_condition_is_tested() -> None:
    assert {condition.name for condition in CONDITIONS} == {"NotLauncher", "Disabled", "Platform", "Limits", "Variable"}
