"""What every verb stands on: the log, the table of kinds, and objects as they lie in the log.

An object is stored as JSON without its resourceVersion, which is the number of its row and is put in on reading. Objects that are
handed out are shared with every other reader: a verb that changes one decodes its own copy (`Core.copy`).
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypedDict

import msgspec

from kedge.client.types import WatchEvent
from kedge.errors import About, AlreadyExists, BadRequest, Cause, Conflict, Forbidden, MethodNotAllowed, NotFound
from kedge.kube import selectors
from kedge.kube.clock import Clock, Ids
from kedge.kube.core import NAMESPACE
from kedge.kube.kinds import Kind, Obj
from kedge.kube.managers import Entries
from kedge.server import metadata
from kedge.server.auth import User
from kedge.server.registry import NOT_ALLOWED, Registry
from kedge.store.types import Record, Store

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
Verb = Literal["create", "update", "delete"]
# Called with the verb, the kind, the new object (to be changed in place) and the old one; raises an ApiError to refuse.
Admission = Callable[[Verb, Kind, Obj, Obj | None], None]
# Called with the kind, the object as it is going to be stored and as it is, or ``None``; raises an ApiError to refuse.
Judge = Callable[[Kind, Obj, Obj | None], None]
Validation = Literal["Strict", "Warn", "Ignore"]

View = tuple[int, str, str]
"""How a watch looks at changes: the kind, by its `id`, which is soon compared, and its selectors of labels and of fields."""
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

    @property
    def about(self) -> About:
        """What an error says that it is about."""
        return About(self.kind.plural, self.kind.group, self.name)


@dataclass(slots=True)
class WriteOptions:
    """How a write is to be done.

    Attributes:
        dry_run: Do everything but write.
        validation: What becomes of fields that the kind does not have: refused, or dropped with or without a word in `warnings`.
        fields: Where the body has fields twice, of which the last was read: the paths of all fields, and whether each is one of
            them. These are told or refused in the same way.
        warnings: Filled by the verb.
        manager: Who writes, for the record of who owns which field; ``""`` for this process.
        entries: That record, where server-side apply has made it already.
        through: The subresource through which it is written, where that is another object's, such as a Scale's.
        judge: Refuses, by who writes, what is about to be stored.
        caller: Who writes, as webhooks are told; without one none is asked: this process sets itself up.
        sent: The options as the client has sent them, for webhooks.
    """

    dry_run: bool = False
    validation: Validation = "Warn"
    fields: Mapping[str, bool] = field(default_factory=dict[str, bool])
    warnings: list[str] = field(default_factory=list[str])
    manager: str = ""
    entries: Entries | None = None
    through: str = ""
    judge: Judge | None = None
    caller: User | None = None
    sent: Obj = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Write:
    """What is about to happen, as webhooks are told.

    Attributes:
        operation: Which.
        target: With what; ``""`` as name where that is to be generated.
        new: The object as it is to be; ``None`` where it goes.
        old: As it is; ``None`` where it is new.
        user: Who does it.
        options: The options of the request, an object of their own kind.
        dry_run: Whether nothing is written.
        form: ``apiVersion`` and ``kind`` of the objects, where they are not the resource's own: such as a Scale's.
        collection: Whether it is one of many that are deleted together.
    """

    operation: Operation
    target: Target
    new: Obj | None
    old: Obj | None
    user: User
    options: Obj
    dry_run: bool = False
    form: tuple[str, str] | None = None
    collection: bool = False


class Asks(Protocol):
    """Asks others before an object is stored; `kedge.server.webhooks.asking.Webhooks` does."""

    active: bool

    async def mutate(self, write: Write, settle: Callable[[Obj], Obj], warnings: list[str]) -> Obj | None:
        """The object as others change it."""
        ...

    async def validate(self, write: Write, warnings: list[str]) -> None:
        """Raises an `ApiError` where others refuse."""
        ...

    async def close(self) -> None:
        """Give connections up."""
        ...


@dataclass(slots=True)
class Core:
    """The server's insides, as verbs see them."""

    store: Store
    registry: Registry
    clock: Clock
    ids: Ids
    admission: Sequence[Admission] = ()
    definitions: Admission | None = None
    webhooks: Asks | None = None
    _loaded: dict[int, Obj] = field(default_factory=dict[int, Obj])
    _previous: tuple[int, Obj | None] = (0, None)
    _views: tuple[int, dict[View, WatchEvent | None]] = field(default_factory=lambda: (0, dict[View, WatchEvent | None]()))

    def load(self, record: Record, kind: Kind) -> Obj:
        """The object of a record, to be read only."""
        if kind.is_converted:
            return copy(record, kind)
        obj = self._loaded.get(record.revision)
        if obj is None:
            obj = copy(record)
            if len(self._loaded) >= _CACHED:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[record.revision] = obj
        return obj

    def glance(self, record: Record, kind: Kind) -> Obj:
        """The same, of many: what is not at hand is not kept, so that a list does not drive out what is worked on."""
        return (None if kind.is_converted else self._loaded.get(record.revision)) or copy(record, kind)

    def printed(self, record: Record, kind: Kind) -> Obj | msgspec.Raw:
        """The same, to be printed only: as it lies in the log, where its beginning is the usual one."""
        head = _head(kind.api_version, kind.kind)
        if kind.is_converted or not record.value.startswith(head):
            return self.glance(record, kind)
        return msgspec.Raw(b'%b"resourceVersion":"%d",%b' % (head, record.revision, record.value[len(head) :]))

    def part(self, record: Record, kind: Kind) -> Obj:
        """What an object can be selected by, to be read only: without the rest it is read in a fifth of the time."""
        if kind.is_converted:
            return copy(record, kind)
        if (obj := self._loaded.get(record.revision)) is not None:
            return obj
        try:
            return _selectable(kind.field_selectors).decode(record.value)
        except msgspec.ValidationError:  # a part that is null
            return copy(record)

    def previous(self, record: Record, kind: Kind) -> Obj | None:
        """The object as it was before a record, to be read only; without a resourceVersion."""
        revision, obj = self._previous
        if kind.is_converted:
            return None if record.previous is None else shown(kind, _decode(record.previous))
        if revision != record.revision:
            obj = None if record.previous is None else _decode(record.previous)
            self._previous = (record.revision, obj)
        return obj

    def views(self, record: Record) -> dict[View, WatchEvent | None]:
        """What those who watch see of a change; who looks through the same selectors as another sees what that one saw."""
        revision, views = self._views
        if revision != record.revision:
            views = {}
            self._views = (record.revision, views)
        return views

    def find(self, target: Target) -> Record:
        """The newest record of one object.

        Raises:
            NotFound: There is none.
        """
        record = self.store.get(key(target))
        if record is None:
            raise missing(target)
        return record

    def add(self, target: Target, obj: Obj, *, dry_run: bool = False) -> Obj:
        """Write a new object; of a dry run, as far as that it could be written."""
        there = self.store.get(key(target)) if dry_run else None
        if there is None and dry_run:
            return obj
        try:
            return self.load(self.store.create(key(target), _stored(obj, target.kind)), target.kind)
        except AlreadyExists as error:
            there = self.store.get(key(target))
            is_leaving = there is not None and "deletionTimestamp" in self.load(there, target.kind)["metadata"]
            taken = AlreadyExists(f"{'object is being deleted: ' if is_leaving else ''}{target} already exists")
            taken.about = target.about
            raise taken from error

    def replace(self, target: Target, obj: Obj, record: Record) -> Obj:
        """Write an object over the record that it was made from; nothing is written when nothing changed."""
        value = _stored(obj, target.kind)
        if value == record.value:
            return self.load(record, target.kind)
        try:
            return self.load(self.store.update(record.key, value, record.revision), target.kind)
        except Conflict as error:
            raise changed(target) from error

    def remove(self, record: Record, kind: Kind) -> Obj:
        """Delete an object from the log; returns it as it last was."""
        return self.load(self.store.delete(record.key, record.revision), kind)

    def admit(self, verb: Verb, kind: Kind, new: Obj, old: Obj | None) -> None:
        """Ask every admission hook."""
        if self.definitions is not None:
            self.definitions(verb, kind, new, old)
        for hook in self.admission:
            hook(verb, kind, new, old)

    def asks(self, caller: User | None) -> bool:
        """Whether anybody beyond this process is asked about a caller's write: then it is waited for them."""
        return caller is not None and self.webhooks is not None and self.webhooks.active

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
        record = self.store.get(key(namespace := Target(NAMESPACE, name=target.namespace)))
        if record is None:
            raise missing(namespace)
        if self.load(record, NAMESPACE)["metadata"].get("deletionTimestamp"):
            error = Forbidden(
                f"{target} is forbidden: unable to create new content in namespace {target.namespace} "
                "because it is being terminated. Use another namespace, or wait and create this one anew.",
                causes=[Cause("metadata.namespace", f"namespace {target.namespace} is being terminated", "NamespaceTerminating")],
            )
            error.about = target.about
            raise error


