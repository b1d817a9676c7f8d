"""How a step says how it ended: the termination message, and a traceback that shows the user's lines only."""

from __future__ import annotations

import json
import os
import sys
from types import TracebackType
from typing import Any, Dict, Optional

from .errors import LauncherError

# The kubelet cuts a termination message at 4,096 bytes; a cut one is no JSON any more.
LIMIT = 4000
_TRACEBACK, _MESSAGE = 3000, 800
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def message_path() -> str:
    """The file whose content becomes the container's termination message."""
    return os.environ.get("KEDGE_TERMINATION_LOG", "/dev/termination-log")


def encode(value: Any) -> bytes:
    """JSON as it is sent and written everywhere here: compact, UTF-8, and no NaN."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "surrogatepass")


def write_outputs(outputs: Dict[str, Any], path: str = "") -> bool:
    """Say what the outputs are.

    Args:
        outputs: As they would be committed.
        path: Where to write; the termination message unless said.

    Returns:
        Whether it fitted; if not, nothing was written.
    """
    if outputs.get("texts"):
        return False  # only the hub knows their types, and a message has no place for them
    told: Dict[str, Any] = {"kedge": 1, "outputs": outputs["parameters"]}
    if outputs["artifacts"]:
        told["artifacts"] = outputs["artifacts"]
    text = encode(told)
    if len(text) > LIMIT:
        return False
    return _write(text, path)


def fail(error: LauncherError) -> int:
    """Print an error of the launcher, write it as the termination message, and return the exit code."""
    print(f"kedge: {error.message}", file=sys.stderr)
    write_error(error.kind, error.message, "")
    return error.exit_code


def fail_user(error: BaseException) -> int:
    """Print what the user's function raised, in the user's lines, and return the exit code."""
    import traceback  # only steps that fail need it

    trace = user_frames(error.__traceback__)
    _clean_chain(error)
    text = "".join(traceback.format_exception(type(error), error, trace))
    sys.stdout.flush()
    sys.stderr.write(text + _hint(error))
    sys.stderr.flush()
    write_error(type(error).__name__, _text(error), text)
    return 1


def _hint(error: BaseException) -> str:
    """What to do about a name that is known where the function is written, such as in a notebook, and not in the step."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    own = trace is not None and trace.tb_frame.f_globals.get("__name__") == "__main__"
    if not own or not isinstance(error, NameError) or isinstance(error, UnboundLocalError):
        return ""
    return (
        "kedge: a step has its function and what that imports, and nothing else of the file or notebook around it. Define or "
        "import the name inside of the function, name a function in additional_funcs, or import it from a module beside it.\n"
    )


def write_error(kind: str, message: str, trace: str) -> None:
    """Write the error as the termination message, cut to what fits."""
    message = message if len(message) <= _MESSAGE else message[: _MESSAGE - 1] + "…"
    keep = _TRACEBACK
    while True:
        body: Dict[str, Any] = {"type": kind, "message": message}
        if trace and keep:
            body["traceback"] = trace[-keep:]
        text = encode({"kedge": 1, "error": body})
        if len(text) <= LIMIT:
            break
        # Characters outside ASCII take several bytes, quotes and line breaks two.
        keep, message = keep // 2, message if keep else message[: len(message) // 2]
    _write(text)


def user_frames(trace: Optional[TracebackType]) -> Optional[TracebackType]:
    """The traceback from the first frame that is not the launcher's."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return trace


def user_line(error: BaseException) -> str:
    """Where in the step's own source an error came up, as `` at FILE:LINE``; empty when it did not."""
    trace, where = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not os.path.isabs(name) and not name.startswith("<"):  # modules and libraries have absolute names
            where = f" at {name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where


def _clean_chain(error: BaseException) -> None:
    seen = set()
    chained: Optional[BaseException] = error
    while chained is not None and id(chained) not in seen:
        seen.add(id(chained))
        chained.__traceback__ = user_frames(chained.__traceback__)
        chained = chained.__cause__ or chained.__context__


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a user's __str__ may raise anything; the traceback still tells
        return ""


def _write(text: bytes, path: str = "") -> bool:
    try:
        fd = os.open(path or message_path(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    except OSError:
        return False  # outside of a Pod: the exit code and the log still tell
    try:
        return os.write(fd, text) == len(text)
    except OSError:
        return False  # a full disk
    finally:
        os.close(fd)
