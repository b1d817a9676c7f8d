"""``/metrics``: what the parts of a host have counted, under the names that Prometheus users expect.

Names of Kubernetes' own parts are theirs (``apiserver_*``, ``workqueue_*``), those of the process
Prometheus' (``process_*``).
Nothing is computed before somebody asks, and no label takes its values from users.
"""

import resource
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.types import Receive, Scope, Send

from kedge import processes
from kedge.db.database import Database
from kedge.errors import ApiError, Forbidden, Unauthorized
from kedge.measures import CONTENT_TYPE, Counter, Family, counted, gauge, text, timed
from kedge.node.agent import NodeAgent
from kedge.pipelines.feature import Feature
from kedge.server.auth import OwnerToken
from kedge.server.endpoint import require_get
from kedge.server.measured import Measured
from kedge.server.requests import header
from kedge.server.status import send_error
from kedge.store.log import ObjectLog


@dataclass(frozen=True, slots=True)
class Parts:
    """Whose numbers are told.

    Attributes:
        version: Kedge's.
        started_at: When the process began, in seconds since 1970.
        feature: Pipelines.
        store: The objects; ``None`` where a cluster has them.
        node: The node; ``None`` where a cluster has them.
    """

    version: str
    started_at: float
    feature: Feature
    store: ObjectLog | None = None
    node: NodeAgent | None = None


_WHOSE = (
    "/metrics is for the host's owner. Send `Authorization: Bearer TOKEN` with the token that `kedge status` shows; where a hub "
    "is installed in a cluster, let whoever reaches it read them: kedge install --set-env KEDGE_METRICS_AUTH=none."
)


