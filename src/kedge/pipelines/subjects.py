"""Finds what requests are about, for their rights: by the id in an address, by what a body names, or by the namespace itself.

Where there are several users, everything lies in a namespace, and lists are of one: a request that names none is refused. Only
pipelines may lie in none, which shares them. Where there is one user, nothing named means everything, or ``default``.
"""

from dataclasses import dataclass, replace

from kedge.errors import BadRequest
from kedge.pipelines import rest_bodies
from kedge.pipelines.catalog import Catalog, no_experiment, no_pipeline, no_version
from kedge.pipelines.controller import RunController
from kedge.pipelines.history import History
from kedge.pipelines.operations import Call
from kedge.pipelines.recurring import RecurringRuns, no_recurring_run
from kedge.pipelines.rest_artifacts import no_artifact
from kedge.pipelines.rest_runs import known_run, no_run
from kedge.pipelines.rights import Subject
from kedge.pipelines.submissions import DEFAULT_NAMESPACE
from kedge.server.callers import NAMESPACE

_MOST = 1000
_WHICH = "namespace: is required, because this hub has many. Say which: ?namespace=NAME, or namespace=… of kfp.Client."


@dataclass(frozen=True, slots=True)
class Records:
    """Where things are looked up by their ids, and where they go if nobody says, where there is one user."""

    controller: RunController
    history: History
    catalog: Catalog
    recurring: RecurringRuns
    namespace: str = DEFAULT_NAMESPACE


