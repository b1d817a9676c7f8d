"""The name ``kfp`` inside a step: its ``dsl``, on Kedge's own runtime. The client and the compiler are not there."""

import sys
from typing import Any, Optional

_WHY = (
    "is not there inside a step on Kedge: steps have only kfp.dsl, which Kedge brings along itself. "
    "Do this outside of the pipeline, where the kfp package is installed."
)


class _Missing:
    """Says so where a part of kfp is imported that is not there."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> Optional[Any]:
        if name.startswith("kfp.") and not name.startswith("kfp.dsl"):
            raise ModuleNotFoundError(f"{name} {_WHY}", name=name)
        return None


sys.meta_path.append(_Missing)  # type: ignore[arg-type]  # find_spec is all that is asked of it


def __getattr__(name: str) -> Any:
    if name == "dsl":
        import importlib

        return importlib.import_module("kfp.dsl")
    raise AttributeError(f"kfp.{name} {_WHY}")
