"""Admission by ResourceQuotas, and what is used of each.

What is used is an index over the stored objects that the log's own writes keep, so it is exact at every moment. Between the look
at it and the write nobody else writes, because both are one call of the event loop: no two requests get more than is left.
"""

from collections.abc import Callable

from kedge.kube import quotas
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, key_of
from kedge.kube.quantities import Amount
from kedge.kube.resource_quotas import RESOURCE_QUOTA
from kedge.server.core import decode
from kedge.server.held import Held
from kedge.server.refusing import forbidden
from kedge.store.types import Record, Store

_REGISTRY = "/registry/"


class Quotas:
    """Hook of the server's that refuses what a ResourceQuota leaves no room for.

    Args:
        store: Where objects lie.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held = Held(store, RESOURCE_QUOTA)
        self._used: dict[Key, tuple[Obj, dict[str, Amount]]] = {}
        self._listeners: list[Callable[[Key], None]] = []
        self._end = store.subscribe(_REGISTRY, self._changed)

    def on_change(self, listener: Callable[[Key], None]) -> None:
        """Call with the key of a quota of which more or less is used than before."""
        self._listeners.append(listener)

    def used(self, key: Key) -> dict[str, Amount] | None:
        """What is used of a quota, by the names that it limits; ``None`` where there is none."""
        quota = self._held.get(key.name, key.namespace)
        return None if quota is None else self._of(quota)

    def admit(self, verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        """Refuse an object that is made or changed: the last of the server's hooks.

        Raises:
            Forbidden: There is no room, or the Pod does not say what it needs.
        """
        namespace = new["metadata"].get("namespace") if kind.namespaced else None
        if verb == "delete" or not namespace:
            return
        for quota in self._held.of(namespace):
            made = verb == "create" and kind.resource == quotas.PODS and quotas.is_about(quota, kind.resource, new)
            if made and (why := quotas.unstated(quota, new)):
                raise forbidden(kind, new, f"failed quota: {quota['metadata']['name']}: {why}")
            before = quotas.usage(quota, kind.resource, old) if old is not None else {}
            asked = quotas.added({}, quotas.usage(quota, kind.resource, new), less=before)
            if any(amount.value > 0 for amount in asked.values()) and (why := quotas.exceeded(quota, self._of(quota), asked)):
                raise forbidden(kind, new, why)

    def _of(self, quota: Obj) -> dict[str, Amount]:
        known = self._used.get(key_of(quota))
        if known is not None and known[0]["spec"] == quota["spec"] and known[0]["metadata"]["uid"] == quota["metadata"]["uid"]:
            return known[1]
        used: dict[str, Amount] = {}
        for resource in quotas.resources_of(quota):
            for record in self._store.list(f"{_REGISTRY}{resource}/{quota['metadata']['namespace']}/").records:
                used = quotas.added(used, quotas.usage(quota, resource, decode(record.value)), less={})
        self._used[key_of(quota)] = (quota, used)
        return used

    def _changed(self, record: Record) -> None:
        resource, _, rest = record.key.removeprefix(_REGISTRY).partition("/")
        namespace, _, name = rest.rpartition("/")
        if resource == RESOURCE_QUOTA.resource and record.deleted:
            self._used.pop(Key(namespace, name), None)
        for quota in self._held.of(namespace) if namespace else ():
            known = self._used.get(key_of(quota))
            if known is None or not quotas.names_of(quota, resource):
                continue
            before = record.value if record.deleted else record.previous
            less = quotas.usage(quota, resource, decode(before)) if before is not None else {}
            more = quotas.usage(quota, resource, decode(record.value)) if not record.deleted else {}
            if less != more:
                self._used[key_of(quota)] = (known[0], quotas.added(known[1], more, less=less))
                for listener in self._listeners:
                    listener(key_of(quota))
