"""The run controller: `Run` objects and Pods in, progress and Pods out.

What should run is a `Run` object; what has happened is in the history; this module keeps one worker for each run that is not
over. It holds nothing that a restart would miss: it begins by reading the Runs and Pods that there are, gives each unfinished run
its engine back, and lets it say again whatever may not have been done.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Container, Coroutine, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from kedge.client.types import Client
from kedge.control.background import Background
from kedge.control.informer import Informer
from kedge.errors import BadRequest, Conflict, KedgeError, NotFound, PipelineError, StateError, Unavailable
from kedge.kube.clock import Clock, timestamp
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key
from kedge.pipelines import observations, summaries, tags
from kedge.pipelines.adoption import Registrar, make
from kedge.pipelines.cleaning import Cleaning
from kedge.pipelines.code import Launcher
from kedge.pipelines.engine.reopening import reopened
from kedge.pipelines.engine.resuming import Plan
from kedge.pipelines.engine.types import CANCELLED, CancelRequested, Failure, Resumed, State
from kedge.pipelines.history import History
from kedge.pipelines.kinds import RECORDED_LABEL, RUN, RUN_LABEL, TRACKING_FINALIZER, is_over
from kedge.pipelines.lifetimes import TTL, Lifetimes
from kedge.pipelines.live import LiveRun
from kedge.pipelines.pods import StepPods
from kedge.pipelines.ports import Artifacts
from kedge.pipelines.publishing import Publisher
from kedge.pipelines.records import RunRecord, Spec
from kedge.pipelines.spec import Pipeline
from kedge.pipelines.steps import Steps, Surroundings
from kedge.pipelines.tagging import Tagging
from kedge.pipelines.timers import Timers
from kedge.pipelines.worker import Room, Tools, Worker

_log = logging.getLogger(__name__)
_BY_RUN = "run"
_RETRY = 1.0
_LAST_MOMENTS = 20.0
CAN_GO_ON = frozenset({"FAILED", "CANCELED"})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much, how often, how long.

    Attributes:
        infra_retries: How often a step is tried again after failures that are not its own.
        image_pull_timeout: Seconds after which an attempt fails whose container cannot be made, as where its image cannot be had.
        waiting_pods: How many Pods may wait for a node at once, over all runs.
        ttl: Seconds that a finished Run object stays, unless it or its pipeline says so; its history stays.
        ended_pods: How many Pods that have ended are kept, over all runs, for their logs; those that ended first go first.
        ended_pods_meanwhile: How many are kept while steps go on without a pause: deleting one costs the API server as much as
            beginning a step.
        final_status_complete: Whether exit tasks are told ``COMPLETE`` of success, as upstream's backend does.
        cache_ttl: Seconds after which no result is used again; ``None`` for no such limit.
    """

    infra_retries: int = 3
    image_pull_timeout: float = 120.0
    waiting_pods: int = 64
    ttl: int = 7 * 24 * 3600
    ended_pods: int = 1000
    ended_pods_meanwhile: int = 1000
    final_status_complete: bool = False
    cache_ttl: float | None = None


