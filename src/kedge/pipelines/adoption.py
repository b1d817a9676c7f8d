"""From a ``Run`` object to a record of the history: what it runs, under which names, with which arguments."""

from datetime import datetime, timedelta

import msgspec

from kedge.client.types import Client
from kedge.errors import AlreadyExists, ApiError, Invalid, NotFound, PipelineError, ServerError
from kedge.kube.clock import Clock, SystemIds, parse_timestamp
from kedge.kube.kinds import Obj
from kedge.pipelines import documents, ir, tags
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.history import History
from kedge.pipelines.kinds import INLINE_LIMIT, RUN, TRACKING_FINALIZER, pipeline_faults
from kedge.pipelines.ports import Artifacts
from kedge.pipelines.records import RunRecord, Spec
from kedge.pipelines.spec import Pipeline

_KEPT = 16


class Registrar:
    """Reads pipelines and takes runs into the history.

    Args:
        history: Where runs go.
        catalog: Where experiments come from.
        artifacts: Where runs put artifacts, when they do not say.
        clock: For times.
    """

    def __init__(self, history: History, catalog: Catalog, artifacts: Artifacts, clock: Clock) -> None:
        self._history = history
        self._catalog = catalog
        self._artifacts = artifacts
        self._clock = clock
        self._pipelines: dict[str, Pipeline] = {}

    def pipeline(self, spec: Spec) -> Pipeline:
        """Read a pipeline; runs of one share what was read.

        Raises:
            PipelineError: It is not valid.
        """
        found = self._pipelines.get(spec.digest) or self.read(spec)
        self.remember(spec, found)
        return found

    def read(self, spec: Spec) -> Pipeline:
        """Read a pipeline anew; may be called on any thread.

        Raises:
            PipelineError: It is not valid.
        """
        check_platforms(spec)
        return ir.read(documents.Document(spec.pipeline, spec.platforms))

    def remember(self, spec: Spec, pipeline: Pipeline) -> None:
        """Keep a pipeline that was read, for its next run."""
        self._pipelines.pop(spec.digest, None)
        self._pipelines[spec.digest] = pipeline  # the youngest last
        while len(self._pipelines) > _KEPT:
            del self._pipelines[next(iter(self._pipelines))]

    def spec(self, obj: Obj) -> Spec:
        """The documents of a Run object.

        Raises:
            PipelineError: It names a stored pipeline that is not there, or breaks a rule that its cluster did not check.
        """
        spec = obj["spec"]
        if faults := pipeline_faults(spec):  # a cluster takes Runs by their definition, which cannot say all
            raise PipelineError(" ".join(f"{each.field}: {each.message}." for each in faults))
        if (inline := spec.get("pipelineSpec")) is not None:
            platforms = (spec.get("platformSpec") or {}).get("platforms") or {}
            return Spec.of(inline, platforms)
        found = self._history.spec(spec.get("pipelineDigest", ""))
        if found is None:
            raise PipelineError(
                f"pipelineDigest {spec.get('pipelineDigest')!r} names no stored pipeline. Submit the pipeline again."
            )
        return found

    def adopt(self, obj: Obj) -> tuple[RunRecord, Spec]:
        """Take a Run object into the history; one that is there already stays as it is.

        Raises:
            PipelineError: It cannot be read at all; then the history does not have it.
            Unavailable: Not now; try again.
        """
        spec = self.spec(obj)
        metadata, asked = obj["metadata"], obj["spec"]
        namespace = metadata["namespace"]
        known = self._history.run(metadata["uid"])
        if known is not None:  # it may have been resumed with another pipeline than its object began with
            return known, self._history.spec(known.spec_digest) or spec
        now = self._clock.now()
        name = spec.name or metadata["name"]
        root = asked.get("pipelineRoot") or spec.pipeline.get("defaultPipelineRoot") or self._artifacts.root_of(namespace)
        if fault := self._artifacts.place_fault(root, namespace):
            raise PipelineError(f"pipeline root {root!r}: {fault}. Leave it out, or choose another.")
        record = RunRecord(
            id=metadata["uid"],
            namespace=namespace,
            name=metadata["name"],
            display_name=asked.get("displayName") or metadata["name"],
            description=asked.get("description") or "",
            experiment_id=self._experiment(asked.get("experimentId"), namespace),
            pipeline_id=asked.get("pipelineId"),
            pipeline_version_id=asked.get("pipelineVersionId"),
            recurring_run_id=asked.get("recurringRunId"),
            pipeline_name=name,
            spec_digest=spec.digest,
            parameters=asked.get("parameters") or {},
            pipeline_root=f"{root.rstrip('/')}/{segment(name)}",
            service_account=asked.get("serviceAccountName") or "",
            cache=asked.get("cache", True),
            created_at=_asked_at(metadata, now),
            scheduled_at=parse_timestamp(asked["scheduledAt"]) if asked.get("scheduledAt") else None,
            tags=tags.of(obj),
        )
        try:
            return self._history.adopt(record.moved("PENDING", record.created_at), spec), spec
        except Invalid as error:  # a name that the database cannot hold: trying again does not help
            raise PipelineError(str(error)) from error

    def _experiment(self, experiment_id: str | None, namespace: str) -> str:
        """The experiment of a run: its namespace's own, since whoever may make a Run may name any."""
        if not experiment_id:
            return self._catalog.default_experiment(namespace).id
        try:
            found = self._catalog.experiment(experiment_id)
        except NotFound:
            found = None
        if found is None or found.namespace != namespace:
            raise PipelineError(f"experimentId: there is no experiment {experiment_id!r} in namespace {namespace!r}.")
        return found.id


