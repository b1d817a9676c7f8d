"""What the supervisor does with containers: start, stop, reap, record, then tell.

The order at an exit is the promise of this file: what is left of the process group is killed while its number is still its
own, which it is until the process is reaped; the status is on disk before anything else happens; whatever else the container
left behind is killed, its last output is written, and only then is anybody told.
"""

import contextlib
import os
import select
import signal
import sys
import traceback
import zlib
from collections.abc import Callable

from kedge.supervisor import cgroups, cgroups_v1, containers, execs, identity, oci
from kedge.supervisor.containers import Container
from kedge.supervisor.execs import Asker, Execs
from kedge.supervisor.logs import Log
from kedge.supervisor.loop import Loop
from kedge.supervisor.memory import Memory, out_of_memory
from kedge.supervisor.protocol import Message
from kedge.supervisor.records import Records
from kedge.supervisor.templates import Templates
from kedge.supervisor.view import ViewError
from kedge.supervisor.zygotes import Zygotes

_CHUNK = 1 << 16
# How long the output of a container that has exited is awaited from processes that are being killed.
_DRAIN_SECONDS = 1.0
# How often an adopted process is looked for where the system cannot report its end.
_LOOK_SECONDS = 0.5
# How long the end of a process may be on its way after the interpreter that forked it has died.
_ORPHAN_SECONDS = 1.0
# What podman leaves beside each command that is executed in a container; it ends with the command, and that with the container.
_MONITOR = "conmon"
# How long the command line of a container runtime has to kill a container.
_COMMAND_SECONDS = 60.0
# What is written down of a container's spec, for a supervisor after this one.
_KEPT = ("log", "memory", "stdin", "oci", *execs.INHERITED)


