"""``kfp.dsl.types.artifact_types`` and ``kfp.dsl.types.type_annotations`` inside a step: other places of the same names."""

from typing import Any

import kfp.dsl  # pyright: ignore[reportMissingImports]  # the launcher's own, beside this file in the zipapp
from kfp.dsl import *  # noqa: F403  # pyright: ignore[reportMissingImports, reportWildcardImportFromLibrary]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(kfp.dsl, name)
