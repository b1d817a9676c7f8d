"""Kubernetes' objects of a host under test, of either kind: as its user reaches them, in the namespace of the runs."""

import asyncio
from contextlib import suppress
from pathlib import Path

from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access, load
from kedge.errors import NotFound
from kedge.kube.kinds import Kind, Obj
from kedge.testing.host import RunningHost


def namespace_of(kedge: RunningHost) -> str:
    """Where its runs go."""
    return _access(kedge).namespace


def listed(kedge: RunningHost, kind: Kind, labels: str = "") -> list[Obj]:
    """Those that there are.

    Args:
        kedge: The host.
        kind: Their kind.
        labels: A label selector.
    """

    async def ask() -> list[Obj]:
        async with HttpClient(access := _access(kedge)) as client:
            return (await client.list(kind, access.namespace, labels=labels)).items

    return asyncio.run(ask())


def forget(kedge: RunningHost, *kinds: Kind) -> None:
    """Delete all that there are at once, as time does, and wait until they are gone."""

    async def delete() -> None:
        async with HttpClient(access := _access(kedge)) as client:
            for kind in kinds:
                while found := (await client.list(kind, access.namespace)).items:
                    for each in found:
                        with suppress(NotFound):
                            await client.delete(kind, each["metadata"]["name"], access.namespace, grace_period=0)

    asyncio.run(delete())


def _access(kedge: RunningHost) -> Access:
    return load(Path(kedge.host.kubeconfig))
