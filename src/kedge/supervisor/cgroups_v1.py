"""Cgroups of version 1 for containers with limits, where those of version 2 cannot be had: one hierarchy for each controller.

A subtree of ours lies beside or below the supervisor's own cgroup in each hierarchy where it may be made. Other than with version
2 the kernel kills one process of a container that has used its memory, not all of it: the supervisor is told, and ends the rest.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from kedge.supervisor import cgroups
from kedge.supervisor.cgroups import SEPARATOR, WANTED, Cgroups
from kedge.supervisor.loop import Loop

_PERIOD = 100_000
_LEAST_QUOTA = 1_000
_LOOKS, _PAUSE_SECONDS = 100, 0.02  # version 1 tells before it kills
_SWAP = "memory.memsw.limit_in_bytes"  # the kernel may count no swap


class CgroupsV1(Cgroups):
    """Makes and removes the cgroups of containers, in several hierarchies.

    Args:
        name: Name of the subtrees, this supervisor's alone.
        loop: The supervisor's loop.
        places: Controllers, and where their subtree may be made, the best first.
    """

    def __init__(self, name: str, loop: Loop, places: Iterable[tuple[str, str]]) -> None:
        super().__init__(name, loop, ())
        self._subtrees: dict[str, str] = {}
        self._told: dict[str, tuple[int, int]] = {}
        refusals: list[str] = []
        for controller, place in places:
            if controller in self._subtrees:
                continue
            try:
                self._subtrees[controller] = _made(os.path.join(place, name))
            except OSError as error:
                refusals.append(f"{place}: {error.strerror}")
        self.controllers = frozenset(self._subtrees) & set(WANTED)
        if not self.controllers:
            for subtree in self._subtrees.values():
                cgroups.remove_now(subtree)
            self._subtrees = {}
        self.path = SEPARATOR.join(dict.fromkeys(self._subtrees.values()))
        self.refusal = "" if self.path else "; ".join(refusals) or "no cgroups are mounted"

    def make(self, container: str, *, memory: int, cpu: float) -> str:
        """See `Cgroups`."""
        here = {name: text for name, text in settings(memory=memory, cpu=cpu).items() if _owner(name) in self.controllers}
        return self.make_with(container, here) if here else ""

    def make_with(self, container: str, wanted: Mapping[str, str]) -> str:
        """Make a container's cgroups, also one that counts what it uses of processors, and fill in their files."""
        made: dict[str, str] = {}
        try:
            for controller in sorted({*(_owner(name) for name in wanted), "cpuacct"} & self._subtrees.keys()):
                path = os.path.join(self._subtrees[controller], container.replace("/", "."))
                if path not in made.values():
                    os.mkdir(path)
                made[controller] = path
            for name, text in wanted.items():
                if name != _SWAP or os.path.exists(os.path.join(made["memory"], name)):
                    cgroups.write(made[_owner(name)], name, text)
        except OSError:
            for path in set(made.values()):
                os.rmdir(path)
            raise
        return SEPARATOR.join(dict.fromkeys(made.values()))

    def when_used_up(self, path: str, action: Callable[[], object]) -> None:
        """See `Cgroups`."""
        place = next((each for each in path.split(SEPARATOR) if os.path.exists(os.path.join(each, "memory.oom_control"))), "")
        if not place:
            return
        control = os.open(os.path.join(place, "memory.oom_control"), os.O_RDONLY | os.O_CLOEXEC)
        told = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._told[path] = (told, control)
        cgroups.write(place, "cgroup.event_control", f"{told} {control}")
        self._loop.watch(told, lambda: self._look(path, action, _LOOKS))

    def _look(self, path: str, action: Callable[[], object], looks: int) -> None:
        if path not in self._told:
            return
        with contextlib.suppress(OSError):  # it was read before
            os.eventfd_read(self._told[path][0])
        if cgroups.ran_out_of_memory(path):
            action()
        elif looks:
            self._loop.after(_PAUSE_SECONDS, lambda: self._look(path, action, looks - 1))

    def remove(self, path: str) -> None:
        """See `Cgroups`."""
        if (told := self._told.pop(path, None)) is not None:
            self._loop.forget(told[0])
            for fd in told:
                os.close(fd)
        super().remove(path)

    def describe(self) -> str:
        """See `Cgroups`."""
        if not self.path:
            return super().describe()
        without = "" if "memory" in self.controllers else "; memory is looked at ten times a second"
        without += "" if "cpu" in self.controllers else "; processors are not limited"
        places = ", ".join(os.path.dirname(self._subtrees[controller]) for controller in sorted(self.controllers))
        return f"the kernel keeps them, by cgroups of version 1 in {places}{without}"


def settings(*, memory: int, cpu: float) -> dict[str, str]:
    """What is written into the files of a container's cgroups, in this order.

    Args:
        memory: Bytes; 0 for no limit.
        cpu: Processors; 0 for no limit.

    Examples:
        >>> settings(memory=1048576, cpu=0.5)
        {'memory.limit_in_bytes': '1048576', 'memory.memsw.limit_in_bytes': '1048576', 'cpu.cfs_quota_us': '50000'}
    """
    made = {"memory.limit_in_bytes": str(memory), _SWAP: str(memory)} if memory else {}
    if cpu:
        made["cpu.cfs_quota_us"] = str(max(_LEAST_QUOTA, int(cpu * _PERIOD)))
    return made


def places() -> Iterator[tuple[str, str]]:
    """Controllers, and directories in which this process may be allowed to make a subtree: its own cgroup, then the top."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            mounts = [line.split() for line in file]
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            rows = [line.strip().split(":", 2) for line in file]
    except OSError:
        return
    own = {name: path for _, names, path in rows for name in names.split(",")}
    for row in mounts:
        kind, _, options = row[row.index("-") + 1 :][:3]
        for controller in sorted({*WANTED, "cpuacct"} & set(options.split(","))) if kind == "cgroup" else ():
            inside = os.path.normpath(row[4] + own.get(controller, "/").removeprefix(row[3].rstrip("/")))
            yield from ((controller, place) for place in dict.fromkeys((inside, row[4])) if os.path.isdir(place))


def _owner(name: str) -> str:
    """The controller of a file."""
    return name.partition(".")[0]


def _made(path: str) -> str:
    """Make a subtree, and see that processes may enter it; raises `OSError` where that cannot be."""
    os.makedirs(path, exist_ok=True)
    try:
        cgroups.try_to_enter(os.path.join(path, "probe"))
    except OSError:
        cgroups.remove_now(path)
        raise
    return path


def available(name: str, loop: Loop) -> Cgroups:
    """What keeps limits here: cgroups of version 2, else of version 1, else none, which says why.

    Args:
        name: Name of the subtree, this supervisor's alone.
        loop: The supervisor's loop.
    """
    best = Cgroups(name, loop, cgroups.places())
    if best.path:
        return best
    older = CgroupsV1(name, loop, places())
    return older if older.path else best
