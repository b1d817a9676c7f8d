"""What a Pod gets: the kubelet's promises, with real processes."""

import asyncio
import base64
import math
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.node.conftest import PATIENCE, Node, eventually, terminated

from kedge.errors import BadRequest
from kedge.kube import quantities
from kedge.kube.core import CONFIG_MAP, EVENT, NODE, POD, SECRET
from kedge.kube.kinds import Obj

REFERENCE = {"configMapKeyRef": {"name": "c", "key": "a"}}
GATED = "while [ ! -e /tmp/go ]; do sleep 0.01; done"  # until `Node.go`: what is short may never be seen running
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs a private view of the file system")


@pytest.mark.parametrize(
    ("script", "phase", "code", "reason"),
    [
        pytest.param("exit 0", "Succeeded", 0, "Completed", id="succeeds"),
        pytest.param("exit 3", "Failed", 3, "Error", id="fails"),
        pytest.param("kill -9 $$$$", "Failed", 137, "Error", id="is killed"),
    ],
)
async def test_a_pod_ends_as_its_container_does(node: Node, script: str, phase: str, code: int, reason: str) -> None:
    node.pod("p", script)
    pod = await node.ended("p")
    assert pod["status"]["phase"] == phase
    assert (terminated(pod)["exitCode"], terminated(pod)["reason"]) == (code, reason)


@linux
@pytest.mark.parametrize("readonly", [False, True])
async def test_nothing_of_the_data_directory_is_seen_but_the_pods_own_home(node: Node, *, readonly: bool) -> None:
    home = node.settings.home
    (home / "pki").mkdir()
    for name in ("host.json", "objects.db", "pki/owner.token"):
        (home / name).write_text("secret")
    script = f"""
        exec 2> /dev/null
        ls -A {home} {home}/node {home}/node/pods; cat {home}/host.json {home}/objects.db {home}/pki/owner.token
        touch {home}/mine && echo touched the data directory
        cd; pwd; echo written > file; cat file
    """
    place = {"volumes": [{"name": "v", "emptyDir": {}}]}
    container = {"volumeMounts": [{"name": "v", "mountPath": "/v"}], "securityContext": {"readOnlyRootFilesystem": readonly}}
    node.pod("p", script, container=container, **place)
    pod = await node.ended("p")
    said = await node.log("p")
    uid = pod["metadata"]["uid"]
    assert "secret" not in said
    assert "touched" not in said
    assert said.splitlines()[-2:] == [str(home / "node" / "pods" / uid / "home"), "written"]
    seen = [line for line in said.splitlines() if line and not line.startswith("/")]
    assert seen == ["node", "pods", uid, "written"]
    assert not (home / "mine").exists()


async def test_the_termination_message_arrives(node: Node) -> None:
    node.pod("p", "echo hello > /dev/termination-log")
    assert terminated(await node.ended("p"))["message"] == "hello\n"


async def test_a_termination_message_is_cut_where_the_kubelet_cuts_it(node: Node) -> None:
    node.pod("p", "head -c 10000 /dev/zero | tr '\\0' x > /dev/termination-log")
    assert len(terminated(await node.ended("p"))["message"]) == 4096


async def test_the_log_stands_in_for_the_message_where_that_is_asked_for(node: Node) -> None:
    node.pod("p", "echo why; exit 1", container={"terminationMessagePolicy": "FallbackToLogsOnError"})
    assert terminated(await node.ended("p"))["message"] == "why\n"


async def test_init_containers_run_in_order_and_before_the_others(node: Node) -> None:
    one = {"name": "one", "image": "busybox", "command": ["sh", "-c", "sleep 0.05; echo one >> /shared/order"]}
    two = {"name": "two", "image": "busybox", "command": ["sh", "-c", "echo two >> /shared/order"]}
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/shared"}]}
    node.pod(
        "p",
        "cat /shared/order",
        container=mount,
        initContainers=[one | mount, two | mount],
        volumes=[{"name": "work", "emptyDir": {}}],
    )
    pod = await node.ended("p")
    assert await node.log("p") == "one\ntwo\n"
    assert [each["ready"] for each in pod["status"]["initContainerStatuses"]] == [True, True]


