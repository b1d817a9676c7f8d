"""What the supervisor knows about its containers, on disk, so that it survives the hub and the supervisor itself.

One file, to which every change is appended as one line before anybody is told of it: a line costs a fifth of what a file of its
own would (creating, replacing and removing one takes a millisecond where the file system flushes on replacement). There is no
fsync: a record must survive processes, and nothing that it describes survives a power cut.
"""

import json
import os

from kedge.supervisor.protocol import Message

# So many lines that say nothing any more are kept at most.
_MOST_DEAD_LINES = 2000


class Records:
    """The newest record of each container.

    Args:
        path: The file; its directory must be there.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._kept: dict[str, Message] = _read(path)
        self._lines = 0
        self._cut = False
        self._fd = -1
        self._compact()

    def all(self) -> list[Message]:
        """Every record, oldest first."""
        return list(self._kept.values())

    def write(self, record: Message) -> bool:
        """Replace a container's record; False when the disk does not take it."""
        self._kept[record["id"]] = record
        return self._append(record)

    def drop(self, container: str) -> None:
        """Remove a container's record."""
        if self._kept.pop(container, None) is not None:
            self._append({"id": container, "state": "forgotten"})

    def _append(self, line: Message) -> bool:
        # After a line that a full disk has cut short a new one begins, so that it is not lost too.
        data = b"\n" * self._cut + json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._fd, data)
        except OSError:
            return False
        self._lines += 1
        self._cut = written < len(data)
        if self._cut:
            return False
        if self._lines > _MOST_DEAD_LINES + 2 * len(self._kept):
            self._compact()
        return True

    def _compact(self) -> None:
        """Write the file anew with what still counts; the old one serves on when there is no room."""
        aside = self._path + ".new"
        lines = b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in self._kept.values())
        how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._lines = len(self._kept)
        try:
            fd = os.open(aside, how | os.O_TRUNC, 0o600)
            complete = os.write(fd, lines) == len(lines)
            os.close(fd)
            if complete:
                os.rename(aside, self._path)
        except OSError:
            complete = False
        if complete and self._fd >= 0:
            os.close(self._fd)
        if complete or self._fd < 0:
            self._fd = os.open(self._path, how, 0o600)


def _read(path: str) -> dict[str, Message]:
    found: dict[str, Message] = {}
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            record = json.loads(line)
            container = record["id"]
        except (ValueError, KeyError, TypeError):
            continue  # cut short by a full disk
        if record.get("state") == "forgotten":
            found.pop(container, None)
        else:
            found[container] = record
    return found
