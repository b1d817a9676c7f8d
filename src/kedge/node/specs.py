"""Turns a container of a Pod into what the supervisor starts."""

import os
import re
import signal
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kedge.config import Settings
from kedge.kube import quantities
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_sidecar
from kedge.node import devices, environments, forking, launchers, shared_network, users
from kedge.node.env import Environment, expand
from kedge.node.images import Image
from kedge.node.launchers import Launchers
from kedge.node.network import Own
from kedge.node.refusals import Host, Refusal, this_host
from kedge.node.users import User
from kedge.node.volumes import Volumes, mounts_of

_MESSAGE_PATH = "/dev/termination-log"
_LINUX_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What reaches a step from the environment that Kedge was started in: how to get out of this machine.
_PASSED = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
# Where the launcher looks on nodes that cannot give a Pod its own view, by the path that it has where they can.
_MOVED = {"/kedge/code": "KEDGE_CODE", "/kedge/staging": "KEDGE_STAGING"}
_TOKEN_DIRECTORY = "/var/run/secrets/kedge.dev"  # noqa: S105  # a directory
_TMP = "/tmp"  # noqa: S108  # a Pod's own


@dataclass(slots=True)
class Prepared:
    """Everything that a Pod's containers need before they can start.

    Attributes:
        directory: The Pod's own directory.
        volumes: Its volumes.
        images: What each container runs in, by container name.
        environments: Python environment of each container that has one, by container name.
        gpus: Which GPUs each container has, by container name; empty where the machine has none.
        network: Its own network; ``None`` where it shares the machine's.
        shared: Why it shares it though it would have its own; empty otherwise.
        names: Files of its own, in its directory, that it finds in ``/etc``.
    """

    directory: Path
    volumes: Volumes = field(default_factory=Volumes)
    images: dict[str, Image] = field(default_factory=dict[str, Image])
    environments: dict[str, Path] = field(default_factory=dict[str, Path])
    gpus: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    network: Own | None = None
    shared: str = ""
    names: tuple[str, ...] = ()

    def log(self, container: str, attempt: int) -> Path:
        """The newer file of an attempt's log."""
        return log_path(self.directory, container, attempt)

    def message(self, container: str, attempt: int) -> Path:
        """The file behind an attempt's termination message."""
        return message_path(self.directory, container, attempt)


def log_path(directory: Path, container: str, attempt: int) -> Path:
    """The newer file of the log of a container's attempt, in its Pod's directory."""
    return directory / f"{container}.{attempt}.log"


def message_path(directory: Path, container: str, attempt: int) -> Path:
    """The file behind the termination message of a container's attempt, in its Pod's directory."""
    return directory / f"{container}.{attempt}.message"


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine is.

    Attributes:
        settings: How Kedge was started.
        launchers: Expanded launchers.
        view_refusal: Why Pods cannot have their own view of the file system here; empty when they can.
        keep: Directories that must stay visible in Pods though they lie under ``/tmp``.
        host: Who started Kedge.
        api: Address and port at which Pods that share this machine's network find the API.
    """

    settings: Settings
    launchers: Launchers
    view_refusal: str = ""
    keep: tuple[str, ...] = ()
    host: Host = field(default_factory=this_host)
    api: tuple[str, int] | None = None


def kept_places(settings: Settings) -> tuple[str, ...]:
    """What lies under ``/tmp`` and Pods need: the data directory and the cache of a test, the artifacts' root, an interpreter."""
    places = [settings.home, settings.cache, Path(sys.base_prefix), Path(sys.prefix)]
    if settings.artifacts.startswith(f"file://{_TMP}/"):
        root = Path(unquote(urlsplit(settings.artifacts).path))
        root.mkdir(parents=True, exist_ok=True)  # what is not there cannot be kept visible
        places.append(root)
    return tuple(sorted({str(path) for path in places if str(path).startswith(_TMP + "/") and path.exists()}))


