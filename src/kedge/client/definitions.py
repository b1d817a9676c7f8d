"""Waiting until a cluster serves a kind that it was told of."""

import asyncio
from typing import Any

from kedge.client.types import Reader
from kedge.errors import StateError
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
        StateError: Its names are another kind's, or it is not served after 30 s.
    """
    name = definition["metadata"]["name"]
    try:
        async with asyncio.timeout(_SECONDS):
            while not is_established(definition):
                for condition in _refusals(definition, "NamesAccepted"):
                    raise StateError(
                        f"CustomResourceDefinition {name}: the cluster does not serve it: {condition.get('message')}, by another "
                        "kind of its group. Find that one (kubectl get customresourcedefinitions), delete it if nobody needs it, "
                        "and run the command again."
                    )
                await asyncio.sleep(_LOOK_SECONDS)
                definition = await reader.get(CRD, name)
    except TimeoutError as error:
        why = "; ".join(str(one.get("message") or one.get("reason")) for one in _refusals(definition)) or "it does not say why"
        raise StateError(
            f"CustomResourceDefinition {name}: the cluster does not serve it after {_SECONDS:g} s: {why}. Where the API server "
            f"has much to do, run the command again; kubectl describe customresourcedefinition {name} says more."
        ) from error


def _refusals(definition: Obj, kind: str = "") -> list[dict[str, Any]]:
    """Conditions that say no."""
    conditions: list[dict[str, Any]] = (definition.get("status") or {}).get("conditions") or []
    return [one for one in conditions if one["status"] == "False" and kind in {"", one["type"]}]
