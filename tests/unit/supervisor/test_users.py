"""Containers of another user than root: what is theirs, and that nothing of root's is left."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.supervisor.conftest import Client, wait_until

from kedge.node.users import ways_of
from kedge.supervisor import identity

pytestmark = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root becomes somebody else")

SOMEBODY = {"uid": 4242, "gid": 4343, "groups": [4444, 4545]}
# Where the interpreter of these tests lies: perhaps in root's home, which is closed to everybody else.
PYTHON = [*ways_of(Path(sys.prefix)), str(Path(__file__).parents[3] / "src")]
LOOK = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
def opens(path):
    try:
        open(path, "a").close()
    except OSError as error:
        return error.strerror
    return "yes"
print(json.dumps({
    "user": [os.getresuid(), os.getresgid(), sorted(os.getgroups())],
    "capabilities": [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")],
    "confined": int(status["NoNewPrivs"]),
    "open": sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)),
    "names": sorted(set(os.environ) - {"LC_CTYPE"}),
    "raw": sorted(line.partition("=")[0] for line in open("/proc/self/environ").read().split("\\0") if line),
    "stdout": opens("/dev/stdout"), "shadow": opens("/etc/shadow"), "tmp": opens("/tmp/mine"),
}))
"""


def mine(supervisor: Client, container: str = "u/main/0", **user: Any) -> dict[str, Any]:
    """The part of a spec that makes a container somebody's; the Pod's /tmp is everybody's, as the node makes it."""
    place = supervisor.place(container)
    (place / "tmp").mkdir(parents=True, exist_ok=True)
    (place / "tmp").chmod(0o1777)
    return {"user": SOMEBODY | user, "reach": PYTHON}


def look(supervisor: Client, container: str = "u/main/0", **spec: Any) -> dict[str, Any]:
    ended = supervisor.run(container, sys.executable, "-I", "-c", LOOK, **mine(supervisor, container), **spec)
    assert ended["code"] == 0, (ended, supervisor.log(container))
    return json.loads(supervisor.output(container))


def assert_nothing_of_root(seen: dict[str, Any]) -> None:
    assert seen["user"] == [[4242] * 3, [4343] * 3, [4444, 4545]]
    assert seen["capabilities"] == [0, 0, 0, 0]
    assert (seen["stdout"], seen["tmp"], seen["shadow"]) == ("yes", "yes", "Permission denied")
    assert seen["open"] == [0, 1, 2]


def test_a_program_runs_as_its_user_with_nothing_of_roots(supervisor: Client) -> None:
    seen = look(supervisor)
    assert_nothing_of_root(seen)
    assert seen["names"] == seen["raw"] == ["PATH"]
    assert (supervisor.place("u/main/0") / "tmp" / "mine").stat().st_uid == 4242


def test_without_a_view_of_its_own_a_program_runs_as_its_user_too(supervisor: Client) -> None:
    ended = supervisor.run(
        "u/main/0", "sh", "-c", "id -u; id -g; id -G; grep CapEff /proc/self/status", private=False, user=SOMEBODY
    )
    assert ended["code"] == 0
    assert supervisor.output("u/main/0").split() == ["4242", "4343", "4343", "4444", "4545", "CapEff:", "0" * 16]


def test_a_forked_step_runs_as_its_user_with_nothing_of_roots(supervisor: Client, launcher: Path) -> None:
    """Its interpreter is root's, and so was its environment."""
    ended = fork(supervisor, launcher, LOOK)
    assert (ended["how"], ended["code"]) == ("fork", 0), supervisor.log("u/main/0")
    seen = json.loads(supervisor.output("u/main/0"))
    assert_nothing_of_root(seen)
    assert seen["names"] == ["CODE"]
    assert set(seen["raw"]) <= {"PATH", "LANG"}


