"""A component's source: its function as it stands in the user's file, without decorators, and what it needs of that file.

A step runs the function alone. Names in it must mean there what they mean in the file, so the top-level statements that define
them (imports, classes, functions, constants) travel along. For the signature that must succeed, because the step cannot even
begin otherwise; in the body a name that is not found is left to Python, as it may never be reached.
"""

import ast
import builtins
import linecache
import typing
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Union

from . import template
from .errors import DslError, Place

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
_KNOWN = {*dir(builtins), *typing.__all__, "dsl"}


class _File(NamedTuple):
    lines: List[str]
    functions: Dict[int, Function]  # by the line of the first decorator, or of `def`
    definitions: Dict[str, ast.stmt]  # top-level statements, by the names that they define


_files: Dict[str, _File] = {}


def build(function: Callable[..., Any], known: Iterable[str], others: Sequence[Callable[..., Any]] = (), before: str = "") -> str:
    """The source of a Python step.

    Args:
        function: The component's function.
        known: Names that every step has (those of ``kfp.dsl``).
        others: Further functions that it calls.
        before: Python to run first, which says where it stands.

    Raises:
        DslError: The source cannot be found, or the signature uses a name that the file's top level does not define.
    """
    file, node = _find(function)
    place = Place(function.__code__.co_filename, node.lineno)
    text = template.position(_short(place.filename), place.line) + template.HEADER + "\n"
    collected = _Collected(place, file, _KNOWN | set(known))
    for other in others:
        collected.add_function(other)
    collected.add_signature(function, node)
    collected.add_body(function, node)
    return (
        text
        + before
        + "".join(collected.blocks)
        + template.position(_short(place.filename), place.line)
        + _unindented(file, node)
    )


def _short(filename: str) -> str:
    """The file's own name: where it lay is nobody's business, and would make every checkout's pipeline another one."""
    return filename.replace("\\", "/").rpartition("/")[2]


class _Collected:
    """Gathers the statements that a signature needs, each once and after what it needs itself."""

    def __init__(self, place: Place, file: _File, known: Set[str]) -> None:
        self.place, self.file, self.known = place, file, known
        self.blocks: List[str] = []

    def add_function(self, function: Callable[..., Any]) -> None:
        file, node = _find(function)
        # A function of another file is understood by the definitions there.
        here, self.file = self.file, file
        self.add_signature(function, node)
        self.file = here
        place = template.position(_short(function.__code__.co_filename), node.lineno)
        self.blocks.append(place + _unindented(file, node) + "\n")
        self.known.add(function.__name__)

    def add_signature(self, function: Callable[..., Any], node: Function) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        parts: List[Optional[ast.expr]] = [argument.annotation for argument in arguments]
        parts += [*node.args.defaults, *node.args.kw_defaults, node.returns]
        for part in parts:
            if part is not None:
                for name in _names(part):
                    self.add_name(name, f"The signature of {function.__name__}()")

    def add_body(self, function: Callable[..., Any], node: Function) -> None:
        own = {*function.__code__.co_varnames, *function.__code__.co_cellvars, *function.__code__.co_freevars, function.__name__}
        for statement in node.body:
            for name in _names(statement):
                if name not in own and name in self.file.definitions:
                    self.add_name(name, f"{function.__name__}()")

    def add_name(self, name: str, user: str) -> None:
        if name in self.known:
            return
        statement = self.file.definitions.get(name)
        if statement is None:
            raise DslError(
                f"{user} uses {name!r}, which the top level of its file does not define.",
                why="The step runs the function alone; what its signature names must be found there again.",
                fix=f"Define or import {name!r} at the top level of the file.", where=self.place,
            )  # fmt: skip
        self.known.add(name)
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            self.blocks.append(_import(statement, name))
            return
        for inner in _names(statement):
            if inner in self.file.definitions:
                self.add_name(inner, repr(name))
        # Without decorators, as the function itself: they belong to the pipeline's side.
        is_function = isinstance(statement, ast.FunctionDef)
        decorators: List[ast.expr] = [] if is_function else getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
        text = "".join(self.file.lines[first - 1 : statement.end_lineno])
        self.blocks.append(template.position(_short(self.place.filename), first) + text.rstrip("\n") + "\n\n")


def _names(node: ast.AST) -> List[str]:
    return [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)]


def _import(statement: "Union[ast.Import, ast.ImportFrom]", name: str) -> str:
    alias = next(alias for alias in statement.names if (alias.asname or alias.name.partition(".")[0]) == name)
    spelt = alias.name + (f" as {alias.asname}" if alias.asname else "")
    if isinstance(statement, ast.ImportFrom):
        return f"from {'.' * statement.level}{_upstream(statement.module or '')} import {spelt}\n"
    return f"import {_upstream(alias.name)}" + (f" as {alias.asname}\n" if alias.asname else "\n")


def _upstream(module: str) -> str:
    """The module's name on other backends, where only ``kfp`` is there."""
    parts = module.split(".")
    return ".".join(["kfp", *parts[1:]]) if parts[0] == "kedge" and parts[1:2] in ([], ["dsl"]) else module


def _find(function: Callable[..., Any]) -> "tuple[_File, Function]":
    code = function.__code__
    file = _read(code.co_filename)
    node = file.functions.get(code.co_firstlineno) if file is not None else None
    if file is None or node is None or node.name != function.__name__:
        raise DslError(
            f"The source of {function.__name__}() cannot be found.", where=Place(code.co_filename, code.co_firstlineno),
            why="A component's source is sent to its step.", fix="Define it with `def` in a file or a notebook cell.",
        )  # fmt: skip
    if isinstance(node, ast.AsyncFunctionDef):
        raise DslError(
            f"{function.__name__}() is async.", where=Place(code.co_filename, code.co_firstlineno),
            why="A step calls it and takes what it returns.", fix="Write a plain function that calls asyncio.run(...).",
        )  # fmt: skip
    return file, node


def _read(filename: str) -> Optional[_File]:
    lines = linecache.getlines(filename)
    if not lines:
        return None
    known = _files.get(filename)
    if known is not None and known.lines is lines:
        return known
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return None  # a notebook cell with %magic, or a file that changed since it was imported
    functions: Dict[int, Function] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions[min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])] = node
    definitions: Dict[str, ast.stmt] = {}
    for statement in tree.body:
        for name in _defined(statement):
            definitions[name] = statement
    _files[filename] = _File(lines, functions, definitions)
    return _files[filename]


def _defined(statement: ast.stmt) -> List[str]:
    if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
        return []
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    return [inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)]


def _unindented(file: _File, node: Function) -> str:
    """The lines of a function, moved to the left margin; lines within texts stay as they are."""
    lines = file.lines[node.lineno - 1 : node.end_lineno]
    margin = node.col_offset
    if margin:
        inside: Set[int] = set()
        for inner in ast.walk(node):
            if (
                isinstance(inner, (ast.Constant, ast.JoinedStr))
                and inner.end_lineno is not None
                and inner.end_lineno > inner.lineno
            ):
                inside.update(range(inner.lineno + 1, inner.end_lineno + 1))
        lines = [
            line if number in inside else line[min(margin, len(line) - len(line.lstrip(" \t"))) :]
            for number, line in enumerate(lines, node.lineno)
        ]
    text = "".join(lines)
    return text if text.endswith("\n") else text + "\n"
