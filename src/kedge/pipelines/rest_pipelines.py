"""REST: stored pipelines and their versions."""

import asyncio
from typing import Any

import msgspec
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from kedge.errors import BadRequest, NotFound
from kedge.kube.clock import Clock, Ids
from kedge.pipelines import answers, documents, rest_bodies, shapes, uploads
from kedge.pipelines.adoption import Registrar
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.documents import Document
from kedge.pipelines.history import History
from kedge.pipelines.operations import Call
from kedge.pipelines.records import PipelineRecord, Spec, VersionRecord

_MOST_TAGS, _TAG_LENGTH = 20, 63


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

    # ---- pipelines

    async def create(self, call: Call) -> Response:
        """``POST /pipelines``: a pipeline that has no version yet."""
        asked: rest_bodies.Pipeline = call.body
        record = self._new(call, asked, asked.name or asked.display_name or "")
        self._catalog.add_pipeline(record)
        return answers.answer(shapes.pipeline(record))

    async def create_with_version(self, call: Call) -> Response:
        """``POST /pipelines/create``: a pipeline and its first version."""
        asked: rest_bodies.PipelineAndVersion = call.body
        spec = await self._given(asked.pipeline_version)
        record = self._new(call, asked.pipeline, asked.pipeline.name or asked.pipeline.display_name or spec.name, spec)
        version = self._new_version(record.id, asked.pipeline_version, spec, record.name)
        self._catalog.add_pipeline(record, version, spec)
        return answers.answer(shapes.pipeline(record))

    async def upload(self, call: Call) -> Response:
        """``POST /pipelines/upload``, multipart, field ``uploadfile``."""
        spec = await self._uploaded(call.request)
        asked = rest_bodies.Pipeline(
            name=call.text("name") or call.text("display_name") or spec.name,
            display_name=call.text("display_name"),
            description=call.text("description"),
            tags=_tags(call.text("tags")),
        )
        record = self._new(call, asked, asked.name or "", spec)
        first = rest_bodies.PipelineVersion(display_name=record.display_name)
        self._catalog.add_pipeline(record, self._new_version(record.id, first, spec, record.name), spec)
        return answers.answer(shapes.pipeline(record))

    async def list(self, call: Call) -> Response:
        """``GET /pipelines``."""
        page = self._catalog.list_pipelines(call.listing, namespace=call.namespace)
        return answers.listed("pipelines", [shapes.pipeline(record) for record in page.items], page)

    async def get(self, call: Call) -> Response:
        """``GET /pipelines/{pipeline_id}``."""
        return answers.answer(shapes.pipeline(self._catalog.pipeline(call.path["pipeline_id"])))

    async def named(self, call: Call) -> Response:
        """``GET /pipelines/names/{name}``."""
        name = call.path["name"]
        record = self._catalog.pipeline_named(name, call.home)
        if record is None:
            raise NotFound(
                f"there is no pipeline named {name!r}. "
                "`kedge pipelines list` or GET /apis/v2beta1/pipelines shows those that exist."
            )
        return answers.answer(shapes.pipeline(record))

    async def update(self, call: Call) -> Response:
        """``PATCH /pipelines/{pipeline_id}``."""
        asked: rest_bodies.Pipeline = call.body
        changes = _changes(asked, "name", "display_name", "description", "tags")
        return answers.answer(shapes.pipeline(self._catalog.update_pipeline(call.path["pipeline_id"], **changes)))

    async def delete(self, call: Call) -> Response:
        """``DELETE /pipelines/{pipeline_id}``."""
        self._catalog.delete_pipeline(call.path["pipeline_id"], cascade=call.flag("cascade"))
        return answers.answer({})

    def _new(self, call: Call, asked: rest_bodies.Pipeline, name: str, spec: Spec | None = None) -> PipelineRecord:
        if not name:
            raise BadRequest("the Pipeline: name or display_name is required.")
        return PipelineRecord(
            id=self._ids.uid(),
            namespace=call.home,
            name=name,
            display_name=asked.display_name or name,
            description=asked.description or (_description(spec) if spec is not None else ""),
            tags=_checked(asked.tags or {}),
            created_at=self._clock.now(),
        )

    # ---- versions

    async def create_version(self, call: Call) -> Response:
        """``POST /pipelines/{pipeline_id}/versions``."""
        pipeline_id = call.path["pipeline_id"]
        self._catalog.pipeline(pipeline_id)
        spec = await self._given(call.body)
        version = self._new_version(pipeline_id, call.body, spec)
        self._catalog.add_version(version, spec)
        return answers.answer(shapes.version(version, spec))

    async def upload_version(self, call: Call) -> Response:
        """``POST /pipelines/upload_version``, multipart, field ``uploadfile``."""
        spec = await self._uploaded(call.request)
        asked = rest_bodies.PipelineVersion(
            name=call.text("name"),
            display_name=call.text("display_name"),
            description=call.text("description"),
            tags=_tags(call.text("tags")),
        )
        version = self._new_version(call.text("pipelineid"), asked, spec)
        self._catalog.add_version(version, spec)
        return answers.answer(shapes.version(version, spec))

    async def list_versions(self, call: Call) -> Response:
        """``GET /pipelines/{pipeline_id}/versions``."""
        page = self._catalog.list_versions(call.path["pipeline_id"], call.listing)
        found = [shapes.version(record, self._history.spec(record.spec_digest)) for record in page.items]
        return answers.listed("pipeline_versions", found, page)

    async def get_version(self, call: Call) -> Response:
        """``GET /pipelines/{pipeline_id}/versions/{pipeline_version_id}``."""
        return self._shown(self._catalog.version(*_version_of(call)))

    async def update_version(self, call: Call) -> Response:
        """``PATCH /pipelines/{pipeline_id}/versions/{pipeline_version_id}``."""
        asked: rest_bodies.PipelineVersion = call.body
        if asked.package_url is not None or asked.pipeline_spec is not None:
            place = _version_of(call)
            known = self._history.spec(self._catalog.version(*place).spec_digest)
            given = await self._given(asked)
            if known is None or given.digest != known.digest:
                raise BadRequest("the PipelineVersion: its pipeline_spec may not be changed. Make another version.")
        changes = _changes(asked, "name", "display_name", "description", "tags", "code_source_url")
        return self._shown(self._catalog.update_version(*_version_of(call), **changes))

    async def delete_version(self, call: Call) -> Response:
        """``DELETE /pipelines/{pipeline_id}/versions/{pipeline_version_id}``."""
        self._catalog.delete_version(*_version_of(call))
        return answers.answer({})

    def _shown(self, record: VersionRecord) -> Response:
        return answers.answer(shapes.version(record, self._history.spec(record.spec_digest)))

    def _new_version(
        self, pipeline_id: str, asked: rest_bodies.PipelineVersion, spec: Spec, otherwise: str = ""
    ) -> VersionRecord:
        now = self._clock.now()
        name = asked.name or otherwise or asked.display_name or f"{spec.name} {now:%Y-%m-%d %H-%M-%S.%f}"
        return VersionRecord(
            id=self._ids.uid(),
            pipeline_id=pipeline_id,
            name=name,
            display_name=asked.display_name or name,
            description=asked.description or "",
            spec_digest=spec.digest,
            tags=_checked(asked.tags or {}),
            code_source_url=asked.code_source_url or "",
            package_url=(asked.package_url.pipeline_url if asked.package_url else "") or "",
            created_at=now,
        )

    # ---- documents

    async def _given(self, asked: rest_bodies.PipelineVersion) -> Spec:
        """The pipeline in a request: inline, or at an address."""
        url = asked.package_url.pipeline_url if asked.package_url is not None else None
        if (asked.pipeline_spec is None) == (not url):
            raise BadRequest("the PipelineVersion: one of pipeline_spec and package_url.pipeline_url is required.")
        if asked.pipeline_spec is None:
            return await self._checked_spec(await uploads.fetch(url or "", answers.BODY_LIMIT))
        return await self._checked_spec(await asyncio.to_thread(documents.document, asked.pipeline_spec, "pipeline_spec"))

    async def _uploaded(self, request: Request) -> Spec:
        """The pipeline in an upload, checked."""
        wanted = BadRequest("an upload is multipart/form-data with the file in the field uploadfile.")
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise wanted
        try:
            async with request.form(max_files=1, max_part_size=answers.BODY_LIMIT) as form:
                file = form.get("uploadfile")
                if not isinstance(file, UploadFile):
                    raise wanted
                name, content = file.filename or "the upload", await file.read(answers.BODY_LIMIT + 1)
        except (MultiPartException, HTTPException) as error:
            detail = getattr(error, "message", "") or getattr(error, "detail", "")
            raise BadRequest(f"the upload cannot be read: {detail}. Send multipart/form-data, field uploadfile.") from error
        if len(content) > answers.BODY_LIMIT:
            raise BadRequest(f"{name}: is larger than {answers.BODY_LIMIT >> 20} MiB. Put data into artifacts.")
        return await self._checked_spec(await asyncio.to_thread(uploads.read, content, name))

    async def _checked_spec(self, document: Document) -> Spec:
        """A pipeline that can be run; ten thousand tasks take a second to read, so it is done on a thread."""
        spec = await asyncio.to_thread(Spec.of, document.pipeline, document.platforms)
        self._registrar.remember(spec, await asyncio.to_thread(self._registrar.read, spec))
        return spec


def _version_of(call: Call) -> tuple[str, str]:
    return call.path["pipeline_id"], call.path["pipeline_version_id"]


def _changes(asked: msgspec.Struct, *fields: str) -> dict[str, Any]:
    """The fields that a PATCH gives."""
    changes = {name: value for name in fields if (value := getattr(asked, name)) is not None}
    for name in ("name", "display_name"):
        if changes.get(name) == "":
            raise BadRequest(f"{name}: must not be empty.")
    _checked(changes.get("tags", {}))
    return changes


def _description(spec: Spec) -> str:
    info = spec.pipeline.get("pipelineInfo")
    return str(info.get("description", "")) if isinstance(info, dict) else ""


def _tags(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise BadRequest(f"tags: {error}. They are a JSON object of texts.") from error


def _checked(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > _MOST_TAGS:
        raise BadRequest(f"tags: there are {len(tags)}; at most {_MOST_TAGS} are kept.")
    for key, value in tags.items():
        if not key or len(key) > _TAG_LENGTH or len(value) > _TAG_LENGTH:
            raise BadRequest(f"tags: {key!r:.80}: a name has 1 to {_TAG_LENGTH} characters, a value at most {_TAG_LENGTH}.")
    return tags
