"""The agent and supervisors of other versions of Kedge, which outlive the hub that started them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kedge.errors import KedgeError
from kedge.node.supervisor_client import Supervisor
from kedge.supervisor import protocol

_OLD = "import sys; from kedge.supervisor import protocol, __main__; protocol.VERSION = 0; sys.exit(__main__.main(sys.argv[1:]))"
SPEC = {"argv": ["/bin/sleep", "60"], "env": {}, "cwd": "/", "log": {"path": "/dev/null", "limit": 1}}


@pytest.fixture
def old(tmp_path: Path) -> None:
    """A supervisor of another version."""
    subprocess.run([sys.executable, "-c", _OLD, "--dir", str(tmp_path / "node")], check=True)


@pytest.fixture
async def client(tmp_path: Path, old: None) -> AsyncIterator[Supervisor]:
    """A client of its directory."""
    made = Supervisor(tmp_path / "node", lambda _: None, lambda: None)
    yield made
    made.quit()
    made.close()


async def test_those_who_start_one_at_once_meet_the_same(tmp_path: Path) -> None:
    clients = [Supervisor(tmp_path / "node", lambda _: None, lambda: None) for _ in range(4)]
    try:
        assert len({hello["pid"] for hello in await asyncio.gather(*(client.connect() for client in clients))}) == 1
    finally:
        for client in clients:
            client.close()


async def test_one_of_another_version_is_replaced_when_it_has_nothing_to_do(client: Supervisor) -> None:
    assert (await client.connect())["version"] == protocol.VERSION


async def test_one_of_another_version_that_is_busy_is_left_alone(
    client: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(protocol, "VERSION", 0)
        await client.connect()
        client.start("pod/main/0", SPEC)
        assert [each["id"] for each in await client.containers()] == ["pod/main/0"]
    other = Supervisor(tmp_path / "node", lambda _: None, lambda: None)
    with pytest.raises(KedgeError, match=r"of another version of Kedge and still runs 1 containers\. .* `kedge down`"):
        await other.connect()
    client.stop("pod/main/0", 0)
    while (await client.containers())[0]["state"] != "exited":
        pass
    client.close()
    assert (await other.connect())["version"] == protocol.VERSION
    other.quit()
    other.close()
