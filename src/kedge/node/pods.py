"""One Pod on this node: carries out what `lifecycle` decides and reports what it sees.

Level-triggered: whatever happens (the Pod changes, a container starts or ends, a time has come) only wakes it, and it looks at
everything again. One task a Pod at most, and none while nothing happens.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from kedge.client.types import Client
from kedge.control.alarm import Alarm
from kedge.errors import ApiError, Conflict, KedgeError, NotFound
from kedge.kube import conditions
from kedge.kube.clock import Clock
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.kube.probes import POST_START, hooks_of
from kedge.node import observing, storage, volumes
from kedge.node.cleaning import Cleaner
from kedge.node.env import MissingError
from kedge.node.events import Events
from kedge.node.handlers import Handlers
from kedge.node.hooks import Hooks
from kedge.node.lifecycle import Ending, Plan, Seen, decide
from kedge.node.logs import Shown
from kedge.node.preparing import Preparation, addressed
from kedge.node.probing import Probing
from kedge.node.pulling import Pulls
from kedge.node.refusals import Refusal
from kedge.node.runtimes import Attempt
from kedge.node.specs import Prepared
from kedge.node.status import Notes, annotations, full_name, patch_of, status_of
from kedge.node.supervisor_client import Supervisor
from kedge.node.volumes import Volumes

_log = logging.getLogger(__name__)
# A container that ends sooner than this is reported once, ended, rather than twice.
_COALESCE_SECONDS = 0.025
# How often a Pod's ConfigMaps and Secrets are looked at again; on a cluster it takes up to a minute and more.
_FOLLOW_SECONDS = 15.0
# A container that runs longer than this is worth an event.
_LASTING_SECONDS = 1.0
_FIRST_RETRY = 0.5
# How long after the hub's return a deletion is one that it owes from before.
_CATCH_UP = timedelta(seconds=5)
_LONGEST_RETRY = 20.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What Pods of a node share.

    Attributes:
        client: The Kubernetes API.
        supervisor: Starts and stops containers.
        clock: The time.
        preparation: Gets Pods ready.
        events: Tells people.
        cleaner: Removes what they leave behind.
        handlers: Carries out their probes and hooks.
        log_limit: Bytes of log for each container.
        on_over: Called with a Pod's uid once nothing of it runs and all is reported.
    """

    client: Client
    supervisor: Supervisor
    clock: Clock
    preparation: Preparation
    events: Events
    cleaner: Cleaner
    handlers: Handlers
    log_limit: int
    on_over: Callable[[str], None]


