"""What a step is told: the variable ``KEDGE_STEP`` and the file with its code.

KEDGE_STEP                what to do, as JSON (`Step`)
KEDGE_HUB                 the hub's address, ``http://…``
KEDGE_PACKAGES_INSTALLED  "1": the node has installed the step's packages; otherwise the launcher does
KEDGE_DEBUG               "1": call the function under the debugger
KEDGE_CODE, KEDGE_TOKEN, KEDGE_TERMINATION_LOG, KEDGE_STAGING, KEDGE_TMP
                          where ``/kedge/code``, the token, ``/dev/termination-log``, ``/kedge/staging`` and ``/tmp/kedge`` are,
                          on nodes that cannot give a Pod its own view of the file system
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Mapping, Optional

from .errors import LauncherError

PROTOCOL = 1
_TMP = "/tmp/kedge"  # noqa: S108  # a Pod's /tmp is its own


class Step:
    """What this Pod is to do.

    Attributes:
        run: UID of the run.
        task: Id of the task.
        attempt: From 0.
        code: Name of the file with the function.
        executor_input: Kubeflow's ExecutorInput; empty until ``begin`` was asked when it did not fit into the variable.
        begin: Whether the hub must be asked for the grants before anything else.
        in_message: Whether the outputs may travel in the termination message, where they fit into it.
        grants: Where artifacts lie, by direction and name; from ``begin``, unless they are known beforehand.
        commit: ``False``: nobody waits for the result (``kedge debug``).
        reports: Whether the hub wants to hear of the end of a step that has nothing to commit, before its node tells.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        version = told.get("protocol", PROTOCOL)
        if version != PROTOCOL:
            raise LauncherError(
                f"KEDGE_STEP speaks staging protocol {version}, this launcher only {PROTOCOL}: the hub is of another version. "
                "Upgrade both to the same one."
            )
        self.run: str = told.get("run", "")
        self.task: str = told.get("task", "")
        self.attempt: int = told.get("attempt", 0)
        self.code: str = told.get("code", "")
        self.executor_input: Dict[str, Any] = _moved(told.get("executorInput") or {})
        self.in_message = bool(told.get("terminationMessage"))
        self.grants: Dict[str, Any] = told.get("grants") or {}
        # Another user than the hub's must be given the folders of its outputs.
        another = self.grants.get("user", os.getuid()) != os.getuid()
        self.begin = bool(told.get("begin")) or told.get("executorInput") is None or another
        self.commit = bool(told.get("commit", True))
        self.reports = bool(told.get("reports"))

    def begun(self, answer: Mapping[str, Any]) -> None:
        """Take the hub's answer to ``begin``."""
        self.executor_input = _moved(answer.get("executorInput") or {})
        self.grants = answer.get("grants") or {}

    def input_grants(self, name: str) -> List[Dict[str, str]]:
        """Where the artifacts of an input can be read, in order."""
        return (self.grants.get("inputs") or {}).get(name) or []

    def output_grants(self, name: str) -> List[Dict[str, str]]:
        """Where the artifacts of an output can be written, in order."""
        return (self.grants.get("outputs") or {}).get(name) or []


class Code:
    """The user's function.

    Attributes:
        function: Its name.
        source: Python text that defines it.
        filename: The user's file, for tracebacks.
        first_line: Where `source` begins in it, if the text itself does not say.
        project: ``{"digest", "uri"}`` of the modules that it imports, or ``None``.
        packages: Requirements, as pip takes them.
        index_urls: Package indexes; the first replaces the default.
        trusted_hosts: Hosts whose certificates pip does not check.
        on_disk: Whether `filename` is a file that holds `source` and nothing else.
        installed: Whether it runs under the real ``kfp``, which is among the packages.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.function: str = told["function"]
        self.source: str = told["source"]
        self.filename: str = told.get("filename") or "component.py"
        self.first_line: int = told.get("firstLine") or 1
        self.project: Optional[Dict[str, str]] = told.get("project")
        self.packages: List[str] = list(told.get("packages") or ())
        self.index_urls: List[str] = list(told.get("indexUrls") or ())
        self.trusted_hosts: List[str] = list(told.get("trustedHosts") or ())
        self.on_disk = False
        self.installed = bool(told.get("installed"))


def read_step() -> Step:
    """Read ``KEDGE_STEP``.

    Raises:
        LauncherError: It is not there, or not what this version reads.
    """
    text = os.environ.get("KEDGE_STEP")
    if not text:
        raise LauncherError("KEDGE_STEP is not set: the launcher runs only inside a step's Pod, which Kedge makes.")
    try:
        return Step(json.loads(text))
    except ValueError as error:
        raise LauncherError(f"KEDGE_STEP is not JSON: {error}. It is written by the hub; do not change it.") from error


def read_code(step: Step) -> Code:
    """Read the file with the step's function.

    Raises:
        LauncherError: It is not mounted, or broken.
    """
    name = os.path.join(os.environ.get("KEDGE_CODE", "/kedge/code"), step.code + ".json")
    try:
        with open(name, encoding="utf-8") as file:
            return Code(json.load(file))
    except (OSError, ValueError, KeyError) as error:
        raise LauncherError(
            f"the step's code could not be read from {name}: {error!r}. The ConfigMap with the run's code is missing or changed."
        ) from error


def tmp() -> str:
    """The step's own directory for files on their way."""
    return os.environ.get("KEDGE_TMP", _TMP)


def staging() -> str:
    """The directory that the containers of a step share."""
    return os.environ.get("KEDGE_STAGING", "/kedge/staging")


def _moved(executor_input: Dict[str, Any]) -> Dict[str, Any]:
    """Put the output files where this node keeps them, when that is not where the hub thinks."""
    places = [(_TMP + "/", os.environ.get("KEDGE_TMP")), ("/kedge/staging/", os.environ.get("KEDGE_STAGING"))]
    if not any(place for _, place in places):
        return executor_input
    outputs = executor_input.get("outputs") or {}
    for holder in [outputs, *(outputs.get("parameters") or {}).values()]:
        path = holder.get("outputFile", "")
        for prefix, place in places:
            if place and path.startswith(prefix):
                holder["outputFile"] = os.path.join(place, path[len(prefix) :])
    return executor_input
