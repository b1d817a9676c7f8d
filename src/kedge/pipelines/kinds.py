"""The ``Run`` kind, and the marks that a run leaves on the objects it owns.

A Run is small: what it should do (its pipeline inline up to 64 kB, otherwise by digest of a stored one) and a summary of where
it is. Its graph and history are in SQL. It owns its Pods and ConfigMaps, so that deleting it, or losing the database, leaves
nothing behind without an owner.
"""

from typing import Any

import msgspec

from kedge.errors import Cause
from kedge.kube.clock import parse_timestamp
from kedge.kube.kinds import Column, Kind, Obj
from kedge.pipelines.records import LIVE_RUN_STATES

RUN_LABEL = "kedge.dev/run"
"""On every Pod of a run: the run's UID."""
RECORDED_LABEL = "kedge.dev/recorded"
"""On a Pod whose result is recorded: the controller does not look at it any more, and need not hold ten thousand of them."""
PIPELINE_LABEL = "kedge.dev/pipeline"
TASK_ANNOTATION = "kedge.dev/task"
ATTEMPT_ANNOTATION = "kedge.dev/attempt"
PYTHON_ANNOTATION = "kedge.dev/python"
PROTOCOL_ANNOTATION = "kedge.dev/protocol"
USED_ANNOTATION = "kedge.dev/used"
TRACKING_FINALIZER = "kedge.dev/tracking"
"""On a Pod: its result is not recorded yet. On a Run: it may still have something running."""

INLINE_LIMIT = 64 * 1024
"""Bytes of JSON up to which a pipeline travels inside its Run."""
NAME_LIMIT = 500
"""Characters that a name may have that people choose: lists are sorted by it, and an index of a database holds so much."""

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "pipelineSpec": dict,
    "platformSpec": dict,
    "pipelineDigest": str,
    "pipelineId": str,
    "pipelineVersionId": str,
    "recurringRunId": str,
    "scheduledAt": str,
    "experimentId": str,
    "displayName": str,
    "description": str,
    "parameters": dict,
    "pipelineRoot": str,
    "serviceAccountName": str,
    "terminate": bool,
    "cache": bool,
    "ttlSecondsAfterFinished": int,
}
_WORDS = {dict: "an object", str: "a string", bool: "true or false", int: "a whole number"}
# What may still be changed once the run exists; the rest is history from its first moment.
_MUTABLE = {"terminate", "ttlSecondsAfterFinished", "displayName", "description"}


def _validate(new: Obj, old: Obj | None) -> list[Cause]:
    spec = new.get("spec")
    if not isinstance(spec, dict):
        return [Cause("spec", "is required: give it a pipelineSpec", "FieldValueRequired")]
    causes = [_unknown(name) for name in sorted(set(spec) - set(_FIELDS))]
    for name, kind in _FIELDS.items():
        value = spec.get(name)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            causes.append(Cause(f"spec.{name}", f"must be {_WORDS[kind]}, got {value!r:.60}", "FieldValueTypeInvalid"))  # pyright: ignore[reportArgumentType]
    if causes:
        return causes
    causes = list(pipeline_faults(spec)) if old is None else _change_faults(spec, old.get("spec") or {}, over=is_over(old))
    if old is None and (moment := spec.get("scheduledAt")) is not None and not _is_time(moment):
        causes.append(Cause("spec.scheduledAt", f"must be an RFC 3339 time such as 2026-11-23T09:05:07Z, got {moment!r:.60}"))
    if len(name := spec.get("displayName") or "") > NAME_LIMIT:
        causes.append(
            Cause("spec.displayName", f"must have at most {NAME_LIMIT} characters, got {len(name)}", "FieldValueTooLong")
        )
    if (ttl := spec.get("ttlSecondsAfterFinished")) is not None and ttl < 0:
        causes.append(Cause("spec.ttlSecondsAfterFinished", f"must be >= 0, got {ttl}. Leave it out for the default."))
    return causes


def is_over(run: Obj) -> bool:
    """Whether a Run object says that nothing more happens."""
    state = (run.get("status") or {}).get("state")
    return state is not None and state not in LIVE_RUN_STATES


def _is_time(text: str) -> bool:
    try:
        parse_timestamp(text)
    except (ValueError, OverflowError):
        return False
    return True


def _unknown(name: str) -> Cause:
    known = ", ".join(sorted(_FIELDS))
    return Cause(f"spec.{name}", f"is no field of a Run; there are {known}", "FieldValueNotSupported")


