"""The API server's own Priority and Fairness, told to have no seat for one service account: what else it asks is answered 429.

A priority level without seats lets one request at a time through all the same, so one is held open whose body never comes.
"""

import secrets
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from access import Cluster

from kedge.client.http import tls
from kedge.client.kubeconfig import Access

_GROUP = "flowcontrol.apiserver.k8s.io"
_HEARD_SECONDS = 5.0  # in which a request that is refused is answered


@contextmanager
def throttled(cluster: Cluster, access: Access, account: str) -> Generator[None]:
    """As long as this lasts, a service account gets no answer but 429; nobody else is concerned.

    Args:
        cluster: Its administrator's.
        access: The service account's, with a token; it may make Pods in its namespace.
        account: Its name.
    """
    name = f"kedge-test-{secrets.token_hex(4)}"
    seats = {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}
    everything: dict[str, Any] = {
        "verbs": ["*"],
        "apiGroups": ["*"],
        "resources": ["*"],
        "namespaces": ["*"],
        "clusterScope": True,
    }
    who = [{"kind": "ServiceAccount", "serviceAccount": {"namespace": access.namespace, "name": account}}]
    specs: dict[str, dict[str, Any]] = {
        "PriorityLevelConfiguration": {"type": "Limited", "limited": seats},
        "FlowSchema": {
            "priorityLevelConfiguration": {"name": name},
            "matchingPrecedence": 2,  # the first one is the administrators'
            "rules": [{"subjects": who, "resourceRules": [everything]}],
        },
    }
    version = f"{_GROUP}/v1"
    try:
        cluster.apply(
            *({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec} for kind, spec in specs.items())
        )
        with _held_open(access):
            yield
    finally:
        cluster.kubectl("delete", f"flowschemas.{_GROUP},prioritylevelconfigurations.{_GROUP}", name, "--ignore-not-found")


@contextmanager
def _held_open(access: Access) -> Generator[None]:
    """A request that is being carried out all the while; of a server that has just been told, it may be one that is refused."""
    parts = urlsplit(access.server)
    head = f"POST /api/v1/namespaces/{access.namespace}/pods HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 100\r\n"
    head += f"Authorization: Bearer {access.token}\r\nContent-Type: application/json\r\n\r\n"
    while True:
        near = socket.create_connection((parts.hostname, parts.port or 443))
        with tls(access).wrap_socket(near, server_hostname=parts.hostname) as connection:
            connection.sendall(head.encode())
            connection.settimeout(_HEARD_SECONDS)
            try:
                connection.recv(1)
            except (TimeoutError, ssl.SSLWantReadError):
                yield
                return
