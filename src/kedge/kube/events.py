"""Events as the group ``events.k8s.io`` shows them: the same objects as those of the core group, under other names of fields.

The names and rules are those of Kubernetes (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/).
"""

from collections.abc import Iterator
from dataclasses import replace

from kedge.errors import Cause
from kedge.kube import columns, faults
from kedge.kube.kinds import Form, Kind, Obj
from kedge.kube.schemas import CoreSchema

_TYPES = ("Normal", "Warning")
_LONGEST, _LONGEST_NOTE = 128, 1024
# Names in the core group, by those in the other one.
_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_OTHERS = {core: name for name, core in _NAMES.items()}
_FIXED = (
    "regarding",
    "reason",
    "note",
    *("deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount"),
    "type",
    "eventTime",
    "action",
    "related",
    "reportingController",
    "reportingInstance",
)
_UNSET = ("deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount")


def shown(event: Obj) -> Obj:
    """An Event of the core group as the other one has it."""
    return {**{_OTHERS.get(key, key): value for key, value in event.items()}, "apiVersion": "events.k8s.io/v1"}


def kept(event: Obj) -> Obj:
    """The same, back."""
    return {**{_NAMES.get(key, key): value for key, value in event.items()}, "apiVersion": "v1"}


def _validate(event: Obj, old: Obj | None) -> list[Cause]:
    return list(_faults(event) if old is None else _changes(event, old))


def _changes(event: Obj, old: Obj) -> Iterator[Cause]:
    """What happened stays as it was told; that it happens again is told in ``series``."""
    for key in _FIXED:
        if (event.get(key) or None) != (old.get(key) or None):
            yield faults.invalid(_NAMES.get(key, key), event.get(key), "field is immutable")


def _faults(event: Obj) -> Iterator[Cause]:
    space, about = event["metadata"].get("namespace"), (event.get("regarding") or {}).get("namespace") or ""
    if about != space and (about or space not in {"default", "kube-system"}):
        yield faults.invalid("involvedObject.namespace", about, "does not match event.namespace")
    yield from _words_faults(event)
    if not event.get("eventTime"):
        yield faults.required("eventTime")
    if event.get("type") not in _TYPES:
        yield faults.invalid("type", "", f"has invalid value: {event.get('type') or ''}")
    for key in _UNSET:
        if event.get(key):
            yield faults.invalid(_NAMES[key], "", "needs to be unset")
    if any((event.get("deprecatedSource") or {}).values()):
        yield faults.invalid("source", "", "needs to be unset")


def _words_faults(event: Obj) -> Iterator[Cause]:
    if controller := event.get("reportingController"):
        yield from faults.qualified("reportingController", controller)
    else:
        yield faults.required("reportingController")
    for key in ("reportingInstance", "action", "reason"):
        if not event.get(key):
            yield faults.required(key)
        elif len(event[key]) > _LONGEST:
            yield faults.invalid(key, "", f"can have at most {_LONGEST} characters")
    if len(event.get("note") or "") > _LONGEST_NOTE:
        yield faults.invalid("message", "", f"can have at most {_LONGEST_NOTE} characters")


EVENT = Kind(
    "Event",
    "events",
    group="events.k8s.io",
    short_names=("ev",),
    schema=CoreSchema("events.Event"),
    form=Form("events", shown, kept),
    field_selectors=(
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "type",
    ),
    validate=_validate,
    columns=tuple(replace(column, value=lambda event, made=column.value: made(kept(event))) for column in columns.EVENT),
    aged=False,
)
