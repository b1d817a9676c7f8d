"""Pipeline files as commands take them: Python that defines a pipeline, or a compiled one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedge.errors import NotFound, PipelineError
from kedge.pipelines import checkout, documents
from kedge.pipelines.client import Client
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
    if path.is_dir() or not path.exists():  # a pipe is fine
        what = "is a directory" if path.is_dir() else "there is no such file"
        raise PipelineError(f"{path}: {what}. Give a Python file that defines a pipeline, or a compiled one (YAML or JSON).")
    if path.suffix == ".py":
        found = compile_file(path, pipeline_name=pipeline)
    else:
        found = documents.read(path.read_bytes(), source=str(path))
    # What a compiled file says of its own checkout is nearer to the code than the folder that it was copied to.
    return checkout.noted(found, path) if submitted and not checkout.is_noted(found) else found


def stored(client: Client, holder: Mapping[str, Any]) -> documents.Document:
    """Fetch what a run or a schedule runs.

    Args:
        client: Of the host that has it.
        holder: The run or schedule, as the host tells it.

    Raises:
        NotFound: It was deleted.
    """
    if "pipeline_spec" in holder:
        return documents.document(holder["pipeline_spec"])
    reference = holder.get("pipeline_version_reference") or {}
    wanted = reference.get("pipeline_version_id")
    for version in client.versions(str(reference.get("pipeline_id", ""))):  # the newest comes first
        if wanted in (None, version["pipeline_version_id"]) and "pipeline_spec" in version:
            return documents.document(version["pipeline_spec"])
    raise NotFound(f"the pipeline of {holder.get('display_name') or 'it'} is gone. Upload it again, and run it again.")
