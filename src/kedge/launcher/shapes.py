"""Annotations of a user's function, read for what a step must know: the role of a parameter, and the type in it."""

import importlib
from typing import Any, Callable, Dict, List, NamedTuple, Type, Union

from kedge.dsl.annotations import INPUT, Marked
from kedge.dsl.artifacts import Artifact, is_artifact_class, known_classes


class Shape(NamedTuple):
    """What one annotation says.

    Attributes:
        role: ``Input``, ``Output``, ``InputPath``, ``OutputPath``, or ``""`` for a plain parameter.
        type: The type without role, list and ``Optional``; None when none is given.
        many: Whether it is a list of artifacts.
        optional: Whether None may be given.
        annotation: As the user wrote it.
    """

    role: str
    type: Any
    many: bool = False
    optional: bool = False
    annotation: Any = None


def annotations(function: Callable[..., Any]) -> Dict[str, Any]:
    """The function's annotations, those written as text evaluated where that works."""
    found: Dict[str, Any] = {}
    for name, value in getattr(function, "__annotations__", {}).items():
        found[name] = _evaluate(value, function) if isinstance(value, str) else value
    return found


def shape(annotation: Any) -> Shape:
    """Read one annotation.

    Examples:
        >>> shape(int)[:3], shape(Union[int, None]).optional
        (('', <class 'int'>, False), True)
    """
    inner, optional = without_none(annotation)
    role = ""
    if isinstance(inner, Marked):
        role, inner = inner.role, inner.type
        inner, more = without_none(inner)
        optional = optional or more
    elements = getattr(inner, "__args__", ()) if getattr(inner, "__origin__", None) is list else ()
    if elements and (role or is_artifact_class(elements[0])):
        return Shape(role or INPUT, elements[0], True, optional, annotation)
    if not role and is_artifact_class(inner):
        role = INPUT
    return Shape(role, inner, False, optional, annotation)


def without_none(annotation: Any) -> Any:
    """``(annotation, optional)``: what remains of ``Optional[X]`` or ``X | None``; other unions stay."""
    if getattr(annotation, "__origin__", None) is Union or type(annotation).__name__ == "UnionType":
        members = [member for member in annotation.__args__ if member is not type(None)]
        if len(members) < len(annotation.__args__):
            return (members[0] if len(members) == 1 else Union[tuple(members)]), True
    return annotation, False


def artifact_class(wanted: Any, schema_title: str) -> Type[Any]:
    """The class of an artifact's object: what the annotation asks for, else by the type's name, else any artifact."""
    if is_artifact_class(wanted) and wanted is not Artifact:
        return wanted
    importlib.import_module("kedge.dsl.metrics")  # it defines the classes that hold numbers

    for cls in known_classes():
        if getattr(cls, "schema_title", "") == schema_title:
            return cls
    return Artifact


def type_name(annotation: Any) -> str:
    """How an annotation is called in a message: ``int``, ``List[str]``."""
    if isinstance(annotation, type) and not getattr(annotation, "__args__", None):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def return_fields(annotation: Any) -> List[str]:
    """The output names of a ``NamedTuple`` annotation, else none."""
    return list(getattr(annotation, "_fields", ()))


def _evaluate(text: str, function: Callable[..., Any]) -> Any:
    try:
        return eval(text, function.__globals__)  # noqa: S307  # the user's own annotation, in the user's own step
    except Exception:  # noqa: BLE001  # an annotation may be anything; then the parameter's value is taken as it comes
        return None
