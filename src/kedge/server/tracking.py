"""Keeps ``metadata.managedFields`` when an object is created or changed without being applied."""

from typing import Any

from kedge.kube import managers
from kedge.kube.clock import timestamp
from kedge.kube.kinds import Obj
from kedge.kube.managers import Manager
from kedge.server.core import Core, Target, WriteOptions

OWN = "kedge"  # this process's own writes


def track(core: Core, target: Target, pair: tuple[Obj, Obj], options: WriteOptions, given: Any = None) -> None:
    """Put into a new object who owns which of its fields, in place.

    Args:
        core: The server.
        target: Which object, and through which subresource it is written.
        pair: As it was, ``{}`` where it is new, and as it will be.
        options: Who writes; what server-side apply found already.
        given: The ``managedFields`` that the writer sent. Others than before are the writer's to set, an empty list or entry
            takes all away.
    """
    old, new = pair
    before = old["metadata"].get("managedFields") if old else None
    if options.entries is not None:
        _put(new, before, managers.write(options.entries))
        return
    if target.subresource and given is not None:
        given = before  # only the object's own path sets them
    if given is not None and given != before:
        entries = {} if given in ([], [{}]) else managers.read(given)
        if entries == {}:
            return
        owned = entries if entries is not None else managers.stored(old)
    else:
        owned = managers.stored(old) if before else {}
    if not owned and (old or not options.manager):
        return
    manager = Manager(options.manager or OWN, "Update", target.kind.api_version, options.through or target.subresource)
    entries = managers.updated(target.kind, owned, pair, manager, timestamp(core.clock.now()))
    _put(new, before, managers.write(entries))


def _put(new: Obj, before: Any, entries: Any) -> None:
    if entries:
        new["metadata"]["managedFields"] = before if entries == before else entries
