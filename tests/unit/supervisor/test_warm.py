"""Warm interpreters: a step that is forked behaves as one that was started."""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.supervisor.conftest import Client, wait_until

from kedge.supervisor import identity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")

_MAIN = """
import os
def main(argv):
    assert argv == ["run"]
    exec(os.environ["CODE"], {"__name__": "step"})
    return int(os.environ.get("CODE_RESULT", "0"))
"""


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """An expanded launcher that runs what a variable holds."""
    place = tmp_path / "launcher"
    package = place / "kedge" / "launcher"
    package.mkdir(parents=True)
    (place / "kedge" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(_MAIN)
    (place / "__main__.py").write_text("import sys\nfrom kedge.launcher.__main__ import main\nsys.exit(main(sys.argv[1:]))\n")
    return place


def fork(supervisor: Client, launcher: Path, code: str, container: str = "u/main/0", **env: str) -> dict[str, Any]:
    warm = {"python": sys.executable, "launcher": str(launcher)}
    argv = (sys.executable, str(launcher / "__main__.py"), "run")
    return supervisor.run(container, *argv, warm=warm, env={"CODE": code, **env})


@pytest.mark.parametrize(
    ("code", "result"),
    [
        pytest.param("", 0, id="returns"),
        pytest.param("import sys; sys.exit(3)", 3, id="sys.exit"),
        pytest.param("raise SystemExit('text')", 1, id="sys.exit with a text"),
        pytest.param("raise ValueError('no')", 1, id="raises"),
        pytest.param("import os; os._exit(9)", 9, id="os._exit"),
        pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143, id="SIGTERM"),
        pytest.param("import os; os.kill(os.getpid(), 11)", 139, id="SIGSEGV"),
    ],
)
def test_exit_codes_are_those_of_an_interpreter(supervisor: Client, launcher: Path, code: str, result: int) -> None:
    ended = fork(supervisor, launcher, code)
    assert (ended["how"], ended["code"]) == ("fork", result)


def test_what_a_step_used_is_told_with_its_end(supervisor: Client, launcher: Path) -> None:
    code = "import time\ntaken = b'x' * (80 << 20)\nwhile time.process_time() < 0.2: pass"
    ended = fork(supervisor, launcher, code)
    assert ended["how"] == "fork"
    assert ended["cpuSeconds"] >= 0.2
    assert ended["peakMemory"] >= 80 << 20


def test_an_exception_is_printed_as_the_interpreter_prints_it(supervisor: Client, launcher: Path) -> None:
    fork(supervisor, launcher, "raise ValueError('no')")
    assert supervisor.output("u/main/0").endswith("ValueError: no\n")


def test_what_is_to_happen_at_the_end_happens(supervisor: Client, launcher: Path) -> None:
    """atexit, threads that are no daemons, and buffers."""
    code = """
import atexit, threading, time, sys
atexit.register(print, "atexit")
said = threading.Event()
threading.Thread(target=lambda: (said.wait(), time.sleep(0.05), print("thread"))).start()
print("main", end=" ")
said.set()
"""
    fork(supervisor, launcher, code)
    assert supervisor.output("u/main/0") == "main thread\natexit\n"


def test_the_environment_is_the_steps_alone(supervisor: Client, launcher: Path) -> None:
    fork(supervisor, launcher, "import os; print(sorted(os.environ)); print(os.popen('echo $CODE_X').read())", CODE_X="set")
    assert supervisor.output("u/main/0").startswith("['CODE', 'CODE_X']\nset\n")


def test_two_steps_share_nothing(supervisor: Client, launcher: Path) -> None:
    """Neither modules nor /tmp nor random numbers."""
    code = """
import os, random, sys
print(hasattr(sys, "mark"), os.path.exists("/tmp/x"), random.random())
sys.mark = 1
open("/tmp/x", "w").close()
"""
    fork(supervisor, launcher, code, "a/main/0")
    fork(supervisor, launcher, code, "b/main/0")
    first, second = supervisor.output("a/main/0"), supervisor.output("b/main/0")
    assert first.startswith("False False")
    assert second.startswith("False False")
    assert first.split()[-1] != second.split()[-1]


def test_only_the_launcher_is_imported(supervisor: Client, launcher: Path) -> None:
    """And there is one thread: what a fork copies is whole."""
    code = """
import sys, threading
print(threading.active_count(), sorted(set(sys.modules) & {"asyncio", "logging", "subprocess", "ssl"}))
"""
    fork(supervisor, launcher, code)
    assert supervisor.output("u/main/0") == "1 []\n"


