"""A real agent, supervisor and API server; everything but the hub's listeners."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from kedge.client.local import LocalClient
from kedge.config import Settings
from kedge.kube.clock import SystemClock, SystemIds
from kedge.kube.core import CONFIG_MAP, POD, SERVICE_ACCOUNT
from kedge.kube.kinds import Obj
from kedge.node.agent import NodeAgent
from kedge.node.supervisor_client import Supervisor
from kedge.server.api import Api
from kedge.server.logs import LogOptions
from kedge.supervisor import identity
from kedge.testing.api import memory_api

PATIENCE = 60.0


async def eventually(condition: Callable[[], Any], *, within: float = PATIENCE) -> None:
    """Wait for something that other processes do."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  # nobody tells this process
            await asyncio.sleep(0.005)


class Node:
    """One node's whole life: its agent may be killed and started again."""

    def __init__(
        self, home: Path, cache: Path, *, max_pods: int = 8, gpus: int = 0, client: type[LocalClient] = LocalClient
    ) -> None:
        self.environ = dict(Settings.from_environment().environ)
        self.settings = Settings(home, cache, max_pods=max_pods, gpus=gpus, environ=self.environ)
        self.api: Api = memory_api(clock=SystemClock(), ids=SystemIds(), namespaces=("default", "kube-node-lease"))
        self.client = client(self.api)
        self.api.create(SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": "default"}})
        self.agent = self._agent()

    def _agent(self) -> NodeAgent:
        return NodeAgent(self.client, self.settings, SystemClock(), SystemIds(), node_name="here")

    async def restart(self, meanwhile: Callable[[], Any] | None = None) -> None:
        """End the agent as a killed hub does, let something happen, and start another."""
        await self.agent.stop()
        if meanwhile is not None:
            result = meanwhile()
            if asyncio.iscoroutine(result):
                await result
        self.agent = self._agent()
        await self.agent.start()

    def pod(self, name: str, script: str = "", **spec: Any) -> Obj:
        """Create a Pod with one container that runs a shell script."""
        container = {"name": "main", "image": "debian:12", "command": ["sh", "-c", script]}
        container |= spec.pop("container", {})
        meta = {"name": name, "namespace": "default", **spec.pop("metadata", {})}
        body = {
            "nodeName": "here",
            "restartPolicy": "Never",
            "containers": [container],
            "terminationGracePeriodSeconds": 5,
            **spec,
        }
        return self.api.create(POD, {"metadata": meta, "spec": body})

    def get(self, name: str) -> Obj:
        return self.api.get(POD, name, "default")

    async def until(self, name: str, condition: Callable[[Obj], Any]) -> Obj:
        """Wait until a Pod is as wanted."""
        await eventually(lambda: condition(self.get(name)))
        return self.get(name)

    async def ended(self, name: str) -> Obj:
        return await self.until(name, lambda pod: pod["status"]["phase"] in {"Succeeded", "Failed"})

    async def running(self, name: str) -> Obj:
        return await self.until(name, lambda pod: pod["status"]["phase"] == "Running")

    def go(self, name: str) -> None:
        """Let a Pod's container see the file ``/tmp/go``."""
        (self.settings.home / "node" / "pods" / self.get(name)["metadata"]["uid"] / "tmp" / "go").touch()

    async def gone(self, *pids: int) -> None:
        """Wait until processes have ended."""
        await eventually(lambda: not any(identity.start_time(pid) for pid in pids))

    async def log(self, name: str, container: str = "main", **options: Any) -> str:
        pieces = self.agent.logs.read(self.get(name), container, LogOptions(**options))
        return b"".join([piece async for piece in pieces]).decode()

    def config_map(self, name: str, data: dict[str, str], **more: Any) -> Obj:
        return self.api.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": "default"}, "data": data, **more})

    def records(self) -> list[Obj]:
        """What the supervisor has on disk."""
        found: dict[str, Obj] = {}
        for line in (self.settings.home / "node" / "containers.jsonl").read_text().splitlines():
            found[json.loads(line)["id"]] = json.loads(line)
        return [record for record in found.values() if record["state"] != "forgotten"]

    def pid(self, name: str) -> int:
        """Process of a Pod's container that runs."""
        uid = self.get(name)["metadata"]["uid"]
        return next(record["pid"] for record in self.records() if record["id"].startswith(uid))

    async def supervisor_pid(self) -> int:
        """Process of the supervisor that serves, which has taken over every container of one before it."""
        other = Supervisor(self.settings.home / "node", lambda _: None, lambda: None)
        try:
            return (await other.connect())["pid"]
        finally:
            other.close()

    async def kill_supervisor(self) -> None:
        """End the supervisor as the kernel does when memory runs out, and wait until another one serves."""
        pid = await self.supervisor_pid()
        os.kill(pid, signal.SIGKILL)
        await self.gone(pid)
        assert await self.supervisor_pid() != pid


def terminated(pod: Obj, container: str = "main") -> Obj:
    """How a container has ended."""
    statuses = [*pod["status"].get("initContainerStatuses", []), *pod["status"]["containerStatuses"]]
    return next(each["state"]["terminated"] for each in statuses if each["name"] == container)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments that all tests share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
async def node(tmp_path: Path, cache: Path) -> AsyncIterator[Node]:
    """A node that is up."""
    made = Node(tmp_path / "home", cache)
    await made.agent.start()
    try:
        yield made
    finally:
        await made.agent.stop_all(grace=0)
