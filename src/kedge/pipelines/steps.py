"""The Pod of a step: a pure function of the pipeline, the run and the attempt.

What does not change between the attempts of one component is worked out once (`StepPlan`): a chain of two hundred steps makes two
hundred Pods of a few shared parts. There are three kinds of Pod:

- a *Python component*: one container in which the launcher runs the function;
- a *bare* container, for any other image with nothing to stage: the user's command, untouched;
- a *staged* container: a sidecar collects the outputs when the user's command has ended; an init container brings the inputs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kedge.errors import PipelineError
from kedge.kube import names, quantities
from kedge.kube.kinds import Obj
from kedge.pipelines import installers, platform, platform_spec, task_config, templates
from kedge.pipelines.engine.graph import title
from kedge.pipelines.engine.placeholders import PlaceholderError, Renderer, executor_input, facts, for_kubelet, task_uuid
from kedge.pipelines.engine.types import Artifact, Inputs, RunInfo
from kedge.pipelines.kinds import (
    ATTEMPT_ANNOTATION,
    PIPELINE_LABEL,
    PROTOCOL_ANNOTATION,
    PYTHON_ANNOTATION,
    RUN,
    RUN_LABEL,
    TASK_ANNOTATION,
    TRACKING_FINALIZER,
)
from kedge.pipelines.observations import MAIN, Expects
from kedge.pipelines.records import RunRecord, Spec
from kedge.pipelines.spec import Component, Container, Pipeline, Resources

PROTOCOL = 1
STEP_LIMIT = 16 * 1024
"""Bytes of ``KEDGE_STEP``; inputs that do not fit are fetched by the launcher."""
OUTPUTS = "/tmp/kedge/outputs"  # noqa: S108  # a path inside the step's own /tmp
STAGING = "/kedge/staging"
LAUNCHER_IMAGE = "python:3"
_LAUNCHER = "/kedge/launcher/launcher.pyz"
_GRACE = 30
# The sidecar's grace period is its budget for uploads.
_UPLOAD_GRACE = 600
_json = msgspec.json.Encoder()


def must_ask(executor_input: Mapping[str, Any], project: str) -> None:
    """Where no step knows beforehand how it may move its artifacts."""
    del executor_input, project


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the Pods of all runs share.

    Attributes:
        hub: Address of the hub's HTTP listener, as a Pod reaches it.
        launcher: Name of the ConfigMap that holds the launcher.
        kfp_runtime: ``installed`` runs components of ``kfp`` under the real package.
        final_status_complete: Whether exit tasks are told ``COMPLETE`` of success.
        cache_ttl: Seconds after which no result is used again; ``None`` for no such limit.
        grants: How a step may move its artifacts, by executor input and digest of its project; ``None`` where it must ask.
        place_fault: Why an address is none that a namespace may use, or ``""``.
        stager: The image of the containers that stage files for steps without Python.
        reports: Whether steps tell the hub of their end themselves also where their Pod's status would: a kubelet looks at its
            containers once a second, so the next step begins that much sooner.
    """

    hub: str
    launcher: str = ""
    kfp_runtime: str = ""
    final_status_complete: bool = False
    cache_ttl: float | None = None
    grants: Callable[[Mapping[str, Any], str], Mapping[str, Any] | None] = must_ask
    place_fault: Callable[[str, str], str] = lambda _uri, _namespace: ""
    stager: str = LAUNCHER_IMAGE
    reports: bool = False


@dataclass(slots=True)
class StepPlan:
    """What every attempt of one component shares.

    Attributes:
        component: The component.
        container: What its executor runs.
        python: The function, if it is a Python component.
        expects: What makes an attempt a success.
        begin: Whether the launcher needs grants before it runs.
        staged: Whether containers of ours stage its files.
        code: Key of its source in the run's code, for Python components.
        code_map: The ConfigMap that holds it.
        options: For Kubernetes, if it has any.
    """

    component: Component
    container: Container
    python: templates.PythonStep | None
    expects: Expects
    begin: bool
    staged: bool
    code: str = ""
    code_map: str = ""
    options: platform_spec.ExecutorOptions | None = None
    parts: dict[str, Any] = field(default_factory=dict[str, Any])


