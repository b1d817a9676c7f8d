"""Names and ports on a machine whose network Pods share: rewritten for the known frameworks, refused by name elsewhere."""

import json
from typing import Any

import pytest

from kedge.kube.kinds import Obj
from kedge.node.refusals import Refusal
from kedge.node.shared_network import Ports, PortTakenError, adapted

WHY = "Darwin has no mount namespaces"


def pod(job: str = "train", **spec: Any) -> dict[str, Any]:
    labels = {"jobset.sigs.k8s.io/jobset-name": job}
    return {"metadata": {"name": f"{job}-0", "namespace": "team", "labels": labels}, "spec": {"subdomain": "train", **spec}}


def container(*args: str) -> dict[str, Any]:
    return {"name": "node", "command": ["python3"], "args": list(args)}


def test_workers_of_one_job_meet_at_one_port_of_the_loopback_and_those_of_another_at_another() -> None:
    asked = {"MASTER_ADDR": "train-node-0-0.train", "MASTER_PORT": "29500", "RANK": "1"}
    first, second = (adapted(pod(), container(), asked | {"RANK": rank}, WHY) for rank in "01")
    other = adapted(pod("other"), container(), asked, WHY)
    assert first == second
    assert first["MASTER_ADDR"] == other["MASTER_ADDR"] == "127.0.0.1"
    assert first["MASTER_PORT"] != other["MASTER_PORT"] != "29500"


def test_a_place_is_moved_as_its_port_alone_is() -> None:
    asked = {"MASTER_PORT": "29500", "PET_RDZV_ENDPOINT": "train-node-0-0.train.team.svc.cluster.local:29500"}
    made = adapted(pod(), container(), asked, WHY)
    assert made["PET_RDZV_ENDPOINT"] == f"127.0.0.1:{made['MASTER_PORT']}"


def test_workers_of_tensorflow_have_a_port_each() -> None:
    workers = [f"train-worker-{index}.train:2222" for index in range(3)]
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 1}}
    made = json.loads(adapted(pod(), container(), {"TF_CONFIG": json.dumps(config)}, WHY)["TF_CONFIG"])
    assert made["task"] == config["task"]
    assert len(set(made["cluster"]["worker"])) == 3
    assert all(place.startswith("127.0.0.1:") for place in made["cluster"]["worker"])


@pytest.mark.parametrize(
    ("variables", "arguments", "named"),
    [
        ({"DATABASE": "postgres.team.svc"}, (), "the variable DATABASE speaks of 'postgres.team.svc'"),
        ({}, ("--leader", "node-0.train:80"), "args[1] speaks of 'node-0.train'"),
    ],
)
def test_what_else_speaks_of_a_cluster_is_refused_by_name(
    variables: dict[str, str], arguments: tuple[str, ...], named: str
) -> None:
    with pytest.raises(Refusal) as caught:
        adapted(pod(), container(*arguments), variables, WHY)
    assert caught.value.reason == "NetworkNotSupported"
    assert named in caught.value.message
    assert WHY in caught.value.message


def test_what_speaks_of_no_cluster_stays_as_it_is() -> None:
    assert (
        adapted(pod(), container("--port", "80", "https://example.com"), {"PATH": "/bin", "MASTER_ADDR": "localhost"}, WHY) == {}
    )


def declaring(name: str, *numbers: int, **env: str) -> Obj:
    variables = [{"name": key, "value": value} for key, value in env.items()]
    container = {"name": "main", "ports": [{"containerPort": number} for number in numbers], "env": variables}
    return {"metadata": {"name": name, "namespace": "team", "uid": f"uid-{name}"}, "spec": {"containers": [container]}}


def test_a_port_is_one_pods_at_a_time_and_the_next_is_told_whose() -> None:
    ports = Ports()
    ports.take(declaring("a", 8080, 9090), "this system has none")
    ports.take(declaring("a", 8080), "this system has none")  # its next container
    ports.take(declaring("c", 81), "this system has none")
    with pytest.raises(PortTakenError) as caught:
        ports.take(declaring("b", 80, 9090), "this system has none")
    assert str(caught.value).startswith("port 9090/TCP is declared by Pod team/a too, which runs, and Pods share this machine's")
    ports.release("uid-a")
    ports.take(declaring("b", 80, 9090), "this system has none")


def test_ports_by_which_a_framework_meets_are_moved_and_nobodys() -> None:
    ports = Ports()
    for name in ("a", "b"):
        ports.take(declaring(name, 29500, MASTER_PORT="29500"), "this system has none")
        ports.take(declaring(name, 29400, PET_RDZV_ENDPOINT="train-0.train:29400"), "this system has none")
