"""Runs a component's own command line, which ends in ``python3 -m kfp.dsl.executor_main``, to the letter.

The command finds the launcher's runtime under that name, and a ``pip`` that leaves out ``kfp`` and installs the rest
(`installers`); all else is as it would be elsewhere. What the runtime has made, it leaves in a file, and the commit happens here,
after the whole command has ended well: a shell line may fail after the function.
"""

import os
import signal
import sys
from typing import Any, Dict, List

from . import files, report
from .errors import LauncherError
from .installed import collect
from .step import Step, tmp

GRANTS, RESULT = "KEDGE_GRANTS", "KEDGE_RESULT"
_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def call(step: Step, command: List[str]) -> Any:
    """Run the command: returns its outputs, or the exit code when it did not end well.

    Raises:
        LauncherError: The command cannot be started.
    """
    place = os.path.join(tmp(), "literal")
    grants, result = os.path.join(place, "grants.json"), os.path.join(place, "result.json")
    files.make_parent(grants)
    with open(grants, "wb") as file:
        file.write(report.encode(step.grants))
    os.environ.update(_variables())
    os.environ.update({GRANTS: grants, RESULT: result})
    sys.stdout.flush()
    try:
        pid = os.posix_spawnp(command[0], command, os.environ, setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGPIPE])
    except OSError as error:
        raise LauncherError(f"the step's command {command[0]!r} cannot be started: {error}", "CommandNotFound") from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status)
    if os.WEXITSTATUS(status):
        return os.WEXITSTATUS(status)
    made = files.read_json(result)
    return made if isinstance(made, dict) else collect(step)


def _variables() -> Dict[str, str]:
    """Let the command's Python and pip find the launcher's."""
    path = os.environ.get("PYTHONPATH")
    shell = os.path.join(_HERE, "shell")
    found = {
        "PYTHONPATH": os.pathsep.join([shell, _HERE] + ([path] if path else [])),
        "PATH": os.path.join(shell, "bin") + os.pathsep + os.environ.get("PATH", os.defpath),
        "KEDGE_LAUNCHER": _HERE,
        "KEDGE_PYTHON": sys.executable,
    }
    # Where the launcher is one file, there are no programs in it; the shims are then found as modules only.
    return found if os.path.isdir(_HERE) else {**found, "PATH": os.environ.get("PATH", os.defpath)}