class Steps:
    """Makes the Pods of one run.

    Args:
        pipeline: What runs.
        run: Its record.
        spec: Its documents, for the project's digest.
        surroundings: What all Pods share.
    """

    def __init__(self, pipeline: Pipeline, run: RunRecord, spec: Spec, surroundings: Surroundings) -> None:
        self._pipeline = pipeline
        self._run = run
        self._info: RunInfo = run.info()
        self._project = str(spec.project.get("digest", ""))
        self._project_installs = spec.project.get("installs") is True
        self._surroundings = surroundings
        self._plans: dict[str, StepPlan] = {}
        self._code_maps: dict[str, str] = {}
        self._metadata = _metadata(run)

    @property
    def kfp_runtime(self) -> str:
        """Under whose package components of ``kfp`` run."""
        return self._surroundings.kfp_runtime

    def place_code(self, code_maps: Mapping[str, str]) -> None:
        """Say in which ConfigMap each piece of code lies; plans made before are forgotten."""
        self._code_maps = dict(code_maps)
        self._plans.clear()

    def plan(self, component: str, executor: str) -> StepPlan:
        """What every attempt of a component shares.

        Raises:
            PipelineError: The step wants what Kedge cannot do.
        """
        found = self._plans.get(component)
        if found is None:
            found = self._plans[component] = self._make_plan(self._pipeline.component(component), executor)
            found.options = platform_spec.of(self._pipeline, executor)
        return found

    def _make_plan(self, component: Component, executor: str) -> StepPlan:
        container = self._pipeline.executors[executor].container
        if container is None:
            raise PipelineError(f"executor {executor!r} has no container. Compile the pipeline again.")
        python = templates.recognise(container, self.kfp_runtime)
        outputs, inputs = component.output_definitions, component.input_definitions
        expects: Expects = "commit"
        if not outputs.parameters and not outputs.artifacts:
            expects = "nothing"
        elif python is not None:
            expects = "message"
        files = bool(inputs.artifacts or outputs.artifacts)
        if python is None:
            staged = files or expects == "commit"
            return StepPlan(component, container, None, expects, begin=staged, staged=staged)
        if python.literal:
            return StepPlan(component, container, python, expects, begin=files, staged=False)
        key = code_key(python)
        needs_begin = files or bool(self._project)
        return StepPlan(component, container, python, expects, needs_begin, False, key, self._code_maps.get(key, ""))

    def executor_input(self, plan: StepPlan, task: str, attempt: int, inputs: Inputs) -> dict[str, Any]:
        """Kubeflow's ExecutorInput of an attempt: values, where inputs lie, where outputs go."""
        base = f"{STAGING}/outputs" if plan.staged else OUTPUTS
        outputs = {
            name: [Artifact(name, self._output_uri(task, attempt, name), found.artifact_type.title, metadata=found.metadata)]
            for name, found in plan.component.output_definitions.artifacts.items()
        }
        made = executor_input(
            plan.component,
            inputs,
            outputs=outputs,
            parameter_file=lambda name: f"{base}/parameters/{name}",
            output_file=f"{base}/executor_output.json",
        )
        if plan.staged:  # the user's command is told paths in the shared folder, decided here
            for side in ("inputs", "outputs"):
                for name, listed in made[side].get("artifacts", {}).items():
                    for number, artifact in enumerate(listed["artifacts"]):
                        artifact["customPath"] = staged_path(side, name, number, artifact["uri"])
        if self._pipeline.workspace is not None:
            for listed in made["inputs"].get("artifacts", {}).values():
                for artifact in listed["artifacts"]:
                    if place := platform_spec.place_in_workspace(artifact):
                        artifact["customPath"] = place
        if wanted := task_config.inputs(plan.component):
            told = task_config.told(plan.component, self._configured(plan, self._words(plan, task, made), inputs))
            made["inputs"].setdefault("parameterValues", {}).update(dict.fromkeys(wanted, told))
        return made

    def _output_uri(self, task: str, attempt: int, name: str) -> str:
        # The attempt is part of it: a straggler of an earlier one never writes into what a later one made.
        return f"{self._run.pipeline_root.rstrip('/')}/{self._run.id}/{task or 'root'}/{attempt}/{name}"

    def pod(self, plan: StepPlan, task: str, attempt: int, inputs: Inputs) -> Obj:
        """Make the Pod of an attempt.

        Raises:
            PipelineError: A placeholder names what is not there.
        """
        metadata = dict(self._metadata)
        metadata["name"] = pod_name(self._run, task, attempt)
        metadata["annotations"] = {TASK_ANNOTATION: task, ATTEMPT_ANNOTATION: str(attempt), PROTOCOL_ANNOTATION: str(PROTOCOL)}
        given = self.executor_input(plan, task, attempt, inputs)
        words = self._words(plan, task, given)
        if plan.python is not None:
            metadata["annotations"][PYTHON_ANNOTATION] = _shared(plan, "python", self._python_annotation)
            spec: Obj = self._python_spec(plan, self._step(plan, task, attempt, given), words)
        elif plan.staged:
            spec = self._staged_spec(plan, self._step(plan, task, attempt, given), words)
        else:
            spec = {"containers": [_user_container(plan, words)]}
        spec["restartPolicy"] = "Never"
        spec["terminationGracePeriodSeconds"] = _UPLOAD_GRACE if plan.staged else _GRACE
        if self._run.service_account:
            spec["serviceAccountName"] = self._run.service_account
        pod: Obj = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self._configure(pod, plan, inputs)
        if wanted := plan.component.task_config_passthroughs:
            task_config.withhold(pod, wanted, self._configured(plan, words, inputs))
        return pod

    def _configure(self, pod: Obj, plan: StepPlan, inputs: Inputs) -> None:
        """Put the task's options, and the run's workspace, onto a Pod."""
        if plan.options is not None:
            platform.apply(pod, plan.options, inputs.options)
        if self._pipeline.workspace is not None:
            metadata = [artifact.metadata for listed in inputs.artifacts.values() for artifact in listed]
            reads = any(each.get(platform_spec.IN_WORKSPACE) is True for each in metadata)
            if reads or platform_spec.uses_workspace(plan.container, inputs.parameters):
                platform.mount_workspace(pod, workspace_name(self._run), bring=reads)

    def _configured(self, plan: StepPlan, words: "_Words", inputs: Inputs) -> Obj:
        """A Pod with nothing but what the task's author configured."""
        pod: Obj = {"metadata": {}, "spec": {"containers": [_settings(plan.container, words)]}}
        self._configure(pod, plan, inputs)
        return pod

    def _words(self, plan: StepPlan, task: str, given: Mapping[str, Any]) -> "_Words":
        return _Words(given, plan.component, self._facts(task))

    def _facts(self, task: str) -> dict[str, str]:
        return facts(self._info, task, title(self._pipeline, task), task_uuid(self._run.id, task))

    def _step(self, plan: StepPlan, task: str, attempt: int, given: Mapping[str, Any]) -> list[Obj]:
        """The environment that our own programs read; without the input where it would not fit."""
        grants = self._surroundings.grants(given, self._project) if plan.begin and not plan.staged else None
        in_place = grants is not None or not plan.component.output_definitions.artifacts
        step = {
            "protocol": PROTOCOL,
            "run": self._run.id,
            "task": task,
            "attempt": attempt,
            "code": plan.code or None,
            "executorInput": given,
            "grants": grants,
            "begin": plan.begin and grants is None,
            "terminationMessage": plan.expects == "message" and in_place and not self._surroundings.reports,
        }
        if self._surroundings.reports:
            step["reports"] = True
        text = _told(step)
        if len(text.encode()) > STEP_LIMIT:
            text = _told({**step, "executorInput": None, "grants": None, "begin": True})
        return [{"name": "KEDGE_HUB", "value": self._surroundings.hub}, {"name": "KEDGE_STEP", "value": text}]

    def _python_spec(self, plan: StepPlan, step: list[Obj], words: "_Words") -> Obj:
        runtime = [{"name": templates.RUNTIME_VARIABLE, "value": self.kfp_runtime}] if self.kfp_runtime else []
        settings = _settings(plan.container, words)
        container: Obj = {
            "name": MAIN,
            "image": words.text(plan.container.image),
            "command": ["python3", _LAUNCHER],
            "args": ["run", *_command_line(plan, words)],
            "volumeMounts": _PYTHON_MOUNTS if plan.code else _LITERAL_MOUNTS,
            **settings,
            "env": [*step, *runtime, *settings.get("env", ())],
        }
        return {"containers": [container], "volumes": _shared(plan, "volumes", self._python_volumes)}

    def _python_annotation(self, plan: StepPlan) -> str:
        python = plan.python or templates.PythonStep("", "")
        found: Obj = {"packages": python.packages, "indexUrls": python.index_urls, "trustedHosts": python.trusted_hosts}
        if self._project_installs or installers.named_in(python.source):
            found["installs"] = True
        return _json.encode(found).decode()

    def _python_volumes(self, plan: StepPlan) -> list[Obj]:
        if not plan.code:
            return [self._launcher_volume(), _TOKEN_VOLUME]
        # Only this step's own code is projected: a pipeline of a thousand components must not be copied a thousand times.
        key = f"{plan.code}.json"
        code = {"name": plan.code_map, "items": [{"key": key, "path": key}]}
        return [self._launcher_volume(), {"name": "kedge-code", "configMap": code}, _TOKEN_VOLUME]

    def _launcher_volume(self) -> Obj:
        return {"name": "kedge-launcher", "configMap": {"name": self._surroundings.launcher}}

    def _staged_spec(self, plan: StepPlan, step: list[Obj], words: "_Words") -> Obj:
        stage = {
            "image": self._surroundings.stager,
            "command": ["python3", _LAUNCHER],
            "env": step,
            "volumeMounts": _STAGING_MOUNTS,
        }
        user = _user_container(plan, words)
        user["volumeMounts"] = [_STAGING_MOUNT]
        return {
            # The sidecar first: it starts while the other one brings the inputs, and listens before the user's command can end.
            "initContainers": [
                {"name": "stage-out", "args": ["stage-out"], "restartPolicy": "Always", **stage},
                {"name": "stage-in", "args": ["stage-in"], **stage},
            ],
            "containers": [user],
            "volumes": [self._launcher_volume(), _TOKEN_VOLUME, {"name": "kedge-staging", "emptyDir": {}}],
        }


