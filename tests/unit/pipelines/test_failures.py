"""What a hub makes of what a real Kubernetes 1.36 said of Pods: the rows of `docs/failures.md`, as they were recorded there."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from failures import ROWS, Row

from kedge.errors import ApiError, Cause, Forbidden, NotFound, ServerError, Unavailable
from kedge.kube.core import POD
from kedge.kube.kinds import Kind, Obj
from kedge.pipelines import refusals
from kedge.pipelines.controller import Limits
from kedge.pipelines.kinds import RUN
from kedge.pipelines.records import RunRecord
from kedge.testing import pipelines
from kedge.testing.nodes import Machine
from kedge.testing.runs import Hub, World, hub, obedient

STEP = "step"
PULL_FAILED = (
    'failed to pull and unpack image "localhost:5999/none:1": failed to resolve reference "localhost:5999/none:1": '
    "localhost:5999/none:1: not found"
)
NO_REGISTRY = (
    'failed to pull and unpack image "localhost:5999/none:1": failed to resolve reference "localhost:5999/none:1": failed to do '
    'request: Head "http://localhost:5999/v2/none/manifests/1": dial tcp 127.0.0.1:5999: connect: connection refused'
)
PREEMPTION = "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."


def waiting(reason: str, message: str = "") -> Obj:
    return {"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": _with(reason, message)}}]}


def ended(code: int = 137, why: str = "Error", said: str = "", **status: Any) -> Obj:
    """A Pod whose container has ended.

    Args:
        code: Its exit code.
        why: The container's reason.
        said: And its message.
        status: More of the Pod's status.
    """
    terminated = {"exitCode": code, "startedAt": "2026-11-28T12:40:54Z", "finishedAt": "2026-11-28T12:41:03Z"}
    main = {"name": "main", "state": {"terminated": {**terminated, **_with(why, said)}}}
    return {"phase": "Failed", "containerStatuses": [main], **status}


def running(**status: Any) -> Obj:
    main = {"name": "main", "ready": True, "state": {"running": {"startedAt": "2026-11-28T12:40:54Z"}}}
    return {"phase": "Running", "containerStatuses": [main], **status}


def condition(kind: str, value: str, reason: str, message: str = "") -> Obj:
    return {"type": kind, "status": value, "reason": reason, "message": message}


def unscheduled(message: str) -> Obj:
    return {"phase": "Pending", "conditions": [condition("PodScheduled", "False", "Unschedulable", message)]}


def _with(reason: str, message: str) -> Obj:
    return {"reason": reason, **({"message": message} if message else {})}


BACK_OFF = 'Back-off pulling image "localhost:5999/none:1": ErrImagePull: '
EVICTING = condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting")
COLLECTED = condition("DisruptionTarget", "True", "DeletionByPodGC", "PodGC: node no longer exists")
TAINTED = condition("DisruptionTarget", "True", "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")

SAID: dict[str, Obj] = {
    "image-missing": waiting("ErrImagePull", PULL_FAILED),
    "image-missing-for-too-long": waiting("ImagePullBackOff", BACK_OFF + PULL_FAILED),
    "registry-away-for-too-long": waiting("ImagePullBackOff", BACK_OFF + NO_REGISTRY),
    "image-name-invalid": waiting("InvalidImageName", 'couldn\'t parse image name "NOPE//x": invalid reference format'),
    "unschedulable": unscheduled(f"0/1 nodes are available: 1 Insufficient memory. {PREEMPTION}"),
    "claim-missing": unscheduled('0/1 nodes are available: persistentvolumeclaim "none" not found. not found'),
    "secret-missing": waiting("CreateContainerConfigError", 'secret "none" not found'),
    "command-missing": ended(
        128,
        "StartError",
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to "
        'start container process: exec: "/none": stat /none: no such file or directory: unknown',
    ),
    "out-of-memory": ended(137, "OOMKilled"),
    "too-long": ended(**_with("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")),
    "too-much-on-disk": ended(**_with("Evicted", 'Usage of EmptyDir volume "d" exceeds the limit "1Mi". ')),
    "evicted": ended(conditions=[EVICTING]),
    "node-drained": ended(conditions=[EVICTING]),
    "evicted-by-the-node": ended(
        **_with("Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 91Mi. ")
    ),
    "node-shut-down": ended(**_with("Terminated", "Pod was terminated in response to imminent node shutdown.")),
    "node-full": {
        "phase": "Failed",
        **_with("OutOfcpu", "Node didn't have enough resource: cpu, requested: 1000, used: 3000, capacity: 4000"),
    },
    "node-deleted": running(phase="Failed", conditions=[COLLECTED]),
    "node-silent": running(conditions=[condition("Ready", "False", "")]),
}
TOO_LONG = {fault for fault in SAID if fault.endswith("-for-too-long")}


@dataclass(frozen=True)
class Begun:
    """A run of one step, and its Pod."""

    life: Hub
    run: RunRecord
    pod: str

    async def said(self, status: Obj) -> None:
        """Kubernetes says this of the Pod."""
        await self.life.feature.controller._client.patch(POD, self.pod, "default", {"status": status}, subresource="status")

    async def shows(self, row: Row) -> None:
        """The hub shows the row, and so does the Run object of a run that goes on."""
        await self.life.until(lambda: self._is(row), within=60)
        if row.state in {"PENDING", "RUNNING"}:
            await self.life.until(self._message, within=60)

    def _is(self, row: Row) -> bool:
        history = self.life.feature.history
        task = history.task(self.run.id, STEP)
        assert task is not None
        failed = [attempt.failure for attempt in history.attempts(self.run.id, STEP) if attempt.failure is not None]
        kinds = [failure.kind for failure in failed]
        if (task.state.value, kinds.count("infra"), kinds.count("user")) != (row.state, row.infra, row.user):
            return False
        if row.code:
            return failed[-1].reason == row.code and row.says(failed[-1].message, self.pod)
        return row.says(self.life.feature._endpoints.tasks._reason(self.run, task), self.pod)

    def _message(self) -> str:
        (found,) = self.life.api.list(RUN, "default").items
        return found.get("status", {}).get("message") or ""


@pytest.fixture
async def begun(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Begun]:
    """An image is waited for as long as the test lasts, unless it is about how long."""
    world, parameters = World(tmp_path, Machine(obedient)), getattr(request.node, "callspec", None)
    too_long = parameters is not None and parameters.params["fault"] in TOO_LONG
    async with hub(world, node=False, limits=Limits(image_pull_timeout=0.2 if too_long else 600)) as life:
        run = await life.submit(document())
        await life.until(lambda: list(life.feature.controller.pods_of(run)))
        (pod,) = life.feature.controller.pods_of(run)
        yield Begun(life, run, pod["metadata"]["name"])


def document() -> Obj:
    step = (pipelines.component(STEP), pipelines.container("python:3.11", ["true"]))
    return pipelines.pipeline({STEP: pipelines.task(STEP)}, {STEP: step})


@pytest.mark.parametrize("fault", SAID)
async def test_what_kubernetes_says_of_a_pod_is_shown_as_the_table_has_it(begun: Begun, fault: str) -> None:
    await begun.said(SAID[fault])
    await begun.shows(ROWS[fault])


async def test_a_pod_that_is_deleted_before_it_runs_is_made_again(begun: Begun) -> None:
    await begun.said(SAID["unschedulable"])
    begun.life.api.delete(POD, begun.pod, "default")
    await begun.shows(ROWS["pod-deleted-before-it-ran"])


async def test_a_node_that_does_not_end_a_pod_has_lost_it(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    await begun.said(running(conditions=[TAINTED]))
    await begun.life.until(lambda: begun.life.states(begun.run.id)[STEP] == "RUNNING")
    monkeypatch.setattr("kedge.pipelines.observations._NODE_ANSWERS", 3.0)  # in which it is seen that it is given up
    begun.life.api.delete(POD, begun.pod, "default", grace_period=1)
    await begun.shows(ROWS["node-given-up"])
    await begun.shows(ROWS["node-lost"])


async def test_an_image_that_comes_in_time_costs_nothing(begun: Begun) -> None:
    await begun.said(SAID["image-missing"])
    await begun.said(ended(0, "Completed", phase="Succeeded"))
    assert (await begun.life.end(begun.run.id)).state == "SUCCEEDED"


FORBIDDEN = {
    "quota-exceeded": "exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1",
    "quota-of-what-is-not-stated": "failed quota: cpu: must specify limits.cpu for: main",
    "limit-range": "maximum memory usage per Container is 64Mi, but limit is 1Gi",
    "pod-security": 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "main" must set …)',
    "service-account-missing": 'error looking up service account ns/none: serviceaccount "none" not found',
}


def refusal(fault: str) -> ApiError:
    if fault == "policy-denies":
        return Forbidden("pods \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no")
    if fault == "webhook-away":
        return ServerError('Internal error occurred: failed calling webhook "policy.example.com": connect: connection refused')
    if fault == "api-server-away":
        return Unavailable("https://10.0.0.1:6443: cannot be reached: refused. Check that it runs (kedge status).")
    return Forbidden(f'pods "step-1" is forbidden: {FORBIDDEN[fault]}')


class Refusing:
    """A client whose server does not take Pods."""

    def __init__(self, client: Any, error: ApiError) -> None:
        self._client = client
        self.error: ApiError | None = error
        self.tries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def create(self, kind: Kind, obj: Obj, **options: Any) -> Obj:
        if kind is POD and self.error is not None:
            self.tries += 1
            raise self.error
        return await self._client.create(kind, obj, **options)


@pytest.mark.parametrize("fault", [*FORBIDDEN, "policy-denies", "webhook-away", "api-server-away"])
async def test_what_the_api_server_does_not_take_is_shown_as_the_table_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr("kedge.pipelines.engine.machine._INFRA_BACKOFF", 0.0)
    refusing: list[Refusing] = []

    def wrap(client: Any, database: Any) -> tuple[Any, Any]:
        refusing.append(Refusing(client, refusal(fault)))
        return refusing[0], database

    async with hub(World(tmp_path, Machine(obedient)), wrap, node=False) as life:
        run = await life.submit(document())
        begun = Begun(life, run, "")
        await begun.shows(ROWS[fault])
        if ROWS[fault].state == "PENDING":
            refusing[0].error = None
            await life.until(lambda: list(life.feature.controller.pods_of(run)), within=60)
            assert refusing[0].tries >= 1
            (attempt,) = life.feature.history.attempts(run.id, STEP)
            assert attempt.number == 0


class Losing:
    """A client whose server makes what it is asked for, and whose answers are lost."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.lost: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def create(self, kind: Kind, obj: Obj, **options: Any) -> Obj:
        made = await self._client.create(kind, obj, **options)
        if kind.kind not in self.lost:
            self.lost.append(kind.kind)
            raise Unavailable("https://10.0.0.1:6443: cannot be reached: reset. Check that it runs (kedge status).")
        return made


