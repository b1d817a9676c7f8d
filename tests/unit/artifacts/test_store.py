"""The folder store: what is there, what is in it, and what leaves it."""

import asyncio
import hashlib
import sys
from pathlib import Path

import pytest

from kedge.artifacts.content import MANIFEST_SUFFIX, check, measure
from kedge.artifacts.store import ArtifactStore
from kedge.errors import Invalid, NotFound
from kedge.launcher.files import describe


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts", tmp_path / "projects")


async def read(store: ArtifactStore, uri: str, path: str = "") -> bytes:
    return b"".join([piece async for piece in store.read(uri, path)])


async def test_a_file_and_a_file_of_a_folder_are_read(store: ArtifactStore) -> None:
    (store.folder / "run").mkdir(parents=True)
    (store.folder / "run" / "a").write_bytes(b"x" * (3 << 20))
    assert await read(store, store.root + "/run/a") == b"x" * (3 << 20)
    assert await read(store, store.root + "/run", "a") == b"x" * (3 << 20)
    assert await store.exists(store.root + "/run/a")
    assert not await store.exists(store.root + "/run/b")
    assert not await store.exists("https://example.com/a")


async def test_some_bytes_are_read_from_either_end(store: ArtifactStore) -> None:
    (store.folder / "run").mkdir(parents=True)
    (store.folder / "run" / "a").write_bytes(b"0123456789")
    uri = store.root + "/run"
    assert await store.part(uri, "a", 2, 3) == (b"234", 10)
    assert await store.part(uri, "a", -4, 4) == (b"6789", 10)
    assert await store.part(uri, "a", -40, 40) == (b"0123456789", 10)
    assert await store.part(uri, "a", 10, 5) == (b"", 10)
    with pytest.raises(Invalid, match="leaves the artifact's folder"):
        await store.part(uri, "../secret", 0, 1)
    with pytest.raises(NotFound, match="Was it deleted"):
        await store.part(uri, "b", 0, 1)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "link/passwd", "a/../../secret"])
async def test_nothing_beside_the_artifact_is_read(store: ArtifactStore, path: str) -> None:
    folder = store.folder / "run"
    (folder / "a").mkdir(parents=True)
    (store.folder / "secret").write_text("s")
    (folder / "link").symlink_to("/etc")
    with pytest.raises(Invalid, match="leaves the artifact's folder"):
        await read(store, store.root + "/run", path)


async def test_what_is_not_there_is_not_found(store: ArtifactStore) -> None:
    with pytest.raises(NotFound, match="Was it deleted"):
        await read(store, store.root + "/none")
    store.folder.mkdir()
    with pytest.raises(Invalid, match=r"is a folder\. Name one of its files"):
        await read(store, store.root)


@pytest.mark.skipif(sys.platform != "linux", reason="steps share /tmp with the machine")
async def test_a_root_that_steps_do_not_see_is_refused(store: ArtifactStore) -> None:
    with pytest.raises(Invalid, match=r"do not see the machine's\. .* KEDGE_ARTIFACTS=/tmp/kedge-roots/a\."):
        await store.check_root("file:///tmp/kedge-roots/a", "default")


async def test_a_root_that_cannot_be_written_is_refused(store: ArtifactStore, tmp_path: Path) -> None:
    await store.check_root(store.root, "default")
    (tmp_path / "file").touch()
    with pytest.raises(Invalid, match="artifacts cannot be written there"):
        await store.check_root((tmp_path / "file" / "root").as_uri(), "default")
    with pytest.raises(Invalid, match=r"Use one of file://, s3://"):
        await store.check_root("https://example.com/root", "default")


def test_the_hub_and_the_launcher_digest_alike(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "ü").mkdir(parents=True)
    (folder / "ü" / "a").write_text("1")
    (folder / "z").write_text("22")
    (folder / "empty").mkdir()
    digest, size = describe(str(folder), "out")
    found = measure(folder)
    assert (found.digest, found.size) == (digest, size)
    assert check(folder, digest, size) == ""
    (tmp_path / "one").write_text("x")
    assert describe(str(tmp_path / "one"), "one") == ("sha256:" + hashlib.sha256(b"x").hexdigest(), 1)
    assert describe(str(tmp_path / "none"), "none") == ("", None)


