"""Kedge: Kubeflow's APIs in one Python package, from a phone to a fleet.

    from kedge import dsl                  the language of pipelines: the names and the behaviour of ``kfp.dsl``
    kedge.run(pipeline, **arguments)       run it here and wait; starts a host when none runs; shows itself in a notebook
    kedge.compile(pipeline, "file.yaml")   write it as PipelineSpec IR, which Kubeflow accepts too
    kedge.Client()                         runs, tasks, logs and pipelines of a host: of this machine, or of an address
    kedge.Run                              what ``kedge.run`` returns
    kedge.KedgeError                       the base of every error that Kedge raises on purpose

Names are loaded when they are first used: ``import kedge`` and ``from kedge import dsl`` load no third-party module.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedge import dsl
    from kedge.errors import KedgeError
    from kedge.notebook import Client, Run, compile, run  # noqa: A004  # the public name

__version__ = "0.1.0"

__all__ = ["Client", "KedgeError", "Run", "__version__", "compile", "dsl", "run"]

# Public name -> the module that defines it. A module named like the public name stands for itself.
_HOMES = {
    "Client": "kedge.notebook",
    "KedgeError": "kedge.errors",
    "Run": "kedge.notebook",
    "compile": "kedge.notebook",
    "dsl": "kedge.dsl",
    "run": "kedge.notebook",
}


# Modules of kfp that have no counterpart -> what to do instead.
_INSTEAD = {
    "local": "Runs are local until you say otherwise: kedge.run(pipeline, name=value, …) in place of local.init(…) and a call.",
    "registry": "Keep compiled pipelines in files or on a host: kedge.compile(…), `kedge pipelines`.",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module  # noqa: PLC0415  # only the lazy names need it

    if name in _INSTEAD:
        raise ImportError(f"kfp.{name} has no counterpart in Kedge. {_INSTEAD[name]}", name=f"kedge.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'kedge' has no attribute {name!r}; it has {', '.join(__all__)}")
    module = import_module(home)
    value = module if home == f"kedge.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
