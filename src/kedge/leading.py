"""One of several hubs of a cluster works; the others stand by, ready to take its place within seconds.

The Service leads to the Pod that has the leader's label, which the leader takes when it can answer, from whoever had it. So all
Pods are ready, and a rollout waits for nobody's turn; and no request goes to a hub that would only pass it on.
Three things keep two hubs from writing at once: a leader ends that cannot renew its Lease, its client writes nothing after
that, and the next one ends its connection to the database (`kedge.db.postgres`).
"""

from contextlib import suppress

from kedge.client.http import HttpClient
from kedge.config import Settings
from kedge.control.leases import Election, Fenced
from kedge.errors import NotFound, StateError
from kedge.kube.clock import Clock, Ids
from kedge.kube.core import POD
from kedge.manifests.hub import LEADER_LABEL
from kedge.server.front import Front


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
