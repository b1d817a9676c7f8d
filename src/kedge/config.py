"""Settings: the only module that reads the environment.

Each setting is one field with its default, its unit and its variable; `Settings.from_environment` reads them all, once, when a
command starts. Nothing reads them at import.
"""

import math
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kedge.errors import KedgeError

_CENTURY = 100 * 365 * 86400.0
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def colors(environ: Mapping[str, str] | None = None) -> bool | None:
    """Whether text on a terminal may be coloured: ``None`` leaves it to what standard output is.

    ``NO_COLOR`` (anything but empty) and a terminal that says it is ``dumb`` do without.

    Args:
        environ: In place of the process's own.

    Examples:
        >>> colors({"NO_COLOR": "1"}), colors({"TERM": "dumb"}), colors({})
        (False, False, None)
    """
    environ = os.environ if environ is None else environ
    return False if environ.get("NO_COLOR") or environ.get("TERM") == "dumb" else None


def _home(environ: Mapping[str, str]) -> Path:
    if value := environ.get("KEDGE_HOME"):
        return _expanded(value, "KEDGE_HOME").absolute()
    base = environ.get("XDG_DATA_HOME") or _expanded("~/.local/share", "KEDGE_HOME")
    return Path(base) / "kedge"


def _expanded(text: str, variable: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise KedgeError(
            f"{variable}: no home directory is known: HOME is not set, and user {os.getuid()} has none on this machine. "
            f"Set KEDGE_HOME and KEDGE_CACHE to directories of your own, or set HOME."
        ) from error


def _cache(environ: Mapping[str, str]) -> Path:
    if value := environ.get("KEDGE_CACHE"):
        return _expanded(value, "KEDGE_CACHE").absolute()
    if sys.platform == "darwin":
        return _expanded("~/Library/Caches/kedge", "KEDGE_CACHE")
    return Path(environ.get("XDG_CACHE_HOME") or _expanded("~/.cache", "KEDGE_CACHE")) / "kedge"


_RENEWED_EVERY = 10.0  # see `kedge.node.registration`


@dataclass(frozen=True, slots=True)
class Settings:
    """What a host is started with.

    Attributes:
        home: All state lies here (``KEDGE_HOME``; default ``~/.local/share/kedge``).
        cache: Python environments by content; may be deleted at any time (``KEDGE_CACHE``; default ``~/.cache/kedge``).
        synchronous: SQLite's durability, ``NORMAL`` or ``FULL`` (``KEDGE_SYNCHRONOUS``). NORMAL survives any crash of Kedge;
            a power cut may lose the last moments, which are then run again.
        max_pods: Pods that run at once on this node (``KEDGE_MAX_PODS``; default 2 for each processor, at least 4), besides those
            that are restarted whenever they end.
        node_labels: Labels of the node besides its own, for ``nodeSelector`` and affinity (``KEDGE_NODE_LABELS``, such as
            ``disk=ssd,zone=a``).
        gpus: How many GPUs are handed out to steps (``KEDGE_GPUS``; default: as many as the NVIDIA driver shows, less those that
            ``CUDA_VISIBLE_DEVICES`` leaves out).
        default_cpu: Processors that a container without a request is counted as (``KEDGE_DEFAULT_CPU``).
        default_memory: Bytes, likewise (``KEDGE_DEFAULT_MEMORY``).
        infra_retries: How often a step is tried again after failures that are not its own (``KEDGE_INFRA_RETRIES``).
        image_pull_timeout: Seconds after which an attempt fails whose container cannot be made, as where its image cannot be had
            (``KEDGE_IMAGE_PULL_TIMEOUT``: a number of seconds, or with a unit, such as ``10m``; default 2 minutes).
        log_limit: Bytes of log kept for each container, in two files (``KEDGE_LOG_LIMIT``; default 20 MiB).
        least_disk: Bytes; a disk with less room is said to run short (``KEDGE_LEAST_DISK``; default 2 GiB: an environment of a
            step may be as large).
        node_monitor_grace_period: Seconds of silence after which a node that has joined is marked
            (``KEDGE_NODE_MONITOR_GRACE_PERIOD``: a number of seconds, or with a unit, such as ``2m``; default 50 seconds). Nodes
            renew their Leases every 10.
        artifacts: Address below which artifacts go unless a pipeline or a run says otherwise: a folder, ``s3://…``, ``gs://…``,
            ``az://…`` (``KEDGE_ARTIFACTS``; default a folder in `home`).
        runtime: What runs containers (``KEDGE_RUNTIME``): ``auto``, the default, runs images that Kedge knows as processes and
            all others by a container runtime, where one is found; ``process`` runs no others; ``podman``, ``docker`` or
            ``nerdctl`` runs all images as containers.
        host_paths: Directories of this machine that Pods may have as ``hostPath`` volumes, with all that is in them
            (``KEDGE_HOST_PATHS``, such as ``/data:/mnt/models``; default none).
        warm: Whether Python steps may be forked from warm interpreters (``KEDGE_WARM``).
        kfp_runtime: ``installed`` runs components that ``kfp`` compiled under the real package; otherwise they run under the
            launcher's own runtime, as far as that has what they use (``KEDGE_KFP_RUNTIME``).
        final_status: What exit tasks are told of success: ``SUCCEEDED`` as KFP documents it, or ``COMPLETE`` as its backend
            says (``KEDGE_FINAL_STATUS``).
        cache_ttl: Seconds after which no result of a step is used again, 0 for never; ``None``, the default, for no such limit
            (``KEDGE_CACHE_TTL``: a number of seconds, or with a unit, such as ``12h`` or ``7d``).
        openlineage_url: Where OpenLineage events are posted, or a ``file://`` address to append them to; ``""`` for nowhere
            (``KEDGE_OPENLINEAGE_URL``; an address without a path gets ``/api/v1/lineage``).
        openlineage_api_key: Sent with them as a bearer token (``KEDGE_OPENLINEAGE_API_KEY``).
        metrics_auth: Who may read ``/metrics``: ``token`` the owner, ``none`` everyone on this machine
            (``KEDGE_METRICS_AUTH``).
        log_format: How ``hub.log`` is written: ``text`` or ``json``, an object a line (``KEDGE_LOG_FORMAT``).
        log_level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR`` (``KEDGE_LOG_LEVEL``).
        stager_image: The image of the containers that stage files for steps without Python, on clusters; any with Python 3.8 or
            newer (``KEDGE_STAGER_IMAGE``).
        watch_namespaces: Where the hub of a cluster looks for Runs (``KEDGE_WATCH_NAMESPACES``: names with commas between, or
            ``*`` for all; default the kubeconfig's own). Two hubs must not look into the same one.
        listen: Address on which the hub of a cluster listens (``KEDGE_LISTEN``; default 127.0.0.1, where only a relay reaches
            it).
        hub_address: That hub's address as Pods reach it (``KEDGE_HUB_ADDRESS``; default a relay's, or in a cluster the
            Service's).
        callers: Who may call the hub of a cluster: ``cluster`` its users, as far as RBAC lets them, or ``owner`` the one who
            started it (``KEDGE_CALLERS``; default ``cluster`` in a Pod, otherwise ``owner``).
        trusted_proxy: Addresses and networks of the proxy whose ``kubeflow-userid`` is believed, with commas between them
            (``KEDGE_TRUSTED_PROXY``; default nobody's).
        trusted_proxy_secret: What that proxy sends as ``X-Kedge-Proxy-Secret`` (``KEDGE_TRUSTED_PROXY_SECRET``). Given with
            addresses, both must fit.
        lease: Name of the Lease by which several hubs of a cluster decide which of them works (``KEDGE_LEASE``; default: there is
            one hub).
        pod_name: Of the Pod in which the hub runs (``KEDGE_POD_NAME``).
        database: Where the history is kept: ``postgresql://user:password@host/database``; ``""`` for a file in `home`
            (``KEDGE_DATABASE``).
        context: The cluster that commands mean, by the name of its kubeconfig's context; `home` is then the data directory of
            the hub that works against it from here (``KEDGE_CONTEXT``; default none: the host of this machine).
        environ: The environment that was read, for what passes through it (``PATH``, proxies).
    """

    home: Path
    cache: Path
    synchronous: str = "NORMAL"
    max_pods: int = 4
    node_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    gpus: int | None = None
    default_cpu: float = 0.25
    default_memory: int = 64 << 20
    infra_retries: int = 3
    image_pull_timeout: float = 120.0
    log_limit: int = 20 << 20
    least_disk: int = 2 << 30
    node_monitor_grace_period: float = 50.0
    artifacts: str = ""
    runtime: str = "process"  # where nobody reads the environment, nobody looks for a runtime
    host_paths: tuple[str, ...] = ()
    warm: bool = True
    kfp_runtime: str = ""
    final_status: str = ""
    cache_ttl: float | None = None
    openlineage_url: str = ""
    openlineage_api_key: str = field(default="", repr=False)
    metrics_auth: str = "token"
    log_format: str = "text"
    log_level: str = "INFO"
    stager_image: str = "python:3"
    watch_namespaces: tuple[str, ...] = ()
    listen: str = "127.0.0.1"
    hub_address: str = ""
    callers: str = ""
    trusted_proxy: str = ""
    trusted_proxy_secret: str = field(default="", repr=False)
    lease: str = ""
    pod_name: str = ""
    database: str = field(default="", repr=False)  # it may hold a password
    context: str = ""
    environ: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def root(self) -> Path:
        """``KEDGE_HOME``: `home`, or what lies above it where that is of one cluster."""
        return self.home.parents[1] if self.context else self.home

    def of(self, context: str) -> "Settings":
        """The settings of the hub that works against the cluster of a context."""
        home = self.root / "clusters" / re.sub(r"[^A-Za-z0-9._-]+", "_", context)
        return replace(self, home=home, context=context)

    @property
    def claims(self) -> Path:
        """Where the folders of PersistentVolumeClaims are."""
        return self.home / "claims"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings.

        Args:
            environ: Read this instead of the process's environment.

        Raises:
            KedgeError: A variable has a value that cannot be used; names it.
        """
        env = os.environ if environ is None else environ
        synchronous = env.get("KEDGE_SYNCHRONOUS", "NORMAL").upper()
        if synchronous not in {"NORMAL", "FULL"}:
            raise KedgeError(f"KEDGE_SYNCHRONOUS: must be NORMAL or FULL, got {synchronous!r}. Unset it for NORMAL.")
        found = cls(
            home=_home(env),
            cache=_cache(env),
            synchronous=synchronous,
            max_pods=int(_number(env, "KEDGE_MAX_PODS", max(4, 2 * (os.cpu_count() or 1)))),
            node_labels=_labels(env, "KEDGE_NODE_LABELS"),
            gpus=int(_number(env, "KEDGE_GPUS", 0)) if "KEDGE_GPUS" in env else None,
            default_cpu=_number(env, "KEDGE_DEFAULT_CPU", 0.25),
            default_memory=int(_number(env, "KEDGE_DEFAULT_MEMORY", 64 << 20)),
            infra_retries=int(_number(env, "KEDGE_INFRA_RETRIES", 3)),
            image_pull_timeout=120.0 if (found := _seconds(env, "KEDGE_IMAGE_PULL_TIMEOUT")) is None else found,
            log_limit=int(_number(env, "KEDGE_LOG_LIMIT", 20 << 20)),
            least_disk=int(_number(env, "KEDGE_LEAST_DISK", 2 << 30)),
            node_monitor_grace_period=_grace(env),
            artifacts=_artifact_root(env),
            runtime=_choice(env, "KEDGE_RUNTIME", ("auto", "process", "podman", "docker", "nerdctl"), "auto"),
            host_paths=_directories(env, "KEDGE_HOST_PATHS"),
            warm=env.get("KEDGE_WARM", "1") not in {"0", "false", "no"},
            kfp_runtime=_choice(env, "KEDGE_KFP_RUNTIME", ("", "installed")),
            final_status=_choice(env, "KEDGE_FINAL_STATUS", ("", "SUCCEEDED", "COMPLETE")),
            cache_ttl=_seconds(env, "KEDGE_CACHE_TTL"),
            openlineage_url=_openlineage(env),
            openlineage_api_key=env.get("KEDGE_OPENLINEAGE_API_KEY", ""),
            log_format=_choice(env, "KEDGE_LOG_FORMAT", ("text", "json"), "text"),
            log_level=_choice(env, "KEDGE_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
            metrics_auth=_choice(env, "KEDGE_METRICS_AUTH", ("token", "none"), "token"),
            stager_image=env.get("KEDGE_STAGER_IMAGE") or "python:3",
            watch_namespaces=tuple(filter(None, (each.strip() for each in env.get("KEDGE_WATCH_NAMESPACES", "").split(",")))),
            listen=env.get("KEDGE_LISTEN") or "127.0.0.1",
            hub_address=env.get("KEDGE_HUB_ADDRESS", "").rstrip("/"),
            callers=_choice(env, "KEDGE_CALLERS", ("", "cluster", "owner")),
            trusted_proxy=env.get("KEDGE_TRUSTED_PROXY", ""),
            trusted_proxy_secret=env.get("KEDGE_TRUSTED_PROXY_SECRET", ""),
            lease=env.get("KEDGE_LEASE", ""),
            pod_name=env.get("KEDGE_POD_NAME", ""),
            database=env.get("KEDGE_DATABASE", ""),
            environ={name: value for name, value in env.items() if name != "KEDGE_DATABASE"},
        )
        return found.of(context) if (context := env.get("KEDGE_CONTEXT", "")) else found


def _grace(env: Mapping[str, str]) -> float:
    found = _seconds(env, "KEDGE_NODE_MONITOR_GRACE_PERIOD")
    if found is not None and found <= _RENEWED_EVERY:
        raise KedgeError(
            f"KEDGE_NODE_MONITOR_GRACE_PERIOD: must be more than the {_RENEWED_EVERY:g} seconds after which nodes say that they "
            f"are there, got {found:g}. Unset it for 50 seconds."
        )
    return 50.0 if found is None else found


def _artifact_root(env: Mapping[str, str]) -> str:
    value = env.get("KEDGE_ARTIFACTS", "")
    if not value or "://" in value:
        return value
    return _expanded(value, "KEDGE_ARTIFACTS").absolute().as_uri()


def _openlineage(env: Mapping[str, str]) -> str:
    value = env.get("KEDGE_OPENLINEAGE_URL", "")
    scheme, _, rest = value.partition("://")
    if value and (scheme not in {"http", "https", "file"} or not rest):
        raise KedgeError("KEDGE_OPENLINEAGE_URL: must begin with http://, https:// or file://. Unset it to send no events.")
    return value.rstrip("/") + "/api/v1/lineage" if scheme != "file" and rest and "/" not in rest.rstrip("/") else value


def _directories(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    found = list(filter(None, env.get(name, "").split(":")))
    for place in found:
        if not place.startswith("/"):
            raise KedgeError(f"{name}: must be paths such as /data:/mnt/models, got {place!r}. Write each from the root on.")
    return tuple(os.path.normpath(place) for place in found)


def _labels(env: Mapping[str, str], name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in env.get(name, "").split(","))):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key:
            raise KedgeError(f"{name}: must be labels such as disk=ssd,zone=a, got {pair!r} among them. Write KEY=VALUE.")
        found[key] = value
    return found


def _choice(env: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str = "") -> str:
    value = env.get(name) or default
    if value not in allowed:
        raise KedgeError(f"{name}: must be {' or '.join(filter(None, allowed))}, got {value!r}. Unset it otherwise.")
    return value


def _seconds(env: Mapping[str, str], name: str) -> float | None:
    text = env.get(name, "")
    if not text:
        return None
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhd]?)", text)
    if found is None:
        raise KedgeError(f"{name}: must be a time such as 90s, 30m, 12h or 7d, got {text!r}. Unset it for no limit.")
    return min(float(found[1]) * _UNITS[found[2] or "s"], _CENTURY)


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError as error:
        raise KedgeError(f"{name}: must be a number, got {text!r}. Unset it for the default, {default:.15g}.") from error
    if not 0 <= value < math.inf:
        raise KedgeError(f"{name}: must be finite and not negative, got {text!r}. Unset it for the default, {default:.15g}.")
    return value
