"""The name ``kfp`` inside a step: its ``dsl``, on Kedge's own runtime. Whatever else a step wants is the real package's."""

import sys
from typing import Any, Optional

__version__ = "2.17.0"  # of the runtime contract that is kept
TYPE_CHECK = True


class Beyond:
    """Brings the real package where a part of ``kfp`` is imported that is not here."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> Optional[Any]:
        """See `importlib.abc.MetaPathFinder`; asked last, when nobody else has the module."""
        if not name.startswith("kfp."):
            return None
        from kedge.launcher import installed

        return installed.find_spec(name)


sys.meta_path.append(Beyond)  # type: ignore[arg-type]  # find_spec is all that is asked of it


def __getattr__(name: str) -> Any:
    if name == "dsl":
        import importlib

        return importlib.import_module("kfp.dsl")
    if name.startswith("__"):
        raise AttributeError(name)
    from kedge.launcher import installed

    return installed.real("kfp." + name)