def key(target: Target) -> str:
    """Where an object lies in the log."""
    return prefix(target) + target.name


def prefix(target: Target) -> str:
    """Where a collection lies in the log; ends with a slash."""
    resource = target.kind.form.of if target.kind.form is not None else target.kind.resource
    if target.kind.namespaced and target.namespace is not None:
        return f"/registry/{resource}/{target.namespace}/"
    return f"/registry/{resource}/"


@functools.cache
def _selectable(paths: tuple[str, ...]) -> "msgspec.json.Decoder[Obj]":
    """Reads of an object its labels, what every kind can be selected by, and these paths."""
    tree: Obj = {"metadata": {"labels": Any, "name": Any, "namespace": Any}}
    for path in paths:
        *parents, leaf = selectors.place(path).split(".")
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = Any
    return msgspec.json.Decoder(_typed(tree))


def _typed(tree: Obj) -> Any:
    fields = {name: _typed(inner) if isinstance(inner, dict) else inner for name, inner in tree.items()}
    return TypedDict("Part", fields, total=False)  # pyright: ignore[reportArgumentType]  # its fields are data here


def decode(value: bytes) -> Obj:
    """An object as it lies in the log, for the caller alone; without a resourceVersion."""
    obj: Obj = _decode(value)
    return obj


@functools.cache
def _head(version: str, kind: str) -> bytes:
    """How the JSON of an object begins, up to what its metadata holds; a name at least."""
    return b'{"apiVersion":%b,"kind":%b,"metadata":{' % (_encode(version), _encode(kind))


