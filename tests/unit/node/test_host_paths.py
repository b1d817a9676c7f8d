"""Files of this machine as volumes: nothing leads out of what is allowed."""

from pathlib import Path

import pytest

from kedge.node import host_paths
from kedge.node.env import MissingError
from kedge.node.refusals import Host, Refusal, check
from kedge.supervisor import view


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    """A directory that Pods may have, beside one that they may not."""
    (tmp_path / "open" / "inner").mkdir(parents=True)
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "secret").write_text("no")
    return tmp_path / "open"


def test_who_allows_nothing_is_told_how_to_allow_it() -> None:
    spec = {"containers": [{"name": "main"}], "volumes": [{"name": "v", "hostPath": {"path": "/data/../etc"}}]}
    for paths, some in (((), "nothing"), (("/data", "/srv"), "only /data, /srv")):
        with pytest.raises(Refusal) as caught:
            check(spec, Host(0, (0,), paths=paths))
        assert caught.value.message.startswith(
            f"spec.volumes[0].hostPath: Pods may see {some} of this machine's files, not /data/../etc"
        )
        assert "KEDGE_HOST_PATHS=" in caught.value.message
    check({**spec, "volumes": [{"name": "v", "hostPath": {"path": "/data/sets"}}]}, Host(0, (0,), paths=("/data",)))


@pytest.mark.parametrize("link", ["../closed", "/etc", "inner/../../closed"])
@pytest.mark.parametrize("kind", ["", "Directory", "DirectoryOrCreate", "File", "FileOrCreate"])
def test_no_link_leads_out_of_what_is_allowed(allowed: Path, link: str, kind: str) -> None:
    (allowed / "way").symlink_to(link)
    for path in ("way", "way/secret", "way/new"):
        with pytest.raises(MissingError, match=f"hostPath type check failed: .*{path}"):
            host_paths.found({"path": f"{allowed}/{path}", "type": kind}, (str(allowed),))
    assert [each.name for each in (allowed.parent / "closed").iterdir()] == ["secret"]


def test_links_that_stay_inside_are_followed_and_looked_at_again_when_mounted(allowed: Path) -> None:
    (allowed / "way").symlink_to("inner")
    place, top = host_paths.found({"path": f"{allowed}/way", "type": "Directory"}, (str(allowed),))
    entry = {"source": str(place), "beneath": top, "target": "/data"}
    with view.origin(entry) as source:
        assert Path(source).samefile(allowed / "inner")
    (allowed / "way").unlink()
    (allowed / "way").symlink_to("../closed")
    with pytest.raises(view.ViewError, match=r"mountPath /data: .*a link in it leads out"), view.origin(entry):
        pass


def test_a_directory_that_is_allowed_may_be_a_link_itself(allowed: Path) -> None:
    (allowed.parent / "named").symlink_to(allowed)
    place, top = host_paths.found({"path": f"{allowed.parent}/named/new"}, (f"{allowed.parent}/named",))
    assert (place, top, place.is_dir()) == (allowed / "new", str(allowed), True)
