"""What of the ``kfp`` package a step's source uses beyond the runtime that the launcher brings along.

Such a step gets the real package. It must be known before the step starts: half-way through a function it is too late to begin
anew. What is only seen while the step runs (a module that the source imports uses it) the launcher finds out by itself.
"""

import ast
from collections.abc import Iterator
from functools import lru_cache

from kedge import dsl

# The launcher's own: modules of kfp, and what ``import kfp`` alone gives.
_MODULES = ("kfp", "kfp.dsl", "kfp.dsl.types", "kfp.dsl.types.artifact_types", "kfp.dsl.types.type_annotations")
_OF_PACKAGE = frozenset({"dsl", "TYPE_CHECK"})
_OF_DSL = frozenset({*dsl.__all__, "types", "executor_main"})


@lru_cache(maxsize=1024)  # pipelines call one function many times, and each call has its own copy of the source
def first_beyond(source: str) -> str:
    r"""The first name of ``kfp`` in a source that the launcher does not have; empty when it has all of them.

    Examples:
        >>> first_beyond("import kfp\ndef f():\n    kfp.Client()")
        'kfp.Client'
        >>> first_beyond("import kfp\nfrom kfp import dsl\ndef f(x: dsl.Input[dsl.Model]): pass")
        ''
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ""  # the step itself will say what is wrong with it
    aliases = {"kfp": "kfp"} | {name: full for node in ast.walk(tree) for name, full in _bound(node)}
    return next((name for node in ast.walk(tree) for name in _mentioned(node, aliases) if not _is_ours(name)), "")


def _bound(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Names that an import binds to modules of kfp."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname and alias.name.partition(".")[0] == "kfp":
                yield alias.asname, alias.name
    elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] == "kfp":
        for alias in node.names:
            if f"{node.module}.{alias.name}" in _MODULES:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _mentioned(node: ast.AST, aliases: dict[str, str]) -> Iterator[str]:
    """Names below ``kfp`` that one node of a source asks for."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "kfp")
    elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] == "kfp":
        yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name != "*")
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        if isinstance(node.value, ast.Name) and node.value.id in aliases:
            yield f"{aliases[node.value.id]}.{node.attr}"
        elif isinstance(node.value, ast.Attribute) and isinstance(node.value.value, ast.Name):
            owner = aliases.get(node.value.value.id)
            if owner == "kfp" and node.value.attr == "dsl":
                yield f"kfp.dsl.{node.attr}"


def _is_ours(name: str) -> bool:
    if name in _MODULES:
        return True
    owner, _, last = name.rpartition(".")
    if owner == "kfp":
        return last in _OF_PACKAGE or (last.startswith("__") and last.endswith("__"))
    if owner == "kfp.dsl":
        return last in _OF_DSL or last.startswith("__")
    return owner in _MODULES  # the types' modules hold what kfp.dsl shows, and say so where they do not
