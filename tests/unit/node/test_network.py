"""The agent's side of the Pods' network: who gets one, what is found in it, and what becomes of it when a side dies."""

import asyncio
import fcntl
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kedge.errors import KedgeError
from kedge.kube.kinds import Obj
from kedge.node import names, network
from kedge.node.network import PodNetwork
from kedge.node.services import table

DEADLINE = 60.0


def pod(name: str = "web-0", **spec: Any) -> Obj:
    meta = {"name": name, "namespace": "team", "uid": f"uid-of-{name}"}
    return {"metadata": meta, "spec": {"containers": [{"name": "main"}], **spec}}


def test_steps_of_runs_and_pods_of_the_machines_network_get_none() -> None:
    step = pod()
    step["metadata"]["labels"] = {network.RUN: "run-1"}
    assert [network.wants_own(each) for each in (pod(), pod(hostNetwork=True), step)] == [True, False, False]


def test_a_pod_finds_itself_under_all_its_names() -> None:
    named = pod(hostname="zero", subdomain="db")
    assert names.hosts_of(named, "10.244.0.7").endswith("10.244.0.7\tzero.db.team.svc.cluster.local\tzero\n")
    assert network.hostname_of(named) == "zero"
    assert (
        network.hostname_of({**named, "spec": {**named["spec"], "setHostnameAsFQDN": True}}) == "zero.db.team.svc.cluster.local"
    )
    assert network.hostname_of(pod("a" * 62 + ".b")) == "a" * 62


def test_short_names_are_looked_for_in_the_cluster_first_unless_the_pod_says_otherwise() -> None:
    lines = names.resolver_of(pod()).splitlines()
    assert lines[0].split()[:4] == ["search", "team.svc.cluster.local", "svc.cluster.local", "cluster.local"]
    assert lines[1:] == ["nameserver 10.96.0.10", "options ndots:5"]
    assert "svc.cluster.local" not in names.resolver_of(pod(dnsPolicy="Default"))


def test_what_stands_behind_a_service_is_gathered_from_all_its_slices() -> None:
    service = {
        "metadata": {"name": "web", "namespace": "team"},
        "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 80}], "sessionAffinity": "ClientIP"},
    }

    def slice_of(*endpoints: Obj, **more: Any) -> Obj:
        labels = {"kubernetes.io/service-name": "web"}
        meta = {"name": "any", "namespace": "team", "labels": labels}
        return {"metadata": meta, "addressType": "IPv4", "ports": [{"name": "", "port": 8080}], "endpoints": [*endpoints], **more}

    slices = [
        slice_of(
            {"addresses": ["10.244.0.3"], "conditions": {"ready": False}}, {"addresses": ["10.244.0.2"], "hostname": "zero"}
        ),
        slice_of({"addresses": ["10.244.0.4"], "conditions": {"ready": True}}),
        slice_of({"addresses": ["fd00::1"]}, addressType="IPv6"),
    ]
    (made,) = table([service], slices)
    assert made["endpoints"] == [
        {"ip": "10.244.0.2", "hostname": "zero", "ports": {"": 8080}},
        {"ip": "10.244.0.4", "hostname": "", "ports": {"": 8080}},
    ]
    assert (made["ports"], made["affinity"]) == ([{"name": "", "protocol": "TCP", "port": 80}], 10800)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A node's directory whose supervisor lives, as far as others can see; with a short path."""
    made = Path(tempfile.mkdtemp(prefix="kedge-"))
    with (made / "supervisor.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield made
    shutil.rmtree(made)


async def begun(directory: Path) -> PodNetwork:
    made = PodNetwork(directory, [])
    await made.begin("", "")
    if await made.give(pod("first")) is None:
        pytest.skip(f"this machine does not allow it: {made.refusal}")
    return made


async def until(condition: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(0.01)  # likewise


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="needs network namespaces, and root without a supervisor"
)
class TestReal:
    """With the real processes."""

    async def test_each_pod_has_its_own_and_keeps_it_over_a_hubs_end(self, directory: Path) -> None:
        made = await begun(directory)
        given = [await made.give(pod(f"pod-{number}")) for number in range(12)]
        assert len({each.inode for each in given if each}) == len({each.address for each in given if each}) == 12
        assert await made.give(pod("pod-3")) == given[3]
        await made.stop()
        again = PodNetwork(directory, [])
        await again.begin("", "")
        assert again.connected
        assert [await again.give(pod(f"pod-{number}")) for number in range(12)] == given
        await again.keep_only({"uid-of-pod-3"})
        assert [again.has(f"uid-of-pod-{number}") for number in (3, 4)] == [True, False]
        await again.stop(end=True)

    async def test_a_network_that_died_is_another_one_for_what_starts_then(self, directory: Path) -> None:
        made = await begun(directory)
        before = await made.give(pod())
        assert before is not None
        os.kill(int(before.path.split("/")[2]), signal.SIGKILL)  # the process in the Pods' network; the other ends with it
        with pytest.raises(KedgeError, match="network"):
            await made.give(
                pod("next", containers=[{"name": "main", "ports": [{"containerPort": 1, "hostPort": 1, "protocol": "TCP"}]}])
            )
        await until(lambda: not made.connected)
        after = await made.give(pod())
        assert after is not None
        assert after.path != before.path
        await made.stop(end=True)

    async def test_who_is_not_there_is_told_from_a_port_that_nobody_listens_at(self, directory: Path) -> None:
        made = await begun(directory)
        given = await made.give(pod())
        assert given is not None
        for arguments, pods in (((given.address, 80), ""), (("127.0.0.1", 80), "uid-of-web-0")):
            with pytest.raises(ConnectionRefusedError):
                await made.connect(*arguments, pod=pods)
        await made.stop(end=True)
