"""PersistentVolumeClaims: those that `CreatePVC` and `DeletePVC` tasks make and delete, and the workspace of a run.

Such a task has no container. Its instruction is carried out here through the Kubernetes API, and may be carried out again after
a restart: a claim's name follows from its run and task, and an annotation says which task made it. A claim that somebody else
made under the same name is never taken for the task's own.

Claims outlive their run, as on Kubeflow: they are there to be used again, until a `DeletePVC` names them. Only a workspace
belongs to its run and goes with it.
"""

from typing import Any

from msgspec import UNSET

from kedge.client.types import Client
from kedge.errors import AlreadyExists, BadRequest, Forbidden, Invalid, NotFound, PipelineError
from kedge.kube import names
from kedge.kube.clock import Clock
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM
from kedge.kube.kinds import Obj
from kedge.kube.metadata import INSTALLED_LABEL
from kedge.pipelines import refusals
from kedge.pipelines.engine.types import Event, Failure, Outputs, StartStep, StepCommitted, StepFailed
from kedge.pipelines.kinds import PIPELINE_LABEL, RUN_LABEL
from kedge.pipelines.live import LiveRun
from kedge.pipelines.platform import WORKSPACE_VOLUME
from kedge.pipelines.platform_spec import Workspace
from kedge.pipelines.records import RunRecord
from kedge.pipelines.refusals import Held
from kedge.pipelines.spec import Component
from kedge.pipelines.steps import owner, workspace_name

MAKER_ANNOTATION = "kedge.dev/made-by"
"""On a claim: the run and the task that made it."""
_NAME_LIMIT = 253


class Claims:
    """Makes and deletes the claims of runs.

    Args:
        client: Where to.
        clock: For the times of events.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def carry_out(self, live: LiveRun, start: StartStep, what: str) -> Event | Held:
        """Make or delete the claim of a task; harmless when it is done again.

        Args:
            live: The run.
            start: The task's attempt.
            what: ``create`` or ``delete``.

        Returns:
            What came of it, or why it cannot be done yet.

        Raises:
            Unavailable: Not now; try again.
        """
        given = _given(live.pipeline.component(start.component), start.inputs.parameters)
        try:
            if what == "create":
                claim = claim_of(live.record, start.task, given)
                name = await self._create(claim)
                return StepCommitted(self._clock.now(), start.task, start.attempt, Outputs({"name": name}))
            await self._delete(_text(given, "pvc_name"), live.record.namespace)
        except (PipelineError, Invalid, BadRequest) as error:
            meaning = Failure("user", "ClaimRefused", str(error), final=True)
        except (Forbidden, NotFound) as error:
            meaning = refusals.of(error, "Claim")
        else:
            return StepCommitted(self._clock.now(), start.task, start.attempt)
        return meaning if isinstance(meaning, Held) else StepFailed(self._clock.now(), start.task, start.attempt, meaning)

    async def equip(self, live: LiveRun, pod: Obj) -> Held | None:
        """Make the run's workspace, if a Pod mounts it; once.

        Returns:
            Why it cannot be made yet.

        Raises:
            PipelineError: The claim was refused, or the Pod mounts one that is no pipeline's to use.
        """
        volumes = pod["spec"].get("volumes", ())
        try:
            for volume in volumes:
                if "persistentVolumeClaim" in volume and volume["name"] != WORKSPACE_VOLUME:
                    await self._check(volume["persistentVolumeClaim"]["claimName"], live.record.namespace)
        except Forbidden as error:
            if isinstance(meaning := refusals.of(error, "Claim"), Held):
                return meaning
            raise PipelineError(f"a claim that the step mounts may not be looked at: {error}") from error
        if live.has_workspace or not any(volume["name"] == WORKSPACE_VOLUME for volume in volumes):
            return None
        try:
            await self._client.create(PERSISTENT_VOLUME_CLAIM, workspace_of(live.record, live.pipeline.workspace))
        except AlreadyExists:
            pass  # the name has the run's id in it
        except (Invalid, BadRequest, Forbidden, NotFound) as error:
            if isinstance(meaning := refusals.of(error, "Claim"), Held):
                return meaning
            raise PipelineError(f"the run's workspace was refused: {error}") from error
        live.has_workspace = True
        return None

    async def exists(self, name: str, namespace: str) -> bool:
        """Whether a claim is there and stays."""
        try:
            found = await self._client.get(PERSISTENT_VOLUME_CLAIM, name, namespace)
        except NotFound:
            return False
        return not found["metadata"].get("deletionTimestamp")

    async def _create(self, claim: Obj) -> str:
        metadata = claim["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        match claim["spec"].get("dataSource"):
            case {"kind": PERSISTENT_VOLUME_CLAIM.kind, "name": str(source)}:
                await self._check(source, namespace)
            case _:
                pass
        try:
            await self._client.create(PERSISTENT_VOLUME_CLAIM, claim)
        except AlreadyExists as error:
            found = await self._client.get(PERSISTENT_VOLUME_CLAIM, name, namespace)
            annotations = found["metadata"].get("annotations") or {}
            if annotations.get(MAKER_ANNOTATION) != metadata["annotations"][MAKER_ANNOTATION]:
                raise PipelineError(
                    f"PersistentVolumeClaim {namespace}/{name} is there already, and this task has not made it. Delete it, give "
                    "pvc_name another value, or mount it as it is and leave CreatePVC out."
                ) from error
        return name

    async def _check(self, name: str, namespace: str) -> None:
        """Keep pipelines away from the history of an installed hub: who may create runs could read or delete it otherwise."""
        if fault := names.subdomain_fault(name):
            raise PipelineError(f"{name!r} is no name of a PersistentVolumeClaim: {fault}. Give the task another value.")
        try:
            found = await self._client.get(PERSISTENT_VOLUME_CLAIM, name, namespace)
        except NotFound:
            return
        if INSTALLED_LABEL in (found["metadata"].get("labels") or {}):
            raise PipelineError(
                f"PersistentVolumeClaim {namespace}/{name} is a Kedge hub's own (it has the label {INSTALLED_LABEL}): pipelines "
                "may not mount, copy or delete it. Name a claim of yours."
            )

    async def _delete(self, name: str, namespace: str) -> None:
        await self._check(name, namespace)
        try:
            await self._client.delete(PERSISTENT_VOLUME_CLAIM, name, namespace)
        except NotFound:
            return  # by an earlier try, or by somebody else


def workspace_of(run: RunRecord, workspace: Workspace) -> Obj:
    """The claim that is a run's workspace; it goes with the run."""
    patch = workspace.kubernetes.pvc_spec_patch
    spec: Obj = {"accessModes": list(patch.access_modes), "resources": {"requests": {"storage": workspace.size}}}
    if patch.storage_class_name is not None:
        spec["storageClassName"] = patch.storage_class_name
    return {
        "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
        "kind": PERSISTENT_VOLUME_CLAIM.kind,
        "metadata": {
            "name": workspace_name(run),
            "namespace": run.namespace,
            "labels": _labels(run),
            "ownerReferences": [owner(run)],
        },
        "spec": spec,
    }