def _asked_at(metadata: Obj, now: datetime) -> datetime:
    """When a Run was made. Kubernetes counts whole seconds; one that is taken up within its second keeps its place in it."""
    if "creationTimestamp" not in metadata:
        return now
    made = parse_timestamp(metadata["creationTimestamp"])
    return now if made <= now < made + timedelta(seconds=1) else made


def run_object(spec: Spec, asked: dict[str, object], namespace: str, name: str, *, exactly: str = "") -> Obj:
    """The Run object of a request. It is named here and not by the server, so that one whose answer is lost can be found.

    Args:
        spec: What it runs; inline when it is small.
        asked: Other fields of its spec; empty ones are left out.
        namespace: Where.
        name: What its name begins with.
        exactly: Its whole name.
    """
    fields = {key: value for key, value in asked.items() if value not in (None, "", {})}
    inline: dict[str, object] = {"pipelineSpec": spec.pipeline}
    if spec.platforms:
        inline["platformSpec"] = {"platforms": spec.platforms}
    return {
        "apiVersion": RUN.api_version,
        "kind": RUN.kind,
        "metadata": {
            "name": exactly or f"{name}-{SystemIds().suffix()}",
            "namespace": namespace,
            "finalizers": [TRACKING_FINALIZER],
        },
        "spec": {**fields, **(inline if fits_inline(spec) else {"pipelineDigest": spec.digest})},
    }


async def make(client: Client, run: Obj) -> Obj:
    """Create a Run object, once: asked again because nobody knows whether it was made, the one that is there is the answer.

    Raises:
        ApiError: It was refused, or another Run has its name.
    """
    name, namespace = run["metadata"]["name"], run["metadata"]["namespace"]
    for last in (False, True):
        try:
            return await client.create(RUN, run)
        except AlreadyExists:
            found = await client.get(RUN, name, namespace)
            firing = run["spec"].get("recurringRunId")
            if firing != found["spec"].get("recurringRunId") or not (firing or found["spec"] == run["spec"]):
                raise
            return found
        except ApiError as error:
            if last or error.code < ServerError.code:
                raise
    raise AssertionError("the last try returns or raises")


def fits_inline(spec: Spec) -> bool:
    """Whether the pipeline may travel inside its Run."""
    return len(msgspec.json.encode((spec.pipeline, {"platforms": spec.platforms}))) <= INLINE_LIMIT


def check_platforms(spec: Spec) -> None:
    """Refuse platform options that would be passed over in silence.

    Raises:
        PipelineError: Names the option.
    """
    for name, options in spec.platforms.items():
        if options and name not in {"kedge", "kubernetes"}:
            raise PipelineError(
                f"platforms.{name}: is not known here; there are kubernetes and kedge. Remove it from the pipeline."
            )


def segment(name: str) -> str:
    """A pipeline's name as one part of an address."""
    return "".join(character if character.isalnum() or character in "-_." else "-" for character in name).strip(".") or "pipeline"
