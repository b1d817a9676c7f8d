"""Run pipelines from a notebook cell or a script: ``kedge.run(pipeline, x=1)``.

No server has to be started before: a host is found or started. In a notebook the run draws itself and keeps the drawing current;
in a script it prints its progress. Interrupting the wait (the notebook's stop button, Ctrl-C) cancels the run.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Self

from kedge import host as hosts
from kedge.cli.files import load
from kedge.cli.follow import changes
from kedge.cli.progress import Progress, progress
from kedge.cli.report import failed_step, told
from kedge.cli.session import begin, installed
from kedge.config import Settings
from kedge.display.results import place
from kedge.display.svg import svg
from kedge.display.tasks import TaskView, duration
from kedge.errors import RunFailed
from kedge.kube.clock import SystemClock
from kedge.pipelines import checkout, compiler, documents
from kedge.pipelines import client as clients

_LOG_LINES = 15
_REDRAW_SECONDS = 0.5


class Client(clients.Client):
    """Speaks to a host; without an address, to the one of this machine, which is started when none runs.

    Args:
        host: Its HTTP address, as ``kedge status`` shows it.
        token: Its token, likewise.

    Raises:
        StateError: No host could be started.
    """

    def __init__(self, host: str = "", token: str | None = None) -> None:
        if host:
            super().__init__(host, token)
            return
        settings = Settings.from_environment()
        found = hosts.find(settings)
        there = installed(settings) if found is None and settings.context else None
        if there is not None:
            super().__init__(there.host.http, http=there.http)
            return
        found = found or begin(settings)
        super().__init__(found.http, found.token)


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact that a run produced.

    Attributes:
        uri: Its address.
        type: Such as ``system.Model``.
        metadata: What the step logged.
    """

    uri: str
    type: str
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def path(self) -> Path:
        """Where it lies, when it is a local file."""
        return Path(place(self.uri))


class Run:
    """A run that was submitted, as `run` returns it. In a notebook it shows itself.

    Attributes:
        id: The run's id.
    """

    def __init__(self, client: Client, body: Mapping[str, Any], pipeline: Mapping[str, Any]) -> None:
        self.id = str(body["run_id"])
        self._client = client
        self._body = body
        self._pipeline = pipeline
        self._tasks: dict[str, TaskView] = {}

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self._body.get("display_name") or self.id)

    @property
    def state(self) -> str:
        """``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED``, ``CANCELED``…; asked of the host while the run is not over."""
        if not self._body.get("finished_at"):
            self._body = self._client.get(self.id)
        return str(self._body.get("state", "PENDING"))

    @property
    def tasks(self) -> dict[str, TaskView]:
        """The tasks by id, as they are now; ``""`` is the pipeline itself."""
        if not self._body.get("finished_at") or not self._tasks:
            self._tasks = {task.id: task for task in map(TaskView.from_json, self._client.tasks(self.id))}
        return dict(self._tasks)

    @property
    def outputs(self) -> dict[str, Any]:
        """The pipeline's outputs by name: parameters as values, artifacts as `Artifact` (or a list of them)."""
        root = self.tasks.get("")
        found: Mapping[str, Any] = root.outputs if root else {}
        values: dict[str, Any] = dict(found.get("parameters") or {})
        for name, artifacts in (found.get("artifacts") or {}).items():
            items = [Artifact(str(a.get("uri", "")), str(a.get("schema_title", "")), a.get("metadata") or {}) for a in artifacts]
            values[name] = items[0] if len(items) == 1 else items
        return values

    def logs(self, task: str, *, follow: bool = False) -> Iterator[str]:
        """Yield the lines that a step wrote.

        Args:
            task: The task's id, such as ``train`` or ``for-loop-1.3.train``.
            follow: Go on until the step ends.
        """
        return self._client.logs(self.id, task, follow=follow)

    def cancel(self) -> None:
        """Stop what runs and start nothing new."""
        self._client.cancel(self.id)

    def wait(self) -> "Run":
        """Wait until the run is over, showing its progress. Interrupting cancels the run.

        Returns:
            The run itself.

        Raises:
            RunFailed: It ended in another state than ``SUCCEEDED``; names the step, its error and the last lines of its log.
        """
        with _shown(self) as shown:
            try:
                self._watch(shown)
            except KeyboardInterrupt:
                self.cancel()
                self._watch(shown)
        if self._body.get("state") != "SUCCEEDED":
            raise RunFailed(self._blame())
        return self

    def _watch(self, shown: Progress) -> None:
        for change in changes(self._client, self.id):
            if "run" in change:
                self._body = change["run"]
                return
            task = TaskView.from_json(change)
            self._tasks[task.id] = task
            shown.update(task)

    def _blame(self) -> str:
        step = failed_step(self._tasks.values())
        if step is None:
            message = (self._body.get("error") or {}).get("message", "")
            return f"Run {self.name} ({self.id}) ended as {str(self._body.get('state', '')).lower()}. {message}".strip()
        log = list(self._client.logs(self.id, step.id))[-_LOG_LINES:]
        written = "\nThe last lines of its log:\n" + "\n".join(f"  | {line}" for line in log) if log else ""
        return f"Run {self.name} ({self.id}): step {step.id} failed: {told(step.message, log)}{written}"

    def __repr__(self) -> str:
        return f"<kedge.Run {self.name} {self.id} {self._body.get('state', 'PENDING')}>"

    def _repr_html_(self) -> str:
        """The run's graph, coloured by state."""
        return self._html()

    def _html(self) -> str:
        root = self._tasks.get("") or self.tasks.get("")
        state = root.state if root else str(self._body.get("state", "PENDING"))
        took = duration(root.seconds(SystemClock().now())) if root else ""
        head = f"<b>{escape(self.name)}</b> {state.lower()}{', ' if took else ''}{took} <code>{escape(self.id)}</code>"
        return f"<div>{head}<br>{svg(self._pipeline, self._tasks.values())}</div>"


