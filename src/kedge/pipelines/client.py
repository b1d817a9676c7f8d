"""`kedge.Client`: runs, tasks, logs and pipelines of a host, over its REST API.

Everything is a plain call that returns what the API answered, as dicts; what has no end (`Client.watch`, `Client.logs`) is an
iterator. Errors are the classes of `kedge.errors`, by meaning.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from kedge.client.lines import Lines
from kedge.client.paths import segment
from kedge.errors import BadRequest, NotFound, UnsupportedError
from kedge.pipelines.connection import Connection, Json, Many
from kedge.pipelines.documents import Document, arguments
from kedge.pipelines.step_log import Follower, LogPart, lines

_PREFIX_OF_ID = re.compile("[0-9a-f-]{6,36}")


class Client(Connection):
    """Speaks to a host.

    Args:
        host: Its HTTP address, as ``kedge status`` shows it.
        token: Its token, likewise.
        http: Speaks to it instead, as where it is reached through others.

    Attributes:
        host: The address.

    Examples:
        >>> client = Client("http://127.0.0.1:8080", "token")   # doctest: +SKIP
        >>> run = client.run(document, parameters={"x": 1})     # doctest: +SKIP
        >>> client.wait(run["run_id"])["state"]                 # doctest: +SKIP
        'SUCCEEDED'
    """

    # ---- runs

    def run(
        self,
        pipeline: Document | Mapping[str, Any],
        *,
        parameters: Mapping[str, Any] | None = None,
        name: str = "",
        cache: bool = True,
        tags: Mapping[str, str] | None = None,
    ) -> Json:
        """Start a run.

        Args:
            pipeline: What to run: a document, or a PipelineSpec as plain JSON.
            parameters: Arguments by input name.
            name: What people call the run; the host finds one when empty.
            cache: ``False`` runs every step, even those whose result is known.
            tags: Texts by name to find it by, such as ``{"team": "a"}``; they follow the rules of Kubernetes' labels.

        Returns:
            The run; its id is ``run_id``.

        Raises:
            PipelineError: The pipeline or an argument is not valid; the message says which and why.
        """
        body = {"pipeline_spec": _document(pipeline), **_asked(parameters, name, tags)}
        return self._call("POST", "/runs", query={} if cache else {"cache": "false"}, json=body)

    def run_stored(
        self,
        pipeline_id: str,
        version_id: str = "",
        *,
        parameters: Mapping[str, Any] | None = None,
        name: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Json:
        """Start a run of a stored pipeline, as `run` does; the newest version when none is named."""
        reference = {"pipeline_id": pipeline_id, "pipeline_version_id": version_id}
        return self._call("POST", "/runs", json={"pipeline_version_reference": reference, **_asked(parameters, name, tags)})

    def tag(self, run_id: str, changes: Mapping[str, str | None]) -> Json:
        """Set tags of a run, also of one that is over; the others stay.

        Args:
            run_id: The run.
            changes: Texts by name; ``None`` takes one away.

        Returns:
            The run as it is now.
        """
        return self._call("POST", f"/runs/{segment(run_id)}:tag", json={"tags": dict(changes)})

    def get(self, run: str) -> Json:
        """Read a run.

        Args:
            run: Its id, what it is called (the newest of that name), or the first six characters or more of its id.

        Raises:
            NotFound: There is none.
            BadRequest: The ids of several runs begin like this.
        """
        try:
            return self._call("GET", f"/runs/{segment(run)}")
        except NotFound:
            found = self.list(page_size=1, filter=_named(run)) or (self._beginning(run) if _PREFIX_OF_ID.fullmatch(run) else [])
            if not found:
                raise
            if len(found) > 1:
                some = ", ".join(f"{one['run_id']} ({one.get('display_name', '')})" for one in found)
                raise BadRequest(f"{run!r} is the beginning of several runs' ids: {some}. Give more of it.") from None
            return self._call("GET", f"/runs/{found[0]['run_id']}")

    def _beginning(self, text: str) -> Many:
        """The first few runs whose ids begin with a text."""
        ends = (("GREATER_THAN_EQUALS", text), ("LESS_THAN", text + "g"))
        predicates = [{"operation": operation, "key": "run_id", "string_value": value} for operation, value in ends]
        return self.list(page_size=5, filter=msgspec.json.encode({"predicates": predicates}).decode())

    def list(self, *, page_size: int = 20, page_token: str = "", sort_by: str = "", filter: str = "") -> Many:  # noqa: A002  # the API's word
        """Read one page of runs, newest first.

        Args:
            page_size: At most so many; up to 200.
            page_token: Of the page before.
            sort_by: Such as ``created_at asc``.
            filter: JSON of predicates, as KFP has them.
        """
        return self.page(page_size=page_size, page_token=page_token, sort_by=sort_by, filter=filter).get("runs", [])

    def page(self, **query: str | int) -> Json:
        """Read one page of runs as it is answered: ``runs``, ``total_size`` and ``next_page_token``.

        Args:
            query: As for `list`, and ``experiment_id``, ``namespace``.
        """
        return self._call("GET", "/runs", query={name: str(value) for name, value in query.items() if value})

    def experiment(self, experiment: str) -> Json:
        """Read an experiment by its id or name.

        Raises:
            NotFound: There is none.
        """
        try:
            return self._call("GET", f"/experiments/{segment(experiment)}")
        except NotFound:
            found = self._call("GET", "/experiments", query={"filter": _named(experiment)}).get("experiments", [])
            if not found:
                raise
            return found[0]

    def wait(self, run_id: str) -> Json:
        """Wait until a run is over, and return it."""
        for change in self.watch(run_id):
            if "run" in change:
                return change["run"]
        return self.get(run_id)

    def cancel(self, run_id: str) -> None:
        """Stop what runs and start nothing new; harmless when the run is over."""
        self._call("POST", f"/runs/{segment(run_id)}:terminate")

    def delete(self, run_id: str, *, keep_artifacts: bool = False) -> Json:
        """Delete a run with what it made; one that still runs is cancelled first.

        Args:
            run_id: The run.
            keep_artifacts: Leave its artifacts where they are.

        Returns:
            How many ``artifacts`` and ``bytes`` were deleted, and which were ``kept`` for what reason.
        """
        return self._call("DELETE", f"/runs/{segment(run_id)}", query={"keep_artifacts": "true" if keep_artifacts else ""})

    def retry(self, run_id: str, task: str = "") -> Json:
        """Go on with a run that failed or was cancelled, from where it stopped: what succeeded is kept.

        Args:
            run_id: The run.
            task: Only this task, by id or name, and what depends on it; the run may then also have succeeded.

        Returns:
            With a task: which tasks run ``again`` and which are ``kept``.

        Raises:
            KedgeError: It still runs, or it succeeded.
        """
        return self._call("POST", f"/runs/{segment(run_id)}:retry", query={"task_id": task})

    def resume(self, run_id: str, pipeline: Document | Mapping[str, Any]) -> Json:
        """Go on with a run that failed or was cancelled, with a changed pipeline.

        Args:
            run_id: The run.
            pipeline: What it goes on with.

        Returns:
            Which tasks are ``kept``, which run ``again`` and why, and which are ``dropped``.

        Raises:
            KedgeError: It still runs, or it succeeded, or its arguments do not fit.
        """
        return self._call("POST", f"/runs/{segment(run_id)}:resume", json={"pipeline_spec": _document(pipeline)})

    def archive(self, run_id: str, *, archived: bool = True) -> None:
        """Put a run out of the way, or back with ``archived=False``."""
        self._call("POST", f"/runs/{segment(run_id)}:{'archive' if archived else 'unarchive'}")

    def export(self, run_id: str, target: Path) -> None:
        """Write a run that is over to a file, with its artifacts and logs; `import_run` takes it in on another host.

        Args:
            run_id: The run.
            target: The file; there is none until it is whole.
        """
        partial = target.with_name(target.name + ".partial")
        try:
            with self._stream(f"/runs/{segment(run_id)}:export", {}) as response, partial.open("wb") as file:
                for piece in response.iter_bytes():
                    file.write(piece)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def import_run(self, file: Path) -> Json:
        """Take in a run that was exported; everything in the file is checked.

        Args:
            file: What `export` wrote.

        Returns:
            The run.

        Raises:
            Conflict: It is here already.
            KedgeError: The file is damaged, cut short, or holds what it must not.
        """
        with file.open("rb") as opened:
            return self._send("/runs:import", iter(lambda: opened.read(1 << 20), b""))

    # ---- tasks

    def tasks(self, run_id: str) -> Many:
        """Read all tasks of a run, with their attempts; their inputs and outputs by name."""
        return [_by_name(task) for task in self._call("GET", f"/runs/{segment(run_id)}/tasks")["tasks"]]

    def task(self, run_id: str, task_id: str) -> Json:
        """Read one task; its inputs and outputs by name."""
        return _by_name(self._call("GET", f"/runs/{segment(run_id)}/tasks/{segment(task_id)}"))

    def step(self, run_id: str, task_id: str) -> Json:
        """Read what a step was given: its ``executor_input`` and its ``pod``."""
        return self._call("GET", f"/runs/{segment(run_id)}/tasks/{segment(task_id)}/pod")

    def events(self, run_id: str, task_id: str | None = None) -> Many:
        """Read what Kubernetes said of a run's Pods, or of one task's, oldest first; also of Pods that are gone."""
        query = {} if task_id is None else {"task_id": task_id}
        return self._all(f"/runs/{segment(run_id)}/events", "events", query)

    def watch(self, run_id: str) -> Iterator[Json]:
        """Yield every task as it is, then each that changes, and at the end ``{"run": …}``.

        When the host stops meanwhile the iterator ends without it, or raises `errors.Unavailable`.
        """
        with self._stream(f"/runs/{segment(run_id)}/tasks", {"watch": "true"}) as response:
            found = Lines()
            for data in response.iter_bytes():
                for line in filter(bytes.strip, found.feed(data)):
                    yield _by_name(msgspec.json.decode(line))

    def logs(self, run_id: str, task_id: str, *, follow: bool = False, attempt: int | None = None) -> Iterator[str]:
        """Yield the lines that a step wrote, as `log_lines` has them; what is no UTF-8 is replaced."""
        for line in self.log_lines(run_id, task_id, follow=follow, attempt=attempt):
            yield line.decode("utf-8", "replace")

    def log_lines(
        self, run_id: str, task_id: str, *, follow: bool = False, attempt: int | None = None, part: LogPart | None = None
    ) -> Iterator[bytes]:
        """Yield the lines that a step wrote, byte for byte; nothing when there is no log.

        Args:
            run_id: The run.
            task_id: The step, such as ``train`` or ``for-loop-1.3.train``.
            follow: Go on until it ends, over a host that stops and comes back within two minutes.
            attempt: Which try, from 0; the last when not given, and with ``follow`` every later one too.
            part: What part of the log.
        """
        path, part = f"/runs/{segment(run_id)}/tasks/{segment(task_id)}/logs", part or LogPart()
        if follow:
            yield from Follower(partial(self._stream, path), lambda: self.task(run_id, task_id), part).lines(attempt)
            return
        try:
            with self._stream(path, {**part.query, "attempt": "" if attempt is None else str(attempt)}) as response:
                yield from lines(response)
        except NotFound:
            return

    # ---- artifacts

    def metrics(
        self, run_id: str, *, name: str = "", task_id: str = "", attempt: int | None = None, max_points: int | None = None
    ) -> Many:
        """The metrics of a run: each in short, or with the points of its series where a name or ``max_points`` is given.

        Args:
            run_id: The run's id.
            name: This one alone.
            task_id: Of this task alone.
            attempt: What this try logged, from 0; the last that logged any unless said.
            max_points: How many points of each series at most; the extremes are among them.
        """
        query = {
            "name": name,
            "task_id": task_id,
            "attempt": "" if attempt is None else str(attempt),
            "max_points": "" if max_points is None else str(max_points),
        }
        return self._call("GET", f"/runs/{segment(run_id)}/metrics", query=query)["metrics"]

    def artifacts(self, run_id: str) -> Many:
        """Read the artifacts that a run made."""
        return self._all("/artifacts", "artifacts", {"run_id": run_id})

    def list_artifacts(self, *, page_size: int = 20, filter: str = "") -> Many:  # noqa: A002  # the API's word
        """Read the newest artifacts of all runs.

        Args:
            page_size: At most so many; up to 200.
            filter: JSON of predicates, as KFP has them.
        """
        query = {"page_size": str(page_size), "filter": filter, "sort_by": "created_at desc"}
        return self._call("GET", "/artifacts", query=query).get("artifacts", [])

    def artifact(self, artifact_id: str) -> Json:
        """Read one artifact: its type, address, digest, metadata, and which task of which run made it."""
        return self._call("GET", f"/artifacts/{segment(artifact_id)}")

    def artifact_origin(self, artifact_id: str) -> Json:
        """Read what made an artifact: ``run_id``, ``task_id``, ``attempt``, ``pipeline`` with its version, and ``code``."""
        return self._call("GET", f"/artifacts/{segment(artifact_id)}/origin")

    def lineage_events(self, run_id: str) -> Many:
        """Read the OpenLineage events of a run, as far as it has come."""
        return self._call("GET", f"/runs/{segment(run_id)}:lineage")["events"]

    def task_origin(self, run_id: str, task_id: str) -> Json:
        """Read with which version of its pipeline and which code a task's outputs were made; see `artifact_origin`."""
        return self._call("GET", f"/runs/{segment(run_id)}/tasks/{segment(task_id)}/origin")

    def artifact_tasks(self, *, artifact_id: str = "", run_id: str = "", task_id: str = "") -> Many:
        """Read which task read or made which artifact; give the artifact, or the run and the task."""
        query = {"artifact_ids": artifact_id, "run_ids": run_id, "task_ids": task_id}
        return self._all("/artifact_tasks", "artifact_tasks", query)

    def artifact_files(self, artifact_id: str) -> Many:
        """Read the files of an artifact that is a folder: ``path``, ``size`` and ``sha256`` of each; empty for a single file."""
        return self._call("GET", f"/artifacts/{segment(artifact_id)}/files").get("files", [])

    def read_artifact(self, artifact_id: str, path: str = "") -> bytes:
        """Read the bytes of an artifact, or of one file of a folder."""
        with self._stream(f"/artifacts/{segment(artifact_id)}/content", {"path": path}) as response:
            return response.read()

    def save_artifact(self, artifact_id: str, target: Path, path: str = "") -> None:
        """Write an artifact, or one file of a folder, to a local file, in pieces."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._stream(f"/artifacts/{segment(artifact_id)}/content", {"path": path}) as response, target.open("wb") as file:
            for piece in response.iter_bytes():
                file.write(piece)

    # ---- the cache

    def cache_entries(self, which: Mapping[str, str] | None = None, *, page_size: int = 20, page_token: str = "") -> Json:
        """Read one page of results that may be used again, newest first.

        Args:
            which: ``pipeline_name``, ``component``, ``task_name``, ``before`` (a time), ``namespace``.
            page_size: At most so many; up to 200.
            page_token: Of the page before.

        Returns:
            ``cache_entries``, ``total_size`` and ``next_page_token``.
        """
        return self._call("GET", "/cache_entries", query={**(which or {}), "page_size": str(page_size), "page_token": page_token})

    def cache_entry(self, fingerprint: str, *, pipeline: str = "") -> Json:
        """Read a result that may be used again, by its key or the beginning of it; of one pipeline where several have it."""
        return self._call("GET", f"/cache_entries/{segment(fingerprint)}", query={"pipeline_name": pipeline})

    def clear_cache(self, which: Mapping[str, str] | None = None, *, every: bool = False) -> Json:
        """Let results not be used again; what was made stays with its runs.

        Args:
            which: As for `cache_entries`.
            every: All of them, where nothing else is said.

        Returns:
            How many were ``removed``, and ``entries`` with the numbers by pipeline and component.
        """
        return self._call("DELETE", "/cache_entries", query={**(which or {}), "all": "true" if every else ""})

    # ---- the host

    def status(self, namespace: str = "") -> Json:
        """Read how the host is, and what it holds; ``GET /status`` in the REST reference has the fields.

        Args:
            namespace: Whose artifacts are counted; all of them, or those of the cluster's context, when empty.
        """
        return self._call("GET", "/status", query={"namespace": namespace})

    # ---- recurring runs

    def recurring_runs(self) -> Many:
        """Read all recurring runs, newest first."""
        return self._all("/recurringruns", "recurring_runs")

    def recurring_run(self, recurring_run: str) -> Json:
        """Read a recurring run by its id or name.

        Raises:
            NotFound: There is none.
        """
        try:
            return self._call("GET", f"/recurringruns/{segment(recurring_run)}")
        except NotFound:
            found = [each for each in self.recurring_runs() if each.get("display_name") == recurring_run]
            if not found:
                raise
            return self._call("GET", f"/recurringruns/{found[0]['recurring_run_id']}")

    def create_recurring_run(
        self,
        pipeline: Document | Mapping[str, Any],
        settings: Mapping[str, Any],
        *,
        parameters: Mapping[str, Any] | None = None,
    ) -> Json:
        """Run a pipeline again and again.

        Args:
            pipeline: What to run: a document, or a PipelineSpec as plain JSON.
            settings: The other fields of a ``RecurringRun``, as ``POST /recurringruns`` takes them: ``display_name``,
                ``trigger``, ``max_concurrency``, ``no_catchup``, ``mode``.
            parameters: Arguments by input name.

        Returns:
            The recurring run; its id is ``recurring_run_id``.

        Raises:
            PipelineError: The pipeline, an argument or a setting is not valid; the message says which and why.
        """
        body = {**settings, "pipeline_spec": _document(pipeline), "runtime_config": {"parameters": arguments(parameters)}}
        return self._call("POST", "/recurringruns", json=body)

    def update_recurring_run(self, recurring_run_id: str, changes: Mapping[str, Any]) -> Json:
        """Change the fields that are given of a recurring run, in place; a new trigger counts from now."""
        return self._call("PATCH", f"/recurringruns/{segment(recurring_run_id)}", json=dict(changes))

    def enable_recurring_run(self, recurring_run_id: str, *, enabled: bool = True) -> None:
        """Let a recurring run fire, or keep it from firing."""
        self._call("POST", f"/recurringruns/{segment(recurring_run_id)}:{'enable' if enabled else 'disable'}")

    def delete_recurring_run(self, recurring_run_id: str) -> None:
        """Forget a recurring run; its runs stay."""
        self._call("DELETE", f"/recurringruns/{segment(recurring_run_id)}")

    # ---- pipelines

    def pipelines(self) -> Many:
        """Read all stored pipelines, newest first."""
        return self._all("/pipelines", "pipelines")

    def pipeline(self, pipeline: str) -> Json:
        """Read a stored pipeline by its id or name; raises `errors.NotFound`."""
        try:
            return self._call("GET", f"/pipelines/{segment(pipeline)}")
        except NotFound:
            return self._call("GET", f"/pipelines/names/{segment(pipeline)}")

    def versions(self, pipeline_id: str) -> Many:
        """Read the versions of a stored pipeline, newest first."""
        return self._all(f"/pipelines/{segment(pipeline_id)}/versions", "pipeline_versions")

    def upload(self, pipeline: Document | Mapping[str, Any], *, name: str = "") -> Json:
        """Store a pipeline, or a new version of the one that has its name.

        Args:
            pipeline: A document, or a PipelineSpec as plain JSON.
            name: The pipeline's name; as it calls itself when empty.

        Returns:
            The stored pipeline.

        Raises:
            PipelineError: The pipeline is not valid.
        """
        document = _document(pipeline)
        info = document.get("pipeline_spec", document).get("pipelineInfo") or {}
        name = name or str(info.get("name", ""))
        files = {"uploadfile": ("pipeline.json", msgspec.json.encode(document), "application/json")}
        try:
            known = self._call("GET", f"/pipelines/names/{segment(name)}")
        except NotFound:
            return self._call("POST", "/pipelines/upload", query={"name": name}, files=files)
        self._call("POST", "/pipelines/upload_version", query={"pipelineid": known["pipeline_id"]}, files=files)
        return known

    def delete_pipeline(self, pipeline_id: str) -> None:
        """Forget a stored pipeline with its versions; its runs stay."""
        self._call("DELETE", f"/pipelines/{segment(pipeline_id)}", query={"cascade": "true"})


def _asked(parameters: Mapping[str, Any] | None, name: str, tags: Mapping[str, str] | None) -> Json:
    """What a request for a run says besides the pipeline."""
    body: Json = {"runtime_config": {"parameters": arguments(parameters)}, "display_name": name, "tags": dict(tags or {})}
    return {key: value for key, value in body.items() if value}


def _document(pipeline: Document | Mapping[str, Any]) -> Json:
    return pipeline.json() if isinstance(pipeline, Document) else dict(pipeline)


def _by_name(task: Json) -> Json:
    """A task with its inputs and outputs as mappings, where KFP 3.0 has lists of keys and values."""
    try:
        for side in ("inputs", "outputs"):
            if listed := task.get(side):
                task[side] = {
                    "parameters": {one["parameter_key"]: one["value"] for one in listed.get("parameters", ())},
                    "artifacts": {one["artifact_key"]: one["artifacts"] for one in listed.get("artifacts", ())},
                }
                task[side] = {kind: found for kind, found in task[side].items() if found}
    except (LookupError, TypeError, AttributeError) as error:
        raise UnsupportedError(
            f"The host tells of tasks in a form that this Kedge does not read ({type(error).__name__}: {error}): it runs other "
            "code. Start it anew with this one: `kedge down --keep-steps`, then `kedge up --detach`."
        ) from error
    return task


def _named(name: str) -> str:
    predicate = {"operation": "EQUALS", "key": "display_name", "string_value": name}
    return msgspec.json.encode({"predicates": [predicate]}).decode()