@dataclass(frozen=True, slots=True)
class Request:
    """What the supervisor is asked for.

    Attributes:
        spec: See `kedge.supervisor.protocol`.
        spawned: Name and text of the condition that forbade a fork; empty when a fork was asked for.
    """

    spec: Obj
    spawned: tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Program:
    """What a container runs.

    Attributes:
        image: In what.
        python: Its Python environment, where it has one.
        launcher: The expanded launcher, where it is a step of ours.
    """

    image: Image
    python: Path | None
    launcher: Path | None

    @property
    def plain(self) -> bool:
        """Whether it runs the machine's own programs."""
        return not self.image.python


def request_of(pod: Obj, container: Obj, environment: Environment, prepared: Prepared, machine: Machine) -> Request:
    """Make the request that starts a container.

    Args:
        pod: The Pod.
        container: One of its containers.
        environment: Its variables as the Pod has them.
        prepared: The Pod's volumes, images and environments.
        machine: Where it runs.

    Raises:
        Refusal: It needs something that this machine cannot do.
    """
    program = _program(pod, container, prepared, machine)
    mounts = mounts_of(container, prepared.volumes, environment.values)
    if machine.view_refusal:
        _require_no_view(container, program, mounts, prepared, machine)
    user = users.of_container(pod["spec"], container, machine.host)
    values = _variables(pod, environment, prepared, machine, program.python)
    values |= shared_network.adapted(pod, container, values, prepared.shared)
    values.setdefault("HOME", _home(user, prepared, machine))
    values |= devices.variables(prepared.gpus.get(container["name"]), environment.values.get(devices.VISIBLE))
    spawned = _spawned(container, environment.values, machine, launcher=program.launcher is not None)
    spec: Obj = {"env": values, "mounts": mounts, "private": not machine.view_refusal}
    spec["cwd"] = container.get("workingDir") or ("/" if program.plain else values["HOME"])
    spec |= _limits(container) | interactive(container) | _stop_signal(container)
    spec["argv"] = _argv(container, values, program.image)
    if program.python and program.launcher:
        _launch(spec, container, program.python, program.launcher, forks=not spawned[0])
    if spec["private"]:
        in_memory(pod, container, mounts, user)
        _make_view(spec, pod, container, program, prepared, machine=machine)
    if (container.get("securityContext") or {}).get("allowPrivilegeEscalation") is False:
        spec["confined"] = True
    if user is not None:
        spec |= {"user": user.as_spec(), "reach": _ways(program.python, program.launcher, values)}
        if user.uid != machine.host.user:
            _make_reachable(spec, user, pod, prepared, machine)
    return Request(spec, spawned)


def _program(pod: Obj, container: Obj, prepared: Prepared, machine: Machine) -> _Program:
    name = container["name"]
    python, launcher = prepared.environments.get(name), launchers.recognise(pod, container)
    expanded = machine.launchers.expand(prepared.volumes, launcher) if launcher and python else None
    return _Program(prepared.images[name], python, expanded)


def _require_no_view(container: Obj, program: _Program, mounts: list[Obj], prepared: Prepared, machine: Machine) -> None:
    """Refuse what needs a view of its own."""
    if program.plain:
        what = f"image {program.image.name!r}"
    elif mounts and (program.launcher is None or not all(_is_ours(mount["target"]) for mount in mounts)):
        what = "volumeMounts"
    elif prepared.names:
        what = "names of its own"
    elif _wants_readonly(container):
        what = "securityContext.readOnlyRootFilesystem"
    else:
        return
    text = f"container {container['name']}: {what} needs a private view of the file system. "
    text += f"None can be made here: {machine.view_refusal}."
    raise Refusal("ViewNotSupported", f"{text} Run it on Linux with user namespaces allowed, or on a Kubernetes cluster.")


def _launch(spec: Obj, container: Obj, python: Path, launcher: Path, *, forks: bool) -> None:
    """Have the launcher run a container's command, in an interpreter that is ready where that is possible."""
    spec["argv"] = [str(python / "bin" / "python"), str(launcher / "__main__.py"), *spec["argv"][2:]]
    if container.get("args") == ["stage-out"]:
        # It is stopped when the user's command has ended, and that may be before its interpreter is there.
        spec["held"] = [signal.SIGTERM]
    if forks and "tty" not in spec:
        spec["warm"] = {"python": spec["argv"][0], "launcher": str(launcher)}
        spec["arguments"] = spec["argv"][2:]


