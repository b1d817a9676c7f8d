"""What the other tests rest on: Pods run, find each other by name, reach the API server and this machine."""

import socket
from threading import Thread
from typing import Any

import pytest
from access import Cluster
from images import PYTHON, SHELL, STATIC, Image

WAIT = "--timeout=60s"


def pod(name: str, image: str, *arguments: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": image, "args": list(arguments)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, **spec, "containers": [container]},
    }


def finished(cluster: Cluster, namespace: str, name: str) -> str:
    """What a Pod has written when it has succeeded."""
    cluster.kubectl("wait", "--namespace", namespace, "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", WAIT)
    return cluster.kubectl("logs", "--namespace", namespace, name)


@pytest.mark.parametrize(
    ("image", "arguments", "says"),
    [
        (PYTHON, ("python", "-c", "import pip, sys; print('Python', sys.version_info[0])"), "Python 3"),
        (SHELL, ("sh", "-c", "echo shell | tr a-z A-Z"), "SHELL"),
        (STATIC, ("text",), "bytes 4"),
    ],
    ids=["Python", "shell", "static program"],
)
def test_a_pod_of_each_image_runs(cluster: Cluster, namespace: str, image: Image, arguments: tuple[str, ...], says: str) -> None:
    cluster.bring(image)
    tagged = next(name for name in image.names if not name.endswith(":latest"))  # others are pulled always
    cluster.apply(pod("one", tagged, *arguments), namespace=namespace)
    assert says in finished(cluster, namespace, "one")


def test_a_pod_finds_a_service_by_name_and_reaches_the_machine_of_the_tests(cluster: Cluster, namespace: str) -> None:
    cluster.bring(PYTHON)
    with socket.create_server((cluster.host, 0)) as server:

        def answer() -> None:
            server.accept()[0].close()

        listener = Thread(target=answer, daemon=True)
        listener.start()
        ask = (
            "import socket; print(socket.gethostbyname('kubernetes.default'));"
            f"socket.create_connection(('{cluster.host}', {server.getsockname()[1]}), 10)"
        )
        cluster.apply(pod("asks", PYTHON.names[0], "python3", "-c", ask), namespace=namespace)
        address = finished(cluster, namespace, "asks").strip()
        listener.join(60)
    assert not listener.is_alive(), "nobody connected"
    assert address == cluster.get("service", "kubernetes", "--namespace", "default")["spec"]["clusterIP"]


def test_a_restricted_namespace_takes_no_pod_that_may_be_root(cluster: Cluster, restricted: str) -> None:
    with pytest.raises(RuntimeError, match="violates PodSecurity"):
        cluster.apply(pod("root", STATIC.names[0]), namespace=restricted)
