"""Who may run now: requests against what the machine has, and a number of Pods, first come first served.

Plain bookkeeping: a queued Pod costs one small entry. A Pod that would not fit an empty machine is refused at once; one that does
not fit now waits, and those behind it wait too, so that a large one is not starved by small ones.

Pods that are restarted whenever they end are servers, not steps: they would keep their turn for ever. They take none, as on a
cluster, and count for what they ask for, and for no more.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace

from kedge.kube.kinds import Obj
from kedge.kube.requests import requests_of

# Rounding of sums of floats must not refuse the last Pod that fits.
_CPU_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Size:
    """What a Pod asks for, or what a machine has.

    Attributes:
        cpu: Processors.
        memory: Bytes.
        other: Further resources by name, such as ``nvidia.com/gpu``.
        lasting: Whether it is a Pod that does not end by itself.
    """

    cpu: float
    memory: int
    other: tuple[tuple[str, float], ...] = ()
    lasting: bool = False


class Admission:
    """The queue in front of the node.

    Args:
        capacity: What the machine has.
        max_pods: How many Pods may run at once that end by themselves.
    """

    def __init__(self, capacity: Size, max_pods: int) -> None:
        self._capacity = capacity
        self._max_pods = max(1, max_pods)
        self._running: dict[str, Size] = {}
        self._turns = 0
        self._queue: OrderedDict[str, Size] = OrderedDict()
        self._lasting: OrderedDict[str, Size] = OrderedDict()
        self._cpu = 0.0
        self._memory = 0
        self._other: dict[str, float] = {}

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._queue) + len(self._lasting)

    @property
    def running(self) -> int:
        """How many have their turn."""
        return len(self._running)

    def ahead(self, uid: str) -> int | None:
        """How many wait before a Pod; ``None`` for one that does not wait."""
        queue = self._lasting if uid in self._lasting else self._queue
        if uid not in queue:
            return None
        return next(position for position, other in enumerate(queue) if other == uid)

    def misfit(self, size: Size) -> tuple[str, str]:
        """Reason and message why a Pod can never run here; empty when it can."""
        have = dict(self._capacity.other)
        for name, amount in size.other:
            if amount > have.get(name, 0.0):
                return f"OutOf{name}", f"the Pod asks for {amount:g} {name}, and this machine has {have.get(name, 0.0):g}."
        if size.cpu > self._capacity.cpu + _CPU_SLACK:
            text = (
                f"the Pod asks for {size.cpu:g} processors, and this machine has {self._capacity.cpu:g}. Lower its cpu request."
            )
            return "OutOfcpu", text
        if size.memory > self._capacity.memory:
            has = self._capacity.memory
            text = f"the Pod asks for {size.memory} bytes of memory, and this machine has {has}. Lower its memory request."
            return "OutOfmemory", text
        return "", ""

    def queue(self, uid: str, size: Size) -> None:
        """Put a Pod at the end of the queue, if it is not known; one that seems larger than the machine waits for all of it."""
        if uid not in self._running and uid not in self._queue and uid not in self._lasting:
            has = self._capacity
            fitted = replace(size, cpu=min(size.cpu, has.cpu), memory=min(size.memory, has.memory))
            (self._lasting if size.lasting else self._queue)[uid] = fitted

    def force(self, uid: str, size: Size) -> None:
        """Count a Pod that runs already."""
        self._unqueue(uid)
        if uid not in self._running:
            self._count(uid, size)

    def release(self, uid: str) -> None:
        """Forget a Pod: it has ended, or is not wanted any more."""
        self._unqueue(uid)
        size = self._running.pop(uid, None)
        if size is not None:
            self._turns -= not size.lasting
            self._cpu -= size.cpu
            self._memory -= size.memory
            for name, amount in size.other:
                self._other[name] -= amount

    def next(self) -> str | None:
        """The Pod at the head of the queue, which from now on counts as running; ``None`` when it does not fit yet."""
        for queue, turn in ((self._lasting, True), (self._queue, self._turns < self._max_pods)):
            if not queue or not turn:
                continue
            uid, size = next(iter(queue.items()))
            if self._fits(size):
                del queue[uid]
                self._count(uid, size)
                return uid
        return None

    def _unqueue(self, uid: str) -> None:
        self._queue.pop(uid, None)
        self._lasting.pop(uid, None)

    def _fits(self, size: Size) -> bool:
        if self._cpu + size.cpu > self._capacity.cpu + _CPU_SLACK or self._memory + size.memory > self._capacity.memory:
            return False
        have = dict(self._capacity.other)
        return all(self._other.get(name, 0.0) + amount <= have.get(name, 0.0) for name, amount in size.other)

    def _count(self, uid: str, size: Size) -> None:
        self._running[uid] = size
        self._turns += not size.lasting
        self._cpu += size.cpu
        self._memory += size.memory
        for name, amount in size.other:
            self._other[name] = self._other.get(name, 0.0) + amount


def size_of(spec: Obj, *, default_cpu: float, default_memory: int) -> Size:
    """What a Pod asks for, with what a main container without requests is counted as.

    Args:
        spec: The Pod's spec.
        default_cpu: Processors for a main container without a request, of a Pod that ends by itself.
        default_memory: Bytes, likewise.

    Examples:
        >>> size_of({"containers": [{"resources": {"requests": {"cpu": "500m"}}}]}, default_cpu=0.25, default_memory=64)
        Size(cpu=0.5, memory=64, other=(), lasting=False)
    """
    lasting = spec.get("restartPolicy") == "Always"
    total = requests_of(spec, {} if lasting else {"cpu": default_cpu, "memory": float(default_memory)})
    other = tuple(sorted((name, amount) for name, amount in total.items() if _is_counted(name) and amount))
    return Size(total.get("cpu", 0.0), int(total.get("memory", 0.0)), other, lasting)


def _is_counted(name: str) -> bool:
    # Disk is not handed out here; devices are (`devices`), as far as this machine has them.
    return name not in {"cpu", "memory", "ephemeral-storage"} and not name.startswith("hugepages-")
