"""Whose an address is, where namespaces share an object store."""

from pathlib import Path

import pytest

from kedge.artifacts.store import ArtifactStore
from kedge.artifacts.territories import Territories
from kedge.errors import Invalid

SHARED = Territories("s3://bucket/kedge/v1", divided=True)
OWN = "s3://bucket/kedge/v1/team-a"


@pytest.mark.parametrize(
    "uri",
    [
        f"{OWN}/train/run/0/model",
        f"{OWN}/model/",
        OWN,
        "minio://bucket/kedge/v1/team-a/model",
        "s3://BUCKET/kedge/v1/team-a/model",
        "s3://bucket/datasets/mnist",
        "s3://bucket/kedge/v10/team-b/model",
        "s3://public/kedge/v1/team-b/model",
        "gs://bucket/kedge/v1/team-b/model",
        "https://example.com/kedge/v1/team-b",
        "hf://model",
        "anything",
        "",
    ],
)
def test_a_namespace_has_what_is_its_own_and_what_is_nobody_s(uri: str) -> None:
    assert SHARED.fault(uri, "team-a") == ""


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/kedge/v1/team-b/model",
        "minio://bucket/kedge/v1/team-b/model",
        "s3://Bucket/kedge/v1/team-b/model",
        "s3://bucket/kedge/v1/team-ab/model",
        "s3://bucket/kedge/v1/.projects/x.zip",
        "s3://bucket/kedge/v1/team-b",
        "s3://bucket/kedge/v1",
        "s3://bucket/kedge/v1/",
        "s3://bucket/kedge",
        "s3://bucket",
        "s3://bucket/",
    ],
)
def test_what_is_another_s_or_holds_it_is_refused_by_name(uri: str) -> None:
    assert SHARED.fault(uri, "team-a").endswith(f"another namespace than 'team-a', whose artifacts lie below {OWN}/")


@pytest.mark.parametrize(
    "uri",
    [
        f"{OWN}/../team-b/model",
        f"{OWN}/./x",
        f"{OWN}//x",
        "s3://bucket//kedge/v1/team-b/model",
        "s3://bucket/kedge/v1/team-a/x//",
        "s3://bucket?endpoint=http://elsewhere/kedge/v1/team-a/x",
        "s3://a:b@bucket/kedge/v1/team-b/x",
        "s3:///kedge/v1/team-b/x",
        "s3://bucket#/kedge/v1/team-b/x",
    ],
)
def test_what_is_not_written_plainly_is_refused(uri: str) -> None:
    assert "not written plainly" in SHARED.fault(uri, "team-a")


def test_azure_s_two_words_name_one_container() -> None:
    shared = Territories("abfs://data@account.dfs.core.windows.net/kedge", divided=True)
    for uri in ("az://data/kedge/team-b/x", "abfs://data@account.dfs.core.windows.net/kedge/team-b/x"):
        assert "another namespace" in shared.fault(uri, "team-a")
        assert shared.fault(uri, "team-b") == ""


@pytest.mark.parametrize("root", ["file:///data", "s3://bucket//x", "bucket", ""])
def test_a_root_that_cannot_be_divided_is_refused(root: str) -> None:
    with pytest.raises(Invalid, match="KEDGE_ARTIFACTS"):
        Territories(root, divided=True)


async def test_a_store_that_steps_of_a_cluster_use_is_divided_and_another_is_not(tmp_path: Path) -> None:
    places = tmp_path / "artifacts", tmp_path / "projects"
    cluster = ArtifactStore(*places, "s3://bucket/kedge", here=False)
    assert cluster.root_of("team-a") == "s3://bucket/kedge/team-a"
    with pytest.raises(Invalid, match=r"pipeline root 's3://bucket/kedge/team-b': .*another namespace than 'team-a'"):
        await cluster.check_root("s3://bucket/kedge/team-b", "team-a")
    with pytest.raises(Invalid, match="another namespace"):
        await cluster.check_root("s3://bucket/kedge", "team-a")
    assert cluster.place_fault("s3://bucket/kedge/team-a/run", "team-a") == ""
    here = ArtifactStore(*places, "s3://bucket/kedge")
    assert here.root_of("team-a") == "s3://bucket/kedge"
    assert here.place_fault("s3://bucket/kedge/team-b/x", "team-a") == ""
