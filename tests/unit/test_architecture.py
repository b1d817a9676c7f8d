"""The design's rules that a machine can check."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src" / "kedge").rglob("*.py"))
# Written in pieces, so that this file does not find itself.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs"),
        ("proxy", "golang"),
        ("deb", "debian"),
        ("crates", "io"),
    )
]
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root)/")


def tracked() -> list[Path]:
    """The files that are or would be committed."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_each_floor_imports_only_floors_below_it() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_first_party_imports_are_not_hidden_in_functions() -> None:
    """Except in the lazy facades (the package, commands) and in the launcher, where every import costs a step its time."""
    allowed = {"__init__.py", "cli", "launcher"}
    hidden = [
        f"{path.relative_to(ROOT)}:{inner.lineno}"
        for path in SOURCES
        if path.relative_to(ROOT / "src" / "kedge").parts[0] not in allowed
        for outer in ast.walk(ast.parse(path.read_text()))
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
        if (isinstance(inner, ast.ImportFrom) and (inner.level or (inner.module or "").split(".")[0] == "kedge"))
        or (isinstance(inner, ast.Import) and any(name.name.split(".")[0] == "kedge" for name in inner.names))
    ]
    assert not hidden


@pytest.mark.parametrize("what", ["registry addresses", "machine paths"])
def test_files_name_no(what: str) -> None:
    def guilty(text: str) -> bool:
        return any(host in text for host in REGISTRIES) if what == "registry addresses" else bool(MACHINE_PATH.search(text))

    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}:{number}" for number, line in enumerate(text.splitlines(), 1) if guilty(line)]
    assert not found


def test_every_dependency_is_used() -> None:
    """What is installed with Kedge is imported by it, but for what is loaded by name."""
    loaded_by_name = {
        "uv": "a program",
        "obstore": "only where artifacts lie in a bucket",
        "python-multipart": "starlette loads it to read uploads",
    }
    named = {"google-re2": "re2", "markdown-it-py": "markdown_it", "pyyaml": "yaml"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[<>=~! ]", line)[0] for line in project["dependencies"]}
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", "\n".join(path.read_text() for path in SOURCES), flags=re.MULTILINE))
    assert {name for name in wanted - loaded_by_name.keys() if named.get(name, name) not in imported} == set()


def test_every_module_says_what_it_is() -> None:
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in SOURCES}
    assert not [name for name, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))]
