"""Takes an object from a client: a copy of the right kind, with the right types, in the form in which it is kept."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kedge.errors import BadRequest, Cause, TooLarge
from kedge.kube.canonical import canonical, without_nothings
from kedge.kube.kinds import Kind, Obj
from kedge.kube.schemas import METADATA, TYPE
from kedge.server import custom, metadata, schema, unreadable
from kedge.server.core import Target, WriteOptions, decode, encoded

_MOST = 3 << 20  # bytes of an object that clients change; what this process makes, such as a long pipeline's Run, may be larger
_NOTED = 64 << 10  # bytes that a client may add to such a one


def accept(target: Target, obj: Obj, options: WriteOptions, old: Obj | None = None) -> Obj:
    """Take an object from a client: a copy of the right kind, with the right types and without nulls.

    Args:
        target: What the request is about.
        obj: The object, not changed.
        options: What becomes of unknown fields.
        old: What is stored. Its parts that come back as they are were checked when they came first.

    Raises:
        BadRequest: It is of another kind, or has fields that nobody knows and the client asked for strictness.
        Invalid: A field is missing; of a kind that is not Kubernetes' own, one has the wrong type.
        Unreadable: Of a built-in kind, one has the wrong type.
        TooLarge: A client's changes have come to more than the limit, which holds for what is sent at once, too.
    """
    text = encoded(obj)
    if len(text) > _MOST and old is not None and options.manager and len(text) > len(encoded(old)) + _NOTED:
        raise TooLarge(
            f"{target} would have {len(text)} bytes, over {_MOST} (3 MiB), the limit of one object. Keep its data elsewhere."
        )
    given: Any = decode(text)
    kind = target.kind
    if not isinstance(given, dict):
        given = _nothing(kind, given, text)
    if kind.structural:  # its rules look at types and the rest when it has its defaults
        new, unknown = custom.read(kind, target.name, given)
        _tell(kind, unknown, options)
        return new
    unchanged = frozenset(_unchanged(given, old)) if old is not None else frozenset[str]()
    new = _of_kind(kind, (given, text), unchanged if b"null" in text else given.keys())
    faults, unknown = list[Cause](), list[str]()
    if "metadata" not in unchanged:
        faults += metadata.unfit(new["metadata"], unknown)
    schema.check(kind.schema, new, "", faults, unknown, passed=unchanged)
    # What is pruned by its kind has parts that the schema does not reach: a definition's schemas hold others.
    if (kind.prune is not None or any(each.reason == schema.WRONG_TYPE for each in faults)) and unreadable.is_built_in(kind):
        _refuse_types(kind, given)
    pruned = bool(unknown)
    if kind.prune is not None and not faults:
        unknown += kind.prune(new)
    _tell(kind, unknown, options)  # before the faults: a misspelt name is why a field is missing
    if faults:
        meta = new["metadata"]
        raise metadata.invalid(kind, str(target.name or (meta.get("name", "") if isinstance(meta, dict) else "")), faults)
    if pruned:
        schema.prune(METADATA, new["metadata"])
        schema.prune(kind.schema, new, root=True)
    canonical(kind.schema, new if not unchanged else {key: value for key, value in new.items() if key not in unchanged})
    without_nothings(kind.schema, new, text)
    return new


def _nothing(kind: Kind, given: Any, text: bytes) -> Obj:
    """What a body that is no object is taken for."""
    if not unreadable.is_built_in(kind) and not kind.structural:
        raise BadRequest(f"the body must be a {kind.kind} object, got {type(given).__name__}.")
    if given is not None:
        raise unreadable.of_form(kind, given, text)
    return {}


def _refuse_types(kind: Kind, given: Obj) -> None:
    error = unreadable.of_types(kind, given, (kind.schema or {})[TYPE])
    if error is not None:
        raise error


def _of_kind(kind: Kind, sent: tuple[Obj, bytes], whole: Collection[str]) -> Obj:
    """An object without nulls, of which some parts have none; refused where it says that it is of another kind."""
    given, text = sent
    parts: Mapping[str, Any] = {"metadata": METADATA, **((kind.schema or {}).get("properties") or {})}
    zeros = unreadable.is_built_in(kind)
    new: Obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}}
    new |= {
        key: value if key in whole else schema.without_nulls(value, parts.get(key), zeros=zeros)
        for key, value in given.items()
        if value is not None
    }
    found = (new["apiVersion"], new["kind"])
    if found != (kind.api_version, kind.kind):
        if zeros:
            raise unreadable.of_form(kind, given, text)
        raise BadRequest(f"the object is a {found[1]} of {found[0]}, this path takes a {kind.kind} of {kind.api_version}.")
    return new


def _tell(kind: Kind, unknown: list[str], options: WriteOptions) -> None:
    """Refuse fields that are unknown or there twice, or warn of them, as the client has asked."""
    if not unknown and not options.fields:
        return
    told = [*_told(kind, unknown, options.fields)]
    if told and options.validation == "Strict":
        raise unreadable.Unreadable(unreadable.cannot_be_handled(kind), f"strict decoding error: {', '.join(told)}")
    if options.validation == "Warn":
        options.warnings += told


def _told(kind: Kind, unknown: list[str], fields: Mapping[str, bool]) -> Iterator[str]:
    """As Kubernetes reads: its own kinds field by field, and into no unknown one; of others those that are there twice first."""
    passed = () if kind.structural else tuple(f"{path}{sign}" for path in unknown if path in fields for sign in (".", "["))
    places = {} if kind.structural else {path: place for place, path in enumerate(fields)}
    twice = [path for path, is_twice in fields.items() if is_twice and path not in (() if kind.structural else unknown)]
    found = [(places.get(path, 0), f'duplicate field "{path}"') for path in twice if not path.startswith(passed)]
    found += [(places.get(path, len(places)), f'unknown field "{path}"') for path in unknown]
    yield from (text for _, text in sorted(found, key=lambda each: each[0]))


def _unchanged(new: Obj, old: Obj) -> Iterator[str]:
    """The parts of an object that are as they were; their JSON is compared too, because in Python ``1 == True``."""
    for key, value in new.items():
        before = old.get(key)
        if before is not None and before == value and encoded(before) == encoded(value):
            yield key
