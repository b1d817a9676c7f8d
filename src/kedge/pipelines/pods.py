"""Carrying out what the engine says: the only place where a run's Pods and ConfigMaps are made, stopped and let go.

Every act may be done twice, because after a restart the engine says again what may not have been done: a Pod's name follows from
its attempt, so that making it again finds it; deleting and letting go of what is gone are no errors.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from kedge.client.types import Client
from kedge.errors import AlreadyExists, ApiError, BadRequest, Forbidden, Invalid, NotFound, PipelineError, TooLarge, Unavailable
from kedge.kube.clock import Clock
from kedge.kube.core import CONFIG_MAP, POD
from kedge.kube.kinds import Kind, Obj
from kedge.pipelines import code, observations, refusals
from kedge.pipelines.claims import Claims
from kedge.pipelines.engine.types import Event, Failure, StartStep, StepFailed
from kedge.pipelines.kinds import RECORDED_LABEL, RUN, RUN_LABEL, TRACKING_FINALIZER
from kedge.pipelines.live import LiveRun
from kedge.pipelines.ports import Artifacts
from kedge.pipelines.refusals import Held
from kedge.pipelines.restricted import Restricted, restrict

_log = logging.getLogger(__name__)
# A patch that names one value of the list: others may hold finalizers of their own on the Pod, and change them meanwhile.
_LET_GO = {"metadata": {"labels": {RECORDED_LABEL: "true"}, "$deleteFromPrimitiveList/finalizers": [TRACKING_FINALIZER]}}
# A namespace may be deleted and made again, and somebody may delete what they do not know: the launcher is looked for this often.
_EQUIPPED_SECONDS = 30.0

STOP_SECONDS = 30
"""Seconds that a step has to end which nobody wants any more; its Pod may have more, for its uploads."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What came of beginning an attempt.

    Attributes:
        pod: The Pod.
        events: Why there will be none, or what was done without one.
        held: Why it cannot begin yet; nothing else came of it then.
    """

    pod: Obj | None = None
    events: list[Event] = field(default_factory=list[Event])
    held: Held | None = None


class StepPods:
    """Makes, stops and lets go of the Pods of all runs.

    Args:
        client: Where to.
        clock: For the times of events.
        artifacts: Where project code goes.

    Attributes:
        launcher: What Python steps and staging containers run.
        settled: Called with each Pod whose result is recorded.
        claims: Carries out what needs no Pod.
    """

    def __init__(self, client: Client, clock: Clock, artifacts: Artifacts) -> None:
        self._client = client
        self._clock = clock
        self.launcher = code.Launcher.of(b"")
        self.settled: Callable[[Obj], None] = lambda _: None
        self.claims = Claims(client, clock)
        self._artifacts = artifacts
        self._restricted = Restricted(clock)
        self._equipped: dict[str, float] = {}  # namespaces, and when their launcher was last seen to be there
        self._equipping = asyncio.Lock()

    async def start(self, live: LiveRun, start: StartStep) -> Begun:
        """Make the Pod of an attempt, or find it made.

        Raises:
            Unavailable: Not now; try again.
        """
        if what := live.claims(start.executor):
            done = await self.claims.carry_out(live, start, what)
            return Begun(held=done) if isinstance(done, Held) else Begun(events=[done])
        try:
            await self._equip(live)
            plan = live.steps.plan(start.component, start.executor)
            pod = live.steps.pod(plan, start.task, start.attempt, start.inputs)
            if (held := await self.claims.equip(live, pod)) is not None:
                return Begun(held=held)
        except PipelineError as error:
            return self._failed(start, Failure("user", "StepInvalid", str(error), final=True))
        except Forbidden as error:
            return self._refused(start, error, "ConfigMap")
        attempt = live.attempts.get((start.task, start.attempt))
        if attempt is not None and attempt.pod_uid is not None:
            return await self._find_again(live, start, pod["metadata"]["name"])
        return await self._create(live, start, pod)

    async def _create(self, live: LiveRun, start: StartStep, pod: Obj) -> Begun:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        if namespace in self._restricted:
            restrict(pod)
        try:
            return Begun(await self._client.create(POD, pod))
        except AlreadyExists:
            found = await self._client.get(POD, name, namespace)
            if (found["metadata"].get("labels") or {}).get(RUN_LABEL) == live.record.id:
                return Begun(found)
            text = f"Pod {namespace}/{name} is there and belongs to somebody else. Delete it."
            return self._failed(start, Failure("infra", "PodNameTaken", text))
        except (Invalid, BadRequest, TooLarge, Forbidden, NotFound) as error:
            if self._restricted.learn(namespace, error):
                return await self._create(live, start, pod)
            if isinstance(error, NotFound):
                self._equipped.pop(namespace, None)
            return self._refused(start, error, "Pod")

    async def _find_again(self, live: LiveRun, start: StartStep, name: str) -> Begun:
        """An attempt whose Pod was seen once: when it is gone, making another would be a second try under one number."""
        try:
            return Begun(await self._client.get(POD, name, live.record.namespace))
        except NotFound:
            failure = Failure("infra", "PodDeleted", f"Pod {name} was deleted before its result was recorded.")
            return self._failed(start, failure)

    def _refused(self, start: StartStep, error: ApiError, thing: str) -> Begun:
        meaning = refusals.of(error, thing)
        return Begun(held=meaning) if isinstance(meaning, Held) else self._failed(start, meaning)

    def _failed(self, start: StartStep, failure: Failure) -> Begun:
        return Begun(events=[StepFailed(self._clock.now(), start.task, start.attempt, failure)])

    async def stop(self, namespace: str, name: str) -> None:
        """End a Pod and let it go."""
        try:
            await self._client.delete(POD, name, namespace, grace_period=STOP_SECONDS)
        except NotFound:
            return
        await self.let_go(POD, namespace, name)

    async def let_go(self, kind: Kind, namespace: str, name: str) -> None:
        """Take our finalizer off an object; harmless when it, or the object, is gone."""
        try:
            if kind is RUN:
                # Custom resources take no strategic patch on a real API server; nobody but us holds a Run.
                await self._client.patch(kind, name, namespace, {"metadata": {"finalizers": None}})
            else:
                await self._client.patch(kind, name, namespace, _LET_GO, type="strategic")
        except NotFound:
            pass

    async def settle(self, pod: Obj, *, wanted: bool) -> None:
        """Let go of a Pod whose attempt is recorded; end it where nobody wants its result.

        Args:
            pod: As last seen.
            wanted: Whether the attempt was a success (its process may still be on its way out).
        """
        metadata = pod["metadata"]
        self.settled(pod)
        if not wanted and not observations.comes_to_its_end(pod) and not metadata.get("deletionTimestamp"):
            await self.stop(metadata["namespace"], metadata["name"])
        elif observations.is_tracked(pod):
            await self.let_go(POD, metadata["namespace"], metadata["name"])

    async def restore_launcher(self, namespace: str) -> None:
        """Make the launcher's ConfigMap again that a Pod misses."""
        with suppress(PipelineError):  # the namespace is gone, and its Pods are about to be
            await self._bring_launcher(namespace)

    async def _bring_launcher(self, namespace: str) -> None:
        await self._keep(self.launcher.config_map(namespace))
        self._equipped[namespace] = self._clock.monotonic()

    async def _equip(self, live: LiveRun) -> None:
        """Bring the launcher and the run's code to its namespace, once."""
        if live.equipped:
            return
        async with self._equipping:  # two runs of one namespace, or two steps of one run, need it only once
            namespace = live.record.namespace
            if self._clock.monotonic() - self._equipped.get(namespace, -_EQUIPPED_SECONDS) >= _EQUIPPED_SECONDS:
                await self._bring_launcher(namespace)
            sources = await self._sources(live)
            maps, places = code.config_maps(live.record, sources)
            if not all([await self._keep(made) for made in maps]):
                maps, places = code.config_maps(live.record, sources, another=True)
                for made in maps:
                    await self._keep(made)
            live.steps.place_code(places)
            live.equipped = True

    async def _sources(self, live: LiveRun) -> dict[str, str]:
        project = live.spec.project
        if not project:
            return code.documents(live.pipeline, None, live.steps.kfp_runtime)
        digest = str(project.get("digest", ""))
        uri = await self._artifacts.keep_project(digest, str(project.get("archive", "")), live.record.namespace)
        return code.documents(live.pipeline, {"digest": digest, "uri": uri}, live.steps.kfp_runtime)

    async def _keep(self, config_map: Obj) -> bool:
        """Make a ConfigMap; ``False`` where there is one of that name with other data, which cannot be changed any more."""
        metadata = config_map["metadata"]
        try:
            await self._client.create(CONFIG_MAP, config_map)
        except AlreadyExists:
            found = await self._client.get(CONFIG_MAP, metadata["name"], metadata["namespace"])
            owners = found["metadata"].get("ownerReferences") or []
            if [owner["uid"] for owner in owners] != [owner["uid"] for owner in metadata.get("ownerReferences", [])]:
                # A run that was deleted had this name; the garbage collector is about to take its objects away.
                await self._client.delete(CONFIG_MAP, metadata["name"], metadata["namespace"], uid=found["metadata"]["uid"])
                raise Unavailable(f"ConfigMap {metadata['namespace']}/{metadata['name']} belongs to an earlier run.") from None
            return found.get("data") == config_map.get("data")
        except NotFound as error:
            self._equipped.pop(metadata["namespace"], None)
            raise PipelineError(f"namespace {metadata['namespace']!r} is gone: {error}") from error
        return True
