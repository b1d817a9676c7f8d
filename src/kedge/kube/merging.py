"""Which lists of a kind a strategic merge patch merges, and by which key: read from the kind's schema.

Kubernetes' own kinds have it in their schemas (`kube.schemas`); a feature's kind that takes such patches names its lists in
`Kind.merge_keys`. Other kinds take none, as custom resources of a real API server.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from kedge.kube.kinds import Kind
from kedge.kube.schemas import METADATA, CoreSchema


class MergeKeys(Mapping[str, str]):
    """Path of a list without indexes to its merge key, ``""`` for plain values that are merged as a set; looked up when asked.

    Args:
        schema: The object's, without ``metadata``.
        named: Keys that come before those of the schema.
    """

    def __init__(self, schema: Mapping[str, Any], named: Mapping[str, str]) -> None:
        self._schema = schema
        self._found: dict[str, str | None] = dict(named)

    def get(self, key: str, default: Any = None) -> Any:
        """The key of a list; the default where it is replaced whole, or nothing is known of it."""
        if key not in self._found:
            node = self._node(key)
            merged = node is not None and node.get("x-kubernetes-patch-strategy") == "merge"
            self._found[key] = node.get("x-kubernetes-patch-merge-key", "") if node is not None and merged else None
        found = self._found[key]
        return default if found is None else found

    def _node(self, path: str) -> Mapping[str, Any] | None:
        first, *rest = path.split(".")
        node: Any = METADATA if first == "metadata" else (self._schema.get("properties") or {}).get(first)
        for name in rest:
            while node and node.get("type") == "array":
                node = node.get("items")
            if not node:
                return None
            node = (node.get("properties") or {}).get(name) or node.get("additionalProperties")
            if not isinstance(node, Mapping):
                return None
        return node

    def __getitem__(self, key: str) -> str:
        if (found := self.get(key)) is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return (key for key, found in self._found.items() if found is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@lru_cache(maxsize=512)  # users' own kinds come and go
def merge_keys(kind: Kind) -> Mapping[str, str] | None:
    """The merge keys of a kind; ``None`` where it takes no strategic merge patch.

    Examples:
        >>> from kedge.kube.core import POD
        >>> merge_keys(POD)["spec.containers.ports"]
        'containerPort'
    """
    if isinstance(kind.schema, CoreSchema):
        return MergeKeys(kind.schema, kind.merge_keys)
    return kind.merge_keys or None
