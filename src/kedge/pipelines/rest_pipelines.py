"""REST: stored pipelines and their versions, experiments, artifacts."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from kedge.errors import BadRequest, NotFound
from kedge.kube.clock import Clock, Ids
from kedge.pipelines import answers, documents, shapes
from kedge.pipelines.adoption import Registrar
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.history import History
from kedge.pipelines.ports import Artifacts
from kedge.pipelines.records import PipelineRecord, Spec, VersionRecord

DEFAULT_NAMESPACE = "default"
# An artifact is data from a step: a page of it must not run in the hub's own origin.
_UNTRUSTED = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}


class CreateExperiment(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``POST /experiments``."""

    display_name: str
    description: str = ""
    namespace: str = ""


class Pipelines:
    """The endpoints of stored pipelines.

    Args:
        catalog: Where they are.
        history: Has their documents.
        registrar: Reads them.
        clock: For times.
        ids: For ids.
    """

    def __init__(self, catalog: Catalog, history: History, *, registrar: Registrar, clock: Clock, ids: Ids) -> None:
        self._catalog = catalog
        self._history = history
        self._registrar = registrar
        self._clock = clock
        self._ids = ids

    async def upload(self, request: Request) -> Response:
        """``POST /pipelines/upload``, multipart, field ``uploadfile``."""
        found = answers.query(request, "name", "display_name", "description", "namespace", "tags")
        spec = await self._uploaded(request)
        now = self._clock.now()
        name = found.get("name") or found.get("display_name") or spec.name
        shown = found.get("display_name") or name
        tags = _tags(found.get("tags", ""))
        record = PipelineRecord(
            id=self._ids.uid(),
            namespace=found.get("namespace") or DEFAULT_NAMESPACE,
            name=name,
            display_name=shown,
            description=found.get("description") or _description(spec),
            tags=tags,
            created_at=now,
        )
        version = self._version(record.id, name, shown, spec)
        self._catalog.add_pipeline(record, version, spec)
        return answers.answer(shapes.pipeline(record))

    async def upload_version(self, request: Request) -> Response:
        """``POST /pipelines/upload_version``, multipart, field ``uploadfile``."""
        found = answers.query(request, "name", "display_name", "description", "pipelineid", "tags")
        if not found.get("pipelineid"):
            raise BadRequest("pipelineid: is required: a version of which pipeline?")
        spec = await self._uploaded(request)
        name = found.get("name") or found.get("display_name") or f"{spec.name} {self._clock.now():%Y-%m-%d %H-%M-%S.%f}"
        version = self._version(found["pipelineid"], name, found.get("display_name") or name, spec)
        version = msgspec.structs.replace(version, description=found.get("description", ""), tags=_tags(found.get("tags", "")))
        self._catalog.add_version(version, spec)
        return answers.answer(shapes.version(version, spec))

    def _version(self, pipeline_id: str, name: str, shown: str, spec: Spec) -> VersionRecord:
        return VersionRecord(
            id=self._ids.uid(),
            pipeline_id=pipeline_id,
            name=name,
            display_name=shown,
            spec_digest=spec.digest,
            created_at=self._clock.now(),
        )

    async def _uploaded(self, request: Request) -> Spec:
        """The pipeline in an upload, checked."""
        async with request.form(max_files=1, max_part_size=answers.BODY_LIMIT) as form:
            file = form.get("uploadfile")
            if not isinstance(file, UploadFile):
                raise BadRequest("an upload is multipart/form-data with the file in the field uploadfile.")
            name, content = file.filename or "the upload", await file.read(answers.BODY_LIMIT)
        if name.endswith((".zip", ".gz", ".tgz")):
            raise BadRequest(f"{name}: archives are not read yet. Upload the .yaml or .json file in it.")
        document = documents.read(content, name)
        spec = Spec.of(document.pipeline, document.platforms)
        self._registrar.pipeline(spec)
        return spec

    async def list(self, request: Request) -> Response:
        """``GET /pipelines``."""
        found = answers.query(request, *answers.LISTING, "namespace")
        page = self._catalog.list_pipelines(answers.listing(found), namespace=found.get("namespace", ""))
        return answers.listed("pipelines", [shapes.pipeline(record) for record in page.items], page)

    async def get(self, request: Request) -> Response:
        """``GET /pipelines/{pipeline_id}``."""
        return answers.answer(shapes.pipeline(self._catalog.pipeline(request.path_params["pipeline_id"])))

    async def named(self, request: Request) -> Response:
        """``GET /pipelines/names/{name}``."""
        found = answers.query(request, "namespace")
        name = request.path_params["name"]
        record = self._catalog.pipeline_named(name, found.get("namespace") or DEFAULT_NAMESPACE)
        if record is None:
            raise NotFound(f"there is no pipeline named {name!r}. GET /apis/v2beta1/pipelines lists those that exist.")
        return answers.answer(shapes.pipeline(record))

    async def delete(self, request: Request) -> Response:
        """``DELETE /pipelines/{pipeline_id}``."""
        found = answers.query(request, "cascade")
        self._catalog.delete_pipeline(request.path_params["pipeline_id"], cascade=answers.flag(found, "cascade"))
        return answers.answer({})

    async def list_versions(self, request: Request) -> Response:
        """``GET /pipelines/{pipeline_id}/versions``."""
        found = answers.query(request, *answers.LISTING)
        page = self._catalog.list_versions(request.path_params["pipeline_id"], answers.listing(found))
        return answers.listed("pipeline_versions", [shapes.version(record) for record in page.items], page)

    async def get_version(self, request: Request) -> Response:
        """``GET /pipelines/{pipeline_id}/versions/{version_id}``."""
        record = self._catalog.version(request.path_params["pipeline_id"], request.path_params["version_id"])
        return answers.answer(shapes.version(record, self._history.spec(record.spec_digest)))

    async def delete_version(self, request: Request) -> Response:
        """``DELETE /pipelines/{pipeline_id}/versions/{version_id}``."""
        self._catalog.delete_version(request.path_params["pipeline_id"], request.path_params["version_id"])
        return answers.answer({})


