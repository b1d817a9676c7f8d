"""The composition root: the only module that knows every part, and puts them together into a host.

A host starts from the ground up (data directory, ports, keys, store, API), then what lives on the API (workloads, node,
pipelines), then the listeners; ``host.json`` is written last, when clients can use it. It stops in the opposite order and leaves
running steps to the supervisor.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from kedge import __version__, exposition
from kedge.artifacts import staging
from kedge.artifacts.staging import PodIdentity
from kedge.artifacts.store import ArtifactStore
from kedge.client import kubeconfig
from kedge.client.local import LocalClient
from kedge.config import Settings
from kedge.dashboard import app as dashboard
from kedge.errors import AlreadyExists, Unauthorized
from kedge.home import Home, Host
from kedge.kube import admission, apps
from kedge.kube.clock import Clock, Ids, SystemClock, SystemIds, timestamp
from kedge.kube.core import KINDS, NAMESPACE
from kedge.kube.crds import CRD
from kedge.node import provisioner
from kedge.node.agent import NodeAgent
from kedge.node.claims import CLASS, PROVISIONER, Claims
from kedge.node.network import is_step
from kedge.node.node_lifecycle import NodeLifecycle
from kedge.node.provisioner import Provisioner
from kedge.node.registration import Place
from kedge.node.scheduler import Scheduler
from kedge.node.staying import stays
from kedge.node.taints import Taints
from kedge.pipelines import demo
from kedge.pipelines import feature as pipelines
from kedge.running import (
    Parts,
    Told,
    limits,
    looked_through,
    measured,
    owner_pages,
    owner_token,
    readable,
    run_until_told,
    untold,
)
from kedge.server import bootstrap, pki, tolerations
from kedge.server import http as kubernetes
from kedge.server.accounts import Accounts
from kedge.server.allocations import Allocations
from kedge.server.api import Api
from kedge.server.auth import KEDGE_AUDIENCE, POD_NAME, Authenticator
from kedge.server.callers import OwnerCallers
from kedge.server.core import Admission
from kedge.server.distant import Calls, DistantLogs, DistantProcesses
from kedge.server.expansion import Expansion
from kedge.server.guard import LoopbackGuard
from kedge.server.joining import Joining, OutsideGuard
from kedge.server.lasting import LastingTokens
from kedge.server.limits import Limits
from kedge.server.listen import LOOPBACK, Listeners, Outside, outside_of
from kedge.server.own_service import OwnService
from kedge.server.priorities import Priorities
from kedge.server.quotas import Quotas
from kedge.server.settled import Settled
from kedge.server.streams import Streams
from kedge.server.tokens import Tokens
from kedge.standing import Addresses, Standing
from kedge.store.disk import Disk
from kedge.store.log import ObjectLog
from kedge.workloads import running as workloads

_log = logging.getLogger(__name__)

_UNREADABLE = "cannot be read; the log (hub.log) may say why"
NODE = "this-machine"
"""The name of the embedded host's own node."""


def serve(
    settings: Settings, *, http_port: int | None = None, https_port: int | None = None, listen: str = "", ready: Told = untold
) -> None:
    """Run a host in this process until it is told to stop by SIGTERM or SIGINT.

    Args:
        settings: Where and how.
        http_port: Port of REST and pages; ``None`` for the one this data directory always had, or any.
        https_port: Port of the Kubernetes API, likewise.
        listen: Address, and port, of the Kubernetes API for other machines; empty for none.
        ready: Called when it serves.

    Raises:
        StateError: The data directory cannot be used.
        KedgeError: A port is in use.
    """
    run_until_told(settings, host(settings, http_port=http_port, https_port=https_port, listen=listen), ready=ready)


@asynccontextmanager
async def host(
    settings: Settings, *, http_port: int | None = None, https_port: int | None = None, listen: str = ""
) -> AsyncGenerator["asyncio.Future[None]"]:
    """Start a host; it runs until the block is left.

    Yields:
        Done, with an exception, when a part of the host has failed for good.
    """
    clock, ids = SystemClock(), SystemIds()
    home = Home.acquire(settings.home, __version__)
    try:
        known = home.ports()
        listeners = Listeners(
            known[0] if http_port is None else http_port,
            known[1] if https_port is None else https_port,
            outside=outside_of(listen) if listen else None,
        )
        ports = listeners.open()
        try:
            home.remember_ports(ports.http, ports.https)
            async with _parts(settings, home, listeners, (clock, ids)) as failed:
                yield failed
        finally:
            listeners.close()
    finally:
        home.release()


