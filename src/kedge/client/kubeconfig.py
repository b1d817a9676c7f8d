"""Kubeconfigs: the one that a host writes for its users, and the ones that users bring.

What ``kubectl`` reads is read here, and means the same: several files become one, paths are relative to the file that has
them, and a login may be a program (``exec``, carried out by `kedge.client.exec_login`). What is not, such as the
``auth-provider`` that Kubernetes itself has given up, is refused by name.
"""

import base64
import binascii
import os
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

_LOGIN_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
# What a kubeconfig may have and no Kubernetes of today takes.
_GIVEN_UP = {
    "auth-provider": "Kubernetes gave them up with 1.26; exec took their place",
    "username": "Kubernetes gave up passwords with 1.19",
}
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Program:
    """A program that says who we are, as ``users[].user.exec`` names it.

    Attributes:
        command: Its path, or its name on ``PATH``.
        args: Its arguments.
        env: Variables besides ours.
        version: The ``apiVersion`` of what it reads and writes.
        interactive: ``Never``, ``IfAvailable`` or ``Always``: whether it may, or must, speak to somebody at a terminal.
        cluster: What it wants to be told of the cluster; ``None`` where it does not ask.
        hint: How to install it.
    """

    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    version: str = "client.authentication.k8s.io/v1"
    interactive: str = "IfAvailable"
    cluster: Obj | None = None
    hint: str = ""


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
        program: Says who we are, where neither a token nor a certificate does.
        proxy: The proxy on the way, such as ``http://proxy:3128``; ``None`` for what the environment says.
        impersonates: Headers that say whom we act for.
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
    program: Program | None = None
    proxy: str | None = None
    impersonates: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Without secrets, because representations end up in logs."""
        return f"Access(server={self.server!r}, namespace={self.namespace!r})"


def render(access: Access, *, name: str = "kedge") -> Obj:
    """The kubeconfig of one server and one user."""
    cluster: Obj = {"server": access.server}
    if access.ca:
        cluster["certificate-authority-data"] = base64.b64encode(access.ca.encode()).decode()
    given: Obj = {"tls-server-name": access.server_name, "proxy-url": access.proxy, "insecure-skip-tls-verify": not access.verify}
    cluster |= {key: value for key, value in given.items() if value}
    user: Obj = {}
    if access.token:
        user["token"] = access.token
    if access.token_file:
        user["tokenFile"] = str(access.token_file)
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
        path: The kubeconfig; several, as ``KUBECONFIG`` names them, with colons between.
        context: Its name; the current one by default.

    Raises:
        StateError: The file is not there or cannot be read as a kubeconfig; says where it is wrong.
        UnsupportedError: It wants a login that is not carried out here.
    """
    config = _Merged(path)
    wanted = context or config.current
    chosen, _ = config.entry("contexts", wanted)
    cluster, cluster_file = config.entry("clusters", chosen.get("cluster") or "")
    user, user_file = config.entry("users", chosen.get("user") or "")
    where = f"{user_file}: user {chosen.get('user')!r}"
    for login, why in _GIVEN_UP.items():
        if login in user:
            raise errors.UnsupportedError(
                f"{where}: logins through {login} are not supported: {why}. Make a token "
                "(kubectl create token SERVICEACCOUNT) and set it as users[].user.token in a kubeconfig of its own."
            )
    if not isinstance(cluster.get("server"), str):
        raise errors.StateError(f"{cluster_file}: clusters[{chosen.get('cluster')}].cluster.server: is required.")
    file = user.get("tokenFile")
    ca = _data(cluster_file, cluster, "certificate-authority")
    return Access(
        server=cluster["server"].rstrip("/"),
        ca=ca,
        token=None if file else user.get("token"),
        certificate=_data(user_file, user, "client-certificate"),
        key=_data(user_file, user, "client-key"),
        namespace=chosen.get("namespace") or "default",
        verify=not cluster.get("insecure-skip-tls-verify"),
        server_name=cluster.get("tls-server-name"),
        token_file=user_file.parent / file if file else None,
        program=_program(user["exec"], where, user_file, cluster, ca) if user.get("exec") and not user.get("token") else None,
        proxy=cluster.get("proxy-url"),
        impersonates=_impersonates(user),
    )


