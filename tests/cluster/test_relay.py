"""A hub on this machine that listens on loopback alone: Pods reach it through its relay, or not at all."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest
from access import Cluster
from connect_proxy import connect_proxy
from hosts import Hubs
from sized import begun, document, ends_well

from kedge import clusters
from kedge.client import kubeconfig
from kedge.errors import StateError
from kedge.testing.host import RunningHost

LOOPBACK = {"KEDGE_LISTEN": "127.0.0.1"}


@pytest.fixture
def laptop(hubs: Hubs) -> Iterator[RunningHost]:
    """A hub that nothing but a relay reaches."""
    with hubs.start(LOOPBACK) as kedge:
        yield kedge


def waits_for_its_hub(cluster: Cluster, kedge: RunningHost) -> None:
    """Returns when a step says that it waits for its hub: it has ended, and could not say so for 5 seconds."""
    where = ("--namespace", namespace_of(kedge))
    found = cluster.get("pods", *where, "--field-selector", "status.phase=Running")["items"]
    (name,) = [pod["metadata"]["name"] for pod in found if "-size-" in pod["metadata"]["name"]]
    with cluster.following("logs", "--follow", *where, name) as lines:
        assert any("waiting for the hub" in line for line in lines)


def objects(cluster: Cluster, namespace: str) -> list[str]:
    """What of relays is in a namespace, but for their Pods' own."""
    kinds = "deployments,services,secrets,configmaps"
    found = cluster.get(kinds, "--namespace", namespace, "--selector", "kedge.dev/relay")["items"]
    return sorted(f"{item['kind']}/{item['metadata']['name']}" for item in found)


def test_a_pipeline_runs_through_the_relay(laptop: RunningHost, tmp_path: Path) -> None:
    assert laptop.host.http.startswith("http://127.0.0.1:")
    ends_well(laptop, str(laptop.client.run(document(tmp_path))["run_id"]))


def test_a_hub_killed_and_started_anew_takes_the_results_of_steps_that_ended_meanwhile(
    laptop: RunningHost, cluster: Cluster, tmp_path: Path
) -> None:
    run = begun(laptop, tmp_path)
    laptop.kill()
    waits_for_its_hub(cluster, laptop)
    laptop.start()
    ends_well(laptop, run)


def test_a_relay_that_is_deleted_comes_again(laptop: RunningHost, cluster: Cluster, tmp_path: Path) -> None:
    run = begun(laptop, tmp_path)
    space = namespace_of(laptop)
    cluster.kubectl("delete", "pods", "--namespace", space, "--selector", "kedge.dev/relay", "--wait=false")
    ends_well(laptop, run)
    run = begun(laptop, tmp_path)
    kinds = "deployments,services,secrets,configmaps"
    cluster.kubectl("delete", kinds, "--namespace", space, "--selector", "kedge.dev/relay")
    ends_well(laptop, run)


def test_a_network_that_is_away_while_a_step_ends_loses_nothing(cluster: Cluster, hubs: Hubs, tmp_path: Path) -> None:
    access = kubeconfig.load(cluster.kubeconfig, context=cluster.context or None)
    with Line(access.server) as line, hubs.start(LOOPBACK, start=False) as kedge:
        own = Path(kedge.options[0].partition("=")[2])
        known = kubeconfig.load(own)
        kubeconfig.write(own, replace(known, server=line.address, server_name="kubernetes.default.svc"), name="tests")
        kedge.start()
        run = begun(kedge, tmp_path, 5.0)
        line.cut()
        waits_for_its_hub(cluster, kedge)
        line.mend()
        ends_well(kedge, run)


def test_a_restart_of_the_api_server_loses_nothing(laptop: RunningHost, cluster: Cluster, tmp_path: Path) -> None:
    if not cluster.is_here:
        pytest.skip("the API server is a process of another machine")
    run = begun(laptop, tmp_path)
    cluster.restart_api_server()
    ends_well(laptop, run)


def test_the_hub_and_its_relay_are_reached_through_the_proxy_that_the_kubeconfig_names(
    cluster: Cluster, hubs: Hubs, tmp_path: Path
) -> None:
    with connect_proxy() as proxy, hubs.start(LOOPBACK, start=False) as kedge:
        own = Path(kedge.options[0].partition("=")[2])
        kubeconfig.write(own, replace(kubeconfig.load(own), proxy=proxy.address), name="tests")
        kedge.start()
        ends_well(kedge, begun(kedge, tmp_path, 0.0))
    server = kubeconfig.load(cluster.kubeconfig, context=cluster.context or None).server
    assert set(proxy.asked) == {server.removeprefix("https://")}


