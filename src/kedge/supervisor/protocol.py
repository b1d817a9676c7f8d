"""What the node's agent and the supervisor say to each other: JSON objects, one a line, over a unix socket.

Requests, from the agent::

    {"op": "hello"}                                  -> {"event": "hello", "version", "pid", "boot", "view", "users",
                                                         "cgroups", "containers": […]}
    {"op": "start", "id": ID, "spec": SPEC}          -> {"event": "started", …RECORD}, later {"event": "exited", …RECORD}
    {"op": "stop", "id": ID, "grace": SECONDS}       SIGTERM, or what the spec says, to its first process now, SIGKILL to all
                                                     after the grace period
    {"op": "signal", "id": ID, "signal": NUMBER}     one signal to the process group
    {"op": "list"}                                   -> {"event": "list", "containers": [RECORD…]}
    {"op": "forget", "id": ID}                       drops the record of a container that has exited
    {"op": "warm", "python": PATH, "launcher": DIR}  keeps an interpreter ready
    {"op": "cool"}                                   lets all interpreters go
    {"op": "quit"}                                   ends the supervisor; refused with {"event": "refused"} while containers run

On a connection of its own, which hears nothing else, and whose end ends what was asked for::

    {"op": "exec", "id": ID, "argv", "env", "stdin", "tty", "output": [NAME…]}
    {"op": "attach", "id": ID, "stdin", "output": [NAME…]}
        -> {"event": "streams", "names": [NAME…]} with as many open files, or {"event": "refused", "message"}
        later {"event": "exited", "code", "reason", "message"}
    {"op": "end-input"}                              whoever is attached writes no more: an input that is ``once`` ends

A program that is executed in a container is in its view, its cgroup and its environment (``env`` gives what that lacks), and its
user's. NAME is ``stdin``, ``stdout`` or ``stderr``; a terminal's output is all ``stdout``.

Every agent that is connected hears every ``started`` and ``exited``. An ``ID`` is ``<pod uid>/<container>/<restart>`` and is
used once.

RECORD, also what a line of ``containers.jsonl`` holds: ``id, state (running|exited), pid, start, boot, how (fork|exec),
startedAt`` and, once it has exited, ``finishedAt, code (0-255, or null), signal, reason (Completed|Error|StartError|
RunContainerError|OOMKilled|Lost), message`` and, where somebody saw it, ``cpuSeconds`` and ``peakMemory`` (bytes).
``StartError``: what the spec asks for cannot be; ``RunContainerError``: the machine could not do it at that moment.

SPEC: ``argv``, ``env`` (the whole environment), ``cwd``, ``umask``, ``rlimits {NAME: [soft, hard]}``; ``memory`` (bytes, on
Linux: with more it is killed) and ``cpu`` (processors, kept where cgroups can be made); ``log {path, limit, masks}``;
``private`` (own view of the file system), ``readonly`` (its root cannot be written), ``hidden [{path, but}]`` (directories of
which nothing is to be seen but some paths and what is mounted in them), ``tmp`` (directory to show as ``/tmp``,
or a mount that says it), ``keep`` (directories to leave visible should they lie under ``/tmp``), ``mounts [{source, target,
readonly}]`` (with ``inside``, a path in the source that no link leads out of: that is shown; with ``upper`` and ``work``, two
directories: written there instead, where overlays can be mounted; with ``tmpfs``, its options: held in memory instead; with
``beneath``, a directory: no link on the way to the source leads out of it);
``warm {python, launcher}`` to fork from an interpreter that is ready, with ``arguments`` (what follows the program's name);
``stop`` (number of the signal that is sent for SIGTERM);
``held`` (numbers of signals that the program starts with blocked: one that comes before it listens waits for it); ``user
{uid, gid, groups}`` (whom its process becomes, where the supervisor is root's) with ``reach`` (paths that this user must find
though they lie in directories closed to it) and, in a mount with ``upper``, ``give`` (directories in it that become this
user's); ``confined`` (on Linux: no program gives it rights that it does not have); ``stdin`` (``open``: its input is kept open
for whoever attaches, or ``once``: until the first who did leaves) and ``tty`` (its streams are a terminal, which ends with the
supervisor); ``network {path, inode, hostname}`` (with ``private``: the network namespace that it enters, and its name there).

With ``oci {cli, name, signal, pidfile, memory, looked, result}`` the container is a runtime's: ``cli`` is its command line,
``create`` what follows its word ``create`` besides ``mounts``, ``name`` what the container is called, ``signal`` what SIGTERM is
passed on as, ``pidfile`` a file that is filled when it runs (where the command line can do that), ``memory`` its limit (where
that has to be watched for the command line), ``looked`` whether its memory is looked at, as the runtime keeps no limit, and
``result`` a file where its end is written down; ``env`` is the command line's.
``started`` is told when it runs.

``view`` in the answer to ``hello`` says why private views cannot be made here, and ``cgroups`` why cgroups cannot; each is empty
when they can. ``users`` is the path of the user namespace that containers are in, empty where root needs none.
"""

import json
from typing import Any

# Another number is another protocol: an agent replaces a supervisor that speaks it, once that has nothing to do. Raise it with
# every word of a SPEC that must not be passed over, such as one that keeps a container from something.
VERSION = 8
# The largest line that is read: specs hold environments of up to a few hundred kilobytes.
MAX_LINE = 8 << 20

Message = dict[str, Any]


def encode(message: Message) -> bytes:
    """One line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Lines:
    """Cuts what comes over a stream into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that ``data`` completes.

        Raises:
            ValueError: A line is no JSON object, or is too long.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise ValueError(f"a line is longer than {MAX_LINE} bytes")
        return [json.loads(line) for line in lines if line]
