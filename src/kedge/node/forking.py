"""When a Python step may be forked from a warm interpreter, as a table: everything else is started anew.

A forked step shares what the interpreter and the loader have read at their start. So whatever would have changed that start
must be absent, or the step would behave otherwise than in a container.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

# Read by the interpreter, the loader, the allocator, or a numeric library when it is loaded.
_PREFIXES = (
    "PYTHON",
    "LD_",
    "DYLD_",
    "MALLOC_",
    "GLIBC_",
    "OMP_",
    "GOMP_",
    "KMP_",
    "MKL_",
    "OPENBLAS_",
    "GOTO_",
    "BLIS_",
    "NUMEXPR_",
    "VECLIB_",
    "LC_",
)
_NAMES = frozenset({"LANG", "LANGUAGE", "LOCPATH", "TZ", "TZDIR", "NLSPATH", "ASAN_OPTIONS", "TSAN_OPTIONS"})


@dataclass(frozen=True, slots=True)
class Start:
    """What is known of a step before it starts.

    Attributes:
        platform: ``sys.platform``.
        allowed: Whether the settings allow it.
        launcher: Whether the container runs the launcher's ``run``, and nothing else.
        variables: Names of environment variables that the Pod sets.
        rlimits: Whether it asks for limits that apply from a program's start.
    """

    platform: str
    allowed: bool
    launcher: bool
    variables: Iterable[str] = ()
    rlimits: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One reason not to fork.

    Attributes:
        name: For the Pod's status.
        holds: Whether a start has it; the text says what, empty when it has not.
    """

    name: str
    holds: Callable[[Start], str]


def _variable(start: Start) -> str:
    for name in sorted(start.variables):
        if name in _NAMES or name.startswith(_PREFIXES):
            return f"the variable {name} is read when the interpreter starts"
    return ""


CONDITIONS = (
    Condition("NotLauncher", lambda start: "" if start.launcher else "the container runs a program of its own"),
    Condition("Disabled", lambda start: "" if start.allowed else "KEDGE_WARM says so"),
    Condition(
        "Platform", lambda start: "" if start.platform == "linux" else f"fork without exec is not safe on {start.platform}"
    ),
    Condition("Limits", lambda start: "the container has limits that apply from a program's start" if start.rlimits else ""),
    Condition("Variable", _variable),
)


def why_not(start: Start) -> tuple[str, str]:
    """The first condition that forbids a fork: its name and what it saw; empty when a fork is safe and faithful."""
    for condition in CONDITIONS:
        if text := condition.holds(start):
            return condition.name, text
    return "", ""