def test_it_leads_a_session_of_its_own(supervisor: Client, launcher: Path) -> None:
    fork(supervisor, launcher, "import os; print(os.getsid(0) == os.getpgid(0) == os.getpid(), os.getcwd())")
    assert supervisor.output("u/main/0") == "True /\n"


def test_no_descriptor_leaks_into_a_step(supervisor: Client, launcher: Path) -> None:
    fork(
        supervisor,
        launcher,
        "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:3], len(os.listdir('/proc/self/fd')))",
    )
    numbers, count = supervisor.output("u/main/0").rsplit(" ", 1)
    assert numbers == "[0, 1, 2]"
    assert int(count) <= 4  # and the directory that is being read


def test_a_step_whose_interpreter_dies_goes_on_and_is_reaped(supervisor: Client, launcher: Path) -> None:
    """By the supervisor, whose child it then is."""
    warm = {"python": sys.executable, "launcher": str(launcher)}
    code = "import os, time; print(os.getppid(), flush=True)\nwhile not os.path.exists('/tmp/go'): time.sleep(0.01)\nos._exit(6)"
    supervisor.start("u/main/0", "unused", warm=warm, env={"CODE": code})
    wait_until(lambda: supervisor.output("u/main/0").strip())
    parent = int(supervisor.output("u/main/0"))
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: not identity.start_time(parent))
    (supervisor.place("u/main/0") / "tmp" / "go").touch()
    assert supervisor.hear("exited", "u/main/0")["code"] == 6


def test_without_an_interpreter_it_is_started_anew(supervisor: Client, launcher: Path) -> None:
    """A launcher that cannot be imported costs the shortcut, not the step."""
    (launcher / "kedge" / "launcher" / "__main__.py").write_text("raise RuntimeError\n")
    warm = {"python": sys.executable, "launcher": str(launcher)}
    ended = supervisor.run("u/main/0", "sh", "-c", "exit 8", warm=warm)
    assert (ended["how"], ended["code"]) == ("exec", 8)


def test_an_interpreter_that_is_not_there_is_no_obstacle(supervisor: Client, launcher: Path) -> None:
    ended = supervisor.run("u/main/0", "true", warm={"python": "/no/python", "launcher": str(launcher)})
    assert (ended["how"], ended["code"]) == ("exec", 0)


def test_a_start_that_fails_says_why(supervisor: Client, launcher: Path) -> None:
    warm = {"python": sys.executable, "launcher": str(launcher)}
    ended = supervisor.run("u/main/0", "unused", warm=warm, env={"CODE": ""}, cwd="/no/place")
    assert (ended["code"], ended["reason"], ended["message"]) == (
        128,
        "StartError",
        "workingDir /no/place: No such file or directory",
    )


def test_cooling_lets_interpreters_go(supervisor: Client, launcher: Path) -> None:
    fork(supervisor, launcher, "import os; print(os.getppid())")
    parent = int(supervisor.output("u/main/0"))
    assert identity.start_time(parent)
    supervisor.send(op="cool")
    wait_until(lambda: not identity.start_time(parent))


def test_a_process_that_was_killed_while_it_waited_is_replaced(supervisor: Client, launcher: Path) -> None:
    """The next step is forked ahead of its request; nobody may notice when that one is gone."""
    fork(supervisor, launcher, "import os; print(os.getppid())", "a/main/0")
    warm = int(supervisor.output("a/main/0"))
    children = Path(f"/proc/{warm}/task/{warm}/children")
    wait_until(lambda: children.read_text().split())
    [waiting] = map(int, children.read_text().split())
    os.kill(waiting, signal.SIGKILL)
    wait_until(lambda: not identity.start_time(waiting))
    ended = fork(supervisor, launcher, "print('fine')", "b/main/0")
    assert (ended["how"], ended["code"], supervisor.output("b/main/0")) == ("fork", 0, "fine\n")


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def test_any_python_of_a_step_will_do(supervisor: Client, launcher: Path, version: str) -> None:
    """What runs in the step's interpreter keeps to Python 3.8."""
    found = [path for path in (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python3") if path.exists()]
    python = str(found[0]) if found else shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    code = "import sys; print('%d.%d' % sys.version_info[:2]); sys.exit(3)"
    warm = {"python": python, "launcher": str(launcher)}
    ended = supervisor.run("u/main/0", "unused", warm=warm, env={"CODE": code})
    assert (ended["how"], ended["code"], supervisor.output("u/main/0")) == ("fork", 3, f"{version}\n")
