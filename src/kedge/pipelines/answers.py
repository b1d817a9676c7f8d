"""How the REST API reads requests and answers: strict bodies, JSON, and errors in the shape that KFP's clients expect."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from kedge.errors import ApiError, BadRequest, KedgeError, PipelineError, StateError
from kedge.pipelines import pages, repeated
from kedge.server.auth import User
from kedge.server.callers import Callers
from kedge.server.requests import read_body

_log = logging.getLogger(__name__)
T = TypeVar("T")
Endpoint = Callable[[Request, User], Awaitable[Response]]

BODY_LIMIT = 64 << 20
"""Bytes of a request: a pipeline of ten thousand tasks has some twenty million."""
# The one field of a list that upstream's protocol spells otherwise, and its clients look for.
_ALSO = {"recurring_runs": ("recurringRuns",)}
_encoder = msgspec.json.Encoder()
# HTTP status to google.rpc.Code, as grpc-gateway pairs them.
_RPC = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 410: 9, 413: 8, 422: 3, 429: 8, 500: 13, 501: 12, 503: 14}


def answer(body: Any, code: int = 200) -> Response:
    """Answer with JSON."""
    return Response(_encoder.encode(body), code, media_type="application/json")


def refusal(error: Exception) -> Response:
    """Answer with an error: ``{"error", "code", "message", "details"}``."""
    headers: dict[str, str] = {}
    message, code = str(error), 500
    if isinstance(error, ApiError):
        code = 400 if error.code == 422 else error.code  # KFP knows no 422: what is invalid is a bad request there
        if error.retry_after is not None:
            headers["Retry-After"] = str(max(1, round(error.retry_after)))
        if code == 401:
            headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, PipelineError):
        code = 400
    elif isinstance(error, StateError):
        code = 503
    elif isinstance(error, KedgeError):
        code = 400
    rpc = _RPC.get(code, 2)
    details: list[dict[str, Any]] = [{"@type": "type.googleapis.com/google.rpc.Status", "code": rpc, "message": message}]
    if isinstance(error, KedgeError) and error.causes:
        violations = [{"field": cause.field, "description": cause.message} for cause in error.causes]
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "field_violations": violations})
    body = {"error": message, "code": rpc, "message": message, "details": details}
    return Response(_encoder.encode(body), code, headers, media_type="application/json")


def guarded(endpoint: Endpoint, callers: Callers) -> Callable[[Request], Awaitable[Response]]:
    """Let only callers in who are known, and answer errors.

    Args:
        endpoint: What to do, and for whom.
        callers: Knows them.
    """

    async def guarded_endpoint(request: Request) -> Response:
        try:
            peer = request.client.host if request.client is not None else ""
            return await endpoint(request, await callers.caller(request.headers, peer))
        except KedgeError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001  # a defect is logged here and answered as one
            _log.exception("a request failed because of a defect", extra={"method": request.method, "path": request.url.path})
            return refusal(_defect(error))

    return guarded_endpoint


def _defect(error: Exception) -> Exception:
    del error
    return ApiError("the server failed because of a defect of its own; its log (hub.log) has the traceback. Please report it.")


async def content(request: Request) -> bytes:
    """The body of a request.

    Raises:
        TooLarge: It is over the limit.
    """
    too_large = f"the body is larger than {BODY_LIMIT >> 20} MiB. Put data into artifacts, not into the pipeline."
    return await read_body(request.scope, request.receive, limit=BODY_LIMIT, too_large=too_large)


def decode(body: bytes, kind: type[T], what: str) -> T:
    """Read a body of a known shape.

    Raises:
        BadRequest: It is not JSON, has a field that is not known, or one of another type; the message names it.
    """
    try:
        read = msgspec.json.decode(body, type=kind)
        twice = repeated.key(body)
    except msgspec.ValidationError as error:
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(kind)) if issubclass(kind, msgspec.Struct) else ""
        hint = f" Fields of {what}: {known}." if "unknown field" in str(error) else ""
        raise BadRequest(f"{what}: {error}.{hint}") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"{what}: the body is not JSON: {error}.") from error
    if twice is not None:
        raise BadRequest(f"{what}: the body has the key {twice!r} twice in one object. Send it once.")
    return read


def listed(name: str, items: list[Any], found: pages.Page[Any]) -> Response:
    """Answer with one page; what is empty is left out, as everywhere."""
    body: dict[str, Any] = {
        **dict.fromkeys((name, *_ALSO.get(name, ())), items),
        "total_size": found.total,
        "next_page_token": found.next_token,
    }
    return answer({key: value for key, value in body.items() if value})