async def test_what_is_made_although_the_answer_is_lost_is_made_once(tmp_path: Path) -> None:
    """The Run of a request, and the Pod of its step."""
    losing: list[Losing] = []

    def wrap(client: Any, database: Any) -> tuple[Any, Any]:
        losing.append(Losing(client))
        return losing[0], database

    async with hub(World(tmp_path, Machine(obedient)), wrap) as life:
        run = await life.submit(document())
        assert (await life.end(run.id)).state == "SUCCEEDED"
        assert {"Run", "Pod"} <= set(losing[0].lost)
        assert len(life.api.list(RUN, "default").items) == 1
        assert len(life.api.list(POD, "default").items) == 1
        assert [attempt.number for attempt in life.feature.history.attempts(run.id, STEP)] == [0]


def test_a_namespace_that_is_being_deleted_is_nobodys_failure() -> None:
    error = Forbidden(
        'pods "a" is forbidden: unable to create new content in namespace x because it is being terminated',
        causes=[Cause("metadata.namespace", "namespace x is being terminated", "NamespaceTerminating")],
    )
    assert refusals.of(error) == refusals.Held("its namespace is being deleted")


def test_a_webhook_that_denies_a_pod_would_deny_it_again() -> None:
    failure = refusals.of(Forbidden('admission webhook "policy.example.com" denied the request: no'))
    assert isinstance(failure, refusals.Failure)
    assert (failure.kind, failure.reason, failure.final) == ("user", "PodRefused", True)


def test_what_nobody_knows_of_is_the_infrastructures() -> None:
    failure = refusals.of(NotFound('namespaces "x" not found'))
    assert isinstance(failure, refusals.Failure)
    assert (failure.kind, failure.reason) == ("infra", "PodForbidden")
