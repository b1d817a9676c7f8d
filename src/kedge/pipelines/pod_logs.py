"""Logs of steps' Pods on a cluster, from the API server, which asks the kubelets; the embedded node reads its own files."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Protocol

from kedge.kube.clock import timestamp
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.server.logs import LogOptions

_SILENCE = 60.0  # seconds for which a server that is not followed may say nothing


class Streams(Protocol):
    """What is needed of a client: `kedge.client.http.HttpClient` is one."""

    def stream(self, path: str, query: Mapping[str, str], silence: float | None = None) -> AsyncGenerator[bytes]:
        """Yield what a path answers, as it comes."""
        ...


class PodLogs:
    """`kedge.pipelines.ports.StepLogs` over an API server.

    Args:
        client: Speaks to it.
    """

    def __init__(self, client: Streams) -> None:
        self._client = client

    async def read(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the log in pieces.

        Raises:
            BadRequest: The container has not started.
            Unavailable: The API server or the Pod's kubelet does not answer.
        """
        query = {"container": container}
        if options.follow:
            query["follow"] = "true"
        if options.previous:
            query["previous"] = "true"
        if options.since is not None:
            query["sinceTime"] = timestamp(options.since)
        if options.tail is not None:
            query["tailLines"] = str(options.tail)
        if options.timestamps:
            query["timestamps"] = "true"
        if options.limit_bytes is not None:
            query["limitBytes"] = str(options.limit_bytes)
        path = POD.path(pod["metadata"]["namespace"], pod["metadata"]["name"], "log")
        async with aclosing(self._client.stream(path, query, None if options.follow else _SILENCE)) as pieces:
            async for piece in pieces:
                yield piece