def _told(step: Obj) -> str:
    return for_kubelet(_json.encode({name: value for name, value in step.items() if value is not None}).decode())


class _Words:
    """A step's command line, filled in: facts of the run and the task first, because a step's own values are data."""

    def __init__(self, given: Mapping[str, Any], component: Component, known: Mapping[str, str]) -> None:
        self._plain, self._quoted = Renderer(given, component), Renderer(given, component, for_kubelet)
        self._known = known

    def words(self, texts: Sequence[str]) -> list[str]:
        """A command or its arguments; what is a value stays one, whatever the kubelet replaces there."""
        try:
            return self._quoted.arguments([self._with_facts(text, for_kubelet) for text in texts])
        except PlaceholderError as error:
            raise PipelineError(f"{error}.") from error

    def variable(self, text: str) -> str:
        """The value of an environment variable, likewise."""
        return self._filled(text, self._quoted, for_kubelet)

    def text(self, text: str) -> str:
        """What the kubelet takes as it is."""
        return self._filled(text, self._plain, str)

    def _filled(self, text: str, renderer: Renderer, quote: Callable[[str], str]) -> str:
        if "{{$" not in text:
            return text
        try:
            return renderer.text(self._with_facts(text, quote))
        except PlaceholderError as error:
            raise PipelineError(f"{error}.") from error

    def _with_facts(self, text: str, quote: Callable[[str], str]) -> str:
        if "{{$." in text:
            for name, value in self._known.items():
                text = text.replace(f"{{{{${name}}}}}", quote(value))
        return text