async def test_an_init_container_that_fails_ends_the_pod(node: Node) -> None:
    node.pod("p", "echo never", initContainers=[{"name": "init", "image": "busybox", "command": ["sh", "-c", "exit 5"]}])
    pod = await node.ended("p")
    assert pod["status"]["phase"] == "Failed"
    assert terminated(pod, "init")["exitCode"] == 5
    assert "waiting" in pod["status"]["containerStatuses"][0]["state"]


async def test_a_sidecar_runs_beside_main_and_is_stopped_after_it(node: Node) -> None:
    """It is told by SIGTERM, may take its time, and does not decide how the Pod ends."""
    script = "trap 'cat /shared/result; exit 9' TERM; echo up; while :; do sleep 0.01; done"
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/shared"}]}
    sidecar = {"name": "side", "image": "busybox", "restartPolicy": "Always", "command": ["sh", "-c", script], **mount}
    node.pod(
        "p",
        "sleep 0.1; echo result > /shared/result",
        container=mount,
        initContainers=[sidecar],
        volumes=[{"name": "work", "emptyDir": {}}],
    )
    pod = await node.ended("p")
    assert pod["status"]["phase"] == "Succeeded"
    assert terminated(pod, "side")["exitCode"] == 9
    log = await node.log("p", "side")
    assert (log.startswith("up\n"), log.endswith("result\n")) == (True, True)


async def test_a_container_that_fails_is_started_again_where_that_is_asked_for(node: Node) -> None:
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/shared"}]}
    node.pod(
        "p",
        "echo try; [ -e /shared/x ] || { touch /shared/x; exit 1; }",
        container=mount,
        restartPolicy="OnFailure",
        volumes=[{"name": "work", "emptyDir": {}}],
    )
    pod = await node.ended("p")
    status = pod["status"]["containerStatuses"][0]
    assert (pod["status"]["phase"], status["restartCount"]) == ("Succeeded", 1)
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert await node.log("p", previous=True) == "try\n"


async def test_a_crash_loop_waits_longer_each_time(node: Node) -> None:
    node.pod("p", "exit 1", restartPolicy="Always")

    def backs_off(pod: Obj) -> bool:
        waiting = pod["status"].get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {})
        return waiting.get("reason") == "CrashLoopBackOff"

    pod = await node.until("p", backs_off)
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 1
    assert pod["status"]["phase"] == "Running"


async def test_a_deadline_ends_a_pod(node: Node) -> None:
    node.pod("p", "sleep 1000", activeDeadlineSeconds=1, terminationGracePeriodSeconds=0)
    status = (await node.ended("p"))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")


async def test_deleting_a_pod_asks_first(node: Node) -> None:
    """And the object stays until its processes are gone."""
    node.pod(
        "p",
        "trap 'sleep 0.1; exit 7' TERM; echo up; while :; do sleep 0.01; done",
        metadata={"finalizers": ["kedge.dev/tracking"]},
    )
    pod = await node.running("p")
    log = node.settings.home / "node" / "pods" / pod["metadata"]["uid"] / "main.0.log"
    await eventually(lambda: log.stat().st_size)
    node.api.delete(POD, "p", "default")
    assert terminated(await node.ended("p"))["exitCode"] == 7


async def test_deleting_a_pod_that_does_not_listen_kills_it_after_its_grace_period(node: Node) -> None:
    node.pod("p", "trap '' TERM; while :; do sleep 0.01; done", terminationGracePeriodSeconds=1)
    await node.running("p")
    pid = node.pid("p")
    node.api.delete(POD, "p", "default")
    await node.gone(pid)
    await eventually(lambda: not node.api.list(POD, "default").items)


