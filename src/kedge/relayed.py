"""What a hub on a laptop is told and asked before it works against a cluster: whose data this is, and what cannot work."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from kedge.artifacts.uris import scheme
from kedge.client.kubeconfig import Access
from kedge.client.relay import Identity
from kedge.config import Settings
from kedge.errors import StateError, UnsupportedError
from kedge.files import write_private
from kedge.kube.clock import Ids

LIMITS = (
    "The history of runs lies on this machine alone.",
    "While it sleeps or its network is away, steps in the cluster wait for it, up to 10 minutes each; later they are run again.",
    "For runs that must go on without this machine: kedge install.",
)
"""What somebody should know who starts one."""
_ENDPOINTS = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
    "GOOGLE_ENDPOINT_URL",
)
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared with
_HERE = EVERYWHERE | {"localhost", "::1"}


def check_store(settings: Settings) -> None:
    """Refuse a store that a cluster's Pods cannot reach, by name.

    Raises:
        UnsupportedError: It is a folder of this machine, or a server that listens on its loopback address alone.
    """
    if scheme(settings.artifacts or "/") == "file":
        raise UnsupportedError(
            f"KEDGE_ARTIFACTS: {settings.artifacts or 'is not set, so artifacts would lie in a folder here'}: a cluster's "
            "Pods cannot see that. Set it to an object store that they reach too: s3://bucket/prefix, gs://… or az://…."
        )
    for name in _ENDPOINTS:
        host = urlsplit(settings.environ.get(name, "")).hostname or ""
        if host in _HERE or host.startswith("127.") or host.endswith(".localhost"):
            raise UnsupportedError(
                f"{name}: {settings.environ[name]} is this machine alone: in a Pod the same address is the Pod itself, and steps "
                "move their artifacts straight to and from the store. Set it to an address that Pods and this machine both reach."
            )


def check_address(listen: str, address: str) -> None:
    """Refuse to tell Pods an address that would lead each of them to itself.

    Args:
        listen: Where the hub listens.
        address: What Pods are told; ``""`` for the same.

    Raises:
        UnsupportedError: The hub listens everywhere, and nothing says at which of its addresses Pods find it.
    """
    if listen in EVERYWHERE and not address:
        raise UnsupportedError(
            f"KEDGE_LISTEN: {listen} is every address of this machine, and none that a Pod could call. Set KEDGE_HUB_ADDRESS to "
            "the one at which Pods reach it (http://10.0.0.7:8080), or KEDGE_LISTEN to that address."
        )


def identity(home: Path, ids: Ids) -> Identity:
    """Whose relay it is: made once for a data directory.

    Raises:
        StateError: The file cannot be read.
    """
    path = home / "relay.json"
    if path.exists():
        try:
            known = json.loads(path.read_text())
            return Identity(str(known["id"]), str(known["secret"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(f"{path}: cannot be read ({error!r}). Delete it: a new relay is made then.") from error
    made = Identity(ids.suffix(8), ids.token())
    write_private(path, json.dumps({"id": made.name, "secret": made.secret}))
    return made


def has_relay(home: Path) -> bool:
    """Whether a hub of this data directory has ever wanted one."""
    return (home / "relay.json").exists()


def remember(home: Path, access: Access, kubeconfig: Path, context: str) -> None:
    """Write down which cluster a data directory belongs to, and refuse another one: its history would be told of the wrong runs.

    Raises:
        StateError: It belongs to another.
    """
    path = home / "cluster.json"
    known = recall(home)
    # A cluster may be reached in several ways, but has one authority; without one of its own, its address must do.
    cluster = hashlib.sha256((access.ca or access.server).strip().encode()).hexdigest()[:32]
    if known.get("cluster", cluster) != cluster:
        raise StateError(
            f"{home}: holds the history of another cluster, {known.get('server')}, whose context is called {context!r} too. "
            f"Rename one of the contexts, or set KEDGE_HOME to another directory. If it is the same cluster: delete {path}."
        )
    said = {"cluster": cluster, "server": access.server, "kubeconfig": str(kubeconfig), "context": context}
    if said != known:
        write_private(path, json.dumps(said))


def recall(home: Path) -> Mapping[str, str]:
    """What `remember` has written down; empty where it never has.

    Raises:
        StateError: The file cannot be read.
    """
    path = home / "cluster.json"
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, TypeError) as error:
        raise StateError(f"{path}: cannot be read ({error!r}). Delete it, and name the kubeconfig again.") from error
