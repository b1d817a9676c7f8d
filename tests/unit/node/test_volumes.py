"""Volumes as directories: tokens and their renewal, shared data, what is refused."""

import base64
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kedge.client.local import LocalClient
from kedge.kube.clock import timestamp
from kedge.kube.core import CONFIG_MAP, SECRET, SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.node import users
from kedge.node import volumes as module
from kedge.node.claims import Claims
from kedge.node.env import MissingError
from kedge.node.network import RUN
from kedge.node.objects import Objects
from kedge.node.refusals import Host, Refusal
from kedge.node.volumes import VolumeMaker, Volumes, made_before, mounts_of
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

    async def make(self, *volumes: Obj, name: str = "p", step: bool = False, **spec: Any) -> Volumes:
        labels = {"labels": {RUN: "r"}} if step else {}
        self.pod: Obj = {
            "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", **labels},
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


async def test_what_an_agent_before_has_made_is_kept_up_to_date(node: Node) -> None:
    labels = {"path": "team", "fieldRef": {"fieldPath": "metadata.labels['team']"}}
    named = {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}
    volume: Obj = {"name": "t", "projected": {"sources": [TOKEN, {"downwardAPI": {"items": [labels, named]}}]}}
    files = (await node.make(volume)).paths["t"]
    found = made_before(node.pod, node.place / "p", node.clock.now())
    assert [each.source["path"] for each in found.told] == ["team"]
    node.pod["metadata"]["labels"] = {"team": "red"}
    await node.maker.renew(node.pod, found, node.clock.now())
    await node.maker.tell(node.pod, found)
    assert [(files / name).read_text() for name in ("token", "team", "name")] == ["token-2", "red", "p"]
    await node.maker.renew(node.pod, found, node.clock.now())
    assert (files / "token").read_text() == "token-2"
    assert made_before(node.pod, node.place / "not-started", node.clock.now()) == Volumes()


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


CONFIG: Obj = {"metadata": {"name": "c", "namespace": "default"}, "data": {"a": "1", "b": "1"}}
KEY: Obj = {"metadata": {"name": "s", "namespace": "default"}, "data": {"k": base64.b64encode(b"one").decode()}}
FOLLOWED: list[Obj] = [
    {"name": "c", "configMap": {"name": "c"}},
    {"name": "late", "secret": {"secretName": "late", "optional": True, "defaultMode": 0o400}},
    {
        "name": "p",
        "projected": {
            "sources": [TOKEN, {"configMap": {"name": "c", "items": [{"key": "a", "path": "d/a"}]}}, {"secret": {"name": "s"}}]
        },
    },
]


@pytest.mark.parametrize("adopted", [pytest.param(False, id="the same agent"), pytest.param(True, id="an agent after it")])
async def test_files_follow_their_objects_while_a_pod_runs(node: Node, *, adopted: bool) -> None:
    node.api.create(CONFIG_MAP, CONFIG)
    node.api.create(SECRET, KEY)
    made = await node.make(*FOLLOWED)
    paths = made.paths
    watched = made_before(node.pod, node.place / "p", node.clock.now()) if adopted else made
    config, projected = paths["c"], paths["p"]
    with (config / "a").open() as before:
        node.api.update(CONFIG_MAP, {**CONFIG, "data": {"a": "2", "n": "new"}})
        node.api.update(SECRET, {**KEY, "data": {"k": base64.b64encode(b"two").decode()}})
        node.api.create(SECRET, {**KEY, "metadata": {"name": "late", "namespace": "default"}})
        await node.maker.follow(node.pod, watched)
        assert before.read() == "1"  # a file is replaced as a whole
    assert {file.name: file.read_text() for file in config.iterdir()} == {"a": "2", "n": "new"}
    assert [(projected / name).read_text() for name in ("d/a", "k", "token")] == ["2", "two", "token-1"]
    assert ((paths["late"] / "k").read_text(), (paths["late"] / "k").stat().st_mode & 0o777) == ("one", 0o400)
    assert {"one", "two"} <= set(watched.secrets)
    node.api.delete(CONFIG_MAP, "c", "default")
    node.api.delete(SECRET, "late", "default")
    await node.maker.follow(node.pod, watched)
    assert (config / "a").read_text() == "2"
    assert list(paths["late"].iterdir()) == []


async def test_what_cannot_change_is_not_looked_at_again(node: Node) -> None:
    """Nor is what every Pod has: a thousand Pods that wait cost nothing."""
    node.api.create(CONFIG_MAP, {**CONFIG, "immutable": True})
    authority: Obj = {"metadata": {"name": "kube-root-ca.crt", "namespace": "default"}, "data": {"ca.crt": "A"}}
    node.api.create(CONFIG_MAP, authority)
    access: Obj = {"name": "t", "projected": {"sources": [TOKEN, {"configMap": {"name": "kube-root-ca.crt"}}]}}
    assert (await node.make(FOLLOWED[0], access)).live == []


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
    old = (await node.make(volume, step=True)).paths["c"]
    node.api.update(CONFIG_MAP, {**config, "data": {"a": "2"}})
    new = (await node.make(volume, step=True)).paths["c"]
    assert [(path / "a").read_text() for path in (old, new)] == ["1", "2"]


