"""Rights on either host, with an unmodified `kubectl`: roles given, asked about and taken away, in the same words."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hosts import HOSTS

from kedge.testing.host import running_host

NAMESPACE = "kedge-test-rights"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:reader"
Kubectl = Callable[..., str]


@pytest.fixture(scope="module", params=HOSTS)
def kubectl(request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """`kubectl` as the owner of either host's API server, in a namespace of its own; returns what it says, of an error too."""

    def runs(kubeconfig: Path, context: str) -> Kubectl:
        def run(*arguments: str, text: str = "") -> str:
            chosen = [f"--context={context}"] if context else []
            command = ["kubectl", f"--kubeconfig={kubeconfig}", *chosen, f"--namespace={NAMESPACE}", *arguments]
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
            return done.stdout + done.stderr

        return run

    def used(run: Kubectl) -> Iterator[Kubectl]:
        run("create", "namespace", NAMESPACE)
        run("create", "serviceaccount", "reader")
        yield run
        run("delete", "namespace", NAMESPACE, "--wait=false")

    if request.param == "cluster":
        cluster = request.getfixturevalue("cluster")
        yield from used(runs(cluster.kubeconfig, cluster.context))
        return
    with running_host() as kedge:
        yield from used(runs(kedge.home / "kubeconfig", ""))


def test_a_role_is_made_bound_asked_about_and_used(kubectl: Kubectl) -> None:
    as_reader = f"--as={ACCOUNT}"
    assert kubectl("auth", "can-i", "list", "pods", as_reader).split()[0] == "no"
    refused = f'pods is forbidden: User "{ACCOUNT}" cannot list resource "pods" in API group "" in the namespace "{NAMESPACE}"'
    assert refused in kubectl("get", "pods", as_reader)
    assert "created" in kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods,pods/log")
    made = kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={NAMESPACE}:reader")
    assert "created" in made
    assert kubectl("auth", "can-i", "list", "pods", as_reader).split()[0] == "yes"
    assert "No resources found" in kubectl("get", "pods", as_reader)
    listed = kubectl("auth", "can-i", "--list", as_reader)
    assert [line.split()[0] for line in listed.splitlines() if line.endswith("[get list]")] == ["pods/log", "pods"]
    assert kubectl("get", "rolebinding", "reader", "--output=wide", "--no-headers").split()[1] == "Role/reader"
    escalated = kubectl("create", "role", "more", "--verb=*", "--resource=*", as_reader)
    assert f'User "{ACCOUNT}" cannot create resource "roles" in API group "rbac.authorization.k8s.io"' in escalated
    assert "deleted" in kubectl("delete", "rolebinding", "reader")
    assert kubectl("auth", "can-i", "list", "pods", as_reader).split()[0] == "no"


def test_a_token_is_who_it_says(kubectl: Kubectl) -> None:
    said = kubectl("auth", "whoami", f"--as={ACCOUNT}")
    assert ACCOUNT in said
    assert f"system:serviceaccounts:{NAMESPACE}" in said


def test_roles_are_reconciled(kubectl: Kubectl) -> None:
    role = f"""
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: kept
  namespace: {NAMESPACE}
rules:
- apiGroups: [""]
  resources: [configmaps]
  verbs: [VERBS]
"""
    assert "reconciled" in kubectl("auth", "reconcile", "--filename=-", text=role.replace("VERBS", "get"))
    assert "reconciled" in kubectl("auth", "reconcile", "--filename=-", text=role.replace("VERBS", "get, list"))
    verbs = kubectl("get", "role", "kept", "--output=jsonpath={.rules[*].verbs}")
    assert "list" in verbs


def test_the_defaults_of_kubernetes_are_there(kubectl: Kubectl) -> None:
    found = kubectl("get", "clusterroles", "--output=name")
    for name in ("admin", "cluster-admin", "edit", "view", "system:basic-user", "system:discovery", "system:node"):
        assert f"clusterrole.rbac.authorization.k8s.io/{name}\n" in found
    assert kubectl("auth", "can-i", "get", "/healthz", "--as=somebody").split()[0] == "yes"
    assert kubectl("auth", "can-i", "delete", "nodes", "--as=somebody", "--all-namespaces").splitlines()[-1] == "no"
