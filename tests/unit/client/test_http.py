"""When the HTTP client tries again, when it does not, and how its watch lives on."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import httpx
import pytest

from kedge import errors
from kedge.client.http import HttpClient, tls
from kedge.client.kubeconfig import Access
from kedge.kube.core import CONFIG_MAP, SERVICE_ACCOUNT
from kedge.kube.kinds import Obj
from kedge.testing.clock import FakeClock

_OBJ: Obj = {"metadata": {"name": "a", "namespace": "default"}}


class _Clock(FakeClock):
    """Sleeps pass at once, and are remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class _Server:
    """Answers in turn what it was given, the last answer for ever."""

    def __init__(self, answers: Iterable[httpx.Response | Exception]) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def _client(*answers: httpx.Response | Exception, token: str | None = None) -> tuple[HttpClient, _Server, _Clock]:
    server, clock = _Server(answers), _Clock()
    access = Access("http://host", token=token)
    return HttpClient(access, clock=clock, transport=httpx.MockTransport(server)), server, clock


def _lines(*events: Any) -> httpx.Response:
    return httpx.Response(200, text="".join(json.dumps(event) + "\n" for event in events))


def _event(kind: str, version: str) -> Obj:
    return {"type": kind, "object": {"metadata": {"name": "a", "resourceVersion": version}}}


async def test_reads_are_tried_again_when_the_server_is_busy() -> None:
    client, server, clock = _client(httpx.Response(503), httpx.ConnectError("refused"), httpx.Response(200, json=_OBJ))
    async with client:
        assert await client.get(CONFIG_MAP, "a", "default") == _OBJ
    assert len(server.requests) == 3
    assert clock.slept == [0.2, 0.4]


async def test_reads_are_not_tried_for_ever() -> None:
    client, server, _ = _client(httpx.ConnectError("refused"))
    async with client:
        with pytest.raises(errors.Unavailable, match=r"http://host.*cannot be reached: refused\. Check that it runs"):
            await client.get(CONFIG_MAP, "a", "default")
    assert len(server.requests) == 5


@pytest.mark.parametrize("failure", [httpx.Response(503), httpx.ReadTimeout("slow")], ids=["busy", "silent"])
async def test_writes_are_not_tried_again(failure: httpx.Response | Exception) -> None:
    """Nobody knows whether the first one was done."""
    client, server, _ = _client(failure)
    async with client:
        with pytest.raises(errors.Unavailable):
            await client.create(CONFIG_MAP, _OBJ)
    assert len(server.requests) == 1


async def test_a_write_that_was_turned_away_is_tried_when_the_server_says() -> None:
    busy = httpx.Response(429, headers={"Retry-After": "7"})
    client, _, clock = _client(busy, httpx.Response(201, json=_OBJ))
    async with client:
        assert await client.create(CONFIG_MAP, _OBJ) == _OBJ
    assert clock.slept == [7.0]


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow")], ids=["refused", "silent"])
async def test_a_write_that_was_never_sent_is_sent_again(failure: Exception) -> None:
    client, server, clock = _client(failure, failure, httpx.Response(201, json=_OBJ))
    async with client:
        assert await client.create(CONFIG_MAP, _OBJ) == _OBJ
    assert (len(server.requests), clock.slept) == (3, [0.2, 0.4])


async def test_a_server_does_not_make_us_wait_for_hours() -> None:
    busy = httpx.Response(429, headers={"Retry-After": "86400"})
    client, _, clock = _client(busy, httpx.Response(200, json=_OBJ))
    async with client:
        await client.get(CONFIG_MAP, "a", "default")
    assert clock.slept == [60.0]


async def test_it_says_who_it_is_and_what_it_sends() -> None:
    client, server, _ = _client(httpx.Response(200, json=_OBJ), token="t")
    async with client:
        await client.create(SERVICE_ACCOUNT, {**_OBJ, "kind": "TokenRequest"}, name="a", subresource="token")
        await client.patch(CONFIG_MAP, "a", "default", {"data": {}}, type="strategic")
    first, second = server.requests
    assert (first.method, first.url.path) == ("POST", "/api/v1/namespaces/default/serviceaccounts/a/token")
    assert json.loads(first.content)["kind"] == "TokenRequest"
    assert first.headers["Authorization"] == "Bearer t"
    assert second.headers["Content-Type"] == "application/strategic-merge-patch+json"


async def test_an_answer_that_is_no_json_is_named() -> None:
    client, _, _ = _client(httpx.Response(200, text="<html>"))
    async with client:
        with pytest.raises(errors.ServerError, match=r"is no JSON .* Is this the address of a Kubernetes API server"):
            await client.get(CONFIG_MAP, "a", "default")


async def test_a_watch_goes_on_where_it_ended() -> None:
    """After an orderly end, and after a connection that broke; bookmarks count."""
    client, server, _ = _client(
        _lines(_event("ADDED", "5"), _event("BOOKMARK", "8")),
        httpx.ReadError("reset"),
        _lines(_event("MODIFIED", "9")),
        _lines({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}),
    )
    async with client:
        events = client.watch(CONFIG_MAP, resource_version="4")
        assert [(await anext(events)).type for _ in range(3)] == ["ADDED", "BOOKMARK", "MODIFIED"]
        with pytest.raises(errors.Gone, match="too old"):
            await anext(events)
    assert [request.url.params["resourceVersion"] for request in server.requests] == ["4", "8", "8", "9"]


class _Quiet(httpx.AsyncByteStream):
    """What a connection gives that a firewall has forgotten: one change, and nothing any more."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield json.dumps(_event("ADDED", "5")).encode() + b"\n"
        raise httpx.ReadTimeout("")


async def test_a_watch_that_says_nothing_is_asked_again_and_nothing_is_missed() -> None:
    client, server, _ = _client(httpx.Response(200, stream=_Quiet()), _lines(_event("MODIFIED", "6")))
    async with client:
        events = client.watch(CONFIG_MAP, resource_version="4")
        assert [(await anext(events)).type for _ in range(2)] == ["ADDED", "MODIFIED"]
    assert [request.url.params["resourceVersion"] for request in server.requests] == ["4", "5"]


async def test_a_watch_waits_for_as_long_as_a_busy_server_says() -> None:
    client, _, clock = _client(httpx.Response(429, headers={"Retry-After": "3"}), _lines(_event("ADDED", "5")))
    async with client:
        await anext(client.watch(CONFIG_MAP, resource_version="4"))
    assert clock.slept == [3.0]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda: httpx.Response(410, json={"reason": "Expired", "message": "old"}), errors.Gone),
        (lambda: httpx.Response(403), errors.Forbidden),
        (lambda: httpx.ConnectError("refused"), errors.Unavailable),
        (lambda: httpx.Response(200, text='{"type": "ADD'), errors.Unavailable),
        (lambda: httpx.Response(200, text='{"hello": "from a proxy"}'), errors.Unavailable),
    ],
    ids=["too old", "not allowed", "not there", "cut off", "no watch"],
)
async def test_a_watch_ends_when_going_on_is_useless(
    answer: Callable[[], httpx.Response | Exception], error: type[errors.ApiError]
) -> None:
    client, _, _ = _client(answer())
    async with client:
        with pytest.raises(error):
            await anext(client.watch(CONFIG_MAP, resource_version="1"))


def test_a_ca_that_cannot_be_used_is_named() -> None:
    with pytest.raises(errors.StateError, match="CA or client certificate cannot be used"):
        tls(Access("https://h", ca="-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"))
