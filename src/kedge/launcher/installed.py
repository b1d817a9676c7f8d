"""The real ``kfp`` package in a step: for functions that use more of it than the launcher has.

Mostly that is known before the step starts: `call` then runs the function as the package itself does, except that artifacts lie
where the hub says. Where it is only seen while the function runs, `real` and `find_spec` bring the package then and there: from
the step's environment, or installed into a folder of the step's own.
"""

import importlib
import importlib.machinery
import os
import subprocess
import sys
from types import ModuleType
from typing import Any, Dict, List, Optional

import kedge.dsl.artifacts as language

from . import files, report, workspace
from .arguments import outputs_place
from .errors import StepError
from .outputs import merge, store
from .shapes import artifact_class
from .step import Code, Step, tmp

# What an unpinned step gets; see `kedge.dsl.template.KFP_PACKAGE`.
REQUIREMENT = "kfp==2.17.0" if sys.version_info >= (3, 9) else "kfp<2.14"
_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def call(step: Step, code: Code) -> Any:
    """Call the function under the real package: returns its outputs, or the exit code when it did not return."""
    try:
        bring("its whole runtime", runtime_only="_KFP_RUNTIME" in os.environ)
        theirs: Any = importlib.import_module("kfp.dsl.executor")
        types: Any = importlib.import_module("kfp.dsl.types.artifact_types")
    except ImportError as error:
        raise StepError(
            f"the kfp package of this step's environment cannot be imported: {error}.", "PackagesNotInstalled"
        ) from error
    prefix, folder = outputs_place(step)
    language.set_outputs(prefix, folder)
    _place(step, types.Artifact)
    try:
        function = _load(code)
        executor = theirs.Executor(executor_input=step.executor_input, function_to_execute=function)
        types.CONTAINER_TASK_ROOT = prefix or types.CONTAINER_TASK_ROOT
        executor.execute()
    except SystemExit as error:
        if error.code not in (None, 0):
            report.write_error("SystemExit", str(error.code), "")
            return error.code if isinstance(error.code, int) else 1
    except BaseException as error:  # noqa: BLE001  # whatever the user's code raises is the step's result
        return report.fail_user(error)
    return collect(step)


def collect(step: Step) -> Dict[str, Any]:
    """Gather what a runtime that is not ours has written to the files that the executor input names.

    Returns:
        As `outputs.collect`; ``texts`` are output parameters whose types only the hub knows.

    Raises:
        StepError: One is missing.
    """
    declared = step.executor_input.get("outputs") or {}
    written = files.read_json(declared["outputFile"]) or {}
    parameters: Dict[str, Any] = {}
    texts: Dict[str, str] = {}
    for name, place in (declared.get("parameters") or {}).items():
        try:
            with open(place["outputFile"], encoding="utf-8") as file:
                texts[name] = file.read()
        except FileNotFoundError:
            continue
    stored: Dict[str, List[Dict[str, Any]]] = {}
    for name, listed in (declared.get("artifacts") or {}).items():
        said = ((written.get("artifacts") or {}).get(name) or {}).get("artifacts") or []
        stored[name] = [
            _stored(step, name, index, value, said[index] if index < len(said) else {})
            for index, value in enumerate(listed.get("artifacts") or [])
        ]
    merge({"parameterValues": written.get("parameterValues")}, parameters, stored)
    for name in parameters:
        texts.pop(name, None)
    missing = [name for name in declared.get("parameters") or {} if name not in parameters and name not in texts]
    if missing:
        raise StepError(f"output {missing[0]!r}: the step has ended without a value for it.", "OutputMissing")
    return {"parameters": parameters, "texts": texts, "artifacts": stored}


def _stored(step: Step, name: str, index: int, declared: Dict[str, Any], said: Dict[str, Any]) -> Dict[str, Any]:
    title = str((declared.get("type") or {}).get("schemaTitle", ""))
    one = language.from_runtime({**declared, **{key: value for key, value in said.items() if value}}, artifact_class(None, title))
    one.uri = language.address(one.uri)  # the package takes a path that it does not know for an address
    one.custom_path = said.get("custom_path") or said.get("customPath") or ""
    made = store(step, name, index, one)
    if title:
        made["type"] = title
    return made


