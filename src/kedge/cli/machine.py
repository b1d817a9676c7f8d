"""What this machine can and cannot do: one function a question, each with what to do about a bad answer (``kedge doctor``)."""

import asyncio
import ctypes
import json
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kedge import host, soundness
from kedge.config import Settings
from kedge.errors import StateError
from kedge.home import inspect
from kedge.network import spaces as networks
from kedge.node import devices, oci
from kedge.node.pressure import room
from kedge.supervisor.cgroups_v1 import available
from kedge.supervisor.loop import Loop

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "fuse.sshfs")


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question.

    Attributes:
        name: What was looked at.
        level: ``ok``; ``warn``: something is slower or missing; ``fail``: Kedge does not work.
        what: What was found.
        fix: What to do, where there is something to do.
    """

    name: str
    level: Literal["ok", "warn", "fail"]
    what: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Ask every question, in turn."""
    checks: list[Callable[[Settings], Iterator[Finding]]] = [
        *(_python, _view, _runtime, _network, _uv, _capacity, _gpus),
        *(_data_directory, _file_system, _disk, _databases),
        *(_loopback, _running, _limits, _kubectl),
    ]
    for check in checks:
        yield from check(settings)


def _python(_: Settings) -> Iterator[Finding]:
    yield Finding("python", "ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")


def _view(_: Settings) -> Iterator[Finding]:
    """Whether a step can have its own view of the file system, tried in a child."""
    name, without = (
        "private view",
        "steps share /tmp, read Kedge's data directory, its token too, and images of plain Linux are refused",
    )
    if sys.platform != "linux":
        fix = "Nothing, where Python steps are enough; otherwise use Linux."
        yield Finding(name, "warn", f"this system has no mount namespaces: {without}", fix)
        return
    flags = _CLONE_NEWNS | (0 if os.geteuid() == 0 else _CLONE_NEWUSER)
    how = "as root" if os.geteuid() == 0 else "through user namespaces"
    child = os.fork()
    if child == 0:
        os._exit(0 if ctypes.CDLL(None, use_errno=True).unshare(flags) == 0 else 1)
    status = os.waitpid(child, 0)[1]
    if status == 0:
        yield Finding(name, "ok", f"each step gets its own /tmp and mounts, and sees nothing of Kedge's data directory ({how})")
        return
    fix = (
        "As root: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000 (on Ubuntu 24.04 and newer also "
        "kernel.apparmor_restrict_unprivileged_userns=0). In a container: allow the system calls unshare and mount."
    )
    yield Finding(name, "warn", f"mount namespaces are not allowed {how}: {without}", fix)


def _network(_: Settings) -> Iterator[Finding]:
    """Whether Pods can have a network of their own, tried in children that end at once."""
    refusals = networks.probe()
    if refusals.own:
        without = "Pods share this machine's ports, at 127.0.0.1, and find no names of Services"
        fix = "Nothing, where Pods need no Services; otherwise use Linux, as root or with user namespaces."
        yield Finding("Pods' networks", "warn", f"network namespaces cannot be used ({refusals.own}): {without}", fix)
        return
    yield Finding("Pods' networks", "ok", "each Pod gets its own address, ports and names of Services (network namespaces)")
    for what, refusal in (("TCP", refusals.tcp), ("UDP", refusals.udp)):
        if refusal:
            fix = f"As root: allow the capabilities NET_ADMIN and NET_RAW. Nothing, where Pods need nothing outside over {what}."
            yield Finding("Pods' networks", "warn", f"{what} does not leave them for what is outside ({refusal})", fix)


def _runtime(settings: Settings) -> Iterator[Finding]:
    """What runs containers."""
    name = "container runtime"
    if settings.runtime == "process":
        yield Finding(name, "ok", "none is used (KEDGE_RUNTIME=process): images that are not known as processes are refused")
        return
    cli, faults = asyncio.run(oci.look(settings))
    if cli is not None:
        what = "all images" if settings.runtime != "auto" else "images that are not known as processes"
        without = "; Pods with its containers share this machine's network" if cli.shares else ""
        without += f"; {cli.unkept}" if cli.unkept else ""
        if cli.lone:
            yield Finding(name, "warn", f"podman has no ids for users of containers but this user's own: {_LONE}", _MORE_IDS)
            return
        yield Finding(name, "ok", f"{cli.tool} {cli.version} ({cli.program}): runs {what}{without}")
    elif settings.runtime == "auto":
        without = "images that are not known as processes are refused (apt-get install podman)"
        yield Finding(name, "ok", f"none, {without}: {'; '.join(faults)}")
    else:
        fix = f"Install or start {settings.runtime}, or unset KEDGE_RUNTIME."
        yield Finding(name, "fail", f"KEDGE_RUNTIME={settings.runtime}: {'; '.join(faults)}", fix)


