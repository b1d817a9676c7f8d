"""Bodies of built-in kinds that are not what the path takes, in the words of Kubernetes' decoders.

A client shows these words to people, and some look for a part of them. What Kubernetes says of its own source files is left out.
"""

from typing import Any

from kedge.errors import BadRequest
from kedge.kube import decoding
from kedge.kube.go_values import json_type, type_name
from kedge.kube.kinds import Kind, Obj
from kedge.kube.schemas import TYPE, kinds

_LONGEST = 30  # bytes of a body that are told
_HEAD = "couldn't get version/kind; json parse error: json: cannot unmarshal"
_READ_FIRST = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


class Unreadable(BadRequest):
    """A body that cannot be taken for an object of the kind.

    Args:
        head: What the message says before the fault.
        why: The fault.
        converted: The same in the words of who makes an object of what was read already, such as a strategic merge patch.
        tail: What it says after the fault.
    """

    def __init__(self, head: str, why: str, *, converted: str = "", tail: str = "") -> None:
        super().__init__(f"{head}: {why}{tail}")
        self.why = why
        self.converted = converted or why


def is_built_in(kind: Kind) -> bool:
    """Whether a kind is one of Kubernetes' own, whose Go types are known."""
    return kind.schema is not None and kind.schema.get(TYPE) is not None


def cannot_be_handled(kind: Kind) -> str:
    """How a message begins that refuses an object."""
    return f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'


def of_form(kind: Kind, given: Any, text: bytes) -> Unreadable:
    """The error of a body that does not say that it is of this kind.

    Args:
        kind: What the path takes.
        given: The body.
        text: The same as JSON.
    """
    head = f"the object provided is unrecognized (must be of type {kind.kind})"
    tail = f" ({_summary(text)})"
    if not isinstance(given, dict):
        return Unreadable(head, f"{_HEAD} {json_type(given)} into Go value of type {_READ_FIRST}", tail=tail)
    for name, value in given.items():
        if name in {"apiVersion", "kind"} and not isinstance(value, str | None):
            why = f"{_HEAD} {json_type(value)} into Go struct field .{name} of type string"
            return Unreadable(head, why, converted=f"cannot convert {type_name(value)} to string", tail=tail)
    version, name = given.get("apiVersion") or kind.api_version, given.get("kind") or kind.kind
    if version.count("/") > 1:
        return Unreadable(head, f"unexpected GroupVersion string: {version}", tail=tail)
    package = version.rpartition("/")[2]
    head = f'{name} in version "{package}" cannot be handled as a {kind.kind}'
    if (version, name.removesuffix("List")) in kinds():
        inner = kind.group.partition(".")[0] or "core"
        return Unreadable(head, f"converting ({package}.{name}) to ({inner}.{kind.kind}): unknown conversion")
    return Unreadable(head, f'no kind "{name}" is registered for version "{version}"')


def of_types(kind: Kind, given: Obj, type_: str) -> Unreadable | None:
    """The error of an object with a value that its Go types do not take; ``None`` where there is none.

    Args:
        kind: The kind.
        given: The object as it came, or the part of it whose type is known.
        type_: That type, as the table of fields has it.
    """
    unfit = decoding.first(type_, given)
    return unfit and Unreadable(cannot_be_handled(kind), unfit.decoded, converted=unfit.converted)


def _summary(text: bytes) -> str:
    shown, more = text[:_LONGEST], " ..." if len(text) > _LONGEST else ""
    return (shown.decode(errors="replace") if text.startswith(b"{") else shown.hex()) + more
