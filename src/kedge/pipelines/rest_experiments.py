"""REST: experiments."""

from starlette.responses import Response

from kedge.errors import BadRequest
from kedge.pipelines import answers, shapes
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.operations import Call


class Experiments:
    """The endpoints of experiments.

    Args:
        catalog: Where they are.
        namespace: Where things go if nobody says.
    """

    def __init__(self, catalog: Catalog, namespace: str) -> None:
        self._catalog = catalog
        self._namespace = namespace

    async def create(self, call: Call) -> Response:
        """``POST /experiments``."""
        asked = call.body
        if not asked.display_name:
            raise BadRequest("the Experiment: display_name must not be empty.")
        made = self._catalog.add_experiment(call.home, asked.display_name, asked.description or "")
        return answers.answer(shapes.experiment(made))

    async def list(self, call: Call) -> Response:
        """``GET /experiments``."""
        self._catalog.default_experiment(call.namespace or self._namespace)
        page = self._catalog.list_experiments(call.listing, namespace=call.namespace or "")
        return answers.listed("experiments", [shapes.experiment(record) for record in page.items], page)

    async def get(self, call: Call) -> Response:
        """``GET /experiments/{experiment_id}``."""
        return answers.answer(shapes.experiment(self._catalog.experiment(call.path["experiment_id"])))

    async def delete(self, call: Call) -> Response:
        """``DELETE /experiments/{experiment_id}``."""
        self._catalog.delete_experiment(call.path["experiment_id"])
        return answers.answer({})

    async def archive(self, call: Call) -> Response:
        """``POST /experiments/{experiment_id}:archive``, with all its runs."""
        self._catalog.archive_experiment(call.path["experiment_id"])
        return answers.answer({})

    async def unarchive(self, call: Call) -> Response:
        """``POST /experiments/{experiment_id}:unarchive``, without its runs."""
        self._catalog.unarchive_experiment(call.path["experiment_id"])
        return answers.answer({})
