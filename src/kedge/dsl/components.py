"""Components: what can be called in a pipeline to make a task.

    PythonComponent      @component: a Python function that travels as source
    ContainerComponent   @container_component: a command line in an image
    ImporterComponent    importer(...): an artifact from outside
    GraphComponent       @pipeline (see `kedge.dsl.pipelines`)

Called outside of a pipeline a component is its plain function, so that it can be unit-tested.
"""

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Type, Union

from . import embedding, template
from .annotations import Marked
from .artifacts import Artifact, is_artifact_class
from .channels import Channel, unwrapped
from .errors import DslError, Place, TypeMismatch
from .graph import current, needed
from .interface import Interface, Port, read
from .placeholders import ArtifactReference, Placeholder, Reference
from .source import build
from .task_config import TaskConfigField, TaskConfigPassthrough, passthroughs
from .tasks import PipelineTask
from .values import STRING, a, artifact_type, plain, shown, type_of

DEFAULT_IMAGE = "python:3.11"


class ContainerSpec:
    """A command line in an image: what a function decorated with ``@container_component`` returns.

    Args:
        image: The container image.
        command: The entry point; the image's own if left out. Elements may be placeholders.
        args: What follows it.

    Examples:
        >>> ContainerSpec("busybox", ["echo"], ["hello"])
        ContainerSpec(image='busybox', command=['echo'], args=['hello'])
    """

    def __init__(self, image: str, command: Optional[List[Any]] = None, args: Optional[List[Any]] = None) -> None:
        self.image = image
        self.command = command
        self.args = args

    def __repr__(self) -> str:
        return f"ContainerSpec(image={self.image!r}, command={self.command!r}, args={self.args!r})"


class Component:
    """Something that can be called in a pipeline.

    Args:
        interface: What it takes and gives.
        place: Where it is defined.
    """

    has_container = True
    kind = "component"
    # What of a task's configuration the component is told.
    passthroughs: Tuple[TaskConfigPassthrough, ...] = ()

    def __init__(self, interface: Interface, place: Place) -> None:
        self.interface, self.place = interface, place

    @property
    def name(self) -> str:
        """The name in the IR."""
        return self.interface.name

    @property
    def description(self) -> str:
        """The docstring's prose."""
        return self.interface.description

    @property
    def title(self) -> str:
        """How messages call it."""
        return f'{self.kind} "{self.name}"'

    @property
    def sentence(self) -> str:
        """The title, to begin a sentence with."""
        return self.title[:1].upper() + self.title[1:]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make a task of the pipeline that is being defined; outside of one, call the plain function."""
        graph = current()
        if graph is None:
            return self.call_outside(*args, **kwargs)
        if args:
            raise DslError(
                f"{self.sentence} is called with {len(args)} argument(s) that have no name.",
                why="In a pipeline each input is given by its name.",
                fix=f"Write {self.interface.call()}.",
            )
        return PipelineTask(graph, self, kwargs)

    def call_outside(self, *args: Any, **kwargs: Any) -> Any:
        """What a call outside of a pipeline does."""
        raise NotImplementedError

    def executor(self) -> Dict[str, Any]:
        """The executor that runs it, in the IR's terms."""
        raise NotImplementedError


def place_of(function: Callable[..., Any]) -> Place:
    """Where a function is defined."""
    code = getattr(function, "__code__", None)
    return Place(code.co_filename, code.co_firstlineno) if code is not None else Place("", 0)


class FunctionComponent(Component):
    """A component that is made of a function.

    Args:
        function: The user's.
        returns: Whether what it returns are outputs.
    """

    def __init__(self, function: Callable[..., Any], *, returns: bool = True) -> None:
        if not hasattr(function, "__code__"):
            raise DslError(
                f"{shown(function)} is no function.", why="A component is made of one.", fix="Decorate a function (def)."
            )
        super().__init__(read(function, returns=returns), place_of(function))
        self.python_func = function
        self.__name__, self.__doc__, self.__module__ = function.__name__, function.__doc__, function.__module__
        self.__wrapped__ = function

    def call_outside(self, *args: Any, **kwargs: Any) -> Any:
        """What a call outside of a pipeline does."""
        return self.python_func(*args, **kwargs)

    def execute(self, **kwargs: Any) -> Any:
        """Call the plain function, also inside of a pipeline."""
        return self.python_func(**kwargs)


