"""The composition root: the only module that knows every part, and puts them together into a host.

A host starts from the ground up (data directory, ports, keys, store, API), then what lives on the API (workloads, node,
pipelines), then the listeners; ``host.json`` is written last, when clients can use it. It stops in the opposite order and leaves
running steps to the supervisor.
"""

import asyncio
import ctypes
import gc
import logging
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from kedge import __version__, logs
from kedge.artifacts import staging
from kedge.artifacts.staging import PodIdentity
from kedge.artifacts.store import ArtifactStore
from kedge.client import kubeconfig
from kedge.client.local import LocalClient
from kedge.config import Settings
from kedge.errors import AlreadyExists, KedgeError, StateError, Unauthorized
from kedge.exposition import Exposition, Parts
from kedge.files import write_private
from kedge.home import Home, Host
from kedge.kube.clock import Clock, Ids, SystemClock, SystemIds, timestamp
from kedge.kube.core import KINDS, NAMESPACE
from kedge.node import provisioner
from kedge.node.agent import NodeAgent
from kedge.node.claims import Claims
from kedge.node.provisioner import Provisioner
from kedge.node.scheduler import Scheduler
from kedge.node.taints import Taints
from kedge.pipelines import feature as pipelines
from kedge.pipelines.controller import Limits
from kedge.server import http as kubernetes
from kedge.server import pki
from kedge.server.api import Api
from kedge.server.auth import KEDGE_AUDIENCE, POD_NAME, Authenticator
from kedge.server.core import Admission
from kedge.server.guard import LoopbackGuard
from kedge.server.listen import LOOPBACK, Listeners
from kedge.server.measured import Measured, words
from kedge.server.streams import Streams
from kedge.server.tokens import Tokens
from kedge.store.log import ObjectLog
from kedge.workloads import running as workloads

_log = logging.getLogger(__name__)

# After so long, what a start reads once has been read.
_STARTED_SECONDS = 1.0
NODE = "this-machine"
"""The name of the embedded host's only node."""


def serve(settings: Settings, *, http_port: int | None = None, https_port: int | None = None) -> None:
    """Run a host in this process until it is told to stop by SIGTERM or SIGINT.

    Args:
        settings: Where and how.
        http_port: Port of REST and pages; ``None`` for the one this data directory always had, or any.
        https_port: Port of the Kubernetes API, likewise.

    Raises:
        StateError: The data directory cannot be used.
        KedgeError: A port is in use.
    """
    logs.set_up(settings.log_format, settings.log_level)
    asyncio.run(_serve(settings, http_port, https_port))


async def _serve(settings: Settings, http_port: int | None, https_port: int | None) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with host(settings, http_port=http_port, https_port=https_port) as failed:
        # What was loaded and made so far stays: the collector need not look at it again, and forked memory stays shared.
        gc.collect()
        gc.freeze()
        gc.set_threshold(5000, 20, 20)  # of what a step makes, next to nothing is a cycle: looking less often is 7 % of a step
        loop.call_later(_STARTED_SECONDS, _give_back)
        done, _ = await asyncio.wait({asyncio.ensure_future(stopping.wait()), failed}, return_when=asyncio.FIRST_COMPLETED)
        if failed in done:
            failed.result()


