"""The node's agent: watches the Pods of this node and has a worker for each that runs.

It may die and start again at any time: the supervisor keeps the containers. On start it compares what runs with what should,
adopts what it finds, uses exits that happened meanwhile, and has the processes of Pods that are gone killed.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from kedge.client.types import Client, WatchEvent, pages
from kedge.config import Settings
from kedge.control.background import Background
from kedge.errors import ApiError, Conflict, Gone, KedgeError, NotFound
from kedge.kube.clock import Clock, Ids
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_over
from kedge.measures import Counter
from kedge.node import admission, capacity, devices, images, oci, oci_specs, runtimes
from kedge.node.admission import Admission
from kedge.node.claims import Claims
from kedge.node.cleaning import Cleaner, clean
from kedge.node.devices import Devices
from kedge.node.environments import Environments
from kedge.node.events import Events
from kedge.node.handlers import Handlers
from kedge.node.interpreters import Interpreters
from kedge.node.launchers import Launchers
from kedge.node.logs import NodeLogs, Shown
from kedge.node.network import PodNetwork
from kedge.node.objects import Objects
from kedge.node.oci import Cli
from kedge.node.pods import PodWorker, Tools
from kedge.node.preparing import Preparation
from kedge.node.processes import NodeProcesses
from kedge.node.pulling import Puller
from kedge.node.refusals import this_host
from kedge.node.registration import HERE, Place, Registration
from kedge.node.services import ServiceTable
from kedge.node.shared_network import Ports
from kedge.node.specs import Machine, kept_places
from kedge.node.supervisor_client import Supervisor
from kedge.node.uv import Uv
from kedge.node.volumes import VolumeMaker

_log = logging.getLogger(__name__)
# Cancelled Pods that a new agent finds still running have this long, whatever their grace period.
_HURRY_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_SHARED = "the node has joined another machine's API, and Services end where that machine does"
# Pods that have ended here, remembered for longer than a watch can lag behind.
_REMEMBERED = 8192


class NodeAgent:
    """Runs the Pods of one node.

    Args:
        client: The Kubernetes API.
        settings: How Kedge was started.
        clock: The time.
        ids: Names of events.
        node_name: Whose Pods.
        place: Where the node is.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        clock: Clock,
        ids: Ids,
        *,
        node_name: str = "localhost",
        place: Place = HERE,
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._node_name = node_name
        self._directory = settings.home / "node"
        self._pods = self._directory / "pods"
        self._supervisor = Supervisor(self._directory, self._heard, self._lost_supervisor)
        self.network = PodNetwork(self._directory, place.ports)
        self._place = place
        self.network.machine = place.address
        self._services = ServiceTable(client, clock, self.network.tell)
        self.network.on_start = self._services.refresh
        self.losses = Counter()
        self._events = Events(client, clock, ids, node_name)
        self._uv = Uv(settings.environ)
        self._interpreters = Interpreters(self._uv, settings.environ)
        self._environments = Environments(settings.cache / "environments", self._uv, self._interpreters, clock)
        self._cleaner = Cleaner(clock, settings.environ)
        self._devices = Devices(client, devices.discover(settings.environ, settings.gpus))
        machine = capacity.of_machine(other=self._devices.resources)
        self._registration = Registration(client, clock, settings, node_name, machine, place=place)
        self._admission = Admission(machine, settings.max_pods)
        self._ports = Ports()
        self._workers: dict[str, PodWorker] = {}
        self._queued: dict[str, tuple[str, str]] = {}
        self._fetching: set[str] = set()
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._fresh: Obj | None = None  # the newest in the queue, which mostly need not wait at all
        self._tools: Tools | None = None
        self._background = Background("node")
        # What the supervisor says before it is known what should run; None once it is.
        self._early: list[Obj] | None = []
        self._stopping = False
        self._idle = asyncio.Event()
        self.logs = NodeLogs(self._pods, clock, self._shown)
        self.processes = NodeProcesses(self._supervisor.dial, self._running, self.network)

    @property
    def load(self) -> tuple[int, int]:
        """How many Pods wait for their turn, and how many have it."""
        return self._admission.queued, self._admission.running

    @property
    def starts(self) -> Counter:
        """Containers that were started, by how: ``fork`` or ``exec``."""
        return self._supervisor.starts

    @property
    def connected(self) -> bool:
        """Whether the supervisor is there."""
        return self._supervisor.connected

    @property
    def supervisor_pid(self) -> int | None:
        """The supervisor's process; ``None`` while it is not there."""
        return self._supervisor.pid if self._supervisor.connected else None

    @property
    def warm_interpreters(self) -> int:
        """How many interpreters are ready to be forked."""
        return self._supervisor.warm_interpreters if self._supervisor.connected else 0

    async def start(self) -> None:
        """Connect to the supervisor, adopt what runs, and go on in the background.

        Raises:
            KedgeError: The supervisor cannot be started, or ``images.json`` cannot be read.
        """
        for place in (self._directory, self._pods, self._directory / "config", self._settings.cache):
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        table = images.read(self._settings.home / "images.json")
        hello, cli = await asyncio.gather(self._supervisor.connect(), oci.discover(self._settings))
        self._registration.runtime = runtimes.version(self._settings, cli)
        launchers = Launchers(self._settings.cache / "launchers")
        host = this_host(self._settings.host_paths, joined=self._place.joined)
        machine = Machine(self._settings, launchers, hello["view"], kept_places(self._settings), host, self._place.api)
        objects = Objects(self._client)
        claims = Claims(self._client, self._settings.claims)
        maker = VolumeMaker(self._client, objects, claims, self._directory / "config", self._settings.host_paths)
        puller = None
        if cli is not None:
            table = replace(table, runtime=cli.tool, always=self._settings.runtime != "auto")
            puller = Puller(cli, objects, self._events, self._clock)
        shared = (self.network, self._services, self._ports)
        preparation = Preparation(machine, table, self._environments, objects, maker, self._devices, self._pods, *shared, puller)
        self._tools = Tools(
            self._client,
            self._supervisor,
            self._clock,
            preparation,
            self._events,
            self._cleaner,
            Handlers(self.processes, self.network.open),
            self._settings.log_limit,
            self._over,
        )
        await self.network.begin(hello.get("users", ""), hello["view"] or (_SHARED if self._place.joined else ""))
        await self._registration.register()
        resource_version = await self._adopt(hello["containers"])
        if cli is not None:
            self._background.start(self._remove_strays(cli, hello["containers"]))
        self._background.start(self._watch(resource_version))
        self._background.start(self._registration.run())
        if not self._place.joined:
            self._background.start(self._services.run())

    async def stop(self) -> None:
        """Let go of everything; steps run on."""
        self._stopping = True
        await self._background.stop()
        await asyncio.gather(*(worker.close() for worker in self._workers.values()))
        await self._environments.close()
        await self._events.close()
        await self._cleaner.close()
        await self.network.stop()
        self._supervisor.close()

    async def stop_all(self, grace: float = 5.0) -> None:
        """End every Pod, then stop, the supervisor too: for ``kedge down``.

        Args:
            grace: Seconds that containers have.
        """
        for uid in self._queued:
            self._admission.release(uid)
        self._queued.clear()
        for worker in list(self._workers.values()):
            worker.end(grace, "NodeShutdown", "The host was stopped while the Pod ran.")
        self._idle.clear()
        if self._workers:
            try:
                await asyncio.wait_for(self._idle.wait(), grace + 5)
            except TimeoutError:
                _log.warning("Pods did not end in time", extra={"pods": len(self._workers)})
        self._stopping = True  # that the supervisor ends now is no loss
        self._supervisor.quit()
        await self.network.stop(end=True)
        await self.stop()

    # -- Pods -----------------------------------------------------------------------------------------------------------

    async def _adopt(self, records: Iterable[Obj]) -> str:
        """Compare what runs with the Pods that there are; returns where to watch from."""
        by_pod: dict[str, list[Obj]] = {}
        for record in records:
            by_pod.setdefault(record["id"].split("/")[0], []).append(record)
        known: set[str] = set()
        resource_version = ""
        async for page in pages(self._client, POD, fields=f"spec.nodeName={self._node_name}"):
            resource_version = page.resource_version
            for pod in page.items:
                uid = pod["metadata"]["uid"]
                known.add(uid)
                self._see(pod, by_pod.get(uid, []), hurry=_HURRY_SECONDS)
        for uid, strays in by_pod.items():
            if uid not in known:
                self._end_strays(strays)
        early, self._early = self._early or (), None
        for record in early:
            self._heard(record)
        await self.network.keep_only(known)
        await asyncio.to_thread(_sweep, self._pods, known, self._settings.environ)
        self._admit()
        return resource_version

    def _end_strays(self, records: Iterable[Obj]) -> None:
        """Kill containers of Pods that are not there any more, or are over."""
        for record in records:
            if record["state"] == "exited":
                self._supervisor.forget(record["id"])
            else:
                self._supervisor.stop(record["id"], 0)

    async def _remove_strays(self, cli: Cli, records: Iterable[Obj]) -> None:
        """Remove containers of the runtime that the supervisor does not know: what stood for them was killed."""
        known = {oci_specs.container_name(*record["id"].split("/")) for record in records if record["state"] == "running"}
        try:
            there = await cli.containers({oci.HOME_LABEL: oci_specs.home_label(self._settings.home)})
            started = {oci_specs.container_name(*each["id"].split("/")) for each in await self._supervisor.containers()}
            await cli.remove(name for name in there if name not in known | started)
        except (KedgeError, OSError) as error:
            _log.warning("containers that nobody waits for are not removed", extra={"runtime": cli.tool, "error": str(error)})

    async def _watch(self, resource_version: str) -> None:
        fields = f"spec.nodeName={self._node_name}"
        while True:
            try:
                async for event in self._client.watch(POD, resource_version=resource_version, fields=fields):
                    resource_version = event.object["metadata"]["resourceVersion"]
                    if event.type != "BOOKMARK":
                        self._hear_of(event)
            except Gone:
                resource_version = await self._list_again()
            except ApiError as error:
                _log.warning("Pods cannot be watched; trying again", extra={"error": str(error)})
                await self._clock.sleep(_RETRY_SECONDS)

    async def _list_again(self) -> str:
        """Catch up after a watch that fell behind."""
        page = await self._client.list(POD, fields=f"spec.nodeName={self._node_name}")
        there = {pod["metadata"]["uid"] for pod in page.items}
        for uid in [*self._workers, *self._queued, *self._fetching]:
            if uid not in there:
                self._forget(uid)
        for pod in page.items:
            self._see(pod)
        self._admit()
        return page.resource_version

    def _hear_of(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            self._forget(event.object["metadata"]["uid"])
        else:
            self._see(event.object)
        self._admit()

    def _forget(self, uid: str) -> None:
        """A Pod is gone from the API."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.vanish()
            return
        if self._queued.pop(uid, None) or uid in self._fetching:
            self._fetching.discard(uid)
            self._admission.release(uid)
        self._cleaner.add(self._pods / uid, keep_logs=False)

    def _see(self, pod: Obj, records: Iterable[Obj] = (), *, hurry: float | None = None) -> None:
        """A Pod is there, as it is."""
        meta = pod["metadata"]
        uid = meta["uid"]
        worker = self._workers.get(uid)
        if worker is not None:
            worker.update(pod)
            return
        if uid in self._fetching:
            return  # it is being read, and seen then
        status = pod.get("status") or {}
        records = list(records)
        if is_over(pod) or uid in self._finished:
            # What is heard late of a Pod that has ended here must not start it again.
            self._end_strays(records)
            if meta.get("deletionGracePeriodSeconds"):
                self._background.start(self._release(pod))
            return
        size = admission.size_of(
            pod["spec"], default_cpu=self._settings.default_cpu, default_memory=self._settings.default_memory
        )
        if records or meta.get("deletionTimestamp") or status.get("startTime"):
            # It runs already, or it only has to end: it does not wait in the queue.
            self._queued.pop(uid, None)
            self._admission.force(uid, size)
            self._devices.adopt(pod)
            if records and not self.network.has(uid):
                self._ports.adopt(pod)
            self._work(pod, records, hurry=hurry)
            return
        reason, message = self._admission.misfit(size)
        if reason:  # what is only assumed of a container that states nothing keeps no Pod away
            reason, message = self._admission.misfit(admission.size_of(pod["spec"], default_cpu=0.0, default_memory=0))
        if reason:
            self._admission.force(uid, size)
            self._work(pod).refuse(reason, f"{message} It cannot run on this machine.")
            return
        if uid not in self._queued:
            self._queued[uid] = (meta["namespace"], meta["name"])
            self._admission.queue(uid, size)
            self._fresh = pod

    def ahead(self, uid: str) -> int | None:
        """How many Pods wait for this node before the one with this UID; ``None`` for one that does not wait."""
        return self._admission.ahead(uid)

    def _admit(self) -> None:
        """Let Pods in as long as they fit."""
        fresh, self._fresh = self._fresh, None
        while not self._stopping and (uid := self._admission.next()) is not None:
            namespace, name = self._queued.pop(uid)
            if fresh is not None and fresh["metadata"]["uid"] == uid:
                self._work(fresh)
            else:
                # A queued Pod is not kept in memory: it is read when its turn has come.
                self._fetching.add(uid)
                self._background.start(self._fetch(uid, namespace, name))

    async def _fetch(self, uid: str, namespace: str, name: str) -> None:
        """Read a Pod whose turn has come; it keeps its place however often the API has to be asked."""
        while True:
            try:
                pod = await self._client.get(POD, name, namespace)
            except NotFound:
                pod = None
            except (KedgeError, OSError) as error:
                _log.warning("a Pod cannot be read; trying again", extra={"pod": name, "error": str(error)})
                await self._clock.sleep(_RETRY_SECONDS)
                continue
            break
        if uid not in self._fetching:
            return  # it was deleted while it was read
        self._fetching.discard(uid)
        if pod is None or pod["metadata"]["uid"] != uid:
            self._admission.release(uid)
            self._admit()
            return
        self._work(pod)

    def _work(self, pod: Obj, records: Iterable[Obj] = (), *, hurry: float | None = None) -> PodWorker:
        assert self._tools is not None  # noqa: S101  # made in `start`, before anything is seen
        worker = PodWorker(pod, self._tools, records, hurry=hurry)
        self._workers[worker.uid] = worker
        worker.wake()
        return worker

    def _over(self, uid: str) -> None:
        self._workers.pop(uid, None)
        self._admission.release(uid)
        self._devices.release(uid)
        self._ports.release(uid)
        self._finished[uid] = None
        while len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)
        if not self._workers:
            self._idle.set()
        self._admit()

    async def _release(self, pod: Obj) -> None:
        meta = pod["metadata"]
        try:
            await self._client.delete(POD, meta["name"], meta["namespace"], uid=meta["uid"], grace_period=0)
        except (NotFound, Conflict):
            return

    # -- the supervisor -------------------------------------------------------------------------------------------------

    def _heard(self, record: Obj) -> None:
        if self._early is not None:
            self._early.append(record)
            return
        worker = self._workers.get(record["id"].split("/")[0])
        if worker is not None:
            worker.heard(record)
        else:
            self._end_strays([record])

    def _lost_supervisor(self) -> None:
        if not self._stopping:
            self.losses.add()
            _log.warning("the supervisor has died; starting another")
            self._background.start(self._reconnect())

    async def _reconnect(self) -> None:
        while True:
            try:
                hello = await self._supervisor.connect()
                break
            except (KedgeError, OSError) as error:
                _log.error("the supervisor cannot be reached", extra={"error": str(error)})
                await self._clock.sleep(_RETRY_SECONDS)
        by_pod: dict[str, list[Obj]] = {}
        for record in hello["containers"]:
            by_pod.setdefault(record["id"].split("/")[0], []).append(record)
        for uid, worker in self._workers.items():
            worker.compare(by_pod.pop(uid, []))
        for strays in by_pod.values():
            self._end_strays(strays)

    def _shown(self, uid: str, container: str) -> Shown | None:
        worker = self._workers.get(uid)
        return worker.shown(container) if worker is not None else None

    def _running(self, uid: str, container: str) -> int | None:
        worker = self._workers.get(uid)
        return worker.running(container) if worker is not None else None


def _sweep(directory: Path, known: set[str], environ: Mapping[str, str]) -> None:
    """Remove what Pods that are not there any more have left."""
    for place in directory.iterdir():
        if place.name not in known:
            clean(place, environ, keep_logs=False)