class _Drawing:
    """Keeps a run's drawing in a notebook's output cell current."""

    def __init__(self, run: Run, display: Any) -> None:
        self._run = run
        self._handle = display({"text/html": run._html(), "text/plain": repr(run)}, raw=True, display_id=True)  # noqa: SLF001
        self._clock = SystemClock()
        self._drawn = self._clock.monotonic()

    def update(self, task: TaskView) -> None:
        """Draw again, at most twice a second."""
        del task
        if self._clock.monotonic() - self._drawn >= _REDRAW_SECONDS:
            self._draw()

    def _draw(self) -> None:
        self._drawn = self._clock.monotonic()
        self._handle.update({"text/html": self._run._html(), "text/plain": repr(self._run)}, raw=True)  # noqa: SLF001

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._draw()


def _shown(run: Run) -> Any:
    """How to show progress here: a drawing in a notebook, a tree on a terminal, lines elsewhere."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and hasattr(shell, "kernel"):
        return _Drawing(run, ipython.display.display)
    return progress(f"{run.name}  {run.id}")


def run(pipeline: Any, /, *, name_: str = "", cache_: bool = True, wait_: bool = True, **arguments: Any) -> Run:
    """Run a pipeline, or a single component, on the host of this machine, which is started when none runs.

    The options end in an underscore, so that a pipeline may have parameters of any name.

    Args:
        pipeline: A function decorated with ``@dsl.pipeline`` or ``@dsl.component``, or the path of a pipeline file.
        name_: What the run is called.
        cache_: Whether steps whose result is known need not run again.
        wait_: Whether to wait for the end.
        arguments: The pipeline's arguments.

    Returns:
        The run; over, unless ``wait_`` is ``False``.

    Raises:
        PipelineError: The pipeline cannot be compiled, or an argument does not fit it.
        RunFailed: The run did not succeed.
        StateError: No host could be started.
    """
    document = _submitted(pipeline)
    connected = Client()
    submitted = Run(connected, connected.run(document, parameters=arguments, name=name_, cache=cache_), document.pipeline)
    return submitted.wait() if wait_ else submitted


def compile(pipeline: Any, path: str | Path) -> Path:  # noqa: A001  # the public name: kedge.compile
    """Write a pipeline as PipelineSpec IR (YAML), which Kubeflow Pipelines runs too.

    Args:
        pipeline: As for `run`.
        path: The file to write.

    Returns:
        The path.

    Raises:
        PipelineError: The pipeline cannot be compiled.
    """
    target = Path(path)
    target.write_text(documents.write(_document(pipeline)))
    return target


def _submitted(pipeline: Any) -> documents.Document:
    """The document, and what is known of the checkout that it comes from."""
    if isinstance(pipeline, str | Path):
        return load(Path(pipeline), submitted=True)
    document = _document(pipeline)
    defined = Path(pipeline.place.filename)
    # A notebook's cell is in no file.
    return checkout.noted(document, defined if defined.is_file() else Path.cwd())


def _document(pipeline: Any) -> documents.Document:
    return load(Path(pipeline)) if isinstance(pipeline, str | Path) else compiler.compile_pipeline(pipeline)
