"""Pods whose containers are not root's, on a node that root has started."""

import base64
import json
import os
import sys
from typing import Any

import pytest
from tests.conformance.node.conftest import Node, terminated
from tests.conformance.node.test_steps import step

from kedge.kube.core import SECRET

pytestmark = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root becomes somebody else")

SOMEBODY = {"runAsUser": 4242, "runAsGroup": 4343, "runAsNonRoot": True}


async def said(node: Node, name: str, script: str, **spec: Any) -> list[str]:
    """What a Pod's shell script prints, line by line."""
    node.pod(name, script, **spec)
    pod = await node.ended(name)
    log = await node.log(name)
    assert terminated(pod)["exitCode"] == 0, (terminated(pod), log)
    return log.splitlines()


@pytest.mark.parametrize("image", ["debian:12", "python:3"])
async def test_every_place_that_a_container_has_is_its_users(node: Node, image: str) -> None:
    script = """
id -u; id -g; id -G
for place in "$HOME" "$TMPDIR" . /data; do touch "$place/mine" && stat -c %u "$place/mine"; done
echo told > /dev/termination-log; echo seen > /dev/stdout
"""
    volumes = {"volumes": [{"name": "data", "emptyDir": {}}]}
    container = {"image": image, "volumeMounts": [{"name": "data", "mountPath": "/data"}], "workingDir": "/no/such/place"}
    lines = await said(node, "p", script, securityContext=SOMEBODY, container=container, **volumes)
    assert lines == ["4242", "4343", "4343", "4242", "4242", "4242", "4242", "seen"]
    assert terminated(node.get("p"))["message"] == "told\n"


async def test_a_container_says_otherwise_than_its_pod(node: Node) -> None:
    container = {"securityContext": {"runAsUser": 0, "runAsNonRoot": False}}
    assert await said(node, "p", "id -u; id -g", securityContext=SOMEBODY, container=container) == ["0", "4343"]


async def test_a_user_that_this_machine_does_not_know_has_a_group_of_its_number(node: Node) -> None:
    assert await said(node, "p", "id -g; id -G", securityContext={"runAsUser": 4242}) == ["4242", "4242"]


async def test_a_volume_and_what_is_made_in_it_are_the_groups(node: Node) -> None:
    script = "id -G; stat -c '%g %a' /data; touch /data/new; stat -c %g /data/new; stat -c '%g %a' /secret/key; cat /secret/key"
    node.api.create(
        SECRET,
        {"metadata": {"name": "s", "namespace": "default"}, "data": {"key": base64.b64encode(b"open sesame\n").decode()}},
    )
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "secret", "secret": {"secretName": "s", "defaultMode": 0o400}}]
    mounts = [{"name": "data", "mountPath": "/data"}, {"name": "secret", "mountPath": "/secret"}]
    security = SOMEBODY | {"fsGroup": 4444, "supplementalGroups": [4545]}
    lines = await said(node, "p", script, securityContext=security, volumes=volumes, container={"volumeMounts": mounts})
    assert lines == ["4343 4444 4545", "4444 2777", "4444", "4444 440", "***"]


async def test_a_volume_of_memory_is_the_users(node: Node) -> None:
    volumes = [{"name": "data", "emptyDir": {"medium": "Memory"}}]
    container = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    security = SOMEBODY | {"fsGroup": 4444}
    script = "touch /data/x; stat -f -c %T /data; stat -c '%u %g %a' /data; stat -c '%u %g' /data/x"
    assert await said(node, "p", script, securityContext=security, volumes=volumes, container=container) == [
        "tmpfs",
        "4242 4444 2777",
        "4242 4444",
    ]


async def test_containers_of_several_users_share_volumes_and_tmp(node: Node) -> None:
    mounts = [{"name": "data", "mountPath": "/data"}]
    first = {"name": "first", "image": "debian:12", "command": ["sh", "-c", "touch /data/one /tmp/one"], "volumeMounts": mounts}
    container = {"volumeMounts": mounts, "securityContext": {"runAsUser": 4242}}
    volumes = [{"name": "data", "emptyDir": {}}]
    lines = await said(
        node, "p", "touch /data/two /tmp/two; ls /data /tmp", initContainers=[first], container=container, volumes=volumes
    )
    assert [line for line in lines if line in {"one", "two"}] == ["one", "two"] * 2


async def test_a_step_of_ours_is_forked_and_becomes_its_user(node: Node) -> None:
    """Though its environment, its interpreter and its launcher lie where only root can look."""
    source = """
def f(number: int) -> dict:
    import http.client, os, sqlite3, tempfile
    with tempfile.NamedTemporaryFile() as file:
        owner = os.stat(file.name).st_uid
    return {"user": os.getresuid(), "groups": os.getgroups(), "home": os.environ["HOME"], "cwd": os.getcwd(), "file": owner}
"""
    step(node, "p", source, securityContext=SOMEBODY)
    pod = await node.ended("p")
    assert terminated(pod)["exitCode"] == 0, await node.log("p")
    found = json.loads(terminated(pod)["message"])["outputs"]["Output"]
    assert found == {"user": [4242] * 3, "groups": [], "home": "/kedge/home", "cwd": "/kedge/home", "file": 4242}
    assert pod["metadata"]["annotations"]["kedge.dev/started"] == "fork"


async def test_a_step_of_another_user_finds_the_store_and_writes_where_the_hub_lets_it(node: Node) -> None:
    made = node.settings.home / "artifacts" / "run" / "task" / "0"
    made.mkdir(parents=True)
    os.chown(made, 4242, -1)
    node.settings.home.chmod(0o700)  # as a host has it
    source = f"""
def f(number: int) -> list:
    import os
    open("{made}/model", "w").write("mine")
    return [open("{made}/model").read(), os.path.exists("{node.settings.home}/node"), os.access("{made.parent}", os.W_OK)]
"""
    step(node, "p", source, securityContext=SOMEBODY)
    pod = await node.ended("p")
    assert json.loads(terminated(pod)["message"])["outputs"]["Output"] == ["mine", False, False]


async def test_a_user_installs_packages_of_its_own(node: Node) -> None:
    """A program that is no step of ours may add to its environment, as in a container, and changes nobody else's."""
    script = """
import site, sys
open(site.getsitepackages()[0] + "/mine.py", "w").write("x = 1")
import mine
print(mine.x)
"""
    container = {"image": "python:3", "command": ["python3", "-c", script]}
    assert await said(node, "p", "", securityContext=SOMEBODY, container=container) == ["1"]
    container["command"] = ["python3", "-c", "import mine"]
    node.pod("other", container=container)
    assert terminated(await node.ended("other"))["exitCode"] == 1


async def test_an_environment_that_is_closed_to_the_user_is_named(node: Node) -> None:
    look = {"image": "python:3", "command": ["python3", "-c", "import sys; print(sys.prefix)"]}
    environment = (await said(node, "first", "", container=look))[0]
    os.chmod(environment, 0o700)  # noqa: PTH101  # shorter, in a function that must not wait for files
    try:
        node.pod("p", securityContext=SOMEBODY, container={"image": "python:3"})
        pod = await node.ended("p")
    finally:
        os.chmod(environment, 0o755)  # noqa: PTH101, S103
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "ClosedToUser")
    expected = f"securityContext.runAsUser: user 4242 may not pass through {environment}, so it cannot reach {environment}. "
    assert pod["status"]["message"].startswith(expected + f"Open it (chmod o+x {environment}), or remove runAsUser.")
