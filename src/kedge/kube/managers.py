"""Who owns which field: ``metadata.managedFields``, kept on every write and asked by server-side apply.

An entry is one manager's: its name, how it wrote (``Apply`` or ``Update``), through which subresource, and the set of its fields.
Pure: objects and entries are shared, never changed.

The rules: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from kedge.kube import typed
from kedge.kube.field_sets import Set, difference, intersection, ordered, paths, union
from kedge.kube.kinds import Kind, Obj
from kedge.kube.schemas import METADATA

UPDATERS = 10  # more are told as one, the oldest first
OLD_UPDATERS = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"
# What is the server's own, or names the object: nobody's.
_NOBODYS = frozenset(
    {"name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"}
)
_TYPE = frozenset({"apiVersion", "kind"})


@dataclass(frozen=True, slots=True)
class Manager:
    """Who writes, and how.

    Attributes:
        name: Such as ``kubectl``.
        operation: ``Apply`` or ``Update``.
        api_version: Of what it wrote; an applier has one entry for all versions.
        subresource: ``""`` for the object itself.
    """

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What tells entries apart."""
        return (self.name, self.operation, "" if self.operation == "Apply" else self.api_version, self.subresource)

    def __str__(self) -> str:
        part = f' with subresource "{self.subresource}"' if self.subresource else ""
        return f'"{self.name}"{part}' + (f" using {self.api_version}" if self.operation == "Update" else "")


@dataclass(frozen=True, slots=True)
class Entry:
    """One manager's fields; ``time`` is when it last changed anything, ``""`` where it never did."""

    manager: Manager
    fields: Set
    time: str = ""


Entries = dict[tuple[str, ...], Entry]


class Conflicts(Exception):
    """Fields that others own and that would change.

    Args:
        fields: They, by their managers.
    """

    def __init__(self, fields: Mapping[Manager, Set]) -> None:
        super().__init__(fields)
        self.fields = fields

    def all(self) -> list[tuple[Manager, str]]:
        """Each field, in words, with its manager."""
        ordered_ = sorted(self.fields, key=str)
        return [(manager, path) for manager in ordered_ for path in paths(self.fields[manager])]

    def __str__(self) -> str:
        found = self.all()
        if len(found) == 1:
            ((manager, path),) = found
            return f"conflict with {manager}: {path}"
        lines: list[str] = []
        for manager, path in found:
            if (head := f"conflicts with {manager}:") not in lines:
                lines.append(head)
            lines.append(f"- {path}")
        return "\n".join(lines)


@lru_cache(maxsize=512)  # users' own kinds come and go
def schema_of(kind: Kind) -> Mapping[str, Any]:
    """The schema of a whole object of a kind."""
    text = {"type": "string"}
    schema: Mapping[str, Any] = kind.schema or {"type": "object"}
    properties = {"apiVersion": text, "kind": text, "metadata": dict(METADATA), **(schema.get("properties") or {})}
    return {**schema, "properties": properties}


def _owned(kind: Kind, subresource: str, obj: Obj) -> Obj:
    """What of an object can have an owner: not the server's own, nor what is not written through this path."""
    left = {name: value for name, value in obj.items() if name not in _TYPE}
    left["metadata"] = {name: value for name, value in obj.get("metadata", {}).items() if name not in _NOBODYS}
    if subresource != "status" and "status" in kind.subresources:
        left.pop("status", None)
    if kind.kind == "Namespace" and not kind.group and "spec" in left:
        left["spec"] = {name: value for name, value in left["spec"].items() if name != "finalizers"}
    return left


def read(given: Any) -> Entries | None:
    """The entries of ``managedFields`` that a client sent; ``None`` where one of them cannot be read."""
    entries: Entries = {}
    for each in given or ():
        if not isinstance(each, dict) or each.get("operation") not in {"Apply", "Update"}:
            return None
        if each.get("fieldsType") != "FieldsV1" or not isinstance(each.get("fieldsV1", {}), dict):
            return None
        if not _is_set(each.get("fieldsV1") or {}):
            continue
        entry = _entry(each)
        entries[entry.manager.key] = entry
    return entries


def _is_set(tree: Any) -> bool:
    if not isinstance(tree, dict):
        return False
    return all(_is_step(step) and _is_set(inner) for step, inner in tree.items())


def _is_step(step: str) -> bool:
    kind, _, rest = step.partition(":")
    if kind not in {"k", "v", "i"}:
        return kind == "f" or step == "."
    try:
        value = json.loads(rest)
    except ValueError:
        return False
    return kind != "k" or isinstance(value, dict)


def stored(obj: Obj) -> Entries:
    """The entries of an object that was stored."""
    entries = (_entry(each) for each in obj["metadata"].get("managedFields") or ())
    return {entry.manager.key: entry for entry in entries}


def _entry(each: Obj) -> Entry:
    manager = Manager(each.get("manager", ""), each["operation"], each.get("apiVersion", ""), each.get("subresource", ""))
    return Entry(manager, each.get("fieldsV1") or {}, each.get("time", ""))


