"""Artifacts: files and folders that steps hand to each other, with a type, an address and metadata.

    Artifact                 anything
    ├── Model                has a framework
    ├── Dataset
    ├── Metrics              numbers by name
    ├── ClassificationMetrics, SlicedClassificationMetrics   (see `kedge.dsl.metrics`)
    ├── HTML, Markdown       shown to people
    └── yours                any subclass; ``schema_title`` names it

An artifact's ``uri`` is where it really lies; its ``path`` is where this step reads or writes it. Whoever runs the step sets
where the two differ (`Artifact.place` for one artifact, `set_outputs` for all that a step makes); otherwise ``path`` follows from
``uri`` as it does on Kubeflow, where stores are mounted under ``/gcs``, ``/s3``, ``/minio`` and ``/oci``. A new ``uri`` has a new
``path``, and the other way round: ``model.path += ".joblib"`` moves the model.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple, Type

GCS_MOUNT, S3_MOUNT, MINIO_MOUNT, OCI_MOUNT = "/gcs/", "/s3/", "/minio/", "/oci/"
_MOUNTS = {"gs://": GCS_MOUNT, "s3://": S3_MOUNT, "minio://": MINIO_MOUNT}
_OCI = "oci://"
_FILE = "file://"


class Artifact:
    """A file or folder with a type, an address and metadata.

    Args:
        name: How the store calls it; filled in by whoever runs the step.
        uri: Where it lies, such as ``s3://bucket/key``.
        metadata: Anything that JSON can say; recorded with the artifact.

    Examples:
        >>> model = Artifact(uri="gs://bucket/model", metadata={"epochs": 3})
        >>> model.path
        '/gcs/bucket/model'
    """

    schema_title = "system.Artifact"
    schema_version = "0.0.1"

    def __init__(self, name: Optional[str] = None, uri: Optional[str] = None, metadata: Optional[Dict[str, Any]] = None) -> None:
        self.name = name or ""
        self.uri = uri or ""
        self.metadata: Dict[str, Any] = metadata or {}
        self.custom_path = ""
        self._placed: Optional[Tuple[str, str]] = None

    @property
    def path(self) -> str:
        """Where this step reads or writes the artifact."""
        if self._placed is not None and self._placed[0] == self.uri:
            return self.custom_path or self._placed[1]
        return self.custom_path or local_path(self.uri)

    @path.setter
    def path(self, path: str) -> None:
        """Say that the artifact lies at `path`; under a mounted store that gives its address too."""
        if path != self.path:
            self.uri = address(path)

    def set_path(self, path: str) -> None:
        """Write the artifact at `path` instead: whoever runs the step takes it from there to its address."""
        self.custom_path = path

    def place(self, path: Optional[str]) -> None:
        """Let ``path`` differ from what this ``uri`` implies; None undoes it. For those who run steps."""
        self._placed = None if path is None else (self.uri, path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, uri={self.uri!r}, metadata={self.metadata!r})"


class Model(Artifact):
    """A trained model; ``framework`` says what reads it."""

    schema_title = "system.Model"

    @property
    def framework(self) -> str:
        """The name of the library that wrote the model; empty if nobody said."""
        return str(self.metadata.get("framework", ""))

    @framework.setter
    def framework(self, framework: str) -> None:
        self.metadata["framework"] = framework


class Dataset(Artifact):
    """Data to learn from or to test with."""

    schema_title = "system.Dataset"


class HTML(Artifact):
    """A page for people."""

    schema_title = "system.HTML"


class Markdown(Artifact):
    """A text for people."""

    schema_title = "system.Markdown"


def local_path(uri: str) -> str:
    """The path at which a step finds `uri` when nobody placed it elsewhere.

    Examples:
        >>> local_path("s3://bucket/a")
        '/s3/bucket/a'
        >>> local_path("file:///data/a%20b")
        '/data/a b'
    """
    if _folder and _outputs and uri.startswith(_outputs) and not uri.startswith(_FILE):
        return _folder + uri[len(_outputs) :]
    for scheme, mount in _MOUNTS.items():
        if uri.startswith(scheme):
            return mount + uri[len(scheme) :]
    if uri.startswith(_OCI):
        return OCI_MOUNT + uri[len(_OCI) :].replace("/", "_") + "/models"
    if not uri.startswith(_FILE + "/"):
        return uri
    if "%" not in uri:
        return uri[len(_FILE) :]
    from urllib.parse import unquote  # noqa: PLC0415  # two milliseconds that few steps need

    return unquote(uri[len(_FILE) :])


def address(path: str) -> str:
    """The inverse of `local_path`, as far as there is one: a path under no mounted store is its own address."""
    if _folder and _outputs and path.startswith(_folder):
        return _outputs + (_quoted if _outputs.startswith(_FILE) else str)(path[len(_folder) :])
    for scheme, mount in _MOUNTS.items():
        if path.startswith(mount):
            return scheme + path[len(mount) :]
    if path.startswith(OCI_MOUNT):
        return _OCI + path[len(OCI_MOUNT) :].rsplit("/models", 1)[0].replace("_", "/")
    return path


def _quoted(path: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415  # as above

    return quote(path)


# Where the running step's own outputs go: a URI prefix that ends in "/", or None outside of a step; and the folder, with a "/"
# too, in which it finds what has such an address, or "" where that is what the address says.
_outputs: Optional[str] = None
_folder = ""


def set_outputs(prefix: Optional[str], folder: str = "") -> None:
    """Say where a step's outputs go and where `get_uri` points; for those who run steps.

    Args:
        prefix: What their addresses begin with. None: outside of a step again.
        folder: Where the step reads and writes what has such an address; empty for where the address says.
    """
    global _outputs, _folder  # noqa: PLW0603  # one step is one process; `get_uri` takes no step by upstream's signature
    _outputs = None if prefix is None else prefix.rstrip("/") + "/"
    _folder = folder and folder.rstrip("/") + "/"


Point = Tuple[int, int, float]
"""Step, microseconds since 1970, value."""
# What takes the points of series that the running step logs, or None outside of a step.
_recorder: Optional[Callable[["Artifact", str, Point], None]] = None


def set_recorder(recorder: Optional[Callable[["Artifact", str, Point], None]]) -> None:
    """Say who takes the points that `Metrics.log_metric` is given; for those who run steps. None: nobody."""
    global _recorder  # noqa: PLW0603  # as for `set_outputs`
    _recorder = recorder


def record_point(artifact: "Artifact", name: str, point: Point) -> None:
    """Hand a point of the series `name` to whoever takes them; outside of a step it is not kept."""
    if _recorder is not None:
        _recorder(artifact, name, point)


def get_uri(suffix: str = "Output") -> str:
    """The address for an artifact that a component returns: ``return Dataset(uri=dsl.get_uri())``.

    Args:
        suffix: Tells several returned artifacts apart.

    Raises:
        RuntimeError: Outside of a step there is no such place.

    Examples:
        >>> get_uri()
        Traceback (most recent call last):
        RuntimeError: dsl.get_uri('Output') was called outside of a running step, where artifacts have no place to go...
    """
    if _outputs is None:
        raise RuntimeError(
            f"dsl.get_uri({suffix!r}) was called outside of a running step, where artifacts have no place to go. "
            "Call it in a component's function only; in a unit test pass uri= yourself."
        )
    return _outputs + suffix


def from_runtime(value: Dict[str, Any], cls: Type[Artifact]) -> Artifact:
    """Make the object that a component's function gets, from a RuntimeArtifact of an executor input.

    Args:
        value: ``{"name", "uri", "metadata", "customPath"}``, each optional.
        cls: What the function's annotation asks for.
    """
    # A subclass of the user may have an __init__ of its own with other parameters: it is not called.
    made = cls.__new__(cls)
    Artifact.__init__(made, name=value.get("name"), uri=value.get("uri"), metadata=dict(value.get("metadata") or {}))
    made.custom_path = value.get("customPath") or ""
    return made


def is_artifact_class(value: object) -> bool:
    """Whether an annotation is an artifact type: a subclass, or one made for other tools (it has a schema title)."""
    return isinstance(value, type) and (
        issubclass(value, Artifact) or (hasattr(value, "schema_title") and hasattr(value, "schema_version"))
    )


def known_classes() -> List[Type[Artifact]]:
    """`Artifact` and every subclass that is defined now, in order of definition."""
    found: List[Type[Artifact]] = [Artifact]
    for cls in found:
        found += cls.__subclasses__()
    return found