def _make_view(spec: Obj, pod: Obj, container: Obj, program: _Program, prepared: Prepared, *, machine: Machine) -> None:
    """Say what a container finds in its own view of the file system."""
    readonly = program.plain or _wants_readonly(container)
    spec |= {"tmp": str(prepared.directory / "tmp"), "keep": machine.keep, "readonly": readonly}
    spec["hidden"] = [_data_directory(pod, spec["env"]["HOME"], machine)]
    _private_places(spec, container, prepared)
    installs = not program.launcher or len(container.get("args") or ()) > 1 or environments.installs(pod)
    if program.python and installs:
        _own_environment(spec, program.python, prepared)


def interactive(container: Obj) -> Obj:
    """The input and terminal of a container at which somebody may sit; an interpreter that is ready has no place for them."""
    if not (container.get("stdin") or container.get("tty")):
        return {}
    made: Obj = {"tty": bool(container.get("tty"))}
    return {**made, "stdin": "once" if container.get("stdinOnce") else "open"} if container.get("stdin") else made


def _stop_signal(container: Obj) -> Obj:
    """The signal by which a container is told to end, where it is not SIGTERM."""
    name: str = (container.get("lifecycle") or {}).get("stopSignal") or "SIGTERM"
    if found := re.fullmatch(r"(SIGRT(?:MIN|MAX))([+-]\d+)", name):
        return {"stop": int(getattr(signal, found[1])) + int(found[2])}
    number = getattr(signal, name, None)
    if not isinstance(number, signal.Signals):
        text = f"container {container['name']}: lifecycle.stopSignal {name}: this machine has no such signal"
        raise Refusal("UnsupportedField", f"{text}. Use another one, such as SIGINT.")
    return {} if number == signal.SIGTERM else {"stop": int(number)}


def _is_ours(target: str) -> bool:
    """Whether a mount is the launcher's, which is told where its places are when they cannot be mounted."""
    return target.startswith("/kedge/") or target == _TOKEN_DIRECTORY


def _spawned(container: Obj, variables: Mapping[str, str], machine: Machine, *, launcher: bool) -> tuple[str, str]:
    start = forking.Start(
        platform=sys.platform,
        allowed=machine.settings.warm,
        launcher=launcher and (container.get("args") or [])[:1] == ["run"],
        variables=variables,
    )
    return forking.why_not(start)


def _limits(container: Obj) -> Obj:
    """What a container may use at most, as the supervisor takes it."""
    limits = (container.get("resources") or {}).get("limits") or {}
    made: Obj = {"memory": int(quantities.parse(limits["memory"]))} if limits.get("memory") else {}
    if limits.get("cpu"):
        made["cpu"] = float(quantities.parse(limits["cpu"]))
    return made


def _wants_readonly(container: Obj) -> bool:
    return bool((container.get("securityContext") or {}).get("readOnlyRootFilesystem"))


def in_memory(pod: Obj, container: Obj, mounts: list[Obj], user: User | None) -> None:
    """Have a volume of memory be one, where nobody else needs to see it: it is mounted in the container's own view.

    One that several containers share, or that must outlive its container, is a directory on disk, whose size is watched.
    """
    if pod["spec"].get("restartPolicy") != "Never" or is_sidecar(container):
        return
    volumes = {each["name"]: each.get("emptyDir") or {} for each in pod["spec"].get("volumes") or ()}
    every = (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])
    uses = [mount["name"] for each in every for mount in each.get("volumeMounts") or ()]
    for mount, made in zip(container.get("volumeMounts") or (), mounts, strict=True):
        if volumes[mount["name"]].get("medium") == "Memory" and uses.count(mount["name"]) == 1:
            limits = (container.get("resources") or {}).get("limits") or {}
            size = volumes[mount["name"]].get("sizeLimit") or limits.get("memory") or 0
            made["tmpfs"] = _tmpfs(size, user, (pod["spec"].get("securityContext") or {}).get("fsGroup"))


