"""ConfigMaps, Secrets and the node as Pods refer to them.

Each is read for each Pod that refers to it, immutable ones too: a name may be given to another object at any time, and only the
API knows. The host's own API answers from memory, in a hundredth of a millisecond.
"""

from kedge.client.types import Reader
from kedge.errors import NotFound
from kedge.kube.core import CONFIG_MAP, NODE, SECRET
from kedge.kube.kinds import Kind, Obj


class Objects:
    """Reads what Pods refer to.

    Args:
        reader: Of the Kubernetes API.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def config_map(self, namespace: str, name: str) -> Obj | None:
        """A ConfigMap, or ``None``."""
        return await self._get(CONFIG_MAP, namespace, name)

    async def secret(self, namespace: str, name: str) -> Obj | None:
        """A Secret, or ``None``."""
        return await self._get(SECRET, namespace, name)

    async def node(self, pod: Obj) -> Obj | None:
        """The node that a Pod is on."""
        return await self._get(NODE, None, pod["spec"].get("nodeName") or "")

    async def allocatable(self, pod: Obj) -> dict[str, str]:
        """What a Pod's node has for Pods, by resource."""
        return ((await self.node(pod) or {}).get("status") or {}).get("allocatable") or {}

    async def _get(self, kind: Kind, namespace: str | None, name: str) -> Obj | None:
        try:
            return await self._reader.get(kind, name, namespace)
        except NotFound:
            return None
