"""Cache keys: when two attempts may share their outputs.

A key is a digest of what a step's result depends on: its container (image, command, arguments, environment, and platform options
that put data into it), its inputs, the outputs it declares, and the project code. Two things differ from Kubeflow's key, both on
purpose: environment variables count, and an input artifact counts by the digest of its *content* (by its address where no digest
is known) and its metadata, not by its name. So a step whose upstream ran again and wrote the same bytes is still found, and one
whose data changed under the same name is not.

Names of tasks, components and executors do not count. Neither do resources, and where a Pod may run: they do not change a result,
unless the component is told them to hand them on.
"""

import hashlib
import json
from typing import Any

import msgspec
from msgspec import UNSET

from kedge.dsl import template
from kedge.pipelines.engine.types import Artifact, Values
from kedge.pipelines.spec import Component, Container, Executor, Pipeline

_VERSION = 1
# Options that decide where and how a Pod runs, and how long its results are used, but not what it sees.
_NEUTRAL = frozenset(
    {
        "activeDeadlineSeconds",
        "cacheTtl",
        "imagePullPolicy",
        "imagePullSecret",
        "nodeAffinity",
        "nodeSelector",
        "podAffinity",
        "podMetadata",
        "tolerations",
    }
)
# Those of them that a component may be told.
_HANDED_ON = frozenset({"nodeAffinity", "nodeSelector", "podAffinity", "tolerations"})


def static_digest(pipeline: Pipeline, component: Component, executor: str) -> str:
    """Digest the part of the key that is the same for every task of a component: worked out once."""
    return _digest(static_parts(pipeline, component, executor))


def static_parts(pipeline: Pipeline, component: Component, executor: str) -> dict[str, Any]:
    """What the part of the key that is the same for every task of a component is made of."""
    parts = {
        "container": _container(pipeline.executors[executor]),
        "platforms": {
            name: found
            for name, options in pipeline.platforms.items()
            if (found := _options(options, executor, _ignored(component)))
        },
        "defaults": {
            name: parameter.default_value
            for name, parameter in component.input_definitions.parameters.items()
            if parameter.default_value is not UNSET
        },
        "outputs": msgspec.to_builtins(component.output_definitions),
    }
    if component.task_config_passthroughs:
        container = pipeline.executors[executor].container or Container()
        parts["told"] = msgspec.to_builtins((component.task_config_passthroughs, container.resources))
    return parts


def _ignored(component: Component) -> frozenset[str]:
    """The options that do not count for a component."""
    return _NEUTRAL - _HANDED_ON if component.task_config_passthroughs else _NEUTRAL


def key(static: str, component: Component, inputs: Values, project: str) -> str:
    """Make the key of a task.

    Args:
        static: What `static_digest` gave.
        component: The task's.
        inputs: The task's resolved inputs.
        project: Digest of the project's code, or ``""``.
    """
    return _digest({"static": static, **own_parts(component, inputs, project)})


def own_parts(component: Component, inputs: Values, project: str) -> dict[str, Any]:
    """What the rest of a task's key is made of; arguments as for `key`."""
    artifacts = {name: [_identity(artifact) for artifact in listed] for name, listed in inputs.artifacts.items()}
    parts = {"parameters": inputs.parameters, "artifacts": artifacts, "project": project, "version": _VERSION}
    options = {name: value for name, value in inputs.options.items() if name.partition(" ")[0] not in _ignored(component)}
    return {**parts, "options": options} if options else parts


def custom_key(component_name: str, component: Component, key: str) -> str:
    """Make the key of a task whose author chose one: equal keys of one component share outputs, whatever the inputs are."""
    return _digest({"component": component_name, "outputs": msgspec.to_builtins(component.output_definitions), "key": key})


def _container(executor: Executor) -> Any:
    container = executor.container or Container()  # only containers are cached
    env = {variable.name: variable.value for variable in container.env}
    # Where a function stands in its file changes its tracebacks, not its result.
    command = [template.without_positions(part) for part in container.command]
    return {"image": container.image, "command": command, "args": container.args, "env": env}


def _options(options: Any, executor: str, ignored: frozenset[str]) -> Any:
    """The executor's options of one platform, those apart that change nothing about the result."""
    found: Any = options
    for part in ("deploymentSpec", "executors", executor):
        found = found.get(part) if isinstance(found, dict) else None
    return {k: v for k, v in found.items() if k not in ignored} if isinstance(found, dict) else None


def _identity(artifact: Artifact) -> list[Any]:
    return [artifact.digest or artifact.uri, artifact.type, artifact.metadata]


def _digest(parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
