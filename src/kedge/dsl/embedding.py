"""Files that travel in a step's source: the archive, and the Python that unpacks it before the function is called.

What is unpacked is told to the runtime in the two names in which the one of ``kfp`` looks for it, so that such a step runs on
other backends too::

    __KFP_EMBEDDED_ASSET_DIR     the folder; it is on sys.path
    __KFP_EMBEDDED_ASSET_FILE    the file, where one file was embedded, or the notebook

A notebook's source also brings ``dsl.run_notebook``. It runs under whatever runtime the step has, so that it is written out in
full, in the terms of Python 3.8, and needs nothing but nbclient and a kernel.
"""

from typing import TYPE_CHECKING, Any, List, NamedTuple

from . import template
from .errors import DslError, Place
from .values import shown

if TYPE_CHECKING:
    from pathlib import Path  # imported where something is embedded: it costs every other pipeline time

# What a notebook's step installs when its component does not say.
NOTEBOOK_PACKAGES = ("nbclient>=0.10,<1", "ipykernel>=6,<7", "jupyter_client>=7,<9")

LIMIT = 1024 * 1024
"""Bytes of an archive. It stands in the pipeline, which every backend keeps and sends around as text."""

_UNPACK = """\
def __kedge_unpack(text):
    import atexit, base64, io, shutil, sys, tarfile, tempfile

    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(text)), mode="r:gz") as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    sys.path.insert(0, folder)
    return folder


"""

_RUN_NOTEBOOK = '''\
def __kedge_run_notebook(**parameters):
    """Run the embedded notebook; a cell behind the one tagged "parameters" gives it these values."""
    import json, os

    import nbformat
    from nbclient import NotebookClient

    class Client(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            made = super().process_message(msg, cell, cell_index)
            if made is not None:
                text = made.get("text") or "\\n".join(made.get("traceback", ())) or made.get("data", {}).get("text/plain", "")
                print(text, end="" if text.endswith("\\n") else "\\n", flush=True)
            return made

    notebook = nbformat.read(__KFP_EMBEDDED_ASSET_FILE, as_version=4)
    if parameters:
        lines = []
        for name, value in parameters.items():
            try:
                lines.append("%s = %r" % (name, json.loads(json.dumps(value, allow_nan=False))))
            except (TypeError, ValueError) as error:
                raise TypeError("dsl.run_notebook() got %s=%r, which JSON cannot say: %s" % (name, value, error)) from None
        cell = nbformat.v4.new_code_cell("\\n".join(lines), metadata={"tags": ["injected-parameters"]})
        tagged = [n for n, one in enumerate(notebook.cells, 1) if "parameters" in one.metadata.get("tags", ())]
        notebook.cells.insert(tagged[0] if tagged else 0, cell)
    folder = os.path.dirname(__KFP_EMBEDDED_ASSET_FILE)
    Client(notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()


dsl.run_notebook = __kedge_run_notebook
'''


class Embedded(NamedTuple):
    """Files that travel in a step's source.

    Attributes:
        archive: As text.
        file: The one file that is meant, below the folder; empty where the folder is.
        notebook: Whether it is a notebook, to be run by ``dsl.run_notebook``.
    """

    archive: str
    file: str
    notebook: bool = False

    def source(self) -> str:
        """The Python that unpacks them and says where they are."""
        text = template.position("<embedded>", 1) + _UNPACK
        text += f"__KFP_EMBEDDED_ASSET_DIR = __kedge_unpack({self.archive!r})\n"
        if self.file:
            text += f"__KFP_EMBEDDED_ASSET_FILE = __KFP_EMBEDDED_ASSET_DIR + {'/' + self.file!r}\n"
        return text + ("\n\n" + _RUN_NOTEBOOK if self.notebook else "") + "\n"


def files(path: str, place: Place) -> Embedded:
    """Embed a file or a folder.

    Args:
        path: From the working directory, or from the file of the component.
        place: The component.

    Raises:
        DslError: It is not there, or too large.
    """
    found = _find(path, place, "embedded_artifact_path")
    return Embedded(_archive(found, place), "" if found.is_dir() else found.name)


def notebook(path: str, place: Place) -> Embedded:
    """Embed a notebook, or a folder with one notebook and what it uses.

    Args:
        path: From the working directory, or from the file of the component.
        place: The component.

    Raises:
        DslError: It is not there, is no notebook, there are several, or it is too large.
    """
    found = _find(path, place, "notebook_path")
    inside = _listed(found) if found.is_dir() else [found.name]
    notebooks = [name for name in inside if name.lower().endswith(".ipynb")]
    if len(notebooks) != 1:
        what = f"the notebooks {', '.join(notebooks)}" if notebooks else "no notebook (.ipynb)"
        raise DslError(
            f"notebook_path={shown(path)} has {what}.", where=place, why="One notebook is run.",
            fix="Name the notebook's file, or a folder that holds one.",
        )  # fmt: skip
    return Embedded(_archive(found, place), notebooks[0], notebook=True)


def run_notebook(**_: Any) -> None:
    """Run the notebook of a notebook component, with these values as its parameters.

    Call it in the body of a function decorated with ``@dsl.notebook_component``. The step's source brings its own under this
    name.

    Raises:
        RuntimeError: There is no notebook here.

    Examples:
        >>> run_notebook(depth=3)  # not in a step
        Traceback (most recent call last):
        ...
        RuntimeError: dsl.run_notebook() was called where there is no notebook: it runs in the step ...
    """
    raise RuntimeError(
        "dsl.run_notebook() was called where there is no notebook: it runs in the step of a component that is declared with "
        "@dsl.notebook_component(notebook_path=…)."
    )


def _find(path: Any, place: Place, option: str) -> "Path":
    from pathlib import Path  # noqa: PLC0415  # as above

    source = Path(place.filename)
    found = next((each for each in (Path(path), source.parent / path) if each.exists()), None)
    if found is None:
        raise DslError(
            f"{option}={shown(str(path))} does not exist.", where=place,
            why=f"It is looked for in the working directory and beside {source.name}.", fix="Correct the path.",
        )  # fmt: skip
    return found.resolve()


def _listed(folder: "Path") -> List[str]:
    """The files below a folder, in a fixed order, without what programs leave behind."""
    left = {".ipynb_checkpoints", "__pycache__", ".git"}
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not left.intersection(path.parts))


def _archive(path: "Path", place: Place) -> str:
    """Pack files such that the same files always give the same text: it counts in the digest of the pipeline."""
    import base64  # noqa: PLC0415  # few pipelines embed anything, and the language loads in milliseconds
    import gzip  # noqa: PLC0415
    import io  # noqa: PLC0415
    import tarfile  # noqa: PLC0415

    folder, names = (path, _listed(path)) if path.is_dir() else (path.parent, [path.name])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            content = (folder / name).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if (folder / name).stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(content))
    packed = gzip.compress(buffer.getvalue(), mtime=0)
    if len(packed) > LIMIT:
        raise DslError(
            f"{path.name} is {len(packed)} bytes when it is packed, and {LIMIT} can be embedded.", where=place,
            why="It stands in the pipeline's own text.", fix="Bring it in with dsl.importer(...), or put it into the image.",
        )  # fmt: skip
    return base64.b64encode(packed).decode()