class Packages(NamedTuple):
    """What a Python step installs first."""

    requirements: List[str]
    index_urls: List[str]
    trusted_hosts: List[str]
    kfp_package: Optional[str]
    use_venv: bool


class PythonComponent(FunctionComponent):
    """A Python function that travels as source.

    Args:
        function: The user's.
        image: It runs in this one.
        packages: Installed before.
        others: Functions whose source goes along.
        embedded: Files that go along.

    Raises:
        DslError: A parameter asks for files, and there are none.
    """

    def __init__(
        self, function: Callable[..., Any], image: str, packages: Packages, others: Optional[List[Callable[..., Any]]] = None,
        embedded: Optional[embedding.Embedded] = None,
    ) -> None:  # fmt: skip
        super().__init__(function)
        self.image, self.packages, self.others, self.embedded = image, packages, others or [], embedded
        if self.interface.embedded and embedded is None:
            raise DslError(
                f'Parameter "{self.interface.embedded[0]}" of {function.__name__}() is an EmbeddedInput.', where=self.place,
                why="Nothing is embedded in the component.", fix="Write @dsl.component(embedded_artifact_path=…).",
            )  # fmt: skip
        self._executor: Optional[Dict[str, Any]] = None

    def executor(self) -> Dict[str, Any]:
        """The executor that runs it, in the IR's terms."""
        if self._executor is None:
            packages = self.packages
            script = template.render(
                packages.requirements, packages.index_urls, packages.trusted_hosts, kfp_package=packages.kfp_package,
                use_venv=packages.use_venv,
            )  # fmt: skip
            function = self.python_func
            others = [getattr(other, "python_func", other) for other in self.others]
            source = build(function, RUNTIME_NAMES, others, self.embedded.source() if self.embedded is not None else "")
            container = {"image": self.image, "command": template.command(script, source)}
            self._executor = {"container": {**container, "args": template.arguments(function.__name__)}}
        return self._executor


# The names that `from kfp.dsl import *` gives every step; filled in by the package, which knows them all.
RUNTIME_NAMES: List[str] = []


def component(
    func: Optional[Callable[..., Any]] = None, *, base_image: Optional[str] = None, target_image: Optional[str] = None,
    packages_to_install: Optional[List[str]] = None, pip_index_urls: Optional[List[str]] = None,
    output_component_file: Optional[str] = None, install_kfp_package: bool = True, kfp_package_path: Optional[str] = None,
    pip_trusted_hosts: Optional[List[str]] = None, use_venv: bool = False,
    additional_funcs: Optional[List[Callable[..., Any]]] = None, embedded_artifact_path: Optional[str] = None,
    task_config_passthroughs: Optional[List[Union[TaskConfigPassthrough, TaskConfigField]]] = None,
) -> Any:  # fmt: skip
    """Make a component of a Python function: ``@component`` or ``@component(packages_to_install=["pandas"])``.

    Args:
        func: The function; it must import what it uses in its own body.
        base_image: The image that it runs in; ``python:3.11`` by default.
        target_image: Refused: Kedge builds no images.
        packages_to_install: Requirements, as pip takes them.
        pip_index_urls: Package indexes; the first replaces the default one.
        output_component_file: Write the component's IR to this file.
        install_kfp_package: Whether other backends install the ``kfp`` runtime; Kedge needs none.
        kfp_package_path: From where they install it.
        pip_trusted_hosts: Hosts whose certificates pip does not check.
        use_venv: Whether other backends put packages into an environment of the step's own; Kedge always does.
        additional_funcs: Functions that the function calls; their source goes along.
        embedded_artifact_path: A file or folder that goes along, up to 1 MiB packed: for ``EmbeddedInput`` parameters, and to
            import modules from. It is looked for in the working directory and beside the file of the function.
        task_config_passthroughs: What of a task's configuration its ``TaskConfig`` parameter gets.

    Raises:
        DslError: The signature is none that a component can have, or an option is not supported.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.component
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> double.name, double.python_func(4)
        ('double', 8)
    """
    if target_image is not None:
        raise DslError(
            f"@dsl.component got target_image={shown(target_image)}.", why="Kedge does not support this option.",
            fix="Build the image yourself and name it as base_image.",
        )  # fmt: skip
    wanted = passthroughs(task_config_passthroughs)
    packages = Packages(
        texts("packages_to_install", packages_to_install), texts("pip_index_urls", pip_index_urls),
        texts("pip_trusted_hosts", pip_trusted_hosts),
        (kfp_package_path or template.KFP_PACKAGE) if install_kfp_package else None, use_venv,
    )  # fmt: skip

    def decorate(function: Callable[..., Any]) -> PythonComponent:
        embedded = None if embedded_artifact_path is None else embedding.files(embedded_artifact_path, place_of(function))
        made = PythonComponent(function, base_image or DEFAULT_IMAGE, packages, list(additional_funcs or []), embedded)
        made.passthroughs = wanted
        return written(made, output_component_file)

    return decorate if func is None else decorate(func)


