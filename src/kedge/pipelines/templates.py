"""Recognising Python components, so that their function is run by the launcher and not by ``pip install`` and a shell.

A command is recognised by taking it apart, writing it again from the parts and comparing (`kedge.dsl.template.parse` for what
Kedge compiles, `kedge.pipelines.kfp_templates` for what ``kfp`` does). Whatever differs by one character is a command line like
any other and run as it stands; where it still ends in the runtime of ``kfp``, the launcher runs it, so that this runtime is
there.
"""

from collections.abc import Iterator

import msgspec

from kedge.dsl import template
from kedge.pipelines import kfp_templates, kfp_uses
from kedge.pipelines.spec import Container

RUNTIME_VARIABLE = "KEDGE_KFP_RUNTIME"
"""In a step's or the host's environment: ``installed`` runs components of ``kfp`` under the real package."""
_RUNTIME = "kfp.dsl.executor_main"
_WHOLE_INPUT = "{{$}}"


class PythonStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step that is one Python function, or a command line that ends in one.

    Attributes:
        function: Its name.
        source: The module that defines it.
        packages: What it wants installed, as pip writes it.
        index_urls: Where from, if not from PyPI.
        trusted_hosts: Of those without a valid certificate.
        filename: The user's file, for tracebacks.
        first_line: The function's line in it.
        installed: Whether it runs under the real ``kfp``, which is then among the packages.
        literal: Whether the container's own command line is run; there is no function then.
    """

    function: str
    source: str
    packages: tuple[str, ...] = ()
    index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    filename: str = "component.py"
    first_line: int = 1
    installed: bool = False
    literal: bool = False


def recognise(container: Container, runtime: str = "") -> PythonStep | None:
    """Take a Python component's command apart; ``None`` when it is none.

    Args:
        container: What the executor runs.
        runtime: The host's ``KEDGE_KFP_RUNTIME``; the step's own goes before it.
    """
    found = template.parse(container.command, container.args)
    if found is not None:
        filename, line = found.position
        return PythonStep(
            function=found.function,
            source=found.source,
            packages=tuple(found.packages),
            index_urls=tuple(found.index_urls),
            trusted_hosts=tuple(found.trusted_hosts),
            filename=filename,
            first_line=line,
        )
    runtime = next((variable.value for variable in container.env if variable.name == RUNTIME_VARIABLE), runtime)
    theirs = kfp_templates.parse(container.command, container.args)
    if theirs is not None:
        return _of_kfp(theirs, installed=runtime == "installed")
    return PythonStep("", "", literal=True) if _ends_in_runtime(container) else None


def _of_kfp(found: kfp_templates.KfpTemplate, *, installed: bool) -> PythonStep:
    installed = installed or bool(kfp_uses.first_beyond(found.source))
    packages = found.packages
    if installed:
        packages = (*packages, found.kfp or template.KFP_PACKAGE)
    return PythonStep(
        function=found.function,
        source=found.source,
        packages=packages,
        index_urls=found.index_urls,
        trusted_hosts=found.trusted_hosts,
        installed=installed,
    )


def _ends_in_runtime(container: Container) -> bool:
    """Whether a command line calls the runtime of ``kfp``, and is told of files by its input alone."""
    words = [*container.command, *container.args]
    return (
        _WHOLE_INPUT in words
        and any(_RUNTIME in word for word in words)
        and not any(place in word for word in words for place in _places())
    )


def _places() -> Iterator[str]:
    """Placeholders of paths, which only containers that stage files can be told."""
    yield from ("{{$.inputs.artifacts", "{{$.outputs", "{{$.inputs.output")
