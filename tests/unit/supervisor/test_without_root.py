"""The private view where root is not there: an unprivileged user namespace gives the same."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.supervisor.conftest import Client

_NOBODY = 65534
_FILES = "+dac_read_search,+dac_override"  # the interpreter may lie where only root looks; nothing else of root is kept


@pytest.fixture
def client() -> Iterator[Client]:
    """A supervisor that runs as nobody."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root, to become somebody else, and setpriv")
    place = Path(tempfile.mkdtemp(prefix="kedge-"))
    place.chmod(0o777)
    who = ("setpriv", "--reuid", str(_NOBODY), "--regid", str(_NOBODY), "--clear-groups")
    made = Client(place / "node", *who, "--inh-caps", _FILES, "--ambient-caps", _FILES)
    if made.hello["view"]:
        made.end()
        shutil.rmtree(place)
        pytest.skip(f"this machine does not allow it: {made.hello['view']}")
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(place)


def test_a_container_has_its_own_tmp_and_mounts(client: Client) -> None:
    source = client.pods / "source"
    source.mkdir()
    (source / "file").write_text("seen")
    mounts = [
        {"source": str(source), "target": target, "readonly": True} for target in ("/kedge/code", "/usr/share/kedge-test/x")
    ]
    script = "id -u; cat /kedge/code/file /usr/share/kedge-test/x/file; echo; touch /tmp/mine; touch /kedge/code/x; echo $?"
    client.run("u/main/0", "sh", "-c", script, mounts=mounts)
    lines = [line for line in client.log("u/main/0") if line.startswith("stdout")]
    assert lines == ["stdout F 65534", "stdout F seenseen", "stdout F 1"]
    assert (client.place("u/main/0") / "tmp" / "mine").exists()


def test_a_place_in_the_root_is_seen_by_its_container_alone_and_a_link_does_not_lead_out_of_a_mount(client: Client) -> None:
    source = client.pods / "source"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "file").write_text("seen")
    (source / "way").symlink_to("inner")
    (source / "out").symlink_to("/etc")
    mount = {"source": str(source), "target": "/place-of-a-test", "readonly": False, "inside": "way"}
    client.run("u/main/0", "sh", "-c", "cat /place-of-a-test/file", mounts=[mount])
    client.run("v/main/0", "sh", "-c", "test -e /place-of-a-test; echo $?")
    assert next(line for line in client.log("u/main/0") if line.startswith("stdout")) == "stdout F seen"
    assert [line for line in client.log("v/main/0") if line.startswith("stdout")] == ["stdout F 1"]
    ended = client.run("w/main/0", "true", mounts=[{**mount, "inside": "out/ssl"}])
    assert (ended["reason"], "a link in it leads out of the volume" in ended["message"]) == ("StartError", True)


def test_a_readonly_root_stays_readonly(client: Client) -> None:
    script = "touch /etc/kedge-test /usr/kedge-test; touch /tmp/x && echo tmp; mount -o remount,rw / || echo no"
    client.run("u/main/0", "sh", "-c", script, readonly=True)
    assert [line for line in client.log("u/main/0") if line.startswith("stdout")] == ["stdout F tmp", "stdout F no"]
    assert not Path("/usr/kedge-test").exists()


def test_what_is_written_to_an_overlay_goes_elsewhere(client: Client) -> None:
    layers = {name: client.pods / f"a,b:c-{name}" for name in ("lower", "upper", "work")}  # what separates options
    for path in layers.values():
        path.mkdir()
        os.chown(path, _NOBODY, _NOBODY)
    (layers["lower"] / "old").write_text("old")
    lower = str(layers["lower"])
    mounts = [{"source": lower, "target": lower, "upper": str(layers["upper"]), "work": str(layers["work"])}]
    client.run("u/main/0", "sh", "-c", f"cat {lower}/old; echo new > {lower}/new", mounts=mounts)
    assert client.output("u/main/0") == "old\n"
    assert [path.name for path in layers["lower"].iterdir()] == ["old"]
    assert (layers["upper"] / "new").read_text() == "new\n"


def test_what_is_hidden_cannot_be_uncovered(client: Client) -> None:
    top = client.directory.parent / "data"
    (top / "kept").mkdir(parents=True)
    for place in (top, top / "kept"):
        (place / "file").write_text("seen\n")
    uncover = f"umount {top}; unshare --user --map-root-user --mount umount {top}"
    script = f"cat {top}/file; {uncover}; cat {top}/file; cat {top}/kept/file"
    hidden = [{"path": str(top), "but": [str(top / "kept")]}]
    client.run("u/main/0", "sh", "-c", script, hidden=hidden)
    assert [line for line in client.log("u/main/0") if line.startswith("stdout")] == ["stdout F seen"]
