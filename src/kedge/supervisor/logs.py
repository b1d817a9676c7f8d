"""A container's log in the format of the container runtime interface: ``TIME stdout|stderr F|P LINE``.

Two files share the limit: when the newer one is half the limit long it replaces the older one. Each but the first begins with
``TIME stderr D BYTES LIMIT``: how much was written before it, which is what is missing once it is the older one. Secrets are
masked before anything is written, also where a secret arrives in two pieces. Writing never blocks a container and never fails
one: with a full disk lines are lost.
"""

import os
import time

# A line longer than this is written in parts, marked P, so that no memory is held for it.
_LONGEST_LINE = 16384
_MASK = b"***"
# Shorter secrets would mask half of every log, and are no secrets.
SHORTEST_SECRET = 4


class Log:
    """One container's log.

    Args:
        path: The newer file; the older is ``path + ".1"``.
        limit: Bytes for both files together.
        masks: Texts that must not appear; each line of one that has several counts.
    """

    def __init__(self, path: str, limit: int, masks: list[str]) -> None:
        self._path = path
        self._limit = limit
        self._half = max(limit // 2, 4096)
        secrets = {line.strip().encode() for mask in masks for line in mask.splitlines()}
        # The longest first, so that one that holds another is masked whole. No pattern is compiled: that takes a millisecond for
        # a token, and most containers print next to nothing.
        self._secrets = sorted((text for text in secrets if len(text) >= SHORTEST_SECRET), key=len, reverse=True)
        self._hold = len(self._secrets[0]) - 1 if self._secrets else 0
        self._rest = {"stdout": b"", "stderr": b""}
        self._fd = -1
        self._size = 0
        self._open()
        self._written = self._before()

    def write(self, stream: str, data: bytes, now: float) -> None:
        """Take what a container printed.

        Args:
            stream: ``stdout`` or ``stderr``.
            data: Bytes as they were read; need not end with a line.
            now: When they were read, in seconds since 1970.
        """
        rest = self._rest[stream] + data
        end = rest.rfind(b"\n") + 1
        if end:
            self._put(stream, b" F ", self._masked(rest[: end - 1]), now)
            rest = rest[end:]
        while len(rest) > _LONGEST_LINE + self._hold:
            cut = self._safe_cut(rest, _LONGEST_LINE)
            self._put(stream, b" P ", self._masked(rest[:cut]), now)
            rest = rest[cut:]
        self._rest[stream] = rest

    def close(self, now: float) -> None:
        """Write lines that were not ended, and close the file."""
        for stream, rest in self._rest.items():
            if rest:
                self._put(stream, b" F ", self._masked(rest), now)
                self._rest[stream] = b""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _put(self, stream: str, tag: bytes, text: bytes, now: float) -> None:
        prefix = self._prefix(stream, tag, now)
        lines = prefix + text.replace(b"\n", b"\n" + prefix) + b"\n"
        if self._size and self._size + len(lines) > self._half:
            self._rotate(now)
        if self._fd < 0:
            self._open()
        self._append(lines)
        self._written += len(text) + (tag == b" F ")

    def _append(self, lines: bytes) -> None:
        try:
            self._size += os.write(self._fd, lines)
        except OSError:
            return  # a full disk: the lines are lost, the container goes on

    def _before(self) -> int:
        """Bytes that an earlier supervisor wrote of this log: as many as its newer file says and holds."""
        if not self._size:
            return 0
        try:
            with open(self._path, "rb") as file:
                words = file.readline(_LONGEST_LINE).split()
        except OSError:
            words = []
        return self._size + (int(words[3]) if words[2:3] == [b"D"] else 0)

    def _masked(self, text: bytes) -> bytes:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, _MASK)
        return text

    def _safe_cut(self, text: bytes, cut: int) -> int:
        """The place at or before ``cut`` that lies inside no secret; a secret that starts a piece goes with it whole."""
        for secret in self._secrets:
            start = text.find(secret, max(0, cut - len(secret) + 1), cut + len(secret) - 1)
            if 0 <= start < cut < start + len(secret):
                return start or len(secret)
        return cut

    def _open(self) -> None:
        try:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._fd).st_size
        except OSError:
            self._fd = -1

    def _rotate(self, now: float) -> None:
        os.close(self._fd)
        self._fd = -1
        try:
            os.rename(self._path, self._path + ".1")
        except OSError:
            return
        self._open()
        self._append(self._prefix("stderr", b" D ", now) + b"%d %d\n" % (self._written, self._limit))

    @staticmethod
    def _prefix(stream: str, tag: bytes, now: float) -> bytes:
        seconds = int(now)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        return f"{moment}.{int((now - seconds) * 1e9):09d}Z {stream}".encode() + tag
