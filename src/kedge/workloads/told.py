"""What controllers tell people of an object: Events, as part of a plan."""

from datetime import datetime

from kedge.control.apply import Create
from kedge.kube.clock import timestamp
from kedge.kube.core import EVENT
from kedge.kube.kinds import Kind, Obj
from kedge.kube.names import digest

_LONGEST = 1024  # as a real API server has it


def told(kind: Kind, about: Obj, what: tuple[str, str], now: datetime, *, by: str, warning: bool = False) -> Create:
    """The change that tells of something.

    Args:
        kind: Of what it is about.
        about: What it is about.
        what: The reason, one CamelCase word, and the message.
        now: When. The same told twice in a second is told once.
        by: The controller that tells it.
        warning: Whether somebody should do something.
    """
    meta, moment = about["metadata"], timestamp(now)
    reason, message = what
    seed = " ".join((meta["uid"], reason, message, moment))
    target = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": meta["name"],
        "namespace": meta["namespace"],
        "uid": meta["uid"],
        "resourceVersion": meta.get("resourceVersion"),
    }
    event: Obj = {
        "metadata": {"name": f"{meta['name']}.{digest(seed, 16)}", "namespace": meta["namespace"]},
        "involvedObject": target,
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": message[:_LONGEST],
        "source": {"component": by},
        "reportingComponent": by,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
    return Create(EVENT, event)
