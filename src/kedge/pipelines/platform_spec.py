"""Options for Kubernetes (``platforms.kubernetes`` of a pipeline file) as types: what a step's Pod gets beyond its container.

The types follow the messages that ``kfp.kubernetes`` writes, in snake_case. Its older spellings (``secretName`` beside
``secretNameParameter``, the claim's name one level higher) are rewritten before anything is decoded, so that there is one way to
say each thing. A field that is not known is refused by name, as in the pipeline itself.

Names may come from values of the run. Such a source stands in the scope of each task that uses the executor, not among the
task's inputs: the engine resolves it with them and keeps the value under `reference_key`, so that every attempt has the same.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from kedge.errors import PipelineError
from kedge.pipelines.engine import placeholders
from kedge.pipelines.spec import Container, EnvVar, ParameterSource, Pipeline, RuntimeValue, duration

_json = msgspec.json.Encoder(order="deterministic")
_T = TypeVar("_T")


class _Option(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A message of the options."""


# ---- what a step's environment and files come from


class SecretKey(_Option, frozen=True):
    """One key of a Secret as a variable."""

    secret_key: str
    env_var: str


class SecretAsEnv(_Option, frozen=True):
    """Variables from a Secret."""

    secret_name_parameter: ParameterSource
    key_to_env: list[SecretKey] = []
    optional: bool = False


class SecretAsVolume(_Option, frozen=True):
    """A Secret as a folder."""

    secret_name_parameter: ParameterSource
    mount_path: str
    optional: bool = False


class ConfigMapKey(_Option, frozen=True):
    """One key of a ConfigMap as a variable."""

    config_map_key: str
    env_var: str


class ConfigMapAsEnv(_Option, frozen=True):
    """Variables from a ConfigMap."""

    config_map_name_parameter: ParameterSource
    key_to_env: list[ConfigMapKey] = []
    optional: bool = False


class ConfigMapAsVolume(_Option, frozen=True):
    """A ConfigMap as a folder."""

    config_map_name_parameter: ParameterSource
    mount_path: str
    optional: bool = False


class FieldPathAsEnv(_Option, frozen=True):
    """A field of the Pod as a variable."""

    name: str
    field_path: str


# ---- volumes


class PvcMount(_Option, frozen=True):
    """A PersistentVolumeClaim as a folder."""

    pvc_name_parameter: ParameterSource
    mount_path: str
    sub_path: str = ""


class PodMetadata(_Option, frozen=True):
    """Labels and annotations."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class EphemeralVolume(_Option, frozen=True):
    """A volume whose claim is made with the Pod."""

    volume_name: str
    mount_path: str
    access_modes: list[str] = []
    size: str = ""
    default_storage_class: bool = False
    storage_class_name: str = ""
    metadata: PodMetadata = PodMetadata()


class EmptyDirMount(_Option, frozen=True):
    """An empty folder."""

    volume_name: str
    mount_path: str
    medium: str = ""
    size_limit: str = ""


class SharedMemory(_Option, frozen=True):
    """A folder in memory at ``/dev/shm``."""

    volume_name: str = "shm"
    size: str = ""


# ---- where it runs


class NodeSelector(_Option, frozen=True):
    """Labels of the node; the second, where it has a value, in place of the first."""

    labels: dict[str, str] = {}
    node_selector_json: ParameterSource | None = None


class Toleration(_Option, frozen=True):
    """One toleration, or a value that holds one or a list of them."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None
    toleration_json: ParameterSource | None = None


class Requirement(_Option, frozen=True):
    """One expression of a selector."""

    key: str
    operator: str
    values: list[str] = []


class NodeAffinityTerm(_Option, frozen=True):
    """Nodes to choose: required, or preferred where it has a weight; or a value that holds a whole ``nodeAffinity``."""

    match_expressions: list[Requirement] = []
    match_fields: list[Requirement] = []
    weight: int | None = None
    node_affinity_json: ParameterSource | None = None


class PodAffinityTerm(_Option, frozen=True):
    """Pods to run beside, or not: required, or preferred where it has a weight; or a value that holds a whole term."""

    match_pod_expressions: list[Requirement] = []
    match_pod_labels: dict[str, str] = {}
    topology_key: str = ""
    namespaces: list[str] = []
    match_namespace_expressions: list[Requirement] = []
    match_namespace_labels: dict[str, str] = {}
    weight: int | None = None
    anti: bool = False
    pod_affinity_json: ParameterSource | None = None


