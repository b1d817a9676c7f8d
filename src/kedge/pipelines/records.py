"""What the history keeps besides the engine's tasks: runs, attempts, artifacts and who read or made them."""

import hashlib
from datetime import datetime
from typing import Any, Literal

import msgspec

from kedge.pipelines.engine.types import Artifact, Failure, Outputs, RunInfo, State, Task

# The namespace of ids that are a function of what they name, so that writing a record twice makes one record.

RunState = Literal["PENDING", "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED", "CANCELING", "CANCELED", "PAUSED"]
LIVE_RUN_STATES = frozenset({"PENDING", "RUNNING", "CANCELING", "PAUSED"})


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as the history keeps it.

    Attributes:
        id: UID of its Run object.
        namespace: Of the Run object.
        name: Of the Run object.
        display_name: What people call it.
        description: Free text.
        experiment_id: The group it belongs to.
        pipeline_id: The stored pipeline it was started from, if any.
        pipeline_version_id: Likewise.
        recurring_run_id: What started it, if it was no person.
        pipeline_name: ``pipelineInfo.name``; the scope of its cache.
        spec_digest: Which pipeline, by content.
        parameters: Arguments as they were given, by input name.
        pipeline_root: Where its artifacts go.
        service_account: Its Pods' ServiceAccount; ``""`` for the namespace's default.
        cache: Whether finished tasks may be reused.
        state: In KFP's words.
        state_history: ``(state, time)`` in order.
        storage_state: ``AVAILABLE`` or ``ARCHIVED``.
        cancel_reason: Set once its end was asked for.
        failure: Why it did not succeed.
        outputs: The pipeline's own outputs.
        created_at: When it was asked for.
        scheduled_at: The moment of its recurring run.
        tags: Texts by name, by which people find it.
        started_at: When it began.
        finished_at: When it was over.
    """

    id: str
    namespace: str
    name: str
    display_name: str
    description: str = ""
    experiment_id: str | None = None
    pipeline_id: str | None = None
    pipeline_version_id: str | None = None
    recurring_run_id: str | None = None
    pipeline_name: str
    spec_digest: str
    parameters: dict[str, Any]
    pipeline_root: str
    service_account: str = ""
    cache: bool = True
    state: str = "PENDING"
    state_history: tuple[tuple[str, datetime], ...] = ()
    storage_state: str = "AVAILABLE"
    cancel_reason: str | None = None
    failure: Failure | None = None
    outputs: Outputs | None = None
    created_at: datetime
    scheduled_at: datetime | None = None
    tags: dict[str, str] = {}
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more happens to the run."""
        return self.state not in LIVE_RUN_STATES

    @property
    def going_since(self) -> datetime | None:
        """When it began to run, for the last time if it was opened again; ``None`` before."""
        since = None
        for state, moment in self.state_history:
            if state not in LIVE_RUN_STATES:
                since = None
            elif state == "RUNNING" and since is None:
                since = moment
        return since

    def moved(self, state: str, now: datetime, **changes: Any) -> "RunRecord":
        """The record in another state, which its history then lists too."""
        history = self.state_history
        if state != self.state or not history:
            history = (*history, (state, now))
        return msgspec.structs.replace(self, state=state, state_history=history, **changes)

    def info(self, *, infra_retries: int = 3, project_digest: str = "") -> RunInfo:
        """What the engine is told of the run."""
        return RunInfo(
            id=self.id,
            name=self.name,
            display_name=self.display_name,
            parameters=self.parameters,
            pipeline_root=self.pipeline_root,
            created_at=self.created_at,
            scheduled_at=self.scheduled_at,
            cache=self.cache,
            infra_retries=infra_retries,
            project_digest=project_digest,
        )


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a step: one Pod.

    Attributes:
        run: The run's UID.
        task: The task's id.
        number: From 0.
        pod_name: A function of run, task and number.
        pod_uid: Known once the Pod was seen.
        state: ``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``CANCELED``.
        failure: Why it failed.
        staged: Outputs that its sidecar committed before the main container's exit was seen.
        spec_digest: Which pipeline it ran; ``""`` if that is not known, which is then what its run says.
        cpu_seconds: Seconds of processors that it used; ``None`` where its node does not say, or not yet.
        peak_memory: Bytes of memory that it used at its peak, likewise.
        created_at: When its Pod was asked for.
        started_at: When the Pod was first seen running.
        finished_at: When its result was recorded.
    """

    run: str
    task: str
    number: int
    pod_name: str
    pod_uid: str | None = None
    state: State = State.PENDING
    failure: Failure | None = None
    staged: Outputs | None = None
    spec_digest: str = ""
    cpu_seconds: float | None = None
    peak_memory: int | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Sample(msgspec.Struct, frozen=True):
    """What an attempt used in a while.

    Attributes:
        pod_uid: Of its Pod.
        cpu: Seconds of processors.
        memory: Bytes.
    """

    pod_uid: str
    cpu: float
    memory: int


class PodEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that Kubernetes said of an attempt's Pod.

    Attributes:
        id: UID of the Event.
        run: The run's UID.
        task: The task's id.
        attempt: The attempt's number.
        type: ``Normal`` or ``Warning``.
        reason: In one word.
        message: In a sentence.
        source: Who said it.
        count: How often.
        first_at: When first.
        last_at: When last.
        position: Grows with the moment at which it was first written.
    """

    id: str
    run: str
    task: str
    attempt: int
    type: str
    reason: str
    message: str
    source: str
    count: int
    first_at: datetime
    last_at: datetime
    position: int = 0


class ArtifactRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact, and who made it."""

    id: str
    namespace: str
    artifact: Artifact
    run: str | None
    task: str | None
    created_at: datetime


class Edge(msgspec.Struct, frozen=True):
    """A task read or made an artifact under a name."""

    run: str
    task: str
    direction: Literal["input", "output"]
    key: str
    position: int
    artifact: str


class Changes(msgspec.Struct):
    """What one transaction writes; filled while events are handled, written before anything is done about them."""

    run: RunRecord | None = None
    tasks: dict[str, Task] = {}
    attempts: dict[tuple[str, int], Attempt] = {}
    artifacts: list[ArtifactRecord] = []
    edges: list[Edge] = []

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.run or self.tasks or self.attempts or self.artifacts or self.edges)


class PipelineRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stored pipeline."""

    id: str
    namespace: str
    name: str
    display_name: str
    description: str = ""
    tags: dict[str, str] = {}
    created_at: datetime


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a stored pipeline."""

    id: str
    pipeline_id: str
    name: str
    display_name: str
    description: str = ""
    spec_digest: str
    tags: dict[str, str] = {}
    code_source_url: str = ""
    package_url: str = ""
    created_at: datetime


class ExperimentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A named group of runs."""

    id: str
    namespace: str
    display_name: str
    description: str = ""
    storage_state: str = "AVAILABLE"
    created_at: datetime
    last_run_created_at: datetime | None = None


class Spec(msgspec.Struct, frozen=True):
    """A pipeline's two documents and the digest of both."""

    digest: str
    pipeline: dict[str, Any]
    platforms: dict[str, Any]

    @classmethod
    def of(cls, pipeline: dict[str, Any], platforms: dict[str, Any]) -> "Spec":
        """Compute the digest: that of the JSON with sorted keys, so that YAML and JSON of one pipeline are one."""
        content = msgspec.json.encode((pipeline, platforms), order="deterministic")
        return cls(f"sha256:{hashlib.sha256(content).hexdigest()}", pipeline, platforms)

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str((self.pipeline.get("pipelineInfo") or {}).get("name", ""))

    @property
    def project(self) -> dict[str, Any]:
        """The packed project code, ``{"digest", "archive"}``, or nothing."""
        config = (self.platforms.get("kedge") or {}).get("config") or {}
        project = config.get("project")
        return project if isinstance(project, dict) else {}

    @property
    def checkout(self) -> dict[str, Any]:
        """The checkout that it was submitted from (`kedge.pipelines.checkout`), or nothing."""
        config = (self.platforms.get("kedge") or {}).get("config") or {}
        checkout = config.get("checkout")
        return checkout if isinstance(checkout, dict) else {}
