"""Reads objects of users' own kinds: what the definition does not know is told and taken out, the rest is left to its rules."""

from typing import Any

from kedge.errors import BadRequest
from kedge.kube.faults import invalid
from kedge.kube.kinds import Kind, Obj
from kedge.kube.schemas import METADATA, TYPE
from kedge.server import metadata, schema
from kedge.server.core import encoded
from kedge.server.unreadable import cannot_be_handled, of_form, of_types


def read(kind: Kind, name: str, given: dict[str, Any]) -> tuple[Obj, list[str]]:
    """Read an object that came from a client.

    Args:
        kind: A user's own.
        name: The request's, ``""`` to create one.
        given: The object; changed.

    Returns:
        The object in the kind's shape but for its defaults, and the paths of what nobody knows.

    Raises:
        BadRequest: It is of another version.
        Unreadable: It does not say what it is, or its metadata cannot be read.
        Invalid: It is of another kind.
    """
    new: Obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}}
    new |= {key: value for key, value in given.items() if value is not None or key not in new}
    meta = new["metadata"]
    if not isinstance(new["apiVersion"], str) or not isinstance(new["kind"], str):
        raise of_form(kind, given, encoded(given))
    if new["apiVersion"] != kind.api_version:
        raise BadRequest(
            f"the API version in the data ({new['apiVersion']}) does not match the expected API version ({kind.api_version})"
        )
    if new["kind"] != kind.kind:
        fault = invalid("kind", new["kind"], f"must be {kind.kind}")
        raise metadata.invalid(kind, str(name or (meta.get("name", "") if isinstance(meta, dict) else "")), [fault])
    new["metadata"] = meta = schema.without_nulls(meta, METADATA, zeros=True)
    unknown: list[str] = []
    if faults := metadata.unfit(meta, unknown):
        if error := of_types(kind, meta, METADATA[TYPE]):
            raise error
        raise BadRequest(f"{cannot_be_handled(kind)}: {'; '.join(f'{each.field}: {each.message}' for each in faults)}")
    if unknown:
        schema.prune(METADATA, meta)
    if kind.prune is not None:
        unknown += kind.prune(new)
    return new, unknown