# ---- the rest


class InitMount(_Option, frozen=True):
    """Where an init container sees one of the task's volumes."""

    volume_name: str
    mount_path: str


class InitResources(_Option, frozen=True):
    """What an init container gets."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class InitContainer(_Option, frozen=True):
    """A container that runs before the step, or beside it."""

    name: str
    image: str
    command: list[str] = []
    args: list[str] = []
    env: list[EnvVar] = []
    volume_mounts: list[InitMount] = []
    restart_policy: str = ""
    resources: InitResources = InitResources()


class ImagePullSecret(_Option, frozen=True):
    """A Secret with which the image is pulled."""

    secret_name_parameter: ParameterSource


class SecurityContext(_Option, frozen=True):
    """As whom the step runs."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None


class ExecutorOptions(_Option, frozen=True):
    """All options of one executor."""

    secret_as_env: list[SecretAsEnv] = []
    secret_as_volume: list[SecretAsVolume] = []
    config_map_as_env: list[ConfigMapAsEnv] = []
    config_map_as_volume: list[ConfigMapAsVolume] = []
    field_path_as_env: list[FieldPathAsEnv] = []
    pvc_mount: list[PvcMount] = []
    generic_ephemeral_volume: list[EphemeralVolume] = []
    empty_dir_mounts: list[EmptyDirMount] = []
    enabled_shared_memory: SharedMemory | None = None
    node_selector: NodeSelector = NodeSelector()
    tolerations: list[Toleration] = []
    node_affinity: list[NodeAffinityTerm] = []
    pod_affinity: list[PodAffinityTerm] = []
    pod_metadata: PodMetadata = PodMetadata()
    image_pull_secret: list[ImagePullSecret] = []
    image_pull_policy: str = ""
    active_deadline_seconds: int = 0
    priority_class_name: str = ""  # this and the next are Kedge's own: upstream has no option for them
    scheduler_name: str = ""
    security_context: SecurityContext = SecurityContext()
    init_containers: list[InitContainer] = []


# ---- the run as a whole

WORKSPACE_PATH = "/kfp-workspace"
"""Where steps see the run's workspace."""
IN_WORKSPACE = "_kfp_workspace"
"""In the metadata of an artifact that an importer wants in the workspace, as upstream has it."""


class ClaimPatch(_Option, frozen=True):
    """What a workspace's claim says beyond its size."""

    access_modes: tuple[str, ...] = ("ReadWriteOnce",)
    storage_class_name: str | None = None


class KubernetesWorkspace(_Option, frozen=True):
    """Kubernetes' part of a workspace."""

    pvc_spec_patch: ClaimPatch = ClaimPatch()


class Workspace(_Option, frozen=True):
    """A volume that the steps of a run share."""

    size: str
    kubernetes: KubernetesWorkspace = KubernetesWorkspace()


class Lifetime(_Option, frozen=True):
    """How long a run may take, and how long its objects stay after it; in seconds, 0 where nothing is said."""

    resource_ttl_on_completion: int = 0
    resource_ttl_on_success: int = 0
    resource_ttl_on_failure: int = 0
    active_deadline_seconds: int = 0

    def ttl(self, state: str) -> int:
        """Seconds that the objects of a run which ended in this state stay; 0 where nothing is said."""
        return (self.resource_ttl_on_success if state == "SUCCEEDED" else self.resource_ttl_on_failure) or (
            self.resource_ttl_on_completion
        )


def uses_workspace(container: Container, parameters: Mapping[str, Any]) -> bool:
    """Whether a step has anything to do with the workspace: its own text or a value names the place."""
    texts = [*container.command, *container.args, *(variable.value for variable in container.env)]
    known = any(WORKSPACE_PATH in text or placeholders.WORKSPACE in text for text in texts)
    return known or WORKSPACE_PATH.encode() in _json.encode(parameters)


def place_in_workspace(artifact: Mapping[str, Any]) -> str:
    """Where an artifact of an ExecutorInput lies in the workspace, as upstream has it; empty for one that does not.

    Examples:
        >>> place_in_workspace({"uri": "s3://bucket/data/one.csv", "metadata": {"_kfp_workspace": True}})
        '/kfp-workspace/.artifacts/s3/bucket/data/one.csv'
    """
    if (artifact.get("metadata") or {}).get(IN_WORKSPACE) is not True:
        return ""
    scheme, _, rest = artifact["uri"].rpartition("://")
    parts = [part for part in rest.split("/") if part not in {"", ".", ".."}]
    return "/".join((WORKSPACE_PATH, ".artifacts", scheme or "file", *parts))


