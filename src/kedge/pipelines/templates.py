"""Recognising Python components, so that their function is run by the launcher and not by ``pip install`` and a shell.

A command is recognised by taking it apart, writing it again from the parts and comparing (`kedge.dsl.template.parse`): whatever
differs by one character is a command line like any other, and is run as it stands.
"""

import msgspec

from kedge.dsl import template
from kedge.pipelines.spec import Container


class PythonStep(msgspec.Struct, frozen=True):
    """A step that is one Python function.

    Attributes:
        function: Its name.
        source: The module that defines it.
        packages: What it wants installed, as pip writes it.
        index_urls: Where from, if not from PyPI.
        trusted_hosts: Of those without a valid certificate.
        filename: The user's file, for tracebacks.
        first_line: The function's line in it.
    """

    function: str
    source: str
    packages: tuple[str, ...] = ()
    index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    filename: str = "component.py"
    first_line: int = 1


def recognise(container: Container) -> PythonStep | None:
    """Take a Python component's command apart; ``None`` when it is none."""
    found = template.parse(container.command, container.args)
    if found is None:
        return None
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
