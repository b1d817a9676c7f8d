"""What steps use on a cluster, as far as its metrics API tells: samples of their Pods while they run.

A node of Kedge's own counts what a step used and writes it down at its end. A kubelet does not; where a cluster has
``metrics.k8s.io`` (metrics-server), that says what each container uses now, averaged over the last window, of some 15 s. Samples
are taken from it while steps run, with one list for each namespace in which one does: the processors' seconds of their windows
are added up, and the most memory of any is kept. What ends before its first window is over has none; peaks between are not seen.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from datetime import datetime

from kedge.client.types import Client
from kedge.control.background import Background
from kedge.errors import ApiError, Forbidden, KedgeError, NotFound
from kedge.kube import quantities
from kedge.kube.clock import Clock, parse_timestamp
from kedge.kube.kinds import Kind, Obj
from kedge.pipelines.history import History
from kedge.pipelines.kinds import RUN_LABEL
from kedge.pipelines.observations import MAIN, comes_to_its_end
from kedge.pipelines.records import Sample

_log = logging.getLogger(__name__)

POD_METRICS = Kind("PodMetrics", "pods", group="metrics.k8s.io", version="v1beta1", verbs=("get", "list"))
SOURCE = POD_METRICS.group
"""How answers mark what was sampled, and not counted."""
PERIOD = 15.0
"""Seconds between samples: the windows of metrics-server are as long."""
AGAIN = 600.0
"""Seconds after which a cluster that has no metrics API, or does not let us see it, is asked again."""
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PARTS = re.compile(r"([0-9.]+)(h|ms|µs|us|ns|m|s)")


@dataclass(slots=True)
class _Step:
    """A step's Pod that runs.

    Attributes:
        uid: Its UID.
        until: When the last window ended that was counted.
    """

    uid: str
    until: datetime | None = None


class Usage:
    """Takes samples while steps run.

    Args:
        client: Asks the cluster.
        history: Keeps what steps used.
        clock: For pauses.
    """

    def __init__(self, client: Client, history: History, clock: Clock) -> None:
        self._client = client
        self._history = history
        self._clock = clock
        self._steps: dict[tuple[str, str], _Step] = {}  # by namespace and name
        self._some = asyncio.Event()
        self._background = Background("samples of what steps use")

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """A step's Pod has changed, as an informer tells it."""
        pod = new or old
        if pod is None:
            return
        metadata = pod["metadata"]
        key = metadata["namespace"], metadata["name"]
        if new is None or (new.get("status") or {}).get("phase") != "Running" or comes_to_its_end(new):
            self._steps.pop(key, None)
        elif key not in self._steps:
            self._steps[key] = _Step(metadata["uid"])
            self._some.set()

    def start(self) -> None:
        """Begin."""
        self._background.start(self._run())

    async def stop(self) -> None:
        """Stop; what was seen is kept."""
        await self._background.stop()

    async def _run(self) -> None:
        while True:
            if not self._steps:
                self._some.clear()
                await self._some.wait()
            await self._clock.sleep(await self._sample())

    async def _sample(self) -> float:
        """Ask once; says after how many seconds to ask again."""
        found: list[Sample] = []
        for namespace in sorted({namespace for namespace, _ in self._steps}):
            try:
                page = await self._client.list(POD_METRICS, namespace, labels=RUN_LABEL)
            except (NotFound, Forbidden) as error:
                _log.info("what steps use is not known: the cluster tells no metrics", extra={"error": str(error)})
                return AGAIN
            except ApiError as error:  # its server is away; what it would have said is lost, and nothing else
                _log.info("what steps use cannot be asked for now", extra={"error": str(error)})
                continue
            found += filter(None, map(self._read, page.items))
        try:
            self._history.add_used(found)
        except KedgeError as error:
            _log.warning("what steps use could not be kept", extra={"error": str(error)})
        return PERIOD

    def _read(self, metrics: Obj) -> Sample | None:
        """What one Pod's ``main`` used in a window that was not counted yet."""
        step = self._steps.get((metrics["metadata"]["namespace"], metrics["metadata"]["name"]))
        main = next((each for each in metrics.get("containers", ()) if each["name"] == MAIN), None)
        if step is None or main is None:
            return None
        until = parse_timestamp(metrics["timestamp"])
        if step.until is not None and until <= step.until:
            return None
        seconds = _seconds(metrics["window"]) if step.until is None else (until - step.until).total_seconds()
        step.until = until
        usage = main["usage"]
        return Sample(step.uid, quantities.cpu(usage.get("cpu", "0")) * seconds, quantities.memory(usage.get("memory", "0")))


def _seconds(duration: str) -> float:
    """A length of time as Go writes it.

    Examples:
        >>> [_seconds(text) for text in ("15.5s", "1m0.25s", "980ms")]
        [15.5, 60.25, 0.98]
    """
    return round(sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(duration)), 9)
