"""PipelineSpec 2.1.0 as types: one struct for each message of the IR, with the IR's own field names in snake_case.

Fields that the IR has but that no supported compiler writes are here as well, typed ``Any``, so that they can be refused by name
(`kedge.pipelines.checks`). A field that the IR does not have is refused when it is read: a misspelt option passed over in silence
would be worse than an error.
"""

import re
from enum import StrEnum
from functools import cached_property
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class ParameterType(StrEnum):
    """Types of parameters."""

    DOUBLE = "NUMBER_DOUBLE"
    INTEGER = "NUMBER_INTEGER"
    STRING = "STRING"
    BOOLEAN = "BOOLEAN"
    LIST = "LIST"
    STRUCT = "STRUCT"
    TASK_FINAL_STATUS = "TASK_FINAL_STATUS"
    TASK_CONFIG = "TASK_CONFIG"


class Strategy(StrEnum):
    """When a task may start, given its upstream tasks."""

    UNSPECIFIED = "TRIGGER_STRATEGY_UNSPECIFIED"
    SUCCEEDED = "ALL_UPSTREAM_TASKS_SUCCEEDED"
    COMPLETED = "ALL_UPSTREAM_TASKS_COMPLETED"


# kfp compiles f"{item.a}" to an input of that name, which it passes down from the root, where nothing is. The engine takes it
# from the item.
ITEM_PART = "-subvar-"
# Begins the names of inputs that compilers add, so that values can be handed down to where they are used.
ADDED_PREFIX = "pipelinechannel--"

# Images that name tasks of kfp.kubernetes, which are never pulled.
_CLAIMS = {"argostub/createpvc": "create", "argostub/deletepvc": "delete"}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")


def duration(text: str) -> float | None:
    """Read a duration of the IR (``"1.5s"``) as seconds; ``None`` if it is not one."""
    match = _DURATION.fullmatch(text)
    return float(match[1]) if match else None


class _Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A message of the IR."""


# ---- what a component takes and gives


class ArtifactType(_Message, frozen=True):
    """``system.Dataset`` and its kin; ``instance_schema`` is the older spelling."""

    schema_title: str = ""
    schema_uri: str = ""
    instance_schema: str = ""
    schema_version: str = ""

    @property
    def title(self) -> str:
        """The schema title; artifacts of no stated type are ``system.Artifact``."""
        return self.schema_title or "system.Artifact"


class InputArtifact(_Message, frozen=True):
    """Declares an input artifact."""

    artifact_type: ArtifactType = ArtifactType()
    is_artifact_list: bool = False
    is_optional: bool = False
    description: str = ""


class InputParameter(_Message, frozen=True):
    """Declares an input parameter. A ``default_value`` of null is a default; one that is absent is none."""

    parameter_type: ParameterType | UnsetType = UNSET
    default_value: Any = UNSET
    is_optional: bool = False
    description: str = ""
    literals: list[Any] = []
    type: Any = UNSET

    @property
    def kind(self) -> ParameterType:
        """The type; text, where none is stated."""
        return ParameterType.STRING if isinstance(self.parameter_type, UnsetType) else self.parameter_type

    @property
    def may_be_absent(self) -> bool:
        """Whether the input need not be given."""
        return self.is_optional or self.default_value is not UNSET


class OutputArtifact(_Message, frozen=True):
    """Declares an output artifact."""

    artifact_type: ArtifactType = ArtifactType()
    metadata: dict[str, Any] = {}
    is_artifact_list: bool = False
    description: str = ""
    properties: Any = UNSET
    custom_properties: Any = UNSET


class OutputParameter(_Message, frozen=True):
    """Declares an output parameter."""

    parameter_type: ParameterType | UnsetType = UNSET
    description: str = ""
    type: Any = UNSET

    @property
    def kind(self) -> ParameterType:
        """The type; text, where none is stated."""
        return ParameterType.STRING if isinstance(self.parameter_type, UnsetType) else self.parameter_type


class InputDefinitions(_Message, frozen=True):
    """All inputs of a component."""

    parameters: dict[str, InputParameter] = {}
    artifacts: dict[str, InputArtifact] = {}


class OutputDefinitions(_Message, frozen=True):
    """All outputs of a component."""

    parameters: dict[str, OutputParameter] = {}
    artifacts: dict[str, OutputArtifact] = {}


# ---- tasks


class TaskOutputParameter(_Message, frozen=True):
    """An output parameter of a task of the same DAG."""

    producer_task: str
    output_parameter_key: str


class TaskOutputArtifact(_Message, frozen=True):
    """An output artifact of a task of the same DAG."""

    producer_task: str
    output_artifact_key: str


class TaskFinalStatus(_Message, frozen=True):
    """How a task of the same DAG ended."""

    producer_task: str


class RuntimeValue(_Message, frozen=True):
    """A constant, or (importers only) the name of one of the component's own inputs."""

    constant: Any = UNSET
    runtime_parameter: str | UnsetType = UNSET
    constant_value: Any = UNSET