def copy(record: Record, kind: Kind | None = None) -> Obj:
    """The object of a record, for the caller alone; of a user's own kind in the shape of the version that is asked for."""
    obj: Obj = _decode(record.value)
    obj["metadata"]["resourceVersion"] = str(record.revision)
    return obj if kind is None else shown(kind, obj)


def shown(kind: Kind, obj: Obj) -> Obj:
    """An object as it lies in the log in the shape of a kind, in place: one that users define may have changed meanwhile."""
    if kind.form is not None:
        return kind.form.shown(obj)
    if kind.structural:
        obj["apiVersion"] = kind.api_version
        if kind.prune is not None:
            kind.prune(obj)
        if kind.default is not None:
            kind.default(obj)
    return obj


def clone(obj: Obj) -> Obj:
    """A deep copy of a JSON object.

    Raises:
        BadRequest: It holds something that JSON has no word for.
    """
    copied: Obj = _decode(encoded(obj))
    return copied


def encoded(obj: Obj) -> bytes:
    """The JSON of an object.

    Raises:
        BadRequest: It holds something that JSON has no word for.
    """
    try:
        return _encode(obj)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadRequest(f"the object is not JSON: {error}.") from error


def _stored(obj: Obj, kind: Kind) -> bytes:
    if kind.form is not None:
        obj = kind.form.kept(obj)
    meta: dict[str, Any] = {name: value for name, value in obj["metadata"].items() if name != "resourceVersion"}
    version = f"{kind.group}/{kind.storage}" if kind.storage else obj["apiVersion"]
    return _encode({**obj, "apiVersion": version, "metadata": meta})


def missing(target: Target) -> NotFound:
    """The error of an object that is not there."""
    error = NotFound(f"{target} not found")
    error.about = target.about
    return error


def changed(target: Target) -> Conflict:
    """The error of a write that came second."""
    return Conflict(
        f"Operation cannot be fulfilled on {target}: the object has been modified; "
        "please apply your changes to the latest version and try again"
    )


def require_name(target: Target, name: object) -> None:
    """Refuse an object that is not the one that the request is about.

    Args:
        target: What the request is about.
        name: The object's.

    Raises:
        BadRequest: It is another one, or there is none.
    """
    if name == target.name:
        return
    if not name:
        raise BadRequest(f"the name of the object ({target.name} based on URL) was undeterminable: name must be provided")
    raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({target.name})")


def require_verb(kind: Kind, verb: str) -> None:
    """Refuse a verb that the kind does not have."""
    if verb not in kind.verbs:
        raise MethodNotAllowed(f"{NOT_ALLOWED}: {kind.resource} do not support {verb!r}. They support {', '.join(kind.verbs)}.")
