"""REST: who the caller is, and where there is something for them."""

from starlette.responses import Response

from kedge.errors import Forbidden
from kedge.pipelines import answers
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.operations import Call, Operation, Param
from kedge.pipelines.rights import NOTHING
from kedge.server.callers import Callers


class CallerEndpoint:
    """Tells callers what is known of them.

    Args:
        callers: Knows them, and which namespaces are served.
        catalog: Knows in which namespaces there is something.
    """

    def __init__(self, callers: Callers, catalog: Catalog) -> None:
        self._callers = callers
        self._catalog = catalog

    def operation(self) -> Operation:
        """Its row of the table. It takes no right: everybody who is known may ask who they are."""
        return Operation(
            method="GET",
            path="/caller",
            work=self.get,
            summary="Who asks, and in which namespaces they may list runs",
            rights=NOTHING,
            answer="Caller",
            query=(Param("view", text="FULL tells the namespaces too; DEFAULT when left out."),),
        )

    async def get(self, call: Call) -> Response:
        """``GET /caller``."""
        body = {"name": call.user.name, "groups": list(call.user.groups), "multi_user": self._callers.multi_user}
        if call.text("view") == "FULL":
            body["namespaces"] = [name for name in self._namespaces() if await self._may_look(call, name)]
        return answers.answer({name: value for name, value in body.items() if value != []})

    def _namespaces(self) -> list[str]:
        """Those of which the hub knows: where there has been something, and those that it was told to serve."""
        return sorted({*self._catalog.namespaces(), *self._callers.served})

    async def _may_look(self, call: Call, namespace: str) -> bool:
        try:
            await self._callers.check(call.user, "list", "runs", namespace)
        except Forbidden:
            return False
        return True