@linux
class TestVolumes:
    """Files, as directories in a Pod."""

    async def test_a_config_map_that_was_made_anew_under_its_name(self, node: Node) -> None:
        mount = {"volumeMounts": [{"name": "c", "mountPath": "/c"}], "env": [{"name": "A", "valueFrom": REFERENCE}]}
        for number in ("1", "2"):
            node.config_map("c", {"a": number}, immutable=True)
            node.pod(number, "cat /c/a; echo $A", container=mount, volumes=[{"name": "c", "configMap": {"name": "c"}}])
            await node.ended(number)
            assert await node.log(number) == f"{number}{number}\n"
            node.api.delete(CONFIG_MAP, "c", "default")

    async def test_a_config_map(self, node: Node) -> None:
        node.config_map("c", {"a": "1", "b": "2"}, binaryData={"c": base64.b64encode(b"\xff").decode()})
        mounts = [{"name": "c", "mountPath": "/etc/config"}]
        script = "cd /etc/config; ls; cat a b; stat -c %a a; touch x 2>/dev/null || echo readonly"
        node.pod("p", script, container={"volumeMounts": mounts}, volumes=[{"name": "c", "configMap": {"name": "c"}}])
        await node.ended("p")
        assert (await node.log("p")).split() == ["a", "b", "c", "12644", "readonly"]

    async def test_chosen_items_with_their_mode(self, node: Node) -> None:
        node.config_map("c", {"a": "1", "b": "2"})
        volume = {"name": "c", "configMap": {"name": "c", "items": [{"key": "b", "path": "deep/er", "mode": 0o400}]}}
        node.pod(
            "p",
            "cd /c; find . -type f; stat -c %a deep/er",
            container={"volumeMounts": [{"name": "c", "mountPath": "/c"}]},
            volumes=[volume],
        )
        await node.ended("p")
        assert (await node.log("p")).split() == ["./deep/er", "400"]

    async def test_one_file_by_sub_path(self, node: Node) -> None:
        node.config_map("c", {"a": "1"})
        mounts = [{"name": "c", "mountPath": "/opt/app/settings", "subPath": "a"}]
        node.pod(
            "p", "cat /opt/app/settings", container={"volumeMounts": mounts}, volumes=[{"name": "c", "configMap": {"name": "c"}}]
        )
        await node.ended("p")
        assert await node.log("p") == "1\n"

    async def test_a_pod_waits_for_what_is_not_there_yet(self, node: Node) -> None:
        """And says what that is."""
        mounts = [{"name": "c", "mountPath": "/c"}]
        node.pod("p", "cat /c/a", container={"volumeMounts": mounts}, volumes=[{"name": "c", "configMap": {"name": "late"}}])
        waiting = await node.until("p", lambda pod: pod["status"].get("containerStatuses"))
        state = waiting["status"]["containerStatuses"][0]["state"]["waiting"]
        assert 'configmap "late" not found' in state["message"]
        node.config_map("late", {"a": "1"})
        assert (await node.ended("p"))["status"]["phase"] == "Succeeded"

    async def test_an_optional_one_may_be_missing(self, node: Node) -> None:
        volume = {"name": "c", "configMap": {"name": "none", "optional": True}}
        node.pod("p", "ls /c | wc -l", container={"volumeMounts": [{"name": "c", "mountPath": "/c"}]}, volumes=[volume])
        await node.ended("p")
        assert (await node.log("p")).strip() == "0"

    async def test_a_secret_is_masked_in_the_log(self, node: Node) -> None:
        """Whether it came as a file or as a variable."""
        data = {"password": base64.b64encode(b"correct-horse").decode()}
        node.api.create(SECRET, {"metadata": {"name": "s", "namespace": "default"}, "data": data})
        reference = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}}
        container = {"volumeMounts": [{"name": "s", "mountPath": "/s"}], "env": [reference]}
        script = "echo $PASSWORD; cat /s/password; echo; [ $PASSWORD = $(cat /s/password) ] && echo same"
        node.pod("p", script, container=container, volumes=[{"name": "s", "secret": {"secretName": "s"}}])
        await node.ended("p")
        assert await node.log("p") == "***\n***\nsame\n"

    async def test_the_downward_api(self, node: Node) -> None:
        items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
        container = {
            "volumeMounts": [{"name": "d", "mountPath": "/d"}],
            "env": [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        }
        node.pod(
            "p",
            "cat /d/labels; echo; echo $NAME",
            metadata={"labels": {"a": "b"}},
            container=container,
            volumes=[{"name": "d", "downwardAPI": {"items": items}}],
        )
        await node.ended("p")
        assert await node.log("p") == 'a="b"\np\n'

    async def test_a_file_of_labels_follows_them_while_the_pod_runs(self, node: Node) -> None:
        """And what else a projected volume holds stays."""
        items = [{"path": "own/team", "fieldRef": {"fieldPath": "metadata.labels['team']"}}]
        node.config_map("c", {"key": "value"})
        sources = [{"downwardAPI": {"items": items}}, {"configMap": {"name": "c"}}]
        node.pod(
            "p",
            "echo $(cat /d/own/team); until [ $(cat /d/own/team) = red ]; do sleep 0.05; done; echo $(cat /d/key)",
            metadata={"labels": {"team": "blue"}},
            container={"volumeMounts": [{"name": "d", "mountPath": "/d"}]},
            volumes=[{"name": "d", "projected": {"sources": sources}}],
        )
        await node.running("p")
        async with asyncio.timeout(PATIENCE):
            while await node.log("p") != "blue\n":  # noqa: ASYNC110  # nobody tells this process
                await asyncio.sleep(0.01)
        node.api.patch(POD, "p", "default", {"metadata": {"labels": {"team": "red"}}})
        assert (await node.ended("p"))["status"]["phase"] == "Succeeded"
        assert await node.log("p") == "blue\nvalue\n"

    async def test_a_file_of_labels_follows_them_though_another_agent_wrote_it(self, node: Node) -> None:
        items = [{"path": "team", "fieldRef": {"fieldPath": "metadata.labels['team']"}}]
        node.pod(
            "p",
            "echo up; until [ $(cat /d/team) = red ]; do sleep 0.05; done",
            metadata={"labels": {"team": "blue"}},
            container={"volumeMounts": [{"name": "d", "mountPath": "/d"}]},
            volumes=[{"name": "d", "downwardAPI": {"items": items}}],
        )
        await node.running("p")
        await node.restart()
        node.api.patch(POD, "p", "default", {"metadata": {"labels": {"team": "red"}}})
        assert (await node.ended("p"))["status"]["phase"] == "Succeeded"

    async def test_a_container_without_limits_is_told_what_the_node_has(self, node: Node) -> None:
        def told(name: str, **reference: str) -> Obj:
            return {"name": name, "valueFrom": {"resourceFieldRef": reference}}

        env = [
            told("CPUS", resource="limits.cpu"),
            told("MEMORY", resource="limits.memory", divisor="1Ki"),
            told("ASKED", resource="requests.cpu", divisor="1m"),
        ]
        node.pod("p", "echo $CPUS $MEMORY $ASKED", container={"env": env, "resources": {"requests": {"cpu": "100m"}}})
        await node.ended("p")
        has = node.api.get(NODE, "here")["status"]["allocatable"]
        memory = -(-quantities.memory(has["memory"]) // 1024)
        assert await node.log("p") == f"{math.ceil(quantities.cpu(has['cpu']))} {memory} 100\n"

    async def test_containers_of_a_pod_share_tmp_and_pods_do_not(self, node: Node) -> None:
        init = {"name": "init", "image": "busybox", "command": ["sh", "-c", "touch /tmp/shared"]}
        node.pod("p", "ls /tmp/shared", initContainers=[init])
        node.pod("q", "ls /tmp/shared")
        assert (await node.ended("p"))["status"]["phase"] == "Succeeded"
        assert (await node.ended("q"))["status"]["phase"] == "Failed"

    async def test_nothing_but_logs_is_left_of_a_pod_that_has_ended(self, node: Node) -> None:
        node.pod("p", "touch /tmp/x $HOME/y")
        pod = await node.ended("p")
        place = node.settings.home / "node" / "pods" / pod["metadata"]["uid"]
        await eventually(lambda: {path.name for path in place.iterdir()} == {"main.0.log"})


async def test_variables_refer_to_each_other(node: Node) -> None:
    node.config_map("c", {"A_KEY": "from-map"})
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(X)-$$(A)"}]
    container = {
        "env": env,
        "envFrom": [{"configMapRef": {"name": "c"}, "prefix": "P_"}],
        "command": ["sh", "-c", "echo $B $P_A_KEY $1 $PWD", "sh", "$(A)"],
        "workingDir": "/kedge/inside",
    }
    node.pod("p", container=container)
    await node.ended("p")
    assert await node.log("p") == "1$(X)-$(A) from-map 1 /kedge/inside\n"


async def test_the_environment_of_the_host_stays_outside(node: Node) -> None:
    node.environ["LEAK"] = "yes"
    node.pod("p", "env")
    await node.ended("p")
    names = {line.partition("=")[0] for line in (await node.log("p")).splitlines()}
    assert "LEAK" not in names
    assert {"HOME", "PATH", "TMPDIR", "HOSTNAME"} <= names


@linux
async def test_a_plain_linux_image_is_this_machine_read_only_and_the_status_says_so(node: Node) -> None:
    node.pod("p", "touch /etc/kedge-test || touch /tmp/yes")
    pod = await node.ended("p")
    condition = next(each for each in pod["status"]["conditions"] if each["type"] == "kedge.dev/PrivateView")
    assert (condition["status"], condition["reason"]) == ("True", "ReadOnlyRoot")
    assert "Read-only file system" in await node.log("p")


@linux
async def test_a_container_over_its_memory_limit_is_reported_as_out_of_memory(node: Node) -> None:
    script = "exec tail /dev/zero"  # which keeps what it reads until a line ends
    node.pod("p", script, container={"resources": {"limits": {"memory": "50Mi"}}})
    ended = terminated(await node.ended("p"))
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    assert "more than the 50 MiB of resources.limits.memory" in ended["message"]


@linux
async def test_a_root_that_is_asked_to_be_read_only_is(node: Node) -> None:
    script = "touch /var/kedge-test || touch $VIRTUAL_ENV/x || touch $HOME/x /tmp/x /e/x && echo only there"
    container = {"image": "python:3", "securityContext": {"readOnlyRootFilesystem": True}}
    container |= {"volumeMounts": [{"name": "e", "mountPath": "/e"}]}
    node.pod("p", script, container=container, volumes=[{"name": "e", "emptyDir": {}}])
    await node.ended("p")
    log = await node.log("p")
    assert "/var/kedge-test': Read-only file system" in log
    assert log.endswith("only there\n")


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        pytest.param(
            {"container": {"image": "quay.io/x/pytorch:2"}},
            "ImageNotSupported",
            "image 'quay.io/x/pytorch:2' cannot be run",
            id="image",
        ),
        pytest.param(
            {"volumes": [{"name": "h", "hostPath": {"path": "/"}}]},
            "UnsupportedField",
            "spec.volumes[0].hostPath: Pods may see nothing of this machine's files, not /: start Kedge with KEDGE_HOST_PATHS=/",
            id="volume",
        ),
        pytest.param(
            {"container": {"securityContext": {"privileged": True}}},
            "UnsupportedField",
            "securityContext.privileged",
            id="rights",
        ),
        pytest.param(
            {"container": {"resources": {"requests": {"cpu": "1000"}}}}, "OutOfcpu", "asks for 1000 processors", id="too large"
        ),
        pytest.param(
            {"container": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}},
            "OutOfnvidia.com/gpu",
            "asks for 1 nvidia.com/gpu",
            id="gpu",
        ),
    ],
)
async def test_what_cannot_run_here_fails_at_once_and_says_why(
    node: Node, spec: dict[str, Any], reason: str, message: str
) -> None:
    node.pod("p", "exit 0", **spec)
    status = (await node.ended("p"))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert message in status["message"]
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == reason
    await node.agent._events.close()
    assert [each["reason"] for each in _events(node)] == [reason]


