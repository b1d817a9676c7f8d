"""The composition root of a hub that works against a cluster: the same features over the cluster's own API server.

There is no store, no node and no scheduler here: the cluster has them. The hub runs on a laptop, beside a relay through which
Pods reach it, or in the cluster, behind a Service; the code is the same. It starts from the ground up, like `kedge.app`.
"""

import asyncio
import logging
import os
import re
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from starlette.routing import BaseRoute

from kedge import __version__, exposition, relayed
from kedge.artifacts import staging
from kedge.artifacts.pod_tokens import PodTokens
from kedge.artifacts.store import ArtifactStore
from kedge.client.definitions import established
from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.client.relay import Relay
from kedge.client.scoped import ScopedClient
from kedge.client.types import Client
from kedge.config import Settings
from kedge.dashboard import app as dashboard
from kedge.dashboard.access import OwnerAccess
from kedge.dashboard.cluster_access import ClusterAccess
from kedge.errors import AlreadyExists, Forbidden, NotFound, StateError, UnsupportedError
from kedge.home import Home, Host
from kedge.kube.clock import SystemClock, SystemIds, timestamp
from kedge.kube.core import CONFIG_MAP, EVENT, PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.crds import CRD, crd
from kedge.kube.kinds import Kind
from kedge.leading import Leadership, check_alone
from kedge.manifests import rights
from kedge.manifests.options import ALL
from kedge.pipelines import demo
from kedge.pipelines import feature as pipelines
from kedge.pipelines.pod_logs import PodLogs
from kedge.running import (
    Parts,
    Told,
    cluster_pages,
    limits,
    looked_through,
    measured,
    owner_pages,
    owner_token,
    readable,
    run_until_told,
    untold,
)
from kedge.server import guarded, passed_on
from kedge.server.auth import OwnerToken
from kedge.server.callers import Callers, OwnerCallers
from kedge.server.cluster_callers import ClusterCallers, TrustedProxy
from kedge.server.cluster_tokens import ClusterTokens
from kedge.server.forwarded import Forwarded
from kedge.server.guard import LoopbackGuard
from kedge.server.health import health
from kedge.server.inside import call
from kedge.server.listen import LOOPBACK, Listeners
from kedge.standing import Addresses, Standing

_log = logging.getLogger(__name__)

MINIMUM = (1, 29)
"""The first Kubernetes whose Pods have sidecars (``initContainers[].restartPolicy: Always``) without asking for them."""
# What asks for nodes must see what waits for them; and where hundreds of Pods begin in a second, 64 wait for their kubelets.
_WAITING_PODS = 500
_ENDED_PODS = 10_000  # Kubernetes' own controllers begin to delete beyond 12,500
_SHOWN = (POD, EVENT, *pipelines.KINDS, CONFIG_MAP, PERSISTENT_VOLUME_CLAIM)
"""Kinds whose objects an installed hub shows to those who may see them."""
_UNREADABLE = "the history cannot be read; the log may say why"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a hub works, and where it listens.

    Attributes:
        access: How it reaches the cluster.
        kubeconfig: The file that says so; ``None`` in a Pod.
        listen: Address of the HTTP listener.
        address: The hub's address, as Pods reach it; ``""`` for a relay's, or the listener's own where that is not loopback.
        port: Of the HTTP listener; ``None`` for the one that the data directory always had, or any.
        context: The context of the kubeconfig.
    """

    access: Access
    kubeconfig: Path | None = None
    listen: str = LOOPBACK
    address: str = ""
    port: int | None = None
    context: str = ""

    @property
    def relayed(self) -> bool:
        """Whether Pods need a relay to reach the hub."""
        return self.kubeconfig is not None and not self.address and self.listen == LOOPBACK


def serve(settings: Settings, place: Place, ready: Told = untold) -> None:
    """Run a hub in this process until it is told to stop by SIGTERM or SIGINT.

    Args:
        settings: How.
        place: Where.
        ready: Called when it serves.

    Raises:
        StateError: The data directory or the cluster cannot be used.
        KedgeError: The port is in use.
    """
    run_until_told(settings, hub(settings, place), waits=bool(settings.lease), ready=ready)


def migrate(settings: Settings) -> str:
    """Bring the history to the version of this code, as nobody else uses it.

    Returns:
        What was done, in words.

    Raises:
        StateError: A newer version wrote it, or a hub uses it.
        Unavailable: It cannot be reached.
    """
    home = Home.acquire(settings.home, __version__)
    try:
        return pipelines.migrate_history(settings, home.path / "history.db")
    finally:
        home.release()


@asynccontextmanager
async def hub(settings: Settings, place: Place) -> AsyncGenerator["asyncio.Future[None]"]:
    """Start a hub; it runs until the block is left.

    Yields:
        Done, with an exception, when a part of the hub has failed for good.
    """
    relayed.check_store(settings)
    relayed.check_address(place.listen, place.address)
    home = Home.acquire(settings.home, __version__)
    try:
        if place.kubeconfig is not None:
            relayed.remember(home.path, place.access, place.kubeconfig, place.context)
        listeners = Listeners(home.ports()[0] if place.port is None else place.port, None, address=place.listen)
        home.remember_ports(listeners.open().http, 0)
        try:
            async with HttpClient(place.access) as client:
                await _check_cluster(client)
                if place.kubeconfig is not None and ALL not in settings.watch_namespaces:
                    await check_alone(client, _seen(settings, client))
                for kind in pipelines.KINDS:
                    # In a Pod it is for kedge install to define it: the hub has no right beyond its namespaces.
                    await (_look(client, kind, settings) if place.kubeconfig is None else _ensure(client, kind, settings))
                async with (
                    _at_work(settings, listeners, client) as leader,
                    _parts(settings, (home, place), listeners, client, leader) as failed,
                ):
                    yield failed
        finally:
            listeners.close()
    finally:
        home.release()


@asynccontextmanager
async def _at_work(settings: Settings, listeners: Listeners, client: HttpClient) -> AsyncGenerator[Leadership | None]:
    """Wait for this hub's turn, where there are several; answered is meanwhile that it stands by."""
    if not settings.lease:
        yield None
        return
    leader = Leadership(settings, client, SystemClock(), SystemIds())
    await leader.stand_by()
    await listeners.start(leader.front)
    try:
        await leader.election.acquire()
        yield leader
    finally:
        await leader.election.release()
        await listeners.stop(lambda: None)


