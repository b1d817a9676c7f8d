"""One of several hubs of a cluster works; the others stand by, ready to take its place within seconds.

The Service leads to the Pod that has the leader's label, which the leader takes when it can answer, from whoever had it. So all
Pods are ready, and a rollout waits for nobody's turn; and no request goes to a hub that would only pass it on.
Three things keep two hubs from writing at once: a leader ends that cannot renew its Lease, its client writes nothing after
that, and the next one ends its connection to the database (`kedge.db.postgres`).
"""

from collections.abc import Sequence
from contextlib import suppress

from kedge.client.http import HttpClient
from kedge.config import Settings
from kedge.control.leases import Election, Fenced
from kedge.errors import Forbidden, NotFound, StateError
from kedge.kube.clock import Clock, Ids
from kedge.kube.core import POD, SERVICE_ACCOUNT
from kedge.kube.kinds import Obj
from kedge.kube.metadata import INSTALLED_LABEL
from kedge.manifests.hub import LEADER_LABEL
from kedge.manifests.kinds import DEPLOYMENT
from kedge.manifests.options import ALL
from kedge.manifests.rights import USER_ACCOUNT
from kedge.server.front import Front


async def check_alone(client: HttpClient, namespaces: Sequence[str]) -> None:
    """See that no hub that is installed in the cluster works in the same namespaces: two would undo each other's work.

    Raises:
        StateError: One does.
    """
    for name in namespaces:
        try:
            account = await client.get(SERVICE_ACCOUNT, USER_ACCOUNT, name)
        except (NotFound, Forbidden):
            continue
        if hub := (account["metadata"].get("labels") or {}).get(INSTALLED_LABEL):
            raise StateError(
                f"namespace {name} is served by the Kedge that is installed in namespace {hub}: two hubs would undo each "
                "other's work. Use that one (--context alone leads to it), name other namespaces (KEDGE_WATCH_NAMESPACES), or "
                "uninstall it."
            )
    with suppress(Forbidden):  # whoever has no rights in the whole cluster is not told
        for found in (await client.list(DEPLOYMENT, labels=INSTALLED_LABEL)).items:
            if _serves_all(found):
                hub = found["metadata"]["namespace"]
                raise StateError(
                    f"all namespaces are served by the Kedge that is installed in namespace {hub}: two hubs would undo each "
                    "other's work. Use that one (a --context in its namespace leads to it), or uninstall it."
                )


def _serves_all(deployment: Obj) -> bool:
    return any(
        variable["name"] == "KEDGE_WATCH_NAMESPACES" and variable.get("value") == ALL
        for container in deployment["spec"]["template"]["spec"]["containers"]
        for variable in container.get("env") or ()
    )


class Leadership:
    """This hub's part in that.

    Args:
        settings: Name the Lease, the Pod and the database.
        client: Speaks to the cluster.
        clock: For waiting.
        ids: Tell this process from another one of the same Pod.

    Raises:
        StateError: Several hubs cannot share what they are given.

    Attributes:
        election: Who leads.
        client: Writes only while this hub does.
        front: Answers in its place until then.
    """

    def __init__(self, settings: Settings, client: HttpClient, clock: Clock, ids: Ids) -> None:
        if not settings.database:
            raise StateError("KEDGE_LEASE: several hubs need a database that all of them reach. Set KEDGE_DATABASE, or unset it.")
        if not settings.pod_name:
            raise StateError("KEDGE_LEASE: the hub must know the name of its Pod. Set KEDGE_POD_NAME from metadata.name.")
        self._client = client
        self._namespace = client.namespace
        self._pod = settings.pod_name
        identity = f"{settings.pod_name}_{ids.suffix(8)}"
        self.election = Election(client, clock, (client.namespace, settings.lease), identity)
        self.client = Fenced(client, self.election)
        self.front = Front()

    async def stand_by(self) -> None:
        """Be seen as one that does not lead, whatever a process before this one has left."""
        await self._mark(self._pod, None)

    async def take_requests(self) -> None:
        """Have the Service lead here, and nowhere else."""
        for pod in (await self._client.list(POD, self._namespace, labels=f"{LEADER_LABEL}=true")).items:
            if (name := pod["metadata"]["name"]) != self._pod:
                await self._mark(name, None)
        await self._mark(self._pod, "true")

    async def _mark(self, pod: str, value: str | None) -> None:
        with suppress(NotFound):
            await self._client.patch(POD, pod, self._namespace, {"metadata": {"labels": {LEADER_LABEL: value}}})