async def test_a_short_step_is_written_once(node: Node) -> None:
    """A Pod costs as few writes as can be. On a busy machine a step need not be short, so it has several goes."""
    writes: list[int] = []
    while 1 not in writes and len(writes) < 50:
        name = f"p{len(writes)}"
        created = node.pod(name, "exit 0")
        ended = await node.ended(name)
        writes.append(int(ended["metadata"]["resourceVersion"]) - int(created["metadata"]["resourceVersion"]))
    assert 1 in writes


async def test_what_is_heard_late_of_a_pod_does_not_start_it_again(node: Node) -> None:
    """A watch may lag behind what the node itself has done."""
    created = node.pod("p", GATED)
    running = await node.running("p")
    node.go("p")
    ended = await node.ended("p")
    await eventually(lambda: not node.agent._workers)
    for late in (created, running):
        node.agent._see(late)
    node.agent._admit()
    assert not node.agent._workers
    assert node.get("p") == ended


async def test_more_pods_than_may_run_wait_their_turn(node: Node) -> None:
    """First come, first served; all end."""
    for number in range(30):
        node.pod(f"p{number}", "sleep 0.02; date +%s%N")
    for number in range(30):
        assert (await node.ended(f"p{number}"))["status"]["phase"] == "Succeeded"


async def test_logs_follow_until_the_end(node: Node) -> None:
    node.pod("p", f"for i in 1 2; do echo $i; done; {GATED}; echo 3")
    await node.running("p")
    following = asyncio.ensure_future(node.log("p", follow=True))
    node.go("p")
    assert await following == "1\n2\n3\n"
    assert await node.log("p", tail=2) == "2\n3\n"
    assert await node.log("p", limit_bytes=3) == "1\n2"
    stamped = await node.log("p", timestamps=True, tail=1)
    assert stamped.startswith("20")
    assert stamped.endswith("Z 3\n")