def test_a_users_program_outlives_the_supervisor(supervisor: Client) -> None:
    """The next one finds its output, which is the user's, and its end."""
    script = "echo before; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo after"
    started = supervisor.start("u/main/0", "sh", "-c", script, **mine(supervisor))
    wait_until(lambda: supervisor.log("u/main/0"))
    supervisor.kill_supervisor()
    supervisor.connect()
    assert identity.is_running(started["pid"], started["start"])
    (supervisor.place("u/main/0") / "tmp" / "go").touch()
    supervisor.hear("exited", "u/main/0")
    assert supervisor.output("u/main/0") == "before\nafter\n"


def test_an_interpreter_serves_one_user(supervisor: Client, launcher: Path) -> None:
    """What it holds in memory of one user's step is not there to be found by another user's."""
    code = "import os; print(os.getppid())"
    interpreters: list[str] = []
    for number, user in enumerate((4242, 4242, 4243)):
        fork(supervisor, launcher, code, f"u/main/{number}", uid=user)
        interpreters.append(supervisor.output(f"u/main/{number}"))
    assert interpreters[0] == interpreters[1] != interpreters[2]


def test_no_program_gives_a_confined_container_more_rights(supervisor: Client) -> None:
    assert look(supervisor)["confined"] == 0
    assert look(supervisor, "u/main/1", confined=True)["confined"] == 1


def test_root_with_other_groups_stays_root(supervisor: Client) -> None:
    ended = supervisor.run("u/main/0", "sh", "-c", "id -u; id -g; id -G; touch /etc/shadow && echo root", **root_of_groups())
    assert ended["code"] == 0
    assert supervisor.output("u/main/0") == "0\n7\n7 2000\nroot\n"


def root_of_groups() -> dict[str, Any]:
    return {"user": {"uid": 0, "gid": 7, "groups": [2000]}}


def test_what_a_user_may_reach_behind_a_closed_directory_is_all_that_it_sees_there(supervisor: Client, closed: Path) -> None:
    spec = mine(supervisor)
    spec["reach"] = [str(closed / "deep" / "er"), str(closed / "file"), str(closed / "not-there")]
    mounts = [{"source": str(closed / "volume"), "target": str(closed / "mounted"), "readonly": False}]
    script = "cat deep/er/known file mounted/data; ls . deep; touch new || echo no"
    supervisor.run("u/main/0", "sh", "-c", script, cwd=str(closed), mounts=mounts, **spec)
    said = supervisor.log("u/main/0")
    words = [line.removeprefix("stdout F ") for line in said if line.startswith("stdout")]
    assert words == ["known", "file", "data", ".:", "deep", "file", "mounted", "", "deep:", "er", "no"]


def test_a_working_directory_that_is_closed_to_the_user_is_named(supervisor: Client, closed: Path) -> None:
    ended = supervisor.run("u/main/0", "true", cwd=str(closed), **mine(supervisor))
    assert (ended["reason"], ended["message"]) == ("StartError", f"workingDir {closed}: Permission denied")


@pytest.fixture
def closed() -> Iterator[Path]:
    """A directory that only root may look into."""
    import shutil  # noqa: PLC0415

    place = Path("/var/lib") / f"kedge-test-{os.getpid()}"
    for name in ("deep/er", "deep/secret", "volume"):
        (place / name).mkdir(parents=True)
    for name in ("deep/er/known", "file", "volume/data"):
        (place / name).write_text(Path(name).name + "\n")
    place.chmod(0o700)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """An expanded launcher that runs what a variable holds."""
    package = tmp_path / "launcher" / "kedge" / "launcher"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py"):
        file.touch()
    (package / "__main__.py").write_text("def main(argv):\n    import os\n    exec(os.environ['CODE'], {})\n    return 0\n")
    return tmp_path / "launcher"


def fork(supervisor: Client, launcher: Path, code: str, container: str = "u/main/0", **user: Any) -> dict[str, Any]:
    warm = {"python": sys.executable, "launcher": str(launcher)}
    spec = mine(supervisor, container, **user)
    spec["reach"] = [*PYTHON, str(launcher)]
    return supervisor.run(container, sys.executable, str(launcher / "x"), "run", warm=warm, env={"CODE": code}, **spec)
