"""Runs one container through the command line of podman, docker or nerdctl, in a process that stands for it.

To the rest of the supervisor that process is the container's own: its output is the container's, it passes on signals, and it
ends with the container's exit code. What an exit code cannot say (that the memory was used up, that the program could not be
started) it leaves in a file first, so that a supervisor after this one finds it too. SIGTERM is passed on as the signal that the
image asks for; SIGINT kills the container at once: SIGKILL would end this process and leave the container behind.

It takes in whatever its command line leaves behind, such as podman's ``conmon``, which the supervisor would end as a leftover.
"""

import contextlib
import ctypes
import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from typing import NoReturn

from kedge.supervisor import cgroups, child, held, view
from kedge.supervisor.oom import Watch, watch
from kedge.supervisor.protocol import Message

_SUBREAPER = 36  # of prctl
# How often it is looked whether the container runs, until it does.
_LOOK_SECONDS = 0.02
# The same, where looking takes a command of its own.
_ASK_SECONDS = 0.2
# The same, of what a container uses whose limit its runtime does not keep.
_MEMORY_SECONDS = 0.1
_CHUNK = 1 << 16
# What a command line prints before its container runs is kept so far: it says why it does not.
_MOST_WORDS = 4000
_NO_TIME = "0001-01-01"  # when what never started did
# nerdctl's own last words about a command or a container that did not end well, on what is their stream until then.
_ENDED_WITH = re.compile(rb'time="[^"]*" level=fatal msg="exec failed with exit code (\d+)"\n\Z')
_ITS_OWN_WORDS = re.compile(rb'(?:time="[^"]*" level=(?:fatal msg="1 errors:|error msg="forward signal)[^\n]*\n)+\Z')


def run(spec: Message, gate: int) -> NoReturn:
    """Be a container, in a process that was forked for it; does not return.

    Args:
        spec: See `protocol`.
        gate: Hears one byte when the container runs.
    """
    _close_all_but(gate)
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    os._exit(_Container(spec, gate).run())


def execute(spec: Message) -> NoReturn:
    """Run a command that `command` made, and end as its program did, where its command line tells that in words alone.

    Args:
        spec: With the command as ``argv``, and its environment.
    """
    _close_all_but(-1)
    words = b""
    with subprocess.Popen(spec["argv"], env=spec["env"], stderr=subprocess.PIPE) as running:
        assert running.stderr is not None  # noqa: S101  # asked for above
        while data := os.read(running.stderr.fileno(), _CHUNK):
            data, words = words + data, b""
            if found := _ENDED_WITH.search(data):
                data, words = data[: found.start()], found[0]
            while data:
                data = data[os.write(2, data) :]
    found = _ENDED_WITH.search(words)
    os._exit((int(found[1]) if found and running.returncode else running.returncode) & 0xFF)


def _close_all_but(gate: int) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != gate:
            with contextlib.suppress(OSError):  # the one that listed the others
                os.close(int(name))


