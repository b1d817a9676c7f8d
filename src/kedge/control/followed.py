"""Follows objects only while somebody waits for a change of theirs: most of the time nobody does, and there may be many."""

import asyncio
from collections.abc import Callable

from kedge.control.informer import Handler, Informer
from kedge.kube.kinds import Obj


class Followed:
    """Objects that are followed now and then.

    Args:
        make: Makes an informer for a time in which they are.
        handler: Told of changes, as by the informer.

    Attributes:
        informer: The one that runs; ``None`` while nobody has to know.
    """

    def __init__(self, make: Callable[[], Informer], handler: Handler) -> None:
        self._make = make
        self._handler = handler
        self._task: asyncio.Task[None] | None = None
        self.informer: Informer | None = None

    def follow(self, *, wanted: bool) -> None:
        """Begin, or stop; harmless when it is so already."""
        if wanted and self._task is None:
            self.informer = self._make()
            self.informer.on_change(self._handler)
            self._task = asyncio.create_task(self.informer.run())
        elif not wanted and self._task is not None:
            self._task.cancel()
            self.informer = self._task = None


def identity(obj: Obj) -> Obj:
    """What has to be held of an object to notice that it has changed, and no more: see `Informer.keeping`."""
    return {"metadata": {name: obj["metadata"].get(name) for name in ("name", "namespace", "uid", "resourceVersion")}}
