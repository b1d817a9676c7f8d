"""The command line that compiled Python components end in, so that their shell line can be run to the letter.

``--component_module_path FILE --executor_input JSON --function_to_execute NAME``: it runs the function and writes the outputs to
the files that the executor input names. Whoever started the container collects them there. Without a file's name,
``kfp_config.ini`` in the working directory says in which file a function is, as in images that ``kfp component build`` makes.
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
_CONFIG = "kfp_config.ini"


def main(argv: List[str]) -> int:
    """Run one function as the options say; returns the exit code."""
    try:
        options = _parse(argv)
        name = options.get("--component_module_path") or _configured(options["--function_to_execute"])
        with open(name, encoding="utf-8") as file:
            source = file.read()
        told = {"executorInput": json.loads(options["--executor_input"])}
        if "KEDGE_GRANTS" in os.environ:  # the launcher has asked for them already, see `literal`
            told["grants"] = files.read_json(os.environ["KEDGE_GRANTS"])
        step = Step(told)
        code = Code({"function": options["--function_to_execute"], "source": source, "filename": name})
        code.on_disk = True
        code.installed = os.environ.get("KEDGE_KFP_RUNTIME") == "installed"
        # The modules beside it are found as if it had been started itself.
        sys.path.insert(0, os.path.dirname(os.path.abspath(name)))
        outputs = call(step, code)
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
    """The options that are known; others are passed over, as the real one does."""
    found: Dict[str, str] = {}
    rest = list(argv)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in _OPTIONS:
            continue
        if not equals and not rest:
            raise ValueError(f"option {name} has no value")
        found[name] = value if equals else rest.pop(0)
    missing = [name for name in _OPTIONS[1:] if name not in found]
    if missing:
        raise ValueError(f"option {missing[0]} is missing")
    return found


def _configured(function: str) -> str:
    import configparser  # images that were built for it only

    config = configparser.ConfigParser()
    config.optionxform = str  # type: ignore[assignment, method-assign]  # functions' names have capitals
    config.read(_CONFIG, encoding="utf-8")
    path = config.get("Components", function, fallback=None)
    if path is None:
        raise ValueError(
            f"neither --component_module_path nor {os.path.abspath(_CONFIG)} says where the function {function!r} is"
        )
    return path


def _write(step: Step, outputs: Dict[str, object]) -> None:
    declared = step.executor_input.get("outputs") or {}
    for path, content in (
        (declared.get("outputFile"), executor_output(outputs)),
        (os.environ.get("KEDGE_RESULT"), outputs),
    ):
        if path:
            files.make_parent(path)
            with open(path, "wb") as file:
                file.write(report.encode(content))
    for name, value in outputs["parameters"].items():  # type: ignore[attr-defined]  # as `outputs.collect` makes them
        place = (declared.get("parameters") or {}).get(name, {}).get("outputFile")
        if place and not os.path.exists(place):
            files.make_parent(place)
            with open(place, "w", encoding="utf-8") as file:
                file.write(value if isinstance(value, str) else json.dumps(value))