# How a component's IR is written to a file: compiling stands above components.
_writers: List[Callable[[Component, str], None]] = []


def on_write(write: Callable[[Component, str], None]) -> None:
    """Say how a component is written to a file."""
    _writers[:] = [write]


def written(made: PythonComponent, file: Optional[str]) -> PythonComponent:
    """Write a component to a file, if one is named."""
    if file is not None:
        for write in _writers:
            write(made, file)
    return made


def texts(option: str, values: Any) -> List[str]:
    """A list of texts that an option was given.

    Raises:
        TypeMismatch: It is something else.
    """
    if isinstance(values, str) or not all(isinstance(value, str) for value in values or ()):
        raise TypeMismatch(
            f"@dsl.component got {option}={shown(values)}.", why="It is a list of texts.", fix=f'Write {option}=["…"].'
        )
    return list(values or ())


class ContainerComponent(FunctionComponent):
    """A command line in an image.

    Args:
        function: Returns a `ContainerSpec`; it is called once, with placeholders.
    """

    kind = "container component"

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function, returns=False)
        if self.interface.embedded:
            raise DslError(
                f'Parameter "{self.interface.embedded[0]}" of {function.__name__}() is an EmbeddedInput.', where=self.place,
                why="Only the source of a Python component carries files.", fix="Make it an Input[...] and import the files.",
            )  # fmt: skip
        ports = {**self.interface.inputs, **self.interface.outputs}
        spec = function(**{name: self._placeholder(port) for name, port in ports.items()})
        if not isinstance(spec, ContainerSpec):
            raise DslError(
                f"{function.__name__}() returned {shown(spec)}.", where=self.place, why="It says which command line to run.",
                fix="Return dsl.ContainerSpec(image=…, command=[…], args=[…]).",
            )  # fmt: skip
        self._spec = spec
        self._executor: Dict[str, Any] = {"container": {"image": str(spec.image)}}
        for key, elements in (("command", spec.command), ("args", spec.args)):
            if elements:
                self._executor["container"][key] = [self._element(element) for element in elements]

    def _placeholder(self, port: Port) -> Placeholder:
        side = "outputs" if port.name in self.interface.outputs else "inputs"
        if port.type.is_artifact:
            reference = ArtifactReference(side, port.name)
            return reference.path if port.by_path else reference
        return Reference(f"{side}.parameters['{port.name}']" + (".output_file" if side == "outputs" else ""))

    def _element(self, element: Any) -> str:
        if isinstance(element, ArtifactReference):
            raise TypeMismatch(
                f"{self.sentence} puts a whole artifact into its command line.", where=self.place,
                why="A command line takes text.", fix="Use its .path, .uri or .metadata[…].",
            )  # fmt: skip
        if not isinstance(element, (str, int, float, Placeholder)):
            raise TypeMismatch(
                f"{self.sentence} has {shown(element)} in its command line.", where=self.place,
                why="A command line takes text and placeholders.", fix="Write it as text.",
            )  # fmt: skip
        return str(element)

    def executor(self) -> Dict[str, Any]:
        """The executor that runs it, in the IR's terms."""
        return self._executor


def container_component(func: Callable[..., ContainerSpec]) -> Any:
    """Make a component of a command line: the function returns a `ContainerSpec`.

    Args:
        func: Its parameters are placeholders when it is called.

    Raises:
        DslError: The signature is none that a component can have, or it returns something else.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.container_component
        ... def count(text: dsl.Input[dsl.Dataset], lines: dsl.OutputPath(int)):
        ...     return dsl.ContainerSpec("busybox", ["sh", "-c", 'wc -l < "$0" > "$1"'], [text.path, lines])
        >>> count.name
        'count'
    """
    return ContainerComponent(func)