def test_a_folder_that_was_not_finished_is_found_out(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    digest, size = describe(str(folder), "out")
    (tmp_path / ("out" + MANIFEST_SUFFIX)).write_text("{}")
    assert "is not the one that the step committed" in check(folder, digest, size)
    (tmp_path / ("out" + MANIFEST_SUFFIX)).unlink()
    assert "has no manifest" in check(folder, digest, size)
    assert "nothing lies at" in check(tmp_path / "none", digest, size)


async def test_grants_are_for_exactly_what_the_executor_input_names(store: ArtifactStore) -> None:
    def listed(*uris: str) -> dict[str, object]:
        return {"artifacts": [{"uri": uri} for uri in uris]}

    given = {
        "inputs": {
            "artifacts": {"a": listed("file:///data/a", "/data/b"), "web": listed("https://example.com/x"), "bare": listed("")}
        },
        "outputs": {"artifacts": {"out": listed(store.root + "/r/out")}},
    }
    made = await store.grants.of(given, "ab" * 32, {}, "default")
    assert made == {
        "inputs": {
            "a": [{"uri": "file:///data/a", "path": "/data/a"}, {"uri": "/data/b", "path": "/data/b"}],
            "web": [{"uri": "https://example.com/x"}],
            "bare": [{"uri": ""}],
        },
        "outputs": {"out": [{"uri": store.root + "/r/out", "path": str(store.folder / "r/out")}]},
        "project": {"path": str(store.projects.path("ab" * 32))},
    }


async def test_an_object_store_grants_a_signed_address(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret-key", "AWS_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(name, value)
    addresses = [{"uri": f"s3://bucket/x/{name}"} for name in ("a", "never-written", "imported")]
    given = {"inputs": {"artifacts": {"a": {"artifacts": addresses}}}}
    made = await store.grants.of(given, "", {"s3://bucket/x/a": "sha256:00", "s3://bucket/x/never-written": ""}, "default")
    assert made["inputs"]["a"][0]["digest"] == "sha256:00"
    assert [one.get("optional") for one in made["inputs"]["a"]] == [None, True, None]
    url = made["inputs"]["a"][0]["url"]
    assert url.startswith("https://")
    assert "/x/a?" in url
    assert "X-Amz-Signature=" in url
    assert "secret-key" not in url


async def test_measuring_reads_off_the_event_loop(store: ArtifactStore) -> None:
    store.folder.mkdir()
    (store.folder / "a").write_bytes(b"a" * 1000)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    assert (await store.measure(store.root + "/a")).size == 1000
    counting.cancel()
    assert turns > 0


@pytest.mark.parametrize(
    ("uri", "digest", "fault"),
    [
        ("registry:churn/v1", "", ""),
        ("../x", "", ""),
        ("https://example.com/a", "sha256:00", ""),
        ("model", "sha256:00", "artifact address 'model': must be an absolute path or start with a scheme"),
        ("file:///a/../b", "sha256:00", "artifact address 'file:///a/../b': must be an absolute path without '..'"),
        ("file:///a%00b", "sha256:00", "artifact address 'file:///a%00b': must be an absolute path"),
        ("file:///" + "a" * 300, "sha256:00", "cannot be looked at: File name too long"),
    ],
)
def test_every_address_that_a_step_may_name_is_good_or_has_a_fault(
    store: ArtifactStore, uri: str, digest: str, fault: str
) -> None:
    said = store.check_in_place(uri, digest, 1)
    assert fault in said if fault else said == ""


@pytest.mark.parametrize("uri", ["hf://a/b", "https://localhost:9/a", "registry:churn/v1", "../x", ""])
async def test_what_lies_in_no_store_has_no_files_and_is_not_read(store: ArtifactStore, uri: str) -> None:
    """Nothing is asked of the network: the address is the step's word, and the host is nobody's messenger."""
    assert await store.files(uri) == []
    assert not await store.exists(uri)
    with pytest.raises(Invalid, match=r"lies in no store of this host|must be an absolute path"):
        await read(store, uri)


async def test_where_steps_run_elsewhere_nothing_of_this_machine_is_granted_or_read(tmp_path: Path) -> None:
    """A hub in a cluster has files of its own, and tokens among them: no address leads there."""
    secret = tmp_path / "token"
    secret.write_text("t")
    store = ArtifactStore(tmp_path / "artifacts", tmp_path / "projects", "s3://bucket/kedge", here=False)
    uri = secret.as_uri()
    refused = "is a file of one machine, which the Pods of a cluster do not see"
    with pytest.raises(Invalid, match=refused):
        await read(store, uri)
    with pytest.raises(Invalid, match=refused):
        await store.check_root(tmp_path.as_uri(), "default")
    with pytest.raises(Invalid, match=refused):
        await store.write(uri, b"")
    asked = {"inputs": {"artifacts": {"x": {"artifacts": [{"uri": uri}]}}}}
    with pytest.raises(Invalid, match=refused):
        await store.grants.of(asked, "", {}, "default")
    assert store.grants_in_place(asked, "") is None
    assert not await store.exists(uri)
    assert not await store.files(uri)
    assert refused in await store.check(uri, "sha256:" + hashlib.sha256(b"t").hexdigest(), 1)
    assert secret.read_text() == "t"
