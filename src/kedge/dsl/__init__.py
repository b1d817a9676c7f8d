"""The language of pipelines: the names and the behaviour of ``kfp.dsl``.

    from kedge import dsl

    @dsl.component
    def add(a: int, b: int) -> int:
        return a + b

    @dsl.pipeline
    def sums(x: int = 1) -> int:
        first = add(a=x, b=2)
        return add(a=first.output, b=3).output

A pipeline's function runs once, when it is defined: mistakes are found there, each with the line, and with what to do about it
(`DslError`). `kedge.dsl.compiling.compile` makes PipelineSpec IR of it, which Kedge and every Kubeflow run.

Only the standard library is used, in the terms of Python 3.8, because the language runs inside steps too.
"""

import json
from typing import TYPE_CHECKING, Any, List

from . import compiling, components
from .annotations import EmbeddedInput, Input, InputPath, Output, OutputPath, PipelineTaskFinalStatus, TaskConfig
from .artifacts import HTML, Artifact, Dataset, Markdown, Model, get_uri
from .components import Component, ContainerSpec, component, container_component, importer
from .embedding import run_notebook
from .errors import DslError, TypeMismatch
from .groups import Condition, Elif, Else, ExitHandler, If, ParallelFor
from .metrics import ClassificationMetrics, Metrics, SlicedClassificationMetrics
from .notebooks import notebook_component
from .pipelines import PipelineConfig, pipeline
from .placeholders import (
    PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
    PIPELINE_JOB_ID_PLACEHOLDER,
    PIPELINE_JOB_NAME_PLACEHOLDER,
    PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER,
    PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER,
    PIPELINE_ROOT_PLACEHOLDER,
    PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER,
    PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER,
    PIPELINE_TASK_ID_PLACEHOLDER,
    PIPELINE_TASK_NAME_PLACEHOLDER,
    WORKSPACE_PATH_PLACEHOLDER,
    ConcatPlaceholder,
    IfPresentPlaceholder,
)
from .task_config import TaskConfigField, TaskConfigPassthrough
from .tasks import PipelineTask
from .workspaces import KubernetesWorkspaceConfig, WorkspaceConfig

if TYPE_CHECKING:
    # Type checkers see a pipeline's values as what they stand for: an int may be returned where an int is promised.
    def Collected(output: Any) -> Any: ...  # noqa: N802, D103
    def OneOf(*channels: Any) -> Any: ...  # noqa: N802, D103
else:
    from .channels import Collected, OneOf

__all__ = [
    "HTML",
    "PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER",
    "PIPELINE_JOB_ID_PLACEHOLDER",
    "PIPELINE_JOB_NAME_PLACEHOLDER",
    "PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER",
    "PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER",
    "PIPELINE_ROOT_PLACEHOLDER",
    "PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER",
    "PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER",
    "PIPELINE_TASK_ID_PLACEHOLDER",
    "PIPELINE_TASK_NAME_PLACEHOLDER",
    "WORKSPACE_PATH_PLACEHOLDER",
    "Artifact",
    "ClassificationMetrics",
    "Collected",
    "ConcatPlaceholder",
    "Condition",
    "ContainerSpec",
    "Dataset",
    "DslError",
    "Elif",
    "Else",
    "EmbeddedInput",
    "ExitHandler",
    "If",
    "IfPresentPlaceholder",
    "Input",
    "InputPath",
    "KubernetesWorkspaceConfig",
    "Markdown",
    "Metrics",
    "Model",
    "OneOf",
    "Output",
    "OutputPath",
    "ParallelFor",
    "PipelineConfig",
    "PipelineTask",
    "PipelineTaskFinalStatus",
    "SlicedClassificationMetrics",
    "TaskConfig",
    "TaskConfigField",
    "TaskConfigPassthrough",
    "TypeMismatch",
    "WorkspaceConfig",
    "component",
    "container_component",
    "get_uri",
    "importer",
    "notebook_component",
    "pipeline",
    "run_notebook",
]


def _write(made: Component, filename: str) -> None:
    """Write a component's IR; JSON is YAML too."""
    with open(filename, "w", encoding="utf-8") as file:  # noqa: PTH123  # pathlib costs each step time
        json.dump(compiling.compile(made).pipeline, file, indent=1)


# Only names of both dialects: a source that uses others would not run elsewhere.
_RUNTIME: List[str] = [name for name in __all__ if name not in ("DslError", "TypeMismatch")]
components.RUNTIME_NAMES[:] = _RUNTIME
components.on_write(_write)
