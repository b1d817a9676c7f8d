"""The seam between ``pods/log`` and whoever keeps the logs: the node implements `LogSource`, the server asks it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kedge.kube.kinds import Obj


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What part of a container's log is wanted.

    Attributes:
        follow: Go on until the container has ended and all is read.
        previous: The log of the instance before this one.
        since: Only lines written at or after this time.
        tail: Only the last so many lines; ``None`` for all.
        timestamps: Begin each line with the time it was written, RFC 3339 with nanoseconds, and a space.
        limit_bytes: End after so many bytes; ``None`` for all.
    """

    follow: bool = False
    previous: bool = False
    since: datetime | None = None
    tail: int | None = None
    timestamps: bool = False
    limit_bytes: int | None = None


class LogSource(Protocol):
    """Reads the logs of containers."""

    def read(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the log in pieces of whole lines or less.

        Closing the iterator ends a ``follow``.

        Args:
            pod: The Pod as stored.
            container: A name of one of its containers.
            options: What part of the log.

        Raises:
            BadRequest: The container has not started, or there is no previous one; raised before the first piece.
        """
        ...
