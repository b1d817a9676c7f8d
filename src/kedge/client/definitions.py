"""Waiting until a cluster serves a kind that it was told of."""

import asyncio

from kedge.client.types import Reader
from kedge.kube.crds import CRD, is_established
from kedge.kube.kinds import Obj

_SECONDS = 30.0
_LOOK_SECONDS = 0.05


async def established(reader: Reader, definition: Obj) -> None:
    """Return when a kind is served.

    Args:
        reader: Reads the cluster.
        definition: The CustomResourceDefinition, as last seen.

    Raises:
        TimeoutError: It is not, after 30 s.
    """
    async with asyncio.timeout(_SECONDS):
        while not is_established(definition):
            await asyncio.sleep(_LOOK_SECONDS)
            definition = await reader.get(CRD, definition["metadata"]["name"])