class Experiments:
    """The endpoints of experiments."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def create(self, request: Request) -> Response:
        """``POST /experiments``."""
        asked = answers.decode(await answers.content(request), CreateExperiment, "an experiment")
        if not asked.display_name:
            raise BadRequest("an experiment: display_name must not be empty.")
        made = self._catalog.add_experiment(asked.namespace or DEFAULT_NAMESPACE, asked.display_name, asked.description)
        return answers.answer(shapes.experiment(made))

    async def list(self, request: Request) -> Response:
        """``GET /experiments``."""
        found = answers.query(request, *answers.LISTING, "namespace")
        self._catalog.default_experiment(found.get("namespace") or DEFAULT_NAMESPACE)
        page = self._catalog.list_experiments(answers.listing(found), namespace=found.get("namespace", ""))
        return answers.listed("experiments", [shapes.experiment(record) for record in page.items], page)

    async def get(self, request: Request) -> Response:
        """``GET /experiments/{experiment_id}``."""
        return answers.answer(shapes.experiment(self._catalog.experiment(request.path_params["experiment_id"])))

    async def delete(self, request: Request) -> Response:
        """``DELETE /experiments/{experiment_id}``."""
        self._catalog.delete_experiment(request.path_params["experiment_id"])
        return answers.answer({})

    async def act(self, request: Request) -> Response:
        """``POST /experiments/{experiment_id}:archive`` and ``:unarchive``."""
        experiment_id, _, verb = request.path_params["experiment_and_verb"].rpartition(":")
        states = {"archive": "ARCHIVED", "unarchive": "AVAILABLE"}
        if verb not in states:
            raise NotFound(f"there is no verb {verb!r} on experiments; there are archive and unarchive.")
        self._catalog.set_experiment_state(experiment_id, states[verb])
        return answers.answer({})


class ArtifactEndpoints:
    """The endpoints of artifacts."""

    def __init__(self, history: History, store: Artifacts) -> None:
        self._history = history
        self._store = store

    async def list(self, request: Request) -> Response:
        """``GET /artifacts``, of one run with ``run_id``."""
        found = answers.query(request, *answers.LISTING, "namespace", "run_id")
        page = self._history.list_artifacts(
            answers.listing(found), namespace=found.get("namespace", ""), run_id=found.get("run_id", "")
        )
        return answers.listed("artifacts", [shapes.artifact_record(record) for record in page.items], page)

    async def get(self, request: Request) -> Response:
        """``GET /artifacts/{artifact_id}``."""
        answers.query(request, "view")
        return answers.answer(shapes.artifact_record(self._record(request)))

    async def content(self, request: Request) -> Response:
        """``GET /artifacts/{artifact_id}/content``, or of one file of a folder with ``path``."""
        found = answers.query(request, "path")
        record = self._record(request)
        pieces = self._store.read(record.artifact.uri, found.get("path", ""))
        first = await anext(aiter(pieces), b"")  # an error comes before the first piece
        name = (found.get("path") or record.artifact.uri).rstrip("/").rpartition("/")[2]
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name)
        headers = {**_UNTRUSTED, "Content-Disposition": f'attachment; filename="{safe or "artifact"}"'}
        return StreamingResponse(_rest(first, pieces), media_type="application/octet-stream", headers=headers)

    def _record(self, request: Request) -> Any:
        artifact_id = request.path_params["artifact_id"]
        record = self._history.artifact(artifact_id)
        if record is None:
            raise NotFound(f"artifact {artifact_id!r} not found. GET /apis/v2beta1/artifacts lists those that exist.")
        return record


async def _rest(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for piece in pieces:
        yield piece


def _description(spec: Spec) -> str:
    return str((spec.pipeline.get("pipelineInfo") or {}).get("description", ""))


def _tags(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError as error:
        raise BadRequest(f"tags: {error}. They are a JSON object of texts.") from error
