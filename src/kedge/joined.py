"""A node of another machine's API, or of a cluster's: the composition of ``kedge join``.

The machine asks for a certificate once, with a token or with an administrator's kubeconfig; from then on it is the node that the
certificate names, which lies in its data directory. Everything goes out from here to one address: the API's. The agent is the one
that a host has in its own process.

A host answers what it wants of the Pods over connections that the node makes. A cluster's API server would have to connect here,
where nothing listens; such a node says so in its address, and keeps the cluster's ordinary Pods away by a taint.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from kedge import __version__
from kedge.client import kubeconfig
from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.config import Settings
from kedge.errors import ApiError, ServerError, StateError, Timeout, Unauthorized, Unavailable
from kedge.home import Home
from kedge.kube.clock import Clock, SystemClock, SystemIds
from kedge.kube.kinds import Obj
from kedge.node import certificate
from kedge.node.agent import NodeAgent
from kedge.node.answering import Answering
from kedge.node.registration import Place
from kedge.running import run_until_told

_log = logging.getLogger(__name__)
_JOINED = "kedge.dev/joined"
# What a node of a cluster begins with: its label and its taint.
_LABELS = {_JOINED: "true"}
_TAINT: Obj = {"key": _JOINED, "effect": "NoSchedule"}
_RETRY_SECONDS = 2.0
_LOOK_SECONDS = 60.0
_HOSTS = "+kedge."  # in the version that a host of ours tells


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a machine is told before it joins.

    Attributes:
        server: The API's address; empty where it is in the kubeconfig, or known from before.
        token: A bootstrap token; empty where the machine has its certificate already.
        ca_hash: The hash of the authority's key, ``sha256:HEX``; likewise.
        node: The name that the machine gets.
        labels: Its labels.
        taints: Those that it begins with.
        kubeconfig: Instead of a token: of somebody who may ask for certificates. It is not kept.
        context: Which of its contexts; the current one where it is empty.
    """

    server: str
    token: str
    ca_hash: str
    node: str
    labels: dict[str, str]
    taints: tuple[Obj, ...] = ()
    kubeconfig: Path | None = None
    context: str = ""

    def __repr__(self) -> str:
        """Without the token, because representations end up in logs."""
        return f"Invitation(server={self.server!r}, node={self.node!r})"


def serve(settings: Settings, invitation: Invitation, ready: Callable[[str], None]) -> None:
    """Be a node in this process until it is told to stop; Pods run on under the supervisor.

    Args:
        settings: How Kedge was started.
        invitation: Where to, and how.
        ready: Called with the API's address when the node runs.

    Raises:
        KedgeError: The machine may not join, or the data directory cannot be used.
    """
    place = replace(settings, home=settings.home / "joined", node_labels={**settings.node_labels, **invitation.labels})

    def tell() -> None:
        ready(invitation.server or kubeconfig.load(_kept(place.home)).server)

    run_until_told(place, node(place, invitation), waits=True, ready=tell)


@asynccontextmanager
async def node(settings: Settings, invitation: Invitation) -> AsyncGenerator["asyncio.Future[None]"]:
    """Join, and run the node's Pods until the block is left.

    Args:
        settings: Whose `home` is the node's own.
        invitation: Where to, and how.
    """
    clock = SystemClock()
    home = Home.acquire(settings.home, __version__)
    try:
        access = await _admitted(settings.home, invitation, clock)
        async with HttpClient(access, clock=clock, user_agent=f"kedge/{__version__} (node)") as client:
            joining = Joining(settings, invitation, access, client, clock)
            agent = await joining.started()
            answering = Answering(access, clock, agent.logs, agent.processes)
            tasks = [asyncio.create_task(joining.renew(client.present, answering.present))]
            if joining.hosts:
                tasks.append(asyncio.create_task(answering.run()))
            _log.info("joined", extra={"node": invitation.node, "server": access.server})
            try:
                yield asyncio.get_running_loop().create_future()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await agent.stop()
    finally:
        home.release()