class _Verifier:
    """Says to the staging API which Pod a token is bound to."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def verify(self, token: str) -> PodIdentity:
        user = self._authenticator.user(token, (KEDGE_AUDIENCE,))
        if user.pod_uid is None:
            raise Unauthorized("the token is bound to no Pod. Staging is for Pods, with their own projected token.")
        return PodIdentity(user.name.split(":")[2], user.extra[POD_NAME][0], user.pod_uid)


@asynccontextmanager
async def _parts(
    settings: Settings, home: Home, listeners: Listeners, sources: tuple[Clock, Ids]
) -> AsyncGenerator["asyncio.Future[None]"]:
    """Everything above the data directory and the bound ports."""
    clock, ids = sources
    http, https = (f"{scheme}://{LOOPBACK}:{port}" for scheme, port in zip(("http", "https"), listeners.ports, strict=True))
    keys = pki.ensure(home.path / "pki", clock, urlsplit(listeners.outside).hostname or "")
    tokens = Tokens(keys.load_signing_key(), https, clock, ids)
    token = owner_token(home.path / "pki" / "owner.token", ids)
    kinds = (*KINDS, *apps.KINDS, *admission.KINDS, CRD, *pipelines.KINDS)
    background = Parts()
    with closing(ObjectLog(home.path / "objects.db")) as store, closing(Disk(store, home.path / "objects.db")) as disk:
        hooks: list[Admission] = []
        api = Api(store, kinds, clock, ids, admission=hooks, tokens=tokens)
        client = LocalClient(api)
        scheduler = Scheduler(client, clock, ids, NODE, [Claims(client, settings.claims, node=NODE)], stays=stays)
        quotas = Quotas(store)
        accounts = Accounts(api, store, ids, sparing=is_step)
        hooks += _admission(store, ids, scheduler, quotas, accounts)
        _ensure_namespaces(api)
        bootstrap.ensure(api, storage_class=CLASS, provisioner=PROVISIONER)
        OwnService(api, store, LOOPBACK, listeners.ports.https)
        authenticator = Authenticator(token, tokens, api)
        streams = Streams(_settling(settings, disk))
        place = Place(ports=listeners.ports, api=(LOOPBACK, listeners.ports.https))
        node = NodeAgent(client, settings, clock, ids, node_name=NODE, place=place)
        calls = _reach(api, node, ids, listeners)
        artifacts = _artifacts(settings, home.path, clock)
        feature = pipelines.Feature(
            pipelines.open_history(settings, home.path / "history.db"),
            _surroundings(settings, client, node, artifacts, http=http, parts=(clock, ids)),
            limits(settings),
        )
        feature.database.on_damage = store.on_damage = disk.on_failure = background.give_up
        standing = Standing(settings, feature, Addresses(http, https), clock, node=node)
        routes = [
            *_of_other_machines(api, keys, listeners.outside, calls),
            *feature.routes(OwnerCallers(authenticator), __version__, standing),
            *staging.routes(_Verifier(authenticator), feature.staging, artifacts),
            *kubernetes.routes(api, authenticator, version=__version__, streams=streams, ready=_checks(store, feature, node)),
            *dashboard.routes(owner_pages(home.path, token, clock, ids), clock, __version__, demo.document),
        ]
        parts = exposition.Parts(__version__, clock.now().timestamp(), feature, store, node)
        web = _settled(settings, measured(routes, kinds, parts, None if settings.metrics_auth == "none" else authenticator), disk)
        try:
            access = LastingTokens(tokens, keys.ca.read_text())
            background.start("workloads", workloads.run(client, kinds, clock, quotas, access))
            await node.start()
            background.start("scheduler", scheduler.run())
            for name, controller in _of_nodes(settings, client, clock, ids).items():
                background.start(name, controller)
            await background.reach(scheduler.ready())
            await background.reach(feature.start())
            await listeners.start(LoopbackGuard(web), keys.certificate, keys.key, Outside(OutsideGuard(web), keys.ca))
            kubeconfig.write(home.path / "kubeconfig", kubeconfig.Access(https, ca=access.authority, token=token))
            home.announce(_announcement(home, (http, https, listeners.outside), token, timestamp(clock.now())))
            background.start("soundness", looked_through(store, feature.database))
            _log.info("ready", extra={"http": http, "https": https, "version": __version__})
            yield background.failed
        finally:
            await listeners.stop(streams.close, feature.close_streams)
            for part in (standing, feature, node, background, api):
                await part.stop()


def _of_nodes(settings: Settings, client: LocalClient, clock: Clock, ids: Ids) -> dict[str, Coroutine[Any, Any, None]]:
    """What sees to claims, taints and nodes that go silent."""
    return {
        "claims": Provisioner(client, clock, ids, settings.claims, node=NODE, environ=settings.environ).run(),
        "taints": Taints(client, clock, ids).run(),
        "node lifecycle": NodeLifecycle(client, clock, ids, NODE, grace=settings.node_monitor_grace_period).run(),
    }


def _admission(store: ObjectLog, ids: Ids, scheduler: Scheduler, quotas: Quotas, accounts: Accounts) -> list[Admission]:
    """The server's hooks. What fills in comes before what counts: a Pod's limits decide where it runs, and what it uses."""
    completing = [
        *(Limits(store).admit, accounts.admit, Priorities(store).admit, provisioner.admit, tolerations.admit, scheduler.admit),
        Allocations(store, ids).admit,
    ]
    return [*completing, Expansion(store).admit, quotas.admit]


def _reach(api: Api, node: NodeAgent, ids: Ids, listeners: Listeners) -> Calls:
    """Have the API reach the Pods of its own node, and those of others by what their agents keep open."""
    calls = Calls(ids)
    api.logs, api.processes = DistantLogs(NODE, node.logs, calls), DistantProcesses(NODE, node.processes, calls)
    api.own_ports = frozenset(listeners.ports)
    return calls


def _of_other_machines(api: Api, keys: pki.Pki, address: str, calls: Calls) -> list[BaseRoute]:
    """What other machines join by, and are reached by; nothing where they are not served."""
    return [*Joining(api, keys, address, NODE).routes(), *calls.routes()] if address else []


def _settling(settings: Settings, disk: Disk) -> Disk | None:
    """The disk, where what leaves the host must be there first."""
    return disk if settings.synchronous == "FULL" else None


def _settled(settings: Settings, web: ASGIApp, disk: Disk) -> ASGIApp:
    """The application, which waits for the disk where that is asked for."""
    return Settled(web, disk) if _settling(settings, disk) else web


def _announcement(home: Home, addresses: tuple[str, str, str], token: str, now: str) -> Host:
    return Host(
        http=addresses[0],
        https=addresses[1],
        token=token,
        kubeconfig=str(home.path / "kubeconfig"),
        data_dir=str(home.path),
        pid=os.getpid(),
        version=__version__,
        started_at=now,
        outside=addresses[2],
    )


def _surroundings(
    settings: Settings, client: LocalClient, node: NodeAgent, artifacts: ArtifactStore, *, http: str, parts: tuple[Clock, Ids]
) -> pipelines.Surroundings:
    clock, ids = parts
    return pipelines.Surroundings(
        client,
        artifacts,
        node.logs,
        http,
        clock,
        ids,
        settings.kfp_runtime,
        ahead=node.ahead,
        events=(settings.openlineage_url, settings.openlineage_api_key),
        version=__version__,
    )


def _artifacts(settings: Settings, home: Path, clock: Clock) -> ArtifactStore:
    shutil.rmtree(home / "scratch", ignore_errors=True)  # what a hub that was killed had on its way
    return ArtifactStore(home / "artifacts", home / "projects", settings.artifacts, environ=settings.environ, clock=clock)


def _checks(store: ObjectLog, feature: pipelines.Feature, node: NodeAgent) -> dict[str, Callable[[], str]]:
    """What must be well for the host to be used, for ``/readyz``: answered without a token, so they name no place."""
    return {
        "objects": readable(lambda: store.list("/readyz/", limit=1), f"the object store {_UNREADABLE}"),
        "history": readable(lambda: feature.history.run(""), f"the history {_UNREADABLE}"),
        "supervisor": lambda: "" if node.connected else "the supervisor does not answer",
    }


def _ensure_namespaces(api: Api) -> None:
    """Make the namespaces that every Kubernetes has."""
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        with suppress(AlreadyExists):
            api.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
