"""What may be chosen about an installation, and what cannot be."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from kedge.errors import StateError, UnsupportedError
from kedge.kube import names
from kedge.manifests import placing

ALL = "*"
"""Among the namespaces: every one of the cluster."""
_SIZE = re.compile(r"[1-9][0-9]*(?:[KMGTPE]i?)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What the manifests set themselves, each from its own option.
_TAKEN = {
    "KEDGE_DATABASE": "--database-secret",
    "KEDGE_ARTIFACTS": "--artifacts",
    "KEDGE_WATCH_NAMESPACES": "--namespaces",
    "KEDGE_LEASE": "--replicas",
    "KEDGE_POD_NAME": "--replicas",
    "KEDGE_HOME": "nothing: the manifests say where",
    "KEDGE_CACHE": "nothing: the manifests say where",
} | dict.fromkeys(
    ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "KEDGE_OPENLINEAGE_API_KEY", "KEDGE_TRUSTED_PROXY_SECRET"),
    "a key of that name in the Secret that --artifacts-secret names: everyone who reads the Deployment would see it here",
)


@dataclass(frozen=True, slots=True)
class Options:
    """One installation.

    Attributes:
        namespace: Where the hub runs.
        image: What it runs.
        artifacts: Address below which artifacts go: ``s3://…``, ``gs://…`` or ``az://…``.
        version: Kedge's, in that image.
        namespaces: Whose Runs the hub looks at; empty for its own, ``("*",)`` for all.
        replicas: Hubs, of which one works; more than one needs a database.
        database_secret: Secret whose key ``url`` says where the PostgreSQL database is; ``""`` for a file on a claim.
        artifacts_secret: Secret whose keys become environment variables of the hub, such as ``AWS_ACCESS_KEY_ID``.
        service_account: One that is there and has the rights; ``""`` for one of our own.
        env: More variables of the hub.
        storage: Size of the claim.
        storage_class: Of the claim; ``""`` for the cluster's default.
        alias: Whether there is a Service ``ml-pipeline`` too, where clients of Kubeflow look.
        pull_secrets: Secrets with which nodes pull the image.
        node_selector: Labels of the nodes that may have the hub.
        tolerations: What it tolerates of nodes: ``KEY[=VALUE][:EFFECT]``.
    """

    namespace: str
    image: str
    artifacts: str
    version: str
    namespaces: tuple[str, ...] = ()
    replicas: int = 1
    database_secret: str = ""
    artifacts_secret: str = ""
    service_account: str = ""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    storage: str = "2Gi"
    storage_class: str = ""
    alias: bool = True
    pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict[str, str])
    tolerations: tuple[str, ...] = ()

    @property
    def watched(self) -> tuple[str, ...]:
        """The namespaces whose Runs the hub looks at."""
        return self.namespaces or (self.namespace,)

    @property
    def everywhere(self) -> bool:
        """Whether these are all that there are."""
        return ALL in self.namespaces

    @property
    def elects(self) -> bool:
        """Whether several hubs decide among themselves which of them works."""
        return self.replicas > 1

    def dumped(self) -> str:
        """As text, from which `read` makes the same again."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def read(cls, text: str) -> "Options":
        """What an installation was made with, by whichever version.

        Raises:
            StateError: It cannot be read.
        """
        try:
            found: dict[str, Any] = json.loads(text)
            known = {name: value for name, value in found.items() if name in cls.__dataclass_fields__}
            known |= {name: tuple(known.get(name, ())) for name in ("namespaces", "pull_secrets", "tolerations")}
            return cls(**known)
        except (ValueError, TypeError, AttributeError) as error:
            raise StateError(
                f"the Deployment's annotation kedge.dev/options cannot be read ({error}). Give all options again."
            ) from error

    def changed(self, **given: Any) -> "Options":
        """The same with what is given and not ``None``; of variables those that are named, and an empty one is taken away."""
        changes = {name: value for name, value in given.items() if value is not None}
        if "env" in changes:
            changes["env"] = {name: value for name, value in {**self.env, **changes["env"]}.items() if value}
        return replace(self, **changes)

    def checked(self) -> "Options":
        """The same, after a look at it.

        Raises:
            UnsupportedError: It could not work; names the option, and says what would.
        """
        if faults := [*self._names(), *self._fault(), *placing.faults(self.node_selector, self.tolerations)]:
            raise UnsupportedError(faults[0])
        return self

    def _names(self) -> list[str]:
        named = {
            "--namespace": (self.namespace,),
            "--namespaces": () if self.everywhere else self.namespaces,
            "--database-secret": (self.database_secret,),
            "--artifacts-secret": (self.artifacts_secret,),
            "--service-account": (self.service_account,),
            "--image-pull-secret": self.pull_secrets,
        }
        return [
            f"{option}: {value!r}: {fault}. Give the name of what is in the cluster."
            for option, values in named.items()
            for value in filter(None, values)
            if (fault := names.subdomain_fault(value))
        ]

    def _fault(self) -> list[str]:
        scheme = self.artifacts.partition("://")[0] if "://" in self.artifacts else ""
        found: list[str] = []
        if not self.image:
            found.append(
                "--image: is required: the address of Kedge's image, as the cluster's nodes pull it (see Containerfile)."
            )
        if scheme in {"", "file"}:
            found.append(
                f"--artifacts: {self.artifacts or 'is not given'}: a cluster's Pods share no folder. Name an object store that "
                "they reach: s3://bucket/prefix, gs://… or az://…."
            )
        if self.replicas < 1:
            found.append(
                f"--replicas: must be 1 or more, got {self.replicas}. kubectl scale --replicas 0 stops the hub for a while."
            )
        if self.replicas > 1 and not self.database_secret:
            found.append(
                f"--replicas: {self.replicas} hubs need a database that all of them reach; without --database-secret the history "
                "is a SQLite file on a claim, which one hub holds. Name a Secret with PostgreSQL's url, or leave it at one."
            )
        if self.everywhere and len(self.namespaces) > 1:
            found.append("--namespaces: all of them, or some: give --all-namespaces alone.")
        if not _SIZE.fullmatch(self.storage):
            found.append(f"--storage: must be a size such as 2Gi, got {self.storage!r}.")
        for name in self.env:
            if not _VARIABLE.fullmatch(name):
                found.append(f"--set-env: {name!r} is no name of a variable. Write NAME=VALUE.")
            if name in _TAKEN:
                found.append(f"--set-env: {name} is set by {_TAKEN[name]}.")
        return found
