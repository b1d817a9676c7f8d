"""What bad input gets: the message for each kind, on the real command line against a real host.

Every message says what is wrong, where, why, and how to fix it, once, and never as a stack of Kedge's own.
"""

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import yaml
from hosts import StartHost

from kedge.testing import pipelines
from kedge.testing.host import RunningHost, running_host

FOOT = """
    return n


@dsl.component
def name() -> str:
    return "a"


@dsl.pipeline
def wrong():
"""
HEAD = (
    """from kedge import dsl


@dsl.component
def add(n: int) -> int:"""
    + FOOT
)

STEPS = """
from kedge import dsl


@dsl.component
def raises(key: str) -> int:
    numbers = {"a": 1}
    return numbers[key]


@dsl.component
def exits():
    import sys

    print("leaving")
    sys.exit(3)


@dsl.component
def killed():
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


@dsl.component
def forgets(table: dsl.OutputPath(str)):
    print("wrote nothing")


@dsl.container_component
def forgets_too(table: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="debian", command=["true"], args=[table])


@dsl.component
def mistaken() -> int:
    return "seven"


@dsl.component
def links(out: dsl.Output[dsl.Dataset]):
    import os

    os.mkdir(out.path)
    os.symlink("/etc", out.path + "/etc")


@dsl.component
def talks():
    line = "x" * 1023
    for _ in range(50 * 1024):
        print(line)


@dsl.component(packages_to_install=["kedge-no-such-package==1.0"])
def unpacked():
    print("never")


@dsl.pipeline
def unpacked_again():
    unpacked().set_retry(3)
"""

# What stands in the pipeline of HEAD -> the whole message, with the file's path in {path}.
DEFINITIONS = {
    "a cycle": (
        "    first = add(n=1)\n    second = add(n=first.output)\n    first.after(second)\n",
        (
            'The tasks of pipeline "wrong" wait for each other: add after add-2 after add.\n'
            "  where: {path}:17\n"
            "  why:   None of them could ever start.\n"
            "  fix:   Remove one of the .after() calls or arguments between them.\n"
        ),
    ),
    "a type mismatch": (
        "    add(n=name().output)\n",
        (
            'Task "add" in pipeline "wrong" gets output "Output" of task "name", which is a str, for the argument "n".\n'
            "  where: {path}:16\n"
            '  why:   "n" of component "add" is an int.\n'
            '  fix:   Pass an int, or change the annotation of "n".\n'
        ),
    ),
    "a missing argument": (
        "    add()\n",
        (
            'Task "add" in pipeline "wrong" is missing the argument "n" (int).\n'
            "  where: {path}:16\n"
            "  why:   It has no default.\n"
            "  fix:   Pass n=…, or give it a default in the component.\n"
        ),
    ),
    "a wrong literal": (
        '    add(n="seven")\n',
        (
            'Task "add" in pipeline "wrong" gets \'seven\', which is a str, for the argument "n".\n'
            "  where: {path}:16\n"
            '  why:   "n" of component "add" is an int.\n'
            '  fix:   Pass an int, or change the annotation of "n".\n'
        ),
    ),
}

# The file's text -> the whole message.
DOCUMENTS = {
    "no YAML": (
        "a: [1, 2\n",
        "{path}, line 2, column 1: not YAML: did not find expected ',' or ']'. Fix that line, or compile the pipeline again.\n",
    ),
    "no IR": (
        "name: CI\njobs: {}\n",
        "{path}: not a pipeline: the key root is missing (found: jobs, name). Give the file that kedge compile or kfp wrote.\n",
    ),
}

