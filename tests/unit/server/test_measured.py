"""Requests are counted under few words, whatever clients send."""

import asyncio
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from kedge.measures import Counter, Histogram, counted, gauge, text, timed
from kedge.server.measured import Measured, words


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("x", 404 if "missing" in request.url.path else 200)


ROUTES = [
    Route("/apis/v2beta1/runs/{run_id}/tasks/{task_id}/logs", answer),
    Route("/apis/v2beta1/runs/{run_id}:terminate", answer, methods=["POST"]),
    Route("/{rest:path}", answer, methods=["GET", "POST", "DELETE"]),
]


@pytest.fixture
def measured() -> Measured:
    return Measured(Starlette(routes=ROUTES), {*words(ROUTES), "pods", "namespaces"})


async def send(measured: Measured, method: str, path: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(measured), base_url="http://hub") as client:
        await client.request(method, path)


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/api/v1/namespaces/default/pods", ("list", "pods", "200")),
        ("GET", "/api/v1/namespaces/pods/pods/missing", ("get", "pods", "404")),
        ("GET", "/api/v1/pods?watch=true&limit=3", ("watch", "pods", "200")),
        ("POST", "/api/v1/namespaces/default/pods", ("create", "pods", "200")),
        ("GET", "/apis/v2beta1/runs", ("list", "runs", "200")),
        ("POST", "/apis/v2beta1/runs/7:terminate", ("create", "runs", "200")),
        ("GET", "/apis/v2beta1/runs/7/tasks/train/logs?follow=1", ("follow", "logs", "200")),
        ("GET", "/etc/passwd", ("get", "other", "200")),
    ],
)
async def test_a_request_is_counted_by_verb_resource_and_code(
    measured: Measured, method: str, path: str, labels: tuple[str, ...]
) -> None:
    await send(measured, method, path)
    assert measured.requests.values == {labels: 1}
    assert set(measured.seconds.counts) == (set() if labels[0] in {"watch", "follow"} else {labels[:2]})
    assert set(measured.open.values.values()) <= {0}


async def test_clients_cannot_make_labels(measured: Measured) -> None:
    for number in range(50):
        await send(measured, "GET", f"/apis/v2beta1/x{number}/y{number}")
    assert measured.requests.values == {("get", "other", "200"): 50}


def test_a_request_that_is_cancelled_is_counted_too() -> None:
    async def endless(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.Event().wait()

    async def cancelled() -> Measured:
        measured = Measured(endless, {"pods"})
        scope: Any = {"type": "http", "method": "GET", "path": "/api/v1/pods", "query_string": b"watch=1"}
        task = asyncio.create_task(measured(scope, None, None))  # type: ignore[arg-type]  # neither is used
        await asyncio.sleep(0)
        assert measured.open.values == {("watch", "pods"): 1}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return measured

    measured = asyncio.run(cancelled())
    assert (measured.open.values, measured.requests.values) == ({("watch", "pods"): 0}, {("watch", "pods", "0"): 1})


def test_prometheus_reads_what_is_written() -> None:
    counter, histogram = Counter(), Histogram((0.1, 1.0))
    counter.add('quo"ted\\ and\nbroken')
    counter.add("plain", by=2.5)
    for seconds in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(seconds, "get")
    families = [
        counted("things_total", "With a \\ in it,\nand two lines.", counter, "name"),
        timed("took_seconds", "How long.", histogram, "verb"),
        gauge("depth", "How deep.", [({}, float("inf"))]),
        counted("nothing_total", "Never counted.", Counter()),
    ]
    found = {family.name: family for family in text_string_to_metric_families(text(families))}
    assert {sample.labels["name"]: sample.value for sample in found["things"].samples} == {
        'quo"ted\\ and\nbroken': 1,
        "plain": 2.5,
    }
    assert found["things"].documentation == "With a \\ in it,\nand two lines."
    buckets = {sample.labels["le"]: sample.value for sample in found["took_seconds"].samples if "le" in sample.labels}
    assert buckets == {"0.1": 2, "1": 3, "+Inf": 4}
    values = {sample.name: sample.value for sample in found["took_seconds"].samples if "le" not in sample.labels}
    assert values == {"took_seconds_sum": pytest.approx(7.65), "took_seconds_count": 4}
    assert (found["depth"].samples[0].value, found["nothing"].samples[0].value) == (float("inf"), 0)
    assert [found[name].type for name in ("things", "took_seconds", "depth")] == ["counter", "histogram", "gauge"]
