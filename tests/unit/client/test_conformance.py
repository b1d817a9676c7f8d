"""Both clients keep the client's promises: in process, and over HTTPS to a server with its own CA."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.client.local import LocalClient
from kedge.kube.clock import SystemClock
from kedge.server import pki
from kedge.server.auth import Authenticator
from kedge.server.http import routes
from kedge.server.listen import Listeners
from kedge.server.streams import Streams
from kedge.server.tokens import Tokens
from kedge.testing.api import memory_api
from kedge.testing.clients import ClientConformance
from kedge.testing.clock import FakeIds


class TestLocalClient(ClientConformance):
    @pytest.fixture
    def client(self) -> LocalClient:
        return LocalClient(memory_api())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> pki.Pki:
    directory: Path = tmp_path_factory.mktemp("pki")
    return pki.ensure(directory, SystemClock())


class TestHttpClient(ClientConformance):
    @pytest.fixture
    async def client(self, keys: pki.Pki) -> AsyncIterator[HttpClient]:
        clock = SystemClock()
        api = memory_api(clock=clock)
        streams = Streams()
        authenticator = Authenticator("owner", Tokens(keys.load_signing_key(), "https://kedge", clock, FakeIds()), api)
        listeners = Listeners(grace=1)
        ports = listeners.open()
        app = Starlette(routes=routes(api, authenticator, version="0", streams=streams))
        await listeners.start(app, keys.certificate, keys.key)
        access = Access(f"https://127.0.0.1:{ports.https}", ca=keys.ca.read_text(), token="owner")
        async with HttpClient(access) as client:
            yield client
        await listeners.stop(streams.close)
