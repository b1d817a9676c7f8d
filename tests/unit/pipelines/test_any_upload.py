"""Whatever is uploaded as a pipeline, or sent to be run as one, is taken or refused in KFP's shape: the hub does not fail of it."""

import asyncio
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutants import CASES, compiled, mutated
from starlette.applications import Starlette

from kedge.testing.runs import World, hub

pytestmark = pytest.mark.usefixtures("either_database")

Json = dict[str, Any]
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


class Served:
    """A hub's REST API on a loop of the tests' own, so that one hub serves many examples."""

    def __init__(self, runner: asyncio.Runner, http: httpx.AsyncClient) -> None:
        self._runner = runner
        self._http = http
        self._count = 0

    def _answer(self, sending: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
        response = self._runner.run(sending)
        assert response.status_code < 500, response.text
        if response.status_code >= 400:
            told = response.json()
            assert sorted(told) == ["code", "details", "error", "message"]
            assert told["message"].strip()
            assert "Traceback" not in told["message"]
        return response

    def upload(self, content: bytes, name: str) -> None:
        """Store a file as a pipeline, and show what is stored."""
        self._count += 1
        query = {"name": f"pipeline {self._count}"}
        stored = self._answer(self._http.post("/pipelines/upload", params=query, files={"uploadfile": (name, content)}))
        if stored.status_code == 200:
            listed = self._answer(self._http.get(f"/pipelines/{stored.json()['pipeline_id']}/versions"))
            assert listed.status_code == 200

    def run(self, body: bytes) -> int:
        """Ask for a run, end it if there is one, and tell the status."""
        started = self._answer(self._http.post("/runs", content=body))
        if started.status_code == 200:
            self._answer(self._http.delete(f"/runs/{started.json()['run_id']}"))
        return started.status_code


@asynccontextmanager
async def serving(world: World) -> AsyncGenerator[httpx.AsyncClient]:
    async with hub(world) as life:
        app = Starlette(routes=life.feature.routes(None, "1.2.3"))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://kedge/apis/v2beta1") as http:
            yield http


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with asyncio.Runner() as runner:
        service = serving(World.new(tmp_path_factory.mktemp("any") / "world"))
        http = runner.run(service.__aenter__())
        try:
            yield Served(runner, http)
        finally:
            runner.run(service.__aexit__(None, None, None))


@pytest.fixture(scope="module", autouse=True)
def compiled_before_examples() -> None:
    """Once, and outside of them: compiling uses random names, which hypothesis does not allow while it draws."""
    for case in CASES:
        compiled(case)


def plain(content: bytes) -> bytes:
    return content


def in_zip(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("pipeline.yaml", content)
    return file.getvalue()


def in_tar(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("pipeline.yaml")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


PACKED = {"p.yaml": plain, "p.json": plain, "p.zip": in_zip, "p.tar.gz": in_tar, "p.gz": gzip.compress}


@settings(max_examples=200, deadline=None, suppress_health_check=QUIET)
@given(document=mutated(), form=st.sampled_from([json.dumps, yaml.safe_dump]), name=st.sampled_from(sorted(PACKED)))
def test_no_pipeline_that_is_uploaded_makes_the_hub_fail(served: Served, document: Json, form: Any, name: str) -> None:
    served.upload(PACKED[name](form(document).encode("utf-8", "surrogatepass")), name)


@settings(max_examples=200, deadline=None, suppress_health_check=QUIET)
@given(data=st.data(), name=st.sampled_from(sorted(PACKED)))
def test_no_damaged_file_makes_the_hub_fail(served: Served, data: st.DataObject, name: str) -> None:
    packed = PACKED[name](json.dumps(compiled("claims")).encode())
    start = data.draw(st.integers(0, len(packed)))
    length = data.draw(st.integers(0, 40))
    served.upload(packed[:start] + data.draw(st.binary(max_size=6)) + packed[start + length :], name)


@settings(max_examples=200, deadline=None, suppress_health_check=QUIET)
@given(document=mutated(), parameters=st.dictionaries(st.text(max_size=4), st.integers() | st.floats(), max_size=2))
def test_no_pipeline_that_is_to_be_run_makes_the_hub_fail(served: Served, document: Json, parameters: Json) -> None:
    served.run(json.dumps({"pipeline_spec": document, "runtime_config": {"parameters": parameters}}).encode("utf-8", "replace"))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"pipeline_spec": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        b'{"pipeline_spec": {}, "pipeline_spec": {}}',
        b'{"runtime_config": {"parameters": {"a": NaN}}}',
        b'{"runtime_config": {"parameters": {"a": 1e999}}}',
        b'{"runtime_config": {"parameters": {"a": ' + b"9" * 5000 + b"}}}",
        b'{"display_name": "\\ud800"}',
        b'{"display_name": "\\u0000"}',
        b"\xff\xfe",
        b"",
        b"null",
    ],
    ids=[
        "deep",
        "deep in a field",
        "key twice",
        "NaN",
        "infinite",
        "long number",
        "half a character",
        "NUL",
        "UTF-16",
        "none",
        "null",
    ],
)
def test_bodies_that_are_hardly_json_are_refused(served: Served, body: bytes) -> None:
    assert served.run(body) == 400
