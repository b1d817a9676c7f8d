"""Errors survive the way over the wire."""

import pytest

from kedge import errors
from kedge.client.status import from_status, to_status
from kedge.errors import ApiError, Cause
from kedge.kube.core import LEASE


@pytest.mark.parametrize(
    "error",
    [
        errors.BadRequest("a"),
        errors.NotFound("b"),
        errors.Conflict("c"),
        errors.AlreadyExists("d"),
        errors.Gone("e"),
        errors.Invalid("f", causes=[Cause("spec.x", "is required", "FieldValueRequired")]),
        errors.TooManyRequests("g", retry_after=3),
        errors.Unavailable("h"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_read_back_as_it_was_written(error: ApiError) -> None:
    found = from_status(to_status(error), code=500)
    assert type(found) is type(error)
    assert (found.message, found.causes, found.retry_after) == (error.message, error.causes, error.retry_after)


def test_a_status_names_what_it_is_about() -> None:
    request = {"kind": "leases", "group": "coordination.k8s.io", "name": "l"}
    assert to_status(errors.Conflict("x"), kind=LEASE, name="l")["details"] == request
    missing = errors.NotFound("x")
    assert to_status(missing, kind=LEASE, name="l")["details"] == {}, "a path names nothing"
    assert "details" not in to_status(errors.BadRequest("x"), kind=LEASE, name="l")
    missing.about = errors.About("namespaces", name="n")
    assert to_status(missing, kind=LEASE, name="l")["details"] == {"kind": "namespaces", "name": "n"}


@pytest.mark.parametrize(
    ("body", "message"),
    [("<html>bad gateway</html>", "<html>bad gateway</html>"), (None, "the server answered 502 and said no more"), ([1], "[1]")],
)
def test_what_is_no_status_is_told_as_it_came(body: object, message: str) -> None:
    error = from_status(body, code=502)
    assert (type(error), error.message) == (ApiError, message)
