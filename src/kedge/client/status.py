"""``Status`` bodies and errors: two spellings of one thing."""

from typing import Any

from kedge import errors
from kedge.errors import ApiError, Cause
from kedge.kube.kinds import Kind, Obj


def to_status(error: ApiError, *, kind: Kind | None = None, name: str = "") -> Obj:
    """Write an error as a ``Status`` object.

    Args:
        error: What went wrong.
        kind: What it is about, where that is known.
        name: Likewise.

    Examples:
        >>> to_status(errors.NotFound('pods "a" not found'))["code"]
        404
    """
    details: Obj = {}
    if kind is not None:
        # As a real API server has it: an invalid object is called by its kind, anything else by its resource.
        details = {"kind": kind.kind if isinstance(error, errors.Invalid) else kind.plural}
        if kind.group:
            details["group"] = kind.group
    if isinstance(error, errors.Invalid):
        name = error.name or name
    if name:
        details["name"] = name
    if error.causes:
        details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in error.causes]
    if error.retry_after is not None:
        details["retryAfterSeconds"] = max(1, round(error.retry_after))
    status: Obj = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "code": error.code,
    }
    return {**status, "details": details} if details else status


def from_status(status: Any, *, code: int, retry_after: float | None = None) -> ApiError:
    """Read a ``Status`` object, or whatever came instead, as an error.

    Args:
        status: The decoded body; any shape.
        code: The response's HTTP code, for when the body says none.
        retry_after: Seconds, from the header of that name.

    Examples:
        >>> from_status({"kind": "Status", "code": 409, "reason": "Conflict", "message": "changed"}, code=409)
        Conflict('changed')
    """
    body: Obj = status if isinstance(status, dict) else {}
    details: Obj = body.get("details") or {}
    message = body.get("message") or (str(status)[:500] if status else f"the server answered {code} and said no more")
    wait = retry_after if retry_after is not None else details.get("retryAfterSeconds")
    error = errors.api_error(int(body.get("code") or code), str(body.get("reason") or ""), str(message), retry_after=wait)
    error.causes = tuple(
        Cause(str(c.get("field", "")), str(c.get("message", "")), str(c.get("reason", ""))) for c in details.get("causes") or ()
    )
    return error
