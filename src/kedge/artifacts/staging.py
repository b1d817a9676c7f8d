"""The hub's half of staging: a step asks what it is to do, and says what it did.

``begin`` hands a Pod its inputs and the grants to move them; ``transfers``, ``listing`` and ``complete`` are for what one signed
address cannot carry; ``commit`` records its outputs. *What is not committed did not happen.* All of them name the Pod's UID and
are answered only for the Pod that the bearer token is bound to, so that a step can reach nothing but its own files.
``docs/staging.md`` describes every field.

The parts are plugged together here and know nothing of each other: a `Verifier` says which Pod a token belongs to, a `Backend`
(a feature) says what that Pod is to do, the `ArtifactStore` says how bytes may be moved.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kedge.artifacts.grants import addresses, give_outputs, own
from kedge.artifacts.store import ArtifactStore
from kedge.artifacts.transfers import File
from kedge.client.status import to_status
from kedge.errors import ApiError, BadRequest, Forbidden, Invalid, Unauthorized
from kedge.server.requests import read_body

MAX_BODY = 64 << 20  # bytes of a commit: parameters and metadata only, never an artifact's content
MAX_POINTS = 10_000  # of series, in one request
MAX_FILES = 200  # whose addresses are asked for at once
PROTOCOLS = (1,)  # versions that are understood; Pods outlive upgrades, so N-1 stays here when N comes


_Whole = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_Size = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Moment = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999_999)]  # microseconds until the end of the year 9999
SentPoint = tuple[_Whole, _Moment, float | Literal["NaN", "Infinity", "-Infinity"]]
"""Step, microseconds since 1970, and value: JSON has no NaN and no infinities, so they come as text."""


class PodIdentity(msgspec.Struct, frozen=True):
    """The Pod that a token is bound to."""

    namespace: str
    name: str
    uid: str


class Assignment(msgspec.Struct, frozen=True):
    """What one Pod is to do.

    Attributes:
        executor_input: Kubeflow's ExecutorInput (camelCase JSON): parameter values, input artifacts with their addresses, and for
            every output where it goes. Grants are made for exactly the addresses in it.
        project: Digest of the project code that the step imports, or ``""``.
        digests: What earlier steps committed at the addresses of its inputs, so that it can check what it fetches; empty where a
            step committed that it wrote nothing.
    """

    executor_input: dict[str, Any]
    project: str = ""
    digests: Mapping[str, str] = {}


class StoredArtifact(msgspec.Struct, frozen=True, omit_defaults=True):
    """One artifact that a step made, as it says so itself.

    Attributes:
        name: The output's name.
        uri: Where it lies.
        type: Schema title, such as ``system.Model``.
        metadata: What the step logged about it.
        digest: ``sha256:<hex>`` of the content (of the manifest, for a folder); ``""`` when the step wrote none.
        size: Bytes; ``None`` when the step wrote none.
    """

    name: str
    uri: str
    type: str = "system.Artifact"
    metadata: dict[str, Any] = {}
    digest: str = ""
    size: _Size | None = None


class StagedOutputs(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that one attempt produced.

    Attributes:
        parameters: JSON values by output name.
        texts: Parameters as the text of a file, from steps that do not know their types; the backend reads them by their
            declaration.
        artifacts: By output name; always lists, in the order in which the step listed them.
    """

    parameters: Mapping[str, Any] = {}
    texts: Mapping[str, str] = {}
    artifacts: Mapping[str, Sequence[StoredArtifact]] = {}


class Batch(msgspec.Struct, frozen=True):
    """Points of one series that an attempt logged.

    Attributes:
        output: The output artifact that it belongs to.
        name: The metric's.
        points: By their steps.
        index: Which artifact, of an output that is a list.
    """

    output: Annotated[str, msgspec.Meta(min_length=1)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=250)]
    points: list[SentPoint]
    index: Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)] = 0


class Verifier(Protocol):
    """Knows whose token it is."""

    async def verify(self, token: str) -> PodIdentity:
        """Say which Pod a bearer token is bound to.

        Raises:
            Unauthorized: It is not known, is over, is for another audience than ``kedge``, or is bound to no living Pod.
        """
        ...


