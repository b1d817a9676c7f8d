"""The launcher's command line: ``python3 launcher.pyz run|stage-in|stage-out``, or ``run -- COMMAND…``."""

from __future__ import annotations

import _signal  # pyright: ignore[reportMissingImports]  # has no stubs; `signal` makes enumerations of it, which no step needs
import sys
from typing import List, Optional

from .ending import end
from .run import run

_USAGE = (
    "usage: launcher.pyz run [-- COMMAND...] | stage-in | stage-out\nIt is started in a step's Pod by Kedge and reads KEDGE_STEP."
)


def main(argv: Optional[List[str]] = None) -> int:
    """Do what a step's container was started for.

    Args:
        argv: The arguments after the program's name.

    Returns:
        The exit code: 0 done, 1 the step failed, 2 wrong arguments, 69 the hub could not be reached, 75 the step is not wanted
        any more, else the user's own.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["run"] and (len(arguments) == 1 or (arguments[1] == "--" and len(arguments) > 2)):
        # A node may start the launcher with SIGTERM held back, so that `stage-out` cannot miss it; a function is ended by it.
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {_signal.SIGTERM})
        return run(arguments[2:])
    if arguments in (["stage-in"], ["stage-out"]):
        from . import carry  # steps of other images only

        return carry.stage_in() if arguments == ["stage-in"] else carry.stage_out()
    print(_USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    end(main)