def claim_of(run: RunRecord, task: str, given: dict[str, Any]) -> Obj:
    """The claim that a `CreatePVC` task makes.

    Args:
        run: Its run.
        task: Its id.
        given: Its arguments and defaults.

    Raises:
        PipelineError: They are not what a claim needs.
    """
    storage: Obj = {"accessModes": given.get("access_modes"), "resources": {"requests": {"storage": _text(given, "size")}}}
    for field, argument in (
        ("storageClassName", "storage_class_name"),
        ("volumeName", "volume_name"),
        ("dataSource", "data_source"),
    ):
        if given.get(argument) is not None:
            storage[field] = given[argument]
    annotations = {str(key): str(value) for key, value in (given.get("annotations") or {}).items()}
    return {
        "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
        "kind": PERSISTENT_VOLUME_CLAIM.kind,
        "metadata": {
            "name": _name(run, task, given),
            "namespace": run.namespace,
            "labels": _labels(run),
            "annotations": {**annotations, MAKER_ANNOTATION: f"{run.id}/{task}"},
        },
        "spec": storage,
    }


def _labels(run: RunRecord) -> dict[str, str]:
    return {RUN_LABEL: run.id, PIPELINE_LABEL: names.shorten(run.pipeline_name), "app.kubernetes.io/managed-by": "kedge"}


def _name(run: RunRecord, task: str, given: dict[str, Any]) -> str:
    """The claim's name: as given, or made for the task, the same whenever it is asked for."""
    name, suffix = given.get("pvc_name"), given.get("pvc_name_suffix")
    if name and suffix:
        raise PipelineError("CreatePVC is given pvc_name and pvc_name_suffix. Leave one of them out.")
    if name:
        return _text(given, "pvc_name")
    tail = f"-{names.digest(f'{run.id}/{task}')}{suffix or ''}"
    return names.slug(run.name)[: _NAME_LIMIT - len(tail)].strip("-") + tail


def _given(component: Component, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments, and defaults for those left out."""
    declared = component.input_definitions.parameters.items()
    return {**{name: each.default_value for name, each in declared if each.default_value is not UNSET}, **arguments}


def _text(given: dict[str, Any], argument: str) -> str:
    found = given.get(argument)
    if not isinstance(found, str) or not found:
        raise PipelineError(f"{argument} must be a text that is not empty, got {found!r}. Give the task another value.")
    return found