def _give_back() -> None:
    """Hand memory that starting up needed for a moment back to the system; glibc keeps it otherwise, other libraries do not."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


@asynccontextmanager
async def host(
    settings: Settings, *, http_port: int | None = None, https_port: int | None = None
) -> AsyncGenerator["asyncio.Future[None]"]:
    """Start a host; it runs until the block is left.

    Yields:
        Done, with an exception, when a part of the host has failed for good.
    """
    clock, ids = SystemClock(), SystemIds()
    home = Home.acquire(settings.home, __version__)
    try:
        known = home.ports()
        listeners = Listeners(known[0] if http_port is None else http_port, known[1] if https_port is None else https_port)
        ports = listeners.open()
        try:
            home.remember_ports(ports.http, ports.https)
            async with _parts(settings, home, listeners, (clock, ids)) as failed:
                yield failed
        finally:
            listeners.close()
    finally:
        home.release()


class _Background:
    """The host's long-running parts: started together, ended together, and the first failure of any is the host's."""

    def __init__(self) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, part: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(part, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or self.failed.done() or (error := task.exception()) is None:
            return
        _log.error("a part of the host has failed", extra={"part": task.get_name()}, exc_info=error)
        self.failed.set_exception(error)

    def give_up(self, error: StateError) -> None:
        """End the host: what it stands on cannot be used any more, and no part of it can mend that."""
        if not self.failed.done():
            self.failed.set_exception(error)

    async def reach(self, point: Coroutine[Any, Any, None]) -> None:
        """Wait for a point of the start; raises why it will never come, if something has failed before."""
        waiting = asyncio.create_task(point)
        await asyncio.wait({waiting, self.failed}, return_when=asyncio.FIRST_COMPLETED)
        if self.failed.done():
            waiting.cancel()
            self.failed.result()
        await waiting

    async def stop(self) -> None:
        for task in reversed(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.failed.done():
            self.failed.exception()  # looked at: it was logged when it happened


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
    keys = pki.ensure(home.path / "pki", clock)
    tokens = Tokens(keys.load_signing_key(), https, clock, ids)
    owner_token = _owner_token(home.path / "pki" / "owner.token", ids)
    kinds = (*KINDS, *pipelines.KINDS)
    background = _Background()
    with closing(ObjectLog(home.path / "objects.db", synchronous=settings.synchronous)) as store:
        hooks: list[Admission] = []
        api = Api(store, kinds, clock, ids, admission=hooks, tokens=tokens)
        client = LocalClient(api)
        scheduler = Scheduler(client, clock, ids, NODE, [Claims(client, settings.claims)])
        hooks += [provisioner.admit, scheduler.admit]
        _ensure_namespaces(api)
        authenticator = Authenticator(owner_token, tokens, api)
        streams = Streams()
        node = NodeAgent(client, settings, clock, ids, node_name=NODE)
        api.logs = node.logs
        artifacts = _artifacts(settings, home.path, clock)
        feature = pipelines.Feature(
            pipelines.open_history(home.path / "history.db", synchronous=settings.synchronous),
            _surroundings(settings, client, node, artifacts, http=http, parts=(clock, ids)),
            _limits(settings),
        )
        feature.database.on_damage = store.on_damage = background.give_up
        routes = [
            *feature.routes(authenticator, __version__),
            *staging.routes(_Verifier(authenticator), feature.staging, artifacts),
            *kubernetes.routes(api, authenticator, version=__version__, streams=streams, ready=_checks(store, feature, node)),
        ]
        web = _measured(routes, Parts(__version__, clock.now().timestamp(), store, feature, node), settings, authenticator)
        try:
            background.start("workloads", workloads.run(client, kinds, clock))
            await node.start()
            background.start("claims", Provisioner(client, clock, ids, settings.claims).run())
            background.start("scheduler", scheduler.run())
            background.start("taints", Taints(client, clock, ids, NODE).run())
            await background.reach(scheduler.ready())
            await background.reach(feature.start())
            await listeners.start(LoopbackGuard(web), keys.certificate, keys.key)
            access = kubeconfig.Access(https, ca=keys.ca.read_text(), token=owner_token)
            kubeconfig.write(home.path / "kubeconfig", access)
            home.announce(_announcement(home, (http, https), owner_token, timestamp(clock.now())))
            _log.info("ready", extra={"http": http, "https": https, "version": __version__})
            yield background.failed
        finally:
            await listeners.stop(streams.close, feature.close_streams)
            await feature.stop()
            await node.stop()
            await background.stop()


def _announcement(home: Home, addresses: tuple[str, str], token: str, now: str) -> Host:
    return Host(
        http=addresses[0],
        https=addresses[1],
        token=token,
        kubeconfig=str(home.path / "kubeconfig"),
        data_dir=str(home.path),
        pid=os.getpid(),
        version=__version__,
        started_at=now,
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


def _measured(routes: list[BaseRoute], parts: Parts, settings: Settings, authenticator: Authenticator) -> Measured:
    """The application of both listeners, with ``/metrics``."""
    application = Starlette(routes=routes)
    measured = Measured(application, {*words(routes), *(kind.plural for kind in (*KINDS, *pipelines.KINDS))})
    exposition = Exposition(parts, measured, None if settings.metrics_auth == "none" else authenticator)
    application.routes.insert(0, Route("/metrics", exposition))
    return measured


def _checks(store: ObjectLog, feature: pipelines.Feature, node: NodeAgent) -> dict[str, Callable[[], str]]:
    """What must be well for the host to be used, for ``/readyz``: answered without a token, so they name no place."""

    def read(look: Callable[[], object], what: str) -> Callable[[], str]:
        def check() -> str:
            try:
                look()
            except KedgeError:
                return f"{what} cannot be read; the log (hub.log) may say why"
            return ""

        return check

    return {
        "objects": read(lambda: store.list("/readyz/", limit=1), "the object store"),
        "history": read(lambda: feature.history.run(""), "the history"),
        "supervisor": lambda: "" if node.connected else "the supervisor does not answer",
    }


def _limits(settings: Settings) -> Limits:
    return Limits(
        infra_retries=settings.infra_retries,
        final_status_complete=settings.final_status == "COMPLETE",
        cache_ttl=settings.cache_ttl,
    )


def _ensure_namespaces(api: Api) -> None:
    """Make the namespaces that every Kubernetes has."""
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        with suppress(AlreadyExists):
            api.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def _owner_token(path: Path, ids: Ids) -> str:
    """The owner's token: made once, kept in a file that only the owner reads."""
    if path.exists():
        return path.read_text().strip()
    token = ids.token()
    write_private(path, token)
    return token
