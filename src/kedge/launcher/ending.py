"""The end of a step's process: what an interpreter does at its end, without taking apart what the kernel frees at once.

That is 5 ms of a fresh interpreter, and would be as much of a forked one.
"""

from __future__ import annotations

import _io
import contextlib
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

# What an interpreter writes out when it drops a file that nobody has closed.
_BUFFERS = (_io.TextIOWrapper, _io.BufferedWriter, _io.BufferedRandom)


def end(main: Callable[[], int | None]) -> NoReturn:
    """Run a program and end with what it returns, or what an interpreter makes of what leaves it.

    Args:
        main: The program.
    """
    code = 1
    try:
        code = main() or 0
    except BaseException as error:  # noqa: BLE001  # whatever the program raises is its end, and must not reach the caller
        code = exit_code(error)
    finally:
        finish(code)


def exit_code(error: BaseException) -> int:
    """What the interpreter itself would exit with, having printed what it would print.

    Args:
        error: What left the program.
    """
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        if isinstance(error.code, int):
            return error.code & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    if isinstance(error, KeyboardInterrupt):
        return 130
    sys.excepthook(type(error), error, error.__traceback__)
    return 1


def finish(code: int) -> NoReturn:
    """End as the interpreter would: threads are waited for, what was asked for at the end is done, open files are written out.

    Args:
        code: The exit code.
    """
    try:
        threading = sys.modules.get("threading")
        if threading is not None:
            threading._shutdown()  # noqa: SLF001  # waits for threads that are no daemons; has no public name
        import atexit  # wanted at the end only

        atexit._run_exitfuncs()  # noqa: SLF001
    except BaseException as error:  # noqa: BLE001
        code = code or exit_code(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 120  # as the interpreter does when its output is gone
    _write_out()
    os._exit(code)


def _write_out() -> None:
    """Write what waits in files that the program has left open."""
    # By their exact type: whether something else is one, only its own code could say.
    for file in [one for one in gc.get_objects() if type(one) in _BUFFERS]:
        with contextlib.suppress(Exception):  # closed, or its disk is full: nobody is left to be told
            file.flush()