async def test_logs_of_what_has_not_started_are_refused_in_words(node: Node) -> None:
    node.pod("p", "exit 0", container={"image": "nginx"})
    await node.ended("p")
    with pytest.raises(BadRequest, match='container "main" in pod "p" is waiting to start'):
        await node.log("p")


async def test_a_build_of_an_environment_does_not_hold_up_others(tmp_path: Path, cache: Path) -> None:
    """It waits for an index of packages that takes its time."""
    node = Node(tmp_path / "home", cache)
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.settimeout(PATIENCE)
        for name in ("UV_INDEX", "PIP_EXTRA_INDEX_URL", "UV_FIND_LINKS", "PIP_FIND_LINKS"):
            node.environ.pop(name, None)
        node.environ |= {"UV_DEFAULT_INDEX": f"http://127.0.0.1:{index.getsockname()[1]}/simple", "UV_HTTP_RETRIES": "0"}
        node.agent = node._agent()
        await node.agent.start()
        try:
            annotation = {"kedge.dev/python": '{"packages": ["no-such-package-of-kedge-at-all"]}'}
            node.pod("slow", container={"image": "python:3", "command": ["true"]}, metadata={"annotations": annotation})
            asking, _ = await asyncio.to_thread(index.accept)
            node.pod("quick", "exit 0")
            await node.ended("quick")
            assert node.get("slow")["status"]["phase"] == "Pending"
            asking.close()
            index.close()
            status = (await node.ended("slow"))["status"]
            assert status["reason"] in {"EnvironmentFailed", "EnvironmentUnavailable"}
            assert "no-such-package-of-kedge-at-all" in status["message"]
        finally:
            await node.agent.stop_all(grace=0)


