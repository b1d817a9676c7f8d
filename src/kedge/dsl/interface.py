"""What a function takes and gives, read from its signature.

Annotations are read once, when a component or a pipeline is defined; what cannot be a parameter or an artifact is refused
there, with the function, the parameter and the line.
"""

import typing
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from . import annotations, metrics
from .annotations import Marked, PipelineTaskFinalStatus, TaskConfig
from .artifacts import Artifact, is_artifact_class, known_classes
from .errors import DslError, Place, TypeMismatch, names
from .values import (
    BY_PYTHON_TYPE,
    FINAL_STATUS,
    LIST,
    STRING,
    STRUCT,
    TASK_CONFIG,
    ValueType,
    a,
    artifact_type,
    literal_fits,
    plain,
    shown,
    type_of,
)

RETURNED = "Output"  # the name of a single return value
MISSING: Any = type("Missing", (), {"__repr__": lambda _: "no default", "__bool__": lambda _: False})()

_VARIADIC = 0x04 | 0x08  # code flags: *args, **kwargs
_NAMED_TYPES = {
    "str": "STRING", "string": "STRING", "int": "NUMBER_INTEGER", "integer": "NUMBER_INTEGER", "float": "NUMBER_DOUBLE",
    "double": "NUMBER_DOUBLE", "bool": "BOOLEAN", "boolean": "BOOLEAN", "list": "LIST", "dict": "STRUCT",
}  # fmt: skip
_HOW = (
    "Use str, int, float, bool, list, dict, Literal[...], Optional[...] of these, an artifact (Input[Dataset], Output[Model], "
    "List[Dataset]), InputPath(...) or OutputPath(...)."
)


class Port(NamedTuple):
    """One input or output.

    Attributes:
        name: The parameter's name in the function; ``Output`` for a single return value.
        type: What it carries.
        default: The value if none is given; `MISSING` if there is none.
        optional: Whether it may be left out.
        literals: The only values allowed, if it says so.
        description: From the docstring.
        by_path: The function gets a path instead of the value or the artifact.
        returned: The function returns it, instead of writing it through a parameter.
    """

    name: str
    type: ValueType
    default: Any = MISSING
    optional: bool = False
    literals: Tuple[Any, ...] = ()
    description: str = ""
    by_path: bool = False
    returned: bool = False


class Interface(NamedTuple):
    """What a component or a pipeline takes and gives.

    Attributes:
        name: As the IR has it: lower case, words joined by ``-``.
        inputs: By name, in the function's order.
        outputs: By name.
        description: The docstring up to its sections.
        embedded: Parameters that get files of the step's own source: no inputs, a call does not give them.
    """

    name: str
    inputs: Dict[str, Port]
    outputs: Dict[str, Port]
    description: str = ""
    embedded: Tuple[str, ...] = ()

    def call(self) -> str:
        """How to call it, for messages: ``train(data=…, epochs=…)``."""
        return f"{self.name.replace('-', '_')}({', '.join(f'{name}=…' for name in self.inputs)})"


class _Meaning(NamedTuple):
    role: str
    type: ValueType
    optional: bool = False
    literals: Tuple[Any, ...] = ()


def component_name(text: str) -> str:
    """A name as the IR wants it.

    Examples:
        >>> component_name("Train_Model!")
        'train-model'
    """
    words = "".join(letter if letter.isalnum() and letter.isascii() else " " for letter in text.lower()).split()
    return "-".join(words) or "unnamed"