class Keeper:
    """All containers.

    Args:
        directory: The supervisor's directory.
        loop: Its loop.
        tell: Sends an event to every agent.
    """

    def __init__(self, directory: str, loop: Loop, tell: Callable[[Message], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._boot = identity.boot_id()
        self._records = Records(os.path.join(directory, "containers.jsonl"))
        self._live: dict[str, Container] = {}
        self._by_pid: dict[int, Container] = {}
        self._ended: dict[str, Message] = {}
        self._memory = Memory(loop)
        self._execs = Execs(loop)
        self.cgroups = cgroups_v1.available(_name_of(directory), loop)
        self.templates = Templates(os.path.join(directory, "root"))
        self._zygotes = Zygotes(
            loop,
            on_fork=self._forked,
            on_exit=self._exited,
            on_refusal=self._execute,
            on_orphan=self._orphaned,
            on_count=lambda count: tell({"event": "warm", "count": count}),
        )

    @property
    def warm_interpreters(self) -> int:
        """How many interpreters are kept ready."""
        return self._zygotes.count

    @property
    def busy(self) -> bool:
        """Whether any container runs."""
        return bool(self._live)

    @property
    def boot(self) -> str:
        """The machine's boot id."""
        return self._boot

    def all(self) -> list[Message]:
        """The records of every container that runs or has not been forgotten."""
        return [*self._ended.values(), *(item.record(self._boot) for item in self._live.values() if item.told or item.exit)]

    def start(self, container_id: str, spec: Message) -> None:
        """Start a container; a second request for one that is known is answered with what is known."""
        if (known := self._ended.get(container_id)) is not None:
            self._tell(known | {"event": "exited"})
            return
        if (live := self._live.get(container_id)) is not None:
            if live.told:
                self._tell(live.record(self._boot) | {"event": "started"})
            return
        try:
            namespaces = self.templates.get(readonly=bool(spec.get("readonly"))) if spec.get("private") else (-1, -1)
            spec = self._limited(container_id, spec)
            container = containers.create(container_id, spec, namespaces)
            container.cgroup = spec.get("cgroup", "")
        except (OSError, ViewError) as error:
            if spec.get("cgroup"):
                self.cgroups.remove(spec["cgroup"])
            self._refuse(container_id, str(error))
            return
        except Exception as error:  # noqa: BLE001  # who asks is always answered: otherwise the Pod would wait for ever
            traceback.print_exc()
            self._refuse(container_id, f"{error!r}. This is a bug, please report it with the supervisor's log.")
            return
        self._live[container_id] = container
        if not (spec.get("warm") and self._zygotes.fork(container)):
            self._execute(container)

    def _limited(self, container_id: str, spec: Message) -> Message:
        """A container's spec with the cgroup that keeps its limits, where it has any and cgroups can be made."""
        if not (spec.get("memory") or spec.get("cpu")) or not self.cgroups.path:
            return spec
        cgroup = self.cgroups.make(container_id, memory=spec.get("memory", 0), cpu=spec.get("cpu", 0))
        return {**spec, "cgroup": cgroup} if cgroup else spec

    def _watch_memory(self, container: Container, limit: int) -> None:
        if not (container.cgroup and "memory" in self.cgroups.controllers):
            self._memory.watch(container, limit)
        elif limit:
            self.cgroups.when_used_up(container.cgroup, lambda: container.kill(signal.SIGKILL))

    def _execute(self, container: Container) -> None:
        container.how = "exec"
        try:
            if container.fds and container.spec.get("private"):  # the template may have been made anew since it was asked for
                container.fds.view = self.templates.get(readonly=bool(container.spec.get("readonly")))
            container.pid = containers.spawn(container)
        except (OSError, ViewError) as error:
            del self._live[container.id]
            container.close()
            self._let_go(container)
            self._refuse(container.id, f"fork: {error.strerror}" if isinstance(error, OSError) else str(error))
            return
        self._started(container)

    def _forked(self, container: Container) -> None:
        container.how = "fork"
        self._started(container)

    def _started(self, container: Container) -> None:
        container.start = identity.start_time(container.pid)
        container.started_at = identity.now()
        self._by_pid[container.pid] = container
        record = container.record(self._boot)
        self._records.write(record | {key: container.spec[key] for key in _KEPT if key in container.spec})
        if container.gate:
            with contextlib.suppress(OSError):  # it may have died already; its exit says how
                container.gate.send(b"g")
        container.release()  # only now: the process waits for the word above
        if "oci" in container.spec and container.gate:
            self._loop.watch(container.gate.fileno(), lambda: self._runs(container))
        else:
            container.told = True
            self._watch_memory(container, container.spec.get("memory", 0))
            self._tell(record | {"event": "started"})
        if container.stopping:  # it was told to when it had no process yet
            container.ask_to_end()
        self._read_streams(container)

    def _runs(self, container: Container) -> None:
        """The process that stands for a runtime's container says that this runs, or has ended."""
        if container.gate is None:
            return
        self._loop.forget(container.gate.fileno())
        if container.complaint() == "r" and not container.told:
            container.told, container.started_at = True, identity.now()
            self._tell(container.record(self._boot) | {"event": "started"})

    def _refuse(self, container_id: str, message: str) -> None:
        now = identity.now()
        record = {
            "id": container_id,
            "state": "exited",
            "pid": 0,
            "start": "",
            "boot": self._boot,
            "how": "exec",
            "startedAt": now,
        }
        record |= {"finishedAt": now, "code": 128, "signal": 0, "reason": "RunContainerError", "message": message}
        self._records.write(record)
        self._ended[container_id] = record
        self._tell(record | {"event": "exited"})

    def _read_streams(self, container: Container) -> None:
        for name, fd in container.streams.items():
            if fd >= 0:
                self._loop.watch(fd, lambda name=name: self._read(container, name))

    def _read(self, container: Container, name: str) -> None:
        fd = container.streams[name]
        if fd < 0:
            return
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            container.log.write(name, data, identity.now())
            for hear in list(container.viewers):
                hear(name, data)
            return
        self._loop.forget(fd)
        os.close(fd)
        container.streams[name] = -1
        self._finish_when_drained(container)

    def reap(self) -> None:
        """Take the status of every child that has ended."""
        strangers = False
        while pid := identity.ended_child():
            container = self._by_pid.get(pid)
            if container:
                container.kill(signal.SIGKILL)
            _, status, used = os.wait4(pid, 0)
            if container is None:
                strangers = not self._execs.ended(pid, status) or strangers
            else:
                container.used = identity.used(used)
                self._loop.call(lambda container=container, status=status: self._exited(container, status))
        if strangers:
            self._kill_leftovers()

    def _exited(self, container: Container, status: int) -> None:
        """A container's main process has ended, and what was left of its process group has been killed."""
        if "oci" in container.spec:
            self._runs(container)
            self._end(container, oci.result(container.spec) or containers.exit_of(status, ""))
        else:
            self._end(container, containers.exit_of(status, container.complaint()))

    def _end(self, container: Container, how: Message) -> None:
        """Record, clean up, and tell once the output is complete."""
        if container.exit:
            return
        if container.cgroup and _is_out_of_memory(container, how):
            how = out_of_memory(cgroups.said_of(container.spec.get("memory", 0)))
        container.exit = self._memory.ended(container, how) | {"state": "exited", "finishedAt": identity.now()} | _used(container)
        self._records.write(container.record(self._boot))
        if self._by_pid.get(container.pid) is container:
            del self._by_pid[container.pid]
        self._execs.left(container)
        self._let_go(container)
        self._kill_leftovers()
        for name, fd in list(container.streams.items()):
            if fd >= 0:
                self._drain(container, name)
        self._finish_when_drained(container)
        if container.id in self._live:
            self._loop.after(_DRAIN_SECONDS, lambda: self._finish(container))

    def _let_go(self, container: Container) -> None:
        """Kill what is left in a container's cgroup, whatever session it is in, and remove it."""
        if container.cgroup:
            self.cgroups.remove(container.cgroup)

    def _drain(self, container: Container, name: str) -> None:
        while container.streams[name] >= 0:
            before = container.streams[name]
            ready = select.poll()
            ready.register(before, select.POLLIN)
            if not ready.poll(0):
                return
            self._read(container, name)

    def _finish_when_drained(self, container: Container) -> None:
        if container.exit and all(fd < 0 for fd in container.streams.values()):
            self._finish(container)

    def _finish(self, container: Container) -> None:
        if self._live.pop(container.id, None) is None:
            return
        for fd in (*container.streams.values(), container.pidfd):
            if fd >= 0:
                self._loop.forget(fd)
        for hear in list(container.viewers):
            hear("", b"")
        container.close()
        record = container.record(self._boot)
        self._ended[container.id] = record
        self._tell(record | {"event": "exited"})

    def _kill_leftovers(self) -> None:
        """Kill adopted processes whose container has ended: those that left its process group, found by its mount namespace."""
        known = {*self._by_pid, *self._zygotes.pids(), *self._execs.pids()}
        strangers = [pid for pid in identity.children() if pid not in known]
        if not strangers:
            return
        views = {identity.mount_namespace(pid) for pid, each in self._by_pid.items() if "oci" not in each.spec}
        contained = any("oci" in each.spec for each in self._by_pid.values())
        for pid in strangers:
            if contained and identity.name(pid) == _MONITOR:
                continue
            namespace = identity.mount_namespace(pid)
            shared = namespace in {0, identity.mount_namespace(os.getpid())}
            if namespace in views or (shared and _session(pid) in self._by_pid):
                continue
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def signal(self, container_id: str, number: int) -> None:
        """Send one signal to a container's process group."""
        container = self._live.get(container_id)
        if container and not container.exit:
            container.kill(number)

    def exec(self, message: Message, asker: Asker) -> None:
        """Run another program in a container; see `execs`."""
        self._execs.start(self._live.get(message["id"]), message, asker)

    def attach(self, message: Message, asker: Asker) -> None:
        """Let somebody follow a container's streams; see `execs`."""
        self._execs.attach(self._live.get(message["id"]), message, asker)

    def stop(self, container_id: str, grace: float) -> None:
        """SIGTERM to its first process now, and SIGKILL to all that is left of it after ``grace`` seconds."""
        container = self._live.get(container_id)
        if container is None or container.exit:
            return
        if grace <= 0:
            self._kill_now(container)
            return
        container.stopping = True
        container.ask_to_end()
        self._loop.after(grace, lambda: self._kill_now(container))

    def _kill_now(self, container: Container) -> None:
        if container.exit:
            return
        if not container.pid:  # asked of an interpreter that has not answered yet
            self._loop.after(0.05, lambda: self._kill_now(container))
            return
        if "oci" not in container.spec:
            container.kill(signal.SIGKILL)
            return
        container.kill(signal.SIGINT)  # which has the container killed by its runtime
        self._loop.after(_COMMAND_SECONDS, lambda: container.exit or container.kill(signal.SIGKILL))

    def forget(self, container_id: str) -> None:
        """Drop the record of a container that has exited."""
        if self._ended.pop(container_id, None):
            self._records.drop(container_id)

    def warm(self, python: str, launcher: str) -> None:
        """Keep an interpreter ready."""
        self._zygotes.warm(python, launcher)

    def cool(self) -> None:
        """Let go of interpreters that have nothing to do."""
        self._zygotes.cool()

    def adopt(self) -> None:
        """Take over what a supervisor before this one has recorded."""
        for kept in self._records.all():
            record = {key: value for key, value in kept.items() if key not in _KEPT}
            log: Message = kept.get("log") or {"path": os.devnull, "limit": 0}
            if record["state"] == "exited":
                self._ended[record["id"]] = record
                continue
            spec = {key: kept[key] for key in _KEPT if key in kept}
            container = Container(record["id"], spec, Log(log["path"], log["limit"], log.get("masks") or []))
            container.pid, container.start, container.how = record["pid"], record["start"], record["how"]
            container.started_at, container.told = record["startedAt"], True
            container.cgroup = kept.get("cgroup", "") if record["boot"] == self._boot else ""
            self._live[container.id] = container
            if record["boot"] == self._boot and identity.is_running(container.pid, container.start):
                self._by_pid[container.pid] = container
                self._watch_memory(container, kept.get("memory", 0))
                self._attach(container)
            elif record["boot"] == self._boot:
                self._lose(container)
            else:
                self._end(container, _lost())  # all numbers are others' by now: there is nothing to kill
        self.cgroups.sweep(container.cgroup for container in self._live.values())

    def _attach(self, container: Container) -> None:
        """Find the pipes of a process that another supervisor started, and watch for its end.

        What it has printed since is still in its pipes, which it holds open for itself. A process that ended before anybody got
        here has taken with it what nobody had read: at most a pipe's worth, of a step that is reported as lost and tried again.
        """
        for number, name in ((1, "stdout"), (2, "stderr")):
            path = f"/proc/{container.pid}/fd/{number}"
            try:
                if os.readlink(path).startswith("pipe:"):
                    container.streams[name] = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue
        if container.spec.get("stdin"):
            with contextlib.suppress(OSError):
                container.input = os.open(f"/proc/{container.pid}/fd/0", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._read_streams(container)
        if sys.platform.startswith("linux"):
            try:
                container.pidfd = os.pidfd_open(container.pid)
            except OSError:
                self._look(container)
                return
            self._loop.watch(container.pidfd, lambda: self._lose(container))
            return
        self._look(container)

    def _look(self, container: Container) -> None:
        if container.exit:
            return
        if identity.is_running(container.pid, container.start):
            self._loop.after(_LOOK_SECONDS, lambda: self._look(container))
        else:
            self._lose(container)

    def _lose(self, container: Container) -> None:
        """A container has ended, and somebody else has reaped it."""
        container.kill(signal.SIGKILL)
        self._end(container, ("oci" in container.spec and oci.result(container.spec)) or _lost())

    def _orphaned(self, container: Container) -> None:
        """Its interpreter has died. It is a child of ours from now on, unless it was reaped and nobody lived to tell."""

        def look() -> None:
            if not container.exit and not identity.is_running(container.pid, container.start):
                self._lose(container)

        self._loop.after(_ORPHAN_SECONDS, look)


def _is_out_of_memory(container: Container, how: Message) -> bool:
    killed = how["signal"] in {0, signal.SIGKILL} and how["code"] != 0
    return killed and cgroups.ran_out_of_memory(container.cgroup)


def _used(container: Container) -> Message:
    """What a container has used, in a record's words: as the kernel counted it in its cgroup, or its parent was told."""
    told = cgroups.used(container.cgroup, container.used) if container.cgroup else container.used
    return {} if told is None else {"cpuSeconds": round(told[0], 6), "peakMemory": told[1]}


def _name_of(directory: str) -> str:
    """A name for the cgroups of this directory's supervisor, and no other's."""
    return f"kedge-{zlib.crc32(os.path.realpath(directory).encode()):08x}"


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _lost() -> Message:
    message = "The supervisor died while the container ran, so nobody saw how it ended."
    return {"code": None, "signal": 0, "reason": "Lost", "message": message}
