"""Which hosts a test takes, read from its source: the embedded one, a hub of a cluster, or both.

A test takes a host when it, a fixture of its or a function that these name calls what starts one. What a test starts as a process
of its own, such as ``kedge demo`` out of a wheel, is not seen.
"""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
SUITES = ("acceptance", "conformance", "cluster")
STARTS = {"running_host": "embedded", "running_hub": "cluster", "own_cluster": "cluster"}
"""What starts a host, or the cluster that one works against."""
_PATH = ("acceptance", "cluster", "conformance/runs", "conformance/staging")  # as `pythonpath` in pyproject.toml
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = _Function | ast.ClassDef


@dataclass(frozen=True)
class _Module:
    """A file of tests, or what they import.

    Attributes:
        path: The file.
        defined: Its functions and classes.
        imported: Modules beside it, and the name there, by the name here; without a name there for a whole module.
    """

    path: Path
    defined: dict[str, _Definition]
    imported: dict[str, tuple[Path, str]]


def files() -> list[Path]:
    """The files whose tests are to run over both hosts."""
    return sorted(path for suite in SUITES for path in (TESTS / suite).rglob("test_*.py"))


@cache
def tests(path: Path) -> dict[str, set[str]]:
    """The tests of a file, and what each takes: nothing, ``embedded``, ``cluster`` or both."""
    module = _read(path)
    own = [each for each in module.defined.values() if isinstance(each, _Function) and _is_fixture(each, autouse=True)]
    found: dict[str, set[str]] = {}
    for name, definition in module.defined.items():
        if isinstance(definition, _Function) and name.startswith("test_"):
            found[name] = _hosts(module, [definition, *own], path)
    return found


def _hosts(module: _Module, begin: list[_Function], test: Path) -> set[str]:
    """What is reached from these functions."""
    due: list[tuple[_Module, _Definition]] = [(module, each) for each in begin]
    seen: set[int] = set()
    found: set[str] = set()
    while due:
        where, definition = due.pop()
        if id(definition) in seen:
            continue
        seen.add(id(definition))
        named = _names(definition)
        found |= {STARTS[name] for name in named & STARTS.keys()}
        due += [each for name in named if (each := _resolve(where, name))]
        due += [each for name in _fixtures(definition) if (each := _fixture(name, test))]
    return found


@cache
def _names(definition: _Definition) -> frozenset[str]:
    """What a body refers to; ``module.name`` with its dot."""
    found: set[str] = set()
    for line in definition.body:
        for each in ast.walk(line):
            if isinstance(each, ast.Name):
                found.add(each.id)
            elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                found.add(f"{each.value.id}.{each.attr}")
    return frozenset(found)


@cache
def _fixtures(definition: _Definition) -> frozenset[str]:
    """What pytest is asked for: by parameters, ``usefixtures`` and ``getfixturevalue``."""
    found: set[str] = set()
    if isinstance(definition, _Function) and (definition.name.startswith("test_") or _is_fixture(definition)):
        found.update(argument.arg for argument in (*definition.args.args, *definition.args.kwonlyargs))
    for each in ast.walk(definition):
        if isinstance(each, ast.Call) and getattr(each.func, "attr", "") in {"getfixturevalue", "usefixtures"}:
            texts = (part for argument in each.args for part in ast.walk(argument) if isinstance(part, ast.Constant))
            found.update(part.value for part in texts if isinstance(part.value, str))
    return frozenset(found)


def _fixture(name: str, test: Path) -> tuple[_Module, _Definition] | None:
    """The nearest fixture of a name: the file's own, or a conftest's."""
    folders = [folder for folder in test.parents if folder.is_relative_to(TESTS)] or [test.parent, TESTS]
    for path in (test, *(folder / "conftest.py" for folder in folders)):
        found = _resolve(_read(path), name) if path.exists() else None
        if found and isinstance(found[1], _Function) and _is_fixture(found[1]):
            return found
    return None


def _resolve(module: _Module, name: str) -> tuple[_Module, _Definition] | None:
    """A function or class by the name that it has in a module."""
    if name in module.defined:
        return module, module.defined[name]
    first, _, rest = name.partition(".")
    path, there = module.imported.get(first, (None, ""))
    return _resolve(_read(path), there or rest) if path and (there or rest) else None


def _is_fixture(function: _Function, *, autouse: bool = False) -> bool:
    texts = [ast.unparse(each) for each in function.decorator_list]
    return any("fixture" in text and (not autouse or "autouse=True" in text) for text in texts)


@cache
def _read(path: Path) -> _Module:
    tree = ast.parse(path.read_text())
    defined = {each.name: each for each in tree.body if isinstance(each, _Definition)}
    imported: dict[str, tuple[Path, str]] = {}
    for each in tree.body:
        if isinstance(each, ast.ImportFrom) and (beside := _beside(each.module or "")):
            imported |= {alias.asname or alias.name: (beside, alias.name) for alias in each.names}
        elif isinstance(each, ast.Import):
            found = {alias.asname or alias.name: _beside(alias.name) for alias in each.names}
            imported |= {name: (beside, "") for name, beside in found.items() if beside}
    return _Module(path, defined, imported)


def _beside(module: str) -> Path | None:
    """The file of a module that tests share."""
    return next((path for folder in _PATH if (path := TESTS / folder / f"{module}.py").exists()), None)
