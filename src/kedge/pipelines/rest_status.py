"""REST: how the host is, and what it holds."""

from typing import Any, Protocol

from starlette.responses import Response

from kedge.errors import Forbidden
from kedge.kube.clock import timestamp
from kedge.pipelines import answers
from kedge.pipelines.operations import NAMESPACE, Call, Operation
from kedge.pipelines.rights import may
from kedge.pipelines.storage import Storage
from kedge.pipelines.subjects import Subjects
from kedge.server.callers import Callers

Json = dict[str, Any]


class Standing(Protocol):
    """Knows the host that serves the API.

    Attributes:
        version: Kedge's.
        started_at: RFC 3339.
    """

    version: str
    started_at: str

    async def told(self) -> Json:
        """What is for its owner: processes, addresses, what waits, what lies where, room on its disks."""
        ...


class StatusEndpoint:
    """Tells how the host is.

    Args:
        callers: Knows who may be told what.
        storage: Knows what runs have stored.
        standing: Knows the host.
    """

    def __init__(self, callers: Callers, storage: Storage, standing: Standing) -> None:
        self._callers = callers
        self._storage = storage
        self._standing = standing

    def operation(self, of: Subjects) -> Operation:
        """Its row of the table."""
        return Operation(
            method="GET",
            path="/status",
            work=self.get,
            summary="How the host is, and what it holds",
            rights=may("list runs", of.listed),
            answer="Status",
            query=(NAMESPACE,),
        )

    async def get(self, call: Call) -> Response:
        """``GET /status``."""
        body: Json = {"version": self._standing.version, "started_at": self._standing.started_at}
        if (held := await self._storage.held(call.namespace)) is not None:
            body["artifacts"] = {"number": held.value.number, "bytes": held.value.size, "counted_at": timestamp(held.at)}
        if await self._may_see_all(call):
            body |= await self._standing.told()
        return answers.answer(body)

    async def _may_see_all(self, call: Call) -> bool:
        """Whether the hub's own figures are for a caller: for whoever may write what all namespaces share."""
        try:
            await self._callers.check(call.user, "create", "pipelines", "")
        except Forbidden:
            return False
        return True
