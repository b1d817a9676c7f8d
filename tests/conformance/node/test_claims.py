"""Claims: folders that outlive the Pods that mount them, and what a Pod does whose claim cannot be mounted."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.node.conftest import Node, eventually, terminated

from kedge.errors import NotFound
from kedge.kube import conditions
from kedge.kube.clock import SystemClock, SystemIds
from kedge.kube.core import EVENT, PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Obj
from kedge.kube.storage import PERSISTENT_VOLUME, STORAGE_CLASS
from kedge.node import provisioner
from kedge.node.claims import Claims
from kedge.node.provisioner import Provisioner
from kedge.node.scheduler import Scheduler

MOUNT = {"name": "data", "mountPath": "/data"}


class Host:
    """A node with its scheduler and what binds claims."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.folders = node.settings.home / "claims"
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        scheduler = Scheduler(self.node.client, SystemClock(), SystemIds(), "here", [Claims(self.node.client, self.folders)])
        self.node.api.core.admission = (provisioner.admit, scheduler.admit)
        binder = Provisioner(self.node.client, SystemClock(), SystemIds(), self.folders)
        self.tasks = [asyncio.create_task(scheduler.run()), asyncio.create_task(binder.run())]
        await scheduler.ready()

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def claim(self, name: str = "data", *modes: str, **spec: Any) -> Obj:
        asked = {"accessModes": list(modes) or ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
        return self.node.api.create(PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": name, "namespace": "default"}, "spec": asked})

    def found(self, name: str = "data") -> Obj | None:
        with contextlib.suppress(NotFound):
            return self.node.api.get(PERSISTENT_VOLUME_CLAIM, name, "default")
        return None

    async def bound(self, name: str = "data") -> Obj:
        await eventually(lambda: (self.found(name) or {}).get("status", {}).get("phase") == "Bound")
        found = self.found(name)
        assert found is not None
        return found

    def folder(self, claim: Obj) -> Path:
        return self.folders / claim["spec"]["volumeName"]

    def pod(self, name: str, script: str = "true", *, claim: str = "data", mount: Obj = MOUNT, **spec: Any) -> Obj:
        volume = spec.pop("volume", {"persistentVolumeClaim": {"claimName": claim}})
        given: Obj = {"container": {"volumeMounts": [mount]}, "volumes": [{"name": "data", **volume}], "nodeName": None, **spec}
        return self.node.pod(name, script, **given)

    async def succeeds(self, name: str) -> Obj:
        pod = await self.node.ended(name)
        assert pod["status"]["phase"] == "Succeeded", terminated(pod).get("message")
        return pod

    async def waits(self, name: str, message: str) -> None:
        """Wait until a Pod says that it cannot be scheduled, and why."""

        def said(pod: Obj) -> bool:
            found = conditions.find(pod, "PodScheduled")
            return found is not None and found["reason"] == "Unschedulable" and message in found["message"]

        pod = await self.node.until(name, said)
        assert pod["status"]["phase"] == "Pending"

    def lost(self, name: str) -> str:
        """Take a volume away in spite of its claim; returns its uid."""
        self.node.api.delete(PERSISTENT_VOLUME, name)
        return self.node.api.patch(PERSISTENT_VOLUME, name, None, {"metadata": {"finalizers": None}})["metadata"]["uid"]

    def events(self, name: str) -> list[tuple[str, str]]:
        found = self.node.api.list(EVENT, "default", fields=f"involvedObject.name={name}").items
        return [(event["reason"], event["message"]) for event in found]


@pytest.fixture
async def host(node: Node) -> AsyncIterator[Host]:
    made = Host(node)
    await made.begin()
    try:
        yield made
    finally:
        await made.end()


async def test_what_one_pod_writes_the_next_one_reads(host: Host) -> None:
    host.claim()
    host.pod("one", "echo hello > /data/greeting")
    await host.succeeds("one")
    host.pod("two", "cat /data/greeting; rm -r /data/greeting")
    await host.succeeds("two")
    assert await host.node.log("two") == "hello\n"


async def test_a_claim_is_bound_as_on_a_cluster(host: Host) -> None:
    host.claim(storageClassName=None)
    claim = await host.bound()
    assert claim["spec"]["volumeName"] == f"pvc-{claim['metadata']['uid']}"
    assert claim["spec"]["storageClassName"] == "standard"
    assert claim["status"] == {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
    assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert claim["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] == "yes"
    more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    host.node.api.patch(PERSISTENT_VOLUME_CLAIM, "data", "default", more)
    await eventually(lambda: (host.found() or {})["status"]["capacity"] == {"storage": "2Gi"})


async def test_a_claim_has_a_volume_that_goes_or_stays_as_its_class_says(host: Host) -> None:
    api = host.node.api
    api.create(STORAGE_CLASS, {"metadata": {"name": "lasting"}, "provisioner": "kedge.dev/folder", "reclaimPolicy": "Retain"})
    going, staying = await _bound(host), host.claim("kept", storageClassName="lasting")
    staying = await host.bound("kept")
    volume = api.get(PERSISTENT_VOLUME, going["spec"]["volumeName"])
    spec = {key: volume["spec"][key] for key in ("accessModes", "capacity", "persistentVolumeReclaimPolicy", "storageClassName")}
    assert spec == {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "persistentVolumeReclaimPolicy": "Delete",
        "storageClassName": "standard",
    }
    assert volume["spec"]["hostPath"] == {"path": str(host.folder(going)), "type": ""}
    assert volume["metadata"]["annotations"] == {"pv.kubernetes.io/provisioned-by": "kedge.dev/folder"}
    for claim in (going, staying):
        api.delete(PERSISTENT_VOLUME_CLAIM, claim["metadata"]["name"], "default")
    await eventually(lambda: [each["status"]["phase"] for each in api.list(PERSISTENT_VOLUME).items] == ["Released"])
    assert host.folder(staying).is_dir()
    assert not host.folder(going).exists()
    api.delete(PERSISTENT_VOLUME, staying["spec"]["volumeName"])
    await eventually(lambda: not api.list(PERSISTENT_VOLUME).items)


async def test_a_claim_that_was_bound_before_there_were_volumes_gets_one_and_keeps_its_files(host: Host) -> None:
    claim = await _bound(host)
    (host.folder(claim) / "file").write_text("kept")
    name = claim["spec"]["volumeName"]
    before = host.lost(name)
    await eventually(
        lambda: [each["metadata"]["uid"] for each in host.node.api.list(PERSISTENT_VOLUME).items] not in ([], [before])
    )
    await host.bound()
    assert (host.folder(claim) / "file").read_text() == "kept"


async def test_a_claim_whose_volume_is_gone_is_lost(host: Host) -> None:
    made: Obj = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/srv/nothing"}}
    host.node.api.create(PERSISTENT_VOLUME, {"metadata": {"name": "by-hand"}, "spec": made})
    host.claim(storageClassName="")
    assert (await host.bound())["spec"]["volumeName"] == "by-hand"
    host.lost("by-hand")
    await eventually(lambda: (host.found() or {})["status"]["phase"] == "Lost")
    await eventually(lambda: "Data on the volume is lost!" in dict(host.events("data")).get("ClaimLost", ""))


async def test_a_pod_waits_for_its_claim_and_starts_when_it_is_there(host: Host) -> None:
    host.pod("early")
    await host.waits("early", '0/1 nodes are available: persistentvolumeclaim "data" not found. The Pod starts when')
    await eventually(lambda: "FailedScheduling" in dict(host.events("early")))
    host.claim()
    await host.succeeds("early")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"storageClassName": "gp3"}, 'storageclass.storage.k8s.io "gp3" not found. This host has one, standard'),
        ({"volumeName": "old"}, 'persistentvolume "old" not found'),
        ({"volumeMode": "Block"}, "spec.volumeMode: this host has folders only"),
        ({"selector": {"matchLabels": {"a": "b"}}}, "spec.selector"),
        ({"dataSource": {"kind": "PersistentVolumeClaim", "name": "other"}}, "spec.dataSource"),
    ],
    ids=["class", "volume", "block", "selector", "source"],
)
async def test_a_claim_that_this_host_cannot_bind_says_why_and_so_do_its_pods(host: Host, spec: Obj, message: str) -> None:
    host.claim(**spec)
    host.pod("waiting")
    await host.waits("waiting", "pod has unbound immediate PersistentVolumeClaims. Claim data cannot be bound")
    await host.waits("waiting", message)
    await eventually(lambda: message in dict(host.events("data")).get("ProvisioningFailed", ""))
    assert (host.found() or {})["status"]["phase"] == "Pending"
    # What the claim waits for does not keep it from going.
    host.node.api.delete(PERSISTENT_VOLUME_CLAIM, "data", "default")
    await eventually(lambda: host.found() is None)


