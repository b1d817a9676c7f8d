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
from kedge.errors import NotFound, UnsupportedError
from kedge.launcher import bundle
from kedge.pipelines import documents, ir, steps, templates
from kedge.pipelines.client import Client
from kedge.pipelines.engine.placeholders import executor_input
from kedge.pipelines.engine.types import Artifact, Inputs
from kedge.pipelines.spec import Component, Pipeline


@dataclass(frozen=True, slots=True)
class Again:
    """A step that is ready to be run again.

    Attributes:
        folder: Where everything lies.
        image: The step's image.
        python: Its function and what that wants installed.
        variables: Environment variables besides those of this machine.
    """

    folder: Path
    image: str
    python: templates.PythonStep
    variables: Mapping[str, str]

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
    pipeline = ir.read(document)
    component = _component(pipeline, task)
    executor = pipeline.executors.get(component.executor_label or "")
    container = executor.container if executor else None
    python = templates.recognise(container) if container else None
    if container is None or python is None:
        raise UnsupportedError(f"{task} is no Python component: only those can be run again here. Look at it with `kedge logs`.")
    if "inputs" not in row and row.get("state") in {"PENDING", "SKIPPED"}:
        raise NotFound(f"{task} is {row['state'].lower()} and was given no inputs yet. Choose a step that has started.")
    grants: dict[str, Any] = {"inputs": {}, "outputs": {}, "project": _project(document, folder)}
    given = _inputs(client, row.get("inputs") or {}, folder, grants["inputs"])
    outputs = _outputs(component, folder, grants["outputs"])
    step = {
        "protocol": steps.PROTOCOL,
        "run": found["run_id"],
        "task": task,
        "attempt": row["attempt"],
        "code": "code",
        "executorInput": executor_input(
            component,
            given,
            outputs=outputs,
            parameter_file=lambda name: str(folder / "outputs" / name),
            output_file=str(folder / "outputs" / "executor_output.json"),
        ),
        "grants": grants,
        "commit": False,
    }
    (folder / "code.json").write_text(steps.code_document(python, {"digest": "", "uri": ""} if grants["project"] else None))
    (folder / "launcher.pyz").write_bytes(bundle.build())
    (folder / "tmp").mkdir()
    _write_source(python, folder / "work")
    variables = {found.name: found.value for found in container.env}
    variables |= {
        "KEDGE_STEP": json.dumps(step),
        "KEDGE_CODE": str(folder),
        "KEDGE_TMP": str(folder / "tmp"),
        "KEDGE_TERMINATION_LOG": str(folder / "termination-log"),
        "KEDGE_PACKAGES_INSTALLED": "1",
    }
    return Again(folder, container.image, python, variables)


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


def _component(pipeline: Pipeline, task: str) -> Component:
    found = pipeline.root
    for name in task.split("."):
        if not name.isdigit() and found.dag is not None:
            found = pipeline.component(found.dag.tasks[name].component_ref.name)
    return found


def _project(document: documents.Document, folder: Path) -> dict[str, str] | None:
    """Unpack the modules beside the pipeline file."""
    options = ((document.platforms.get("kedge") or {}).get("config") or {}).get("project")
    if not options:
        return None
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(options["archive"]))) as archive:
        archive.extractall(folder / "project")  # the host has checked it when it was submitted
    return {"path": str(folder / "project")}


def _inputs(client: Client, inputs: Mapping[str, Any], folder: Path, grants: dict[str, Any]) -> Inputs:
    """The step's inputs; artifacts that are no local files are fetched."""
    artifacts: dict[str, list[Artifact]] = {}
    for name, listed in (inputs.get("artifacts") or {}).items():
        artifacts[name] = [
            Artifact(
                str(a.get("name", name)),
                str(a["uri"]),
                str(a.get("schema_title", "system.Artifact")),
                metadata=a.get("metadata") or {},
            )
            for a in listed
        ]
        grants[name] = [
            {"uri": str(a["uri"]), "path": _fetched(client, a, folder / "inputs" / name / str(n))} for n, a in enumerate(listed)
        ]
    return Inputs(dict(inputs.get("parameters") or {}), artifacts)


def _fetched(client: Client, artifact: Mapping[str, Any], target: Path) -> str:
    where = place(str(artifact["uri"]))
    if Path(where).exists():
        return where
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(client.read_artifact(str(artifact["artifact_id"])))
    return str(target)


def _outputs(component: Component, folder: Path, grants: dict[str, Any]) -> dict[str, list[Artifact]]:
    outputs: dict[str, list[Artifact]] = {}
    for name, declared in component.output_definitions.artifacts.items():
        path = folder / "outputs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        outputs[name] = [Artifact(name, path.as_uri(), declared.artifact_type.title, metadata=declared.metadata)]
        grants[name] = [{"uri": path.as_uri(), "path": str(path)}]
    return outputs
