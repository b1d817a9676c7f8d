"""Staging around a container whose image we know nothing about: one container before it, one sidecar beside it.

The sidecar is started first. The kubelet stops it by SIGTERM when the user's container has ended, which may be a moment after all
of them began; to the first process of a container a signal is lost that comes before it is waited for, and the sidecar would then
wait until its time is up. So the other container, which brings the inputs meanwhile, does not end before the sidecar listens.

All three share a directory, ``/kedge/staging``::

    inputs/…                      input artifacts
    outputs/artifacts/…           where the user's command writes output artifacts
    outputs/parameters/<name>     … and output parameters
    outputs/executor_output.json  Kubeflow's ExecutorOutput, if the command writes one
    .listening, .brought          empty files: the sidecar waits for its signal; the inputs are there

The hub decides every path and names it in the executor input (``customPath`` of artifacts, ``outputFile`` of parameters), because
it wrote the same paths into the user's command line.
"""

import json
import os
import signal
import time
from typing import Any, Dict, List

from . import files, report, workspace
from .errors import HubUnreachable, LauncherError, NotWanted, StepError
from .hub import Hub
from .outputs import merge
from .step import Step, read_step, staging

_BEGUN, _LISTENING, _BROUGHT = ".begun.json", ".listening", ".brought"
_SIDECAR_PATIENCE = 300.0  # seconds, for an interpreter to start on a machine that has much to do
_SHARED = "/kedge/staging"


def stage_in() -> int:
    """Bring the inputs, and make the folders that outputs go into; returns the exit code."""
    return _reported(_stage_in)


def stage_out() -> int:
    """Wait until the kubelet says that the user's container has ended, then collect and commit; returns the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    _mark(_LISTENING)
    signal.sigwait({signal.SIGTERM})
    if not os.path.exists(os.path.join(staging(), _BROUGHT)):
        return 0  # the user's command has never run, and the other container says why
    return _reported(_stage_out)


def _reported(carry: Any) -> int:
    try:
        carry()
    except NotWanted as error:
        return error.exit_code
    except LauncherError as error:
        return report.fail(error)
    return 0


def _stage_in() -> None:
    step = _begin()
    for name, listed in _artifacts(step, "inputs"):
        grants = step.input_grants(name)
        for value, grant in zip(listed, grants):
            if workspace.is_place(value.get("customPath") or ""):
                workspace.bring(value["customPath"], grant, name)
                continue
            path = place(value, name)
            files.make_parent(path)
            if grant.get("path"):
                if not os.path.lexists(path):
                    os.symlink(grant["path"], path)
            elif grant.get("url"):
                from . import transfers  # most stores are folders

                transfers.download(path, grant, name)
    outputs = step.executor_input.get("outputs") or {}
    paths = [place(value, name) for name, listed in _artifacts(step, "outputs") for value in listed]
    paths += [parameter["outputFile"] for parameter in (outputs.get("parameters") or {}).values()]
    for path in paths:
        files.make_parent(path)
        os.chmod(os.path.dirname(path), 0o777)  # noqa: S103  # the user's container may be another user's
    _await_sidecar()
    _mark(_BROUGHT)


def _await_sidecar() -> None:
    listening = os.path.join(staging(), _LISTENING)
    end = time.monotonic() + _SIDECAR_PATIENCE
    while not os.path.exists(listening):
        if time.monotonic() > end:
            raise HubUnreachable(
                f"the sidecar stage-out, which collects this step's outputs, did not start within {_SIDECAR_PATIENCE:.0f} s: its "
                "log may say why. The step will be run again.",
                "SidecarNotStarted",
            )
        time.sleep(0.01)


def _mark(name: str) -> None:
    path = os.path.join(staging(), name)
    files.make_parent(path)
    with open(path, "wb"):
        pass


def _stage_out() -> None:
    step = _begin()
    outputs = step.executor_input.get("outputs") or {}
    texts: Dict[str, str] = {}  # their types are known to the hub alone
    parameters: Dict[str, Any] = {}
    stored: Dict[str, List[Dict[str, Any]]] = {}
    for name, parameter in (outputs.get("parameters") or {}).items():
        text = _read(parameter["outputFile"])
        if text is not None:
            texts[name] = text
    for name, listed in _artifacts(step, "outputs"):
        stored[name] = [_carry_out(step, name, index, place(value, name)) for index, value in enumerate(listed)]
    merge(files.read_json(outputs["outputFile"]) if outputs.get("outputFile") else None, parameters, stored)
    missing = [name for name in outputs.get("parameters") or {} if name not in parameters and name not in texts]
    if missing:
        path = outputs["parameters"][missing[0]]["outputFile"]
        raise StepError(f"output {missing[0]!r}: the command wrote no file at {path}. Write the value there.", "OutputMissing")
    Hub().commit({"parameters": parameters, "texts": texts, "artifacts": stored})


def _carry_out(step: Step, name: str, index: int, path: str) -> Dict[str, Any]:
    given = step.executor_input["outputs"]["artifacts"][name]["artifacts"][index]
    grants = step.output_grants(name)
    grant = grants[index] if index < len(grants) else {}
    entry = {"name": given.get("name") or name, "uri": given["uri"], "metadata": dict(given.get("metadata") or {})}
    entry["type"] = (given.get("type") or {}).get("schemaTitle", "system.Artifact")
    if os.path.exists(path):
        if grant.get("url"):
            from . import transfers  # most stores are folders

            entry["digest"], entry["size"] = transfers.upload(path, given["uri"], grant, name)
            return entry
        if grant.get("path"):
            files.copy(path, grant["path"])
            path = grant["path"]
    entry["digest"], entry["size"] = files.describe(path, name)
    return entry


def _begin() -> Step:
    """The step with its grants: the sidecar reads what the first container was told, unless signed addresses may be over."""
    step = read_step()
    kept = os.path.join(staging(), _BEGUN)
    told = files.read_json(kept)
    if told is None or '"url"' in json.dumps(told.get("grants")):
        told = Hub().begin()
        files.make_parent(kept)
        with open(kept, "wb") as file:
            file.write(report.encode(told))
    step.begun(told)
    return step


def _artifacts(step: Step, direction: str) -> Any:
    listed = (step.executor_input.get(direction) or {}).get("artifacts") or {}
    return [(name, value.get("artifacts") or []) for name, value in listed.items()]


def place(value: Dict[str, Any], name: str) -> str:
    """Where the user's command finds or writes an artifact."""
    path = value.get("customPath") or ""
    if not path.startswith(_SHARED + "/") or ".." in path.split("/"):
        raise LauncherError(
            f"artifact {name!r}: the hub gave it the path {path!r}, which is not below {_SHARED}. This is a defect of Kedge."
        )
    return os.path.join(staging(), path[len(_SHARED) + 1 :])


def _read(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StepError(
            f"an output parameter's file cannot be read: {error}. Write its value as text.", "OutputInvalid"
        ) from error