async def test_a_claim_in_use_stays_until_the_pod_is_over_and_its_folder_goes_with_it(host: Host) -> None:
    folder = host.folder(await _bound(host))
    host.pod("user", "echo kept > /data/file; mkdir -m 500 /data/closed; sleep 3600")
    await host.node.running("user")
    await eventually((folder / "closed").exists)
    host.node.api.delete(PERSISTENT_VOLUME_CLAIM, "data", "default")
    host.pod("late")
    await host.waits("late", 'persistentvolumeclaim "data" is being deleted. It goes when no Pod uses it')
    assert (folder / "file").read_text() == "kept\n"
    assert (host.found() or {})["metadata"]["deletionTimestamp"]
    host.node.api.delete(POD, "user", "default", grace_period=0)
    await eventually(lambda: host.found() is None)
    assert not folder.exists()
    await eventually(lambda: not list((host.folders / ".removed").iterdir()))


async def test_a_pod_that_has_its_node_already_is_not_kept_from_its_claim_by_the_claims_deletion(host: Host) -> None:
    await _bound(host)
    host.pod("user", "sleep 3600")
    await host.node.running("user")
    host.node.api.delete(PERSISTENT_VOLUME_CLAIM, "data", "default")
    # Both would wait for each other, and the Pod hold its place on the node for ever.
    host.pod("placed", "echo > /data/file", nodeName="here")
    await host.succeeds("placed")
    host.node.api.delete(POD, "user", "default", grace_period=0)
    await eventually(lambda: host.found() is None)


