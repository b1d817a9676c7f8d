"""Where an artifact comes from: the task and the attempt that made it, its run, the pipeline's version, and the code.

The code is that of the attempt: a run that was resumed with a changed pipeline keeps what each attempt ran with. What came out of
the cache leads to the run that computed it.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from kedge.errors import PipelineError
from kedge.pipelines import templates
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.checkout import without_credentials
from kedge.pipelines.engine.types import State
from kedge.pipelines.history import History
from kedge.pipelines.records import Attempt, RunRecord, Spec, VersionRecord
from kedge.pipelines.spec import Container

Json = dict[str, Any]
_URL = re.compile(r"[a-z0-9+.-]+://[^\s;'\"]+", re.IGNORECASE)


class Origins:
    """Finds them.

    Args:
        history: Has runs, attempts and pipelines.
        catalog: Has stored versions.
    """

    def __init__(self, history: History, catalog: Catalog) -> None:
        self._history = history
        self._catalog = catalog

    def of(self, run_id: str, task_id: str) -> Json | None:
        """What made the outputs of a task; ``None`` where there is no such task, or its run was deleted."""
        run, task = self._history.run(run_id), self._history.task(run_id, task_id)
        if run is None or task is None:
            return None
        found: Json = {"run_id": run.id, "run_name": run.display_name, "task_id": task.id}
        if task.state is State.CACHED and task.cached_from:
            origin, _, name = task.cached_from.partition("/")
            # The run that computed it may be deleted; then the cached task's own code, which is the same, is what is known.
            if (computed := self.of(origin, name)) is not None:
                return computed | {"cached_for": {"run_id": run.id, "task_id": task.id}}
            found["computed_by"] = {"run_id": origin, "task_id": name}
        attempt = _last(self._history.attempts(run_id, task_id))
        if attempt is not None:
            found["attempt"] = attempt.number
        digest = (attempt.spec_digest if attempt is not None else "") or run.spec_digest
        spec = self._history.spec(digest)
        return (
            found
            | {"pipeline": self._pipeline(run, digest, spec)}
            | ({"code": code_of(spec, task.component, task.executor)} if spec else {})
        )

    def _pipeline(self, run: RunRecord, digest: str, spec: Spec | None) -> Json:
        found: Json = {"name": spec.name if spec is not None else run.pipeline_name, "digest": digest}
        version = self._version(run, digest)
        if version is not None:
            found |= {"pipeline_id": version.pipeline_id, "pipeline_version_id": version.id, "version": version.display_name}
            if version.code_source_url:
                found["code_source_url"] = version.code_source_url
        elif run.pipeline_version_id and digest == run.spec_digest:  # deleted since
            found |= {"pipeline_id": run.pipeline_id or "", "pipeline_version_id": run.pipeline_version_id}
        return found

    def _version(self, run: RunRecord, digest: str) -> VersionRecord | None:
        """The version that the run was started from; of what it was resumed with, one that has the same content."""
        if run.pipeline_version_id and digest == run.spec_digest:
            return self._catalog.known_version(run.pipeline_version_id)
        return self._catalog.version_of(digest, run.namespace)


def code_of(spec: Spec, component: str, name: str) -> Json:
    """The code of a task.

    Args:
        spec: Its pipeline.
        component: The task's component.
        name: The task's executor.

    Returns:
        ``kind`` (``python``, ``container``, ``importer`` or ``pipeline``), ``component``, and of a Python step ``function``,
        ``source``, ``source_digest``, ``file``, ``line``, ``packages``; of a container ``image``, ``command`` and ``args``; and
        where they are known ``project_digest`` and ``checkout``.
    """
    found: Json = {"kind": "pipeline"} | ({"component": component} if component else {})
    deployment: Mapping[str, Any] = spec.pipeline.get("deploymentSpec") or {}
    executor: Mapping[str, Any] = (deployment.get("executors") or {}).get(name) or {}
    if isinstance(executor.get("importer"), dict):
        found["kind"] = "importer"
    elif isinstance(executor.get("container"), dict):
        found |= _container(executor["container"])
    if digest := spec.project.get("digest"):
        found["project_digest"] = f"sha256:{digest}"
    if checkout := spec.checkout:
        found["checkout"] = checkout
    return found


def _container(raw: Mapping[str, Any]) -> Json:
    try:
        container = msgspec.convert(raw, Container, strict=False)
    except (msgspec.ValidationError, PipelineError):
        return {"kind": "container", "image": str(raw.get("image", ""))}
    step = templates.recognise(container)
    if step is None or step.literal:
        return {"kind": "container", "image": container.image, "command": [*container.command], "args": [*container.args]}
    return {
        "kind": "python",
        "image": container.image,
        "function": step.function,
        "source": step.source,
        "source_digest": f"sha256:{hashlib.sha256(step.source.encode()).hexdigest()}",
        "file": step.filename,
        "line": step.first_line,
        # An address in a requirement may carry a token.
        "packages": [_URL.sub(lambda url: without_credentials(url[0]), package) for package in step.packages],
    }


def _last(attempts: list[Attempt]) -> Attempt | None:
    """The attempt whose outputs count: the last that succeeded, or just the last."""
    good = [attempt for attempt in attempts if attempt.state is State.SUCCEEDED]
    return (good or attempts)[-1] if attempts else None
