"""A host without a node, for the tests of what keeps Pods running: Pods are marked as ready by hand."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from kedge.client.types import Client
from kedge.control.controller import reconcile
from kedge.kube import apps
from kedge.kube.apps import DAEMON_SET, DEPLOYMENT, REPLICA_SET, STATEFUL_SET
from kedge.kube.clock import timestamp
from kedge.kube.core import KINDS, POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, controller, key_of
from kedge.kube.replication_controllers import REPLICATION_CONTROLLER
from kedge.server.lasting import LastingTokens
from kedge.server.tokens import Tokens
from kedge.testing.api import StoppingClient, memory_api
from kedge.testing.clock import FakeClock, FakeIds
from kedge.workloads.daemonsets import DaemonSets
from kedge.workloads.deployments import Deployments
from kedge.workloads.replicasets import ReplicaSets
from kedge.workloads.replicationcontrollers import ReplicationControllers
from kedge.workloads.statefulsets import StatefulSets

_PASSES = 40
AUTHORITY = "-----BEGIN CERTIFICATE-----"


def access(clock: FakeClock) -> LastingTokens:
    """By which every namespace is told how the API is known."""
    return LastingTokens(Tokens(ec.generate_private_key(ec.SECP256R1()), "https://host", clock, FakeIds()), AUTHORITY)


class Keepers:
    """The API, and the reconcilers of the kinds that keep Pods running."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api = memory_api((*KINDS, *apps.KINDS), clock=self.clock)
        self._reconcilers: tuple[tuple[Kind, Any], ...] = (
            (DEPLOYMENT, Deployments()),
            (REPLICA_SET, ReplicaSets(self._owned)),
            (STATEFUL_SET, StatefulSets(self._owned)),
            (DAEMON_SET, DaemonSets(self._owned)),
            (REPLICATION_CONTROLLER, ReplicationControllers(self._owned)),
        )

    def _owned(self, uid: str) -> Iterable[Key]:
        return [key_of(pod) for pod in self.api.list(POD).items if (controller(pod) or {}).get("uid") == uid]

    def make(self, kind: Kind, name: str = "web", **spec: Any) -> Obj:
        """Create something that keeps Pods with the label ``app``."""
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
        made = {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}
        return self.api.create(kind, {"metadata": {"name": name, "namespace": "default"}, "spec": made})

    def change(self, kind: Kind, patch: Obj, name: str = "web") -> Obj:
        """Patch an object."""
        return self.api.patch(kind, name, "default", patch)

    def retemplate(self, kind: Kind, note: str) -> None:
        """Give an object another template."""
        self.change(kind, {"spec": {"template": {"metadata": {"annotations": {"note": note}}}}})

    def get(self, kind: Kind, name: str = "web") -> Obj:
        """Read an object."""
        return self.api.get(kind, name, "default")

    def pods(self) -> list[Obj]:
        """All Pods that are not on their way out."""
        return [pod for pod in self.api.list(POD).items if not pod["metadata"].get("deletionTimestamp")]

    def names(self) -> list[str]:
        """Their names."""
        return [pod["metadata"]["name"] for pod in self.pods()]

    def sizes(self) -> dict[str, tuple[int, str]]:
        """What each ReplicaSet wants, and its revision, by the note in its template."""
        found: dict[str, tuple[int, str]] = {}
        for each in self.api.list(REPLICA_SET).items:
            note = (each["spec"]["template"]["metadata"].get("annotations") or {}).get("note", "")
            found[note] = (each["spec"]["replicas"], each["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
        return found

    def mark(self, *names: str, phase: str = "Running", ready: bool = True) -> None:
        """Say that Pods, or all of them, run and are ready."""
        for pod in self.pods():
            if names and pod["metadata"]["name"] not in names:
                continue
            state = {"type": "Ready", "status": str(ready), "lastTransitionTime": timestamp(self.clock.now())}
            status = {"phase": phase, "conditions": [state]}
            self.api.update(POD, {**pod, "status": status}, subresource="status")

    def bury(self) -> None:
        """End the Pods that were asked to."""
        for pod in self.api.list(POD).items:
            if pod["metadata"].get("deletionTimestamp"):
                self.api.delete(POD, pod["metadata"]["name"], "default", grace_period=0)

    async def one_pass(self, client: Client | None = None) -> None:
        """Run each reconciler once over every key."""
        client = client or StoppingClient(self.api)
        for kind, reconciler in self._reconcilers:
            for obj in self.api.list(kind).items:
                await reconcile(reconciler, client, key_of(obj), self.clock.now())

    async def settle(self, *, ready: bool = False) -> None:
        """Run them until nothing is written any more.

        Args:
            ready: Whether new Pods become ready, and those that are asked to end do, meanwhile.
        """
        for _ in range(_PASSES):
            client = StoppingClient(self.api)
            await self.one_pass(client)
            fresh = [pod["metadata"]["name"] for pod in self.pods() if not pod["status"].get("conditions")] if ready else []
            if ready:
                self.bury()
            if fresh:
                self.mark(*fresh)
            elif not client.writes:
                return
        raise AssertionError(f"still writing after {_PASSES} passes")

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.advance(seconds)

    def later(self, seconds: float) -> str:
        """A timestamp."""
        return timestamp(self.clock.now() + timedelta(seconds=seconds))
