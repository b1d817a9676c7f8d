"""Notebooks as components: the notebook travels in the step's source, and the function says what it gets and what comes of it."""

from typing import Any, Callable, List, Optional, Union

from . import embedding, template
from .components import DEFAULT_IMAGE, Packages, PythonComponent, place_of, texts, written
from .task_config import TaskConfigField, TaskConfigPassthrough, passthroughs


def notebook_component(
    func: Optional[Callable[..., Any]] = None, *, notebook_path: str, base_image: Optional[str] = None,
    packages_to_install: Optional[List[str]] = None, output_component_file: Optional[str] = None,
    pip_index_urls: Optional[List[str]] = None, pip_trusted_hosts: Optional[List[str]] = None, use_venv: bool = False,
    kfp_package_path: Optional[str] = None, install_kfp_package: bool = True,
    task_config_passthroughs: Optional[List[Union[TaskConfigPassthrough, TaskConfigField]]] = None,
) -> Any:  # fmt: skip
    """Make a component that runs a notebook: ``@notebook_component(notebook_path="train.ipynb")``.

    The function calls ``dsl.run_notebook(name=value, …)`` where the notebook is to run. A cell behind the one that is tagged
    ``parameters`` (at the top, if none is) then gives it these values, as papermill does. What the notebook makes it writes to
    files: hand it the paths of outputs.

    Args:
        func: The function; its parameters are the component's inputs and outputs.
        notebook_path: The notebook, or a folder with one notebook and the files that it uses, up to 1 MiB packed. It is looked
            for in the working directory and beside the file of the function.
        base_image: The image that it runs in; ``python:3.11`` by default.
        packages_to_install: Requirements, as pip takes them; nbclient, ipykernel and jupyter_client if left out, exactly these
            otherwise.
        output_component_file: Write the component's IR to this file.
        pip_index_urls: Package indexes; the first replaces the default one.
        pip_trusted_hosts: Hosts whose certificates pip does not check.
        use_venv: Whether other backends put packages into an environment of the step's own; Kedge always does.
        kfp_package_path: From where other backends install the ``kfp`` runtime.
        install_kfp_package: Whether they do; Kedge needs none.
        task_config_passthroughs: What of a task's configuration its ``TaskConfig`` parameter gets.

    Raises:
        DslError: There is no such notebook, or the signature is none that a component can have.

    Examples:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "train.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
        >>> from kedge import dsl
        >>> @dsl.notebook_component(notebook_path=str(folder))
        ... def train(depth: int) -> None:
        ...     dsl.run_notebook(depth=depth)
        >>> train.name
        'train'
    """
    wanted = passthroughs(task_config_passthroughs)
    requirements = list(embedding.NOTEBOOK_PACKAGES) if packages_to_install is None else packages_to_install
    packages = Packages(
        texts("packages_to_install", requirements), texts("pip_index_urls", pip_index_urls),
        texts("pip_trusted_hosts", pip_trusted_hosts),
        (kfp_package_path or template.KFP_PACKAGE) if install_kfp_package else None, use_venv,
    )  # fmt: skip

    def decorate(function: Callable[..., Any]) -> PythonComponent:
        embedded = embedding.notebook(notebook_path, place_of(function))
        made = PythonComponent(function, base_image or DEFAULT_IMAGE, packages, embedded=embedded)
        made.passthroughs = wanted
        return written(made, output_component_file)

    return decorate if func is None else decorate(func)
