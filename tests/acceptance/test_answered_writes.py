"""What a host has answered is there after ``kill -9``: with either durability, while eight clients write."""

import random  # noqa: TID251  # kills at moments that follow from a seed
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import kubeconfigs
import pytest

from kedge.testing.host import running_host

CLIENTS = 8
KILLS = 2
PLACE = "/api/v1/namespaces/default/configmaps"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
def test_every_answered_write_survives_kill(synchronous: str) -> None:
    dice = random.Random(synchronous)  # noqa: S311
    with running_host({"KEDGE_SYNCHRONOUS": synchronous}) as kedge:
        kubeconfig = Path(kedge.host.kubeconfig)
        for _ in range(KILLS):
            enough = threading.Semaphore(0)
            with ThreadPoolExecutor(CLIENTS) as pool:
                writing = [pool.submit(written, kubeconfig, client, enough) for client in range(CLIENTS)]
                for _ in range(dice.randrange(50, 300)):
                    assert enough.acquire(timeout=60)
                kedge.kill()
                answered = {name: known for each in writing for name, known in each.result().items()}
            kedge.start()
            with kubeconfigs.client(kubeconfig) as server:
                items = server.get(PLACE).raise_for_status().json()["items"]
            found = {each["metadata"]["name"]: int(each["metadata"]["resourceVersion"]) for each in items}
            lost = {name: known for name, known in answered.items() if found.get(name, 0) < known}
            assert lost == {}
            assert len(answered) == CLIENTS


def written(kubeconfig: Path, client: int, enough: threading.Semaphore) -> dict[str, int]:
    """Write one object over and over until the server is gone: the revision that was answered last, by its name."""
    name, answered = f"written-{client}", dict[str, int]()
    with kubeconfigs.client(kubeconfig) as server:
        try:
            server.post(PLACE, json={"metadata": {"name": name}})  # it is there already after a kill
            for number in range(10_000):
                headers = {"Content-Type": "application/merge-patch+json"}
                answer = server.patch(f"{PLACE}/{name}", json={"data": {"n": str(number)}}, headers=headers)
                answered[name] = int(answer.raise_for_status().json()["metadata"]["resourceVersion"])
                enough.release()
        except httpx.TransportError:
            return answered
    raise AssertionError(f"{client}: the server outlived its kill")
