"""Every error that Kedge raises on purpose.

    KedgeError                    something a person can act on; str() says what, where, why and how to fix it
    ├── ApiError                  the Kubernetes API said no; carries the HTTP code and the machine-readable reason
    │   ├── BadRequest            400  the request cannot be read
    │   ├── Unauthorized          401  no token, or one that is not known
    │   ├── Forbidden             403  known, but not allowed
    │   ├── NotFound              404  no such object, kind or path
    │   ├── MethodNotAllowed      405  the kind has no such verb
    │   ├── Conflict              409  somebody else wrote first
    │   │   └── AlreadyExists     409  an object of that name is there
    │   ├── Gone                  410  the resourceVersion is older than what the store keeps
    │   ├── TooLarge              413  the body is over the limit
    │   ├── UnsupportedMediaType  415  the body's content type is not read here
    │   ├── Invalid               422  an object that breaks a rule; names each field
    │   ├── TooManyRequests       429  try again later
    │   ├── ServerError           500  a defect of the server
    │   ├── Unavailable           503  not now: starting, stopping, or a full disk
    │   └── Timeout               504  a resourceVersion that is yet to come
    ├── PipelineError             a pipeline that cannot be compiled, read or started
    ├── RunFailed                 a run that was waited for did not succeed; names the step, its error and its last words
    ├── StateError                a data directory that cannot be used: corrupt, newer, or held by another
    └── UnsupportedError          this machine or this version cannot do it; says what to do instead

Catch the narrowest class that you can do something about. `ApiError` is also how the embedded server answers: each class knows
its status code and reason, so that one handler turns any of them into a Kubernetes ``Status``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class KedgeError(Exception):
    """Something a person can act on; the message says what, where, why and how to fix it.

    Attributes:
        causes: The fields at fault, if any.
    """

    causes: "tuple[Cause, ...]" = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """One field that breaks a rule, as in ``Status.details.causes``.

    Attributes:
        field: JSON path from the object's root, such as ``spec.containers[0].image``.
        message: The rule and the value that broke it, in words.
        reason: Kubernetes' cause type, such as ``FieldValueRequired``.
    """

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class About(NamedTuple):
    """What an error is about, as in ``Status.details``; empty where nothing is named.

    Attributes:
        kind: A resource, such as ``configmaps``, or the kind of an object that is invalid.
        group: Its API group.
        name: The object's.
    """

    kind: str = ""
    group: str = ""
    name: str = ""


class ApiError(KedgeError):
    """The Kubernetes API refused.

    Args:
        message: What went wrong, for a person.
        causes: The fields at fault, if any.
        retry_after: Seconds after which the request may be tried again, if the server said so.

    Attributes:
        about: What is at fault, where that is not what the request is about.
        continue_: A token that goes on with a list which could not be.
        status: The whole answer, where somebody else has written it.
    """

    code = 500
    reason = "InternalError"
    about: About | None = None
    continue_ = ""
    status: "dict[str, Any] | None" = None

    def __init__(self, message: str, *, causes: Sequence[Cause] = (), retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.causes = tuple(causes)
        self.retry_after = retry_after


class BadRequest(ApiError):
    """The request cannot be read."""

    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    """No token came with the request, or one that is not known here."""

    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    """The caller is known, but may not do this."""

    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    """There is no such object, kind or path."""

    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    """The kind does not support this verb."""

    code, reason = 405, "MethodNotAllowed"


class Conflict(ApiError):
    """The object has changed since it was read: read it again and apply the change to that."""

    code, reason = 409, "Conflict"


class AlreadyExists(Conflict):
    """An object of that name is already there."""

    reason = "AlreadyExists"


class Gone(ApiError):
    """The resourceVersion is older than what the store still keeps: list again and watch from there."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    """The body is larger than the server takes."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    """The body's content type is not one that this path reads."""

    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object breaks a rule of its kind; ``causes`` names each field."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    """The server is busy; ``retry_after`` says when to try again."""

    code, reason = 429, "TooManyRequests"


class ServerError(ApiError):
    """A defect of the server; its log has the traceback."""

    code, reason = 500, "InternalError"


class Unavailable(ApiError):
    """Not now: the server is starting or stopping, or its disk is full."""

    code, reason = 503, "ServiceUnavailable"

    def __init__(self, message: str, *, causes: Sequence[Cause] = (), retry_after: float | None = 2.0) -> None:
        super().__init__(message, causes=causes, retry_after=retry_after)


class Timeout(ApiError):
    """The request waits for what has not happened, such as a resourceVersion that is yet to come."""

    code, reason = 504, "Timeout"


class PipelineError(KedgeError):
    """A pipeline that cannot be compiled, read or started."""


class RunFailed(KedgeError):
    """A run that was waited for did not succeed; the message names the step, its error and the last lines of its log."""


class StateError(KedgeError):
    """A data directory that cannot be used: it is corrupt, or a newer version or another process has it."""


class UnsupportedError(KedgeError):
    """This machine or this version cannot do it; the message says what to do instead."""


def _subclasses(cls: type[ApiError]) -> list[type[ApiError]]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in _subclasses(child))]


def api_error(code: int, reason: str, message: str, *, retry_after: float | None = None) -> ApiError:
    """Make the error that a ``Status`` body stands for.

    Args:
        code: HTTP status code.
        reason: The machine-readable reason, such as ``AlreadyExists``; decides between classes of one code.
        message: For a person.
        retry_after: Seconds, from the header of that name.

    Returns:
        The narrowest class for the reason, else for the code, else `ApiError`.

    Examples:
        >>> api_error(409, "AlreadyExists", 'pods "a" already exists')
        AlreadyExists('pods "a" already exists')
    """
    classes = _subclasses(ApiError)[1:]
    found = next((c for c in classes if (c.code, c.reason) == (code, reason)), None)
    found = found or next((c for c in classes if c.code == code), ApiError)
    return found(message, retry_after=retry_after)
