"""Lifecycle hooks of one Pod's containers: what runs when one has started, and what before one is told to end."""

import asyncio
from collections.abc import Callable

from kedge.control.background import Background
from kedge.kube.kinds import Obj
from kedge.kube.probes import POST_START, PRE_STOP, hooks_of
from kedge.node.handlers import Handlers
from kedge.node.lifecycle import Container, Seen

# What a container has at least between SIGTERM and SIGKILL when its hook has used up the grace period.
_LEAST_GRACE = 2.0


class _Leaving:
    """A container whose hook before its end has begun."""

    def __init__(self) -> None:
        self.told: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.grace = float("inf")
        self.task: asyncio.Task[None] | None = None


class Hooks:
    """The hooks of one Pod.

    Args:
        handlers: Carry them out.
        stop: Tells a container, by name and attempt, to end within so many seconds.
        emit: Tells a person: reason and message.
        on_result: Called when a hook after a start has ended; its failure stands in the container's ``probed``.
    """

    def __init__(
        self,
        handlers: Handlers,
        stop: Callable[[str, int, float], object],
        emit: Callable[[str, str], object],
        on_result: Callable[[], object],
    ) -> None:
        self._handlers = handlers
        self._stop = stop
        self._emit = emit
        self._on_result = on_result
        self._starting: dict[str, tuple[Container, asyncio.Task[None]]] = {}
        self._leaving: dict[tuple[str, int], _Leaving] = {}
        self._background = Background("hooks")

    def follow(self, pod: Obj, seen: Seen) -> None:
        """Begin the hooks of containers that have started, and end those of containers that have ended."""
        for name, (known, task) in list(self._starting.items()):
            if not known.hooking or seen.containers.get(name) is not known:
                task.cancel()
                del self._starting[name]
        for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]):
            name, known = container["name"], seen.containers.get(container["name"])
            if known is not None and known.running and known.hooking and name not in self._starting:
                self._starting[name] = (known, self._background.start(self._after_start(pod, container, known)))
        for (name, attempt), leaving in list(self._leaving.items()):
            known = seen.containers.get(name)
            if known is None or known.attempt != attempt or not known.running:
                self._drop(name, attempt, leaving)

    async def _after_start(self, pod: Obj, container: Obj, known: Container) -> None:
        if fault := await self._handlers.hook(pod, container, hooks_of(container)[POST_START]):
            self._emit("FailedPostStartHook", "PostStartHook failed")
            known.probed[POST_START] = False
            known.hook_fault = fault
        known.hooking = False
        self._on_result()

    def leave(self, pod: Obj, container: Obj, known: Container, grace: float) -> None:
        """Carry out the hook of a container that is to end later, when its turn comes; does nothing where it has none."""
        key = (container["name"], known.attempt)
        if PRE_STOP in hooks_of(container) and known.up and grace > 0 and key not in self._leaving:
            self._leaving[key] = leaving = _Leaving()
            leaving.task = self._background.start(self._before_stop(pod, container, known, leaving, grace))

    def stop(self, pod: Obj, container: Obj, known: Container, grace: float) -> None:
        """Tell a container to end, after its hook; when it was told before, with more time, its hook is given up."""
        self.leave(pod, container, known, grace)
        name, attempt = container["name"], known.attempt
        leaving = self._leaving.get((name, attempt))
        if leaving is not None and grace < leaving.grace and leaving.told.done():
            self._drop(name, attempt, leaving)
            leaving = None
        if leaving is None or (leaving.task is not None and leaving.task.done()):
            self._stop(name, attempt, grace)
        elif not leaving.told.done():
            leaving.grace = grace
            leaving.told.set_result(asyncio.get_running_loop().time() + grace)

    async def _before_stop(self, pod: Obj, container: Obj, known: Container, leaving: _Leaving, grace: float) -> None:
        failed = ""
        try:
            async with asyncio.timeout(grace):
                failed = await self._handlers.hook(pod, container, hooks_of(container)[PRE_STOP])
        except TimeoutError:
            pass  # what it has not done by now it does not do any more
        if failed:
            self._emit("FailedPreStopHook", "PreStopHook failed")
        deadline = await leaving.told
        left = deadline - asyncio.get_running_loop().time()
        self._stop(container["name"], known.attempt, max(left, _LEAST_GRACE))

    def _drop(self, name: str, attempt: int, leaving: _Leaving) -> None:
        del self._leaving[name, attempt]
        if leaving.task is not None:
            leaving.task.cancel()

    def close(self) -> None:
        """Give up all hooks."""
        for _, task in self._starting.values():
            task.cancel()
        for (name, attempt), leaving in list(self._leaving.items()):
            self._drop(name, attempt, leaving)
