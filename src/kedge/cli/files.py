"""Pipeline files as commands take them: Python that defines a pipeline, or a compiled one."""

from pathlib import Path

from kedge.errors import PipelineError
from kedge.pipelines import checkout, documents
from kedge.pipelines.compiler import compile_file


def load(path: Path, *, pipeline: str | None = None, submitted: bool = False) -> documents.Document:
    """Read a pipeline file.

    Args:
        path: Python, or PipelineSpec IR as YAML or JSON.
        pipeline: Which pipeline of a Python file, when it defines several.
        submitted: Note the checkout that the file lies in: it goes to a host, which is asked later where things come from.

    Raises:
        PipelineError: There is no such file, or it defines no pipeline.
    """
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "there is no such file"
        raise PipelineError(f"{path}: {what}. Give a Python file that defines a pipeline, or a compiled one (YAML or JSON).")
    if path.suffix == ".py":
        found = compile_file(path, pipeline_name=pipeline)
    else:
        found = documents.read(path.read_bytes(), source=str(path))
    # What a compiled file says of its own checkout is nearer to the code than the folder that it was copied to.
    return checkout.noted(found, path) if submitted and not checkout.is_noted(found) else found
