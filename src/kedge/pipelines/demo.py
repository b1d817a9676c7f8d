"""The pipeline that Kedge brings along: the first of its examples."""

from pathlib import Path
from typing import Any

import kedge
from kedge.errors import StateError
from kedge.pipelines.compiler import compile_file

EXAMPLE = "01-penguins"


def example() -> Path:
    """The folder of the example: of the checkout, or of the installed package.

    Raises:
        StateError: It is not there.
    """
    package = Path(kedge.__file__).parent
    for place in (package / "examples" / EXAMPLE, package.parents[1] / "examples" / EXAMPLE):
        if (place / "pipeline.py").exists():
            return place
    raise StateError(f"The example {EXAMPLE} is missing from {package}. Install kedge again.")


def document() -> dict[str, Any]:
    """It as the REST API takes it, compiled now.

    Raises:
        StateError: It is not there.
    """
    return compile_file(example() / "pipeline.py").json()
