"""Logging in to a real API server by a program, as kubeconfigs of cloud providers want it."""

import asyncio
import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from access import Cluster
from certificates import Authority, Issued
from components import CLIENTS
from connect_proxy import connect_proxy

from kedge.client import kubeconfig
from kedge.client.http import HttpClient
from kedge.errors import Unauthorized
from kedge.kube.core import POD

# Gives the token that lies in a file, and counts how often it was asked.
LOGIN = """#!{python}
import json, os
folder = {folder!r}
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
assert info["spec"]["cluster"]["server"].startswith("https://")
open(folder + "/asked", "a").write("x")
token = open(folder + "/token").read()
status = {{"token": token}} if token[0] != "{{" else json.loads(token)
print(json.dumps({{"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": status}}))
"""


def with_login(cluster: Cluster, namespace: str, folder: Path, said: str, proxy: str | None = None) -> Path:
    """A kubeconfig whose user is known by a program, which says what lies in a file beside it."""
    script = folder / "login"
    script.write_text(LOGIN.format(python=sys.executable, folder=str(folder)))
    script.chmod(0o755)
    (folder / "token").write_text(said)
    path = folder / "kubeconfig"
    known = kubeconfig.load(cluster.kubeconfig, context=cluster.context or None)
    kubeconfig.write(path, replace(known, token=None, certificate=None, key=None, namespace=namespace, proxy=proxy))
    config: Any = yaml.safe_load(path.read_text())
    login = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./login",
        "provideClusterInfo": True,
        "interactiveMode": "Never",
    }
    config["users"][0]["user"] = {"exec": login}
    path.write_text(json.dumps(config))
    return path


async def test_a_program_logs_in_and_is_asked_again_when_its_token_is_not_taken_any_more(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    def token() -> str:
        return cluster.kubectl("create", "token", "default", "--namespace", namespace).strip()

    account = f"--serviceaccount={namespace}:default"
    cluster.kubectl("create", "rolebinding", "view", "--namespace", namespace, "--clusterrole=view", account)
    path = with_login(cluster, namespace, tmp_path, token())
    async with HttpClient(kubeconfig.load(path)) as client:
        for _ in range(2):
            assert (await client.list(POD, namespace)).items == []
        assert (tmp_path / "asked").read_text() == "x"
        (tmp_path / "token").write_text("nonsense")
    async with HttpClient(kubeconfig.load(path)) as client:
        try:
            await client.list(POD, namespace)
        except Unauthorized:
            pass
        else:
            raise AssertionError("the server took nonsense")
        (tmp_path / "token").write_text(token())
        assert (await client.list(POD, namespace)).items == []


def shown(issued: Issued) -> str:
    return json.dumps({"clientCertificateData": issued.certificate, "clientKeyData": issued.key})


@pytest.mark.parametrize("way", ["straight", "through a proxy"])
async def test_a_program_gives_a_client_certificate_and_the_next_one_when_that_is_over(
    cluster: Cluster, namespace: str, tmp_path: Path, way: str
) -> None:
    """Over connections that are open already, too: they show the certificate with which they were made."""
    key = cluster.kubeconfig.with_name(f"{CLIENTS}.key")
    if not key.exists():
        pytest.skip("nobody signs client certificates for us that this cluster takes")
    authority, who = Authority.read(key, CLIENTS), f"--user={namespace}"
    cluster.kubectl("create", "rolebinding", "view", "--namespace", namespace, "--clusterrole=view", who)
    with connect_proxy() as proxy:
        first = shown(authority.client(namespace, timedelta(seconds=3)))
        path = with_login(cluster, namespace, tmp_path, first, proxy.address if way != "straight" else None)
        async with HttpClient(kubeconfig.load(path)) as client:
            assert (await client.list(POD, namespace)).items == []
            (tmp_path / "token").write_text(shown(authority.client(namespace)))
            while (tmp_path / "asked").read_text() == "x":
                assert (await client.list(POD, namespace)).items == []
                await asyncio.sleep(0.05)
            assert (await client.list(POD, namespace)).items == []
    assert (tmp_path / "asked").read_text() == "xx"
    assert bool(proxy.asked) == (way != "straight")