def write(entries: Entries) -> list[Obj]:
    """Entries as ``managedFields``, in the order in which Kubernetes writes them."""
    found: list[Obj] = []
    for entry in sorted(entries.values(), key=lambda each: (each.manager.operation, each.time, *each.manager.key)):
        if not entry.fields:
            continue
        who = entry.manager
        told: Obj = {"manager": who.name, "operation": who.operation, "apiVersion": who.api_version}
        if entry.time:
            told["time"] = entry.time
        told |= {"fieldsType": "FieldsV1", "fieldsV1": ordered(entry.fields)}
        if who.subresource:
            told["subresource"] = who.subresource
        found.append(told)
    return found


def updated(kind: Kind, entries: Entries, pair: tuple[Obj, Obj], manager: Manager, now: str) -> Entries:
    """The entries after a manager has changed an object without applying.

    Args:
        kind: The object's.
        entries: Who owned what.
        pair: The object as it was and as it is now.
        manager: Who changed it.
        now: A timestamp.
    """
    took, gone = typed.compare(schema_of(kind), *(_owned(kind, manager.subresource, each) for each in pair))
    if not took and not gone:
        return entries
    result: Entries = {}
    for key, entry in entries.items():
        if rest := difference(difference(entry.fields, took), gone):
            result[key] = entry if rest == entry.fields else replace(entry, fields=rest)
    if took:
        mine = result.get(manager.key)
        result[manager.key] = Entry(manager, union(mine.fields, took) if mine else took, now)
    return _capped(result)


def _capped(entries: Entries) -> Entries:
    """The oldest updaters as one, where there are too many."""
    result = dict(entries)
    while len(updaters := [each for each in result.values() if each.manager.operation == "Update"]) > UPDATERS:
        named = [each for each in updaters if each.manager.name != OLD_UPDATERS]
        if not named:
            break
        oldest = min(named, key=lambda each: (each.time, each.manager.name))
        del result[oldest.manager.key]
        old = replace(oldest.manager, name=OLD_UPDATERS)
        before = result.get(old.key)
        result[old.key] = Entry(old, union(before.fields, oldest.fields) if before else oldest.fields, oldest.time)
    return result


def applied(
    kind: Kind, entries: Entries, pair: tuple[Obj, Obj], manager: Manager, now: str, *, force: bool
) -> tuple[Obj, Entries]:
    """An object with a configuration applied to it, and who owns what then.

    Fields that the manager applied before and does not now go, unless others own them.

    Args:
        kind: The object's.
        entries: Who owned what.
        pair: The live object and the configuration.
        manager: Who applies.
        now: A timestamp.
        force: Take fields from their owners.

    Raises:
        Conflicts: Others own fields that would change.
    """
    live, config = pair
    schema = schema_of(kind)
    mine = typed.fields_of(schema, _owned(kind, manager.subresource, config)) or {}
    if mine.get("f:metadata") == {}:
        del mine["f:metadata"]  # only its name
    last = entries.get(manager.key)
    others = {key: entry for key, entry in entries.items() if key != manager.key}
    result = typed.merge(schema, live, config)
    if last is not None and last.fields:
        owned = [mine, *(entry.fields for entry in others.values())]
        result = typed.merge(schema, _pruned(schema, result, last.fields, owned), config)
    changed, removed = typed.compare(schema, *(_owned(kind, manager.subresource, each) for each in (live, result)))
    taken = {entry.manager: found for entry in others.values() if (found := intersection(entry.fields, changed))}
    if taken and not force:
        raise Conflicts(taken)
    kept: Entries = {}
    for key, entry in others.items():
        rest = difference(difference(entry.fields, changed), removed)
        if rest:
            kept[key] = replace(entry, fields=rest)
    if mine:
        moved = bool(changed or removed)
        kept[manager.key] = Entry(manager, mine, now if moved else (last.time if last else ""))
    return result, kept


def _pruned(schema: Mapping[str, Any] | None, merged: Obj, last: Set, owned: Iterable[Set]) -> Obj:
    """Without what the manager applied last and nobody owns now."""

    def named(one: Set) -> Set:
        return typed.with_named(schema, one)

    everything = named(typed.fields_of(schema, merged) or {})
    rest = named(typed.fields_of(schema, typed.remove(schema, merged, named(last))) or {})
    kept: Set = {}
    for each in owned:
        kept = union(kept, named(each))
    # What went although somebody owns it, or something in it, comes back; what went and was never applied too.
    gone = difference(everything, union(rest, kept))
    left = named(typed.fields_of(schema, typed.remove(schema, merged, gone)) or {})
    return typed.remove(schema, merged, intersection(difference(everything, left), named(last)))


def first(kind: Kind, live: Obj, now: str) -> Entries:
    """The entries of an object that nobody tracked, when something is applied to it: all is one manager's."""
    manager = Manager(BEFORE_FIRST_APPLY, "Update", kind.api_version)
    return updated(kind, {}, ({}, live), manager, now)


def allowed(kind: Kind, live: Obj, last: Obj) -> Set:
    """Fields that a client-side apply wrote and that are still so: a server-side apply may take them.

    Args:
        kind: The object's.
        live: What is stored.
        last: What was applied, from the annotation.
    """
    schema = schema_of(kind)
    other, gone = typed.compare(schema, live, last)
    return difference(difference(typed.fields_of(schema, last) or {}, other), gone)


def untouched(conflicts: Conflicts, allowed_: Set) -> Iterator[tuple[Manager, Set]]:
    """What of some conflicts is not allowed."""
    for manager, found in conflicts.fields.items():
        if rest := difference(found, allowed_):
            yield manager, rest