async def test_a_claim_of_a_pod_that_has_ended_goes_at_once(host: Host) -> None:
    folder = host.folder(await _bound(host))
    host.pod("user", "echo > /data/file")
    await host.succeeds("user")
    host.node.api.delete(PERSISTENT_VOLUME_CLAIM, "data", "default")
    await eventually(lambda: host.found() is None)
    assert not folder.exists()


async def test_a_claim_made_anew_under_the_name_of_another_is_empty(host: Host) -> None:
    host.claim()
    host.pod("one", "echo > /data/file")
    await host.succeeds("one")
    host.node.api.delete(PERSISTENT_VOLUME_CLAIM, "data", "default")
    await eventually(lambda: host.found() is None)
    host.claim()
    host.pod("two", "ls -A /data")
    await host.succeeds("two")
    assert await host.node.log("two") == ""


async def test_claims_outlive_the_host_and_those_that_went_meanwhile_leave_nothing(host: Host) -> None:
    host.claim()
    gone = host.folder(await _bound(host, "gone"))
    host.pod("one", "echo hello > /data/greeting")
    await host.succeeds("one")
    await host.end()

    def meanwhile() -> None:
        host.node.api.patch(PERSISTENT_VOLUME_CLAIM, "gone", "default", {"metadata": {"finalizers": None}})
        host.node.api.delete(PERSISTENT_VOLUME_CLAIM, "gone", "default")

    await host.node.restart(meanwhile)
    await host.begin()
    host.pod("two", "cat /data/greeting")
    await host.succeeds("two")
    assert await host.node.log("two") == "hello\n"
    await eventually(lambda: not gone.exists())


async def test_readonly_is_kept_for_a_volume_and_for_a_mount(host: Host) -> None:
    host.claim()
    host.pod("fill", "echo hello > /data/greeting")
    await host.succeeds("fill")
    script = "cat /data/greeting; touch /data/more"
    host.pod("volume", script, volume={"persistentVolumeClaim": {"claimName": "data", "readOnly": True}})
    host.pod("mount", script, mount={**MOUNT, "readOnly": True})
    for name in ("volume", "mount"):
        assert terminated(await host.node.ended(name))["exitCode"] == 1
        assert (await host.node.log(name)).startswith("hello\n")
        assert "Read-only file system" in await host.node.log(name)