def pod_name(run: RunRecord, task: str, attempt: int) -> str:
    """The name of an attempt's Pod: the same whenever it is asked for, and no other attempt's.

    The run's UID goes into the hash, so that a run that takes the name of a deleted one does not meet its Pods.
    """
    tail = f"{names.digest(f'{run.id}/{task}')}-{attempt}"
    slug = names.slug(task.rpartition(".")[2])[:20].strip("-")
    head = names.slug(run.name)[: names.LABEL_LIMIT - len(tail) - len(slug) - 2].strip("-")
    return f"{head}-{slug}-{tail}"


def workspace_name(run: RunRecord) -> str:
    """The name of the claim that is the run's workspace."""
    tail = f"-{names.digest(run.id)}-workspace"
    return names.slug(run.name)[: names.LABEL_LIMIT - len(tail)].strip("-") + tail


def code_key(python: templates.PythonStep) -> str:
    """The key of a function's code: by content, so that a component used a thousand times is stored once."""
    return f"{names.slug(python.function)[:40]}-{names.digest(_json.encode(python).decode(), 12)}"


def code_document(python: templates.PythonStep, project: Mapping[str, str] | None) -> str:
    """What the launcher reads of a function."""
    return _json.encode(
        {
            "function": python.function,
            "source": python.source,
            "filename": python.filename,
            "firstLine": python.first_line,
            "installed": python.installed,
            "project": project,
            # The embedded host's node has installed these beforehand; on a cluster, the launcher does.
            "packages": python.packages,
            "indexUrls": python.index_urls,
            "trustedHosts": python.trusted_hosts,
        }
    ).decode()


