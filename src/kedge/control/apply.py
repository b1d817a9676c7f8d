"""Plans, and the only writer of them.

A reconciler says what shall be; `apply` makes the fewest writes that lead there, none when everything already is so. A plan names
its steps in the order in which they must happen: stopped after any of them, the next pass finds the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kedge import errors
from kedge.client.types import Propagation, Writer
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, key_of, uid_of, with_metadata


@dataclass(frozen=True, slots=True)
class Create:
    """Make an object. That it is already there counts as done: the next pass sees whose it is."""

    kind: Kind
    obj: Obj


@dataclass(frozen=True, slots=True)
class Update:
    """Turn an object, as it was read, into another; nothing when they are equal.

    Attributes:
        kind: The kind.
        before: The object as it was observed, with its ``resourceVersion``.
        after: The object as it shall be.
        subresource: ``status`` to change that alone.
    """

    kind: Kind
    before: Obj
    after: Obj
    subresource: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object, this very one (by uid). That it is gone counts as done; one that is being deleted already is left."""

    kind: Kind
    obj: Obj
    propagation: Propagation = "Background"
    grace_period: int | None = None


Change = Create | Update | Delete


@dataclass(frozen=True, slots=True)
class Plan:
    """What a reconciler wants.

    Attributes:
        changes: In this order.
        requeue_after: Seconds after which to look again although nothing changed; ``None`` for never.
    """

    changes: Sequence[Change] = field(default=())
    requeue_after: float | None = None


def set_status(kind: Kind, obj: Obj, status: Obj) -> Update:
    """The change that gives an object a status.

    Examples:
        >>> set_status(Kind("Run", "runs"), {"metadata": {"name": "a"}}, {"state": "RUNNING"}).after["status"]
        {'state': 'RUNNING'}
    """
    return Update(kind, obj, {**obj, "status": status}, subresource="status")


async def apply(client: Writer, plan: Plan) -> int:
    """Carry out a plan.

    Returns:
        How many writes it took; 0 at the fixed point.

    Raises:
        Conflict: Something changed since it was observed; look again.
        ApiError: What the server said.
    """
    written: _Written = {}
    return sum([await _carry_out(client, change, written) for change in plan.changes])


# The revision that was observed, and the object as this plan has since written it.
_Written = dict[tuple[str, Key], tuple[str, Obj]]


async def _carry_out(client: Writer, change: Change, written: _Written) -> int:
    match change:
        case Create(kind, obj):
            try:
                await client.create(kind, obj)
            except errors.AlreadyExists:
                return 0
        case Update(kind, before, after, subresource):
            if before == after:
                return 0
            where = (kind.resource, key_of(before))
            observed: str = before["metadata"].get("resourceVersion", "")
            first, newest = written.get(where, ("", before))
            if first == observed:
                # A second change of one object follows on the first, although both were planned from one look.
                after = _following(newest, after, subresource)
            written[where] = (observed, await client.update(kind, after, subresource=subresource))
        case Delete(kind, obj, propagation, grace_period):
            return await _delete(client, kind, obj, propagation=propagation, grace_period=grace_period)
    return 1


def _following(newest: Obj, after: Obj, subresource: str | None) -> Obj:
    if subresource is None:
        return with_metadata(after, resourceVersion=newest["metadata"]["resourceVersion"])
    # A write of the status takes metadata too: that of this look would undo the first change.
    return {**newest, "status": after.get("status", {})} if subresource == "status" else after


async def _delete(client: Writer, kind: Kind, obj: Obj, *, propagation: Propagation, grace_period: int | None) -> int:
    if obj["metadata"].get("deletionTimestamp"):
        return 0
    key = key_of(obj)
    try:
        await client.delete(
            kind, key.name, key.namespace or None, uid=uid_of(obj) or None, grace_period=grace_period, propagation=propagation
        )
    except errors.NotFound:
        return 0
    return 1
