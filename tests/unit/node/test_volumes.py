"""Volumes as directories: tokens and their renewal, shared data, what is refused."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kedge.client.local import LocalClient
from kedge.kube.clock import timestamp
from kedge.kube.core import CONFIG_MAP, SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.node import users
from kedge.node import volumes as module
from kedge.node.claims import Claims
from kedge.node.env import MissingError
from kedge.node.objects import Objects
from kedge.node.refusals import Host, Refusal
from kedge.node.volumes import VolumeMaker, Volumes, mounts_of
from kedge.server.api import Api
from kedge.testing.api import memory_api
from kedge.testing.clock import FakeClock


class TokenClient(LocalClient):
    """Hands out tokens that are numbered."""

    def __init__(self, api: Api, clock: FakeClock) -> None:
        super().__init__(api)
        self.clock = clock
        self.asked: list[tuple[str | None, Obj]] = []

    async def create(self, kind: Kind, obj: Obj, *, name: str | None = None, subresource: str | None = None) -> Obj:
        assert (kind, subresource) == (SERVICE_ACCOUNT, "token")
        self.asked.append((name, obj))
        end = self.clock.now() + timedelta(seconds=obj["spec"]["expirationSeconds"])
        return {"status": {"token": f"token-{len(self.asked)}", "expirationTimestamp": timestamp(end)}}


class Node:
    """A maker of volumes, and what it works with."""

    def __init__(self, place: Path) -> None:
        self.clock, self.place = FakeClock(), place
        self.api = memory_api(clock=self.clock)
        self.client = TokenClient(self.api, self.clock)
        (place / "shared").mkdir()
        self.maker = VolumeMaker(self.client, Objects(self.client), Claims(self.client, place / "claims"), place / "shared")

    async def make(self, *volumes: Obj, name: str = "p", **spec: Any) -> Volumes:
        self.pod: Obj = {
            "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
            "spec": {"volumes": volumes, **spec},
        }
        return await self.maker.make(self.pod, self.place / name)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


TOKEN = {"serviceAccountToken": {"audience": "kedge", "path": "token", "expirationSeconds": 3600}}


async def test_a_token_is_bound_to_the_pod_and_nobody_else_may_read_it(node: Node) -> None:
    made = await node.make({"name": "t", "projected": {"sources": [TOKEN]}}, serviceAccountName="builder")
    file = made.paths["t"] / "token"
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("token-1", 0o600)
    [(account, request)] = node.client.asked
    assert account == "builder"
    assert request["spec"]["audiences"] == ["kedge"]
    assert request["spec"]["boundObjectRef"] == {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "uid-p"}
    assert made.secrets == ["token-1"]


async def test_a_token_is_renewed_before_its_end(node: Node) -> None:
    made = await node.make({"name": "t", "projected": {"sources": [TOKEN]}})
    file = made.paths["t"] / "token"
    await node.clock.advance(2800)
    await node.maker.renew(node.pod, made, node.clock.now())
    assert file.read_text() == "token-1"
    await node.clock.advance(100)
    await node.maker.renew(node.pod, made, node.clock.now())
    assert file.read_text() == "token-2"
    assert made.tokens[0].renew_at == node.clock.now() + timedelta(seconds=2880)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives anything away")
async def test_a_token_is_its_users_and_still_is_when_it_is_renewed(node: Node) -> None:
    made = await node.make({"name": "t", "projected": {"sources": [TOKEN]}})
    spec: Obj = {"securityContext": {"runAsUser": 4242}, "containers": [{"name": "main"}]}
    pod = made.paths["t"].parent
    (pod / "tmp").mkdir()
    users.hand_over({**spec, "volumes": [{"name": "t", "projected": {}}]}, pod, made.paths, Host(0, (0,)))
    for text, seconds in (("token-1", 0), ("token-2", 2900)):
        await node.clock.advance(seconds)
        await node.maker.renew(node.pod, made, node.clock.now())
        file = made.paths["t"] / "token"
        assert (file.read_text(), file.stat().st_uid, file.stat().st_mode & 0o777) == (text, 4242, 0o600)


async def test_a_thousand_steps_share_one_copy(node: Node) -> None:
    node.api.create(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "default"}, "immutable": True, "data": {"a": "1"}})
    volume = {"name": "c", "configMap": {"name": "c"}}
    paths = {(await node.make(volume, name=f"p{number}")).paths["c"] for number in range(1000)}
    assert len(paths) == 1
    assert len(list((node.place / "shared").iterdir())) == 1


async def test_another_version_is_another_copy(node: Node) -> None:
    config: Obj = {"metadata": {"name": "c", "namespace": "default"}, "data": {"a": "1"}}
    volume = {"name": "c", "configMap": {"name": "c"}}
    node.api.create(CONFIG_MAP, config)
    old = (await node.make(volume)).paths["c"]
    node.api.update(CONFIG_MAP, {**config, "data": {"a": "2"}})
    new = (await node.make(volume)).paths["c"]
    assert [(path / "a").read_text() for path in (old, new)] == ["1", "2"]


async def test_copies_that_nobody_uses_go_after_a_while(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_SHARED", 3)
    for number in range(10):
        node.api.create(CONFIG_MAP, {"metadata": {"name": f"c{number}", "namespace": "default"}, "data": {"a": "1"}})
    made = [await node.make({"name": "c", "configMap": {"name": f"c{number}"}}) for number in range(10)]
    assert len(list((node.place / "shared").iterdir())) == 10
    for volumes in made:
        node.maker.release(volumes)
    assert len(list((node.place / "shared").iterdir())) == 3


async def test_a_missing_item_is_named(node: Node) -> None:
    node.api.create(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "default"}, "data": {"a": "1"}})
    volume = {"name": "c", "configMap": {"name": "c", "items": [{"key": "b", "path": "b"}]}}
    with pytest.raises(MissingError, match="references non-existent key b of configmap c"):
        await node.make(volume)


@pytest.mark.parametrize("inner", ["../x", "/etc", "a/../../b"])
def test_a_sub_path_stays_inside_its_volume(tmp_path: Path, inner: str) -> None:
    container = {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": inner}]}
    with pytest.raises(Refusal, match="must stay inside its volume"):
        mounts_of(container, Volumes(paths={"v": tmp_path}), {})


def test_a_sub_path_may_come_from_a_variable(tmp_path: Path) -> None:
    container = {"volumeMounts": [{"name": "v", "mountPath": "/v/", "subPathExpr": "$(NAME)/logs"}]}
    [mount] = mounts_of(container, Volumes(paths={"v": tmp_path}), {"NAME": "p"})
    assert mount == {"source": str(tmp_path), "target": "/v", "readonly": False, "inside": "p/logs"}
    assert (tmp_path / "p" / "logs").is_dir()
    assert (tmp_path / "p" / "logs").is_dir()
