"""The command line of a container runtime: podman, docker, or containerd's nerdctl, which take the same words.

Only what all three have is used, so that there is one way to run images as containers. Who may do what is the runtime's to say:
Kedge runs it as the user who started Kedge.
"""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kedge.config import Settings
from kedge.errors import KedgeError
from kedge.node import programs

TOOLS = ("podman", "docker", "nerdctl")
"""In the order in which they are looked for."""
HOME_LABEL, POD_LABEL = "dev.kedge.home", "dev.kedge.pod"
"""Labels of containers: the data directory of the host, and the Pod's uid."""
_VERSION_SECONDS = 10.0
_OF_PODMAN = (
    *(".Version.Version", ".Host.Security.Rootless", "len .Host.IDMappings.UIDMap"),
    *(".Host.CgroupManager", ".Host.CgroupControllers"),
)
# How each says its version; docker's and containerd's daemons answer, so that it is known that they are there. podman says too
# whether it is an ordinary user's, and which limits it can then keep.
_VERSION = {
    "podman": ("info", "--format", " ".join(f"{{{{{field}}}}}" for field in _OF_PODMAN)),
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "nerdctl": ("info", "--format", "{{.ServerVersion}}"),
}
CONTROLLERS = frozenset({"memory", "cpu"})
"""Of cgroups, those that keep limits."""
_UNKEPT = {"memory": "limits.memory is looked at ten times a second", "cpu": "limits.cpu is not kept"}
_NOT_DELEGATED = (
    "this user's cgroups do not have the controllers. They do on a machine of cgroups of version 2 with a session of systemd "
    "that delegates them (systemctl edit user@.service: [Service] Delegate=memory pids cpu)"
)
_MAPS_USERS = (4, 3)  # podman since then
_PROGRESS = re.compile(r"time=|Trying to pull|Error: \d+ error")
_PIDFILE = ("podman", "nerdctl")
# The reference of an image, as registries have it (https://github.com/opencontainers/distribution-spec, and a domain before).
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z0-9]+)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(rf"(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@{_DIGEST})?")


class RuntimeFault(KedgeError):
    """A command of the container runtime has failed; says what it said."""


@dataclass(frozen=True, slots=True)
class Found:
    """An image that is here.

    Attributes:
        id: Its digest.
        repository: Name and digest as a registry knows it; empty where it came from none.
        user: Whom its processes are, as the image says; empty for root.
        stop_signal: What ends it.
        size: Bytes.
    """

    id: str
    repository: str = ""
    user: str = ""
    stop_signal: str = "SIGTERM"
    size: int = 0


@dataclass(frozen=True, slots=True)
class Cli:
    """A container runtime's command line.

    Attributes:
        tool: ``podman``, ``docker`` or ``nerdctl``.
        program: Its path.
        version: The runtime's.
        environ: What it is run with.
        rootless: Whether it is podman and an ordinary user's.
        controllers: Of limits, those that it keeps.
        lone: Whether its user has no further ids for the users of containers.
    """

    tool: str
    program: str
    version: str
    environ: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    rootless: bool = False
    controllers: frozenset[str] = CONTROLLERS
    lone: bool = False

    @property
    def tells_pids(self) -> bool:
        """Whether it writes the number of a container's process into a file."""
        return self.tool in _PIDFILE

    @property
    def passes_input(self) -> bool:
        """Whether a container that it starts reads what its command line is given."""
        return self.tool != "nerdctl"

    @property
    def shares(self) -> str:
        """Why its containers have this machine's network; empty where they can be in one that is there already.

        An ordinary user's cannot: the network belongs to a user namespace of Kedge's, in which podman's own has no rights.
        """
        if self.tool == "podman" and not self.rootless:
            return ""
        whose = "an ordinary user's " if self.rootless else ""
        return f"containers of {whose}{self.tool} have it"

    @property
    def maps_users(self) -> bool:
        """Whether a container's user can be who started Kedge, who is not root."""
        return self.rootless and tuple(int(part) for part in re.findall(r"\d+", self.version)[:2]) >= _MAPS_USERS

    @property
    def unkept(self) -> str:
        """What becomes of limits that it cannot keep, and how to change that; empty where it keeps all."""
        told = [text for name, text in _UNKEPT.items() if name not in self.controllers]
        return f"{' and '.join(told)}: {_NOT_DELEGATED}" if told else ""

    async def image(self, name: str) -> Found | None:
        """The image of a name, if it is here."""
        try:
            text = await self._run("image", "inspect", name)
        except RuntimeFault:
            return None
        about = json.loads(text)[0]
        config = about.get("Config") or {}
        return Found(
            id=str(about.get("Id", "")),
            repository=next(iter(about.get("RepoDigests") or ()), ""),
            user=str(config.get("User") or about.get("User") or ""),
            stop_signal=str(config.get("StopSignal") or "SIGTERM"),
            size=int(about.get("Size") or 0),
        )

    async def pull(self, name: str, logins: Path | None = None) -> None:
        """Get an image from its registry.

        Args:
            name: The image's.
            logins: A folder with a ``config.json`` as docker keeps one; ``None`` for the user's own.

        Raises:
            RuntimeFault: It cannot be had.
        """
        extra = {"DOCKER_CONFIG": str(logins), "REGISTRY_AUTH_FILE": str(logins / "config.json")} if logins else {}
        await self._run("pull", "--quiet", name, extra=extra)

    async def containers(self, labels: Mapping[str, str]) -> list[str]:
        """Names of all containers with some labels, running or not."""
        filters = [word for key, value in labels.items() for word in ("--filter", f"label={key}={value}")]
        return (await self._run("ps", "--all", *filters, "--format", "{{.Names}}")).split()

    async def remove(self, names: Iterable[str]) -> None:
        """Kill and remove containers; those that are gone are none of it."""
        if names := list(names):
            at_once = ("--time", "0") if self.tool == "podman" else ()  # the others give no time anyway
            await self._run("rm", "--force", "--volumes", *at_once, *names)

    async def _run(self, *words: str, extra: Mapping[str, str] | None = None) -> str:
        ended = await programs.run(self.program, *words, environ={**self.environ, **(extra or {})})
        if ended.code:
            raise RuntimeFault(_words(ended.err) or f"{self.tool} {words[0]} ended with {ended.code}")
        return ended.out