def _tmpfs(size: Any, user: User | None, group: int | None) -> str:
    options = {
        "mode": "777" if group is None else "2777",
        "size": int(quantities.parse(size)) or None,
        "uid": user.uid if user else None,
        "gid": group if user else None,
    }
    return ",".join(f"{name}={value}" for name, value in options.items() if value is not None)


def names_of(prepared: Prepared, taken: Collection[str]) -> list[Obj]:
    """Mounts of the files by which a Pod finds names, but for the places that are taken."""
    places = {f"/etc/{name}": str(prepared.directory / name) for name in prepared.names}
    return [{"source": places[path], "target": path, "readonly": False} for path in places.keys() - taken]


def _private_places(spec: Obj, container: Obj, prepared: Prepared) -> None:
    """Add places that every container has: a ``/tmp``, a home that can be written, a working directory that is there."""
    mounts: list[Obj] = spec["mounts"]
    taken = {mount["target"] for mount in mounts}
    tmp = next((mount for mount in mounts if mount["target"] == _TMP), None)
    if tmp is not None:  # the Pod brings its own /tmp
        mounts.remove(tmp)
        spec["tmp"] = tmp
    if prepared.network is not None:
        spec["network"] = prepared.network.as_spec()
    mounts += names_of(prepared, taken)
    if spec["readonly"]:
        home = str(prepared.directory / "home")
        mounts.append({"source": home, "target": home, "readonly": False})
    place = container.get("workingDir")
    if (
        place
        and not any(place == target or place.startswith(target + "/") for target in (*taken, _TMP))
        and not Path(place).is_dir()
    ):
        work = prepared.directory / "work"
        work.mkdir(exist_ok=True)
        mounts.append({"source": str(work), "target": place, "readonly": False})


def _data_directory(pod: Obj, home: str, machine: Machine) -> Obj:
    """The data directory, in which a container finds its own home and a step of ours the artifacts: no token, no key."""
    settings = machine.settings
    own: list[Path | str] = [settings.cache, Path(sys.base_prefix), Path(sys.prefix), home]
    if launchers.brings_one(pod):
        own += stores(settings)
    return {"path": str(settings.home), "but": [str(place) for place in own]}


def stores(settings: Settings) -> list[Path]:
    """Where steps find the code of projects and, where these are files of this machine, artifacts; makes what is not there."""
    places = [settings.home / "projects"]
    if not settings.artifacts:
        places.append(settings.home / "artifacts")
    elif settings.artifacts.startswith("file://"):
        places.append(Path(unquote(urlsplit(settings.artifacts).path)))
    for place in places:
        place.mkdir(exist_ok=True, parents=True, mode=0o755)
    return places


def _own_environment(spec: Obj, python: Path, prepared: Prepared) -> None:
    """Let a container install packages without changing the environment that others share.

    Given to what may do so: a program of its own, and a step whose code names an installer.
    """
    layers = {name: prepared.directory / "environment" / name for name in ("upper", "work")}
    for place in layers.values():
        place.mkdir(parents=True, exist_ok=True)
    spec["mounts"].append({"source": str(python), "target": str(python), **{name: str(place) for name, place in layers.items()}})


def _ways(python: Path | None, expanded: Path | None, values: Mapping[str, str]) -> list[str]:
    """What a container's own program is made of."""
    if python is None:
        return []
    return [*users.ways_of(python), values["KEDGE_UV"], *([str(expanded)] if expanded else ())]