def read(function: Callable[..., Any], *, pipeline: bool = False, returns: bool = True) -> Interface:
    """Read a function's signature.

    Args:
        function: The component's or the pipeline's function.
        pipeline: A pipeline hands artifacts on, but writes none of its own.
        returns: Whether what the function returns are outputs.

    Raises:
        DslError: A parameter without annotation, or one that no component can have.
    """
    code = function.__code__
    where = Place(code.co_filename, code.co_firstlineno)
    if code.co_flags & _VARIADIC:
        raise DslError(
            f"{function.__name__}() takes *args or **kwargs.", where=where,
            why="Every input of a component has a name and a type of its own.", fix="List the parameters one by one.",
        )  # fmt: skip
    description, descriptions = read_docstring(function.__doc__)
    hints = _hints(function, where)
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    defaults: Dict[str, Any] = dict(function.__kwdefaults__ or {})
    positional = function.__defaults__ or ()
    defaults.update(zip(code.co_varnames[code.co_argcount - len(positional) : code.co_argcount], positional))  # noqa: B905  # 3.8
    inputs: Dict[str, Port] = {}
    outputs: Dict[str, Port] = {}
    embedded: List[str] = []
    for name in parameters:
        reader = _Reader(f'parameter "{name}" of {function.__name__}()', where)
        if name not in hints:
            raise reader.error("has no type.", fix=f"Annotate it: {name}: str. {_HOW}", cls=TypeMismatch)
        if reader.is_embedded(hints[name]):
            embedded.append(name)
            continue
        port = reader.port(name, hints[name], defaults.get(name, MISSING))._replace(description=descriptions.get(name, ""))
        if reader.is_output and pipeline:
            raise reader.error(
                "is an output.", why="A pipeline writes no artifacts itself: it returns what its tasks made.",
                fix="Annotate the return value and return task.outputs[...].",
            )  # fmt: skip
        if name == RETURNED:
            raise reader.error(
                f'is called "{RETURNED}".', why="That is the name of a component's returned value.", fix="Rename it."
            )
        (outputs if reader.is_output else inputs)[name] = port
    for port in _returned(function, hints.get("return") if returns else None, where):
        if port.name in outputs:
            raise DslError(f'{function.__name__}() has two outputs named "{port.name}".', where=where, fix="Rename one of them.")
        outputs[port.name] = port
    return Interface(component_name(function.__name__), inputs, outputs, description, tuple(embedded))


def _hints(function: Callable[..., Any], where: Place) -> Dict[str, Any]:
    """The annotations as objects; they are text in files that import them from ``__future__``."""
    hints = dict(function.__annotations__)
    if not any(isinstance(hint, str) for hint in hints.values()):
        return hints
    cells = zip(function.__code__.co_freevars, function.__closure__ or ())  # noqa: B905  # Python 3.8
    scope = {
        **vars(typing),
        **vars(metrics),
        **vars(annotations),
        **function.__globals__,
        **{n: c.cell_contents for n, c in cells},
    }
    for name, hint in hints.items():
        if isinstance(hint, str):
            try:
                hints[name] = eval(hint, scope)  # noqa: S307  # the user's own annotation, as Python would have evaluated it
            except Exception as error:
                raise DslError(
                    f'The annotation {hint!r} of "{name}" in {function.__name__}() cannot be evaluated: {error}.', where=where,
                    fix="Import what it names at the top of the file.",
                ) from error  # fmt: skip
    return hints