class Joining:
    """A machine that may join.

    Args:
        settings: Whose `home` is the node's own.
        invitation: Where to, and how.
        access: As the node.
        client: With that access.
        clock: The time.

    Attributes:
        hosts: Whether the API is a host's, rather than a cluster's; known when the agent has started.
    """

    def __init__(self, settings: Settings, invitation: Invitation, access: Access, client: HttpClient, clock: Clock) -> None:
        self._settings = settings
        self._invitation = invitation
        self._access = access
        self._client = client
        self._clock = clock
        self.hosts = True

    async def started(self) -> NodeAgent:
        """An agent that has started; where the API cannot be reached now it is waited for, and Pods that run go on meanwhile."""
        while True:
            agent: NodeAgent | None = None
            try:
                agent = await self._agent()
                await agent.start()
            except BaseException as error:
                if agent is not None:
                    await agent.stop()
                if isinstance(error, Unauthorized):
                    raise StateError(f"{error} The node's certificate is not known there: join anew with a token.") from error
                if not isinstance(error, Unavailable | Timeout | ServerError):
                    raise
                _log.warning("the API cannot be reached; trying again", extra={"error": str(error)})
                await self._clock.sleep(_RETRY_SECONDS)
            else:
                return agent

    async def _agent(self) -> NodeAgent:
        said = str((await self._client.version()).get("gitVersion", ""))
        self.hosts = _HOSTS in said
        settings, taints = self._settings, self._invitation.taints
        if not self.hosts:
            settings = replace(settings, node_labels={**_LABELS, **settings.node_labels})
            taints = (_TAINT, *taints)
        where = urlsplit(self._access.server)
        api = (where.hostname or "", where.port or 443)
        place = Place(_own_address(*api), joined=True, taints=taints, api=api, dialed=self.hosts)
        return NodeAgent(self._client, settings, self._clock, SystemIds(), node_name=self._invitation.node, place=place)

    async def renew(self, *present: Callable[[Access], None]) -> None:
        """Have the certificate renewed when its end is near, until cancelled.

        Args:
            present: Called with the new one, to be shown by connections that are made from then on.
        """
        access = self._access
        while True:
            if certificate.due(access, self._clock.now()):
                try:
                    access = await certificate.asked(access, self._invitation.node, self._clock)
                except (ApiError, StateError) as error:
                    _log.warning("the node's certificate is not renewed; trying again", extra={"error": str(error)})
                else:
                    kubeconfig.write(_kept(self._settings.home), access)
                    for each in present:
                        each(access)
                    _log.info("the node's certificate is renewed", extra={"node": self._invitation.node})
            await self._clock.sleep(_LOOK_SECONDS)


def _own_address(host: str, port: int) -> str:
    """The address from which this machine reaches a server; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, suppress(OSError):
        asking.connect((host, port))
        return str(asking.getsockname()[0])
    return "127.0.0.1"


def _kept(home: Path) -> Path:
    return home / "node.kubeconfig"


async def _admitted(home: Path, invitation: Invitation, clock: Clock) -> Access:
    """Who we are: as the certificate says that lies here, or one that the token or the kubeconfig gets us."""
    kept = _kept(home)
    if kept.exists() and not invitation.token and invitation.kubeconfig is None:
        access = kubeconfig.load(kept)
        access = replace(access, server=invitation.server or access.server)
        certificate.check_name(kept, access, invitation.node)
        return access
    if invitation.kubeconfig is not None:
        access = kubeconfig.load(invitation.kubeconfig, context=invitation.context or None)
        access = replace(access, server=invitation.server or access.server)
    elif invitation.token and invitation.ca_hash and invitation.server:
        authority = await certificate.authority(invitation.server, invitation.ca_hash)
        access = Access(invitation.server, ca=authority, token=invitation.token)
    else:
        raise StateError(
            f"{home}: this machine has no certificate of a node yet. Join with --token and --ca-hash, which `kedge invite` "
            "prints on the host, or a cluster with --kubeconfig."
        )
    access = await certificate.asked(access, invitation.node, clock, approve=invitation.kubeconfig is not None)
    await certificate.refuse_taken(access, invitation.node)
    kubeconfig.write(kept, access)
    return access
