"""From what a request or a recurring run asks for to a Run: which pipeline, whether its arguments fit, then the object."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from kedge.errors import BadRequest, Cause, Invalid, NotFound, PipelineError
from kedge.kube import names
from kedge.kube.clock import micro_timestamp
from kedge.pipelines import documents, ir, tags
from kedge.pipelines.adoption import Registrar, run_object
from kedge.pipelines.catalog import Catalog, no_experiment
from kedge.pipelines.controller import RunController
from kedge.pipelines.history import History
from kedge.pipelines.ports import Artifacts
from kedge.pipelines.records import RunRecord, Spec, VersionRecord
from kedge.pipelines.rest_bodies import VersionReference
from kedge.pipelines.spec import Pipeline

DEFAULT_NAMESPACE = "default"
# Above this, reading a pipeline takes long enough for others to notice: it is done on a thread.
_LARGE = 256 << 10


@dataclass(frozen=True, slots=True)
class Found:
    """A pipeline that can be run.

    Attributes:
        spec: Its documents.
        pipeline: What they mean.
        version: Where it is stored, if it is.
    """

    spec: Spec
    pipeline: Pipeline
    version: VersionRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for besides the pipeline.

    Attributes:
        namespace: Where it runs.
        parameters: Arguments by input name.
        pipeline_root: Where its artifacts go; ``""`` for where the pipeline says.
        display_name: What people call it.
        description: Free text.
        experiment_id: Its group; ``""`` for the default one.
        service_account: Of its Pods.
        cache: Whether finished tasks may be reused.
        recurring_run_id: What orders it, if it is no person.
        scheduled_at: For which moment.
        name: Of the Run object; ``""`` lets the server find one.
        tags: Texts by name, by which people find it.
    """

    namespace: str = DEFAULT_NAMESPACE
    parameters: dict[str, Any]
    pipeline_root: str = ""
    display_name: str = ""
    description: str = ""
    experiment_id: str = ""
    service_account: str = ""
    cache: bool = True
    recurring_run_id: str = ""
    scheduled_at: datetime | None = None
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class Submissions:
    """Makes Runs.

    Args:
        controller: Begins them.
        history: Has documents of pipelines.
        catalog: Stored pipelines and experiments.
        registrar: Reads pipelines.
        artifacts: Says whether a pipeline root can be used.
    """

    def __init__(
        self, controller: RunController, history: History, *, catalog: Catalog, registrar: Registrar, artifacts: Artifacts
    ) -> None:
        self._controller = controller
        self._history = history
        self._catalog = catalog
        self._registrar = registrar
        self._artifacts = artifacts

    async def find(
        self, inline: dict[str, Any] | None, reference: VersionReference | None, *, version_id: str = "", size: int = 0
    ) -> Found:
        """The pipeline that a request means.

        Args:
            inline: The pipeline itself.
            reference: Or a stored one.
            version_id: Or, as older clients say it, a version alone.
            size: Bytes of the request.

        Raises:
            BadRequest: It names none, or two.
            NotFound: There is no such version.
            PipelineError: It is not valid.
        """
        if inline is not None and reference is not None:
            raise BadRequest("pipeline_spec and pipeline_version_reference exclude each other. Leave one of them out.")
        if inline is not None:
            if size < _LARGE:
                found = self._read(inline)
            else:
                found = await asyncio.to_thread(self._read, inline)
            self._registrar.remember(found.spec, found.pipeline)
            return found
        if reference is None and not version_id:
            raise BadRequest("pipeline_spec or pipeline_version_reference is required: what shall it run?")
        pipeline_id = reference.pipeline_id if reference is not None else ""
        return self.stored(pipeline_id, (reference.pipeline_version_id if reference is not None else "") or version_id)

    def _read(self, inline: dict[str, Any]) -> Found:
        document = documents.document(inline, "pipeline_spec")
        spec = Spec.of(document.pipeline, document.platforms)
        return Found(spec, self._registrar.read(spec))

    def stored(self, pipeline_id: str, version_id: str = "") -> Found:
        """A stored version, the newest if none is named; raises `errors.NotFound`."""
        version = self._catalog.version(pipeline_id, version_id)
        return self.kept(version.spec_digest, version)

    def kept(self, digest: str, version: VersionRecord | None = None) -> Found:
        """A pipeline by the digest of its documents; raises `errors.NotFound`."""
        spec = self._history.spec(digest)
        if spec is None:
            what = f"pipeline version {version.id!r}" if version is not None else "the recurring run"
            raise NotFound(f"{what} has lost its pipeline. Upload it again.")
        return Found(spec, self._registrar.pipeline(spec), version)

    async def check(self, found: Found, order: Order) -> None:
        """Refuse what could not run: arguments that do not fit, a root that cannot be written, an archived experiment.

        Raises:
            KedgeError: Says which, and why; its causes name the fields as a request has them.
        """
        refused: list[BadRequest | Invalid | NotFound | PipelineError] = []
        try:
            ir.check_parameters(found.pipeline, order.parameters)
        except PipelineError as error:
            error.causes = tuple(replace(cause, field=f"runtime_config.{cause.field}") for cause in error.causes)
            refused.append(error)
        root = order.pipeline_root or found.pipeline.spec.default_pipeline_root or self._artifacts.root_of(order.namespace)
        try:
            await self._artifacts.check_root(root, order.namespace)
        except (BadRequest, Invalid) as error:
            error.causes = (Cause("runtime_config.pipeline_root", str(error)),)
            refused.append(error)
        try:
            tags.check(order.tags)
        except BadRequest as error:
            refused.append(error)
        try:
            self._check_experiment(order)
        except (BadRequest, NotFound) as error:
            error.causes = (Cause("experiment_id", str(error)),)
            refused.append(error)
        if len(refused) == 1:
            raise refused[0]
        if refused:
            raise BadRequest("\n".join(map(str, refused)), causes=[cause for error in refused for cause in error.causes])

    def _check_experiment(self, order: Order) -> None:
        if not order.experiment_id:
            return
        experiment = self._catalog.experiment(order.experiment_id)
        if experiment.namespace != order.namespace:
            raise no_experiment(order.experiment_id)
        if experiment.storage_state == "ARCHIVED":
            raise BadRequest(f"experiment {experiment.display_name!r} is archived. Unarchive it first, or choose another.")

    async def submit(self, found: Found, order: Order) -> RunRecord:
        """Check, and make the Run.

        Raises:
            KedgeError: It could not run, or the object was refused.
        """
        await self.check(found, order)
        fields: dict[str, object] = {
            "displayName": order.display_name,
            "description": order.description,
            "experimentId": order.experiment_id,
            "parameters": order.parameters,
            "pipelineRoot": order.pipeline_root,
            "serviceAccountName": order.service_account,
            "pipelineId": found.version.pipeline_id if found.version else None,
            "pipelineVersionId": found.version.id if found.version else None,
            "cache": None if order.cache else False,
            "recurringRunId": order.recurring_run_id,
            "scheduledAt": micro_timestamp(order.scheduled_at) if order.scheduled_at else None,
        }
        beginning = names.slug(found.spec.name)[:40].strip("-")
        run = run_object(found.spec, fields, order.namespace, beginning, exactly=order.name)
        if order.tags:
            run["metadata"]["labels"] = dict(order.tags)
        return await self._controller.submit(found.spec, run)
