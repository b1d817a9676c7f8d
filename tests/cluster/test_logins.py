"""Logging in to a real API server by a program, as kubeconfigs of cloud providers want it."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from access import Cluster

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
print(json.dumps({{"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": {{"token": token}}}}))
"""


async def test_a_program_logs_in_and_is_asked_again_when_its_token_is_not_taken_any_more(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    def token() -> str:
        return cluster.kubectl("create", "token", "default", "--namespace", namespace).strip()

    account = f"--serviceaccount={namespace}:default"
    cluster.kubectl("create", "rolebinding", "view", "--namespace", namespace, "--clusterrole=view", account)
    script = tmp_path / "login"
    script.write_text(LOGIN.format(python=sys.executable, folder=str(tmp_path)))
    script.chmod(0o755)
    (tmp_path / "token").write_text(token())
    path = tmp_path / "kubeconfig"
    known = kubeconfig.load(cluster.kubeconfig, context=cluster.context or None)
    kubeconfig.write(path, replace(known, token=None, certificate=None, key=None, namespace=namespace))
    config: Any = yaml.safe_load(path.read_text())
    login = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./login",
        "provideClusterInfo": True,
        "interactiveMode": "Never",
    }
    config["users"][0]["user"] = {"exec": login}
    path.write_text(json.dumps(config))
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
