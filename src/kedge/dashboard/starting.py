"""What a form that starts runs is about: the pipeline, stored or not, and what a run needs besides its arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from kedge.dashboard import choices
from kedge.dashboard.page import Form, Page, link
from kedge.errors import BadRequest, NotFound

Json = dict[str, Any]
_MOST = 200


@dataclass(frozen=True, slots=True)
class Source:
    """A pipeline that can be run.

    Attributes:
        spec: PipelineSpec IR.
        reference: The fields of a request that name it.
        pipeline: As REST shows it; empty for one that is not stored.
        version: Likewise; the newest one where none is pinned.
    """

    spec: Json
    reference: Json
    pipeline: Json
    version: Json

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.pipeline.get("display_name") or (self.spec.get("pipelineInfo") or {}).get("name") or "pipeline")


async def stored(page: Page, pipeline_id: str, version_id: str = "") -> Source:
    """A stored pipeline, in its newest version where none is named.

    Raises:
        ApiError: There is none.
    """
    pipeline = await page.api.get(f"/pipelines/{pipeline_id}")
    version = (
        await newest(page, pipeline_id)
        if not version_id
        else await page.api.get(f"/pipelines/{pipeline_id}/versions/{version_id}")
    )
    if version is None:
        raise NotFound(f"the pipeline {pipeline['display_name']!r} has no version yet. Upload one first.")
    reference = {"pipeline_id": pipeline_id, "pipeline_version_id": version["pipeline_version_id"]}
    return Source(unnested(version["pipeline_spec"]), {"pipeline_version_reference": reference}, pipeline, version)


async def of_run(page: Page, run: Mapping[str, Any]) -> Source:
    """The pipeline of something that ran or recurs: the stored version, or what was given with it."""
    reference = run.get("pipeline_version_reference") or {}
    if reference.get("pipeline_id"):
        return await stored(page, reference["pipeline_id"], reference.get("pipeline_version_id", ""))
    if "pipeline_spec" not in run:
        raise NotFound("the version of the pipeline that it ran was deleted, so it cannot be run again.")
    return Source(unnested(run["pipeline_spec"]), {"pipeline_spec": run["pipeline_spec"]}, {}, {})


async def newest(page: Page, pipeline_id: str) -> Json | None:
    """The newest version of a pipeline, if there is any."""
    found = await page.api.get(f"/pipelines/{pipeline_id}/versions", page_size=1)
    return (found.get("pipeline_versions") or [None])[0]


def unnested(documents: Json) -> Json:
    """PipelineSpec IR out of a pipeline's documents, which are nested where there is one for the platform too."""
    return documents.get("pipeline_spec", documents)


async def which(page: Page, *, schedule: bool) -> Response:
    """Ask which pipeline is meant, among those that have what ``pipeline`` says in their names; go on where that is one.

    Args:
        page: Its address is the form's, which takes ``pipeline_id``.
        schedule: Whether it is a schedule that is made.
    """
    text = page.query("pipeline").strip()
    found = await choices.named(page, "pipelines", text, sort_by="display_name asc")
    meant = [one for one in found if one.get("display_name") == text] or found
    if text and len(meant) == 1:
        return page.go(link(page.request.url.path, pipeline_id=meant[0]["pipeline_id"]))
    return page.render("run_choose.html", pipelines=found, text=text, more=len(found) == _MOST, schedule=schedule)


async def experiments(page: Page, namespace: str = "") -> list[Json]:
    """Those that runs may go to, newest first.

    Args:
        page: Who asks.
        namespace: Whose; ``""`` for the page's.
    """
    found = await page.api.get("/experiments", page_size=_MOST, sort_by="created_at desc", namespace=namespace)
    return [each for each in found.get("experiments", []) if each.get("storage_state") != "ARCHIVED"]


async def chosen_experiment(page: Page, form: Form) -> str:
    """The id of the experiment that a form chose; one that it named anew is made.

    Raises:
        ApiError: It cannot be made; its causes name the field.
    """
    name = form.text("experiment_name").strip()
    if not name:
        return form.text("experiment_id")
    where = form.text("namespace").strip()
    known = await choices.named(page, "experiments", name, "EQUALS", namespace=where)
    named = {"display_name": name} | ({"namespace": where} if where else {})
    return (known[0] if known else await page.api.send("POST", "/experiments", named))["experiment_id"]


def as_tags(text: str) -> dict[str, str]:
    """Tags as people type them: ``team=vision, stage=test``.

    Raises:
        BadRequest: One has no name.

    Examples:
        >>> as_tags("team=vision, stage=test")
        {'team': 'vision', 'stage': 'test'}
    """
    found: dict[str, str] = {}
    for part in filter(None, (each.strip() for each in text.replace("\n", ",").split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise BadRequest(f"tags: {part!r:.80} is no tag. Write name=value, and a comma between two.")
        found[name.strip()] = value.strip()
    return found


def tags_as_typed(tags: Mapping[str, str] | None) -> str:
    """Tags as `as_tags` reads them."""
    return ", ".join(f"{name}={value}" for name, value in (tags or {}).items())
