"""``kedge.dsl`` inside a step: loaded when something of it is asked for.

A step's own source needs a few of its modules; the whole of it is wanted only where a module of the project defines components.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__") and name != "__all__":
        raise AttributeError(name)
    import importlib

    return getattr(importlib.import_module("kedge.dsl.language"), name)