class Exposition:
    """An ASGI application for ``/metrics``.

    Args:
        parts: Whose numbers are told.
        requests: What the listeners have served.
        owner: Lets the owner in; ``None`` lets in everyone who reaches the listener.
    """

    def __init__(self, parts: Parts, requests: Measured, owner: OwnerToken | None) -> None:
        self._parts = parts
        self._requests = requests
        self._owner = owner

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer with all of them."""
        try:
            self._admit(scope)
            require_get(scope)
            body = text(families(self._parts, self._requests)).encode()
        except ApiError as error:
            await send_error(send, error)
            return
        headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _admit(self, scope: Scope) -> None:
        """Let the owner in, or everyone; raises for the others, in the words of whoever may change that."""
        if self._owner is None:
            return
        try:
            if self._owner.bearer(header(scope, b"authorization")).is_owner:
                return
        except Unauthorized as error:
            raise Unauthorized(_WHOSE) from error
        raise Forbidden(_WHOSE)


def families(parts: Parts, requests: Measured) -> Iterable[Family]:
    """Every metric of a host."""
    yield gauge("kedge_build_info", "The version that runs.", [({"version": parts.version}, 1)])
    yield from process(parts.started_at)
    yield from _requests(requests)
    yield from _queues(parts.feature)
    yield from _runs(parts.feature)
    if parts.node is not None:
        yield from _node(parts.node)
    yield from _databases(parts.store, parts.feature.database)


def _requests(requests: Measured) -> Iterable[Family]:
    words: tuple[str, ...] = ("verb", "resource")
    yield counted("apiserver_request_total", "Requests, by verb, resource and code.", requests.requests, *words, "code")
    yield timed("apiserver_request_duration_seconds", "How long answers took, but for watches.", requests.seconds, *words)
    going: list[tuple[dict[str, str], float]] = [
        (dict(zip(words, labels, strict=True)), value) for labels, value in requests.open.values.items()
    ]
    yield gauge("apiserver_longrunning_requests", "Watches and followed logs under way.", going)


def _queues(feature: Feature) -> Iterable[Family]:
    queue, name = feature.scheduler.queue, {"name": "recurring-runs"}

    def named(counter: Counter) -> Counter:
        made = Counter()
        made.add(name["name"], by=counter.values.get((), 0.0))
        return made

    yield gauge("workqueue_depth", "Keys that wait to be handled.", [(name, len(queue))])
    yield counted("workqueue_adds_total", "Keys that were put in.", named(queue.added), "name")
    yield counted("workqueue_retries_total", "Keys that were put in again after a failure.", named(queue.retried), "name")
    yield gauge("workqueue_active", "Keys that are being handled.", [(name, queue.active)])
    for of, what, histogram in (("queue", "waited", queue.waited), ("work", "were worked on", queue.worked)):
        yield timed(f"workqueue_{of}_duration_seconds", f"How long keys {what}.", histogram.named(name["name"]), "name")


def _runs(feature: Feature) -> Iterable[Family]:
    tally, history = feature.history.tally, feature.history
    by_state = [({"state": state}, number) for state, number in history.run_counts().items()]
    yield gauge("kedge_runs", "Runs that are stored, by state.", by_state)
    yield counted("kedge_runs_finished_total", "Runs that have ended since the host started.", tally.runs, "state")
    states = feature.live_tasks()
    yield gauge(
        "kedge_tasks", "Tasks of runs that are not over, by state.", [({"state": key}, states[key]) for key in sorted(states)]
    )
    yield counted("kedge_step_attempts_total", "Attempts of steps that have ended.", tally.attempts, "state")
    yield timed("kedge_step_duration_seconds", "From the start of attempts to their end.", tally.worked, "state")
    yield timed("kedge_step_wait_seconds", "From the making of attempts to their start.", tally.waited)
    yield counted("kedge_cache_hits_total", "Tasks that took their results from the cache.", tally.cached)
    yield counted("kedge_artifacts_committed_total", "Artifacts that steps have made.", tally.artifacts)
    yield counted("kedge_artifact_bytes_total", "Bytes of artifacts that steps have made.", tally.artifact_bytes)
    yield counted("kedge_metric_points_total", "Points of series that steps have logged.", feature.series.recorded_points)


def _node(node: NodeAgent) -> Iterable[Family]:
    queued, running = node.load
    yield gauge(
        "kedge_node_pods",
        "Pods of this node, by what they do.",
        [({"state": "waiting"}, queued), ({"state": "admitted"}, running)],
    )
    yield counted(
        "kedge_container_starts_total", "Containers started: forked from a warm interpreter, or anew.", node.starts, "how"
    )
    yield gauge(
        "kedge_warm_interpreters", "Python interpreters that are ready to be forked.", [({}, float(node.warm_interpreters))]
    )
    yield gauge("kedge_supervisor_up", "Whether the supervisor is connected.", [({}, float(node.connected))])
    yield counted("kedge_supervisor_losses_total", "How often the supervisor was lost.", node.losses)


def _databases(store: ObjectLog | None, history: Database) -> Iterable[Family]:
    made = history.written.named("history")
    if store is not None:
        made.take(store.written.named("objects"))
    yield counted("kedge_database_connection_losses_total", "How often the history's database was lost.", history.losses)
    yield timed("kedge_database_write_duration_seconds", "How long writes took.", made, "database")


def process(started_at: float) -> Iterable[Family]:
    """The numbers of this process, as far as the system tells them.

    Args:
        started_at: When it began, in seconds since 1970.
    """
    seconds = Counter()
    seconds.add(by=processes.cpu_seconds() or 0.0)
    yield counted("process_cpu_seconds_total", "Processor time that was used.", seconds)
    yield gauge("process_start_time_seconds", "When the process began, in seconds since 1970.", [({}, started_at)])
    found: list[tuple[str, str, Callable[[], float]]] = [
        (
            "process_open_fds",
            "Open file descriptors.",
            lambda: _entries("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"),
        ),
        ("process_max_fds", "How many there may be.", lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    ]
    for name, what, value in found:
        with suppress(OSError, ValueError):
            yield gauge(name, what, [({}, value())])
    if (found_bytes := processes.memory(mapped=True)) is not None:
        yield gauge("process_virtual_memory_bytes", "Memory that is mapped.", [({}, found_bytes)])
    if (found_bytes := processes.memory()) is not None:
        yield gauge("process_resident_memory_bytes", "Memory that is used.", [({}, found_bytes)])


def _entries(folder: str) -> float:
    return sum(1 for _ in Path(folder).iterdir())
