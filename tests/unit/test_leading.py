"""A hub on a laptop looks for installed ones before it works."""

from typing import Any

import pytest

from kedge.client.types import Page
from kedge.errors import Forbidden, NotFound, StateError
from kedge.kube.kinds import Kind, Obj
from kedge.leading import check_alone
from kedge.manifests import hub
from kedge.manifests.options import Options

ONE = Options("ml", "kedge:1", "s3://bucket/ml", "1.0")


class Holding:
    """Of a cluster's client, what the check asks: an installation's objects."""

    def __init__(self, options: Options, *, limited: bool = False) -> None:
        self._objects = hub.objects(options, ())
        self._limited = limited

    async def get(self, kind: Kind, name: str, namespace: str) -> Obj:
        for obj in self._objects:
            meta = obj["metadata"]
            if (obj["kind"], meta["name"], meta.get("namespace")) == (kind.kind, name, namespace):
                return obj
        raise NotFound(name)

    async def list(self, kind: Kind, *, labels: str) -> Page:
        if self._limited:
            raise Forbidden("not in the whole cluster")
        return Page([obj for obj in self._objects if obj["kind"] == kind.kind and labels in obj["metadata"]["labels"]], "1")


async def check(options: Options, namespace: str, *, limited: bool = False) -> None:
    client: Any = Holding(options, limited=limited)
    await check_alone(client, (namespace,))


async def test_a_namespace_of_an_installed_hub_has_no_other_beside_it() -> None:
    with pytest.raises(StateError, match="namespace ml is served by the Kedge that is installed in namespace ml"):
        await check(ONE, "ml")
    await check(ONE, "other")


async def test_a_hub_of_all_namespaces_has_no_other_beside_it() -> None:
    everywhere = ONE.changed(namespaces=("*",))
    with pytest.raises(StateError, match="all namespaces are served by the Kedge that is installed in namespace ml"):
        await check(everywhere, "other")


async def test_who_may_not_look_into_the_whole_cluster_may_start_a_hub() -> None:
    await check(ONE, "other", limited=True)
