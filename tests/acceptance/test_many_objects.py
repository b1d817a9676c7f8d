"""Ten thousand objects, and a gigabyte of them: pages and watches see each once, and the host's memory has an end."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import kubeconfigs
import psutil
import pytest

from kedge.kube.clock import SystemClock, SystemIds
from kedge.kube.core import CONFIG_MAP, KINDS
from kedge.server.api import Api
from kedge.store.log import ObjectLog
from kedge.testing.host import RunningHost, running_host

PLACE = "/api/v1/namespaces/default/configmaps"
CLIENTS = 8
ROUNDS = 30
MANY = 10_000
MEBIBYTE = 1 << 20


@dataclass
class Filled:
    """A host and what was written there."""

    kedge: RunningHost
    names: set[str]

    @property
    def kubeconfig(self) -> Path:
        """For clients."""
        return Path(self.kedge.host.kubeconfig)

    def write(self, part: tuple[int, int]) -> None:
        """Write every eighth of them, of so many bytes."""
        client, size = part
        with kubeconfigs.client(self.kubeconfig) as server:
            for name in sorted(self.names)[client::CLIENTS]:
                server.post(PLACE, json=body(name, size)).raise_for_status()

    @property
    def memory(self) -> float:
        """What the host's process has, in MiB."""
        return psutil.Process(self.kedge.host.pid).memory_info().rss / MEBIBYTE


def body(name: str, size: int) -> dict[str, Any]:
    """An object of so many bytes."""
    return {"metadata": {"name": name, "labels": {"last": name[-1]}}, "data": {"a": name.ljust(size, "x")}}


@pytest.fixture(scope="module")
def filled() -> Iterator[Filled]:
    names = {f"many-{number}" for number in range(MANY)}
    with running_host() as kedge:
        fill(kedge, sorted(names), 100)
        yield Filled(kedge, names)


def fill(kedge: RunningHost, names: list[str], size: int) -> None:
    """Write objects of so many bytes while nobody serves, which takes a fifth of the time."""
    kedge.stop()
    with closing(ObjectLog(kedge.home / "objects.db")) as store:
        api = Api(store, KINDS, SystemClock(), SystemIds())
        for name in names:
            obj = body(name, size)
            api.create(CONFIG_MAP, {**obj, "metadata": {**obj["metadata"], "namespace": "default"}})
    kedge.start()


def pages(server: httpx.Client, limit: int, **more: str) -> Iterator[list[str]]:
    """The names on each page of a list."""
    token, revisions = "", set[str]()
    while True:
        asked = {"limit": str(limit), **({"continue": token} if token else {}), **more}
        page = server.get(PLACE, params=asked).raise_for_status().json()
        yield [each["metadata"]["name"] for each in page["items"]]
        revisions.add(page["metadata"]["resourceVersion"])
        assert len(revisions) == 1
        if not (token := page["metadata"].get("continue", "")):
            return


def watched(server: httpx.Client, wanted: int, **options: str) -> list[str]:
    """The names that a watch tells of, until so many were told."""
    found: list[str] = []
    with server.stream("GET", PLACE, params={"watch": "true", **options}) as answer:
        for line in answer.iter_lines():
            event = json.loads(line)
            assert event["type"] == "ADDED"
            found.append(event["object"]["metadata"]["name"])
            if len(found) == wanted:
                return found
    return found


@pytest.mark.timeout(300)
def test_ten_thousand_objects_are_listed_and_watched_each_once(filled: Filled) -> None:
    with kubeconfigs.client(filled.kubeconfig) as server:
        listed = [name for page in pages(server, 500) for name in page if name in filled.names]
        assert len(listed) == MANY
        assert set(listed) == filled.names
        some = [name for page in pages(server, 300, labelSelector="last=3") for name in page]
        assert sorted(some) == sorted(name for name in filled.names if name.endswith("3"))
        initial = watched(server, MANY, labelSelector="last")
        assert sorted(initial) == sorted(filled.names)
        written = server.get(PLACE, params={"labelSelector": "last"}).raise_for_status().json()["items"]
        order = sorted(written, key=lambda each: int(each["metadata"]["resourceVersion"]))
        start = order[MANY // 2]["metadata"]["resourceVersion"]
        since = watched(server, MANY // 2 - 1, resourceVersion=start, labelSelector="last")
        assert since == [each["metadata"]["name"] for each in order[MANY // 2 + 1 :]]


@pytest.mark.timeout(300)
def test_those_who_list_ten_thousand_objects_at_once_do_not_add_up(filled: Filled) -> None:
    def read(_client: int) -> int:
        with kubeconfigs.client(filled.kubeconfig) as server:
            return len(server.get(PLACE, params={"labelSelector": "last"}).raise_for_status().json()["items"])

    most, calm = filled.memory, 0
    with ThreadPoolExecutor(CLIENTS) as pool:
        # How many are answered at once differs from round to round, and the most ever is what stays: it must come to an end.
        for _ in range(ROUNDS):
            assert set(pool.map(read, range(CLIENTS))) == {MANY}
            calm = calm + 1 if filled.memory < most + 8 else 0
            most = max(most, filled.memory)
            if calm == 3:
                break
    assert calm == 3, f"after {ROUNDS} rounds it still grows: {most:.0f} MiB"
    assert most < 384


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_gigabyte_of_objects_works(tmp_path: Path) -> None:
    """It is written to, killed, listed, backed up meanwhile and restored, with little memory and a file of less than 2 GiB."""
    count, size = 16_384, 64 << 10
    names = {f"many-{number}" for number in range(count)}
    with running_host() as kedge:
        fill(kedge, sorted(names)[CLIENTS * 128 :], size)
        filled = Filled(kedge, set(sorted(names)[: CLIENTS * 128]))
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(filled.write, [(client, size) for client in range(CLIENTS)]))
        assert filled.memory < 512
        kedge.kill()
        kedge.start()
        file = tmp_path / "backup"
        with ThreadPoolExecutor(1) as pool, kubeconfigs.client(filled.kubeconfig) as server:
            assert sorted(found(server)) == sorted(names)
            backup = pool.submit(kedge.cli, "backup", str(file), timeout=900, check=True)
            for name in sorted(names)[:1000]:
                change = {"data": {"a": name.ljust(size, "y")}}
                headers = {"Content-Type": "application/merge-patch+json"}
                server.patch(f"{PLACE}/{name}", json=change, headers=headers).raise_for_status()
            backup.result()
        assert filled.memory < 512
        assert (kedge.home / "objects.db").stat().st_size < 2 * count * size
        assert "defect" not in (kedge.home / "hub.log").read_text()
        kedge.stop()
        kedge.cli("restore", "--force", str(file), timeout=900, check=True)
        kedge.start()
        with kubeconfigs.client(filled.kubeconfig) as server:
            assert sorted(found(server)) == sorted(names)


def found(server: httpx.Client) -> list[str]:
    """The names of the objects that were written."""
    return [name for page in pages(server, 100) for name in page if name.startswith("many-")]
