"""The shape budget: small files, short functions, few parameters, no junk drawers.

An exception stands in the tables below with its reason; one that is no longer needed fails too.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE, MAX_FUNCTION, MAX_PARAMETERS, MAX_POSITIONAL = 600, 60, 6, 2
JUNK = ("util", "helper", "common", "misc", "constants")

# Path below src/kedge, or path:function -> reason.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
MANY_PARAMETERS: dict[str, str] = {
    "dsl/": "the signatures are kfp.dsl's: changing the import line must be enough",
    "cli/": "a command's parameters are its options, filled in by name",
    "client/types.py": "the client's contract follows the Kubernetes API",
    "notebook.py": "the public call's own options",
    "server/api.py:__init__": "the parts it is composed of, each once, by app.py",
}

FILES = sorted((ROOT / "src" / "kedge").rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT / "src" / "kedge").as_posix()


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{relative(path)}:{node.name}", node


def test_no_file_is_longer_than_the_budget() -> None:
    long = {relative(path): lines for path in FILES if (lines := len(path.read_text().splitlines())) > MAX_FILE}
    assert long.keys() == LONG_FILES.keys(), f"over {MAX_FILE} lines, or no longer so: {long}"


def test_no_function_is_longer_than_the_budget() -> None:
    long = {
        name: length
        for path in FILES
        for name, node in functions(path)
        if (length := (node.end_lineno or node.lineno) - node.body[0].lineno + 1 - docstring_lines(node)) > MAX_FUNCTION
    }
    assert long.keys() == LONG_FUNCTIONS.keys(), f"over {MAX_FUNCTION} lines, or no longer so: {long}"


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0


def test_no_function_takes_more_parameters_than_the_budget() -> None:
    many = {
        name: count
        for path in FILES
        for name, node in functions(path)
        if (count := len([a for a in parameters(node) if a.arg not in {"self", "cls"}])) > MAX_PARAMETERS
        and not name.startswith(tuple(MANY_PARAMETERS))
    }
    assert not many, f"over {MAX_PARAMETERS} parameters: {many}. Group what belongs together in a dataclass."


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


@pytest.mark.parametrize("folder", ["src", "tests", "bench", "scripts"])
def test_no_file_is_a_junk_drawer(folder: str) -> None:
    junk = [path for path in (ROOT / folder).rglob("*.py") if any(word in path.stem for word in JUNK)]
    assert not junk, "a module is named for the noun it owns"