@linux
async def test_what_a_container_installs_stays_its_own(node: Node) -> None:
    """An environment is shared by all steps that want the same; a container that changes it changes a copy."""
    purelib = "python3 -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))'"
    script = f"p=$({purelib}); touch $p/mark.py; python3 -c 'import mark' && echo in"
    image = {"image": "python:3"}
    node.pod("p", script, container=image)
    await node.ended("p")
    assert await node.log("p") == "in\n"
    node.pod("q", "python3 -c 'import mark' 2>&1 | tail -1; python3 -m pip --version | cut -c1-3", container=image)
    await node.ended("q")
    assert await node.log("q") == "ModuleNotFoundError: No module named 'mark'\npip\n"


async def test_a_container_that_lasts_is_worth_an_event(node: Node) -> None:
    """And one that does not is not."""
    node.pod("short", "exit 0")
    node.pod("long", "sleep 1.2")
    await node.ended("short")
    await node.ended("long")
    await node.agent._events.close()
    events = [(each["involvedObject"]["name"], each["reason"]) for each in node.api.list(EVENT, "default").items]
    assert events == [("long", "Started")]


async def test_a_pod_past_its_deadline_was_initialized_all_the_same(node: Node) -> None:
    node.pod("p", "sleep 1000", activeDeadlineSeconds=1, terminationGracePeriodSeconds=0)
    conditions = {each["type"]: each["status"] for each in (await node.ended("p"))["status"]["conditions"]}
    assert conditions["Initialized"] == "True"


async def test_what_happens_again_is_counted_not_told_anew(node: Node) -> None:
    """As the kubelet does: one event, with how often and when last."""
    node.pod("p", "exit 1", restartPolicy="Always")
    await eventually(lambda: [each for each in _events(node) if each["reason"] == "BackOff"])
    node.pod("q", volumes=[{"name": "v", "configMap": {"name": "missing"}}])
    await eventually(lambda: any(each["reason"] == "FailedMount" and each["count"] > 1 for each in _events(node)))
    assert len([each for each in _events(node) if each["reason"] == "FailedMount"]) == 1


def _events(node: Node) -> list[Obj]:
    return node.api.list(EVENT, "default").items
