"""What every verb stands on: the log, the table of kinds, and objects as they lie in the log.

An object is stored as JSON without its resourceVersion, which is the number of its row and is put in on reading. Objects that are
handed out are shared with every other reader: a verb that changes one decodes its own copy (`Core.copy`).
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import msgspec

from kedge.errors import AlreadyExists, BadRequest, Cause, Conflict, Forbidden, MethodNotAllowed, NotFound
from kedge.kube.clock import Clock, Ids
from kedge.kube.core import NAMESPACE
from kedge.kube.kinds import Kind, Obj
from kedge.server import metadata, schema
from kedge.server.registry import Registry
from kedge.store.types import Record, Store

Verb = Literal["create", "update", "delete"]
# Called with the verb, the kind, the new object (to be changed in place) and the old one; raises an ApiError to refuse.
Admission = Callable[[Verb, Kind, Obj, Obj | None], None]
Validation = Literal["Strict", "Warn", "Ignore"]

_CACHED = 512
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about.

    Attributes:
        kind: The kind.
        namespace: ``None`` for all namespaces, and for kinds without.
        name: ``""`` for the collection.
        subresource: ``""`` for the object itself.
    """

    kind: Kind
    namespace: str | None = None
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        return f'{self.kind.resource} "{self.name}"'


@dataclass(slots=True)
class WriteOptions:
    """How a write is to be done.

    Attributes:
        dry_run: Do everything but write.
        validation: What becomes of fields that the kind does not have: refused, or dropped with or without a word in `warnings`.
        warnings: Filled by the verb.
    """

    dry_run: bool = False
    validation: Validation = "Warn"
    warnings: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Core:
    """The server's insides, as verbs see them."""

    store: Store
    registry: Registry
    clock: Clock
    ids: Ids
    admission: Sequence[Admission] = ()
    _loaded: dict[int, Obj] = field(default_factory=dict[int, Obj])
    _previous: tuple[int, Obj | None] = (0, None)

    def load(self, record: Record) -> Obj:
        """The object of a record, to be read only."""
        obj = self._loaded.get(record.revision)
        if obj is None:
            obj = copy(record)
            if len(self._loaded) >= _CACHED:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[record.revision] = obj
        return obj

    def glance(self, record: Record) -> Obj:
        """The same, of many: what is not at hand is not kept, so that a list does not drive out what is worked on."""
        return self._loaded.get(record.revision) or copy(record)

    def part(self, record: Record, kind: Kind) -> Obj:
        """What an object can be selected by, to be read only: without the rest it is read in a fifth of the time."""
        if (obj := self._loaded.get(record.revision)) is not None:
            return obj
        try:
            return _selectable(kind.field_selectors).decode(record.value)
        except msgspec.ValidationError:  # a part that is null
            return copy(record)

    def previous(self, record: Record) -> Obj | None:
        """The object as it was before a record, to be read only; without a resourceVersion."""
        revision, obj = self._previous
        if revision != record.revision:
            obj = None if record.previous is None else _decode(record.previous)
            self._previous = (record.revision, obj)
        return obj

    def find(self, target: Target) -> Record:
        """The newest record of one object.

        Raises:
            NotFound: There is none.
        """
        record = self.store.get(key(target))
        if record is None:
            raise NotFound(f"{target} not found")
        return record

    def add(self, target: Target, obj: Obj) -> Obj:
        """Write a new object."""
        try:
            return self.load(self.store.create(key(target), _stored(obj)))
        except AlreadyExists as error:
            raise AlreadyExists(f"{target} already exists") from error

    def replace(self, target: Target, obj: Obj, record: Record) -> Obj:
        """Write an object over the record that it was made from; nothing is written when nothing changed."""
        value = _stored(obj)
        if value == record.value:
            return self.load(record)
        try:
            return self.load(self.store.update(record.key, value, record.revision))
        except Conflict as error:
            raise changed(target) from error

    def remove(self, record: Record) -> Obj:
        """Delete an object from the log; returns it as it last was."""
        return self.load(self.store.delete(record.key, record.revision))

    def admit(self, verb: Verb, kind: Kind, new: Obj, old: Obj | None) -> None:
        """Ask every admission hook."""
        for hook in self.admission:
            hook(verb, kind, new, old)

    def check(self, target: Target, new: Obj, old: Obj | None) -> None:
        """Refuse an object that breaks a rule of metadata or of its kind.

        Raises:
            Invalid: Names each field at fault.
        """
        faults = metadata.faults(target.kind, new, old)
        if target.kind.validate is not None:
            faults += target.kind.validate(new, old)
        if faults:
            raise metadata.invalid(target.kind, new["metadata"]["name"], faults)

    def require_namespace(self, target: Target) -> None:
        """Refuse to create in a Namespace that is not there, or on its way out."""
        if target.namespace is None or not target.kind.namespaced:
            return
        record = self.store.get(key(Target(NAMESPACE, name=target.namespace)))
        if record is None:
            raise NotFound(f'namespaces "{target.namespace}" not found')
        if self.load(record)["metadata"].get("deletionTimestamp"):
            raise Forbidden(
                f"{target} is forbidden: unable to create new content in namespace {target.namespace} "
                "because it is being terminated. Use another namespace, or wait and create this one anew.",
                causes=[Cause("metadata.namespace", f"namespace {target.namespace} is being terminated", "NamespaceTerminating")],
            )


