"""From a user's Python file to a pipeline document: import the file, find its pipeline, compile it, pack its neighbours.

The file runs once, with its folder first on the module path, as if it were started there; the modules that it brought from that
folder are forgotten afterwards, so that the next compilation sees what the files say then. An error in the file is told with the
user's own lines and none of Kedge's.
"""

import importlib
import importlib.util
import linecache
import sys
import threading
import traceback
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from kedge.dsl import compiling, template
from kedge.dsl.components import Component
from kedge.dsl.errors import DslError
from kedge.dsl.pipelines import Pipeline
from kedge.errors import PipelineError
from kedge.pipelines import garbage
from kedge.pipelines.documents import Document
from kedge.pipelines.project import pack

_MODULE = "kedge_pipeline_file"
_PACKAGE = Path(template.__file__).parent.parent
# Importing a file changes the process's module path for a moment.
_importing = threading.Lock()


def compile_file(
    path: str | Path,
    *,
    pipeline_name: str | None = None,
    display_name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Document:
    """Compile the pipeline of a Python file.

    Args:
        path: The file.
        pipeline_name: Which of its pipelines (or components), by the function's name or the pipeline's, when several are there.
        display_name: In place of the pipeline's own.
        parameters: Defaults in place of the pipeline's own, by input name.

    Raises:
        PipelineError: The file cannot be imported, has no pipeline or several, or the pipeline is wrong.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise PipelineError(f"{path}: there is no such file. Give the path of a Python file that defines a @dsl.pipeline.")
    with _importing, garbage.paused(), _imported(file) as module:
        found = _pipeline(module, file, pipeline_name)
        return compile_pipeline(found, display_name=display_name, parameters=parameters, folder=file.parent)


def compile_pipeline(
    pipeline: Component,
    *,
    name: str | None = None,
    display_name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> Document:
    """Compile a pipeline object.

    Args:
        pipeline: Made by ``@dsl.pipeline`` or ``@dsl.component``.
        name: In place of the pipeline's own.
        display_name: In place of the pipeline's own.
        parameters: Defaults in place of the pipeline's own, by input name.
        folder: Where its steps' imports are looked for; by default where the pipeline is defined.

    Raises:
        PipelineError: It is no pipeline or a wrong one, or its project code cannot be packed.
    """
    if not isinstance(pipeline, Component):  # pyright: ignore[reportUnnecessaryIsInstance]  # `kedge.run` takes what it is given
        what = getattr(pipeline, "__name__", repr(pipeline))
        raise PipelineError(f"{what:.80} is no pipeline. Decorate its function with @dsl.pipeline, or give the path of a file.")
    try:
        with garbage.paused():
            compiled = compiling.compile(pipeline, name=name, display_name=display_name, parameters=parameters)
    except DslError as error:
        raise PipelineError(str(error)) from error
    platforms: dict[str, Any] = dict(compiled.platforms)
    if folder is None:
        defined = Path(pipeline.place.filename)
        # In a notebook the code is in no file; its neighbours are those of the working directory.
        folder = defined.parent if defined.is_file() else Path.cwd()
    project = pack(folder, _sources(compiled.pipeline))
    if project is not None:
        platforms["kedge"] = {**platforms.get("kedge", {}), "config": {"project": project.options()}}
    return Document(compiled.pipeline, platforms)


def _sources(pipeline: Mapping[str, Any]) -> Iterable[str]:
    for executor in pipeline["deploymentSpec"]["executors"].values():
        container = executor.get("container", {})
        step = template.parse(container.get("command", ()), container.get("args", ()))
        if step is not None:
            yield step.source


@contextmanager
def _imported(file: Path) -> Generator[ModuleType]:
    """Run the file as a module; forget it, and what it imported from its folder, at the end."""
    before = set(sys.modules)
    # A long-lived process has seen older versions of these files; Python keeps their lines, and the lists of its folders.
    linecache.checkcache()
    importlib.invalidate_caches()
    sys.path.insert(0, str(file.parent))
    try:
        yield _run(file)
    finally:
        sys.path.remove(str(file.parent))
        for name in set(sys.modules) - before:
            if _lies_in(sys.modules[name], file.parent):
                del sys.modules[name]


def _lies_in(module: ModuleType, folder: Path) -> bool:
    origin = getattr(module, "__file__", None)
    paths = [origin] if origin else list(getattr(module, "__path__", ()))
    inside = [path for path in paths if path and Path(path).is_relative_to(folder)]
    # A virtual environment may lie in the folder; what is installed there is not the user's to edit.
    return bool(inside) and "site-packages" not in inside[0]


def _run(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_loader(_MODULE, loader=None, origin=str(file))
    if spec is None:
        raise AssertionError("a spec without a loader can always be made")
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(file)
    sys.modules[_MODULE] = module
    try:
        # As a script is run, and not from bytecode: a file saved twice within a second must not be mistaken for its older self.
        code = compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102  # the user's own file, which the user asked to run
    except DslError as error:
        raise PipelineError(str(error)) from error
    except SyntaxError as error:
        text = f"\n    {error.text.strip()}" if error.text else ""
        raise PipelineError(f"{error.filename}:{error.lineno}: {error.msg}.{text}\nCorrect that line.") from error
    except ModuleNotFoundError as error:
        raise _missing(error, file) from error
    except (Exception, SystemExit) as error:
        raise _failed(error, file) from error
    return module


def _missing(error: ModuleNotFoundError, file: Path) -> PipelineError:
    top = (error.name or "").partition(".")[0]
    if top == "kfp":
        fix = (
            "Write `from kedge import dsl` in place of `from kfp import dsl`, and `from kedge.dsl import kubernetes` in place of "
            "`from kfp import kubernetes`; the names are the same."
        )
    else:
        fix = (
            f"Put {top}.py beside the pipeline file, or install the package here. What only the steps need is better imported "
            "inside of the component's function and listed in packages_to_install."
        )
    return PipelineError(f"{_where(error, file)}: there is no module named {error.name!r} here.\n{fix}")


def _failed(error: BaseException, file: Path) -> PipelineError:
    frames = _frames(error, file)
    said = "".join(traceback.format_exception_only(type(error), error)).strip()
    lines = "".join(traceback.format_list(frames))
    fix = "Correct that line."
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        fix = "A pipeline file is run as a script: without the dot, a module beside it is found, here and in every step."
    return PipelineError(f"{_where(error, file)}: the file could not be imported: {said}\n{lines}{fix}")


def _frames(error: BaseException, file: Path) -> list[traceback.FrameSummary]:
    """The user's part of the traceback: from the file's own line on, without what Kedge and Python's import do between."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((index for index, frame in enumerate(frames) if frame.filename == str(file)), len(frames))
    return [frame for frame in frames[first:] if not _is_between(frame.filename, file.parent)]


def _is_between(filename: str, folder: Path) -> bool:
    if filename.startswith("<frozen "):
        return True
    # An environment may lie in the user's folder, and an example of ours in the package.
    return Path(filename).is_relative_to(_PACKAGE) and not (
        folder.is_relative_to(_PACKAGE) and Path(filename).is_relative_to(folder)
    )


def _where(error: BaseException, file: Path) -> str:
    frame = next((frame for frame in reversed(_frames(error, file)) if Path(frame.filename).is_relative_to(file.parent)), None)
    return f"{frame.filename}:{frame.lineno}" if frame is not None else str(file)


def _pipeline(module: ModuleType, file: Path, name: str | None) -> Component:
    values = {key: value for key, value in vars(module).items() if isinstance(value, Component)}
    if name is not None:
        matching = [value for key, value in values.items() if name in (key, value.name)]
        if len({id(value) for value in matching}) == 1:
            return matching[0]
        raise PipelineError(f"{file}: there is no pipeline named {name!r}. The file has {_listed(values)}.")
    pipelines = {key: value for key, value in values.items() if isinstance(value, Pipeline)}
    own = {key: value for key, value in pipelines.items() if value.__module__ == module.__name__} or pipelines
    used = {id(getattr(task, "component", None)) for value in own.values() for task in value.graph.tasks}
    # A pipeline that another one of the file calls is a part of that.
    outer = {id(value): value for value in own.values() if id(value) not in used}
    if len(outer) == 1:
        return next(iter(outer.values()))
    if not outer:
        raise PipelineError(
            f"{file}: the file defines no pipeline. Decorate a function with @dsl.pipeline"
            + (f", or name a component to run alone: {_listed(values)}." if values else ".")
        )
    raise PipelineError(f"{file}: the file defines {len(outer)} pipelines: {_listed(own)}. Say which one by its name.")


def _listed(values: Mapping[str, Component]) -> str:
    return ", ".join(values) or "none"
