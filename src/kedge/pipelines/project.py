"""Project code: the modules and packages beside a pipeline file that its steps import, packed once, by content.

Steps run alone; what they import from the pipeline's folder must reach them. So the folder is searched for the modules that the
steps' sources name, and for what those import in turn, and no more: a step's results stay in the cache when an unrelated file
changes. A package goes whole, with its data files.
"""

import ast
import base64
import hashlib
import io
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedge.errors import PipelineError
from kedge.pipelines import installers

MAX_ARCHIVE = 8 << 20  # bytes, packed; every start of a run carries it
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can say
_SKIPPED = {"__pycache__", "node_modules"}


@dataclass(frozen=True, slots=True)
class Project:
    """Packed project code.

    Attributes:
        digest: sha256 of the archive, in hexadecimal.
        archive: A zip of files by their path below the pipeline's folder.
        files: Those paths, sorted.
        installs: Whether a module names an installer.
    """

    digest: str
    archive: bytes
    files: tuple[str, ...]
    installs: bool = False

    def options(self) -> dict[str, Any]:
        """As a pipeline file carries it: ``platforms.kedge.config.project``."""
        made = {"digest": self.digest, "archive": base64.b64encode(self.archive).decode("ascii")}
        return {**made, "installs": True} if self.installs else made


def pack(folder: Path, sources: Iterable[str], *, limit: int = MAX_ARCHIVE) -> Project | None:
    """Pack what steps import from the pipeline's folder.

    Args:
        folder: Where the pipeline file lies.
        sources: The Python sources of the steps.
        limit: The most bytes that the archive may have.

    Returns:
        None when no step imports anything from the folder.

    Raises:
        PipelineError: A module is no Python, cannot be read, or all together are too large.
    """
    files = neighbours(folder, sources)
    if not files:
        return None
    archive = _zipped(files)
    if len(archive) > limit:
        raise _too_large(folder, files, len(archive), limit)
    modules = (path for path in files.values() if path.suffix == ".py")
    installs = any(installers.named_in(path.read_text(encoding="utf-8", errors="replace")) for path in modules)
    return Project(hashlib.sha256(archive).hexdigest(), archive, tuple(files), installs)


def neighbours(folder: Path, sources: Iterable[str]) -> dict[str, Path]:
    """The files that steps import from a folder, by their path below it, sorted.

    Args:
        folder: Where the pipeline file lies.
        sources: The Python sources of the steps.

    Raises:
        PipelineError: A module is no Python or cannot be read.
    """
    wanted = list(dict.fromkeys(name for source in sources for name in imported(source, "a step's source")))
    seen = set(wanted)
    found: dict[str, Path] = {}
    for name in wanted:  # grows while it is walked
        for path in _files_of(folder, name):
            found[path.relative_to(folder).as_posix()] = path
            if path.suffix == ".py":
                further = [other for other in imported(_read(path), str(path)) if other not in seen]
                seen.update(further)
                wanted.extend(further)
    return dict(sorted(found.items()))


def imported(source: str, origin: str) -> list[str]:
    r"""The top-level names of the modules that a source imports anywhere, each once.

    Args:
        source: Python.
        origin: How messages call it.

    Raises:
        PipelineError: It is no Python.

    Examples:
        >>> imported("import a.b\ndef f():\n    from c import d", "x.py")
        ['a', 'c']
    """
    if "import" not in source:
        return []
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise PipelineError(
            f"{origin}{line}: {reason}. A step imports this module, so it must be Python that can be read. Correct that line."
        ) from error
    return list(dict.fromkeys(name.partition(".")[0] for name in _modules(tree)))


def _modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            # A relative import stays within a package, which goes whole.
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"), args=[ast.Constant(value=str(name)), *_]
            ):
                yield name
            case _:
                pass


def _files_of(folder: Path, name: str) -> Iterator[Path]:
    """The module or package of that name in the folder; nothing when there is none."""
    package = folder / name
    if (package / "__init__.py").is_file() or (
        package.is_dir() and not (folder / f"{name}.py").is_file() and _has_modules(package)
    ):
        yield from _tree(package)
    elif (folder / f"{name}.py").is_file():
        yield folder / f"{name}.py"


def _has_modules(folder: Path) -> bool:
    """Whether a folder without ``__init__.py`` is a package, and not data that has a module's name by accident."""
    return any(path.suffix == ".py" for path in folder.iterdir())


def _tree(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        for name in sorted(files):
            path = Path(root, name)
            if not name.endswith((".pyc", ".pyo")) and not name.startswith(".") and path.is_file():
                yield path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(
            f"{path}: a step imports this module, but it cannot be read: {error}. Save it as UTF-8 text."
        ) from error


def _zipped(files: dict[str, Path]) -> bytes:
    """The same bytes for the same files, whenever and wherever they were written."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in files.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            info.create_system = 3  # Unix, also where it was packed on another
            info.compress_type = zipfile.ZIP_DEFLATED
            try:
                archive.writestr(info, path.read_bytes(), compresslevel=9)
            except OSError as error:
                raise PipelineError(f"{path}: a step imports its package, but the file cannot be read: {error}.") from error
    return buffer.getvalue()


def _too_large(folder: Path, files: dict[str, Path], size: int, limit: int) -> PipelineError:
    largest = sorted(files.items(), key=lambda item: -item[1].stat().st_size)[:3]
    listed = ", ".join(f"{name} ({path.stat().st_size / 1e6:.1f} MB)" for name, path in largest)
    return PipelineError(
        f"The code that steps import from {folder} is {size / 1e6:.1f} MB when packed, more than the {limit / 1e6:.1f} MB that a "
        f"pipeline may carry. The largest files are {listed}. Move data out of the packages and hand it to steps as an artifact "
        "(dsl.importer), or install the code as a package (packages_to_install)."
    )