async def test_a_sub_path_is_made_and_followed_inside(host: Host) -> None:
    folder = host.folder(await _bound(host))
    host.pod("one", "echo one > /data/file", mount={**MOUNT, "subPath": "a/b"})
    await host.succeeds("one")
    assert (folder / "a" / "b" / "file").read_text() == "one\n"
    (folder / "latest").symlink_to("a/../a/b")
    host.pod("two", "cat /data/file", mount={**MOUNT, "subPath": "latest"})
    host.pod("three", "cat /one.txt", mount={"name": "data", "mountPath": "/one.txt", "subPath": "a/b/file"})
    host.pod("four", "cat /tmp/file", mount={"name": "data", "mountPath": "/tmp", "subPath": "latest"})  # noqa: S108  # the Pod's own
    for name, said in (("two", "one\n"), ("three", "one\n"), ("four", "one\n")):
        await host.succeeds(name)
        assert await host.node.log(name) == said


async def test_where_a_volume_is_mounted_is_not_seen_by_pods_that_do_not_mount_it(host: Host) -> None:
    host.claim()
    host.pod("one", "touch /place/of-claims/file", mount={"name": "data", "mountPath": "/place/of-claims"})
    await host.succeeds("one")
    host.node.pod("two", "test ! -e /place && ls / && test -c /dev/null && touch /tmp/a")
    await host.succeeds("two")
    host.pod("three", "cat /place", mount={"name": "data", "mountPath": "/place", "subPath": "file"})
    await host.succeeds("three")


@pytest.mark.parametrize("target", ["/etc", "../../node", "inner/../../.."], ids=["absolute", "up", "through"])
async def test_a_link_that_a_step_leaves_does_not_lead_out_of_its_claim(host: Host, target: str) -> None:
    host.claim()
    host.pod("evil", f"mkdir /data/inner; ln -s {target} /data/way")
    await host.succeeds("evil")
    for number, path in enumerate(("way", "way/deeper")):
        host.pod(f"victim-{number}", "ls /data", mount={**MOUNT, "subPath": path})
        ended = terminated(await host.node.ended(f"victim-{number}"))
        assert ended["reason"] == "StartError"
        assert f"mountPath /data: subPath '{path}': a link in it leads out of the volume" in ended["message"]


async def test_a_claim_for_one_pod_has_one_pod_at_a_time(host: Host) -> None:
    host.claim("data", "ReadWriteOncePod")
    host.pod("one", "sleep 3600")
    await host.node.running("one")
    host.pod("two")
    await host.waits("two", "ReadWriteOncePod access mode. Claim data is free when Pod default/one has ended.")
    host.node.api.delete(POD, "one", "default", grace_period=0)
    await host.succeeds("two")


async def test_an_ephemeral_volume_is_a_claim_of_the_pods_own(host: Host) -> None:
    template = {
        "metadata": {"labels": {"of": "tests"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    pod = host.pod("p", "echo > /data/file; ls /data", volume={"ephemeral": {"volumeClaimTemplate": template}})
    await host.succeeds("p")
    assert await host.node.log("p") == "file\n"
    claim = host.found("p-data")
    assert claim is not None
    assert claim["metadata"]["labels"] == {"of": "tests"}
    assert [(owner["kind"], owner["uid"]) for owner in claim["metadata"]["ownerReferences"]] == [("Pod", pod["metadata"]["uid"])]
    host.claim("other-data")
    host.pod("other", volume={"ephemeral": {"volumeClaimTemplate": template}})
    await host.waits("other", "PVC default/other-data was not created for pod default/other (pod is not owner)")


async def test_a_pod_that_names_its_node_waits_on_it_for_its_claim(host: Host) -> None:
    host.pod("bold", nodeName="here")
    await eventually(lambda: any('"data" not found' in text for reason, text in host.events("bold") if reason == "FailedMount"))
    host.claim()
    await host.succeeds("bold")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's host gives files to other users")
async def test_users_and_groups_may_write_to_a_claim(host: Host) -> None:
    folder = host.folder(await _bound(host))
    host.pod("plain", "touch /data/plain", securityContext={"runAsUser": 4321})
    await host.succeeds("plain")
    (folder / "inner").mkdir(mode=0o700)
    host.pod("grouped", "touch /data/inner/file", securityContext={"runAsUser": 4321, "fsGroup": 5555})
    await host.succeeds("grouped")
    assert (folder / "inner" / "file").stat().st_gid == 5555
    host.pod("made", "touch /data/file", securityContext={"runAsUser": 4321}, mount={**MOUNT, "subPath": "a/b"})
    await host.succeeds("made")


async def _bound(host: Host, name: str = "data") -> Obj:
    host.claim(name)
    return await host.bound(name)
