"""A cgroup (version 2) for each container with limits, in a subtree of our own: the kernel keeps the limits, and kills all of it.

A container without limits gets none: making one and moving a process into it can cost more than starting a step does. Where no
subtree can be made, cgroups of version 1 are (`cgroups_v1.py`); without those memory is looked at (`memory.py`), and limits of
processors are not kept.

A container's cgroup is one text for whoever keeps or enters it. With version 1 it is several directories, one for each
controller, joined by `SEPARATOR`.

The subtree lies where this user may make one: at the top, where that is root; otherwise beside the cgroup that the supervisor was
started in, which systemd's user sessions allow for services and scopes of the user's own. A cgroup that holds processes can
hand no controllers down, so the supervisor's own cannot be the place, and nobody else's processes are moved to make it one.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from kedge.supervisor.loop import Loop

WANTED = ("memory", "cpu")
SEPARATOR = ":"
_MIB = 1 << 20
_PERIOD = 100_000  # microseconds, the kernel's own
_LEAST_QUOTA = 1_000
_NOT_EVERYWHERE = frozenset({"memory.swap.max"})  # the kernel may count no swap
# How often, and how long after it, a cgroup is tried to be removed whose processes have been killed.
_ATTEMPTS, _PAUSE_SECONDS, _MOMENT_SECONDS = 200, 0.05, 0.005


class Cgroups:
    """Makes and removes the cgroups of containers.

    Args:
        name: Name of the subtree, this supervisor's alone.
        loop: The supervisor's loop.
        places: Where the subtree may be made, the best first.
        wanted: Controllers of which one at least must be there.

    Attributes:
        path: The subtree; empty where there is none.
        controllers: What it controls.
        refusal: Why there is none.
    """

    def __init__(self, name: str, loop: Loop, places: Iterable[str], wanted: tuple[str, ...] = WANTED) -> None:
        self._loop = loop
        self.path, self.controllers = "", frozenset[str]()
        refusals: list[str] = []
        for place in places:
            try:
                self.controllers = _found(os.path.join(place, name), wanted)
            except OSError as error:
                refusals.append(f"{place}: {error.strerror}")
                continue
            self.path = os.path.join(place, name)
            break
        self.refusal = "" if self.path else "; ".join(refusals) or "no cgroups of version 2 are mounted"

    def make(self, container: str, *, memory: int, cpu: float) -> str:
        """Make the cgroup of a container; its process enters it by itself.

        Args:
            container: The container's id.
            memory: Bytes; 0 for no limit.
            cpu: Processors; 0 for no limit.

        Returns:
            Its path; empty where nothing that is limited is controlled.
        """
        wanted = settings(memory=memory, cpu=cpu)
        here = {name: text for name, text in wanted.items() if name.partition(".")[0] in self.controllers}
        return self.make_with(container, here) if here else ""

    def make_with(self, container: str, wanted: Mapping[str, str]) -> str:
        """Make a cgroup and fill in its files; returns its path."""
        path = os.path.join(self.path, container.replace("/", "."))
        os.mkdir(path)
        try:
            for name, text in wanted.items():
                with contextlib.suppress(*[FileNotFoundError] * (name in _NOT_EVERYWHERE)):
                    write(path, name, text)
        except OSError:
            os.rmdir(path)
            raise
        return path

    def when_used_up(self, path: str, action: Callable[[], object]) -> None:
        """Call ``action`` when the kernel has killed a part of a container for its memory; version 2 kills all of it at once."""

    def describe(self) -> str:
        """What becomes of limits here, in words."""
        if not self.path:
            return f"memory is looked at ten times a second, and processors are not limited ({self.refusal})"
        without = "" if "memory" in self.controllers else "; memory is looked at ten times a second"
        without += "" if "cpu" in self.controllers else "; processors are not limited"
        return (
            f"the kernel keeps them, by cgroups in {os.path.dirname(self.path)} ({', '.join(sorted(self.controllers))}){without}"
        )

    def remove(self, path: str) -> None:
        """Kill what is left in a cgroup and remove it, as soon as that has ended."""
        kill(path)
        self._remove(path, _ATTEMPTS)

    def _remove(self, path: str, attempts: int) -> None:
        left = [each for each in path.split(SEPARATOR) if not _is_removed(each)]
        if left and attempts:
            kill(path)  # what was forked meanwhile
            self._loop.after(_PAUSE_SECONDS, lambda: self._remove(SEPARATOR.join(left), attempts - 1))

    def sweep(self, kept: Iterable[str]) -> None:
        """Remove what a supervisor before this one has left, but for the cgroups of containers that run."""
        known = {path for each in kept for path in each.split(SEPARATOR)}
        for path in self._left():
            if path not in known:
                self.remove(path)

    def close(self) -> None:
        """Remove the subtree, and what is being removed in it: its processes have been killed, and end within moments."""
        for path in self._left():
            for _ in range(_ATTEMPTS):
                kill(path)
                if _is_removed(path):
                    break
                time.sleep(_MOMENT_SECONDS)  # noqa: TID251  # standard library only: there is no Clock to be handed
        for subtree in filter(None, self.path.split(SEPARATOR)):
            remove_now(subtree)

    def _left(self) -> list[str]:
        """The containers' cgroups that there are, in every subtree."""
        subtrees = filter(None, self.path.split(SEPARATOR))
        found = [os.path.join(subtree, name) for subtree in subtrees for name in os.listdir(subtree)]
        return [path for path in found if os.path.isdir(path)]


