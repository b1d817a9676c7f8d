"""The command line as a whole: help, errors and exit statuses."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from kedge.cli import main as cli
from kedge.config import Settings
from kedge.errors import KedgeError

PIPELINE = """
from kedge import dsl

@dsl.component
def work():
    pass

@dsl.pipeline
def p():
    work()
"""
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_table_of_commands_tells_what_each_says_of_itself(name: str) -> None:
    group = cli.cli
    assert isinstance(group, click.Group)
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(200).startswith(cli.COMMANDS[name].rstrip("."))


def run(*arguments: str, home: Path, prefix: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*prefix, sys.executable, "-P", "-m", "kedge.cli.main", *arguments],
        check=False, capture_output=True, text=True, env={"KEDGE_HOME": str(home), "HOME": str(home.parent)},
    )  # fmt: skip


def test_help_loads_no_command_and_nothing_heavy(tmp_path: Path) -> None:
    """The budget (150 ms) is measured by bench/; this holds off something heavy that creeps in."""
    heavy = ("httpx", "starlette", "rich", "sqlalchemy", "yaml", "msgspec", "asyncio")
    program = (
        "import sys; from kedge.cli.main import main; main(['--help']);"
        f"print('LOADED', *(name for name in {heavy} if name in sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert "Commands:" in shown
    assert shown.splitlines()[-1] == "LOADED"


def test_a_command_line_that_is_wrong_exits_2(tmp_path: Path) -> None:
    result = run("runn", home=tmp_path)
    assert result.returncode == 2
    assert "No such command 'runn'" in result.stderr


@pytest.mark.parametrize(("variables", "color"), [({}, None), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_are_left_out_where_the_terminal_or_its_user_wants_none(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], color: "bool | None"
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    seen: list[bool | None] = []

    @click.command("colours")
    @click.pass_context
    def colours(context: click.Context) -> None:
        seen.append(context.color)

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: colours)
    cli.main(["colours"])
    assert seen == [color]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("none/there.yaml", "No such file or directory. Make the folder first, or name another."),
        (".", "Is a directory. Name a file in it."),
        ("pipeline.py/x.yaml", "Not a directory. A part of it is a file: name another."),
        pytest.param("/dev/full", "No space left on device. Make room on its disk, or write elsewhere.", marks=FULL),
    ],
)
def test_a_file_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path, target: str, message: str) -> None:
    (source := tmp_path / "pipeline.py").write_text(PIPELINE)
    result = run("compile", str(source), "-o", str(tmp_path / target), home=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"kedge: {tmp_path / target}: {message}\n")


def test_what_is_compiled_is_not_overwritten(tmp_path: Path) -> None:
    (source := tmp_path / "pipeline.py").write_text(PIPELINE)
    assert run("compile", str(source), home=tmp_path).returncode == 0
    result = run("compile", str(tmp_path / "pipeline.yaml"), home=tmp_path)
    assert result.returncode == 1
    assert "would be overwritten. Name another file with --output." in result.stderr


@FULL
def test_a_full_disk_behind_standard_output_is_one_message(tmp_path: Path) -> None:
    (source := tmp_path / "pipeline.py").write_text(PIPELINE)
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [sys.executable, "-P", "-m", "kedge.cli.main", "compile", str(source), "-o", "-"],
            check=False, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert (result.returncode, result.stderr) == (
        1,
        "kedge: the output: No space left on device. Make room on its disk, or write elsewhere.\n",
    )


def test_standard_output_may_be_closed(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "kedge.cli.main", "version"]
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_terminal_that_lacks_a_letter_shows_a_question_mark(tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    command = [sys.executable, "-P", "-m", "kedge.cli.main", "compile", "pipeline.py", "-o", "ł.yaml"]
    environ = {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)}
    done = subprocess.run(command, check=False, capture_output=True, cwd=tmp_path, env=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"Wrote ?.yaml.\n", b"")


def test_a_user_without_a_home_is_told_the_variables_that_give_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    with pytest.raises(KedgeError, match=r"no home directory is known: .* Set KEDGE_HOME and KEDGE_CACHE to directories"):
        Settings.from_environment({})
    given = {"XDG_DATA_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    assert Settings.from_environment(given).home == tmp_path / "kedge"


def test_the_version_is_an_option_too(tmp_path: Path) -> None:
    by_option, by_command = (run(*words, home=tmp_path) for words in (("--version",), ("version",)))
    assert by_option.stdout.startswith("kedge ")
    assert (by_option.stdout, by_option.stderr, by_option.returncode) == (by_command.stdout, "", 0)


def test_an_error_is_one_message_on_standard_error_and_exits_1(tmp_path: Path) -> None:
    result = run("runs", "list", home=tmp_path / "none")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"kedge: No host runs in {tmp_path / 'none'}. Start one with `kedge up --detach`, or set KEDGE_HOME to where one runs.\n"
    )


def test_status_says_that_no_host_runs_and_exits_1(tmp_path: Path) -> None:
    result = run("status", home=tmp_path)
    assert (result.returncode, result.stdout) == (1, f"No host runs in {tmp_path}. Start one with `kedge up --detach`.\n")


def test_down_without_a_host_is_no_error(tmp_path: Path) -> None:
    result = run("down", home=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"No host runs in {tmp_path}.\n")


def test_doctor_answers_for_an_empty_directory(tmp_path: Path) -> None:
    result = run("doctor", home=tmp_path / "new")
    assert f"{tmp_path / 'new'} (not made yet)" in result.stdout
    assert "ok    loopback" in result.stdout
    assert re.search("ok    limits +(the kernel keeps them|memory is looked at|resources.limits are not kept)", result.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="there are no network namespaces on this system")
def test_doctor_says_what_leaves_the_networks_of_pods(tmp_path: Path) -> None:
    said = run("doctor", home=tmp_path).stdout
    if "warn  Pods' networks" in said:
        pytest.skip("this machine does not allow it")
    assert "ok    Pods' networks  each Pod gets its own address" in said
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("needs root, to go without one of its rights, and setpriv")
    said = run("doctor", home=tmp_path, prefix=(setpriv, "--bounding-set=-net_raw", "--inh-caps=-net_raw")).stdout
    assert "ok    Pods' networks  each Pod gets its own address" in said
    assert "warn  Pods' networks  UDP does not leave them for what is outside (Operation not permitted)" in said


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("version.json", '{"format": 999, "version": "9.0"}', "was written by Kedge 9.0, which is newer than this one\n"),
        ("version.json", "{", "version.json: cannot be read "),
        ("ports.json", "", "ports.json: cannot be read "),
    ],
)
def test_doctor_finds_what_keeps_a_host_from_starting(tmp_path: Path, name: str, content: str, told: str) -> None:
    (tmp_path / name).write_text(content)
    result = run("doctor", home=tmp_path)
    assert result.returncode == 1
    assert re.search(f"(?m)^fail  data directory  {re.escape(str(tmp_path))}.*{re.escape(told)}", result.stdout)


def test_doctor_finds_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    result = run("doctor", home=tmp_path / "home")
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)
    assert f"fail  data directory  {tmp_path / 'home'}: is no directory" in result.stdout