class ParameterSource(_Message, frozen=True):
    """Where a task's input parameter comes from: exactly one of the first four."""

    task_output_parameter: TaskOutputParameter | None = None
    runtime_value: RuntimeValue | None = None
    component_input_parameter: str | None = None
    task_final_status: TaskFinalStatus | None = None
    parameter_expression_selector: str = ""


class ArtifactSource(_Message, frozen=True):
    """Where a task's input artifact comes from: exactly one of them."""

    task_output_artifact: TaskOutputArtifact | None = None
    component_input_artifact: str | None = None


class TaskInputs(_Message, frozen=True):
    """What a task is given."""

    parameters: dict[str, ParameterSource] = {}
    artifacts: dict[str, ArtifactSource] = {}


class CachingOptions(_Message, frozen=True):
    """Whether, and under which key of the user's, outputs may be reused."""

    enable_cache: bool = False
    cache_key: str = ""


class ComponentRef(_Message, frozen=True):
    """The component that a task is an instance of."""

    name: str


class TriggerPolicy(_Message, frozen=True):
    """When a task starts; the condition is CEL."""

    condition: str = ""
    strategy: Strategy = Strategy.UNSPECIFIED


class ParameterItems(_Message, frozen=True):
    """Items of a loop: JSON text, or the name of an input."""

    raw: str | None = None
    input_parameter: str | None = None


class ParameterIterator(_Message, frozen=True):
    """Run the task once for each item of a list."""

    items: ParameterItems
    item_input: str


class ArtifactItems(_Message, frozen=True):
    """Items of a loop: the artifacts of an input."""

    input_artifact: str


class ArtifactIterator(_Message, frozen=True):
    """Run the task once for each artifact of a list."""

    items: ArtifactItems
    item_input: str


class IteratorPolicy(_Message, frozen=True):
    """How many iterations run at a time; 0: all."""

    parallelism_limit: int = 0


class RetryPolicy(_Message, frozen=True):
    """How often, and after how long, a failed step is tried again. Durations are ``"30s"``."""

    max_retry_count: int = 0
    backoff_duration: str = "0s"
    backoff_factor: float = 2.0
    backoff_max_duration: str = "3600s"


class TaskInfo(_Message, frozen=True):
    """What people call the task."""

    name: str = ""


class TaskSpec(_Message, frozen=True):
    """One task of a DAG."""

    component_ref: ComponentRef
    task_info: TaskInfo = TaskInfo()
    inputs: TaskInputs = TaskInputs()
    dependent_tasks: list[str] = []
    caching_options: CachingOptions = CachingOptions()
    trigger_policy: TriggerPolicy = TriggerPolicy()
    artifact_iterator: ArtifactIterator | None = None
    parameter_iterator: ParameterIterator | None = None
    iterator_policy: IteratorPolicy = IteratorPolicy()
    retry_policy: RetryPolicy | None = None

    @property
    def upstream(self) -> list[str]:
        """Names of the tasks that it waits for, stated and implied, each once."""
        names = dict.fromkeys(self.dependent_tasks)
        for parameter in self.inputs.parameters.values():
            if parameter.task_output_parameter is not None:
                names[parameter.task_output_parameter.producer_task] = None
            elif parameter.task_final_status is not None:
                names[parameter.task_final_status.producer_task] = None
        for artifact in self.inputs.artifacts.values():
            if artifact.task_output_artifact is not None:
                names[artifact.task_output_artifact.producer_task] = None
        return list(names)


# ---- DAGs


class ParameterSelector(_Message, frozen=True):
    """An output parameter of a task inside."""

    producer_subtask: str
    output_parameter_key: str


class ArtifactSelector(_Message, frozen=True):
    """An output artifact of a task inside."""

    producer_subtask: str
    output_artifact_key: str


class ParameterSelectors(_Message, frozen=True):
    """The first of these that has a value."""

    parameter_selectors: list[ParameterSelector] = []


class DagOutputParameter(_Message, frozen=True):
    """Where a DAG's output parameter comes from: exactly one of them."""

    value_from_parameter: ParameterSelector | None = None
    value_from_oneof: ParameterSelectors | None = None

    @property
    def selectors(self) -> list[ParameterSelector]:
        """The candidates, in order."""
        if self.value_from_parameter is not None:
            return [self.value_from_parameter]
        return [] if self.value_from_oneof is None else self.value_from_oneof.parameter_selectors


class DagOutputArtifact(_Message, frozen=True):
    """Where a DAG's output artifact comes from: the first candidate that there is."""

    artifact_selectors: list[ArtifactSelector] = []


class DagOutputs(_Message, frozen=True):
    """What a DAG gives out."""

    parameters: dict[str, DagOutputParameter] = {}
    artifacts: dict[str, DagOutputArtifact] = {}


