"""Pipeline files as commands take them: Python that defines a pipeline, or a compiled one."""

from pathlib import Path

from kedge.errors import PipelineError
from kedge.pipelines import documents
from kedge.pipelines.compiler import compile_file


def load(path: Path, *, pipeline: str | None = None) -> documents.Document:
    """Read a pipeline file.

    Args:
        path: Python, or PipelineSpec IR as YAML or JSON.
        pipeline: Which pipeline of a Python file, when it defines several.

    Raises:
        PipelineError: There is no such file, or it defines no pipeline.
    """
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "there is no such file"
        raise PipelineError(f"{path}: {what}. Give a Python file that defines a pipeline, or a compiled one (YAML or JSON).")
    if path.suffix == ".py":
        return compile_file(path, pipeline_name=pipeline)
    return documents.read(path.read_bytes(), source=str(path))
