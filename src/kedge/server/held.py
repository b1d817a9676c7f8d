"""Objects of a kind that the server asks for with every write: held as they are now, so that none is read from the log for it."""

from kedge.kube.kinds import Kind, Obj
from kedge.server.core import copy
from kedge.store.types import Record, Store


class Held:
    """All objects of one kind. The log's own writes keep it, so it is never behind.

    Args:
        store: Where they lie.
        kind: Which kind.
    """

    def __init__(self, store: Store, kind: Kind) -> None:
        self._prefix = f"/registry/{kind.resource}/"
        self._held: dict[str, dict[str, Obj]] = {}
        self.end = store.subscribe(self._prefix, self._changed)
        for record in store.list(self._prefix).records:
            self._changed(record)

    def of(self, namespace: str) -> list[Obj]:
        """Those of a namespace in the order of their names; ``""`` for a kind without namespaces."""
        found = self._held.get(namespace)
        return [found[name] for name in sorted(found)] if found else []

    def get(self, name: str, namespace: str = "") -> Obj | None:
        """One of them, or ``None``."""
        return self._held.get(namespace, {}).get(name)

    def _changed(self, record: Record) -> None:
        namespace, _, name = record.key.removeprefix(self._prefix).rpartition("/")
        if not record.deleted:
            self._held.setdefault(namespace, {})[name] = copy(record)
        elif (found := self._held.get(namespace)) is not None:
            found.pop(name, None)
            if not found:
                del self._held[namespace]
