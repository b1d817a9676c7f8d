"""What Kubernetes has said of Pods: some of it is there for a moment only, because a hub lets go of Pods that have failed."""

import json
import subprocess
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO, Any

from access import Cluster

Json = dict[str, Any]


class Witness:
    """Remembers the reasons of every Pod, by its name."""

    def __init__(self) -> None:
        self._said: dict[str, set[str]] = {}
        self._news = threading.Condition()

    def reasons(self, pod: str) -> set[str]:
        """What was said of a Pod so far."""
        with self._news:
            return set(self._said.get(pod, ()))

    def wait(self, pod: str, reasons: tuple[str, ...], within: float) -> None:
        """Wait until one of some reasons is said of a Pod.

        Raises:
            AssertionError: None was, within so many seconds.
        """
        with self._news:
            heard = self._news.wait_for(lambda: set(reasons) & self._said.get(pod, set()), within)
        assert heard, f"{pod}: none of {', '.join(reasons)} within {within:g} s; said was {self.reasons(pod)}"

    def take(self, obj: Json) -> None:
        """Hear of an object, or of a list of them."""
        for item in obj.get("items", ()):
            self.take(item)
        if obj["kind"] not in {"Pod", "Event"}:
            return
        found = _of_event(obj) if obj["kind"] == "Event" else (obj["metadata"]["name"], _of_pod(obj))
        with self._news:
            self._said.setdefault(found[0], set()).update(filter(None, found[1]))
            self._news.notify_all()


def _of_event(event: Json) -> tuple[str, set[str]]:
    return event.get("involvedObject", {}).get("name", ""), {event.get("reason", "")}


def _of_pod(pod: Json) -> set[str]:
    status = pod.get("status", {})
    states = [each.get("state", {}) for each in status.get("containerStatuses", ())]
    inner = {state.get(kind, {}).get("reason", "") for state in states for kind in ("waiting", "terminated")}
    return inner | {status.get("reason", "")} | {each.get("reason", "") for each in status.get("conditions", ())}


@contextmanager
def witness(cluster: Cluster) -> Generator[Witness]:
    """Listen for as long as tests need it."""
    found = Witness()
    watching = [
        _watch(cluster, found, "pods", "--selector=kedge.dev/run"),
        _watch(cluster, found, "events", "--field-selector=involvedObject.kind=Pod"),
    ]
    try:
        yield found
    finally:
        for process in watching:
            process.terminate()
            process.wait(60)
            if process.stdout is not None:
                process.stdout.close()


def _watch(cluster: Cluster, found: Witness, kind: str, *selectors: str) -> "subprocess.Popen[bytes]":
    argv = [*cluster.command(), "get", kind, "--all-namespaces", *selectors, "--watch", "--output=json"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    threading.Thread(target=_read, args=(process.stdout, found), daemon=True).start()
    return process


def _read(stream: IO[bytes], found: Witness) -> None:
    for obj in _objects(stream):
        found.take(obj)


def _objects(stream: IO[bytes]) -> Iterator[Json]:
    """Kubectl writes objects one after another, with line breaks in them: a line of ``}`` alone ends one."""
    lines: list[bytes] = []
    try:
        for line in stream:
            lines.append(line)
            if line.rstrip() == b"}":
                yield json.loads(b"".join(lines))
                lines.clear()
    except ValueError:
        return  # closed
