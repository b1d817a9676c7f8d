"""Staging of a Pod is of its namespace, whatever the addresses say that it is given or that it sends."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from kedge.artifacts import staging
from kedge.artifacts.staging import Assignment, Batch, PodIdentity, StagedOutputs
from kedge.artifacts.store import ArtifactStore

OWN, ANOTHER_S = "s3://bucket/kedge/team-a/train/run/step/0/model", "s3://bucket/kedge/team-b/train/run/step/0/model"


class Pods:
    """One Pod, what it is to do, and what it did."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.committed: list[StagedOutputs] = []

    async def verify(self, token: str) -> PodIdentity:
        del token
        return PodIdentity("team-a", "step", "uid")

    async def begin(self, pod_uid: str) -> Assignment:
        del pod_uid
        side = {"artifacts": {"model": {"artifacts": [{"uri": self.uri, "name": "model"}]}}}
        return Assignment({"inputs": side, "outputs": {}})

    async def commit(self, pod_uid: str, outputs: StagedOutputs) -> None:
        del pod_uid
        self.committed.append(outputs)

    async def record(self, pod_uid: str, series: Sequence[Batch]) -> None: ...


async def ask(pods: Pods, folder: Path, verb: str, **body: Any) -> httpx.Response:
    store = ArtifactStore(folder / "artifacts", folder / "projects", "s3://bucket/kedge", here=False)
    app = Starlette(routes=staging.routes(pods, pods, store))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as http:
        sent = {"podUid": "uid", "protocol": staging.PROTOCOLS[-1], **body}
        return await http.post(f"/apis/kedge.dev/v1/staging/{verb}", json=sent, headers={"Authorization": "Bearer x"})


FILES = {"uri": ANOTHER_S, "files": [{"path": "a"}], "side": "inputs"}


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("begin", {}),
        ("transfers", FILES),
        ("listing", {"uri": ANOTHER_S}),
        ("complete", {"uri": ANOTHER_S, "file": {"path": "a"}, "etags": []}),
    ],
)
async def test_no_grant_is_of_another_namespace(tmp_path: Path, verb: str, body: dict[str, Any]) -> None:
    said = await ask(Pods(ANOTHER_S), tmp_path, verb, **body)
    assert said.status_code == 422
    assert "belongs to another namespace than 'team-a'" in said.json()["message"]


@pytest.mark.parametrize("uri", [ANOTHER_S, "s3://bucket/kedge", "s3://bucket/kedge/team-a/../team-b/x"])
async def test_no_commit_says_that_what_another_has_is_one_s_own(tmp_path: Path, uri: str) -> None:
    pods = Pods(OWN)
    said = await ask(pods, tmp_path, "commit", outputs={"artifacts": {"model": [{"name": "model", "uri": uri}]}})
    assert said.status_code == 422, said.text
    assert not pods.committed