def settings(*, memory: int, cpu: float) -> dict[str, str]:
    """What is written into the files of a container's cgroup.

    Args:
        memory: Bytes; 0 for no limit.
        cpu: Processors; 0 for no limit.

    Examples:
        >>> settings(memory=1048576, cpu=0)
        {'memory.max': '1048576', 'memory.oom.group': '1', 'memory.swap.max': '0'}
        >>> settings(memory=0, cpu=0.5)
        {'cpu.max': '50000 100000'}
    """
    made: dict[str, str] = {}
    if memory:
        made |= {"memory.max": str(memory), "memory.oom.group": "1", "memory.swap.max": "0"}
    if cpu:
        made["cpu.max"] = f"{max(_LEAST_QUOTA, int(cpu * _PERIOD))} {_PERIOD}"
    return made


def kill(path: str) -> None:
    """Kill every process of a cgroup: at once, or where the kernel does not offer that, one by one."""
    for each in path.split(SEPARATOR):
        try:
            write(each, "cgroup.kill", "1")
        except FileNotFoundError:
            _kill_each(each)
        except OSError:
            continue


def _kill_each(path: str) -> None:
    """Kill the processes that are in a cgroup now; each that they fork meanwhile is found by the next look."""
    with contextlib.suppress(OSError):
        for pid in _read(path, "cgroup.procs").split():
            os.kill(int(pid), signal.SIGKILL)


def _is_removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def ran_out_of_memory(path: str) -> bool:
    """Whether the kernel has killed a process of a cgroup because the cgroup had used its memory."""
    for each in path.split(SEPARATOR):
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                events = dict(line.split() for line in _read(each, name).splitlines())
                return int(events.get("oom_kill", "0")) > 0
    return False


def used(path: str, told: tuple[float, int] | None) -> tuple[float, int] | None:
    """Seconds of processors and, at its peak, bytes of memory of all that was in a cgroup.

    Args:
        path: The cgroup.
        told: What is known otherwise, for what the kernel does not count here (memory: Linux before 5.19).
    """
    seconds = peak = None
    for each in path.split(SEPARATOR):
        with contextlib.suppress(OSError, KeyError, ValueError):
            seconds = int(dict(line.split() for line in _read(each, "cpu.stat").splitlines())["usage_usec"]) / 1e6
        with contextlib.suppress(OSError, ValueError):
            seconds = int(_read(each, "cpuacct.usage")) / 1e9
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            with contextlib.suppress(OSError, ValueError):
                peak = int(_read(each, name))
    seconds = seconds if seconds is not None or told is None else told[0]
    peak = peak if peak is not None or told is None else told[1]
    return None if seconds is None or peak is None else (seconds, peak)


def said_of(limit: int) -> str:
    """What a person is told of a container that has used its memory."""
    return f"It needed more than the {limit / _MIB:.0f} MiB of resources.limits.memory."


def places() -> Iterator[str]:
    """Directories in which this process may be allowed to make a subtree, the best first."""
    top, own = _mounted(), _own()
    if not top or own is None:
        return
    parts = [part for part in own.split("/") if part]
    above = [os.path.join(top, *parts[:depth]) for depth in range(len(parts))]
    if os.geteuid() == 0:
        yield top
        yield from reversed(above[1:])
    else:
        yield from reversed(above)


def _mounted() -> str:
    """Where cgroups of version 2 are mounted."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            rows = [line.split() for line in file]
    except OSError:
        return ""
    return next((row[4] for row in rows if row[row.index("-") + 1] == "cgroup2"), "")


def _own() -> str | None:
    """The cgroup of this process."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            return next((line.strip().partition("::")[2] for line in file if line.startswith("0::")), None)
    except OSError:
        return None


def _found(path: str, wanted: tuple[str, ...]) -> frozenset[str]:
    """Make the subtree, and say what it controls; raises `OSError` where that cannot be, or is nothing."""
    parent = os.path.dirname(path)
    _hand_down(parent, wanted)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
    with contextlib.ExitStack() as undo:
        undo.callback(remove_now, path)
        found = frozenset(_hand_down(path, wanted))
        if not found:
            raise OSError(0, f"it does not hand down {' or '.join(wanted)}")
        try_to_enter(os.path.join(path, "probe"))
        undo.pop_all()
    return found


def remove_now(path: str) -> None:
    """Remove a subtree, if nothing is in it."""
    with contextlib.suppress(OSError):  # something is in it, or it is gone
        os.rmdir(path)


def _hand_down(path: str, wanted: tuple[str, ...]) -> list[str]:
    """Have a cgroup hand down controllers to those below it; which of the wanted ones it does in the end."""
    have = _read(path, "cgroup.subtree_control").split()
    for name in set(wanted) & set(_read(path, "cgroup.controllers").split()) - set(have):
        with contextlib.suppress(OSError):
            write(path, "cgroup.subtree_control", f"+{name}")
    return [name for name in _read(path, "cgroup.subtree_control").split() if name in wanted]


def try_to_enter(path: str) -> None:
    """Move a process into a new cgroup, as containers' processes will move."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
    pid = os.fork()
    if pid == 0:
        try:
            write(path, "cgroup.procs", "0")
        except OSError as error:
            os._exit(error.errno or 1)
        finally:
            os._exit(0)
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.rmdir(path)
    if number:
        raise OSError(number, f"processes cannot be moved into it ({os.strerror(number)})")


def _read(path: str, name: str) -> str:
    with open(os.path.join(path, name), encoding="ascii") as file:
        return file.read()


def write(path: str, name: str, text: str) -> None:
    """Write one of a cgroup's files."""
    fd = os.open(os.path.join(path, name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
