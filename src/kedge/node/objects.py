"""ConfigMaps and Secrets as Pods refer to them.

An immutable object is read once: a thousand steps share the launcher and the code of their run. Others are read for each Pod.
"""

from collections import OrderedDict

from kedge.client.types import Reader
from kedge.errors import NotFound
from kedge.kube.core import CONFIG_MAP, SECRET
from kedge.kube.kinds import Kind, Obj

# The newest few: the launcher of this version, and the code of the runs that run.
_MOST = 64


class Objects:
    """Reads what Pods refer to.

    Args:
        reader: Of the Kubernetes API.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._kept: OrderedDict[tuple[str, str, str], Obj] = OrderedDict()

    async def config_map(self, namespace: str, name: str) -> Obj | None:
        """A ConfigMap, or ``None``."""
        return await self._get(CONFIG_MAP, namespace, name)

    async def secret(self, namespace: str, name: str) -> Obj | None:
        """A Secret, or ``None``."""
        return await self._get(SECRET, namespace, name)

    def forget(self, kind: Kind, namespace: str, name: str) -> None:
        """Read it anew next time: it was deleted."""
        self._kept.pop((kind.plural, namespace, name), None)

    async def _get(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        key = (kind.plural, namespace, name)
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return kept
        try:
            found = await self._reader.get(kind, name, namespace)
        except NotFound:
            return None
        if found.get("immutable"):
            self._kept[key] = found
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return found
