"""The engine's vocabulary: rows, events, instructions.

**Rows.** A `Task` is one node of a run's graph and one row of the database. The engine never changes one in place: a transition
makes a new `Task`, and `Step.changed` lists the newest of each that an event touched. Writing those rows in one transaction
*before* carrying out the instructions is all that a controller must do to survive a kill at any point.

**Ids.** The dotted path of task names and iteration numbers: the root is ``""``, then ``train``, ``for-loop-1``,
``for-loop-1.3`` (an iteration is a task of its own), ``for-loop-1.3.train``.

**Which rows exist.** The children of a DAG are written when the DAG starts, an iteration when it starts (so a loop with a
parallelism limit does not write rows for what waits for a slot).
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import msgspec


class State(StrEnum):
    """Where a task is, in Kubeflow's words."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    CACHED = "CACHED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"

    @property
    def finished(self) -> bool:
        """Whether nothing more happens to the task."""
        return self not in _LIVE

    @property
    def succeeded(self) -> bool:
        """Whether the task's outputs are there to be used."""
        return self in _GOOD


_LIVE = frozenset({State.PENDING, State.RUNNING})
_GOOD = frozenset({State.SUCCEEDED, State.CACHED})


class Kind(StrEnum):
    """What a task is."""

    DAG = "dag"
    LOOP = "loop"
    STEP = "step"
    IMPORTER = "importer"


class Waiting(StrEnum):
    """What a PENDING task waits for."""

    UPSTREAM = "upstream"
    """other tasks"""
    CACHE = "cache"
    """the answer to a `LookupCache`"""
    START = "start"
    """its Pod (or the import) to begin; a `StartStep` or `ImportArtifact` has been given"""
    RETRY = "retry"
    """the moment `Task.retry_at`"""