def pipeline_faults(spec: dict[str, Any]) -> list[Cause]:
    """What is wrong with how a Run names its pipeline."""
    inline, digest = spec.get("pipelineSpec"), spec.get("pipelineDigest")
    if inline is None and digest is None:
        return [Cause("spec.pipelineSpec", "is required (or pipelineDigest, of a pipeline that is stored)", "FieldValueRequired")]
    if inline is not None and digest is not None:
        return [Cause("spec.pipelineDigest", "may not be set together with pipelineSpec", "FieldValueForbidden")]
    size = len(msgspec.json.encode((inline, spec.get("platformSpec"))))
    if size > INLINE_LIMIT:
        message = (
            f"must be at most {INLINE_LIMIT} bytes with platformSpec, got {size}. Start the run with kedge run or the REST "
            f"API, which store the pipeline and give the Run its pipelineDigest"
        )
        return [Cause("spec.pipelineSpec", message, "FieldValueTooLong")]
    return []


def _change_faults(new: dict[str, Any], old: dict[str, Any], *, over: bool) -> list[Cause]:
    changed = [name for name in sorted({*new, *old} - _MUTABLE) if new.get(name) != old.get(name)]
    causes = [
        Cause(f"spec.{name}", "may not be changed once the run exists. Start another run", "FieldValueForbidden")
        for name in changed
    ]
    if old.get("terminate") and not new.get("terminate") and not over:
        causes.append(
            Cause("spec.terminate", "may not be taken back: the run is ending. Start another run", "FieldValueForbidden")
        )
    return causes


def _done(run: Obj) -> str:
    tasks = run.get("status", {}).get("tasks") or {}
    return f"{tasks.get('finished', 0)}/{tasks.get('total', 0)}"


def _message(run: Obj) -> str:
    return run.get("status", {}).get("message") or ""


def _fixed(name: str) -> Obj:
    """What `_change_faults` checks of a field, as a rule of a cluster's definition (the Common Expression Language)."""
    return {
        "rule": f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
        "message": "may not be changed once the run exists. Start another run",
        "fieldPath": f".{name}",
    }


_RULES: list[Obj] = [
    {
        "rule": "has(self.pipelineSpec) != has(self.pipelineDigest)",
        "message": "give it a pipelineSpec, or the pipelineDigest of a pipeline that is stored, and not both",
    },
    *(_fixed(name) for name in _FIELDS if name not in _MUTABLE),
]

_STAYS = {
    "rule": "!(has(oldSelf.spec.terminate) && oldSelf.spec.terminate) || (has(self.spec.terminate) && self.spec.terminate) || "
    "(has(oldSelf.status) && has(oldSelf.status.state) && "
    f"!(oldSelf.status.state in {sorted(LIVE_RUN_STATES)}))",
    "message": "may not be taken back: the run is ending. Start another run",
    "fieldPath": ".spec.terminate",
}

# Atomic: whole documents, of which nobody owns a part. An API server would else keep, and go through at each change of the
# status, a tree of who set which field that is larger than the document.
_DOCUMENT: Obj = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "x-kubernetes-map-type": "atomic"}

RUN = Kind(
    "Run",
    "runs",
    group="kedge.dev",
    version="v1",
    short_names=("kr",),
    categories=("all",),
    subresources=("status",),
    schema={
        "type": "object",
        "required": ["spec"],
        "x-kubernetes-validations": [_STAYS],
        "properties": {
            "spec": {
                "type": "object",
                "description": "What to run. Only terminate, ttlSecondsAfterFinished and the texts may change later.",
                "x-kubernetes-validations": _RULES,
                "properties": {
                    "pipelineSpec": _DOCUMENT,
                    "platformSpec": _DOCUMENT,
                    "pipelineDigest": {"type": "string"},
                    "pipelineId": {"type": "string"},
                    "pipelineVersionId": {"type": "string"},
                    "recurringRunId": {"type": "string"},
                    "scheduledAt": {"type": "string", "format": "date-time"},
                    "experimentId": {"type": "string"},
                    "displayName": {"type": "string", "maxLength": NAME_LIMIT},
                    "description": {"type": "string"},
                    "parameters": _DOCUMENT,
                    "pipelineRoot": {"type": "string"},
                    "serviceAccountName": {"type": "string"},
                    "terminate": {"type": "boolean"},
                    "cache": {"type": "boolean"},
                    "ttlSecondsAfterFinished": {"type": "integer", "minimum": 0},
                },
            },
            "status": {
                "type": "object",
                "properties": {"state": {"type": "string"}},
                "x-kubernetes-preserve-unknown-fields": True,
            },
        },
    },
    field_selectors=("status.state",),
    validate=_validate,
    columns=(
        Column("State", lambda run: run.get("status", {}).get("state") or "PENDING", path=".status.state"),
        Column("Tasks", _done, description="Finished and known tasks.", path=".status.progress"),
        Column("Pipeline", lambda run: run.get("status", {}).get("pipeline") or "", priority=1, path=".status.pipeline"),
        Column("Message", _message, description="Why it does not go on, or failed.", path=".status.message"),
    ),
)