class PodWorker:
    """One Pod.

    Args:
        pod: As it was last seen.
        tools: What it shares with others.
        records: What the supervisor has of its containers, when it is taken over from an agent before this one.
        hurry: Seconds of grace at most, when the Pod is deleted already or is within moments: what was cancelled while the
            hub was away must be gone soon after its return.
    """

    def __init__(self, pod: Obj, tools: Tools, records: Iterable[Obj] = (), *, hurry: float | None = None) -> None:
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self._tools = tools
        self._hurry = hurry
        self._adopted_at = tools.clock.now()
        self._seen = Seen()
        self._notes = Notes(
            host=tools.preparation.network.machine,
            address=(pod.get("status") or {}).get("podIP") or tools.preparation.network.expected(pod),
        )
        self._prepared: Prepared | None = None
        self._known_ids: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._building: asyncio.Task[Prepared] | None = None
        self._alarm = Alarm(self.wake)
        puller = tools.preparation.puller
        self._pulls = Pulls(puller, self._place, self.wake) if puller is not None else None
        self._limits = storage.limits_of(pod["spec"], self._place)
        self._measuring: asyncio.Task[None] | None = None
        self._dirty = False
        self._gone = False
        self._over = False
        self._retry = _FIRST_RETRY
        self._retry_at: datetime | None = None
        self._grace_seen = 0.0
        self._told: set[str] = set()
        self._written: Obj = pod.get("status") or {}
        self._probing = Probing(pod, tools.handlers, tools.clock, self._warn, self.wake)
        self._hooks = Hooks(tools.handlers, self._tell_to_stop, self._warn, self.wake)
        now = tools.clock.now()
        self._known_ids.update(observing.adopt(self._seen, pod, records, place=self._place, now=now))
        # What an agent before this one has made: its containers go on reading it.
        self._taken_over = volumes.made_before(pod, self._place, now) if self._known_ids else Volumes()

    # -- what happens to it -------------------------------------------------------------------------------------------

    def update(self, pod: Obj) -> None:
        """The Pod has changed."""
        overruled = self._overruled(pod)
        if overruled:
            self._written = pod.get("status") or {}
        self.pod = addressed(pod, self._prepared)
        if self._deleting and self._building is not None:
            self._building.cancel()
        gated = bool(pod["spec"].get("readinessGates"))
        changed = pod["metadata"].get("generation") != self._written.get("observedGeneration")
        if self._deleting or changed or gated or overruled or self._volumes.told:
            self.wake()

    def _overruled(self, pod: Obj) -> bool:
        """Whether somebody else has written since that the Pod is ready or not, as is done where a node has gone silent."""
        if int(pod["metadata"]["resourceVersion"]) <= int(self.pod["metadata"]["resourceVersion"]):
            return False
        told, wrote = conditions.find(pod, "Ready"), conditions.find({"status": self._written}, "Ready")
        return told is not None and wrote is not None and told["status"] != wrote["status"]

    def vanish(self) -> None:
        """The Pod is gone from the API: end what runs, report nothing."""
        self._gone = True
        self._seen.ending = Ending(self._tools.clock.now(), 0.0, "Deleted", "")
        for container in self._seen.containers.values():
            container.stopping = False
        if self._building is not None:
            self._building.cancel()
        self.wake()

    def refuse(self, reason: str, message: str) -> None:
        """The Pod cannot run here."""
        self._refuse(Refusal(reason, message))
        self.wake()

    def end(self, grace: float, reason: str, message: str) -> None:
        """End the Pod for a reason of the node's."""
        if self._seen.ending is None:
            self._seen.ending = Ending(self._tools.clock.now(), grace, reason, message)
            if self._building is not None:
                self._building.cancel()
            self.wake()

    def heard(self, record: Obj) -> None:
        """The supervisor says that a container has started or ended."""
        self._known_ids.add(record["id"])
        if observing.hear(self._seen, self.pod["spec"], record, self._place):
            self.wake()

    def compare(self, records: Iterable[Obj]) -> None:
        """The connection to the supervisor is new: what it does not know of has been lost, or was never asked for."""
        by_id = {record["id"]: record for record in records}
        for name, container in self._seen.containers.items():
            record = by_id.get(f"{self.uid}/{name}/{container.attempt}")
            if record is not None:
                self.heard(record)
            elif container.running:
                container.exit = observing.lost(container, self._tools.clock.now())
            elif container.alive:
                container.asked = False
            container.stopping = False
        self.wake()

    def shown(self, name: str) -> Shown | None:
        """What is known of a container's log."""
        container = self._seen.containers.get(name)
        if container is None or not container.asked:
            return None
        return Shown(container.attempt, container.exit is None)

    def running(self, name: str) -> int | None:
        """Which attempt of a container runs; ``None`` when none does."""
        container = self._seen.containers.get(name)
        return container.attempt if container is not None and container.running else None

    async def close(self) -> None:
        """Stop looking after it; what runs goes on."""
        self._over = True
        self._alarm.cancel()
        self._probing.stop()
        self._hooks.close()
        for task in (self._task, self._building, self._measuring):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._pulls is not None:
            await self._pulls.close()

    # -- its loop -----------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look at everything again."""
        self._dirty = True
        if self._task is None and not self._over:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._dirty and not self._over:
                self._dirty = False
                try:
                    await self._look()
                except (ApiError, OSError, KedgeError) as error:
                    meta = self.pod["metadata"]
                    about = {
                        "pod": meta["name"],
                        "namespace": meta["namespace"],
                        "run_id": (meta.get("labels") or {}).get("kedge.dev/run"),
                        "task_id": (meta.get("annotations") or {}).get("kedge.dev/task"),
                    }
                    _log.warning("a Pod's worker tries again", extra={**about, "error": str(error)})
                    self._later(self._tools.clock.now() + timedelta(seconds=self._back_off()))
        finally:
            self._task = None

    async def _look(self) -> None:
        seen, spec, now = self._seen, self.pod["spec"], self._tools.clock.now()
        if seen.started_at is None:
            seen.started_at = now
        self._see_deletion(now)
        if self._limits and self._measuring is None:
            self._measuring = asyncio.create_task(self._measure())
        plan = decide(spec, seen, now)
        if plan.start:
            await self._start(plan, now)
        self._stop(plan)
        self._hooks.follow(self.pod, seen)
        self._probing.follow(self.pod, seen)
        if self._dirty:
            return  # what was awaited has changed things; look before writing
        await self._report(plan)
        if plan.over:
            await self._finish()
            return
        await self._renew_files()
        for moment in (plan.wake_at, self._retry_at, self._pulls.look_at() if self._pulls is not None else None):
            if moment is not None:
                self._later(moment)

    def _stop(self, plan: Plan) -> None:
        """Have containers end, each after its hook."""
        seen, spec = self._seen, self.pod["spec"]
        for stop in plan.stop:
            known = seen.of(stop.name)
            known.stopping = True
            if stop.why or seen.ending is not None:
                self._tell_once(f"{stop.name}/{known.attempt}", "Killing", stop.why or f"Stopping container {stop.name}")
            self._hooks.stop(self.pod, observing.container_of(spec, stop.name), known, stop.grace)
        if seen.ending is not None:  # hooks of sidecars do not wait for the main containers, only their end does
            for container in spec.get("initContainers") or ():
                if (known := seen.of(container["name"])).up and not known.stopping:
                    self._hooks.leave(self.pod, container, known, seen.ending.grace)

    def _tell_to_stop(self, name: str, attempt: int, grace: float) -> None:
        self._tools.supervisor.stop(f"{self.uid}/{name}/{attempt}", grace)

    def _warn(self, reason: str, message: str) -> None:
        self._tools.events.emit(self.pod, reason, message, warning=True)

    def _tell_once(self, about: str, reason: str, message: str, *, warning: bool = False) -> None:
        if (key := f"{reason}/{about}") not in self._told:
            self._told.add(key)
            self._tools.events.emit(self.pod, reason, message, warning=warning)

    @property
    def _deleting(self) -> bool:
        return bool(self.pod["metadata"].get("deletionTimestamp"))

    @property
    def _place(self) -> Path:
        return self._tools.preparation.place(self.uid)

    @property
    def _volumes(self) -> Volumes:
        return self._taken_over if self._prepared is None else self._prepared.volumes

    def _see_deletion(self, now: datetime) -> None:
        if not self._deleting or (self._seen.ending is not None and self._seen.ending.reason):
            return
        meta, known = self.pod["metadata"], self._seen.ending
        grace = float(meta.get("deletionGracePeriodSeconds") or 0)
        if known is not None and grace >= self._grace_seen:
            return
        self._grace_seen = grace
        left = observing.grace_left(meta, now)
        if self._hurry is not None and now - self._adopted_at <= _CATCH_UP:
            left = min(left, self._hurry)
        self._seen.ending = Ending(now, left)
        for container in self._seen.containers.values():
            container.stopping = False  # deleted again, with less time: told again

    async def _start(self, plan: Plan, now: datetime) -> None:
        if self._retry_at is not None and now < self._retry_at:
            plan.start.clear()
            return
        self._retry_at = None
        try:
            if self._prepared is None:
                self._prepared = await self._prepare()
                self._take_address(self._prepared)
            for name in plan.start:
                await self._start_one(name)
            self._retry = _FIRST_RETRY
        except Refusal as refusal:
            self._refuse(refusal)
        except MissingError as error:
            self._notes.waiting = ("CreateContainerConfigError" if self._prepared else "ContainerCreating", str(error))
            reason = error.reason or ("FailedMount" if self._prepared is None else "Failed")
            self._tools.events.emit(self.pod, reason, str(error), warning=True)
            self._retry_at = now + timedelta(seconds=self._back_off())
        except asyncio.CancelledError:
            if self._building is None or (self._seen.ending is None and not self._deleting):
                raise  # not the build but this task was cancelled
            self._building = None
            self._dirty = True

    async def _prepare(self) -> Prepared:
        preparation = self._tools.preparation
        if not any(container.asked for container in self._seen.containers.values()):
            await preparation.accept(self.pod)
        images = preparation.check(self.pod)
        what = preparation.unbuilt(self.pod, images)
        if not what:
            return await preparation.prepare(self.pod, images)
        began = self._tools.clock.monotonic()
        self._notes.waiting = ("ContainerCreating", f"building {what}")
        self._tools.events.emit(self.pod, "BuildingEnvironment", f"Building {what}.")
        await self._report(decide(self.pod["spec"], self._seen, self._tools.clock.now()))
        self._building = asyncio.create_task(preparation.prepare(self.pod, images))
        prepared = await self._building
        self._building = None
        self._notes.waiting = ("ContainerCreating", "")
        seconds = self._tools.clock.monotonic() - began
        self._tools.events.emit(self.pod, "BuiltEnvironment", f"Built {what} in {seconds:.1f} seconds.")
        return prepared

    async def _start_one(self, name: str) -> None:
        prepared, tools, spec = self._prepared, self._tools, self.pod["spec"]
        assert prepared is not None  # noqa: S101  # see `_start`
        container = observing.container_of(spec, name)
        known, found = self._seen.of(name), None
        if known.image not in {"", container["image"]}:
            await tools.preparation.change_image(self.pod, name, prepared)
        image = prepared.images[name]
        if image.contained and self._pulls is not None:
            found = self._pulls.ready(self.pod, container, known.attempt + (known.exit is not None))
            self._notes.held, self._notes.image_ids = self._pulls.waiting(), self._pulls.ids()
            if found is None:
                return
        request, environment = await tools.preparation.request(self.pod, container, prepared, found)
        self._take_address(prepared)
        if self._deleting or self._seen.ending is not None:
            self._dirty = True
            return
        if known.exit is not None:
            self._tools.supervisor.forget(f"{self.uid}/{name}/{known.attempt - 1}")
            self._seen.containers[name] = known = known.next()
        known.image = container["image"]
        known.asked, known.hooking = True, POST_START in hooks_of(container)
        masks = [*environment.secrets, *prepared.volumes.secrets]
        attempt = Attempt(known.attempt, tools.log_limit, masks)
        sent = tools.preparation.runtime(image).attempt(request, self.pod, container, prepared, attempt)
        identity = f"{self.uid}/{name}/{known.attempt}"
        self._known_ids.add(identity)
        tools.supervisor.start(identity, sent)
        if image.contained:
            self._notes.view, self._notes.started = (True, *request.spawned), request.spawned
        else:
            self._note(name, request.spawned, readonly=bool(sent.get("readonly")))

    def _take_address(self, prepared: Prepared) -> None:
        self._notes.address = prepared.network.address if prepared.network else self._notes.host
        self.pod = addressed(self.pod, prepared)

    def _note(self, name: str, spawned: tuple[str, str], *, readonly: bool) -> None:
        refusal = self._tools.preparation.machine.view_refusal
        if refusal:
            self._notes.view = (False, "Shared", f"The Pod shares this machine's file system: {refusal}.")
        elif readonly:
            self._notes.view = (True, "ReadOnlyRoot", "The image is this machine's own root, as a read-only private view.")
        elif self._notes.view is None:
            self._notes.view = (True, "Private", "")
        if spawned[0]:
            self._notes.started = (f"Exec{spawned[0]}", f"container {name} was started anew: {spawned[1]}")
        elif self._notes.started is None:
            self._notes.started = ("Fork", "")

    def _refuse(self, refusal: Refusal) -> None:
        self._notes.refusal = (refusal.reason, refusal.message)
        self._building = None
        self._tools.events.emit(self.pod, refusal.reason, refusal.message, warning=True)
        self._seen.ending = Ending(self._tools.clock.now(), 0.0, refusal.reason, refusal.message)
        self._dirty = True

    # -- what it reports ----------------------------------------------------------------------------------------------

    async def _report(self, plan: Plan) -> None:
        if self._gone or (not plan.over and self._too_soon()):
            return
        started = [container.how for container in self._seen.containers.values() if container.how]
        if started and self._notes.started is not None and self._notes.started[0] == "Fork" and "exec" in started:
            self._notes.started = ("ExecFallback", "no warm interpreter was there")
        status = status_of(self.pod, self._seen, plan, notes=self._notes, now=self._tools.clock.now())
        self._tell_lasting()
        self._tell_back_off(plan)
        if status == self._written:
            return
        meta = self.pod["metadata"]
        patch = patch_of(self.uid, status)
        if started:
            how = "exec" if "exec" in started else "fork"
            patch["metadata"]["annotations"] = {"kedge.dev/started": how, **annotations(self._seen)}
        try:
            written = await self._tools.client.patch(
                POD, meta["name"], meta["namespace"], patch, type="strategic", subresource="status"
            )
        except (NotFound, Conflict):
            self._gone = True
            return
        self._written = status
        self.pod = written if written["metadata"]["uid"] == self.uid else self.pod

    def _too_soon(self) -> bool:
        """Whether a container has started so recently that its end is awaited before anything is written."""
        now = self._tools.clock.now()
        for container in self._seen.containers.values():
            if container.alive and (container.started_at is None or not container.stopping):
                since = container.started_at or now
                until = since + timedelta(seconds=_COALESCE_SECONDS)
                if now < until:
                    self._later(until)
                    return True
        return False

    def _tell_lasting(self) -> None:
        now = self._tools.clock.now()
        for name, container in self._seen.containers.items():
            if not container.running or container.started_at is None:
                continue
            due = container.started_at + timedelta(seconds=_LASTING_SECONDS)
            if now >= due:
                self._tell_once(f"{name}/{container.attempt}", "Started", f"Started container {name} ({container.how}).")
            elif f"Started/{name}/{container.attempt}" not in self._told:
                self._later(due)

    def _tell_back_off(self, plan: Plan) -> None:
        for name in plan.waiting:
            message = f"Back-off restarting failed container {name} in pod {full_name(self.pod)}"
            self._tell_once(f"{name}/{self._seen.of(name).attempt}", "BackOff", message, warning=True)

    async def _finish(self) -> None:
        """Nothing runs, and that is written: let go of everything."""
        for identity in self._known_ids:
            self._tools.supervisor.forget(identity)
        meta = self.pod["metadata"]
        if self._deleting and not self._gone:
            with contextlib.suppress(NotFound, Conflict):
                await self._tools.client.delete(POD, meta["name"], meta["namespace"], uid=self.uid, grace_period=0)
        await self._tools.preparation.network.drop(self.uid)
        if self._prepared is not None:
            self._tools.preparation.volumes.release(self._prepared.volumes)
        self._over = True
        self._alarm.cancel()
        if self._measuring is not None:
            self._measuring.cancel()
        self._probing.stop()
        self._hooks.close()
        if self._pulls is not None:
            await self._pulls.close()
        self._tools.cleaner.add(self._place, keep_logs=not self._gone)
        self._tools.on_over(self.uid)

    async def _measure(self) -> None:
        """Look now and then at what the Pod keeps on disk, and evict it when that is too much."""
        clock = self._tools.clock
        while True:
            began = clock.monotonic()
            if message := await asyncio.to_thread(storage.exceeded, self._limits):
                self._tools.events.emit(self.pod, storage.EVICTED, message, warning=True)
                self.end(0.0, storage.EVICTED, message)
                return
            await clock.sleep(max(storage.LOOK_SECONDS, 20 * (clock.monotonic() - began)))

    async def _renew_files(self) -> None:
        """Bring tokens, ConfigMaps, Secrets and what the Pod is told of itself up to date."""
        mine, maker, now = self._volumes, self._tools.preparation.volumes, self._tools.clock.now()
        if mine.live:
            if mine.look_at is not None and mine.look_at <= now:
                await maker.follow(self.pod, mine)
                mine.look_at = None
            mine.look_at = mine.look_at or now + timedelta(seconds=_FOLLOW_SECONDS)
            self._later(mine.look_at)
        if mine.told:
            await maker.tell(self.pod, mine)
        if not mine.tokens:
            return
        if any(token.renew_at <= now for token in mine.tokens):
            await maker.renew(self.pod, mine, now)
        self._later(min(token.renew_at for token in mine.tokens))

    # -- small things -------------------------------------------------------------------------------------------------

    def _later(self, moment: datetime) -> None:
        """Wake up at a time, if not earlier anyway."""
        self._alarm.set((moment - self._tools.clock.now()).total_seconds())

    def _back_off(self) -> float:
        delay, self._retry = self._retry, min(self._retry * 2, _LONGEST_RETRY)
        return delay
