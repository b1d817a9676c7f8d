"""Kedge, as far as a step has it: ``kedge.dsl``. Clients, servers and the command line are not there."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "dsl":
        import importlib

        return importlib.import_module("kedge.dsl")
    raise AttributeError(
        f"kedge.{name} is not there inside a step: steps have only kedge.dsl. Do this outside of the step, or add 'kedge' to the "
        "component's packages_to_install and start another Python for it."
    )