def _place(step: Step, artifact: Any) -> None:
    """Let the artifacts of the real package lie where the hub says; it only knows mounted stores."""
    places: Dict[str, str] = {}
    for name, listed in ((step.executor_input.get("inputs") or {}).get("artifacts") or {}).items():
        for index, value in enumerate(listed.get("artifacts") or []):
            one = language.from_runtime(value, language.Artifact)
            places[one.uri] = _fetched(step, name, index, one)
    for listed in ((step.executor_input.get("outputs") or {}).get("artifacts") or {}).values():
        for value in listed.get("artifacts") or []:
            files.make_parent(language.local_path(value["uri"]))

    # The one place in all its versions where a path is made of an address.
    def path(self: Any) -> Any:
        return getattr(self, "_custom_path", "") or places.get(self.uri) or language.local_path(self.uri)

    artifact._get_path = path  # noqa: SLF001


def _fetched(step: Step, name: str, index: int, one: Any) -> str:
    grants = step.input_grants(name)
    grant = grants[index] if index < len(grants) else {}
    if workspace.is_place(one.custom_path):
        workspace.bring(one.custom_path, grant, name)
        return one.custom_path
    if grant.get("url"):
        path = os.path.join(tmp(), "inputs", "artifacts", name, str(index), os.path.basename(one.uri) or name)
        from . import transfers  # most stores are folders

        transfers.download(path, grant, name)
        return path
    return grant.get("path") or one.path


def _load(code: Code) -> Any:
    """Import the source as a module of its own, as the package does."""
    filename = code.filename
    if not code.on_disk:
        filename = os.path.join(tmp(), "component", "ephemeral_component.py")
        files.make_parent(filename)
        with open(filename, "w", encoding="utf-8") as file:
            file.write(code.source)
    sys.path.insert(0, os.path.dirname(os.path.abspath(filename)))
    module = importlib.import_module(os.path.basename(filename)[: -len(".py")])
    function = getattr(module, code.function, None)
    if function is None:
        raise StepError(f"the source of this step, {code.filename}, defines no function {code.function!r}.", "FunctionNotFound")
    return function


def real(name: str) -> Any:
    """A name of the real package, which takes the place of the launcher's own from now on.

    Args:
        name: From ``kfp.`` on: of a function, a class, a module.

    Raises:
        AttributeError: There is no such name, or no such package, as it must be for those who ask with `hasattr`.
    """
    module, _, last = name.rpartition(".")
    try:
        if _is_launchers(sys.modules.get("kfp")):
            bring(name)
        found = importlib.import_module(module)
        return getattr(found, last) if hasattr(found, last) else importlib.import_module(name)
    except ImportError as error:
        raise AttributeError(str(error)) from None


def _is_launchers(module: Optional[ModuleType]) -> bool:
    return module is not None and os.path.abspath(module.__file__ or "").startswith(_HERE + os.sep)


def find_spec(name: str) -> Optional[Any]:
    """Where the real package has a module; None when it has no such module either."""
    if any(finder.__module__ == "kfp" for finder in sys.meta_path if isinstance(finder, type)):
        bring(name)
    parent = importlib.import_module(name.rpartition(".")[0])
    return importlib.machinery.PathFinder.find_spec(name, getattr(parent, "__path__", None))


def bring(wanted: str, *, runtime_only: bool = False) -> None:
    """Let ``kfp`` be the real package from now on.

    Args:
        wanted: What of it is wanted; named in messages.
        runtime_only: Whether it stays without its client and compiler, as a shell line has it that installs no more.

    Raises:
        ModuleNotFoundError: It is not there and cannot be installed.
    """
    others = [path for path in sys.path if os.path.abspath(path or ".") not in (_HERE, os.environ.get("KEDGE_LAUNCHER"))]
    found = importlib.machinery.PathFinder.find_spec("kfp", others)
    if found is None or found.origin is None:
        others.insert(0, _install(wanted))
    sys.path[:] = others
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__module__", "") != "kfp"]
    for name in [name for name in sys.modules if name == "kfp" or name.startswith("kfp.")]:
        del sys.modules[name]
    if not runtime_only:
        os.environ.pop("_KFP_RUNTIME", None)


def _install(wanted: str) -> str:
    target = os.path.join(tmp(), "kfp")
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    uv = os.environ.get("KEDGE_UV")  # the node's
    argv = [uv, "pip", "install", "--quiet", "--no-config", "--python", sys.executable] if uv else _pip()
    print(f"kedge: {wanted} is not part of what Kedge runs steps with; installing {REQUIREMENT}.", file=sys.stderr, flush=True)
    done = subprocess.run([*argv, "--target", target, REQUIREMENT], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace").strip()
        raise ModuleNotFoundError(
            f"{wanted} is not part of what Kedge runs steps with, and the kfp package could not be installed for Python "
            f"{python}: {said[-1500:]}\nAdd {REQUIREMENT!r} to the component's packages_to_install and run it once with a "
            "network, or do without it.",
            name="kfp",
        )
    return target


def _pip() -> List[str]:
    return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
