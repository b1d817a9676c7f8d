"""Pods where a namespace enforces the restricted Pod Security Standard."""

from copy import deepcopy
from typing import Any

from kedge.errors import Forbidden
from kedge.testing.clock import FakeClock
from kedge.pipelines.restricted import REMEMBERED, USER, Restricted, restrict

REFUSAL = Forbidden('pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true')


def pod(**main: Any) -> dict[str, Any]:
    sidecar = {"name": "stage-out", "image": "python:3", "restartPolicy": "Always"}
    return {"spec": {"initContainers": [sidecar], "containers": [{"name": "main", "image": "tool", **main}]}}


def test_every_container_may_do_nothing_and_all_are_one_user() -> None:
    made = pod()
    restrict(made)
    spec = made["spec"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert {"name": "HOME", "value": "/tmp"} in container["env"]
        assert container["volumeMounts"] == [{"name": "kedge-tmp", "mountPath": "/tmp"}]
    assert spec["volumes"] == [{"name": "kedge-tmp", "emptyDir": {}}]


def test_what_the_author_of_a_task_has_said_stays() -> None:
    own = {"runAsUser": 2000, "runAsGroup": 3000}
    mounts, env = [{"name": "scratch", "mountPath": "/tmp"}], [{"name": "HOME", "value": "/home/me"}]
    made = pod(securityContext=own, volumeMounts=mounts, env=env)
    restrict(made)
    main = made["spec"]["containers"][0]
    assert main["securityContext"] == {**own, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert (main["volumeMounts"], main["env"]) == (mounts, env)
    assert made["spec"]["securityContext"]["runAsUser"] == 2000, "the sidecar reads what only this user may read"
    assert made["spec"]["securityContext"]["fsGroup"] == 3000


def test_parts_that_pods_share_are_not_changed() -> None:
    shared = pod(env=[{"name": "A", "value": "1"}])
    before = deepcopy(shared)
    restrict({"spec": dict(shared["spec"])})
    assert shared == before


async def test_a_namespace_is_remembered_for_a_while_by_what_it_refused() -> None:
    clock = FakeClock()
    known = Restricted(clock)
    assert not known.learn("team", Forbidden("pods are forbidden: exceeded quota: few"))
    assert known.learn("team", REFUSAL)
    assert "team" in known
    assert "other" not in known
    assert not known.learn("team", REFUSAL), "a Pod that keeps to the standard was refused: another try is no use"
    await clock.advance(REMEMBERED)
    assert "team" not in known