async def test_copies_that_nobody_uses_go_after_a_while(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_SHARED", 3)
    for number in range(10):
        node.api.create(CONFIG_MAP, {"metadata": {"name": f"c{number}", "namespace": "default"}, "data": {"a": "1"}})
    made = [await node.make({"name": "c", "configMap": {"name": f"c{number}"}}, step=True) for number in range(10)]
    assert len(list((node.place / "shared").iterdir())) == 10
    for volumes in made:
        node.maker.release(volumes)
    assert len(list((node.place / "shared").iterdir())) == 3


async def test_a_missing_item_is_named(node: Node) -> None:
    node.api.create(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "default"}, "data": {"a": "1"}})
    volume = {"name": "c", "configMap": {"name": "c", "items": [{"key": "b", "path": "b"}]}}
    with pytest.raises(MissingError, match="references non-existent key b of configmap c"):
        await node.make(volume)


async def _tries(node: Node, volume: Obj) -> None:
    """What a volume whose file would be called ``name`` is refused with."""
    with pytest.raises(Refusal, match="it must lie in the volume"):
        await node.make({"name": "v", **volume})
    assert not (node.place / "out").exists()
    assert not list(node.place.glob("**/out"))


@pytest.mark.parametrize("name", ["../out", "../../../out", "a/../../out", "..", ".", "a/", "/../out"])
async def test_no_name_of_a_file_leads_out_of_its_volume_whatever_is_stored(node: Node, name: str) -> None:
    """The API server refuses such names; these were stored before it did."""
    for kind, value in ((CONFIG_MAP, "1"), (SECRET, "MQ==")):
        meta = {"name": "bad", "namespace": "default", "uid": f"uid-{kind.kind}"}
        stored = {"apiVersion": "v1", "kind": kind.kind, "metadata": meta, "data": {name: value, "good": value}}
        node.api.core.store.create(f"/registry/{kind.plural}/default/bad", json.dumps(stored).encode())
    items = [{"key": "good", "path": name}]
    account = {"serviceAccountToken": {"path": name}}
    label = {"downwardAPI": {"items": [{"path": name, "fieldRef": {"fieldPath": "metadata.name"}}]}}
    for volume in (
        {"configMap": {"name": "bad"}},
        {"configMap": {"name": "bad", "items": items}},
        {"secret": {"secretName": "bad"}},
        {"secret": {"secretName": "bad", "items": items}},
        label,
        {"projected": {"sources": [{"configMap": {"name": "bad", "items": items}}]}},
        {"projected": {"sources": [{"secret": {"name": "bad", "items": items}}]}},
        {"projected": {"sources": [account]}},
        {"projected": {"sources": [label]}},
    ):
        await _tries(node, volume)


async def test_a_file_is_not_written_through_a_link(node: Node) -> None:
    """A process of the same user may put one into a volume's directory while the node works."""
    (node.place / "p" / "t.volume").mkdir(parents=True)
    (node.place / "elsewhere").mkdir()
    (node.place / "p" / "t.volume" / "a").symlink_to(node.place / "elsewhere")
    source = {"serviceAccountToken": {"path": "a/token"}}
    with pytest.raises(OSError, match="a"):
        await node.make({"name": "t", "projected": {"sources": [source]}})
    assert not list((node.place / "elsewhere").iterdir())


async def test_a_token_that_is_renewed_is_not_written_through_a_link(node: Node) -> None:
    made = await node.make({"name": "t", "projected": {"sources": [TOKEN]}})
    (node.place / "victim").write_text("mine")
    for name in ("token", "token.new", "..token"):
        (made.paths["t"] / name).unlink(missing_ok=True)
        (made.paths["t"] / name).symlink_to(node.place / "victim")
    await node.clock.advance(2900)
    with pytest.raises(OSError, match="token"):
        await node.maker.renew(node.pod, made, node.clock.now())
    assert (node.place / "victim").read_text() == "mine"


async def test_a_file_of_a_volume_gives_nobody_its_owners_rights(node: Node) -> None:
    node.api.create(SECRET, {"metadata": {"name": "s", "namespace": "default"}, "data": {"a": "MQ=="}})
    made = await node.make({"name": "s", "secret": {"secretName": "s", "defaultMode": 0o4755}})
    assert (made.paths["s"] / "a").stat().st_mode & 0o7777 == 0o755


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


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        pytest.param("$(AWAY)/x", "must stay inside its volume", id="leads out"),
        pytest.param("$(ROOT)", "must stay inside its volume", id="from the root"),
        pytest.param("$(NONE)/x", 'missing value for "NONE"', id="of nothing"),
    ],
)
def test_a_place_that_variables_do_not_name_is_waited_for(expression: str, message: str) -> None:
    """They may tell of annotations, which change: a cluster starts the container then."""
    container = {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPathExpr": expression}]}
    with pytest.raises(MissingError, match=message):
        mounts_of(container, Volumes({"v": Path("/volume")}), {"AWAY": "..", "ROOT": "/etc"})
