"""The command line that compiled Python components end in, so that their shell line can be run to the letter.

``--component_module_path FILE --executor_input JSON --function_to_execute NAME``: it runs the function and writes the outputs to
the files that the executor input names. Whoever started the container collects them there.
"""

import json
import os
import sys
from typing import Dict, List

from . import files, report
from .errors import LauncherError
from .outputs import executor_output
from .run import call
from .step import Code, Step

_OPTIONS = ("--component_module_path", "--executor_input", "--function_to_execute")


def main(argv: List[str]) -> int:
    """Run one function as the options say; returns the exit code."""
    try:
        options = _parse(argv)
        with open(options["--component_module_path"], encoding="utf-8") as file:
            source = file.read()
        told = {"executorInput": json.loads(options["--executor_input"])}
        name = options["--component_module_path"]
        step = Step(told)
        outputs = call(step, Code({"function": options["--function_to_execute"], "source": source, "filename": name}))
        if isinstance(outputs, int):
            return outputs
        _write(step, outputs)
    except (OSError, ValueError) as error:
        print(f"kedge: {error}. The options of kfp.dsl.executor_main are {', '.join(_OPTIONS)}.", file=sys.stderr)
        return 2
    except LauncherError as error:
        return report.fail(error)
    return 0


def _parse(argv: List[str]) -> Dict[str, str]:
    found: Dict[str, str] = {}
    rest = list(argv)
    while rest:
        name, _, value = rest.pop(0).partition("=")
        if name not in _OPTIONS:
            raise ValueError(f"unknown option {name!r}")
        if not value and not rest:
            raise ValueError(f"option {name} has no value")
        found[name] = value or rest.pop(0)
    missing = [name for name in _OPTIONS if name not in found]
    if missing:
        raise ValueError(f"option {missing[0]} is missing")
    return found


def _write(step: Step, outputs: Dict[str, object]) -> None:
    declared = step.executor_input.get("outputs") or {}
    path = declared.get("outputFile")
    if path:
        files.make_parent(path)
        with open(path, "wb") as file:
            file.write(report.encode(executor_output(outputs)))
    for name, value in outputs["parameters"].items():  # type: ignore[attr-defined]  # as `outputs.collect` makes them
        place = (declared.get("parameters") or {}).get(name, {}).get("outputFile")
        if place and not os.path.exists(place):
            files.make_parent(place)
            with open(place, "w", encoding="utf-8") as file:
                file.write(value if isinstance(value, str) else json.dumps(value))