FailureKind: TypeAlias = Literal["user", "infra", "upstream", "canceled"]


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a task did not succeed (also why one was skipped or canceled).

    Attributes:
        kind: ``user`` (the step's own code, or a value that does not fit), ``infra`` (node lost, eviction, image pull: does not
            use up the user's retries), ``upstream`` (not run because of another task or a false condition), ``canceled``.
        reason: One CamelCase word for programs, such as ``ConditionFalse``, ``UpstreamFailed``, ``OutputInvalid``.
        message: For a person.
        exit_code: Of the user's process, if there was one.
        task: Id of the task where it happened; a DAG repeats its first failed task's failure.
        final: Whether another try cannot end otherwise: the user must change something first.
    """

    kind: FailureKind
    reason: str
    message: str
    exit_code: int | None = None
    task: str = ""
    final: bool = False


class Artifact(msgspec.Struct, frozen=True, omit_defaults=True):
    """One artifact.

    Attributes:
        name: The output that made it.
        uri: The real address, such as ``file:///home/me/.kedge/artifacts/…`` or ``s3://…``.
        type: Schema title, such as ``system.Model``.
        version: Schema version.
        metadata: What the step logged.
        digest: ``sha256:<hex>`` of the content, or ``""`` where it is not known (imported, or never written).
        size: Bytes, if known.
        id: The store's id of the artifact's record, if it has one.
    """

    name: str
    uri: str
    type: str = "system.Artifact"
    version: str = "0.0.1"
    metadata: dict[str, Any] = {}
    digest: str = ""
    size: int | None = None
    id: str = ""


class Values(msgspec.Struct, frozen=True, omit_defaults=True):
    """Parameters and artifacts by name: what goes into a task (`Inputs`) and what comes out (`Outputs`).

    Attributes:
        parameters: JSON values. An optional input that was given nothing is absent.
        artifacts: Always lists; one that is not declared a list has one element.
        options: Of inputs: values that options of the platform refer to, by `platform_spec.reference_key`. The step is not told.
    """

    parameters: dict[str, Any] = {}
    artifacts: dict[str, list[Artifact]] = {}
    options: dict[str, Any] = {}


Inputs = Values
Outputs = Values


class Task(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One node of a run's graph: one row.

    Attributes:
        id: Dotted path; ``""`` is the root.
        name: The last part of the path: the task's name in the IR, or the iteration's number.
        parent: Id of the DAG or loop it belongs to; ``None`` for the root.
        kind: What it is.
        component: Name of its component in the IR (``""`` for the root).
        executor: Executor label in the IR, for steps and importers.
        state: Where it is.
        waiting: What it waits for while PENDING.
        iteration: Index in its loop, for the iterations themselves.
        iterations: How many items, for loops that have started.
        attempt: Number of the current or last try, from 0.
        infra_failures: How many of the tries failed for reasons of the infrastructure.
        inputs: Resolved inputs; ``None`` until it was ready. Of an iteration only its own item: the rest are its loop's inputs.
        outputs: What it produced.
        failure: Why it did not succeed. On a DAG that still runs: the first failure below it.
        retry_at: When the next attempt begins, while it waits for that.
        cache_key: Key under which its outputs may be reused and are kept; ``""`` where caching is off.
        cached_from: What the cache's answer named as the origin of the outputs, when CACHED.
        created_at: When the row was made.
        started_at: When the attempt began to run; of a DAG, when it was ready.
        finished_at: When it reached a final state.
    """

    id: str
    name: str
    parent: str | None
    kind: Kind
    component: str = ""
    executor: str = ""
    state: State = State.PENDING
    waiting: Waiting | None = None
    iteration: int | None = None
    iterations: int | None = None
    attempt: int = 0
    infra_failures: int = 0
    inputs: Inputs | None = None
    outputs: Outputs | None = None
    failure: Failure | None = None
    retry_at: datetime | None = None
    cache_key: str = ""
    cached_from: str = ""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine must know of a run besides its pipeline. It never changes during the run.

    Attributes:
        id: The run's UID.
        name: The ``Run`` object's name (``{{$.pipeline_job_resource_name}}``).
        display_name: What people call it (``{{$.pipeline_job_name}}``).
        parameters: Arguments of the pipeline, by input name.
        pipeline_root: Where artifacts go (``{{$.pipeline_root}}``).
        created_at: ``{{$.pipeline_job_create_time_utc}}``.
        scheduled_at: ``{{$.pipeline_job_schedule_time_utc}}``; ``None``: as `created_at`.
        workspace_path: ``{{$.workspace_path}}``.
        cache: ``False`` turns caching off for the whole run.
        infra_retries: How often a task is tried again after failures of the infrastructure.
        project_digest: Digest of the packed project code, which is part of every cache key.
        first_attempts: Numbers of the first attempts of tasks that had others in an earlier life of the run.
        final_status_complete: Give exit tasks upstream's ``COMPLETE`` for success where the documentation says ``SUCCEEDED``.
    """

    id: str
    created_at: datetime
    name: str = ""
    display_name: str = ""
    parameters: dict[str, Any] = {}
    pipeline_root: str = ""
    scheduled_at: datetime | None = None
    workspace_path: str = "/kfp-workspace"
    cache: bool = True
    infra_retries: int = 3
    first_attempts: dict[str, int] = {}
    project_digest: str = ""
    final_status_complete: bool = False


# ---- events: what has happened. `now` is an aware datetime.
# An event about a task that is over, or about another attempt, changes nothing.


class RunStarted(msgspec.Struct, frozen=True):
    """The first event of a run."""

    now: datetime


class CacheAnswered(msgspec.Struct, frozen=True):
    """The answer to `LookupCache`; ``outputs=None``: nothing usable is known."""

    now: datetime
    task: str
    outputs: Outputs | None = None
    cached_from: str = ""


class StepStarted(msgspec.Struct, frozen=True):
    """The attempt's Pod runs. May be left out: a commit or a failure is understood without it."""

    now: datetime
    task: str
    attempt: int


class StepCommitted(msgspec.Struct, frozen=True):
    """The attempt's outputs are committed (or the artifact is imported).

    Outputs that do not fit their declaration count as the user's failure.
    """

    now: datetime
    task: str
    attempt: int
    outputs: Outputs = Values()


class StepFailed(msgspec.Struct, frozen=True):
    """The attempt failed: ``user`` or ``infra``, or ``canceled`` where it was stopped from outside and must not be retried."""

    now: datetime
    task: str
    attempt: int
    failure: Failure


class TimerFired(msgspec.Struct, frozen=True):
    """The time of a `WakeAt` has come."""

    now: datetime
    task: str


CANCELLED = "The run was cancelled."
"""Why a run ends, where whoever wanted it gave no reason."""


class CancelRequested(msgspec.Struct, frozen=True):
    """Stop the run: what runs is stopped, and nothing new starts, exit tasks included.

    The IR's documentation wants it so: a run that is being cancelled triggers no task, whatever its trigger strategy.
    """

    now: datetime
    reason: str = CANCELLED


class DeadlineExceeded(msgspec.Struct, frozen=True):
    """The run has taken longer than it may: it ends as for `CancelRequested`, but has failed."""

    now: datetime
    message: str


class Resumed(msgspec.Struct, frozen=True):
    """The engine was rebuilt from rows: give every instruction again that may not have been carried out.

    Starts the run if there are no rows.
    """

    now: datetime


Event: TypeAlias = (
    RunStarted
    | CacheAnswered
    | StepStarted
    | StepCommitted
    | StepFailed
    | TimerFired
    | CancelRequested
    | DeadlineExceeded
    | Resumed
)


# ---- instructions: what must happen. Each may be given twice (after a restart); doing it twice must equal doing it once.


class LookupCache(msgspec.Struct, frozen=True):
    """Look for outputs kept under this key; answer with `CacheAnswered`.

    It only reads, so the answer may be handled before the rows are written, and both steps then be written together.
    """

    task: str
    key: str


class StartStep(msgspec.Struct, frozen=True):
    """Create the Pod of this attempt (its name is a function of run, task and attempt)."""

    task: str
    attempt: int
    component: str
    executor: str
    inputs: Inputs


class ImportArtifact(msgspec.Struct, frozen=True):
    """Record an existing artifact; answer with `StepCommitted` (output ``artifact``) or `StepFailed`.

    Attributes:
        artifact: Name (the output's), address, type and metadata, resolved.
        reimport: Make a new record even if one with the same address, type and metadata exists.
    """

    task: str
    attempt: int
    component: str
    executor: str
    artifact: Artifact
    reimport: bool = False


class StopStep(msgspec.Struct, frozen=True):
    """Stop this attempt, if it runs, and take no result of it any more."""

    task: str
    attempt: int


class WakeAt(msgspec.Struct, frozen=True):
    """Send `TimerFired` for the task at that time (at once, if it is past)."""

    task: str
    at: datetime


class FinishRun(msgspec.Struct, frozen=True):
    """Every task is over: record the run's end. Always the last instruction of a run."""

    state: State
    failure: Failure | None = None
    outputs: Outputs = Values()


Instruction: TypeAlias = LookupCache | StartStep | ImportArtifact | StopStep | WakeAt | FinishRun


class Step(msgspec.Struct, frozen=True):
    """What one event did.

    Attributes:
        changed: The newest version of every row that is new or different. Write them first, in one transaction.
        instructions: What to do then, in order.
    """

    changed: tuple[Task, ...] = ()
    instructions: tuple[Instruction, ...] = ()