_LONE = "images with files or processes of other users than root do not run"
_MORE_IDS = "As root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER; then podman system migrate."


def _uv(settings: Settings) -> Iterator[Finding]:
    path = find_uv(settings)
    if path is None:
        yield Finding("uv", "fail", "not found: the environments of Python steps cannot be made", "pip install uv")
        return
    version = subprocess.run([path, "--version"], check=False, capture_output=True, text=True).stdout.strip()
    yield Finding("uv", "ok", f"{version} ({path})")
    listed = subprocess.run(
        [path, "python", "list", "--only-installed", "--output-format", "json"], check=False, capture_output=True, text=True
    )
    try:
        versions = sorted({(row["version_parts"]["major"], row["version_parts"]["minor"]) for row in json.loads(listed.stdout)})
    except (ValueError, KeyError, TypeError):
        versions = [sys.version_info[:2]]
    found = ", ".join(f"{major}.{minor}" for major, minor in versions)
    yield Finding(
        "interpreters", "ok", f"python:X.Y images run here for {found}; others are installed by uv when a step asks for them"
    )


def find_uv(settings: Settings) -> str | None:
    """The `uv` that comes with Kedge, else the one on the path."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv", path=settings.environ.get("PATH"))


def _capacity(settings: Settings) -> Iterator[Finding]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    yield Finding(
        "capacity",
        "ok",
        f"{os.cpu_count()} processors, {memory:.0f} GiB of memory: at most {settings.max_pods} Pods at once (KEDGE_MAX_PODS)",
    )


def _gpus(settings: Settings) -> Iterator[Finding]:
    found = devices.discover(settings.environ, settings.gpus)
    if found:
        yield Finding("gpus", "ok", f"{', '.join(found)}: each is one step's at a time (nvidia.com/gpu)")
    else:
        yield Finding("gpus", "ok", "none (of NVIDIA): steps that ask for nvidia.com/gpu wait. KEDGE_GPUS says otherwise")


def _data_directory(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    if not home.exists():
        parent = _existing(home)
        if os.access(parent, os.W_OK | os.X_OK):
            yield Finding("data directory", "ok", f"{home} (not made yet)")
        else:
            yield Finding(
                "data directory", "fail", f"{home}: {parent} cannot be written to", "Set KEDGE_HOME to a directory of your own."
            )
        return
    status = home.stat()
    if not home.is_dir():
        yield Finding("data directory", "fail", f"{home}: is no directory", "Set KEDGE_HOME to a directory of your own.")
        return
    if status.st_uid != os.geteuid() or not os.access(home, os.W_OK | os.X_OK):
        what = "cannot be written to" if status.st_uid == os.geteuid() else "belongs to another user"
        yield Finding("data directory", "fail", f"{home}: {what}", "Set KEDGE_HOME to a directory of your own.")
        return
    try:
        inspect(home)
    except StateError as error:
        what, _, fix = str(error).partition(". ")
        yield Finding("data directory", "fail", what, fix)
        return
    if status.st_mode & 0o077:
        yield Finding("data directory", "warn", f"{home}: others may look inside", f"chmod 700 {home}")
    else:
        yield Finding("data directory", "ok", str(home))


def _existing(path: Path) -> Path:
    return next((parent for parent in [path, *path.parents] if parent.exists()), Path("/"))


def _file_system(settings: Settings) -> Iterator[Finding]:
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return
    place = str(_existing(settings.home).resolve())
    rows = [line.split() for line in mounts.read_text().splitlines()]
    under = [row for row in rows if place == row[1] or place.startswith(row[1].rstrip("/") + "/")]
    kind = max(under, key=lambda row: len(row[1]))[2] if under else ""
    if kind.startswith(_NETWORK_FILE_SYSTEMS):
        what = f"{settings.home} lies on {kind}: SQLite's locks are not reliable there"
        yield Finding("file system", "fail", what, "Set KEDGE_HOME to a directory on a local disk.")


def _disk(settings: Settings) -> Iterator[Finding]:
    for name, path in (("disk", settings.home), ("cache", settings.cache)):
        found = room(path, settings.least_disk)
        if found is not None and found.state != "OK":
            fix = "Make room, or move it: KEDGE_HOME holds all state, KEDGE_CACHE the environments of steps."
            yield Finding(name, "warn", f"{found.free / (1 << 30):.1f} GiB free at {path}", fix)
        elif found is not None:
            yield Finding(name, "ok", f"{found.free / (1 << 30):.0f} GiB free at {path}")


def _databases(settings: Settings) -> Iterator[Finding]:
    for name in ("objects.db", "history.db"):
        path = settings.home / name
        if not path.exists():
            continue
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2)) as database:
                answer = soundness.damage(database)
        except sqlite3.OperationalError as error:
            yield Finding(name, "warn", f"{path}: not looked at ({error})")
            continue
        except sqlite3.DatabaseError as error:
            answer = str(error)
        if not answer:
            yield Finding(name, "ok", f"{path.stat().st_size / (1 << 20):.1f} MiB, sound")
        else:
            yield Finding(
                name,
                "fail",
                f"{path}: {answer}",
                "Stop the host and restore the file from a backup, or move it away to start empty.",
            )


def _loopback(_: Settings) -> Iterator[Finding]:
    try:
        with socket.create_server(("127.0.0.1", 0)):
            pass
    except OSError as error:
        yield Finding(
            "loopback",
            "fail",
            f"no port of 127.0.0.1 can be listened on: {error}",
            "Bring the loopback interface up: ip link set lo up",
        )
    else:
        yield Finding("loopback", "ok", "ports of 127.0.0.1 can be listened on")


def _running(settings: Settings) -> Iterator[Finding]:
    try:
        running = host.find(settings)
    except StateError as error:
        yield Finding("host", "warn", str(error))
        return
    if running and not host.ready(running):
        yield Finding("host", "warn", f"process {running.pid} runs and is not ready", f"Look at {settings.home / 'hub.log'}.")
    elif running:
        yield Finding("host", "ok", f"runs, process {running.pid}, {running.http}")
    else:
        yield Finding("host", "ok", "none runs (`kedge up --detach` starts one)")


def _limits(settings: Settings) -> Iterator[Finding]:
    """Who sees to it that steps keep their limits."""
    if sys.platform != "linux":
        yield Finding("limits", "ok", f"resources.limits are not kept on {platform.system()}")
        return
    told = limits(settings)
    if not told:
        cgroups = available(f"kedge-doctor-{os.getpid()}", Loop())
        told = cgroups.describe()
        cgroups.close()
    yield Finding("limits", "ok", told)


def limits(settings: Settings) -> str:
    """What becomes of ``resources.limits``, as the supervisor that runs has written it down; empty when none runs."""
    try:
        running = host.find(settings)
        return (settings.home / "node" / "limits").read_text(encoding="utf-8") if running else ""
    except (OSError, StateError):
        return ""


def _kubectl(settings: Settings) -> Iterator[Finding]:
    path = shutil.which("kubectl", path=settings.environ.get("PATH"))
    if path is None:
        yield Finding("kubectl", "ok", "not installed; Kedge does not need it")
        return
    shown = subprocess.run([path, "version", "--client", "--output=json"], check=False, capture_output=True, text=True)
    try:
        version = json.loads(shown.stdout)["clientVersion"]["gitVersion"]
        old = tuple(int(part) for part in version.lstrip("v").split("-")[0].split(".")[:2]) < (1, 30)
    except (ValueError, KeyError):
        yield Finding("kubectl", "warn", f"{path} did not tell its version", "Install kubectl 1.30 or newer.")
        return
    if old:
        yield Finding(
            "kubectl", "warn", f"{version} ({path}) is older than what Kedge is tested with", "Install kubectl 1.30 or newer."
        )
    else:
        yield Finding("kubectl", "ok", f"{version} ({path})")