# ---- references


def references(options: ExecutorOptions) -> Iterator[tuple[str, ParameterSource]]:
    """What must be resolved for a task before its Pod can be made: the option's field and the source."""
    for field, name in zip(options.__struct_encode_fields__, options.__struct_fields__, strict=True):
        for source in _sources(getattr(options, name)):
            if not is_constant(source):
                yield field, source


def _sources(value: Any) -> Iterator[ParameterSource]:
    if isinstance(value, ParameterSource):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _sources(item)
    elif isinstance(value, _Option):
        for name in value.__struct_fields__:
            yield from _sources(getattr(value, name))


def is_constant(source: ParameterSource) -> bool:
    """Whether a source needs nothing of the run."""
    constant = source.runtime_value.constant if source.runtime_value is not None else UNSET
    return constant is not UNSET and not placeholders.in_value(constant) and not source.parameter_expression_selector


def reference_key(field: str, source: ParameterSource) -> str:
    """Under which name a task keeps the value of a source; begins with the option's field, for the cache."""
    return f"{field} {_json.encode(source).decode()}"


def of(pipeline: Pipeline, executor: str) -> ExecutorOptions | None:
    """The options of an executor; ``None`` where it has none."""
    return pipeline.options.get(executor)


# ---- reading

_EXECUTORS = "platforms.kubernetes.deploymentSpec.executors"
_PLATFORM_FIELDS = frozenset({"deploymentSpec", "pipelineConfig", "platform", "config"})
_PIPELINE_FIELDS = frozenset(
    {"resourceTtlOnCompletion", "resourceTtlOnSuccess", "resourceTtlOnFailure", "activeDeadlineSeconds", "workspace"}
)
_NAMED = {
    "secretAsEnv": "secretName",
    "secretAsVolume": "secretName",
    "configMapAsEnv": "configMapName",
    "configMapAsVolume": "configMapName",
    "imagePullSecret": "secretName",
}
_CENTURY = 100 * 365 * 86400.0  # seconds: a time that can still be counted back from
_CLAIM_SOURCES = ("taskOutputParameter", "constant", "componentInputParameter")


def read(kubernetes: Mapping[str, Any]) -> dict[str, ExecutorOptions]:
    """Decode the options of executors, by label.

    Args:
        kubernetes: ``platforms.kubernetes``, as `modern` gave it.

    Raises:
        PipelineError: They are not what they must be; names the field.
    """
    kubernetes = _mapping({"kubernetes": kubernetes}, "kubernetes", "platforms")
    _known(kubernetes, _PLATFORM_FIELDS, "platforms.kubernetes")
    _known(
        _mapping(kubernetes, "pipelineConfig", "platforms.kubernetes"), _PIPELINE_FIELDS, "platforms.kubernetes.pipelineConfig"
    )
    if _mapping(kubernetes, "config", "platforms.kubernetes"):
        raise PipelineError("platforms.kubernetes.config: is not known here. Remove it from the pipeline.")
    deployment = _mapping(kubernetes, "deploymentSpec", "platforms.kubernetes")
    _known(deployment, frozenset({"executors"}), "platforms.kubernetes.deploymentSpec")
    executors = _mapping(deployment, "executors", "platforms.kubernetes.deploymentSpec")
    return {
        label: _converted(_mapping(executors, label, _EXECUTORS), ExecutorOptions, f"{_EXECUTORS}.{label}") for label in executors
    }


def modern(kubernetes: Any) -> Any:
    """The same options without older spellings.

    Args:
        kubernetes: ``platforms.kubernetes`` as it was given, which may be anything.
    """
    executors = executors_of(kubernetes)
    made = {label: _modern(options) if isinstance(options, dict) else options for label, options in executors.items()}
    return {**kubernetes, "deploymentSpec": {**kubernetes["deploymentSpec"], "executors": made}} if executors else kubernetes