def _words(text: str) -> str:
    """What a command line complains about, in one line."""
    lines = [line for line in text.splitlines() if line.strip()]
    told = [line.strip().removeprefix("Error: ") for line in lines if not _PROGRESS.match(line)]
    return "; ".join(told or lines)[:2000]


def is_reference(name: str) -> bool:
    """Whether a text can be the name of an image.

    Examples:
        >>> [is_reference(name) for name in ("python:3.12", "localhost:5000/a/b@sha256:" + 64 * "0", "Python", "a b", "a::b")]
        [True, True, False, False, False]
    """
    return _REFERENCE.fullmatch(name) is not None


async def discover(settings: Settings) -> Cli | None:
    """The container runtime that is to be used; ``None`` where all containers are processes.

    Raises:
        KedgeError: The one that the setting names cannot be used; says why.
    """
    cli, faults = await look(settings)
    if cli is not None or settings.runtime in {"auto", "process"}:
        return cli
    raise KedgeError(
        f"KEDGE_RUNTIME={settings.runtime}: {'; '.join(faults)}. Install or start it, or unset KEDGE_RUNTIME: "
        "images that Kedge knows are then run as processes."
    )


async def look(settings: Settings) -> tuple[Cli | None, list[str]]:
    """Look for container runtimes, as far as the setting wants one; the first that answers, and why others do not."""
    if settings.runtime == "process":
        return None, []
    wanted = TOOLS if settings.runtime == "auto" else (settings.runtime,)
    faults: list[str] = []
    for tool in wanted:
        program = shutil.which(tool, path=settings.environ.get("PATH", os.defpath))
        if program is None:
            faults.append(f"{tool} is not on the path")
            continue
        cli = Cli(tool, program, "", settings.environ)
        try:
            version = await asyncio.wait_for(cli._run(*_VERSION[tool]), _VERSION_SECONDS)  # noqa: SLF001  # this file's own
        except (TimeoutError, OSError, RuntimeFault) as error:
            faults.append(f"{tool}: {error or f'no answer in {_VERSION_SECONDS:.0f} seconds'}")
            continue
        if version.strip():
            return _found(cli, version), faults
        faults.append(f"{tool}: its daemon does not answer")
    return None, faults


def _found(cli: Cli, told: str) -> Cli:
    """A runtime by what it says of itself.

    Examples:
        >>> cli = _found(Cli("podman", "/usr/bin/podman", ""), "4.3.1 true 2 systemd [memory pids]")
        >>> cli.version, cli.rootless, cli.lone, sorted(cli.controllers)
        ('4.3.1', True, False, ['memory'])
    """
    version, *rest = told.split()
    if cli.tool != "podman" or not rest or rest[0] != "true":
        return replace(cli, version=version)
    # Without systemd an ordinary user may not make a cgroup, though the one that it is in has controllers.
    controllers = CONTROLLERS & {each.strip("[]") for each in rest[3:] if rest[2] == "systemd"}
    return replace(cli, version=version, rootless=True, lone=rest[1] == "1", controllers=controllers)


def logins(files: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """One ``config.json`` of several; of two logins for one registry the first counts."""
    found: dict[str, object] = {}
    for each in files:
        for registry, login in dict(each).items():
            found.setdefault(registry, login)
    return {"auths": found}
