"""One step of a run, laid out again in a folder of this machine, so that it can be run by hand: code, inputs, empty outputs.

It is the same launcher that runs steps, told that nobody waits for the result.
"""

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedge.cli.files import stored
from kedge.display.results import place
from kedge.dsl import template
from kedge.errors import UnsupportedError
from kedge.kube.kinds import Obj
from kedge.launcher import bundle
from kedge.pipelines import documents, ir, steps, templates
from kedge.pipelines.client import Client
from kedge.pipelines.spec import Container, Pipeline


@dataclass(frozen=True, slots=True)
class Again:
    """A step that is ready to be run again.

    Attributes:
        folder: Where everything lies.
        pod: The Pod that the step had.
        python: Its function and what that wants installed.
        variables: What the launcher is told, besides the variables of the step's container.
    """

    folder: Path
    pod: Obj
    python: templates.PythonStep
    variables: Mapping[str, str]

    @property
    def container(self) -> Obj:
        """The container of the step."""
        return self.pod["spec"]["containers"][0]

    @property
    def arguments(self) -> list[str]:
        """What to run, after the interpreter."""
        return [str(self.folder / "launcher.pyz"), "run"]


def lay_out(client: Client, run: str, task: str, folder: Path) -> Again:
    """Fetch a step and lay it out.

    Args:
        client: Of the host that has the run.
        run: The run's id or name.
        task: The step's id.
        folder: An empty folder.

    Raises:
        NotFound: There is no such run or step, or it was never given inputs.
        UnsupportedError: The step is no Python component.
    """
    found = client.get(run)
    row = client.task(str(found["run_id"]), task)
    if row.get("kind") != "step":
        raise UnsupportedError(f"{task or 'the run itself'} is no step. `kedge runs show {found['run_id']}` lists the steps.")
    document = stored(client, found)
    container = _container(ir.read(document), task)
    given = client.step(str(found["run_id"]), task)
    python = templates.recognise(container, _runtime(given["pod"])) if container else None
    if python is None or python.literal:
        raise UnsupportedError(f"{task} is no Python component: only those can be run again here. Look at it with `kedge logs`.")
    told = given["executor_input"]
    grants: dict[str, Any] = {
        "inputs": _fetched(client, row, told["inputs"].get("artifacts") or {}, folder),
        "outputs": _placed(told["outputs"].get("artifacts") or {}, folder),
        "project": _project(document, folder),
    }
    step = {
        "protocol": steps.PROTOCOL,
        "run": found["run_id"],
        "task": task,
        "attempt": row["attempt"],
        "code": "code",
        "executorInput": told,
        "grants": grants,
        "commit": False,
    }
    (folder / "code.json").write_text(steps.code_document(python, {"digest": "", "uri": ""} if grants["project"] else None))
    (folder / "launcher.pyz").write_bytes(bundle.build())
    (folder / "tmp").mkdir()
    _write_source(python, folder / "work")
    variables = {
        "KEDGE_STEP": json.dumps(step),
        "KEDGE_CODE": str(folder),
        "KEDGE_TMP": str(folder / "tmp"),
        "KEDGE_TERMINATION_LOG": str(folder / "termination-log"),
        "KEDGE_PACKAGES_INSTALLED": "1",
    }
    return Again(folder, given["pod"], python, variables)


def _runtime(pod: Obj) -> str:
    """Under whose package the host runs components of ``kfp``, as it told the step."""
    variables = pod["spec"]["containers"][0].get("env") or ()
    return next((one.get("value", "") for one in variables if one["name"] == templates.RUNTIME_VARIABLE), "")


def _write_source(python: templates.PythonStep, work: Path) -> None:
    """Write the function where the debugger looks for it, at its own line numbers."""
    work.mkdir()
    texts: dict[str, list[str]] = {}
    found = template.blocks(python.source)
    for block in found:
        if block.filename == "<step>" and len(found) > 1:
            continue  # the header, which stands in no file of the user's
        name = python.filename if block.filename == "<step>" else block.filename
        lines, mine = texts.setdefault(Path(name).name, []), block.text.splitlines()
        start = max(block.line - 1, 0)
        lines += [""] * (start + len(mine) - len(lines))
        lines[start : start + len(mine)] = mine
    for name, lines in texts.items():
        (work / name).write_text("\n".join(lines) + "\n")


def _container(pipeline: Pipeline, task: str) -> Container | None:
    found = pipeline.root
    for name in task.split("."):
        if not name.isdigit() and found.dag is not None:
            found = pipeline.component(found.dag.tasks[name].component_ref.name)
    executor = pipeline.executors.get(found.executor_label or "")
    return executor.container if executor else None


def _project(document: documents.Document, folder: Path) -> dict[str, str] | None:
    """Unpack the modules beside the pipeline file."""
    options = ((document.platforms.get("kedge") or {}).get("config") or {}).get("project")
    if not options:
        return None
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(options["archive"]))) as archive:
        archive.extractall(folder / "project")  # the host has checked it when it was submitted
    return {"path": str(folder / "project")}


def _fetched(client: Client, row: Mapping[str, Any], given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Where the step's input artifacts can be read; those that are no local files are fetched.

    Args:
        client: Of the host.
        row: The task, which says the artifacts' ids.
        given: The ExecutorInput's artifacts by input.
        folder: Where to.
    """
    known = {one["uri"]: one for listed in ((row.get("inputs") or {}).get("artifacts") or {}).values() for one in listed}
    grants: dict[str, Any] = {}
    for name, listed in given.items():
        grants[name] = []
        for number, one in enumerate(listed["artifacts"]):
            one.pop("customPath", None)  # a place in the run's workspace, which is a volume of its Pods
            path = _read(client, known[one["uri"]], folder / "inputs" / name / str(number))
            grants[name].append({"uri": one["uri"], "path": path})
    return grants


def _read(client: Client, artifact: Mapping[str, Any], target: Path) -> str:
    where = place(str(artifact["uri"]))
    if Path(where).exists():
        return where
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(client.read_artifact(str(artifact["artifact_id"])))
    return str(target)


def _placed(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Where output artifacts go: not where the step put them, their addresses neither, so that nothing of the run changes."""
    grants: dict[str, Any] = {}
    for name, listed in given.items():
        path = folder / "outputs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for one in listed["artifacts"]:
            one["uri"] = path.as_uri()
        grants[name] = [{"uri": path.as_uri(), "path": str(path)}]
    return grants
