"""Finding a host: only one that is really there counts."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kedge import host
from kedge.config import Settings
from kedge.errors import KedgeError, StateError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({**os.environ, "KEDGE_HOME": str(tmp_path)})  # noqa: TID251


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def announce(home: Path, pid: int, port: int) -> None:
    fields = {"http": f"http://127.0.0.1:{port}", "https": "https://127.0.0.1:1", "token": "t", "kubeconfig": "k", "pid": pid}
    (home / "host.json").write_text(json.dumps(fields))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_host_that_lives_and_listens_is_found(settings: Settings, port: int) -> None:
    announce(settings.home, os.getpid(), port)
    found = host.find(settings)
    assert found is not None
    assert (found.pid, found.data_dir) == (os.getpid(), str(settings.home))


def test_what_a_killed_host_left_is_no_host(settings: Settings, port: int) -> None:
    announce(settings.home, dead_pid(), port)
    assert host.find(settings) is None


def test_a_process_number_that_somebody_else_has_by_now_is_no_host(settings: Settings) -> None:
    with socket.socket() as taken:  # but nobody listens
        taken.bind(("127.0.0.1", 0))
        announce(settings.home, os.getpid(), taken.getsockname()[1])
        assert host.find(settings) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'], ids=["empty", "no JSON", "a list", "fields missing"])
def test_a_description_that_cannot_be_read_says_what_to_do(settings: Settings, text: str) -> None:
    (settings.home / "host.json").write_text(text)
    message = rf"^{re.escape(str(settings.home / 'host.json'))}: cannot be read .* Delete the file and run `kedge up` again\.$"
    with pytest.raises(StateError, match=message):
        host.find(settings)


def test_a_host_that_ends_at_once_tells_why_in_its_own_words(settings: Settings, port: int) -> None:
    with pytest.raises(StateError, match=rf"port {port} .*is in use by another process"):
        host.start(settings, http_port=port)


def test_a_host_in_the_background_has_the_database_that_is_set(tmp_path: Path) -> None:
    address = "mysql://user:secret@127.0.0.1/history"
    settings = Settings.from_environment({**os.environ, "KEDGE_HOME": str(tmp_path), "KEDGE_DATABASE": address})  # noqa: TID251
    with pytest.raises(StateError, match="KEDGE_DATABASE") as refused:
        host.start(settings)
    assert "secret" not in str(refused.value)


def test_no_supervisor_is_no_error(tmp_path: Path) -> None:
    assert host.stop_supervisor(tmp_path) is False


def test_a_process_that_ended_is_not_waited_for(settings: Settings) -> None:
    assert host.wait_for_exit(dead_pid(), 0)
    assert not host.wait_for_exit(os.getpid(), 0)


@pytest.mark.parametrize("under", ["a file", "a file/below it"])
def test_a_data_directory_that_cannot_be_one_is_refused_in_words(tmp_path: Path, under: str) -> None:
    (tmp_path / "a file").write_text("")
    settings = Settings.from_environment({**os.environ, "KEDGE_HOME": str(tmp_path / under)})  # noqa: TID251
    for use in (host.find, host.start):
        with pytest.raises(StateError, match=r"Set KEDGE_HOME to (one that you may write to|a directory of your own)\."):
            use(settings)


def test_a_data_directory_is_made_closed_to_others(tmp_path: Path) -> None:
    assert host.make(tmp_path / "home").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("text", ["much", "inf", "nan", "-1"])
def test_a_setting_that_is_no_number_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(KedgeError, match=f"KEDGE_LEAST_DISK: must be .* got '{text}'. Unset it for the default, 2147483648"):
        Settings.from_environment({"KEDGE_LEAST_DISK": text})


def test_a_host_at_rest_holds_nothing_that_only_some_need() -> None:
    """Each of these is megabytes, and loaded with what needs it."""
    program = "import sys\nfrom kedge.cli.main import main\nmain(['--version'])\nimport kedge.app\nprint(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "httpx" in said
    assert not {"rich", "pygments", "re2", "sqlalchemy.orm", "psycopg"} & set(said)