class Subjects:
    """Looks up what requests are about.

    Args:
        records: Where.
        multi_user: Whether there may be several users.
    """

    def __init__(self, records: Records, *, multi_user: bool) -> None:
        self._records = records
        self._multi_user = multi_user

    # ---- what an address names

    def run(self, call: Call) -> list[Subject]:
        """A run, or what belongs to one."""
        return [self._run(call.path["run_id"])]

    def artifact(self, call: Call) -> list[Subject]:
        """An artifact."""
        return [self._artifact(call.path["artifact_id"])]

    def experiment(self, call: Call) -> list[Subject]:
        """An experiment."""
        return [self._experiment(call.path["experiment_id"])]

    def recurring(self, call: Call) -> list[Subject]:
        """A recurring run."""
        found = self._records.recurring.get(call.path["recurring_run_id"])
        return [Subject(found.namespace, found.display_name, no_recurring_run(found.id))]

    def pipeline(self, call: Call) -> list[Subject]:
        """A pipeline, or what belongs to one."""
        return [self._pipeline(call.path.get("pipeline_id") or call.text("pipelineid"))]

    def version(self, call: Call) -> list[Subject]:
        """A version of a pipeline."""
        pipeline_id, version_id = call.path["pipeline_id"], call.path["pipeline_version_id"]
        self._records.catalog.version(pipeline_id, version_id)
        found = self._pipeline(pipeline_id)
        return [Subject(found.namespace, found.name, no_version(pipeline_id, version_id))]

    # ---- lists

    def listed(self, call: Call) -> list[Subject]:
        """A list of things of a namespace."""
        return [Subject(self._asked(_named(call)))]

    def listed_by_experiment(self, call: Call) -> list[Subject]:
        """Such a list, or one of an experiment, which has a namespace."""
        if self._multi_user and not call.text("namespace") and (experiment_id := call.text("experiment_id")):
            return [_place(self._experiment(experiment_id))]
        return self.listed(call)

    def listed_by_run(self, call: Call) -> list[Subject]:
        """Such a list, or one of a run, which has a namespace."""
        if self._multi_user and not call.text("namespace") and (run_id := call.text("run_id")):
            return [_place(self._run(run_id))]
        return self.listed(call)

    def listed_pipelines(self, call: Call) -> list[Subject]:
        """Pipelines of a namespace, or those that all share."""
        namespace = _named(call)
        return [Subject(namespace if namespace or self._multi_user else None)]

    def linked(self, call: Call) -> list[Subject]:
        """The runs and artifacts whose links are asked for; none are asked about where there is one user."""
        if not self._multi_user:
            return []
        run_ids, artifact_ids = call.many("run_ids"), call.many("artifact_ids")
        if not run_ids and not artifact_ids:
            raise BadRequest("run_ids or artifact_ids: one is required, because this hub has many users.")
        if len(run_ids) + len(artifact_ids) > _MOST:
            raise BadRequest(f"run_ids and artifact_ids: there are more than {_MOST}. Ask in parts.")
        found = [*map(self._run, dict.fromkeys(run_ids)), *map(self._artifact, dict.fromkeys(artifact_ids))]
        return list({subject.namespace: _place(subject) for subject in found}.values())

    # ---- what is made

    def made(self, call: Call) -> list[Subject]:
        """Something new in a namespace."""
        return [Subject(self._given(_body_namespace(call) or _named(call)))]

    def made_in_experiment(self, call: Call) -> list[Subject]:
        """Something new in a namespace, which may be that of its experiment."""
        asked: rest_bodies.Run | rest_bodies.RecurringRun = call.body
        experiment_id = asked.experiment_id or call.text("experiment_id")
        if not _body_namespace(call) and experiment_id:
            return [_place(self._experiment(experiment_id))]
        return self.made(call)

    def made_pipeline(self, call: Call) -> list[Subject]:
        """A new pipeline, or one of a name, in a namespace or for all."""
        namespace = _body_namespace(call) or _named(call)
        return [Subject(namespace if namespace or self._multi_user else self._records.namespace)]

    def taken(self, call: Call) -> list[Subject]:
        """A run that comes from elsewhere; where there is one user, into the namespace that it had."""
        return self.listed(call)

    def referenced(self, call: Call) -> list[Subject]:
        """The stored pipeline that a body wants to run, if any; not asked about where there is one user."""
        if not self._multi_user:
            return []
        asked: rest_bodies.Run | rest_bodies.RecurringRun | rest_bodies.Resumption = call.body
        reference = asked.pipeline_version_reference
        version_id = (reference.pipeline_version_id if reference is not None else "") or getattr(asked, "pipeline_version_id", "")
        pipeline_id = reference.pipeline_id if reference is not None else ""
        if not pipeline_id and not version_id:
            return []
        version = self._records.catalog.version(pipeline_id, version_id or "")
        found = self._pipeline(version.pipeline_id)
        return [Subject(found.namespace, found.name, no_version(pipeline_id, version_id or ""))]

    # ---- records

    def _run(self, run_id: str) -> Subject:
        record = known_run(self._records.controller, self._records.history, run_id)
        return Subject(record.namespace, record.name, no_run(run_id))

    def _artifact(self, artifact_id: str) -> Subject:
        record = self._records.history.artifact(artifact_id)
        if record is None:
            raise no_artifact(artifact_id)
        return Subject(record.namespace, "", no_artifact(artifact_id))

    def _experiment(self, experiment_id: str) -> Subject:
        record = self._records.catalog.experiment(experiment_id)
        return Subject(record.namespace, record.display_name, no_experiment(experiment_id))

    def _pipeline(self, pipeline_id: str) -> Subject:
        record = self._records.catalog.pipeline(pipeline_id)
        return Subject(record.namespace, record.name, no_pipeline(pipeline_id))

    def _asked(self, namespace: str) -> str | None:
        if not namespace and self._multi_user:
            raise BadRequest(_WHICH)
        return namespace or None

    def _given(self, namespace: str) -> str:
        if not namespace and self._multi_user:
            raise BadRequest(_WHICH)
        return namespace or self._records.namespace


def _named(call: Call) -> str:
    """The namespace of a query, or the one that the caller means otherwise."""
    return call.text("namespace") or call.request.headers.get(NAMESPACE, "")


def _place(subject: Subject) -> Subject:
    """The place of something, for a right that is not to that one thing."""
    return replace(subject, name="")


def _body_namespace(call: Call) -> str:
    body = call.body
    if isinstance(body, rest_bodies.PipelineAndVersion):
        body = body.pipeline
    return call.text("namespace") or getattr(body, "namespace", None) or ""
