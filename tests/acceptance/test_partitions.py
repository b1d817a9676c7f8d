"""Two machines, each in a network namespace of its own, joined to a host; and one whose link is cut."""

import contextlib
import os
import shutil
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.joined_nodes import BEATS, PODS, Cable, Machine, api, invitation, machine, pod, until

from kedge.testing.host import RunningHost, new_home, settings_of

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="network namespaces with names are root's, by `ip`"),
]
NODES = "/api/v1/nodes"


@dataclass
class World:
    """A host, and the two machines ``a`` and ``b`` that have joined it.

    Attributes:
        server: The host's address.
        owner: The owner's client.
        cable: Between them.
        machines: By name.
    """

    server: str
    owner: httpx.Client
    cable: Cable
    machines: dict[str, Machine]

    def node(self, name: str) -> tuple[str, set[str]]:
        """Whether it is ready, and its taints."""
        found = self.owner.get(f"{NODES}/{name}").json()
        conditions = (found.get("status") or {}).get("conditions") if found["kind"] == "Node" else None
        ready = next((each["status"] for each in conditions or () if each["type"] == "Ready"), "")
        return ready, {taint["effect"] for taint in found.get("spec", {}).get("taints") or ()}

    def pods(self, app: str) -> dict[str, dict[str, Any]]:
        """The Pods of an application that are not being deleted, by their nodes."""
        found = self.owner.get(PODS, params={"labelSelector": f"app={app}"}).json()["items"]
        return {each["spec"].get("nodeName", ""): each for each in found if not each["metadata"].get("deletionTimestamp")}

    def beats(self, name: str, uid: str) -> int:
        """How often a Pod on a machine has shown that it runs."""
        file = self.machines[name].home / "joined" / "node" / "pods" / uid / "tmp" / "beats"
        return file.stat().st_size if file.exists() else 0


@contextlib.contextmanager
def host(address: str) -> Generator[RunningHost]:
    """A host that takes nodes for silent sooner than it would by itself."""
    with new_home() as home:
        made = RunningHost(settings_of(home, {"KEDGE_NODE_MONITOR_GRACE_PERIOD": "15s"}), options=[f"--listen={address}:0"])
        try:
            made.start()
            yield made
        finally:
            made.cli("down")


@pytest.fixture
def world() -> Iterator[World]:
    """See `World`."""
    with contextlib.ExitStack() as stack:
        cable = Cable()
        stack.callback(cable.remove)
        kedge = stack.enter_context(host(cable.address))
        owner = stack.enter_context(api(Path(kedge.host.kubeconfig)))
        made = World(kedge.host.outside, owner, cable, {})
        for name in ("a", "b"):
            space = cable.plug(name)
            made.machines[name] = stack.enter_context(machine("ip", "netns", "exec", space))
            made.machines[name].join(*invitation(kedge), f"--node-name={name}", "--label=role=edge")
            until(lambda name=name: made.node(name)[0] == "True")
        yield made


def deployment(name: str, seconds: int) -> dict[str, Any]:
    """One Pod, on a machine that has joined, which leaves a silent one after so many seconds."""
    made = pod(name, BEATS, restartPolicy="Always", nodeSelector={"role": "edge"})
    made["spec"]["tolerations"] = [
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
    ]
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": made["spec"]}
    return {"metadata": {"name": name}, "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}}


def test_a_node_whose_link_is_cut_is_marked_and_replaced_and_goes_on_and_reconciles_when_it_is_back(world: World) -> None:
    owner = world.owner
    for name, seconds in (("hasty", 1), ("patient", 3600)):
        made = owner.post("/apis/apps/v1/namespaces/default/deployments", json=deployment(name, seconds))
        assert made.status_code == 201, made.text
    until(
        lambda: all(
            "a" in world.pods(name) and world.pods(name)["a"]["status"]["phase"] == "Running" for name in ("hasty", "patient")
        )
    )
    hasty, patient = (world.pods(name)["a"]["metadata"] for name in ("hasty", "patient"))

    world.cable.cut("a")
    until(lambda: world.node("a") == ("Unknown", {"NoSchedule", "NoExecute"}))
    assert world.node("b") == ("True", set())
    until(lambda: "b" in world.pods("hasty") and world.pods("hasty")["b"]["status"]["phase"] == "Running")
    # It is deleted, and stays until its node says that it has ended; nobody knows how the other is.
    assert owner.get(f"{PODS}/{hasty['name']}").json()["metadata"]["deletionTimestamp"]
    conditions = {each["type"]: each["status"] for each in world.pods("patient")["a"]["status"]["conditions"]}
    assert conditions["Ready"] == "False"
    for uid in (hasty["uid"], patient["uid"]):  # both go on
        before = world.beats("a", uid)
        assert before
        until(lambda uid=uid, before=before: world.beats("a", uid) > before)

    world.cable.mend("a")
    until(lambda: world.node("a") == ("True", set()))
    until(lambda: owner.get(f"{PODS}/{hasty['name']}").status_code == 404)
    until(lambda: world.pods("patient")["a"]["status"]["containerStatuses"][0]["ready"])
    back = world.pods("patient")
    assert (list(back), back["a"]["metadata"]["uid"]) == (["a"], patient["uid"])
    assert back["a"]["status"]["containerStatuses"][0]["restartCount"] == 0
    until(
        lambda: {each["type"]: each["status"] for each in world.pods("patient")["a"]["status"]["conditions"]}["Ready"] == "True"
    )
    before = world.beats("a", patient["uid"])
    until(lambda: world.beats("a", patient["uid"]) > before)


def test_a_node_that_is_cut_off_restarts_what_ends_and_tells_of_it_later(world: World) -> None:
    owner = world.owner
    script = "echo . >> /tmp/beats; until test -e /tmp/go; do sleep 0.1; done; rm /tmp/go"
    lasting = pod("lasting", script, "a", restartPolicy="Always", tolerations=[{"operator": "Exists"}])
    assert owner.post(PODS, json=lasting).status_code == 201
    until(lambda: owner.get(f"{PODS}/lasting").json()["status"].get("phase") == "Running")
    uid = owner.get(f"{PODS}/lasting").json()["metadata"]["uid"]
    until(lambda: world.beats("a", uid) == 2)
    world.cable.cut("a")
    (world.machines["a"].home / "joined" / "node" / "pods" / uid / "tmp" / "go").touch()
    until(lambda: world.beats("a", uid) == 4)
    assert owner.get(f"{PODS}/lasting").json()["status"]["containerStatuses"][0]["restartCount"] == 0
    world.cable.mend("a")
    until(lambda: owner.get(f"{PODS}/lasting").json()["status"]["containerStatuses"][0]["restartCount"] == 1)


def test_an_agent_that_starts_while_it_is_cut_off_waits_for_the_host_and_its_pods_run_on(world: World) -> None:
    owner, machine = world.owner, world.machines["a"]
    assert owner.post(PODS, json=pod("steady", BEATS, "a", tolerations=[{"operator": "Exists"}])).status_code == 201
    until(lambda: owner.get(f"{PODS}/steady").json()["status"].get("phase") == "Running")
    uid = owner.get(f"{PODS}/steady").json()["metadata"]["uid"]
    world.cable.cut("a")
    machine.stop()
    machine.join(world.server, "--node-name=a")
    until(lambda: "the API cannot be reached" in machine.said())
    before = world.beats("a", uid)
    until(lambda: world.beats("a", uid) > before)
    world.cable.mend("a")
    until(lambda: machine.said().count("Joined ") == 2)
    owner.delete(f"{PODS}/steady")
    until(lambda: owner.get(f"{PODS}/steady").status_code == 404)
