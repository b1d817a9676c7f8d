"""What a hub on a laptop looks for in its namespace before it brings its relay there."""

from collections.abc import Sequence
from typing import Any

import pytest

from kedge.client.relay import Identity, Relay
from kedge.client.relay_objects import Wanted, objects
from kedge.client.types import Page
from kedge.errors import StateError
from kedge.kube.kinds import Kind, Obj

IMAGE = "python:3"


class Reached(Exception):
    """The hub went on, and made its relay."""


class Holding:
    """Of a cluster's client, what is asked before a relay is made: the objects of one that is there."""

    namespace = "ml"

    def __init__(self, identity: str, namespace: str) -> None:
        self._objects = objects(Wanted(identity, namespace, IMAGE, "secret"))

    async def list(self, kind: Kind, namespace: str | None, *, labels: str) -> Page:
        found = [obj for each, obj in self._objects if each is kind and labels in obj["metadata"]["labels"]]
        return Page([obj for obj in found if namespace in {None, obj["metadata"]["namespace"]}], "1")

    async def get(self, kind: Kind, name: str, namespace: str) -> Obj:
        raise Reached(kind, name, namespace)


def relay(there: str, namespace: str = "ml", seen: Sequence[str | None] = ()) -> Relay:
    client: Any = Holding(there, namespace)
    return Relay(client, Identity("mine", "secret"), IMAGE, seen=seen)


async def test_a_hub_does_not_start_where_another_ones_relay_is() -> None:
    with pytest.raises(StateError, match=r"another hub's relay, theirs, is in namespace ml.*kedge\.dev/relay=theirs"):
        await relay("theirs").bring()


@pytest.mark.parametrize("seen", [["ml", "other"], [None]], ids=["one of several", "all"])
async def test_a_hub_does_not_look_into_a_namespace_where_another_ones_relay_is(seen: Sequence[str | None]) -> None:
    with pytest.raises(StateError, match="another hub's relay, theirs, is in namespace other"):
        await relay("theirs", "other", seen).bring()


async def test_a_hub_finds_its_own_relay_again() -> None:
    with pytest.raises(Reached):
        await relay("mine").bring()
