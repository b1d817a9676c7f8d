"""From the text of a step to its function, such that a traceback shows the user's own file and lines."""

import linecache
import os
import sys
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any, Callable, Dict, List, Tuple

from kedge.dsl.template import blocks

from .errors import StepError
from .step import Code

# What a process that `multiprocessing` spawns runs as this step's main module.
_AGAIN = ModuleSpec("kedge.launcher.again", None)
_FUTURE = 0x1FF0000  # the compiler's bits for ``from __future__ import …``


def load(code: Code) -> Callable[..., Any]:
    """Execute a step's source and return its function.

    Args:
        code: From `step.read_code`.

    Raises:
        StepError: There is no such function.
        BaseException: Whatever the source's own top level raises.
    """
    module = ModuleType("__main__")
    module.__file__ = code.filename
    if not code.on_disk:
        module.__spec__ = _AGAIN
    # Classes and functions of the step are found by their module's name when they are pickled.
    sys.modules["__main__"] = module
    namespace: Dict[str, Any] = module.__dict__
    execute(code, namespace)
    function = namespace.get(code.function)
    if function is None:
        raise StepError(f"the source of this step, {code.filename}, defines no function {code.function!r}.", "FunctionNotFound")
    # A decorated component still is one here: its plain function is wanted.
    return getattr(function, "python_func", function)


def execute(code: Code, namespace: Dict[str, Any]) -> None:
    """Execute a step's source.

    Args:
        code: From `step.read_code`.
        namespace: Of the module that it becomes.
    """
    flags = 0
    for filename, line, text in _blocks(code):
        compiled, flags = _compile(filename, line, text, flags)
        exec(compiled, namespace)  # noqa: S102  # running the user's code is what a step is


def _blocks(code: Code) -> List[Tuple[str, int, str]]:
    found = [tuple(block) for block in blocks(code.source)]
    if len(found) == 1 and found[0][0] == "<step>":
        return [(code.filename, code.first_line, code.source)]
    return found  # type: ignore[return-value]  # tuple(NamedTuple) forgets its types


def _compile(filename: str, line: int, text: str, flags: int) -> Tuple[CodeType, int]:
    before = max(line - 1, 0)
    _remember(filename, before, text)
    # Empty lines before it give the block the line numbers that it has in the user's file.
    compiled = compile("\n" * before + text, filename, "exec", flags=flags, dont_inherit=True)
    return compiled, flags | (compiled.co_flags & _FUTURE)


def _remember(filename: str, before: int, text: str) -> None:
    """Let tracebacks show these lines, even where the file is not; its other lines too, where it is."""
    if os.path.exists(filename):
        return
    lines: List[str] = list(linecache.cache[filename][2]) if filename in linecache.cache else []  # type: ignore[misc]
    mine = text.splitlines(keepends=True)
    lines += ["\n"] * (before + len(mine) - len(lines))
    lines[before : before + len(mine)] = mine
    linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)
