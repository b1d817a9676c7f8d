"""``Compiler().compile(pipeline, "pipeline.yaml")``, as scripts for ``kfp.compiler`` call it; `kedge.compile` is shorter."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedge.dsl.components import Component
from kedge.pipelines import documents
from kedge.pipelines.compiler import compile_pipeline

__all__ = ["Compiler"]


class Compiler:
    """Writes pipelines and components as PipelineSpec IR."""

    def compile(  # noqa: PLR0917  # the signature is kfp.compiler's
        self,
        pipeline_func: Component,
        package_path: str,
        pipeline_name: str | None = None,
        pipeline_display_name: str | None = None,
        pipeline_parameters: Mapping[str, Any] | None = None,
        type_check: bool = True,  # noqa: ARG002, FBT001, FBT002  # types are always checked, when the pipeline is defined
    ) -> None:
        """Write a pipeline to a file.

        Args:
            pipeline_func: Made by ``@dsl.pipeline`` or ``@dsl.component``.
            package_path: The file.
            pipeline_name: In place of the pipeline's own.
            pipeline_display_name: In place of the pipeline's own.
            pipeline_parameters: Defaults in place of the pipeline's own.
            type_check: Types are checked in any case.

        Raises:
            PipelineError: The pipeline is wrong.
        """
        made = compile_pipeline(
            pipeline_func, name=pipeline_name, parameters=pipeline_parameters, display_name=pipeline_display_name
        )
        Path(package_path).write_text(documents.write(made), encoding="utf-8")