def current_context(path: Path) -> str:
    """The context that a kubeconfig says is current.

    Raises:
        StateError: It cannot be read, or says none.
    """
    if name := _Merged(path).current:
        return name
    raise errors.StateError(f"{path}: has no current context. Name one with --context.")


def absolute(path: Path) -> Path:
    """The same file, or files, from wherever."""
    return Path(os.pathsep.join(str(Path(each).expanduser().absolute()) for each in str(path).split(os.pathsep) if each))


class _Merged:
    """One kubeconfig, or several as one: what an earlier file says holds.

    Args:
        path: Of the file, or of each with colons between. Of several, those that are not there are left out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        files = [Path(each) for each in str(path).split(os.pathsep) if each]
        there = [file for file in files if file.exists()] if len(files) > 1 else files
        if not there:
            raise errors.StateError(f"{path}: none of these files is there. Check the paths that KUBECONFIG names.")
        self._files = [(_read(file), file) for file in there]
        self.current = next((str(name) for config, _ in self._files if (name := config.get("current-context"))), "")

    def entry(self, part: str, name: str) -> tuple[Obj, Path]:
        """What a context, cluster or user of this name is, and the file that says so."""
        have: list[str] = []
        for config, file in self._files:
            for entry in config.get(part) or ():
                if isinstance(entry, dict):
                    if entry.get("name") == name:
                        return entry.get(part.removesuffix("s")) or {}, file
                    have.append(str(entry.get("name")))
        known = ", ".join(have) or "none"
        raise errors.StateError(f"{self._path}: {part} has no entry named {name!r}; it has {known}. Choose one of them.")


def _program(said: Obj, where: str, file: Path, cluster: Obj, ca: str | None) -> Program:
    version, command = said.get("apiVersion"), said.get("command")
    if version not in _LOGIN_VERSIONS:
        raise errors.UnsupportedError(
            f"{where}: exec.apiVersion: {version!r} is not spoken here, only {' and '.join(_LOGIN_VERSIONS)}. "
            "Have the tool that wrote it update the kubeconfig."
        )
    if not isinstance(command, str) or not command:
        raise errors.StateError(f"{where}: exec.command: is required.")
    told: Obj | None = None
    if said.get("provideClusterInfo"):
        told = {"server": cluster["server"], "insecure-skip-tls-verify": bool(cluster.get("insecure-skip-tls-verify"))}
        told |= {key: cluster[key] for key in ("tls-server-name", "proxy-url") if cluster.get(key)}
        if ca:
            told["certificate-authority-data"] = base64.b64encode(ca.encode()).decode()
        for extension in cluster.get("extensions") or ():
            if extension.get("name") == "client.authentication.k8s.io/exec":
                told["config"] = extension.get("extension")
    return Program(
        command=str(file.parent / command) if os.sep in command else command,
        args=tuple(map(str, said.get("args") or ())),
        env=tuple((str(each["name"]), str(each["value"])) for each in said.get("env") or ()),
        version=version,
        interactive=said.get("interactiveMode") or "IfAvailable",
        cluster=told,
        hint=said.get("installHint") or "",
    )


def _impersonates(user: Obj) -> tuple[tuple[str, str], ...]:
    found = [("Impersonate-User", user.get("as")), ("Impersonate-Uid", user.get("as-uid"))]
    found += [("Impersonate-Group", group) for group in user.get("as-groups") or ()]
    found += [(f"Impersonate-Extra-{key}", each) for key, values in (user.get("as-user-extra") or {}).items() for each in values]
    return tuple((name, str(value)) for name, value in found if value)


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