class ImporterComponent(Component):
    """Brings an artifact from outside into the run.

    Args:
        interface: Its inputs are ``uri`` and one for each channel in the metadata.
        importer: The importer, in the IR's terms.
    """

    has_container = False
    kind = "importer"

    def __init__(self, interface: Interface, place: Place, importer: Dict[str, Any]) -> None:
        super().__init__(interface, place)
        self._importer = importer

    def executor(self) -> Dict[str, Any]:
        """The executor that runs it, in the IR's terms."""
        return {"importer": self._importer}


def importer(
    artifact_uri: Union[str, Channel], artifact_class: Type[Artifact], reimport: bool = False,  # noqa: FBT001, FBT002  # upstream's
    metadata: Optional[Mapping[str, Any]] = None, download_to_workspace: bool = False,  # noqa: FBT001, FBT002  # upstream's
) -> PipelineTask:  # fmt: skip
    """Bring an artifact from outside into the run: its output is ``artifact``.

    Args:
        artifact_uri: Where it lies.
        artifact_class: Its type.
        reimport: Record it anew although it was imported before.
        metadata: Recorded with it; texts in it may hold channels.
        download_to_workspace: Have a copy of it in the run's workspace, which the pipeline must have: its ``.path`` is there, and
            what a step writes beside it the next ones find.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.pipeline
        ... def outside(uri: str):
        ...     dsl.importer(artifact_uri=uri, artifact_class=dsl.Dataset)
        >>> [task.name for task in outside.graph.tasks]
        ['importer']
    """
    graph = needed("dsl.importer")
    marked = artifact_class.type if isinstance(artifact_class, Marked) else artifact_class
    if not is_artifact_class(marked):
        raise TypeMismatch(f"dsl.importer got artifact_class={shown(artifact_class)}.", fix="Pass a class, such as dsl.Dataset.")
    artifact_uri = unwrapped(artifact_uri)
    if isinstance(artifact_uri, Channel):
        uri_type = artifact_uri.type
        if uri_type.is_artifact or uri_type.name not in ("STRING", ""):
            raise TypeMismatch(f"dsl.importer got {artifact_uri.title}, {a(uri_type)}, as artifact_uri.", fix="Pass a str.")
    inputs = {"uri": Port("uri", STRING)}
    given: Dict[str, Any] = {"uri": artifact_uri}
    dynamic = isinstance(artifact_uri, Channel) or bool(graph.marked_in(str(artifact_uri)))
    made: Dict[str, Any] = {"artifactUri": {"runtimeParameter": "uri"} if dynamic else {"constant": str(artifact_uri)}}
    type_ = artifact_type(marked)
    made["typeSchema"] = {"schemaTitle": type_.name, "schemaVersion": type_.version}
    if reimport:
        made["reimport"] = True
    if download_to_workspace:
        made["downloadToWorkspace"] = True
    if metadata:
        made["metadata"] = _metadata(dict(metadata), inputs, given)
    interface = Interface("importer", inputs, {"artifact": Port("artifact", type_)})
    place = Place(__file__, 0)
    return PipelineTask(graph, ImporterComponent(interface, place, made), given)


def _metadata(value: Any, inputs: Dict[str, Port], given: Dict[str, Any]) -> Any:
    """The metadata, with an input of the importer in place of each text that holds a channel."""
    value = unwrapped(value)
    if isinstance(value, dict):
        return {str(_metadata(_key(key), inputs, given)): _metadata(item, inputs, given) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_metadata(item, inputs, given) for item in value]
    text = str(value) if isinstance(value, (str, Channel)) else ""
    if not isinstance(value, Channel) and "{{channel:" not in text:
        if value is not None and type_of(value) is None:
            raise TypeMismatch(
                f"dsl.importer got {shown(value)} in its metadata.", why="Metadata is JSON.", fix="Use JSON values."
            )
        return plain(value, STRING)
    name = next((known for known, other in given.items() if known != "uri" and str(other) == text), None)
    if name is None:
        name = "metadata" if "metadata" not in inputs else f"metadata-{len(inputs)}"
        inputs[name] = Port(name, value.type if isinstance(value, Channel) else STRING)
        given[name] = value
    return "{{$.inputs.parameters['" + name + "']}}"


def _key(key: Any) -> Any:
    return key if isinstance(key, Channel) else str(key)
