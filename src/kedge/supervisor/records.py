"""What the supervisor knows about its containers, on disk, so that it survives the hub and the supervisor itself.

A record is written before anybody is told of it. There is no fsync: a record must survive processes, and nothing that it
describes survives a power cut.
"""

import json
import os

from kedge.supervisor.protocol import Message, file_name


class Records:
    """A directory with one small file a container.

    Args:
        directory: Made when it is not there.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def write(self, record: Message) -> bool:
        """Replace a container's record at once; False when the disk does not take it."""
        path = os.path.join(self._directory, file_name(record["id"]))
        try:
            fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, json.dumps(record, separators=(",", ":")).encode())
            finally:
                os.close(fd)
            os.rename(path + ".new", path)
        except OSError:
            return False
        return True

    def drop(self, container: str) -> None:
        """Remove a container's record, if there is one."""
        try:
            os.unlink(os.path.join(self._directory, file_name(container)))
        except OSError:
            return

    def read(self) -> list[Message]:
        """All records; one that cannot be read (a full disk cut it short) is removed."""
        found: list[Message] = []
        for name in sorted(os.listdir(self._directory)):
            path = os.path.join(self._directory, name)
            try:
                if not name.endswith(".json"):
                    os.unlink(path)
                    continue
                with open(path, "rb") as file:
                    record = json.load(file)
                if isinstance(record, dict) and "id" in record:
                    found.append(record)
            except (OSError, ValueError):
                os.unlink(path)
        return found