class _Reader:
    """Reads the annotation of one parameter."""

    def __init__(self, what: str, where: Place) -> None:
        self.what, self.where = what, where
        self.is_output = False

    def error(self, says: str, *, why: str = "", fix: str = "", cls: "type[DslError]" = DslError) -> DslError:
        what = self.what[:1].upper() + self.what[1:]
        return cls(f"{what} {says}", why=why, fix=fix, where=self.where)

    def is_embedded(self, annotation: Any) -> bool:
        """Whether the parameter gets files of the step's own source."""
        if not isinstance(annotation, Marked) or annotation.role != annotations.EMBEDDED:
            return False
        if self._artifact(annotation.type) is None:
            raise self.error(
                f"is annotated {annotation!r}, which is no artifact type.", fix="Write EmbeddedInput[Dataset].", cls=TypeMismatch
            )
        return True

    def port(self, name: str, annotation: Any, default: Any) -> Port:
        meaning = self.meaning(annotation)
        self.is_output = meaning.role in (annotations.OUTPUT, annotations.OUTPUT_PATH)
        type_ = meaning.type
        if self.is_output and default is None:
            default = MISSING  # Python wants a default behind parameters that have one; the step always gets the path
        optional = meaning.optional or default is not MISSING or type_ in (FINAL_STATUS, TASK_CONFIG)
        if self.is_output and (default is not MISSING or meaning.optional):
            raise self.error("is an output, but has a default or is optional.", fix="Remove that: the step writes it every time.")
        if self.is_output and type_.is_list:
            raise self.error(
                "writes a list of artifacts.", why="A step writes artifacts that are known by name.",
                fix="Declare one Output[...] for each, or write them in a dsl.ParallelFor and use dsl.Collected.",
            )  # fmt: skip
        if type_.is_artifact:
            if default is not MISSING and default is not None:
                raise self.error(
                    f"is an artifact with the default {shown(default)}.", fix="The only default of an artifact is None."
                )
            default = MISSING
        else:
            default = self._default(default, meaning)
        by_path = meaning.role in (annotations.INPUT_PATH, annotations.OUTPUT_PATH)
        if meaning.role == annotations.INPUT_PATH and not type_.is_artifact:
            raise self.error(f"is the path of {a(type_)}.", why="Parameters come by value.", fix=f"Write {name}: {type_}.")
        return Port(name, type_, default, optional, meaning.literals, by_path=by_path)

    def _default(self, default: Any, meaning: _Meaning) -> Any:
        if default is MISSING or default is None:
            # None means "may be left out", with or without Optional in the annotation.
            return MISSING
        if not literal_fits(default, meaning.type):
            raise self.error(
                f"has the default {shown(default)}, which is {a(type(default).__name__)}, but its type is {meaning.type}.",
                fix="Change the default or the annotation.", cls=TypeMismatch,
            )  # fmt: skip
        if meaning.literals and default not in meaning.literals:
            raise self.error(f"has the default {shown(default)}, but allows only {names(meaning.literals)}.", cls=TypeMismatch)
        try:
            return plain(default, meaning.type)
        except TypeError as error:
            raise self.error(f"has a default that cannot be sent to a step: {error}.", cls=TypeMismatch) from None

    def meaning(self, annotation: Any) -> _Meaning:
        inner, optional = without_none(annotation)
        if isinstance(inner, Marked):
            if inner.role in (annotations.INPUT_PATH, annotations.OUTPUT_PATH):
                return _Meaning(inner.role, self._path_type(inner.type), optional)
            if getattr(inner.type, "__origin__", None) is typing.Union:
                inner = Marked(inner.role, without_none(inner.type)[0])
                optional = True
            type_ = self._artifact(inner.type)
            if type_ is None:
                raise self.error(
                    f"is annotated {inner!r}, which is no artifact type.",
                    why="Input[...] and Output[...] are for artifacts.",
                    fix="Parameters are annotated with their plain type, such as int; outputs with OutputPath(int).",
                    cls=TypeMismatch,
                )
            return _Meaning(inner.role, type_, optional)
        type_, literals = self.plain_type(inner)
        return _Meaning("", type_, optional, literals)

    def _path_type(self, type_: Any) -> ValueType:
        if type_ is None:
            return artifact_type(Artifact)
        if isinstance(type_, str):
            if type_.lower() in _NAMED_TYPES:
                return ValueType("parameter", _NAMED_TYPES[type_.lower()])
            found = next((cls for cls in known_classes() if type_ in (cls.__name__, cls.schema_title)), None)
            if found is not None:
                return artifact_type(found)
            known = ", ".join(cls.__name__ for cls in known_classes())
            raise self.error(f'names the type "{type_}", which is not known.', fix=f"Known are {known}.", cls=TypeMismatch)
        return self.plain_type(type_)[0]

    def _artifact(self, type_: Any) -> Optional[ValueType]:
        if is_artifact_class(type_):
            return artifact_type(type_)
        origin, arguments = getattr(type_, "__origin__", None), getattr(type_, "__args__", ())
        if origin is list and len(arguments) == 1 and is_artifact_class(arguments[0]):
            return artifact_type(arguments[0], is_list=True)
        return None

    def plain_type(self, type_: Any) -> Tuple[ValueType, Tuple[Any, ...]]:
        found = self._artifact(type_)
        if found is not None:
            return found, ()
        known = {**BY_PYTHON_TYPE, PipelineTaskFinalStatus: FINAL_STATUS, TaskConfig: TASK_CONFIG}
        if isinstance(type_, type) and type_ in known:
            return known[type_], ()
        origin, arguments = getattr(type_, "__origin__", None), getattr(type_, "__args__", ())
        if origin is typing.Literal:
            kinds = {type_of(value) for value in arguments}
            if len(kinds) == 1 and None not in kinds:
                return kinds.pop() or STRING, tuple(arguments)
            raise self.error(f"is {_spelt(type_)}, whose values are of several types.", fix="Use one type.", cls=TypeMismatch)
        if origin in (list, dict):
            return self._container(origin, arguments), ()
        if isinstance(type_, str) and type_.lower() in _NAMED_TYPES:
            return ValueType("parameter", _NAMED_TYPES[type_.lower()]), ()
        raise self.error(f"is annotated {_spelt(type_)}, which no pipeline can carry.", fix=_HOW, cls=TypeMismatch)

    def _container(self, origin: type, arguments: Tuple[Any, ...]) -> ValueType:
        last = arguments[-1] if arguments else None
        item = None
        if last is not None:
            try:
                item = self.plain_type(last)[0]
            except DslError:
                item = None  # List[Any] is a list all the same
        if item is not None and item.is_artifact:
            raise self.error("is a dict of artifacts.", fix="Use List[...] of an artifact type.", cls=TypeMismatch)
        return (LIST if origin is list else STRUCT)._replace(item=item)