class Backend(Protocol):
    """Knows what a Pod is to do, and records what it did. Called on the event loop."""

    async def begin(self, pod_uid: str) -> Assignment:
        """Say what the Pod is to do. May be asked any number of times.

        Raises:
            Conflict: This Pod is not wanted any more, or never was one of ours.
        """
        ...

    async def commit(self, pod_uid: str, outputs: StagedOutputs) -> None:
        """Record the outputs. The second time with the same Pod changes nothing and is no error.

        Raises:
            Conflict: This attempt is not wanted any more (cancelled, or another took its place).
            Invalid: An output does not fit its declaration; the message names it and both types. This is the user's failure.
        """
        ...

    async def record(self, pod_uid: str, series: Sequence[Batch]) -> None:
        """Record points of series while the step runs. The same points again change nothing.

        Raises:
            Conflict: This attempt is not wanted any more, or has committed.
            Invalid: There is no such output.
        """
        ...


def routes(verifier: Verifier, backend: Backend, store: ArtifactStore) -> list[BaseRoute]:
    """The routes of the staging API, for the HTTP listener.

    Args:
        verifier: Says whose token it is.
        backend: Says what a Pod is to do, and records what it did.
        store: Where artifacts lie.
    """
    desk = _Desk(verifier, backend, store)
    return [
        Route("/apis/kedge.dev/v1/staging/begin", desk.begin, methods=["POST"]),
        Route("/apis/kedge.dev/v1/staging/transfers", desk.transfers, methods=["POST"]),
        Route("/apis/kedge.dev/v1/staging/listing", desk.listing, methods=["POST"]),
        Route("/apis/kedge.dev/v1/staging/complete", desk.complete, methods=["POST"]),
        Route("/apis/kedge.dev/v1/staging/metrics", desk.metrics, methods=["POST"]),
        Route("/apis/kedge.dev/v1/staging/commit", desk.commit, methods=["POST"]),
    ]


class _Begin(msgspec.Struct, frozen=True):
    podUid: str = ""  # noqa: N815  # as it travels
    protocol: int = PROTOCOLS[0]
    user: int = 0


class _Commit(msgspec.Struct, frozen=True):
    outputs: StagedOutputs
    podUid: str = ""  # noqa: N815  # as it travels
    protocol: int = PROTOCOLS[0]


class _Move(msgspec.Struct, frozen=True):
    uri: str
    files: list[File]
    side: Literal["inputs", "outputs"] = "outputs"
    podUid: str = ""  # noqa: N815  # as it travels
    protocol: int = PROTOCOLS[0]


class _List(msgspec.Struct, frozen=True):
    uri: str
    podUid: str = ""  # noqa: N815  # as it travels
    protocol: int = PROTOCOLS[0]


class _Complete(msgspec.Struct, frozen=True):
    uri: str
    file: File
    etags: list[str]
    podUid: str = ""  # noqa: N815  # as it travels
    protocol: int = PROTOCOLS[0]


class _Metrics(msgspec.Struct, frozen=True):
    series: list[Batch]
    podUid: str = ""  # noqa: N815  # as it travels
    protocol: int = PROTOCOLS[0]


_Body = TypeVar("_Body", _Begin, _Move, _List, _Complete, _Metrics, _Commit)