def staged_path(side: str, name: str, number: int, uri: str) -> str:
    """Where an artifact of a staged step lies in the shared folder.

    Inputs keep the last part of their address: programs look at file endings.
    """
    if side == "outputs":
        return f"{STAGING}/outputs/artifacts/{name}"
    last = uri.rstrip("/").rpartition("/")[2]
    return f"{STAGING}/inputs/{name}/{number}/{name if last in {'', '.', '..'} else last}"


def _command_line(plan: StepPlan, words: _Words) -> list[str]:
    """What the launcher runs instead of a function: a command line that ends in the runtime of ``kfp``."""
    if plan.python is None or not plan.python.literal:
        return []
    return ["--", *words.words(plan.container.command), *words.words(plan.container.args)]


def _user_container(plan: StepPlan, words: _Words) -> Obj:
    found = plan.container
    container: Obj = {"name": MAIN, "image": words.text(found.image)}
    if found.command:
        container["command"] = words.words(found.command)
    if found.args:
        container["args"] = words.words(found.args)
    return {**container, **_settings(found, words)}


def _settings(found: Container, words: _Words) -> Obj:
    """What a task may change about its container: environment and resources."""
    made: Obj = {}
    if found.env:
        made["env"] = [{"name": variable.name, "value": words.variable(variable.value)} for variable in found.env]
    if found.resources is not None and (resources := _resources(found.resources, words)):
        made["resources"] = resources
    return made


_PYTHON_MOUNTS = [
    {"name": "kedge-launcher", "mountPath": "/kedge/launcher", "readOnly": True},
    {"name": "kedge-code", "mountPath": "/kedge/code", "readOnly": True},
    {"name": "kedge-token", "mountPath": "/var/run/secrets/kedge.dev", "readOnly": True},
]
_LITERAL_MOUNTS = [_PYTHON_MOUNTS[0], _PYTHON_MOUNTS[2]]
_STAGING_MOUNT = {"name": "kedge-staging", "mountPath": STAGING}
_STAGING_MOUNTS = [_PYTHON_MOUNTS[0], _PYTHON_MOUNTS[2], _STAGING_MOUNT]
_TOKEN_VOLUME = {
    "name": "kedge-token",
    "projected": {"sources": [{"serviceAccountToken": {"audience": "kedge", "path": "token", "expirationSeconds": 3600}}]},
}


def owner(run: RunRecord) -> Obj:
    """The reference with which a run owns its objects.

    It does not block the run's deletion: some clusters let only those ask for that who may update the run's finalizers.
    """
    return {"apiVersion": RUN.api_version, "kind": RUN.kind, "name": run.name, "uid": run.id, "controller": True}


def _metadata(run: RunRecord) -> Obj:
    return {
        "namespace": run.namespace,
        "labels": {
            RUN_LABEL: run.id,
            PIPELINE_LABEL: names.shorten(run.pipeline_name),
            "app.kubernetes.io/managed-by": "kedge",
        },
        "ownerReferences": [owner(run)],
        "finalizers": [TRACKING_FINALIZER],
    }


def _shared(plan: StepPlan, name: str, make: Any) -> Any:
    found = plan.parts.get(name)
    if found is None:
        found = plan.parts[name] = make(plan)
    return found


def _resources(found: Resources, words: _Words) -> Obj:
    """Requests and limits as Kubernetes writes them; the older spelling counts cores and gigabytes as numbers."""
    limits = {
        "cpu": words.text(found.resource_cpu_limit) or (f"{found.cpu_limit:g}" if found.cpu_limit else ""),
        "memory": words.text(found.resource_memory_limit) or (f"{found.memory_limit:g}G" if found.memory_limit else ""),
    }
    requests = {
        "cpu": words.text(found.resource_cpu_request) or (f"{found.cpu_request:g}" if found.cpu_request else ""),
        "memory": words.text(found.resource_memory_request) or (f"{found.memory_request:g}G" if found.memory_request else ""),
    }
    if (accelerator := found.accelerator) is not None:
        kind = words.text(accelerator.resource_type or accelerator.type)
        limits[kind] = words.text(accelerator.resource_count) or str(accelerator.count)
    made: Obj = {}
    for name, values in (("limits", limits), ("requests", requests)):
        if kept := {key: value for key, value in values.items() if value}:
            made[name] = kept
        for key, value in kept.items():
            if fault := quantities.fault(value):  # an API server says neither which, nor what it was given
                raise PipelineError(f"{name}.{key}: {fault}.")
    return made
