"""The history of a StatefulSet or a DaemonSet: a ControllerRevision for each template that it had."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kedge.control.apply import Change, Create, Delete, Plan, Update, set_status
from kedge.kube.apps import CONTROLLER_REVISION, STATEFUL_SET
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import is_deleting, labels_of, owner_reference
from kedge.kube.names import suffix_of
from kedge.workloads.claiming import Claimed, claim

LABEL = "controller-revision-hash"
"""On each Pod, what it was made of: the name of a StatefulSet's ControllerRevision; of a DaemonSet's, what marks it."""
HASH = "controller.kubernetes.io/hash"
_HASH_LENGTH = 10


@dataclass(frozen=True, slots=True)
class History:
    """What a set was, is and becomes.

    Attributes:
        current: The revision that Pods of before are of.
        update: The revision of its template as it is.
        revisions: All that there are.
        changes: Those that make and number ``update``.
        collides: Whether the name of ``update`` is another's: the next pass takes another.
        collisions: How often that was so, with this time.
    """

    current: Obj
    update: Obj
    revisions: tuple[Obj, ...]
    changes: tuple[Change, ...] = ()
    collides: bool = False
    collisions: int = 0


class Work(Protocol):
    """What one pass does about the Pods of a set.

    Attributes:
        again: Seconds until the set is to be looked at again although nothing changes; known once `changes` are.
    """

    again: float | None

    def changes(self) -> Iterable[Change]:
        """What is to be done."""
        ...

    def status(self) -> Obj:
        """What the status tells."""
        ...


def claimed(kind: Kind, owner: Obj, revisions: Sequence[Obj]) -> tuple[Claimed, History]:
    """Which revisions are a set's, and what follows for its history.

    Args:
        kind: The set's.
        owner: The set.
        revisions: All ControllerRevisions of its namespace.
    """
    mine = claim(kind, owner, revisions, of=CONTROLLER_REVISION)
    return mine, history_of(kind, owner, mine.mine, [each["metadata"]["name"] for each in revisions])


def planned(kind: Kind, owner: Obj, pods: Claimed, revisions: tuple[Claimed, History], work: Work) -> Plan:
    """All that a pass does: the revision of a set comes before its Pods, which wait where the name of it is another's.

    Args:
        kind: The set's.
        owner: The set.
        pods: Which Pods are its own.
        revisions: The same of its revisions, and its history.
        work: What becomes of its Pods, unless it is being deleted.
    """
    mine, history = revisions
    changes = [*pods.changes, *mine.changes]
    again: float | None = None
    if not is_deleting(owner):
        changes += history.changes
        if history.collides:
            again = 0.0
        else:
            changes += work.changes()
            again = work.again
    changes += _superfluous(history, owner, pods.mine)
    changes.append(set_status(kind, owner, work.status()))
    return Plan(tuple(changes), requeue_after=again)


def history_of(kind: Kind, owner: Obj, mine: Sequence[Obj], taken: Iterable[str]) -> History:
    """Find the revision of a set's template among its revisions, or plan it.

    Args:
        kind: The set's.
        owner: The set.
        mine: Its ControllerRevisions.
        taken: Names of all ControllerRevisions of its namespace.
    """
    ordered = sorted(mine, key=_number)
    data = {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}
    status = owner.get("status") or {}
    same = [each for each in ordered if each.get("data") == data]
    top = _number(ordered[-1]) if ordered else 0
    changes, collides = list[Change](), False
    if same and _number(same[-1]) == top:
        update = same[-1]
    elif same:  # as it was before: the same state with a new number
        update = {**same[-1], "revision": top + 1}
        changes.append(Update(CONTROLLER_REVISION, same[-1], update))
    else:
        update = _revision(kind, owner, data, top + 1)
        collides = update["metadata"]["name"] in set(taken)
        if not collides:
            changes.append(Create(CONTROLLER_REVISION, update))
    known = {each["metadata"]["name"]: each for each in mine}
    current = known.get(status.get("currentRevision") or "", update)
    return History(current, update, tuple(ordered), tuple(changes), collides, _collisions(owner) + collides)


def _collisions(owner: Obj) -> int:
    return (owner.get("status") or {}).get("collisionCount") or 0


def _number(revision: Obj) -> int:
    return revision.get("revision") or 0


def _revision(kind: Kind, owner: Obj, data: Obj, number: int) -> Obj:
    meta = owner["metadata"]
    mark = suffix_of(json.dumps([data, _collisions(owner)], sort_keys=True), _HASH_LENGTH)
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    return {
        "metadata": {
            "name": f"{meta['name']}-{mark}",
            "namespace": meta["namespace"],
            "labels": {**labels, (HASH if kind is STATEFUL_SET else LABEL): mark},
            **({"annotations": dict(meta["annotations"])} if meta.get("annotations") else {}),
            "ownerReferences": [owner_reference(kind, owner)],
        },
        "data": data,
        "revision": number,
    }


def template_of(revision: Obj) -> Obj:
    """The template that a revision keeps."""
    template = revision["data"]["spec"]["template"]
    return {key: value for key, value in template.items() if key != "$patch"}


def mark_of(revision: Obj) -> str:
    """What marks a DaemonSet's revision, in the names and labels of what was made of it."""
    return labels_of(revision).get(LABEL) or revision["metadata"]["name"]


def _superfluous(history: History, owner: Obj, pods: Iterable[Obj]) -> list[Change]:
    """The deletions of revisions that nothing is of, and that the history has no room for.

    Args:
        history: What there is.
        owner: The set.
        pods: Its Pods.
    """
    live = {history.current["metadata"]["name"], history.update["metadata"]["name"]}
    live |= {labels_of(pod).get(LABEL) or "" for pod in pods}
    dead = [each for each in history.revisions if not ({each["metadata"]["name"], mark_of(each)} & live or is_deleting(each))]
    limit = owner["spec"].get("revisionHistoryLimit")
    return [Delete(CONTROLLER_REVISION, each) for each in dead[: max(0, len(dead) - (10 if limit is None else max(0, limit)))]]
