"""What the node's agent and the supervisor say to each other: JSON objects, one a line, over a unix socket.

Requests, from the agent::

    {"op": "hello"}                                  -> {"event": "hello", "version", "pid", "boot", "view", "cgroups",
                                                         "containers": […]}
    {"op": "start", "id": ID, "spec": SPEC}          -> {"event": "started", …RECORD}, later {"event": "exited", …RECORD}
    {"op": "stop", "id": ID, "grace": SECONDS}       SIGTERM to the process group now, SIGKILL after the grace period
    {"op": "signal", "id": ID, "signal": NUMBER}     one signal to the process group
    {"op": "list"}                                   -> {"event": "list", "containers": [RECORD…]}
    {"op": "forget", "id": ID}                       drops the record of a container that has exited
    {"op": "warm", "python": PATH, "launcher": DIR}  keeps an interpreter ready
    {"op": "cool"}                                   lets all interpreters go
    {"op": "quit"}                                   ends the supervisor; refused with {"event": "refused"} while containers run

Every agent that is connected hears every ``started`` and ``exited``. An ``ID`` is ``<pod uid>/<container>/<restart>`` and is
used once.

RECORD, also what a line of ``containers.jsonl`` holds: ``id, state (running|exited), pid, start, boot, how (fork|exec),
startedAt`` and, once it has exited, ``finishedAt, code (0-255, or null), signal, reason (Completed|Error|StartError|
RunContainerError|OOMKilled|Lost), message`` and, where somebody saw it, ``cpuSeconds`` and ``peakMemory`` (bytes).
``StartError``: what the spec asks for cannot be; ``RunContainerError``: the machine could not do it at that moment.

SPEC: ``argv``, ``env`` (the whole environment), ``cwd``, ``umask``, ``rlimits {NAME: [soft, hard]}``; ``memory`` (bytes, on
Linux: with more it is killed) and ``cpu`` (processors, kept where cgroups can be made); ``log {path, limit, masks}``;
``private`` (own view of the file system), ``readonly`` (its root cannot be written), ``tmp`` (directory to show as ``/tmp``,
or a mount that says it), ``keep`` (directories to leave visible should they lie under ``/tmp``), ``mounts [{source, target,
readonly}]`` (with ``inside``, a path in the source that no link leads out of: that is shown; with ``upper`` and ``work``, two
directories: written there instead, where overlays can be mounted; with ``tmpfs``, its options: held in memory instead);
``warm {python, launcher}`` to fork from an interpreter that is ready, with ``arguments`` (what follows the program's name);
``held`` (numbers of signals that the program starts with blocked: one that comes before it listens waits for it); ``user
{uid, gid, groups}`` (whom its process becomes, where the supervisor is root's) with ``reach`` (paths that this user must find
though they lie in directories closed to it) and, in a mount with ``upper``, ``give`` (directories in it that become this
user's); ``confined`` (on Linux: no program gives it rights that it does not have).

``view`` in the answer to ``hello`` says why private views cannot be made here, and ``cgroups`` why cgroups cannot; each is empty
when they can.
"""

import json
from typing import Any

# Another number is another protocol: an agent replaces a supervisor that speaks it, once that has nothing to do. Raise it with
# every word of a SPEC that must not be passed over, such as one that keeps a container from something.
VERSION = 2
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
