"""What pipelines need of their surroundings, as small protocols; `kedge.app` plugs the real things in."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from kedge.kube.kinds import Obj
from kedge.server.logs import LogOptions

Ahead = Callable[[str], int | None]
"""How many Pods wait on their node before the one with this UID; ``None`` where nobody says, or it does not wait."""


def nobody_says(pod_uid: str) -> int | None:
    """Where nobody knows how many wait before a Pod."""
    del pod_uid
    return None


class StoredFile(Protocol):
    """One file of a folder: its path below it, its size in bytes, its digest in hex."""

    @property
    def path(self) -> str: ...  # noqa: D102  # see the class

    @property
    def size(self) -> int: ...  # noqa: D102  # see the class

    @property
    def sha256(self) -> str: ...  # noqa: D102  # see the class


class Artifacts(Protocol):
    """Where artifacts lie."""

    @property
    def root(self) -> str:
        """Address of the default store, such as ``file:///home/me/.local/share/kedge/artifacts``."""
        ...

    def root_of(self, namespace: str) -> str:
        """The address below which a namespace's artifacts go."""
        ...

    def place_fault(self, uri: str, namespace: str) -> str:
        """Why an address is none that a namespace may use, or ``""``."""
        ...

    async def check_root(self, uri: str, namespace: str) -> None:
        """Raise `errors.KedgeError` when runs of a namespace cannot write below an address, saying why."""
        ...

    async def exists(self, uri: str) -> bool:
        """Whether something lies at an address."""
        ...

    def grants_in_place(self, executor_input: Mapping[str, Any], project: str) -> Mapping[str, Any] | None:
        """How a step may move its artifacts; ``None`` where it must ask, because they lie in an object store."""
        ...

    def check_in_place(self, uri: str, digest: str, size: int | None) -> str:
        """Say why a file of this machine is not what a step committed, or ``""``."""
        ...

    async def files(self, uri: str) -> Sequence[StoredFile]:
        """The files of an artifact that is a folder; none for a single file."""
        ...

    async def keep_project(self, digest: str, archive: str, namespace: str) -> str:
        """Store a run's project code (a zip in base64) unless it is stored, and return its address.

        Raises:
            PipelineError: The archive is damaged, or a member of it leaves its folder.
        """
        ...

    async def write(self, uri: str, data: bytes) -> None:
        """Store a small file, whole; raises `errors.Unavailable` when the store does not answer."""
        ...

    async def take(self, uri: str, path: str, file: Path) -> None:
        """Move a local file to an address, or below a folder's; raises `errors.Unavailable` when the store does not answer."""
        ...

    def scratch(self) -> Path:
        """A folder of this machine for files on their way."""
        ...

    def owns(self, uri: str) -> bool:
        """Whether an address lies below the host's own root: what deleting a run may delete."""
        ...

    async def delete(self, uri: str) -> None:
        """Delete what lies at an address and below it; harmless where there is nothing.

        Raises:
            Unavailable: The store does not answer; try again.
            Invalid: It says no, or the address is none of the host's own.
        """
        ...

    def read(self, uri: str, path: str = "") -> AsyncIterator[bytes]:
        """Yield the bytes of an artifact, or of one file of a folder.

        Raises:
            NotFound: There is nothing; raised before the first piece.
            Invalid: The path leaves the artifact.
        """
        ...

    async def part(self, uri: str, path: str, start: int, count: int) -> tuple[bytes, int]:
        """So many bytes from an offset on, or before the end where that is negative, and how many there are in all.

        Raises:
            NotFound: There is nothing.
            Invalid: The path leaves the artifact.
        """
        ...


class StepLogs(Protocol):
    """Reads the logs of a step's Pod; the server's `LogSource` is one."""

    def read(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the log in pieces."""
        ...
