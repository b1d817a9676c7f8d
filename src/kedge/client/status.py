"""``Status`` bodies and errors: two spellings of one thing."""

from typing import Any

from kedge import errors
from kedge.errors import About, ApiError, Cause
from kedge.kube.kinds import Kind, Obj

# Of these clients look into the details, such as for a name, without asking whether there are any.
_DETAILED = (errors.NotFound, errors.MethodNotAllowed, errors.Conflict, errors.Forbidden, errors.Invalid)


def to_status(error: ApiError, *, kind: Kind | None = None, name: str = "") -> Obj:
    """Write an error as a ``Status`` object.

    Args:
        error: What went wrong.
        kind: What the request is about, where that is known.
        name: Likewise.

    Examples:
        >>> to_status(errors.NotFound('pods "a" not found'))["code"]
        404
    """
    if error.status is not None:
        return error.status
    about = error.about
    if about is None and kind is not None and isinstance(error, errors.Conflict | errors.Forbidden):
        about = About(kind.plural, kind.group, name)  # what cannot be read, or is not there, tells nothing of it
    details: Obj = {} if about is None else {word: each for word, each in about._asdict().items() if each}
    if error.causes:
        details["causes"] = [_cause(cause) for cause in error.causes]
    if error.retry_after is not None:
        details["retryAfterSeconds"] = max(1, round(error.retry_after))
    status: Obj = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {"continue": error.continue_} if error.continue_ else {},
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "code": error.code,
    }
    return {**status, "details": details} if details or isinstance(error, _DETAILED) else status


def of_patch(error: errors.Invalid) -> ApiError:
    """The error of a patch: a `Conflict` where the patch names a uid and the object has another one.

    Clients name one as a precondition. API servers take it for a change of what cannot be changed.
    """
    if any(cause.field == "metadata.uid" for cause in error.causes):
        return errors.Conflict(f"{error}. It was deleted and created anew; read it again.", causes=error.causes)
    return error


def _cause(cause: Cause) -> Obj:
    said = {"reason": cause.reason, "message": cause.message}
    return {**said, "field": cause.field} if cause.field else said


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
