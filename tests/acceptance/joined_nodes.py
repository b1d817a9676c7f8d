"""Other machines of a host under test: each a real ``kedge join`` with a data directory of its own."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kedge import host as hosts
from kedge.client import kubeconfig
from kedge.client.http import tls
from kedge.testing.host import RunningHost, new_home, settings_of

PODS = "/api/v1/namespaces/default/pods"
PATIENCE = 60.0
BEATS = "while true; do echo . >> /tmp/beats; sleep 0.2; done"


def until(condition: Callable[[], Any], *, within: float = PATIENCE) -> Any:
    """Wait for something; returns it."""
    end = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)  # noqa: TID251  # other processes are waited for
    return found


def api(path: Path) -> httpx.Client:
    """Speaks to the API that a kubeconfig names, as who it says."""
    access = kubeconfig.load(path)
    headers = {"authorization": f"Bearer {access.token}"} if access.token else {}
    return httpx.Client(base_url=access.server, verify=tls(access), headers=headers, timeout=60)


def pod(name: str, script: str, node: str = "", **spec: Any) -> dict[str, Any]:
    """A Pod with a shell script, for a node by its name's label."""
    container = {"name": "main", "image": "debian:12", "command": ["sh", "-c", script]}
    chosen = {"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}
    body = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], **chosen, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}


@dataclass
class Machine:
    """Another machine, whose agent may be ended and started again.

    Attributes:
        home: Its ``KEDGE_HOME``.
        before: What its commands are run by, such as ``ip netns exec edge``.
    """

    home: Path
    before: Sequence[str] = ()
    process: "subprocess.Popen[bytes] | None" = None

    def join(self, *arguments: str) -> None:
        """Begin ``kedge join``; its words go to a file."""
        with (self.home / "join.log").open("ab") as log:
            argv = [*self.before, sys.executable, "-P", "-m", "kedge.cli.main", "join", *arguments]
            environ = {**settings_of(self.home, {}).environ, "KEDGE_HOME": str(self.home)}
            self.process = subprocess.Popen(argv, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def said(self) -> str:
        """What it has printed."""
        log = self.home / "join.log"
        return log.read_text() if log.exists() else ""

    def stop(self) -> None:
        """End the agent; Pods run on."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None


@contextlib.contextmanager
def machine(*before: str) -> Generator[Machine]:
    """Another machine, ended with everything that it runs."""
    with new_home() as home:
        made = Machine(home, before)
        try:
            yield made
        except BaseException:
            sys.stdout.write(made.said())  # pytest shows it with the failure
            raise
        finally:
            made.stop()
            hosts.stop_supervisor(home / "joined")


def invitation(kedge: RunningHost) -> list[str]:
    """The arguments of ``kedge join`` that a host gives out."""
    told = kedge.cli("invite", check=True).stdout.split()
    assert told[:2] == ["kedge", "join"]
    return told[2:]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Cable:
    """A bridge on this machine, at which others are plugged in.

    Attributes:
        address: This machine's.
    """

    def __init__(self) -> None:
        self._mark = f"{os.getpid() % 10_000:04}"
        self._net = f"10.199.{os.getpid() % 250}"
        self.address = f"{self._net}.1"
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self.address}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        self._names: list[str] = []

    @property
    def _bridge(self) -> str:
        return f"kedge{self._mark}"

    def space(self, name: str) -> str:
        """The network namespace of a machine."""
        return f"kedge-{self._mark}-{name}"

    def plug(self, name: str) -> str:
        """Make a machine's namespace and its link."""
        space, outer = self.space(name), f"k{self._mark}{name}"
        _ip("netns", "add", space)
        self._names.append(name)
        _ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", outer, "master", self._bridge, "up")
        _ip("-n", space, "addr", "add", f"{self._net}.{10 + len(self._names)}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            _ip("-n", space, "link", "set", link, "up")
        return space

    def cut(self, name: str) -> None:
        """Nothing passes any more, and connections are not told."""
        _ip("link", "set", f"k{self._mark}{name}", "down")

    def mend(self, name: str) -> None:
        _ip("link", "set", f"k{self._mark}{name}", "up")

    def remove(self) -> None:
        for name in self._names:
            _ip("netns", "del", self.space(name))
        _ip("link", "del", self._bridge)