@asynccontextmanager
async def _parts(
    settings: Settings, where: tuple[Home, Place], listeners: Listeners, client: HttpClient, leader: Leadership | None
) -> AsyncGenerator["asyncio.Future[None]"]:
    """Everything above the data directory, the bound port, the cluster and this hub's turn."""
    clock, ids = SystemClock(), SystemIds()
    home, place = where
    own = f"http://{LOOPBACK if place.listen in relayed.EVERYWHERE else place.listen}:{listeners.ports.http}"
    token = owner_token(home.path / "pki" / "owner.token", ids)
    owner = OwnerToken(token)
    tokens = ClusterTokens(client, clock)
    await tokens.prepare()
    background = Parts()
    if leader is not None:
        background.start("lease", leader.election.keep())
    shutil.rmtree(home.path / "scratch", ignore_errors=True)  # what a hub that was killed had on its way
    artifacts = ArtifactStore(
        home.path / "artifacts", home.path / "projects", settings.artifacts, environ=settings.environ, clock=clock, here=False
    )
    seen = [None if namespace == ALL else namespace for namespace in _seen(settings, client)]
    relay = Relay(client, relayed.identity(home.path, ids), settings.stager_image, seen=seen) if place.relayed else None
    address = place.address or (relay.address if relay else own)
    writer = client if leader is None else leader.client
    feature = pipelines.Feature(
        pipelines.open_history(settings, home.path / "history.db", take_over=leader is not None),
        _surroundings(settings, (client, writer), artifacts, address),
        replace(limits(settings), waiting_pods=_WAITING_PODS, ended_pods_meanwhile=_ENDED_PODS),
    )
    feature.database.on_damage = background.give_up
    callers = _callers(settings, place, client, tokens)
    standing = Standing(settings, feature, Addresses(own, place.access.server), clock)
    routes: list[BaseRoute] = [
        *feature.routes(callers or OwnerCallers(owner), __version__, standing),
        *staging.routes(PodTokens(tokens), feature.staging, artifacts),
        *health({"history": readable(lambda: feature.history.run(""), _UNREADABLE)}),
        *(passed_on.routes(client, owner) if callers is None else guarded.routes(client, callers, _SHOWN, rights.RUNS)),
        *dashboard.routes(_pages(home.path, (token, callers), clock, ids), clock, __version__, demo.document),
    ]
    counted = exposition.Parts(__version__, clock.now().timestamp(), feature)
    web = Forwarded(measured(routes, pipelines.KINDS, counted, None if settings.metrics_auth == "none" else owner))
    try:
        if relay is not None:
            await relay.bring()
        await background.reach(feature.start())
        if relay is not None:
            background.start("relay", (await relay.start(partial(call, web))).run())
        if leader is None:
            await listeners.start(LoopbackGuard(web) if place.listen == LOOPBACK else web)
        else:
            leader.front.app = web
            await leader.take_requests()
        home.announce(_announcement(home, place, own, token, timestamp(clock.now())))
        background.start("soundness", looked_through(feature.database))
        _log.info("ready", extra={"http": own, "cluster": place.access.server, "version": __version__})
        yield background.failed
    finally:
        await listeners.stop(feature.close_streams)
        await standing.stop()
        await feature.stop()
        await background.stop()