class Dag(_Message, frozen=True):
    """A graph of tasks."""

    tasks: dict[str, TaskSpec] = {}
    outputs: DagOutputs = DagOutputs()


class TaskConfigField(StrEnum):
    """A part of a task's configuration."""

    NONE = "NONE"
    RESOURCES = "RESOURCES"
    ENV = "ENV"
    KUBERNETES_AFFINITY = "KUBERNETES_AFFINITY"
    KUBERNETES_TOLERATIONS = "KUBERNETES_TOLERATIONS"
    KUBERNETES_NODE_SELECTOR = "KUBERNETES_NODE_SELECTOR"
    KUBERNETES_VOLUMES = "KUBERNETES_VOLUMES"


class TaskConfigPassthrough(_Message, frozen=True):
    """A part of the task's configuration that the component is told."""

    field: TaskConfigField = TaskConfigField.NONE
    apply_to_task: bool = False


class Component(_Message, frozen=True):
    """What a task is an instance of: a DAG, or an executor with a contract."""

    input_definitions: InputDefinitions = InputDefinitions()
    output_definitions: OutputDefinitions = OutputDefinitions()
    dag: Dag | None = None
    executor_label: str | None = None
    single_platform_specs: Any = UNSET
    task_config_passthroughs: list[TaskConfigPassthrough] = []


# ---- executors


class Accelerator(_Message, frozen=True):
    """GPUs and their kin; the first two fields are the older spelling."""

    type: str = ""
    count: int | str = 0
    resource_type: str = ""
    resource_count: str = ""


class Resources(_Message, frozen=True):
    """Requests and limits; numbers (cores, GB) are the older spelling of the quantities."""

    cpu_limit: float = 0
    memory_limit: float = 0
    cpu_request: float = 0
    memory_request: float = 0
    resource_cpu_limit: str = ""
    resource_memory_limit: str = ""
    resource_cpu_request: str = ""
    resource_memory_request: str = ""
    accelerator: Accelerator | None = None


class EnvVar(_Message, frozen=True):
    """One environment variable."""

    name: str
    value: str = ""


class Container(_Message, frozen=True):
    """Runs an image."""

    image: str = ""
    command: list[str] = []
    args: list[str] = []
    env: list[EnvVar] = []
    resources: Resources | None = None
    lifecycle: Any = UNSET

    @property
    def claims(self) -> str:
        """What a task does with a PersistentVolumeClaim in place of running anything: ``create``, ``delete`` or nothing."""
        return _CLAIMS.get(self.image, "")


class Importer(_Message, frozen=True):
    """Records an artifact that exists already."""

    artifact_uri: RuntimeValue
    type_schema: ArtifactType = ArtifactType()
    metadata: dict[str, Any] = {}
    reimport: bool = False
    download_to_workspace: bool = False
    properties: Any = UNSET
    custom_properties: Any = UNSET


class Executor(_Message, frozen=True):
    """How a component is run: exactly one of the first two."""

    container: Container | None = None
    importer: Importer | None = None
    resolver: Any = UNSET
    custom_job: Any = UNSET


class DeploymentSpec(_Message, frozen=True):
    """All executors, by label."""

    executors: dict[str, Executor] = {}


class PipelineInfo(_Message, frozen=True):
    """What the pipeline is called."""

    name: str
    display_name: str = ""
    description: str = ""


class PipelineSpec(_Message, frozen=True):
    """The whole first document."""

    pipeline_info: PipelineInfo
    root: Component
    schema_version: str
    sdk_version: str = ""
    components: dict[str, Component] = {}
    deployment_spec: DeploymentSpec = DeploymentSpec()
    default_pipeline_root: str = ""


class Pipeline(msgspec.Struct, frozen=True, dict=True):
    """A pipeline that was read and checked: every reference in it leads somewhere.

    Attributes:
        spec: The first document.
        platforms: Options by platform name, as they are.
        options: Options of executors for Kubernetes, by label; `platform_spec.of` gives one.
        workspace: A `platform_spec.Workspace`, if the steps of a run share one.
        lifetime: A `platform_spec.Lifetime`: how long a run may take, and how long its objects stay.
        cache_ttls: Seconds after which a result of an executor is not used again, by label.
    """

    spec: PipelineSpec
    platforms: dict[str, Any] = {}
    options: dict[str, Any] = {}
    workspace: Any = None
    cache_ttls: dict[str, float] = {}
    lifetime: Any = None

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.spec.pipeline_info.name

    @property
    def root(self) -> Component:
        """The component that is the whole pipeline."""
        return self.spec.root

    @property
    def executors(self) -> dict[str, Executor]:
        """Executors by label."""
        return self.spec.deployment_spec.executors

    def component(self, name: str) -> Component:
        """A component by name; the root is ``""``."""
        return self.spec.components[name] if name else self.spec.root

    @cached_property
    def plans(self) -> dict[str, Any]:
        """Where the engine keeps what it works out once for each DAG, so that runs of one pipeline share it."""
        return {}