def result(spec: Message) -> Message | None:
    """How a container ended, as its process has left it; ``None`` when it left nothing.

    Args:
        spec: The container's.
    """
    try:
        with open(spec["oci"]["result"], encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


class _Container:
    """The container of this process."""

    def __init__(self, spec: Message, gate: int) -> None:
        self._spec, self._gate = spec, gate
        self._cli: list[str] = spec["oci"]["cli"]
        self._tool = os.path.basename(self._cli[0])
        self._name: str = spec["oci"]["name"]
        self._running = False
        self._asked: list[str] = []
        self._words = b""
        self._held = b""
        self._look_at = 0.0
        self._pid = 0
        self._waiting_as = ""  # the program of a container that is made and waits to be started
        self._memory: Watch | None = None
        self._attached: subprocess.Popen[bytes] | None = None
        self._used_up = ""  # what is said of a container whose memory is looked at, once it has used too much

    def run(self) -> int:
        """Make it, follow it to its end, leave word, remove it."""
        woken, wake = socket.socketpair()
        for each in (woken, wake):
            each.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda _number, _frame: self._asked.append(self._spec["oci"]["signal"]))
        for number in (signal.SIGINT, signal.SIGHUP):  # the second where it has lost its terminal
            signal.signal(number, lambda _number, _frame: self._asked.append("SIGKILL"))
        signal.signal(signal.SIGWINCH, lambda _number, _frame: self._resize())
        signal.signal(signal.SIGCHLD, _ignore)
        try:
            made = self._call("create", *self._mounts(), *self._spec["create"])
        except (OSError, view.ViewError) as error:
            return self._leave(_refused(str(error)))
        if made.returncode:
            return self._leave(_refused(_last_words(made.stderr)))
        if self._spec["oci"].get("memory") and self._tool == "podman" and not self._looks and (fault := self._watch_memory()):
            return self._leave({**_refused(fault), "reason": "StartError"})
        interactive = ["--interactive"] if self._spec.get("stdin") else []
        self._attached = subprocess.Popen(
            [*self._cli, "start", "--attach", *interactive, *_detaching(self._tool), self._name],
            env=self._spec["env"],
            stdin=None if interactive or self._spec.get("tty") else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # what is sent to this process's group is passed on by this process alone
        )
        self._follow(self._attached, woken)
        return self._leave(self._ended())

    def _resize(self) -> None:
        """Have the command line see that its terminal has another size: it does not hear so itself in a session of its own."""
        if self._attached is not None and self._attached.poll() is None:
            self._attached.send_signal(signal.SIGWINCH)

    @property
    def _looks(self) -> bool:
        """Whether the runtime keeps no limit of memory, so that what the container uses is looked at."""
        return bool(self._spec["oci"].get("looked"))

    def _watch_memory(self) -> str:
        """Have it wait before its program starts, and watch its memory from then on; says why it cannot be made ready.

        podman itself does not see it in time, or at all, where version 1 of cgroups is mounted.
        """
        done = self._call("init", self._name)
        if done.returncode:
            return _last_words(done.stderr) or "it could not be started"
        with contextlib.suppress(OSError, ValueError):
            with open(self._spec["oci"]["pidfile"], encoding="ascii") as file:
                self._pid = int(file.read())
            self._waiting_as = _program(self._pid)
            self._memory = watch(self._pid)
        return ""

    def _watch_late(self, pidfile: str) -> None:
        """Watch the memory of a container that runs already: nerdctl has no way to make one wait, and does not see it either."""
        with contextlib.suppress(OSError, ValueError), open(pidfile, encoding="ascii") as file:
            self._memory = watch(int(file.read()))

    def _mounts(self) -> list[str]:
        words: list[str] = []
        for entry in self._spec["mounts"]:
            if entry.get("tmpfs"):
                words += ["--tmpfs", f"{entry['target']}:rw,exec,{entry['tmpfs']}"]
                continue
            source = _pinned(entry) if entry.get("inside") or entry.get("beneath") else entry["source"]
            fields = ["type=bind", f"source={source}", f"target={entry['target']}", *(["readonly"] if entry["readonly"] else ())]
            words += ["--mount", ",".join(map(_quoted, fields))]
        return words

    def _follow(self, attached: "subprocess.Popen[bytes]", woken: socket.socket) -> None:
        """Pass on errors and signals until nothing is attached to the container any more."""
        assert attached.stderr is not None  # noqa: S101  # asked for above
        errors = attached.stderr.fileno()
        sources = [woken.fileno(), errors]
        while attached.poll() is None or errors in sources:
            memory = [] if self._memory is None else [self._memory.fd]
            read, rare = (sources, memory) if self._memory is not None and self._memory.rare else (sources + memory, [])
            ready, _, _ = select.select(read, [], rare, self._pause())
            if self._memory is not None:
                self._memory.look()
            if woken.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    woken.recv(4096)
            if errors in ready:
                data = os.read(errors, _CHUNK)
                self._print(data)
                if not data:
                    sources.remove(errors)
            if not self._running and attached.poll() is None:
                self._look()
            if self._running and self._looks and not self._used_up and time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + _MEMORY_SECONDS
                self._look_at_memory()
            while self._running and self._asked:
                self._call("kill", "--signal", self._asked.pop(0), self._name)

    def _pause(self) -> float | None:
        """How long nothing need happen until it is looked again."""
        if not self._running:
            return _LOOK_SECONDS
        return _MEMORY_SECONDS if self._looks and not self._used_up else None

    def _look_at_memory(self) -> None:
        """Have the container killed where it uses more than its limit."""
        self._used_up = held.too_much(held.by_process(self._pid), self._spec["oci"]["memory"])
        if self._used_up:
            self._asked.append("SIGKILL")

    def _print(self, data: bytes) -> None:
        """Print what comes from the container; before it runs, it is the command line that complains.

        What nerdctl may have said itself is held back until something follows: only then the container has said it.
        """
        if not self._running:
            self._words += data
            return
        data, self._words, self._held = self._held + self._words + data, b"", b""
        if self._tool == "nerdctl" and (found := _ITS_OWN_WORDS.search(data)):
            data, self._held = data[: found.start()], found[0]
        with contextlib.suppress(OSError):  # its terminal has gone with the supervisor
            while data:
                data = data[os.write(2, data) :]

    def _look(self) -> None:
        """See whether it runs, and tell."""
        if self._waiting_as:
            self._running = _program(self._pid) != self._waiting_as
        elif pidfile := self._spec["oci"].get("pidfile"):
            self._running = os.path.exists(pidfile) and os.path.getsize(pidfile) > 0
            if self._running and self._looks:
                with open(pidfile, encoding="ascii") as file:
                    self._pid = int(file.read())
            elif self._running and self._spec["oci"].get("memory"):
                self._watch_late(pidfile)
        elif time.monotonic() >= self._look_at:
            self._running = bool(self._state().get("Running"))
            self._look_at = time.monotonic() + _ASK_SECONDS
        if self._running:
            self._tell()

    def _tell(self) -> None:
        with contextlib.suppress(OSError):  # the supervisor has died; another will look after this process
            os.write(self._gate, b"r")
        self._print(b"")

    def _ended(self) -> Message:
        """How it ended, in a record's words."""
        state = self._state()
        if state.get("Running"):  # it has only lost who followed it
            self._call("wait", self._name)
            state = self._state()
        # nerdctl writes the number of a process whose program is then not found
        if (not self._running or state.get("Error")) and str(state.get("StartedAt") or _NO_TIME).startswith(_NO_TIME):
            text = _last_words(self._words) or str(state.get("Error") or "it could not be started")
            return {"code": child.START_ERROR, "signal": 0, "reason": "StartError", "message": text}
        if not self._running:  # it was too short to be seen running
            self._running = True
            self._tell()
        code = int(state.get("ExitCode", 137))
        if code and self._used_up:
            return {"code": code, "signal": 0, "reason": "OOMKilled", "message": self._used_up}
        if code and (state.get("OOMKilled") or (self._memory is not None and self._memory.used_up)):
            words = cgroups.said_of(limit) if (limit := self._spec["oci"].get("memory", 0)) else ""
            return {"code": code, "signal": 0, "reason": "OOMKilled", "message": words}
        return {"code": code, "signal": 0, "reason": "Error" if code else "Completed", "message": ""}

    def _state(self) -> Message:
        done = self._call("inspect", "--type", "container", "--format", "{{json .State}}", self._name)
        try:
            found = json.loads(done.stdout)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _leave(self, how: Message) -> int:
        """Leave word of how it ended, remove the container, and say what to exit with."""
        path = self._spec["oci"]["result"]
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(how, file)
        os.rename(path + ".new", path)
        self._call("rm", "--force", "--volumes", self._name)
        return int(how["code"]) & 0xFF

    def _call(self, *words: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [*self._cli, *words],
            env=self._spec["env"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            start_new_session=True,
        )


def command(spec: Message, argv: list[str], *, stdin: bool, tty: bool, env: Mapping[str, str]) -> list[str]:
    """The command that runs another program in a container.

    Args:
        spec: The container's.
        argv: The program.
        stdin: Whether somebody writes its input.
        tty: Whether its streams are a terminal.
        env: Variables for it alone.
    """
    about = spec["oci"]
    flags = [*(["--interactive"] if stdin else ()), *(["--tty"] if tty else ())]
    flags += _detaching(os.path.basename(about["cli"][0])) if tty else ()
    variables = [word for name, value in env.items() for word in ("--env", f"{name}={value}")]
    return [*about["cli"], "exec", *flags, *variables, about["name"], *argv]


def tells_no_code(spec: Message) -> bool:
    """Whether a container's command line ends otherwise than what it has run in it, see `execute`."""
    return os.path.basename(spec["oci"]["cli"][0]) == "nerdctl"


def _detaching(tool: str) -> list[str]:
    """Words that have no keys let go of a container: what is typed is its own. docker must have some, which nobody types."""
    if tool == "nerdctl":
        return []
    return ["--detach-keys", "" if tool == "podman" else ",".join(["ctrl-^"] * 8)]


def _program(pid: int) -> str:
    """The file of a process's program; empty when the process has ended."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _refused(why: str) -> Message:
    return {"code": child.START_ERROR, "signal": 0, "reason": "RunContainerError", "message": why}


def _last_words(text: bytes) -> str:
    r"""What a command line says at last, without its own name for it.

    Examples:
        >>> _last_words(b"time=... level=warning\nError: no such image\n")
        'no such image'
    """
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix("Error: ")[:_MOST_WORDS] if lines else ""


def _pinned(entry: Message) -> str:
    """The place that a ``subPath`` or ``hostPath`` means at this moment, which no link leads out of what it lies in.

    The runtime takes a path alone: whoever may write there could still exchange it until it is mounted.
    """
    with view.origin(entry) as place:
        return os.readlink(place.removesuffix("/."))


def _quoted(field: str) -> str:
    """A field of a line with commas between fields."""
    return '"' + field.replace('"', '""') + '"' if any(each in field for each in ',"\n') else field


def _ignore(number: int, frame: object) -> None:
    """Do nothing but wake the loop."""