def _seen(settings: Settings, client: HttpClient) -> tuple[str, ...]:
    """The namespaces in which the hub looks for Runs; `ALL` for every one."""
    return settings.watch_namespaces or (client.namespace,)


def _surroundings(
    settings: Settings, clients: tuple[HttpClient, Client], artifacts: ArtifactStore, address: str
) -> pipelines.Surroundings:
    client, writer = clients
    seen = _seen(settings, client)
    return pipelines.Surroundings(
        writer if ALL in seen else ScopedClient(writer, seen),
        artifacts,
        PodLogs(client),
        address,
        SystemClock(),
        SystemIds(),
        settings.kfp_runtime,
        events=(settings.openlineage_url, settings.openlineage_api_key),
        version=__version__,
        namespace=client.namespace if client.namespace in seen or ALL in seen else seen[0],
        stager=settings.stager_image,
        reports=True,
    )


def _callers(settings: Settings, place: Place, client: HttpClient, tokens: ClusterTokens) -> ClusterCallers | None:
    """The cluster's callers, in the cluster; ``None`` on a laptop, whose owner alone is served, unless settings say otherwise."""
    if (settings.callers or ("cluster" if place.kubeconfig is None else "owner")) == "owner":
        return None
    proxy = TrustedProxy.of(settings.trusted_proxy, settings.trusted_proxy_secret)
    seen = _seen(settings, client)
    return ClusterCallers(client, tokens, SystemClock(), (client.namespace, None if ALL in seen else seen), proxy)


def _pages(home: Path, whose: tuple[str, Callers | None], clock: SystemClock, ids: SystemIds) -> OwnerAccess | ClusterAccess:
    token, callers = whose
    return owner_pages(home, token, clock, ids) if callers is None else cluster_pages(home, clock, ids)


def _announcement(home: Home, place: Place, own: str, token: str, now: str) -> Host:
    return Host(
        http=own,
        https=place.access.server,
        token=token,
        kubeconfig=str(place.kubeconfig or ""),
        data_dir=str(home.path),
        pid=os.getpid(),
        version=__version__,
        started_at=now,
    )


async def _check_cluster(client: HttpClient) -> None:
    """Refuse a cluster that is too old.

    Raises:
        UnsupportedError: Says its version and the first that would do.
        Unavailable: It cannot be reached.
    """
    found = await client.version()
    numbers = [re.match(r"\d+", str(found.get(name, ""))) for name in ("major", "minor")]
    version = tuple(int(number[0]) for number in numbers if number is not None)
    if len(version) == len(MINIMUM) and version < MINIMUM:
        least = ".".join(map(str, MINIMUM))
        raise UnsupportedError(
            f"the cluster runs Kubernetes {found.get('gitVersion')}; Kedge needs {least} or newer, whose Pods have sidecars. "
            "Upgrade it, or name another cluster."
        )


async def _ensure(client: HttpClient, kind: Kind, settings: Settings) -> None:
    """See that the cluster serves a kind of ours, and let it do so where we may.

    Raises:
        StateError: It does not, and we may not define it.
    """
    wanted = crd(kind)
    name = wanted["metadata"]["name"]
    try:
        found = await client.get(CRD, name)
    except Forbidden:
        await _look(client, kind, settings)
        return
    except NotFound:
        try:
            found = await client.create(CRD, wanted)
        except AlreadyExists:
            found = await client.get(CRD, name)
        except Forbidden as error:
            raise StateError(
                f"the cluster does not serve {name} yet, and we may not define it: {error} "
                "Run `kedge install` as an administrator."
            ) from error
    if found["spec"]["versions"][0]["schema"] != wanted["spec"]["versions"][0]["schema"]:
        try:
            await client.patch(CRD, name, None, {"spec": wanted["spec"]})
        except Forbidden:
            _log.warning(
                "the cluster's definition is of another version of Kedge, and may not be changed from here", extra={"kind": name}
            )
    await established(client, found)


async def _look(client: HttpClient, kind: Kind, settings: Settings) -> None:
    place = _seen(settings, client)[0]
    try:
        await client.list(kind, None if place == ALL else place, limit=1)
    except NotFound as error:
        raise StateError(f"the cluster does not serve {kind.resource}. Run `kedge install` as an administrator.") from error
