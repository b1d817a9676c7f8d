"""The REST API's OpenAPI document, made of the table of operations that also makes the routes."""

from collections.abc import Iterable
from typing import Any

import msgspec

from kedge.pipelines.operations import Operation, Param
from kedge.pipelines.rest_schemas import SCHEMAS, ref

Json = dict[str, Any]
_UPLOAD: Json = {
    "type": "object",
    "properties": {"uploadfile": {"type": "string", "format": "binary", "description": "A .yaml, .json, .zip or .tar.gz file."}},
    "required": ["uploadfile"],
}
# What any request may be answered with besides success. Each is an Error.
_REFUSALS = {
    "400": "The request cannot be read, or breaks a rule; the message names it.",
    "401": "No token came with it, or one that is not known.",
    "403": "The token is not the owner's.",
    "404": "There is no such thing.",
    "409": "Something of that name is there, or in use.",
    "413": "The body is too large.",
    "503": "Not now; try again.",
}


def document(operations: Iterable[Operation], prefix: str, version: str) -> Json:
    """Make the document.

    Args:
        operations: Every operation.
        prefix: What all paths begin with, unless they are whole.
        version: Kedge's.
    """
    served = list(operations)
    bodies = sorted({one.body for one in served if one.body is not None}, key=lambda body: body.__name__)
    _, definitions = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}Body")
    paths: dict[str, Json] = {}
    for one in served:
        path = _whole(one, prefix).replace(":path}", "}")
        paths.setdefault(path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kedge Pipelines",
            "version": version,
            "description": "Kubeflow Pipelines' v2beta1 API, and native tasks and artifacts. Empty fields are left out.",
        },
        "paths": paths,
        "components": {
            "schemas": {**SCHEMAS, **{f"{name}Body": schema for name, schema in definitions.items()}},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _whole(one: Operation, prefix: str) -> str:
    return one.path if one.path.startswith("/apis/") else prefix + one.path


def _operation(one: Operation) -> Json:
    made: Json = {"summary": one.summary, "operationId": one.name}
    path: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in one.parameters
    ]
    if parameters := path + [_parameter(param) for param in one.query]:
        made["parameters"] = parameters
    if one.body is not None:
        body = {"$ref": f"#/components/schemas/{one.body.__name__}Body"}
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    elif one.upload:
        made["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": _UPLOAD}}}
    content: Json = {one.media: {"schema": ref(one.answer or "Empty")} if one.media == "application/json" else {}}
    if one.streams:
        content[one.streams] = {}
    made["responses"] = {
        "200": {"description": "Done.", "content": content},
        **{code: _refusal(why) for code, why in _REFUSALS.items()},
    }
    if one.public:
        made["security"] = []
    return made


def _parameter(param: Param) -> Json:
    kind: Json = {"type": param.kind}
    made: Json = {"name": param.name, "in": "query", "schema": {"type": "array", "items": kind} if param.many else kind}
    if param.text:
        made["description"] = param.text
    return made | ({"required": True} if param.required else {})


def _refusal(why: str) -> Json:
    return {"description": why, "content": {"application/json": {"schema": ref("Error")}}}