def executors_of(kubernetes: Any) -> dict[str, Any]:
    """Options by executor, as plain values; none where they have another shape."""
    found: Any = kubernetes
    for field in ("deploymentSpec", "executors"):
        found = found.get(field) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def workspace(kubernetes: Mapping[str, Any]) -> Workspace | None:
    """The workspace that runs are given, if any.

    Args:
        kubernetes: ``platforms.kubernetes``, which `read` found right.

    Raises:
        PipelineError: It is not what it must be; names the field.
    """
    found = (kubernetes.get("pipelineConfig") or {}).get("workspace")
    return None if found is None else _converted(found, Workspace, "platforms.kubernetes.pipelineConfig.workspace")


def cache_ttls(kedge: Any) -> dict[str, float]:
    """Seconds after which a result of an executor is not used again, by label, from ``platforms.kedge``.

    Raises:
        PipelineError: One is no duration; names the field.
    """
    found: dict[str, float] = {}
    for label, options in executors_of(kedge).items():
        path = f"platforms.kedge.deploymentSpec.executors.{label}"
        _known(_mapping({label: options}, label, path.rpartition(".")[0]), frozenset({"cacheTtl"}), path)
        text = options.get("cacheTtl", "")
        seconds = duration(text) if isinstance(text, str) else None
        if not seconds:
            raise PipelineError(f'{path}.cacheTtl: must be a duration such as "86400s", got {text!r:.80}. Correct the field.')
        found[label] = min(seconds, _CENTURY)
    return found


def lifetime(kubernetes: Mapping[str, Any]) -> Lifetime:
    """How long runs may take, and how long their objects stay.

    Args:
        kubernetes: ``platforms.kubernetes``, which `read` found right.

    Raises:
        PipelineError: It is not what it must be; names the field.
    """
    path = "platforms.kubernetes.pipelineConfig"
    given = {key: value for key, value in (kubernetes.get("pipelineConfig") or {}).items() if key != "workspace"}
    found = _converted(given, Lifetime, path)
    for field, name in zip(found.__struct_encode_fields__, found.__struct_fields__, strict=True):
        if getattr(found, name) < 0:
            raise PipelineError(f"{path}.{field}: must be 0 (nothing said) or more, got {getattr(found, name)}.")
    return found


def _known(found: Mapping[str, Any], known: frozenset[str], path: str) -> None:
    unknown = sorted(set(found) - known)
    if unknown:
        raise PipelineError(
            f"{path}.{unknown[0]}: is not known here; there are {', '.join(sorted(known))}. Remove it from the pipeline."
        )


def _mapping(found: Mapping[str, Any], field: str, path: str) -> Mapping[str, Any]:
    value = found.get(field)
    if value is not None and not isinstance(value, dict):
        raise PipelineError(f"{path}.{field}: must be a mapping, got {value!r:.40}. Compile the pipeline again.")
    return value or {}


def _converted(found: Any, kind: type[_T], path: str) -> _T:
    try:
        # Numbers of 64 bits are texts in protobuf's JSON.
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at ")
        where = place.partition("$")[2].strip(".`")
        problem = problem.replace("Object contains unknown field", "there is no option").replace(
            "Object missing", "is missing the"
        )
        path = f"{path}.{where}" if where else path
        raise PipelineError(f"{path}: {problem[0].lower()}{problem[1:]}. Correct it, or compile the pipeline again.") from error


def _modern(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without older spellings, which are written beside the newer ones or, long ago, in place of them."""
    made = dict(options)
    for field, name in _NAMED.items():
        if isinstance(made.get(field), list):
            made[field] = [_renamed(one, name) for one in made[field]]
    if isinstance(made.get("pvcMount"), list):
        made["pvcMount"] = [_claim(one) for one in made["pvcMount"]]
    return made


def _renamed(option: Any, name: str) -> Any:
    if not isinstance(option, dict) or name not in option:
        return option
    made = {key: value for key, value in option.items() if key != name}
    return {f"{name}Parameter": {"runtimeValue": {"constant": option[name]}}, **made}


def _claim(option: Any) -> Any:
    if not isinstance(option, dict):
        return option
    made = {key: value for key, value in option.items() if key not in _CLAIM_SOURCES}
    older = {key: value for key, value in option.items() if key in _CLAIM_SOURCES}
    if not older or "pvcNameParameter" in made:
        return made
    return {**made, "pvcNameParameter": {"runtimeValue": older} if "constant" in older else older}


def constant(source: ParameterSource) -> Any:
    """The value of a constant source."""
    return (source.runtime_value or RuntimeValue(constant=None)).constant
