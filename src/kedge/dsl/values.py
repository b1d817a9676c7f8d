"""The types that values have in the IR, and which of them fit where.

A parameter is one of six JSON types; an artifact has a schema title. Type errors are found here while a pipeline is
defined: a channel fits an input of the same type only (an artifact of any type fits ``Artifact``, and the other way round,
as Kubeflow has it).
"""

import json
from typing import Any, Dict, NamedTuple, Optional, Tuple

from .artifacts import Artifact

PARAMETER, ARTIFACT = "parameter", "artifact"


class ValueType(NamedTuple):
    """The type of a parameter or of an artifact.

    Attributes:
        kind: ``parameter`` or ``artifact``.
        name: A ParameterType of the IR (``STRING``…), or an artifact's schema title; empty if nothing is known about it.
        version: An artifact's schema version.
        is_list: A list of artifacts.
        item: What a list holds, or a dict's values are, if that is known.
    """

    kind: str
    name: str
    version: str = ""
    is_list: bool = False
    item: Optional["ValueType"] = None

    @property
    def is_artifact(self) -> bool:
        """Whether it is an artifact or a list of them."""
        return self.kind == ARTIFACT

    def __str__(self) -> str:
        if self.kind == ARTIFACT:
            name = self.name.replace("system.", "", 1)
            return f"List[{name}]" if self.is_list else name
        plain = _PYTHON_NAMES.get(self.name, self.name)
        if self.item is not None and self.item.name:
            return f"List[{self.item}]" if self.name == "LIST" else f"Dict[str, {self.item}]"
        return plain


_PYTHON_NAMES = {
    "STRING": "str", "NUMBER_INTEGER": "int", "NUMBER_DOUBLE": "float", "BOOLEAN": "bool", "LIST": "list", "STRUCT": "dict",
    "TASK_FINAL_STATUS": "PipelineTaskFinalStatus", "TASK_CONFIG": "TaskConfig", "": "a value of unknown type",
}  # fmt: skip

STRING = ValueType(PARAMETER, "STRING")
INTEGER = ValueType(PARAMETER, "NUMBER_INTEGER")
DOUBLE = ValueType(PARAMETER, "NUMBER_DOUBLE")
BOOLEAN = ValueType(PARAMETER, "BOOLEAN")
LIST = ValueType(PARAMETER, "LIST")
STRUCT = ValueType(PARAMETER, "STRUCT")
FINAL_STATUS = ValueType(PARAMETER, "TASK_FINAL_STATUS")
TASK_CONFIG = ValueType(PARAMETER, "TASK_CONFIG")
# A field of a loop's item, where the items say nothing about it.
UNKNOWN = ValueType(PARAMETER, "")

# Python type -> parameter type. bool stands before int because it is one.
_OF_PYTHON = ((bool, BOOLEAN), (str, STRING), (int, INTEGER), (float, DOUBLE), (list, LIST), (tuple, LIST), (dict, STRUCT))
BY_PYTHON_TYPE: Dict[type, ValueType] = {cls: value for cls, value in _OF_PYTHON if cls is not tuple}


def artifact_type(cls: type, *, is_list: bool = False) -> ValueType:
    """The type of an artifact class."""
    title = getattr(cls, "schema_title", None) or Artifact.schema_title
    return ValueType(ARTIFACT, title, getattr(cls, "schema_version", None) or Artifact.schema_version, is_list)


def list_of(item: ValueType) -> ValueType:
    """The type of a list of such values."""
    if item.kind == ARTIFACT:
        return item._replace(is_list=True)
    return LIST._replace(item=item if item.name else None)


def type_of(value: object) -> Optional[ValueType]:
    """The type of a constant; None when JSON cannot say it.

    Examples:
        >>> str(type_of([1, 2])), str(type_of(True)), type_of(b"x")
        ('List[int]', 'bool', None)
    """
    found = next((type_ for cls, type_ in _OF_PYTHON if isinstance(value, cls)), None)
    if found is LIST and isinstance(value, (list, tuple)):
        item = same_type(value)
        return LIST._replace(item=item) if item.name else LIST
    return found


def same_type(values: "Any") -> ValueType:
    """The type that all these constants have, or `UNKNOWN` when they differ or there are none."""
    types = {type_of(value) for value in values}
    found = types.pop() if len(types) == 1 else None
    return found or UNKNOWN


def field_type(item: ValueType) -> ValueType:
    """The type of a field of an item: known for ``Dict[str, int]``."""
    return item.item or UNKNOWN if item.name == "STRUCT" else UNKNOWN


def fits(given: ValueType, wanted: ValueType) -> bool:
    """Whether a channel of type `given` may feed an input of type `wanted`."""
    if given.kind != wanted.kind:
        return False
    if given.kind == PARAMETER:
        return not given.name or not wanted.name or given.name == wanted.name
    if given.is_list != wanted.is_list:
        return False
    if Artifact.schema_title in (given.name, wanted.name):
        return True
    return (given.name, _major(given.version)) == (wanted.name, _major(wanted.version))


def _major(version: str) -> str:
    return version.partition(".")[0]


def literal_fits(value: object, wanted: ValueType) -> bool:
    """Whether a constant may be given to a parameter of type `wanted`. A whole number is a float too."""
    given = type_of(value)
    if given is None or wanted.kind != PARAMETER:
        return False
    if not wanted.name:
        return True
    return given.name == wanted.name or (given.name == "NUMBER_INTEGER" and wanted.name == "NUMBER_DOUBLE")


def plain(value: Any, wanted: ValueType) -> Any:
    """A constant as JSON has it: tuples become lists, a whole number for a float becomes one.

    Raises:
        TypeError: It holds something that JSON cannot say; the message names it.
    """
    if wanted.name == "NUMBER_DOUBLE" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return json_value(value)


def json_value(value: Any, path: str = "") -> Any:
    """A value as JSON has it: tuples become lists.

    Raises:
        TypeError: It holds something that JSON cannot say; the message names it, and where it is.

    Examples:
        >>> json_value({"sizes": (1, 2)})
        {'sizes': [1, 2]}
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  # the test for NaN that needs no import
            raise TypeError(f"{value!r}{_at(path)} is no JSON number")
        return value
    if isinstance(value, (list, tuple)):
        return [json_value(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict):
        wrong = next((key for key in value if not isinstance(key, str)), None)
        if wrong is not None:
            raise TypeError(f"the key {wrong!r}{_at(path)} is no text, and JSON has no other keys")
        return {key: json_value(item, f"{path}[{json.dumps(key)}]") for key, item in value.items()}
    raise TypeError(f"{value!r}{_at(path)} is {a(type(value).__name__)}, which JSON cannot say")


def _at(path: str) -> str:
    return f" at {path}" if path else ""


def a(noun: object) -> str:
    """A type's name with its article.

    Examples:
        >>> a(INTEGER), a("str")
        ('an int', 'a str')
    """
    text = str(noun)
    return f"an {text}" if text[:1] in "aeiAEIO" else "a " + text


def shown(value: object, limit: int = 60) -> str:
    """A constant for a message, cut to `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def outline(type_: ValueType) -> Tuple[str, Dict[str, Any]]:
    """Where the IR declares a value of this type (``parameters`` or ``artifacts``), and how."""
    if type_.kind == PARAMETER:
        return "parameters", {"parameterType": type_.name or "STRING"}
    declared: Dict[str, Any] = {"artifactType": {"schemaTitle": type_.name, "schemaVersion": type_.version}}
    if type_.is_list:
        declared["isArtifactList"] = True
    return "artifacts", declared