def test_down_takes_the_relay_away_and_a_restart_does_not_and_an_installation_waits_for_that(
    laptop: RunningHost, cluster: Cluster
) -> None:
    space = namespace_of(laptop)
    before = objects(cluster, space)
    assert [name.partition("/")[0] for name in before] == ["ConfigMap", "Deployment", "Secret", "Service"]
    laptop.cli("down", "--keep-steps", check=True)
    assert objects(cluster, space) == before
    laptop.start()
    assert objects(cluster, space) == before
    install = ("install", laptop.options[0], "--image", "none.test/kedge:1", "--artifacts", "s3://bucket/x", "--no-wait")
    refused = laptop.cli(*install)
    assert f"is in namespace {space}: two hubs would undo each other's work" in refused.stderr
    said = laptop.cli("down", check=True).stdout
    assert "Its relay has been taken out of the cluster" in said
    assert objects(cluster, space) == []
    assert f"is installed in {space}" in laptop.cli(*install, check=True).stdout


def test_the_relay_runs_where_the_restricted_standard_is_enforced_and_tells_nobody_its_secret(
    cluster: Cluster, hubs: Hubs, restricted: str
) -> None:
    with hubs.start(LOOPBACK, start=False) as kedge:
        own = Path(kedge.options[0].partition("=")[2])
        kubeconfig.write(own, replace(kubeconfig.load(own), namespace=restricted), name="tests")
        kedge.start()
        (pod,) = cluster.get("pods", "--namespace", restricted, "--selector", "kedge.dev/relay")["items"]
        secret = json.loads((kedge.home / "relay.json").read_text())["secret"]
        assert secret not in json.dumps(pod)
        assert secret not in cluster.kubectl("logs", "--namespace", restricted, pod["metadata"]["name"])
        assert secret not in (kedge.home / "hub.log").read_text()


def test_a_user_with_too_few_rights_is_told_which_are_missing(cluster: Cluster, hubs: Hubs) -> None:
    with hubs.start(LOOPBACK, start=False) as kedge:
        own = Path(kedge.options[0].partition("=")[2])
        known = kubeconfig.load(own)
        cluster.kubectl("create", "serviceaccount", "guest", "--namespace", known.namespace)
        rules = ("--verb=*", "--resource=runs.kedge.dev,runs.kedge.dev/status,pods,configmaps,persistentvolumeclaims")
        cluster.kubectl("create", "role", "guest", "--namespace", known.namespace, *rules)
        account = f"--serviceaccount={known.namespace}:guest"
        cluster.kubectl("create", "rolebinding", "guest", "--namespace", known.namespace, "--role=guest", account)
        token = cluster.kubectl("create", "token", "guest", "--namespace", known.namespace).strip()
        kubeconfig.write(own, replace(known, token=token, certificate=None, key=None), name="tests")
        with pytest.raises(StateError, match=r"the relay.* needs rights in namespace .*secrets .*is forbidden.*KEDGE_LISTEN"):
            kedge.start()
        kubeconfig.write(own, known, name="tests")


def test_an_image_that_cannot_be_had_is_named(hubs: Hubs) -> None:
    with (
        hubs.start({**LOOPBACK, "KEDGE_STAGER_IMAGE": "127.0.0.1:1/none:1"}, start=False) as kedge,
        pytest.raises(StateError, match=r"(?s)the relay.*does not start.*127\.0\.0\.1:1/none:1.*KEDGE_STAGER_IMAGE"),
    ):
        kedge.start()


def test_a_quota_that_is_used_up_is_told_in_its_words(cluster: Cluster, hubs: Hubs) -> None:
    with hubs.start(LOOPBACK, start=False) as kedge:
        space = kubeconfig.load(Path(kedge.options[0].partition("=")[2])).namespace
        cluster.kubectl("create", "quota", "none", "--namespace", space, "--hard=pods=0")
        with pytest.raises(StateError, match=r"exceeded quota: none"):
            kedge.start()


def namespace_of(kedge: RunningHost) -> str:
    """Where the hub works."""
    return clusters.choose(kedge.settings).access().namespace


class Line:
    """The way to an API server, which can be cut: a port of this machine that passes bytes on.

    Args:
        server: Its address.
    """

    def __init__(self, server: str) -> None:
        host, _, port = server.removeprefix("https://").partition(":")
        self._to = (host, int(port or 443))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._whole = True
        self.address = f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._listener)
        self.cut()
        for thread in self._threads:
            thread.join(60)
        for each in (*self._open, self._listener):
            each.close()

    def cut(self) -> None:
        """End all connections, and take no more."""
        self._whole = False
        for each in list(self._open):
            _end(each)

    def mend(self) -> None:
        """Take connections again."""
        self._whole = True

    def _start(self, what: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=what, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self._whole:
                    near.close()
                    continue
                far = socket.create_connection(self._to)
                self._open |= {near, far}
                self._start(_pass_on, near, far)
                self._start(_pass_on, far, near)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    _end(source)
    _end(target)


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