def key(target: Target) -> str:
    """Where an object lies in the log."""
    return prefix(target) + target.name


def prefix(target: Target) -> str:
    """Where a collection lies in the log; ends with a slash."""
    if target.kind.namespaced and target.namespace is not None:
        return f"/registry/{target.kind.resource}/{target.namespace}/"
    return f"/registry/{target.kind.resource}/"


@functools.cache
def _selectable(paths: tuple[str, ...]) -> "msgspec.json.Decoder[Obj]":
    """Reads of an object its labels, what every kind can be selected by, and these paths."""
    tree: Obj = {"metadata": {"labels": Any, "name": Any, "namespace": Any}}
    for path in paths:
        *parents, leaf = path.split(".")
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = Any
    return msgspec.json.Decoder(_typed(tree))


def _typed(tree: Obj) -> Any:
    fields = {name: _typed(inner) if isinstance(inner, dict) else inner for name, inner in tree.items()}
    return TypedDict("Part", fields, total=False)  # pyright: ignore[reportArgumentType]  # its fields are data here


def copy(record: Record) -> Obj:
    """The object of a record, for the caller alone."""
    obj: Obj = _decode(record.value)
    obj["metadata"]["resourceVersion"] = str(record.revision)
    return obj


def clone(obj: Obj) -> Obj:
    """A deep copy of a JSON object.

    Raises:
        BadRequest: It holds something that JSON has no word for.
    """
    copied: Obj = _decode(_json(obj))
    return copied


def _json(obj: Obj) -> bytes:
    try:
        return _encode(obj)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadRequest(f"the object is not JSON: {error}.") from error


def _stored(obj: Obj) -> bytes:
    meta: dict[str, Any] = {name: value for name, value in obj["metadata"].items() if name != "resourceVersion"}
    return _encode({**obj, "metadata": meta})


def changed(target: Target) -> Conflict:
    """The error of a write that came second."""
    return Conflict(
        f"Operation cannot be fulfilled on {target}: the object has been modified; "
        "please apply your changes to the latest version and try again"
    )


def require_verb(kind: Kind, verb: str) -> None:
    """Refuse a verb that the kind does not have."""
    if verb not in kind.verbs:
        raise MethodNotAllowed(f"{kind.resource} do not support {verb!r}. They support {', '.join(kind.verbs)}.")


def accept(target: Target, obj: Obj, options: WriteOptions, old: Obj | None = None) -> Obj:
    """Take an object from a client: a copy of the right kind, with the right types and without nulls.

    Args:
        target: What the request is about.
        obj: The object, not changed.
        options: What becomes of unknown fields.
        old: What is stored. Its parts that come back as they are were checked when they came first.

    Raises:
        BadRequest: It is of another kind, or has fields that nobody knows and the client asked for strictness.
        Invalid: A field has the wrong type, or is missing.
    """
    text = _json(obj)
    given: Any = _decode(text)
    kind = target.kind
    if not isinstance(given, dict):
        raise BadRequest(f"the body must be a {kind.kind} object, got {type(given).__name__}.")
    unchanged = frozenset(_unchanged(given, old)) if old is not None else frozenset[str]()
    new: Obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}}
    parts: Mapping[str, Any] = (kind.schema or {}).get("properties") or {}
    has_nulls = b"null" in text
    new |= {
        key: schema.without_nulls(value, parts.get(key)) if has_nulls and key not in unchanged else value
        for key, value in given.items()
        if value is not None
    }
    found = (new["apiVersion"], new["kind"])
    if found != (kind.api_version, kind.kind):
        raise BadRequest(f"the object is a {found[1]} of {found[0]}, this path takes a {kind.kind} of {kind.api_version}.")
    faults: list[Cause] = []
    unknown: list[str] = []
    if "metadata" not in unchanged:
        schema.check(schema.METADATA, new["metadata"], "metadata", faults, unknown)
    schema.check(kind.schema, new, "", faults, unknown, passed=unchanged)
    told = [f'unknown field "{path}"' for path in unknown]
    if told and options.validation == "Strict":
        # Before the faults: a misspelt name is why a field is missing.
        raise BadRequest(f"strict decoding error: {', '.join(told)}. Correct or remove it, or send fieldValidation=Warn.")
    if faults:
        meta = new["metadata"]
        raise metadata.invalid(kind, str(target.name or (meta.get("name", "") if isinstance(meta, dict) else "")), faults)
    if told:
        schema.prune(schema.METADATA, new["metadata"])
        schema.prune(kind.schema, new, root=True)
        if options.validation == "Warn":
            options.warnings += told
    return new


def _unchanged(new: Obj, old: Obj) -> Iterator[str]:
    """The parts of an object that are as they were; their JSON is compared too, because in Python ``1 == True``."""
    for key, value in new.items():
        before = old.get(key)
        if before is not None and before == value and _encode(before) == _encode(value):
            yield key
