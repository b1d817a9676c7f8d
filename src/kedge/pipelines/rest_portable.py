"""REST: runs as files."""

from starlette.responses import Response, StreamingResponse

from kedge.pipelines import answers, shapes
from kedge.pipelines.imports import Imports
from kedge.pipelines.operations import Call
from kedge.pipelines.portable import Exports


class Portables:
    """The endpoints of runs as files."""

    def __init__(self, exports: Exports, imports: Imports) -> None:
        self._exports = exports
        self._imports = imports

    async def export(self, call: Call) -> Response:
        """``GET /runs/{run_id}:export``."""
        run_id = call.path["run_id"]
        pieces = await self._exports.open(run_id)
        headers = {"Content-Disposition": f'attachment; filename="{run_id}.kedge.tar.gz"'}
        return StreamingResponse(pieces, media_type="application/gzip", headers=headers)

    async def take(self, call: Call) -> Response:
        """``POST /runs:import``, with the file as its body."""
        return answers.answer(shapes.run(await self._imports.take(call.request.stream(), call.namespace)))
