"""Conditions and metadata."""

from datetime import UTC, datetime

from kedge.kube import metadata
from kedge.kube.conditions import condition, find, is_true, put
from kedge.kube.kinds import Kind, Obj

_THEN = datetime(2026, 1, 1, tzinfo=UTC)
_NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_repeat_changes_nothing_but_what_it_says() -> None:
    old = [condition("A", status=True, reason="R", now=_THEN), condition("Ready", status=False, reason="R", now=_THEN)]
    assert put(old, condition("Ready", status=False, reason="R", now=_NOW)) == old
    other = put(old, condition("Ready", status=False, reason="Other", now=_NOW))[1]
    assert (other["reason"], other["lastTransitionTime"]) == ("Other", "2026-01-01T00:00:00Z")


def test_the_time_moves_with_the_status() -> None:
    old = [condition("Ready", status=False, reason="R", now=_THEN)]
    new = put(old, condition("Ready", status=None, reason="R", now=_NOW, generation=3))
    assert new == [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "R",
            "message": "",
            "lastTransitionTime": "2026-01-02T00:00:00Z",
            "observedGeneration": 3,
        }
    ]


def test_conditions_are_found() -> None:
    obj: Obj = {"status": {"conditions": put([], condition("Ready", status=True, reason="R", now=_NOW))}}
    assert is_true(obj, "Ready")
    assert find(obj, "Other") is None
    assert not is_true({}, "Ready")


def test_owners_and_finalizers() -> None:
    run = Kind("Run", "runs", group="kedge.dev")
    owner: Obj = {"metadata": {"name": "r", "uid": "1"}}
    reference = metadata.owner_reference(run, owner)
    child: Obj = {"metadata": {"name": "c", "namespace": "n", "ownerReferences": [reference], "finalizers": ["a", "b"]}}
    assert metadata.controller(child) == reference
    assert reference["apiVersion"] == "kedge.dev/v1"
    assert metadata.finalizers(metadata.without_finalizer(child, "a")) == ["b"]
    assert "finalizers" not in metadata.without_finalizer(metadata.without_finalizer(child, "a"), "b")["metadata"]
    assert str(metadata.key_of(child)) == "n/c"
    assert metadata.key_of(owner) == ("", "r")
