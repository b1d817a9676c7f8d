"""What belongs to whom: objects that an owner's selector finds are adopted, and its own that it no longer finds are released.

The rules are Kubernetes' (https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kedge.control.apply import Change, Update
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import controller, is_deleting, owner_reference, owners, uid_of, with_metadata
from kedge.kube.selectors import from_label_selector, label_predicate, of_owner


@dataclass(frozen=True, slots=True)
class Claimed:
    """What belongs to an owner.

    Attributes:
        mine: The objects, as they will be.
        changes: Those that make it so: references to the owner that are added or taken away.
    """

    mine: tuple[Obj, ...]
    changes: tuple[Change, ...]


def claim(kind: Kind, owner: Obj, candidates: Iterable[Obj], *, of: Kind, fits: Callable[[Obj], bool] | None = None) -> Claimed:
    """Say which objects are an owner's.

    It adopts those without a controller that its selector matches, and releases those of its own that it does not match.

    Args:
        kind: The owner's kind.
        owner: The owner, with its ``spec.selector``. One that is being deleted adopts and releases nothing.
        candidates: Objects of its namespace.
        of: Their kind.
        fits: What else must hold for an object to be adopted.
    """
    matches = label_predicate(from_label_selector(of_owner(owner)))
    uid, leaving = uid_of(owner), is_deleting(owner)
    mine, changes = list[Obj](), list[Change]()
    for obj in candidates:
        holder = controller(obj)
        if holder is not None:
            if holder["uid"] != uid:
                continue
            if matches(obj) or leaving:
                mine.append(obj)
            elif not is_deleting(obj):
                rest = [each for each in owners(obj) if each["uid"] != uid]
                changes.append(Update(of, obj, with_metadata(obj, ownerReferences=rest or None)))
        elif not leaving and not is_deleting(obj) and matches(obj) and (fits is None or fits(obj)):
            adopted = with_metadata(obj, ownerReferences=[*owners(obj), owner_reference(kind, owner)])
            changes.append(Update(of, obj, adopted))
            mine.append(adopted)
    return Claimed(tuple(mine), tuple(changes))
