"""CustomResourceDefinitions: names are accepted where nobody else has them, and one that is deleted takes its objects along."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Change, Delete, Plan, Update, set_status
from kedge.control.controller import Controller
from kedge.control.informer import Informer
from kedge.kube.clock import Clock
from kedge.kube.conditions import condition, put
from kedge.kube.crds import CRD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import is_deleting, without_finalizer
from kedge.kube.structural.definition import FINALIZER
from kedge.kube.structural.kinds import condition as holds
from kedge.kube.structural.kinds import kinds_of

_BATCH = 200  # objects deleted in one pass, so that a large kind does not hold the event loop for long


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        definition: The CustomResourceDefinition.
        taken: Names of others in its group: plurals, singulars and short names, and then kinds.
        contents: Its objects; only looked up when it is being deleted.
    """

    definition: Obj
    taken: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    contents: tuple[tuple[Kind, Obj], ...] = ()


class Definitions:
    """Reconciles one CustomResourceDefinition."""

    async def observe(self, reader: Reader, key: str) -> Seen | None:
        """Look at a definition, and at the names of the others or at its objects."""
        if (definition := await get_or_none(reader, CRD, key)) is None:
            return None
        if is_deleting(definition):
            kinds = kinds_of(definition)[:1]
            return Seen(definition, contents=tuple([(kind, obj) for kind in kinds for obj in (await reader.list(kind)).items]))
        others = [
            each
            for each in (await reader.list(CRD)).items
            if each["metadata"]["name"] != key and each["spec"]["group"] == definition["spec"]["group"]
        ]
        accepted: list[Obj] = [each.get("status", {}).get("acceptedNames") or {} for each in others]
        words = frozenset(word for each in accepted for word in _words(each))
        return Seen(definition, (words, frozenset(each[name] for each in accepted for name in _KINDS if each.get(name))))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide: which names it gets; or, when it is being deleted, what goes first."""
        if is_deleting(seen.definition):
            return _empty(seen)
        return Plan(tuple(_accept(seen, now)))


_KINDS = ("kind", "listKind")


def _words(names: Obj) -> Iterator[str]:
    yield from (names[name] for name in ("plural", "singular") if names.get(name))
    yield from names.get("shortNames") or ()


def _empty(seen: Seen) -> Plan:
    if FINALIZER not in (seen.definition["metadata"].get("finalizers") or ()):
        return Plan()
    if not seen.contents:
        return Plan((Update(CRD, seen.definition, without_finalizer(seen.definition, FINALIZER)),))
    deletions = [Delete(kind, obj) for kind, obj in seen.contents if not is_deleting(obj)][:_BATCH]
    # What has finalizers of its own is waited for.
    return Plan(tuple(deletions), requeue_after=0 if deletions else 1)


def _accept(seen: Seen, now: datetime) -> Iterator[Change]:
    definition = seen.definition
    status: Obj = definition.get("status") or {}
    wanted: Obj = definition["spec"]["names"]
    had: Obj = status.get("acceptedNames") or {}
    accepted, conflict = _names(wanted, had, seen.taken)
    established = holds(definition, "Established") or not conflict
    conditions = list(status.get("conditions") or ())
    reason, message = conflict or ("NoConflicts", "no conflicts found")
    conditions = put(conditions, condition("NamesAccepted", status=not conflict, reason=reason, message=message, now=now))
    if not holds(definition, "Established"):
        why = ("InitialNamesAccepted", "the initial names have been accepted")
        why = why if established else ("NotAccepted", "not all names are accepted")
        conditions = put(conditions, condition("Established", status=established, reason=why[0], message=why[1], now=now))
    after = {**status, "acceptedNames": accepted, "conditions": conditions}
    if after != status:
        yield set_status(CRD, definition, after)


def _names(wanted: Obj, had: Obj, taken: tuple[frozenset[str], frozenset[str]]) -> tuple[Obj, tuple[str, str] | None]:
    """The names that it gets, and what keeps it from getting the others: reason and message."""
    words, kinds = taken
    accepted: Obj = {"plural": had.get("plural", ""), "kind": had.get("kind", "")} | had
    conflict: tuple[str, str] | None = None
    for name in ("plural", "singular", "shortNames", "kind", "listKind"):
        value = wanted.get(name)
        against = kinds if name in _KINDS else words
        clashing = [each for each in (value if isinstance(value, list) else [value]) if each in against]
        if clashing:
            reason = f"{name[0].upper()}{name[1:]}Conflict"
            conflict = reason, f'"{clashing[0]}" is already in use'
        elif value:
            accepted[name] = value
        else:
            accepted.pop(name, None)
    accepted.pop("categories", None)
    if wanted.get("categories"):
        accepted["categories"] = wanted["categories"]
    return accepted, conflict


def definitions_controller(client: Client, clock: Clock, informer: Informer) -> Controller[str]:
    """The controller of all definitions.

    Args:
        client: Reads and writes objects.
        clock: For times.
        informer: Of definitions; run by whoever made it.
    """
    controller = Controller[str].of("definitions", Definitions(), client, clock)

    def keys(old: Obj | None, new: Obj | None) -> Iterable[str]:
        changed: Obj = new or old or {}
        group = changed["spec"]["group"]
        if new is not None:
            yield changed["metadata"]["name"]
        if old is None or new is None or old["spec"]["names"] != new["spec"]["names"]:
            # A name that somebody gave up may be what another waits for.
            yield from (each["metadata"]["name"] for each in informer.items() if each["spec"]["group"] == group)

    controller.follow(informer, keys)
    return controller