class _Desk:
    """Where Pods come to: checks who they are and what they bring, before a feature sees it."""

    def __init__(self, verifier: Verifier, backend: Backend, store: ArtifactStore) -> None:
        self._verifier = verifier
        self._backend = backend
        self._store = store

    async def begin(self, request: Request) -> Response:
        return await _answered(self._begin(request))

    async def transfers(self, request: Request) -> Response:
        return await _answered(self._transfers(request))

    async def listing(self, request: Request) -> Response:
        return await _answered(self._listing(request))

    async def complete(self, request: Request) -> Response:
        return await _answered(self._complete(request))

    async def commit(self, request: Request) -> Response:
        return await _answered(self._commit(request))

    async def metrics(self, request: Request) -> Response:
        return await _answered(self._metrics(request))

    async def _begin(self, request: Request) -> dict[str, Any]:
        pod, said = await self._admitted(request, _Begin)
        assignment = await self._assigned(pod)
        made = await self._store.grants.of(assignment.executor_input, assignment.project, assignment.digests, pod.namespace)
        if said.user > 0:
            await asyncio.to_thread(give_outputs, made, said.user)
        return {"executorInput": assignment.executor_input, "grants": made}

    async def _transfers(self, request: Request) -> dict[str, Any]:
        pod, said = await self._admitted(request, _Move)
        own((await self._assigned(pod, said.uri)).executor_input, said.side, said.uri)
        if len(said.files) > MAX_FILES:
            raise BadRequest(f"addresses of {len(said.files)} files were asked for at once; ask for {MAX_FILES} at most.")
        make = self._store.transfers.read if said.side == "inputs" else self._store.transfers.write
        return {"files": [await make(said.uri, file) for file in said.files]}

    async def _listing(self, request: Request) -> dict[str, Any]:
        pod, said = await self._admitted(request, _List)
        own((await self._assigned(pod, said.uri)).executor_input, "inputs", said.uri)
        return {"files": [{"path": file.path, "size": file.size} for file in await self._store.files(said.uri)]}

    async def _complete(self, request: Request) -> dict[str, Any]:
        pod, said = await self._admitted(request, _Complete)
        own((await self._assigned(pod, said.uri)).executor_input, "outputs", said.uri)
        await self._store.transfers.complete(said.uri, said.file, said.etags)
        return {"completed": True}

    async def _assigned(self, pod: PodIdentity, *more: str) -> Assignment:
        """What a Pod is to do, and nothing of another namespace, wherever the addresses come from."""
        assignment = await self._backend.begin(pod.uid)
        for uri in (*addresses(assignment.executor_input), *more):
            if fault := self._store.place_fault(uri, pod.namespace):
                raise Invalid(f"{fault}.")
        return assignment

    async def _metrics(self, request: Request) -> dict[str, Any]:
        pod, said = await self._admitted(request, _Metrics)
        if (points := sum(len(batch.points) for batch in said.series)) > MAX_POINTS:
            raise BadRequest(f"{points} points were sent at once; send {MAX_POINTS} at most.")
        await self._backend.record(pod.uid, said.series)
        return {"recorded": points}

    async def _commit(self, request: Request) -> dict[str, Any]:
        pod, said = await self._admitted(request, _Commit)
        for name, listed in said.outputs.artifacts.items():
            for artifact in listed:
                if fault := self._store.place_fault(artifact.uri, pod.namespace):
                    raise Invalid(f"output {name!r}: {fault}.")
                if fault := await self._store.check(artifact.uri, artifact.digest, artifact.size):
                    raise Invalid(f"output {name!r}: {fault}.")
        await self._backend.commit(pod.uid, said.outputs)
        return {"committed": True}

    async def _admitted(self, request: Request, kind: type[_Body]) -> tuple[PodIdentity, _Body]:
        """Who asks, and what it says."""
        word, _, token = request.headers.get("authorization", "").partition(" ")
        if word.lower() != "bearer" or not token:
            raise Unauthorized(
                "staging needs the Pod's own token: Authorization: Bearer <the projected token of audience kedge>."
            )
        pod = await self._verifier.verify(token.strip())
        too_large = f"the outputs are larger than {MAX_BODY >> 20} MiB of JSON. Write what is large to an artifact."
        body = await read_body(request.scope, request.receive, limit=MAX_BODY, too_large=too_large)
        try:
            said = msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"the body is not what staging reads: {error}. docs/staging.md describes it.") from error
        if said.protocol not in PROTOCOLS:
            known = ", ".join(map(str, PROTOCOLS))
            raise BadRequest(
                f"staging protocol {said.protocol} is not spoken here, only {known}. Upgrade the hub, or run the step again."
            )
        if said.podUid not in {"", pod.uid}:
            raise Forbidden(
                f"the token belongs to Pod {pod.uid}, but the request names {said.podUid}. A Pod stages only its own files."
            )
        return pod, said


async def _answered(answer: Awaitable[dict[str, Any]]) -> Response:
    try:
        code, body = 200, await answer
    except ApiError as error:
        code, body = error.code, to_status(error)
        if error.retry_after is not None:
            after = {"retry-after": str(max(1, round(error.retry_after)))}
            return Response(msgspec.json.encode(body), code, after, "application/json")
    return Response(msgspec.json.encode(body), code, media_type="application/json")
