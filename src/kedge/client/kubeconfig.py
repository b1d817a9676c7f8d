"""Kubeconfigs: the one that a host writes for its users, and the ones that users bring.

Read are the cluster's address and CA, and a token or a client certificate. A login that needs a program (``exec``) or a provider
is refused by name: the cloud libraries that carry those out come with the extra ``kedge[kubernetes]``, later.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kedge import errors
from kedge.files import write_private
from kedge.kube.kinds import Obj

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it: five times faster
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one API server.

    Attributes:
        server: ``https://host:port``.
        ca: PEM of the authority that signed the server's certificate; ``None`` for the machine's own list.
        token: Bearer token.
        certificate: PEM of a client certificate.
        key: PEM of its private key.
        namespace: Where the user works.
        verify: Whether the server's certificate is checked at all.
        server_name: The name that the certificate must have, when it is not the address.
        token_file: Where the bearer token is read from, again and again: a Pod's is replaced while it runs.
    """

    server: str
    ca: str | None = None
    token: str | None = None
    certificate: str | None = None
    key: str | None = None
    namespace: str = "default"
    verify: bool = True
    server_name: str | None = None
    token_file: Path | None = None

    def __repr__(self) -> str:
        """Without secrets, because representations end up in logs."""
        return f"Access(server={self.server!r}, namespace={self.namespace!r})"


def render(access: Access, *, name: str = "kedge") -> Obj:
    """The kubeconfig of one server and one user."""
    cluster: Obj = {"server": access.server}
    if access.ca:
        cluster["certificate-authority-data"] = base64.b64encode(access.ca.encode()).decode()
    user: Obj = {}
    if access.token:
        user["token"] = access.token
    if access.certificate and access.key:
        user["client-certificate-data"] = base64.b64encode(access.certificate.encode()).decode()
        user["client-key-data"] = base64.b64encode(access.key.encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": access.namespace}}],
        "current-context": name,
    }


def write(path: Path, access: Access, *, name: str = "kedge") -> None:
    """Write a kubeconfig that only its owner may read; a reader sees the old file or the new one, whole."""
    text: str = yaml.dump(render(access, name=name), Dumper=_Dumper, sort_keys=False)
    write_private(path, text)


def load(path: Path, *, context: str | None = None) -> Access:
    """Read how to reach a server.

    Args:
        path: The kubeconfig.
        context: Its name; the current one by default.

    Raises:
        StateError: The file is not there or cannot be read as a kubeconfig; says where it is wrong.
        UnsupportedError: It wants a login that is not carried out here.
    """
    config = _read(path)
    wanted = context or config.get("current-context") or ""
    chosen = _entry(config, "contexts", wanted, path).get("context") or {}
    cluster = _entry(config, "clusters", chosen.get("cluster") or "", path).get("cluster") or {}
    user = _entry(config, "users", chosen.get("user") or "", path).get("user") or {}
    for login in ("exec", "auth-provider"):
        if login in user:
            raise errors.UnsupportedError(
                f"{path}: user {chosen.get('user')!r}: logins through {login} are not supported. Make a token "
                "(kubectl create token SERVICEACCOUNT) and set it as users[].user.token in a kubeconfig of its own."
            )
    if not isinstance(cluster.get("server"), str):
        raise errors.StateError(f"{path}: clusters[{chosen.get('cluster')}].cluster.server: is required.")
    token = user.get("token")
    if token is None and user.get("tokenFile"):
        token = _text(path, Path(user["tokenFile"])).strip()
    return Access(
        server=cluster["server"].rstrip("/"),
        ca=_data(path, cluster, "certificate-authority"),
        token=token,
        certificate=_data(path, user, "client-certificate"),
        key=_data(path, user, "client-key"),
        namespace=chosen.get("namespace") or "default",
        verify=not cluster.get("insecure-skip-tls-verify"),
        server_name=cluster.get("tls-server-name"),
    )


def current_context(path: Path) -> str:
    """The context that a kubeconfig says is current.

    Raises:
        StateError: It cannot be read, or says none.
    """
    name = _read(path).get("current-context")
    if not name:
        raise errors.StateError(f"{path}: has no current context. Name one with --context.")
    return str(name)


def in_cluster(environ: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Access:
    """How a Pod reaches the API server of its own cluster: by its service account.

    Args:
        environ: The environment of the process.
        folder: Where the kubelet lays the account's files.

    Raises:
        StateError: This process does not run in a Pod, or in one without a service account's token.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").exists():
        raise errors.StateError(
            f"This process runs in no Pod with a service account: {'' if host else 'KUBERNETES_SERVICE_HOST is not set, or '}"
            f"{folder}/token is not there. Name a kubeconfig with --kubeconfig, or KUBECONFIG."
        )
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca=_text(folder, folder / "ca.crt"),
        namespace=_text(folder, folder / "namespace").strip() or "default",
        token_file=folder / "token",
    )


def _read(path: Path) -> Obj:
    text = _text(path, path)
    try:
        config: Any = yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe loader, only the faster one
    except yaml.YAMLError as error:
        raise errors.StateError(f"{path}: is no YAML: {error}. Correct it, or name another kubeconfig.") from error
    if not isinstance(config, dict):
        raise errors.StateError(f"{path}: is no kubeconfig. Name another one with KUBECONFIG.")
    return config


def _entry(config: Obj, part: str, name: str, path: Path) -> Obj:
    entries: list[Any] = config.get(part) or []
    for entry in entries:
        if isinstance(entry, dict) and entry.get("name") == name:
            return entry
    have = ", ".join(str(entry.get("name")) for entry in entries if isinstance(entry, dict)) or "none"
    raise errors.StateError(f"{path}: {part} has no entry named {name!r}; it has {have}. Choose one of them.")


def _data(path: Path, owner: Obj, key: str) -> str | None:
    """PEM that stands in the file, or in a file that it names (relative to it)."""
    if inline := owner.get(f"{key}-data"):
        try:
            return base64.b64decode(inline, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise errors.StateError(f"{path}: {key}-data: is no base64 of PEM text: {error}.") from error
    return _text(path, Path(owner[key])) if owner.get(key) else None


def _text(config: Path, path: Path) -> str:
    try:
        return config.parent.joinpath(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.StateError(f"{path}: cannot be read: {error}. Check the path that {config} or KUBECONFIG names.") from error