def _make_reachable(spec: Obj, user: User, pod: Obj, prepared: Prepared, machine: Machine) -> None:
    """See to it that another user finds a home, and everything that its container needs, though it is root's."""
    ways: list[str] = spec["reach"]
    if launchers.brings_one(pod):
        ways += map(str, stores(machine.settings))
    if spec["private"]:
        mounts: list[Obj] = spec["mounts"]
        mounts.append({"source": str(users.home_of(user, prepared.directory)), "target": users.HOME, "readonly": False})
        work = str(prepared.directory / "work")
        for mount in mounts:
            if "upper" in mount:
                inside = Path(mount["target"])
                mount["give"] = [str(place) for place in (inside, inside / "bin", *inside.glob("lib/python3*/site-packages"))]
            elif mount["source"] == work:
                os.chown(work, user.uid, user.gid)
    else:
        ways.append(str(users.home_of(user, prepared.directory)))
    users.check_ways(ways, user, private=spec["private"])


def _variables(pod: Obj, environment: Environment, prepared: Prepared, machine: Machine, python: Path | None) -> dict[str, str]:
    given = machine.settings.environ
    values = {name: given[name] for upper in _PASSED for name in (upper, upper.lower()) if name in given}
    private = not machine.view_refusal
    values |= {
        "PATH": given.get("PATH", os.defpath) if python else _LINUX_PATH,
        "TMPDIR": _TMP if private else str(prepared.directory / "tmp"),
        "LANG": "C.UTF-8",
        "HOSTNAME": pod["spec"].get("hostname") or pod["metadata"]["name"],
    }
    if not private:
        values |= _moved(pod, prepared)
    values |= environment.values
    if python:
        values |= environments.variables(python, values)
        values["KEDGE_PACKAGES_INSTALLED"] = "1"
    return values


def _home(user: User | None, prepared: Prepared, machine: Machine) -> str:
    """Where a container's home is, as it sees it."""
    if user is None or user.uid == machine.host.user:
        return str(prepared.directory / "home")
    return str(users.home_of(user, prepared.directory)) if machine.view_refusal else users.HOME


def _moved(pod: Obj, prepared: Prepared) -> dict[str, str]:
    """Tell the launcher where its places are when they cannot be mounted."""
    values = {"KEDGE_TMP": str(prepared.directory / "tmp" / "kedge"), "KEDGE_POD_UID": pod["metadata"]["uid"]}
    for container in pod["spec"]["containers"]:
        for mount in container.get("volumeMounts") or ():
            source = prepared.volumes.paths[mount["name"]]
            if mount["mountPath"] in _MOVED:
                values[_MOVED[mount["mountPath"]]] = str(source)
            elif mount["mountPath"] == _TOKEN_DIRECTORY:
                values["KEDGE_TOKEN"] = str(source / "token")
    return values


def _argv(container: Obj, values: Mapping[str, str], image: Image) -> list[str]:
    words = [expand(word, values) for word in (*(container.get("command") or ()), *(container.get("args") or ()))]
    return words or (["python3"] if image.python else ["sh"])


def with_log(request: Request, container: Obj, prepared: Prepared, *, attempt: int, limit: int, masks: list[str]) -> Obj:
    """Add an attempt's log to a request, and make the file of its termination message.

    Args:
        request: What `request_of` made.
        container: The container.
        prepared: Its Pod's places.
        attempt: Number of the attempt.
        limit: Bytes of log to keep.
        masks: What must not appear in it.
    """
    name = container["name"]
    message = prepared.message(name, attempt)
    message.touch()
    if user := request.spec.get("user"):
        os.chown(message, user["uid"], user["gid"])
    return {**request.spec, "log": {"path": str(prepared.log(name, attempt)), "limit": limit, "masks": masks}}


def with_files(request: Request, container: Obj, prepared: Prepared, *, attempt: int, limit: int, masks: list[str]) -> Obj:
    """Add an attempt's own files to a request: its log and its termination message; see `with_log`."""
    spec = with_log(request, container, prepared, attempt=attempt, limit=limit, masks=masks)
    message = prepared.message(container["name"], attempt)
    target = container.get("terminationMessagePath") or _MESSAGE_PATH
    if spec["private"]:
        spec["mounts"] = [*spec["mounts"], {"source": str(message), "target": target, "readonly": False}]
    else:
        spec["env"] = {**spec["env"], "KEDGE_TERMINATION_LOG": str(message)}
    return spec