class RunController:
    """Keeps every run going.

    Args:
        client: Where Runs and Pods are.
        history: What has happened.
        registrar: Takes runs into the history.
        artifacts: Where artifacts and project code lie.
        clock: For times.
        limits: How much at once.

    Attributes:
        publisher: Tells Run objects how their runs are.
        tagging: Tags them.
    """

    def __init__(
        self, client: Client, history: History, *, registrar: Registrar, artifacts: Artifacts, clock: Clock, limits: Limits
    ) -> None:
        self._client = client
        self._history = history
        self._registrar = registrar
        self._clock = clock
        self._limits = limits
        self._surroundings = Surroundings("")
        self._timers = Timers(clock)
        pods = StepPods(client, clock, artifacts)
        self._tools = Tools(clock, pods, artifacts, self._timers, Room(clock, limits.waiting_pods), limits.image_pull_timeout)
        self._lifetimes = Lifetimes(client, clock, self._timers, ttl=limits.ttl, insist=self._insist)
        self._workers: dict[str, Worker] = {}
        self._runs = Informer(client, RUN, clock).keeping(summaries.keep)
        self._pods = Informer(client, POD, clock, labels=f"{RUN_LABEL},!{RECORDED_LABEL}").keeping(observations.keep)
        self._pods.index(_BY_RUN, lambda pod: [pod["metadata"]["labels"][RUN_LABEL]])
        self._attempts_by_pod: dict[str, observations.PodRef] = {}
        self._background = Background("runs")
        self.publisher = Publisher(client, self._timers, self._background, self._pods.get)
        self.tagging = Tagging(client, history, self.live)
        self._ready = False
        self._reopening: set[str] = set()
        most = limits.ended_pods, limits.ended_pods_meanwhile
        self._cleaning = Cleaning(client, history, self._timers, most=most, insist=self._insist)
        self._end_listeners: list[Callable[[RunRecord], None]] = []

    # ---- life

    def on_end(self, listener: Callable[[RunRecord], None]) -> None:
        """Call this with each run that is over."""
        self._end_listeners.append(listener)

    def on_settled(self, listener: Callable[[Obj], None]) -> None:
        """Call this with each Pod whose result is recorded."""
        self._tools.pods.settled = listener

    def on_pod(self, listener: Callable[[Obj | None, Obj | None], None]) -> None:
        """Call this with each step's Pod that changes: as it was, and as it is."""
        self._pods.on_change(listener)

    async def start(self, launcher: bytes, given: Surroundings) -> None:
        """Begin to follow; returns once every unfinished run has its worker.

        Args:
            launcher: The zipapp that Python steps run.
            given: What the Pods of all runs share, but for what is known here alone.
        """
        packed = Launcher.of(launcher)
        self._tools.pods.launcher = packed
        limits = self._limits
        self._surroundings = dataclasses.replace(
            given,
            launcher=packed.name,
            final_status_complete=limits.final_status_complete,
            cache_ttl=limits.cache_ttl,
            grants=self._tools.artifacts.grants_in_place,
            place_fault=self._tools.artifacts.place_fault,
        )
        self._background.start(self._timers.run())
        self._background.start(self._pods.run())
        await self._pods.synced()
        self._background.start(self._runs.run())
        await self._runs.synced()
        self.tagging.begin(self._runs.items())
        self._runs.on_change(self._run_changed)
        self._ready = True
        self._pods.on_change(self._pod_changed)
        self._close_lost()

    async def stop(self) -> None:
        """Let go of everything in memory; what runs, runs on."""
        self._ready = False
        await self._background.stop()
        self._workers.clear()

    def _insist(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something now, and again after a while for as long as the server cannot take it.

        Args:
            key: What it is about; only the last word on it is repeated.
            work: Safe to do twice.
        """

        async def attempt() -> None:
            try:
                await work()
            except KedgeError as error:
                _log.warning("not done; trying again", extra={"key": str(key), "error": str(error)})
                self._timers.after(_RETRY, key, lambda: self._insist(key, work))

        self._background.start(attempt())

    def _close_lost(self) -> None:
        """Unfinished runs whose objects are gone (a lost object store): nothing can happen to them any more."""
        there = {obj["metadata"]["uid"] for obj in self._runs.items()}
        for run_id in self._history.live_runs():
            if run_id not in there and run_id not in self._workers and (record := self._history.run(run_id)) is not None:
                failure = Failure("infra", "RunLost", "The Run object is gone, and with it the run's Pods. Start it again.")
                self._end_without_engine(record, failure)

    def _end_without_engine(self, record: RunRecord, failure: Failure) -> RunRecord:
        now = self._clock.now()
        ended = record.moved("FAILED", now, failure=failure, finished_at=now)
        self._history.end(ended, failure)
        return ended

    # ---- for the REST API

    async def submit(self, spec: Spec, obj: Obj) -> RunRecord:
        """Create a Run object and begin it.

        Args:
            spec: What to run; already checked.
            obj: The Run; asked again for the same moment of a recurring run, the Run that is there is the answer.

        Raises:
            ApiError: The object was refused.
        """
        # Written in any case: where the history takes nothing now, no Run is made, for it would begin although it was refused.
        self._history.keep_spec(spec, self._clock.now())
        made = await make(self._client, obj)
        why = self._adopt(made)
        if record := self._history.run(made["metadata"]["uid"]):
            return record
        raise Unavailable(
            f"the run was created, and begins by itself as soon as it can be recorded (see kedge runs). {why}".strip()
        )

    async def cancel(self, run_id: str, reason: str) -> None:
        """Ask for a run's end; harmless when it is over.

        Raises:
            NotFound: There is no such run.
        """
        record = self._record(run_id)
        if record.finished:
            return
        await self._client.patch(RUN, record.name, record.namespace, {"spec": {"terminate": True}})
        worker = self._workers.get(run_id)
        if worker is not None and not worker.live.broken:
            worker.feed([CancelRequested(self._clock.now(), reason)])

    async def retry(self, run_id: str) -> None:
        """Go on with a run that failed or was canceled: what succeeded is kept, the rest is tried again.

        Raises:
            NotFound: There is no such run.
            BadRequest: It did not fail, or its object is gone.
        """
        record = self._record(run_id)
        if record.state not in CAN_GO_ON or not await self.comes_to_rest(run_id):
            raise BadRequest(f"run {run_id!r} is {record.state}: only one that failed or was canceled can be tried again.")

        def decide(obj: Obj) -> Plan:
            spec = self._history.spec(record.spec_digest) or self._registrar.spec(obj)
            return Plan(reopened(self._registrar.pipeline(spec), self._history.tasks(run_id)))

        await self.reopen(record, decide)

    async def reopen(self, record: RunRecord, decide: Callable[[Obj], Plan]) -> Plan:
        """Let a run that is over go on.

        Args:
            record: How it will be, its state apart.
            decide: What becomes of its tasks; asked when nothing else can change them.

        Raises:
            BadRequest: Its object is gone.
        """
        self._reopening.add(record.id)
        try:
            obj = await self._reopen_object(record)
            # Nothing is awaited from here on: until the history says so too, the run is over.
            plan = decide(obj)
            again = replace(record, failure=None, outputs=None, cancel_reason=None, finished_at=None)
            again = again.moved("RUNNING" if plan.rows else "PENDING", self._clock.now())
            self._history.reopen(again, plan.rows.values(), plan.removed)
        finally:
            self._reopening.discard(record.id)
        self._lifetimes.reopened(record.id)
        self._adopt(obj)
        return plan

    def doubt(self) -> None:
        """The database was away: what was written last may be there or not, so every run is loaded again before it goes on."""
        for worker in self._workers.values():
            worker.doubt()
        for obj in self._runs.items():
            if self._ready and not is_over(obj):
                self._adopt(obj)

    async def comes_to_rest(self, run_id: str) -> bool:
        """Whether nobody works on a run that is over, or is about to; its worker may need a moment to let its Pods go."""
        if (worker := self._workers.get(run_id)) is not None and worker.live.record.finished and worker.task is not None:
            await asyncio.wait({worker.task}, timeout=_LAST_MOMENTS)
        return run_id not in self._workers and run_id not in self._reopening

    async def _reopen_object(self, record: RunRecord) -> Obj:
        """Let the Run object say that it goes on. Should the hub end now, the history tells the object its end again."""
        place = record.name, record.namespace
        held = {"metadata": {"uid": record.id, "finalizers": [TRACKING_FINALIZER]}, "spec": {"terminate": None}}
        try:
            await self._client.patch(RUN, *place, held)
            status = {"state": "RUNNING", "message": None, "completionTime": None, TTL: None}
            return await self._client.patch(RUN, *place, {"status": status}, subresource="status")
        except (NotFound, Conflict) as error:
            raise BadRequest(
                f"run {record.id!r}: its Run object was deleted, as finished ones are after a while. Start it again: what "
                f"succeeded is taken from the cache."
            ) from error

    async def discard(self, run_id: str) -> None:
        """End a run and delete its object; the history still has it, and whoever asked for this must take it out at once.

        Raises:
            NotFound: There is no such run.
            Conflict: It is being opened again, or discarded, at this moment.
        """
        record = self._record(run_id)
        if run_id in self._reopening:
            raise Conflict(f"run {run_id!r} is being changed at this moment. Try again.")
        self._reopening.add(run_id)
        try:
            await self._discard(record)
        finally:
            self._reopening.discard(run_id)

    async def _discard(self, record: RunRecord) -> None:
        run_id = record.id
        worker = self._workers.get(run_id)
        try:
            found = await self._client.get(RUN, record.name, record.namespace)
            if found["metadata"]["uid"] == run_id:
                await self._client.delete(RUN, record.name, record.namespace, uid=run_id)
        except NotFound:
            pass
        if worker is not None:
            if not worker.live.broken:
                worker.feed([CancelRequested(self._clock.now(), "The run was deleted.")])
            if worker.task is not None:
                await asyncio.wait({worker.task})

    def live(self, run_id: str) -> LiveRun | None:
        """The run's engine and attempts, while it is not over."""
        worker = self._workers.get(run_id)
        return None if worker is None or worker.over else worker.live

    def worker(self, run_id: str) -> Worker | None:
        """The run's worker, while it is not over."""
        return self._workers.get(run_id)

    def pipeline(self, record: RunRecord) -> Pipeline | None:
        """What a run runs, or ran; ``None`` when that cannot be read any more."""
        if (live := self.live(record.id)) is not None:
            return live.pipeline
        spec = self._history.spec(record.spec_digest)
        with suppress(PipelineError):
            return None if spec is None else self._registrar.pipeline(spec)
        return None

    def steps(self, record: RunRecord) -> Steps:
        """Makes the Pods of a run, also of one that is over: the same as those that it had.

        Raises:
            NotFound: What it ran is not known any more, or cannot be read.
        """
        if (live := self.live(record.id)) is not None:
            return live.steps
        spec, pipeline = self._history.spec(record.spec_digest), self.pipeline(record)
        if spec is None or pipeline is None:
            raise NotFound(f"run {record.id!r}: its pipeline is not known any more, or cannot be read by this version.")
        return Steps(pipeline, record, spec, self._surroundings)

    def find(self, pod_uid: str) -> observations.PodRef | None:
        """Which attempt a Pod is.

        Raises:
            Unavailable: Not all Pods are known yet.
        """
        found = self._attempts_by_pod.get(pod_uid)
        if found is None and not self._ready:
            raise Unavailable("the hub is starting; try again in a moment.", retry_after=1)
        if found is None:
            return None
        live = self.live(found.run)
        record = live.record if live is not None else self._history.run(found.run)
        return found if record is None or found.namespace == record.namespace else None  # any Pod can be labelled as any run's

    def warned(self, run_id: str, message: str) -> None:
        """Kubernetes has a warning about a Pod of a run."""
        if (worker := self._workers.get(run_id)) is None:
            return
        self.publisher.changed(worker)
        if self._tools.pods.launcher.name in message and "not found" in message:
            # Somebody deleted it, or its namespace, which is there again: a kubelet looks for it until it is there.
            namespace = worker.live.record.namespace
            self._insist(("launcher", namespace), lambda: self._tools.pods.restore_launcher(namespace))

    @property
    def has_room(self) -> bool:
        """Whether another Pod may be made, over all runs."""
        return self._tools.room.free()

    def pod(self, namespace: str, name: str) -> Obj | None:
        """A step's Pod as last seen."""
        return self._pods.get(Key(namespace, name))

    def _record(self, run_id: str) -> RunRecord:
        record = self._history.run(run_id)
        if record is None:
            raise NotFound(f"run {run_id!r} not found. `kedge runs list` shows those that exist.")
        return record

    # ---- Runs

    def _run_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            if old is not None and (worker := self._workers.get(old["metadata"]["uid"])) is not None:
                self._cancel_quietly(worker, "The Run object was deleted.")
            return
        run_id = new["metadata"]["uid"]
        if old is not None and tags.of(old) != tags.of(new):
            self._insist(("tags", run_id), lambda: self.tagging.follow(new))
        if (worker := self._workers.get(run_id)) is not None:
            self._heed(worker, new)
        elif is_over(new):
            self._after_end(new)
        else:
            self._adopt(new)

    def _heed(self, worker: Worker, obj: Obj) -> None:
        if obj["metadata"].get("deletionTimestamp"):
            self._cancel_quietly(worker, "The Run object was deleted.")
        elif obj["spec"].get("terminate"):
            self._cancel_quietly(worker, CANCELLED)

    def _cancel_quietly(self, worker: Worker, reason: str) -> None:
        if worker.live.broken or worker.live.record.cancel_reason is not None or worker.live.record.finished:
            return
        try:
            worker.feed([CancelRequested(self._clock.now(), reason)])
        except KedgeError as error:
            _log.warning("a run is cancelled later", extra={"run_id": worker.live.record.id, "error": str(error)})

    def _adopt(self, obj: Obj) -> str:
        """Give a Run its worker, or its end when it cannot begin; returns why it cannot be told yet which, if it cannot."""
        run_id = obj["metadata"]["uid"]
        if run_id in self._workers or run_id in self._reopening:
            return ""
        try:
            record, spec = self._registrar.adopt(obj)
            live = None if record.finished else self._load(record, spec)
        except PipelineError as error:
            reason = str(error)
            self._insist(("refuse", run_id), lambda: self._refuse(obj, reason))
        except StateError:
            pass  # the history is damaged, which ends the host
        except KedgeError as error:
            _log.warning("a run cannot begin yet", extra={"run_id": run_id, "error": str(error)})
            self._timers.after(_RETRY, ("adopt", run_id), lambda: self._adopt(obj))
            return str(error)
        except Exception:  # noqa: BLE001  # logged with its traceback
            # A defect of ours must not end the watch that all other runs depend on.
            _log.exception("a run cannot begin because of a defect of Kedge. Please report this.", extra={"run_id": run_id})
            self._background.start(
                self._refuse(obj, "The run cannot begin because of a defect of Kedge; its log (hub.log) has the traceback.")
            )
        else:
            if live is None:
                self._insist(("end", run_id), lambda: self._tell_end(record, spec))
                return ""
            worker = self._workers[run_id] = Worker(live, self, self._tools)
            worker.resume()
            self._resume(worker, obj)
            worker.task = self._background.start(worker.run())
        return ""

    def _load(self, record: RunRecord, spec: Spec) -> LiveRun:
        pipeline = self._registrar.pipeline(spec)
        return LiveRun(record, spec, pipeline, self._history, self._surroundings, infra_retries=self._limits.infra_retries)

    def _resume(self, worker: Worker, obj: Obj | None) -> None:
        """Let the engine say what it owes; a failure to write it makes the worker load the run again."""
        try:
            worker.feed([Resumed(self._clock.now())])
            self._lifetimes.begun(worker)
            if obj is not None:
                self._heed(worker, obj)
        except KedgeError as error:
            _log.warning("a run's event is not taken", extra={"run_id": worker.live.record.id, "error": str(error)})

    async def _refuse(self, obj: Obj, reason: str) -> None:
        """A Run that cannot begin: its object says why, and so does the history where it can."""
        record = self._history.run(obj["metadata"]["uid"])
        if record is not None and not record.finished:
            record = self._end_without_engine(record, Failure("user", "PipelineInvalid", reason))
        now = timestamp(self._clock.now())
        status = {"state": "FAILED", "message": reason, "startTime": now, "completionTime": now}
        await self._patch_end(obj["metadata"]["namespace"], obj["metadata"]["name"], status)

    def _after_end(self, obj: Obj) -> None:
        """A Run that is over: let it go when it is being deleted, and delete it when its time has come."""
        metadata = obj["metadata"]
        if TRACKING_FINALIZER in (metadata.get("finalizers") or ()):
            place = metadata["namespace"], metadata["name"]
            self._insist(("let go", metadata["uid"]), lambda: self._tools.pods.let_go(RUN, *place))
        if metadata.get("deletionTimestamp"):
            return
        self._lifetimes.ended(obj)

    # ---- Pods

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        reference = observations.reference(pod) if pod is not None else None
        if pod is None or reference is None:
            return
        if new is None:
            self._attempts_by_pod.pop(reference.uid, None)
        else:
            self._attempts_by_pod[reference.uid] = reference
        worker = self._workers.get(reference.run)
        if worker is not None:
            if reference.namespace == worker.live.record.namespace:
                worker.observe(pod, gone=new is None)
        elif new is not None and (observations.is_tracked(new) or not observations.comes_to_its_end(new)):
            self._orphan(new, reference)

    def _orphan(self, pod: Obj, reference: observations.PodRef) -> None:
        """A Pod whose run is over or unknown: end it unless it was a success, and let it go."""
        if not self._ready or any(obj["metadata"]["uid"] == reference.run and not is_over(obj) for obj in self._runs.items()):
            return  # its run is about to be taken up
        found = self._history.attempts(reference.run, reference.task)
        wanted = any(attempt.number == reference.attempt and attempt.state is State.SUCCEEDED for attempt in found)
        if observations.is_tracked(pod) or not (wanted or pod["metadata"].get("deletionTimestamp")):
            self._insist(("settle", pod["metadata"]["uid"]), lambda: self._tools.pods.settle(pod, wanted=wanted))

    # ---- what workers ask

    def pods_of(self, record: RunRecord) -> Iterable[Obj]:
        """The Pods of a run, as last seen."""
        return [pod for pod in self._pods.find(_BY_RUN, record.id) if pod["metadata"]["namespace"] == record.namespace]

    def reload(self, worker: Worker) -> LiveRun:
        """Load the run again from the history."""
        old = worker.live
        live = self._load(self._history.adopt(old.record, old.spec), old.spec)
        live.listeners = old.listeners
        worker.live = live
        obj = self._runs.get(Key(live.record.namespace, live.record.name))
        self._resume(worker, obj if obj is not None and obj["metadata"]["uid"] == live.record.id else None)
        return live

    def changed(self, worker: Worker) -> None:
        """Something of the run was written, or it waits for another thing: its object will say so."""
        self.publisher.changed(worker)
        self._cleaning.changed()

    async def finish(self, worker: Worker) -> None:
        """The run is over and recorded: tell its object, let everything go, forget it."""
        live, run_id = worker.live, worker.live.record.id
        self.publisher.ended(run_id)
        await self._settle_all(live.record, but=worker.settled)
        await self._patch_end(
            live.record.namespace, live.record.name, summaries.of_live(live) | summaries.lifetime(live.pipeline, live.record)
        )
        worker.over = True
        self._workers.pop(run_id, None)
        seen = self._runs.get(Key(live.record.namespace, live.record.name))
        if seen is not None and seen["metadata"]["uid"] == run_id and is_over(seen):
            self._after_end(seen)  # the event that says so came while the worker was there, and none will follow
        for listener in list(live.listeners):
            listener(())
        for ended in self._end_listeners:
            ended(live.record)

    async def _tell_end(self, record: RunRecord, spec: Spec) -> None:
        """A run that was over before its object said so: the hub stopped between the two."""
        await self._settle_all(record)
        status = summaries.of_record(record)
        with suppress(PipelineError):  # a pipeline that another version of Kedge took says nothing about its objects
            status |= summaries.lifetime(self._registrar.pipeline(spec), record)
        await self._patch_end(record.namespace, record.name, status)

    async def _settle_all(self, record: RunRecord, but: Container[str] = ()) -> None:
        """Let go of every Pod of a run that is over, but for those of some UIDs, and end those that nobody wants."""
        pods = [pod for pod in self.pods_of(record) if pod["metadata"]["uid"] not in but]
        held = [pod for pod in pods if observations.is_tracked(pod) or not observations.comes_to_its_end(pod)]
        if not held:
            return
        good = {(found.task, found.number) for found in self._history.attempts(record.id) if found.state is State.SUCCEEDED}
        for pod in held:
            reference = observations.reference(pod)
            if reference is not None:
                await self._tools.pods.settle(pod, wanted=(reference.task, reference.attempt) in good)

    async def _patch_end(self, namespace: str, name: str, status: Obj) -> None:
        try:
            await self._client.patch(RUN, name, namespace, {"status": status}, subresource="status")
            await self._tools.pods.let_go(RUN, namespace, name)
        except NotFound:
            pass