# Pipeline and its arguments -> how the run's report on standard error begins, and the log's lines in it.
FAILURES = {
    "raises": (
        ["--param", "key=b"],
        "raises failed\n  KeyError: 'b'\n",
        '  | Traceback (most recent call last):\n  |   File "steps.py", line 8, in raises\n  |     return numbers[key]\n',
    ),
    "exits": (
        [],
        (
            "exits failed\n  the function called sys.exit(3) at steps.py:16. "
            "Its log may say why; where all is well, return instead.\n"
        ),
        "  | leaving\n",
    ),
    "killed": (
        [],
        (
            "killed failed\n  The step was killed by signal 9 (SIGKILL), often the kernel's answer when memory ran out. "
            "Give it less data, or ask for more with set_memory_request.\n"
        ),
        "",
    ),
    "forgets": (
        [],
        (
            "forgets failed\n  output 'table': the function wrote no file at /tmp/kedge/outputs/parameters/table. "
            "Write the value there before the function ends.\n"
        ),
        "  | wrote nothing\n",
    ),
    "forgets_too": (
        [],
        (
            "forgets-too failed\n  The step ended with 0, but its outputs could not be collected: output 'table': "
            "the command wrote no file at /kedge/staging/outputs/parameters/table. Write the value there.\n"
        ),
        "",
    ),
    "mistaken": (
        [],
        (
            "mistaken failed\n  output 'Output': the function returned 'seven' of type str, but it is declared as "
            "int. Return an int, or change the annotation.\n"
        ),
        "",
    ),
    "links": (
        [],
        "links failed\n  output 'out': 'etc' in its folder is a link that leads out of it, or no file.",
        "",
    ),
}


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipeline") / "steps.py"
    path.write_text(STEPS)
    return path


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_a_wrong_pipeline_is_refused_where_it_is_defined(either_host: RunningHost, tmp_path: Path, kind: str) -> None:
    body, message = DEFINITIONS[kind]
    path = tmp_path / "pipeline.py"
    path.write_text(HEAD + body)
    result = either_host.cli("run", str(path))
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "kedge: " + message.format(path=path))


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_file_that_is_no_pipeline_is_refused(either_host: RunningHost, tmp_path: Path, kind: str) -> None:
    text, message = DOCUMENTS[kind]
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    result = either_host.cli("run", str(path))
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "kedge: " + message.format(path=path))


