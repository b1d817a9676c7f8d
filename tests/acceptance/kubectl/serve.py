"""A server without a node, in a process of its own: the Kubernetes API on HTTPS, logs from a stand-in.

Usage: ``serve.py DIRECTORY``. Writes ``host.json`` into the directory when it is ready; ends on SIGTERM.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette

from kedge.client.local import LocalClient
from kedge.errors import BadRequest
from kedge.kube.clock import SystemClock, SystemIds
from kedge.kube.core import KINDS, NAMESPACE, POD, SERVICE_ACCOUNT
from kedge.kube.kinds import Column, Kind, Obj
from kedge.server import bootstrap, pki
from kedge.server.api import Api
from kedge.server.auth import Authenticator
from kedge.server.guard import LoopbackGuard
from kedge.server.http import routes
from kedge.server.listen import Listeners
from kedge.server.logs import LogOptions
from kedge.server.streams import Streams
from kedge.server.tokens import Tokens
from kedge.store.log import ObjectLog

TOKEN = "owner-token-of-the-test"
# A kind of a group of its own, as a feature brings one.
WIDGET = Kind(
    "Widget",
    "widgets",
    group="kedge.dev",
    short_names=("wd",),
    categories=("all",),
    subresources=("status",),
    schema={
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "description": "What the widget shall be.",
                "properties": {"size": {"type": "integer", "description": "How large."}, "colour": {"type": "string"}},
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    },
    columns=(Column("Size", lambda obj: obj.get("spec", {}).get("size", 0), type="integer"),),
)


class Lines:
    """A log of ten lines; followed, it says ``more`` until the Pod has ended."""

    def __init__(self, pods: "asyncio.Event") -> None:
        self._ended = pods

    async def read(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        if options.previous:
            raise BadRequest(f"previous terminated container {container!r} in pod {pod['metadata']['name']!r} not found")
        lines = [f"{container} line {number}\n".encode() for number in range(1, 11)]
        for line in lines[-options.tail :] if options.tail else lines:
            yield line
        if options.follow:
            await self._ended.wait()
            yield b"more\n"


async def main(directory: Path) -> None:
    """Serve until told to stop."""
    clock, ids = SystemClock(), SystemIds()
    ended, stopping = asyncio.Event(), asyncio.Event()
    files = pki.ensure(directory / "pki", clock)
    listeners = Listeners()
    ports = listeners.open()
    tokens = Tokens(files.load_signing_key(), f"https://127.0.0.1:{ports.https}", clock, ids)

    def place(verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        if verb == "create" and kind is POD:
            new["spec"].setdefault("nodeName", "here")

    api = Api(
        ObjectLog(directory / "objects.db"), [*KINDS, WIDGET], clock, ids, admission=[place], logs=Lines(ended), tokens=tokens
    )
    for name in ("default", "kube-system"):
        api.create(NAMESPACE, {"metadata": {"name": name}})
        api.create(SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": name}})
    bootstrap.ensure(api, storage_class="standard", provisioner="kedge.dev/folder")
    authenticator, streams = Authenticator(TOKEN, tokens, api), Streams()
    app = LoopbackGuard(Starlette(routes=routes(api, authenticator, version="0", streams=streams)))
    await listeners.start(app, files.certificate, files.key)
    node = asyncio.create_task(_run_pods(LocalClient(api), ended))
    spaces = asyncio.create_task(_empty_namespaces(LocalClient(api)))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    described = {"http": ports.http, "https": ports.https, "token": TOKEN, "ca": str(files.ca)}
    part = directory / "host.json.part"
    part.write_text(json.dumps(described))
    part.rename(directory / "host.json")
    await stopping.wait()
    node.cancel()
    spaces.cancel()
    await listeners.stop(streams.close)


async def _run_pods(client: LocalClient, ended: asyncio.Event) -> None:
    """What a node does, at its barest: Pods run, and are gone once they are told to end."""
    page = await client.list(POD)
    async for event in client.watch(POD, resource_version=page.resource_version):
        meta = event.object["metadata"]
        if event.type == "ADDED":
            status = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
            await client.patch(POD, meta["name"], meta["namespace"], status, subresource="status")
        elif event.type == "MODIFIED" and meta.get("deletionTimestamp"):
            ended.set()
            await client.delete(POD, meta["name"], meta["namespace"], grace_period=0)


async def _empty_namespaces(client: LocalClient) -> None:
    """What the namespace controller does, without the emptying."""
    page = await client.list(NAMESPACE)
    async for event in client.watch(NAMESPACE, resource_version=page.resource_version):
        if event.type == "MODIFIED" and event.object["metadata"].get("deletionTimestamp"):
            await client.update(NAMESPACE, {**event.object, "spec": {"finalizers": []}}, subresource="finalize")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
