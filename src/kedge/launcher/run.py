"""One Python step, from the variable that describes it to the commit of what it made."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, Callable, Dict, Optional, Sequence

import kedge.dsl.artifacts as language

from . import function, report
from .arguments import Binding, outputs_place
from .errors import LauncherError, NotWanted
from .outputs import collect
from .step import Code, Step, read_code, read_step

# What Task.set_debug_pause sets, for the executor of Argo.
_PAUSES = ("ARGO_DEBUG_PAUSE_BEFORE", "ARGO_DEBUG_PAUSE_AFTER", "ARGO_DEBUG_PAUSE_ON_ERROR")


def run(command: Sequence[str] = ()) -> int:
    """Run the step of this Pod; returns the exit code.

    Args:
        command: A command line that ends in the runtime of ``kfp``, instead of a function.
    """
    try:
        step = read_step()
        code = None if command else read_code(step)
        return execute(step, code, command)
    except NotWanted as error:
        print(f"kedge: {error.message}", file=sys.stderr)
        return error.exit_code
    except LauncherError as error:
        return report.fail(error)


def execute(step: Step, code: Optional[Code], command: Sequence[str] = ()) -> int:
    """Run a step's function, or its command line, and commit its outputs.

    Raises:
        LauncherError: What is wrong around the function. What the function itself raises is reported here.
    """
    hub = _hub() if step.begin else None
    if hub is not None:
        step.begun(hub.begin())
    if any(name in os.environ for name in _PAUSES):
        # What is asked for in vain must not be passed over in silence.
        print("kedge: set_debug_pause() keeps no Pod here; `kedge debug` runs a step again on your terminal.", file=sys.stderr)
    outputs = _outputs(step, code, command)
    if isinstance(outputs, int):
        return outputs
    if not step.commit:
        return 0
    if not _anything(step):
        if step.reports:
            (hub or _hub()).report()
        return 0
    if step.in_message and report.write_outputs(outputs):
        return 0
    (hub or _hub()).commit(outputs)
    return 0


def _outputs(step: Step, code: Optional[Code], command: Sequence[str]) -> Any:
    if code is None:
        from . import literal  # command lines that somebody has edited only

        return literal.call(step, list(command))
    _prepare(step, code)
    return call(step, code)


def call(step: Step, code: Code) -> Any:
    """Call the function: returns its outputs, or the exit code when it did not return."""
    if "logging" in code.source:
        _show_logging()
    if code.installed:
        from . import installed  # functions that use more of kfp than steps have only

        return installed.call(step, code)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # or `kedge logs -f` would show nothing for a long time
    language.set_outputs(*outputs_place(step))
    try:
        loaded = function.load(code)
    except LauncherError:
        raise
    except SystemExit as error:
        return _exit(error)
    except BaseException as error:  # noqa: BLE001  # whatever the user's code raises is the step's result
        return report.fail_user(error)
    binding = Binding(loaded, step)
    language.set_recorder(Recorder(step, binding.artifacts) if step.commit else None)
    try:
        returned: Any = _debug(loaded, binding.arguments) if os.environ.get("KEDGE_DEBUG") == "1" else loaded(**binding.arguments)
    except SystemExit as error:
        if error.code is not None and error.code != 0:
            _end_series(binding.artifacts, insist=False)
            return _exit(error)
        returned = None  # it ended well; whether it owes an output is seen below
    except BaseException as error:  # noqa: BLE001  # whatever the user's code raises is the step's result
        _end_series(binding.artifacts, insist=False)
        return report.fail_user(error)
    outputs = collect(step, binding, returned)
    _end_series(binding.artifacts, insist=True)
    return outputs


class Recorder:
    """Takes the points of series; what sends them to the hub is loaded with the first one.

    Args:
        step: The step.
        artifacts: Its output artifacts by name, as far as they are known before the function returns.
    """

    def __init__(self, step: Step, artifacts: Dict[str, Any]) -> None:
        self._step = step
        self._artifacts = artifacts

    def __call__(self, artifact: Any, name: str, point: Any) -> None:
        """Take one, and give way to what takes the others."""
        from . import series  # few steps log series

        language.set_recorder(series.begin(self._artifacts))
        language.record_point(artifact, name, point)


def _end_series(artifacts: Dict[str, Any], *, insist: bool) -> None:
    """Bring points that are not with the hub yet there, if there are any."""
    series = sys.modules.get("kedge.launcher.series")
    if series is not None:
        series.end(artifacts, insist=insist)


def _show_logging() -> None:
    """Let what the function says through `logging` be seen, as the runtime of Kubeflow does."""
    import logging  # most steps print

    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(levelname)s: %(message)s", level=logging.INFO)


def _exit(error: SystemExit) -> int:
    """The exit code that the interpreter would end with."""
    where = report.user_line(error)
    if isinstance(error.code, int):
        text = f"the function called sys.exit({error.code}){where}. Its log may say why; where all is well, return instead."
        report.write_error("SystemExit", text, "")
        return error.code & 0xFF or 1
    print(error.code, file=sys.stderr)
    report.write_error("SystemExit", f"{error.code} (sys.exit{where})", "")
    return 1


def _prepare(step: Step, code: Code) -> None:
    if code.project or code.packages:
        from . import surroundings

        surroundings.prepare(step, code)


def _debug(loaded: Callable[..., Any], arguments: Dict[str, Any]) -> Any:
    import pdb  # noqa: T100  # this is what the user asked for

    return pdb.Pdb(skip=["kedge.launcher.*"]).runcall(loaded, **arguments)


def _anything(step: Step) -> bool:
    outputs = step.executor_input.get("outputs") or {}
    return bool(outputs.get("parameters") or outputs.get("artifacts"))


def _hub() -> Any:
    from .hub import Hub  # a step with one parameter in and one out never speaks to the hub

    return Hub()
