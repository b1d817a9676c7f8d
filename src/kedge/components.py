"""Components and pipelines from documents: the functions of ``kfp.components``.

from kedge import components, dsl

train = components.load_component_from_file("train.yaml")

Takes PipelineSpec IR, of a component or of a whole pipeline, and the component.yaml of kfp 1.x. The result is called in a
pipeline like any other component.
"""

import sys
from pathlib import Path
from typing import Any

import httpx
import yaml

from kedge.dsl.components import Component, ContainerComponent, PythonComponent
from kedge.dsl.errors import DslError, Place
from kedge.dsl.loaded import from_ir, from_v1
from kedge.errors import PipelineError
from kedge.pipelines import documents

__all__ = [
    "BaseComponent",
    "ContainerComponent",
    "PythonComponent",
    "load_component_from_file",
    "load_component_from_text",
    "load_component_from_url",
]

BaseComponent = Component


def load_component_from_text(text: str) -> Component:
    """Load a component or a pipeline from YAML.

    Args:
        text: PipelineSpec IR, or a component.yaml of kfp 1.x.

    Raises:
        DslError: It is neither, or has what cannot be used within another pipeline.
    """
    return _loaded(text, "the text", _caller())


def load_component_from_file(file_path: str) -> Component:
    """Load a component or a pipeline from a file; see `load_component_from_text`."""
    return _loaded(Path(file_path).read_text(encoding="utf-8"), str(file_path), _caller())


def load_component_from_url(url: str, auth: tuple[str, str] | None = None) -> Component:
    """Load a component or a pipeline from an address; see `load_component_from_text`."""
    answer = httpx.get(url, auth=auth, follow_redirects=True, timeout=60)
    answer.raise_for_status()
    return _loaded(answer.text, url, _caller())


def _loaded(text: str, source: str, place: Place) -> Component:
    first: Any = next(yaml.safe_load_all(text), None)
    if isinstance(first, dict) and "implementation" in first:
        return from_v1(first, place)
    try:
        document = documents.read(text, source)
    except PipelineError as error:
        raise DslError(str(error), where=place, fix="Give PipelineSpec IR, or a component.yaml of kfp 1.x.") from error
    options: dict[str, Any] = {}
    for platform, found in document.platforms.items():
        lost = sorted(set(found) - {"deploymentSpec", "platform"}) if platform == "kubernetes" else [platform]
        if lost:
            raise DslError(
                f"{source} has options of a platform that are no task's own ({', '.join(lost)}).", where=place,
                why="They would be lost within another pipeline.", fix="Set them on the pipeline that uses it.",
            )  # fmt: skip
        options[platform] = (found.get("deploymentSpec") or {}).get("executors") or {}
    return from_ir(document.pipeline, place, options)


def _caller() -> Place:
    frame = sys._getframe(2)  # noqa: SLF001  # messages name the user's own line
    return Place(frame.f_code.co_filename, frame.f_lineno)