def without_none(annotation: Any) -> Tuple[Any, bool]:
    """The annotation without ``None``, and whether that was in it: ``Optional[int]`` is ``(int, True)``."""
    is_union = getattr(annotation, "__origin__", None) is typing.Union or type(annotation).__name__ == "UnionType"
    if not is_union:
        return annotation, False
    rest = [argument for argument in annotation.__args__ if argument is not type(None)]
    if len(rest) == 1:
        return rest[0], len(annotation.__args__) > 1
    return annotation, False


def _spelt(type_: Any) -> str:
    return getattr(type_, "__name__", None) if isinstance(type_, type) else str(type_).replace("typing.", "")  # type: ignore[return-value]


def _returned(function: Callable[..., Any], annotation: Any, where: Place) -> List[Port]:
    if annotation is None or annotation is type(None):
        return []
    fields = getattr(annotation, "_fields", None)
    if isinstance(annotation, type) and issubclass(annotation, tuple) and fields is not None:
        types = annotation.__annotations__ if fields else {}
        return [_returned_port(function, name, types[name], where) for name in fields]
    return [_returned_port(function, RETURNED, annotation, where)]


def _returned_port(function: Callable[..., Any], name: str, annotation: Any, where: Place) -> Port:
    what = f"the return value of {function.__name__}()" + ("" if name == RETURNED else f' named "{name}"')
    reader = _Reader(what, where)
    if isinstance(annotation, str):
        annotation = _hints(function, where).get("return", annotation) if name == RETURNED else annotation
    inner, _ = without_none(annotation)
    if isinstance(inner, Marked):
        inner = inner.type
    return Port(name, reader.plain_type(inner)[0], returned=True)


def read_docstring(text: Optional[str]) -> Tuple[str, Dict[str, str]]:
    r"""Split a docstring into its prose and what its ``Args:`` section says about each parameter.

    Examples:
        >>> read_docstring("Train.\n\n    Args:\n        n: How often.\n          At least once.\n")
        ('Train.', {'n': 'How often.\nAt least once.'})
    """
    if not text:
        return "", {}
    prose: List[str] = []
    found: Dict[str, str] = {}
    section, name, margin = "", "", 0
    for line in text.expandtabs().splitlines():
        words, indent = line.strip(), len(line) - len(line.lstrip())
        if words in ("Args:", "Arguments:", "Parameters:", "Returns:", "Raises:", "Examples:", "Example:", "Yields:"):
            section, name, margin = words, "", 0
        elif not section:
            prose.append(words)
        elif section in ("Args:", "Arguments:", "Parameters:") and words:
            margin = margin or indent
            head, colon, rest = words.partition(":")
            if indent <= margin and colon:
                name = head.partition("(")[0].strip()
                found[name] = rest.strip()
            elif name:
                found[name] = (found[name] + "\n" + words).strip()
    return "\n".join(prose).strip(), found