def test_ir_of_another_version_or_with_what_is_not_supported_is_refused_by_name(
    either_host: RunningHost, steps: Path, tmp_path: Path
) -> None:
    path = tmp_path / "pipeline.yaml"
    either_host.cli("compile", str(steps), "--pipeline", "exits", "-o", str(path), check=True)
    sound = yaml.safe_load(path.read_text())

    path.write_text(yaml.safe_dump({**sound, "schemaVersion": "9.0.0"}))
    result = either_host.cli("run", str(path))
    message = f"kedge: {path}: schemaVersion is '9.0.0'; Kedge reads '2.1.0'. Compile it again with kedge.dsl or kfp 2.x.\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", message)

    sound["deploymentSpec"]["executors"]["exec-exits"] = {"resolver": {"outputArtifactQueries": {}}}
    path.write_text(yaml.safe_dump(sound))
    result = either_host.cli("run", str(path))
    message = (
        "deploymentSpec.executors.exec-exits.resolver: not supported (no Kubeflow backend runs it). Use a container component.\n"
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("kedge: ")
    assert result.stderr.endswith(message)


def test_parameters_that_do_not_fit_are_refused_by_name(either_host: RunningHost, steps: Path) -> None:
    unknown = either_host.cli("run", str(steps), "--pipeline", "raises", "--param", "kee=4")
    message = "kedge: --param kee: pipeline 'raises' has no such parameter. Did you mean key?\n"
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (1, "", message)
    missing = either_host.cli("run", str(steps), "--pipeline", "raises")
    message = "kedge: Pipeline 'raises' needs key, which has no default. Add --param key=TEXT.\n"
    assert (missing.returncode, missing.stdout, missing.stderr) == (1, "", message)


@pytest.mark.parametrize("pipeline", sorted(FAILURES.keys() - {"killed"}))
def test_a_step_that_fails_says_why(either_host: RunningHost, steps: Path, pipeline: str) -> None:
    says_why(either_host, steps, pipeline)


def test_a_step_that_kills_itself_says_why(kedge_host: RunningHost, steps: Path) -> None:
    """In a Pod it cannot: it is process 1 there, which the kernel keeps from that."""
    says_why(kedge_host, steps, "killed")


def says_why(kedge: RunningHost, steps: Path, pipeline: str) -> None:
    arguments, beginning, log = FAILURES[pipeline]
    result = kedge.cli("run", str(steps), "--pipeline", pipeline, *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith("\n" + beginning), result.stderr
    assert log in result.stderr
    assert result.stderr.count("Traceback") == log.count("Traceback")
    assert result.stderr.endswith("\nThe run failed.\n")


def test_a_package_that_does_not_exist_gets_the_resolvers_message_once(either_host: RunningHost, steps: Path) -> None:
    result = either_host.cli("run", str(steps), "--pipeline", "unpacked")
    assert result.returncode == 1
    assert result.stderr.startswith(
        "\nunpacked failed\n  Container main cannot start: the Python 3.11 environment with packages "
        "kedge-no-such-package==1.0 could not be built:\n"
    ), result.stderr
    assert result.stderr.count("you require kedge-no-such-package==1.0") == 1
    assert "Correct packages_to_install" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.endswith("\nThe run failed.\n")


def test_what_can_never_succeed_is_tried_once(either_host: RunningHost, steps: Path) -> None:
    """Whatever ``set_retry`` says: a package that is not there will not be there in ten seconds."""
    result = either_host.cli("run", str(steps), "--pipeline", "unpacked_again", "-o", "json")
    assert result.returncode == 1
    (task,) = [task for task in json.loads(result.stdout)["tasks"] if task["id"] == "unpacked"]
    assert (task["state"], task.get("attempt", 0)) == ("FAILED", 0)


def test_a_step_that_prints_50_mb_ends_well_and_its_log_is_bounded(either_host: RunningHost, steps: Path) -> None:
    result = either_host.cli("run", str(steps), "--pipeline", "talks", "--name", "talks")
    assert result.returncode == 0, result.stderr
    # While the Pod's log is there it is bounded; its end is what is kept.
    kept = sum(path.stat().st_size for path in (either_host.home / "node" / "pods").rglob("*.log*") if path.exists())
    assert kept < 25 << 20
    first, *lines = either_host.cli("logs", "talks", "talks", check=True).stdout.splitlines()
    assert lines[-1] == "x" * 1023
    missing = (50 << 20) - sum(len(line) + 1 for line in lines)
    assert first == (
        f"kedge: the first {missing:,} bytes of this log are missing: 20 MiB are kept of a log (KEDGE_LOG_LIMIT of the host)."
    )


def test_a_port_in_use_is_named_with_the_option_that_changes_it(start_host: StartHost, reached_at: str) -> None:
    with start_host(start=False) as kedge:
        is_named(kedge, reached_at, "--http-port")


def test_a_port_of_the_api_server_in_use_is_named_with_the_option_that_changes_it() -> None:
    with running_host(start=False) as kedge:
        is_named(kedge, "127.0.0.1", "--https-port")


def is_named(kedge: RunningHost, address: str, option: str) -> None:
    with socket.create_server((address, 0)) as taken:
        port = taken.getsockname()[1]
        result = kedge.cli("up", "--detach", *kedge.options, option, str(port))
    assert result.returncode == 1
    assert f"port {port}" in result.stderr
    assert option in result.stderr
    assert "Traceback" not in result.stderr


DAMAGED = {
    "objects.db": "the object store is damaged (file is not a database). Put a backup back (`kedge restore --force FILE`), or "
    "move it away (with its -wal and -shm files) to begin with an empty one: the history of runs and all artifacts are kept "
    "elsewhere and stay.\n",
    "history.db": "the history database is damaged (file is not a database). Stop Kedge, then restore the file from a backup, or "
    "move it and its -wal and -shm neighbours away: the history is then empty, and live runs are taken up again.\n",
}


def test_a_damaged_history_is_named_and_left_as_it_is(own_either_host: RunningHost) -> None:
    is_named_and_left(own_either_host, "history.db")


def test_a_damaged_object_store_is_named_and_left_as_it_is(own_host: RunningHost) -> None:
    is_named_and_left(own_host, "objects.db")


def is_named_and_left(host: RunningHost, name: str) -> None:
    host.stop()
    path = host.home / name
    sound, broken = path.read_bytes(), b"this is no database. " * 1000
    path.write_bytes(broken)
    result = host.cli("up", "--detach", *host.options)
    assert_told(host, result, f"{path}: {DAMAGED[name]}")
    assert path.read_bytes() == broken
    path.write_bytes(sound)
    host.start()


def a_page(history: Path) -> str:
    """Damage the first page of the tasks; says what SQLite makes of it."""
    with contextlib.closing(sqlite3.connect(history)) as database:
        ((page, size),) = database.execute("SELECT rootpage, page_size FROM sqlite_master, pragma_page_size() WHERE name='tasks'")
    with history.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    return "database disk image is malformed"


def a_text(history: Path) -> str:
    """Damage what a row says."""
    with contextlib.closing(sqlite3.connect(history)) as database, database:
        database.execute("""UPDATE tasks SET inputs = CAST(x'ff' AS TEXT) WHERE inputs IS NOT NULL""")
    return "Could not decode to UTF-8 column 'inputs' with text '\ufffd'"


@pytest.mark.once_on_a_cluster
@pytest.mark.parametrize("damage", [a_page, a_text])
def test_a_large_history_that_is_damaged_inside_ends_the_host_with_one_message(
    own_either_host: RunningHost, damage: Callable[[Path], str]
) -> None:
    own_either_host.client.run(pipelines.chain(400))
    own_either_host.kill()
    path = own_either_host.home / "history.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(
            "WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n WHERE x < 70) "
            "INSERT INTO specs SELECT 'filler' || x, zeroblob(1 << 20), NULL, 0 FROM n"
        )
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    why = damage(path)
    result = own_either_host.cli("up", *own_either_host.options)
    told = DAMAGED["history.db"].replace("file is not a database", why)
    assert_told(own_either_host, result, f"{path}: {told}")


def assert_told(host: RunningHost, result: "subprocess.CompletedProcess[str]", message: str) -> None:
    """It is all that is said; a hub of a cluster may say before where its history lies."""
    assert (result.returncode, result.stdout, result.stderr[-len(message) :]) == (1, "", message)
    assert host.options or result.stderr == f"kedge: {message}"


def test_an_object_store_that_is_damaged_inside_ends_the_host_with_one_message(own_host: RunningHost) -> None:
    own_host.client.wait(own_host.client.run(pipelines.chain(20))["run_id"])
    own_host.kill()
    path = own_host.home / "objects.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((size, count),) = database.execute("SELECT page_size, page_count FROM pragma_page_size(), pragma_page_count()")
    with path.open("r+b") as file:
        file.seek(count // 2 * size)
        file.write(b"\xff" * size * (count // 4))
    result = own_host.cli("up")
    begins, ends = DAMAGED["objects.db"].split("file is not a database")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"kedge: {path}: {begins}")
    assert result.stderr.endswith(ends)


@contextlib.contextmanager
def small_disk(where: Path) -> Generator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", where], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", where], check=True)


@contextlib.contextmanager
def filled(directory: Path) -> Generator[None]:
    path = directory / "fill"
    with path.open("wb", 0) as file:
        for size in (1 << 16, 1 << 8):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    try:
        yield
    finally:
        path.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system is mounted for this, which only root may")
def test_a_full_disk_is_named_and_everything_goes_on_when_there_is_room(steps: Path) -> None:
    with running_host(start=False) as kedge, small_disk(kedge.home):
        kedge.start()
        try:
            with filled(kedge.home):
                result = kedge.cli("run", str(steps), "--pipeline", "exits")
                assert (result.returncode, result.stdout, result.stderr) == (
                    1,
                    "",
                    (
                        f"kedge: {kedge.home}/history.db: the disk is full. Free some space there; nothing was lost, and it can "
                        "go on at once.\n"
                    ),
                )
            after = kedge.cli("run", str(steps), "--pipeline", "exits")
            assert after.stderr.startswith("\nexits failed\n  the function called sys.exit(3) at "), after.stderr
            kedge.stop()
            with filled(kedge.home):
                result = kedge.cli("up", "--detach")
                assert result.returncode == 1
                assert "No space left on device. Make room" in result.stderr
                assert "Traceback" not in result.stderr
            kedge.start()
        finally:
            kedge.cli("down")
