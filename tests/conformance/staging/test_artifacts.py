"""Steps with artifacts: begin, the files in place, commit; and a hub that is away, or says no."""

import hashlib
import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from staged import Hub, Launcher, artifact, committed, make_token

from kedge.artifacts.staging import Assignment
from kedge.errors import Conflict, Invalid, Unavailable

TRAIN = (
    "def step(data: Input[Dataset], model: Output[Model], metrics: Output[Metrics], rate: float = 0.1) -> int:\n"
    "    text = open(data.path).read()\n"
    "    print(type(data).__name__, data.uri, data.metadata, type(metrics).__name__)\n"
    "    with open(model.path, 'w') as file:\n        file.write(text.upper())\n"
    "    model.framework = 'none'\n"
    "    metrics.log_metric('accuracy', 0.5)\n"
    "    return len(text)\n"
)


def give(
    hub: Hub, inputs: dict[str, Any], outputs: dict[str, Any], *, parameters: tuple[str, ...] = (), project: str = ""
) -> None:
    """Let the hub hand out an assignment."""
    files = {name: {"outputFile": f"/tmp/kedge/outputs/parameters/{name}"} for name in parameters}  # noqa: S108
    hub.backend.assignment = Assignment(
        {
            "inputs": {"parameterValues": {}, "artifacts": inputs},
            "outputs": {"parameters": files, "artifacts": outputs, "outputFile": "/tmp/kedge/outputs/executor_output.json"},  # noqa: S108
        },
        project,
    )


def begin(launcher: Launcher, source: str, **environment: str) -> Any:
    launcher.code(source)
    return launcher.start({"code": "exec", "executorInput": None, "begin": True}, "run", **environment)


def place(hub: Hub, name: str, text: str) -> str:
    path = hub.store.folder / "earlier" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return hub.uri("earlier", name)


def test_artifacts_are_read_and_written_in_place_and_committed_with_their_digests(launcher: Launcher, hub: Hub) -> None:
    data = place(hub, "data", "abc")
    given = artifact(data)
    given["artifacts"][0]["metadata"] = {"rows": 3}
    outputs = {
        "model": artifact(hub.uri("r", "model"), "system.Model"),
        "metrics": artifact(hub.uri("r", "metrics"), "system.Metrics"),
    }
    give(hub, {"data": given}, outputs, parameters=("Output",))
    done = begin(launcher, TRAIN)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Dataset {data} {{'rows': 3}} Metrics\n"
    assert (hub.store.folder / "r" / "model").read_text() == "ABC"
    made = committed(hub)
    assert made["parameters"] == {"Output": 3}
    digest = "sha256:" + hashlib.sha256(b"ABC").hexdigest()
    assert made["artifacts"]["model"] == [
        {
            "name": "model",
            "uri": hub.uri("r", "model"),
            "type": "system.Model",
            "metadata": {"framework": "none"},
            "digest": digest,
            "size": 3,
        }
    ]
    assert made["artifacts"]["metrics"][0]["metadata"] == {"accuracy": 0.5}
    assert "digest" not in made["artifacts"]["metrics"][0]


def test_a_folder_is_committed_by_a_manifest_that_is_written_last(launcher: Launcher, hub: Hub) -> None:
    give(hub, {}, {"out": artifact(hub.uri("r", "out"))})
    source = (
        "def step(out: Output[Dataset]):\n    import os\n    os.makedirs(out.path + '/deep')\n"
        "    open(out.path + '/b', 'w').write('bb')\n    open(out.path + '/deep/a', 'w').write('a')\n"
    )
    done = begin(launcher, source)
    assert done.returncode == 0, done.stderr
    raw = (hub.store.folder / "r" / "out.manifest.json").read_bytes()
    manifest = json.loads(raw)
    assert [(one["path"], one["size"]) for one in manifest["files"]] == [("b", 2), ("deep/a", 1)]
    made = committed(hub)["artifacts"]["out"][0]
    assert (made["digest"], made["size"]) == ("sha256:" + hashlib.sha256(raw).hexdigest(), 3)


def test_a_folder_with_a_link_that_leads_out_of_it_is_refused(launcher: Launcher, hub: Hub) -> None:
    give(hub, {}, {"out": artifact(hub.uri("r", "out"))})
    done = begin(
        launcher,
        "def step(out: Output[Dataset]):\n    import os\n    os.mkdir(out.path)\n    os.symlink('/etc', out.path + '/e')\n",
    )
    assert done.returncode == 1
    assert launcher.message["error"]["message"].startswith("output 'out': 'e' in its folder is a link that leads out of it")
    assert hub.backend.commits == []


def test_an_artifact_that_is_a_pipe_is_refused_and_not_waited_for(launcher: Launcher, hub: Hub) -> None:
    give(hub, {}, {"out": artifact(hub.uri("r", "out"))})
    done = begin(launcher, "def step(out: Output[Dataset]):\n    import os\n    os.mkfifo(out.path)\n")
    assert done.returncode == 1
    assert "is no file and no folder, but a pipe" in launcher.message["error"]["message"]


def test_lists_paths_and_optional_artifacts(launcher: Launcher, hub: Hub) -> None:
    one, two = place(hub, "one", "1"), place(hub, "two", "2")
    both = {"artifacts": artifact(one)["artifacts"] + artifact(two)["artifacts"]}
    give(hub, {"many": both, "path": artifact(one)}, {"out": artifact(hub.uri("r", "out"))})
    source = (
        "def step(many: Input[List[Dataset]], path: InputPath('Dataset'), out: OutputPath('Dataset'),\n"
        "         none: Optional[Input[Model]] = None):\n"
        "    text = ''.join(open(one.path).read() for one in many) + open(path).read() + str(none)\n"
        "    open(out, 'w').write(text)\n"
    )
    done = begin(launcher, source)
    assert done.returncode == 0, done.stderr
    assert (hub.store.folder / "r" / "out").read_text() == "121None"


def test_artifacts_may_be_returned(launcher: Launcher, hub: Hub) -> None:
    give(hub, {}, {"Output": artifact(hub.uri("r", "Output"))})
    source = (
        "def step() -> Dataset:\n    made = Dataset(uri=dsl.get_uri('Output'), metadata={'a': 1})\n"
        "    open(made.path, 'w').write('x')\n    return made\n"
    )
    done = begin(launcher, source)
    assert done.returncode == 0, done.stderr
    made = committed(hub)["artifacts"]["Output"][0]
    assert (made["uri"], made["metadata"], made["size"]) == (hub.uri("r", "Output"), {"a": 1}, 1)


def test_an_address_of_the_users_own_is_kept(launcher: Launcher, hub: Hub) -> None:
    give(hub, {}, {"out": artifact(hub.uri("r", "out"))})
    done = begin(launcher, "def step(out: Output[Dataset]):\n    out.uri = 's3://bucket/big'\n")
    assert done.returncode == 0, done.stderr
    assert committed(hub)["artifacts"]["out"][0]["uri"] == "s3://bucket/big"


def test_modules_beside_the_pipeline_file_are_imported(launcher: Launcher, hub: Hub, tmp_path: Path) -> None:
    digest = "ab" * 32
    project = tmp_path / "projects" / digest
    project.mkdir(parents=True)
    (project / "features.py").write_text(
        "from kedge import dsl\n\n@dsl.component\ndef unused(): pass\n\ndef double(x):\n    return 2 * x\n"
    )
    give(hub, {}, {}, parameters=("Output",), project=digest)
    launcher.code(
        "def step() -> int:\n    from features import double\n    return double(4)\n", project={"digest": digest, "uri": ""}
    )
    done = launcher.start({"code": "exec", "executorInput": None, "begin": True}, "run")
    assert done.returncode == 0, done.stderr
    assert committed(hub)["parameters"] == {"Output": 8}


def test_a_step_that_is_not_wanted_any_more_ends_quietly(launcher: Launcher, hub: Hub) -> None:
    give(hub, {}, {}, parameters=("Output",))
    hub.backend.answers = [Conflict("Pod x: this attempt is not wanted any more.")]
    done = begin(launcher, "def step() -> int:\n    return 1\n")
    assert (done.returncode, done.stdout) == (75, "")
    assert not (launcher.folder / "termination-log").exists()


def test_outputs_that_the_hub_refuses_are_the_steps_failure(launcher: Launcher, hub: Hub) -> None:
    give(hub, {}, {}, parameters=("Output",))
    hub.backend.answers = [Invalid("output 'Output': expected a number, got text ('a').")]
    done = begin(launcher, "def step() -> str:\n    return 'a'\n")
    assert done.returncode == 1
    assert launcher.message["error"] == {
        "type": "OutputInvalid",
        "message": "output 'Output': expected a number, got text ('a').",
    }


def test_a_hub_that_is_starting_is_asked_again(launcher: Launcher, hub: Hub) -> None:
    give(hub, {}, {}, parameters=("Output",))
    hub.backend.answers = [Unavailable("starting"), Unavailable("starting")]
    assert begin(launcher, "def step() -> int:\n    return 1\n").returncode == 0
    assert committed(hub)["parameters"] == {"Output": 1}


def test_a_step_outlives_a_restart_of_the_hub(launcher: Launcher, hub: Hub, tmp_path: Path) -> None:
    give(hub, {}, {}, parameters=("Output",))
    source = (
        f"def step() -> int:\n    import os, time\n    open({str(tmp_path / 'running')!r}, 'w').close()\n"
        f"    while not os.path.exists({str(tmp_path / 'down')!r}): time.sleep(0.01)\n    return 1\n"
    )
    waiting = threading.Event()

    def restart() -> None:
        while not (tmp_path / "running").exists():
            waiting.wait(0.01)
        hub.stop()
        (tmp_path / "down").touch()
        waiting.wait(0.4)
        hub.start()

    thread = threading.Thread(target=restart)
    thread.start()
    done = begin(launcher, source)
    thread.join()
    assert done.returncode == 0, done.stderr
    assert committed(hub)["parameters"] == {"Output": 1}


def test_a_hub_that_stays_away_is_nobodys_fault(launcher: Launcher, hub: Hub) -> None:
    hub.stop()
    done = begin(launcher, "def step() -> int:\n    return 1\n", KEDGE_HUB_PATIENCE="0.2")
    assert done.returncode == 69
    assert launcher.message["error"]["type"] == "HubUnreachable"
    said = rf"kedge: the hub at {re.escape(hub.address)} did not take this step's begin for \d+ s: ConnectionRefusedError"
    assert re.match(said, done.stderr)


def test_a_rotated_token_is_read_anew(launcher: Launcher, hub: Hub) -> None:
    give(hub, {}, {}, parameters=("Output",))
    good = hub.verifier.known
    path = launcher.folder / "token"
    path.write_text(make_token().replace("signature", "old"))
    threading.Timer(0.3, path.write_text, [good]).start()
    assert begin(launcher, "def step() -> int:\n    return 1\n").returncode == 0


@pytest.mark.parametrize("which", ["message", "size"])
def test_a_commit_of_what_is_not_there_is_refused(hub: Hub, which: str) -> None:
    import httpx  # noqa: PLC0415

    place(hub, "short", "abc")
    name = "absent" if which == "message" else "short"
    outputs = {"artifacts": {"out": [{"name": "out", "uri": hub.uri("earlier", name), "digest": "sha256:00", "size": 9}]}}
    headers = {"Authorization": f"Bearer {hub.verifier.known}"}
    answer = httpx.post(
        hub.address + "/apis/kedge.dev/v1/staging/commit", json={"protocol": 1, "outputs": outputs}, headers=headers, timeout=60
    )
    assert answer.status_code == 422
    assert answer.json()["message"].startswith("output 'out': ")
    assert hub.backend.commits == []


@pytest.mark.parametrize(
    ("headers", "body", "code", "message"),
    [
        ({}, {}, 401, "staging needs the Pod's own token"),
        ({"Authorization": "Bearer x"}, {}, 401, "the token is not one of this host's."),
        ({"Authorization": "good"}, {"podUid": "another"}, 403, "the token belongs to Pod"),
        ({"Authorization": "good"}, {"protocol": 7}, 400, "staging protocol 7 is not spoken here, only 1."),
        ({"Authorization": "good"}, [1], 400, "the body is not what staging reads: Expected `object`, got `array`"),
    ],
)
def test_a_pod_reaches_nothing_but_its_own(hub: Hub, headers: dict[str, str], body: Any, code: int, message: str) -> None:
    import httpx  # noqa: PLC0415

    if headers.get("Authorization") == "good":
        headers = {"Authorization": f"Bearer {hub.verifier.known}"}
    answer = httpx.post(hub.address + "/apis/kedge.dev/v1/staging/begin", json=body, headers=headers, timeout=60)
    assert answer.status_code == code
    assert answer.json()["message"].startswith(message)
    assert hub.backend.begins == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives anything away")
def test_a_step_of_another_user_gets_the_folders_of_its_outputs(hub: Hub) -> None:
    """Those, and nothing above them."""
    import httpx  # noqa: PLC0415

    give(hub, {"data": artifact(hub.uri("run", "before", "0", "data"))}, {"out": artifact(hub.uri("run", "task", "0", "out"))})
    headers = {"Authorization": f"Bearer {hub.verifier.known}"}
    answer = httpx.post(hub.address + "/apis/kedge.dev/v1/staging/begin", json={"user": 4242}, headers=headers, timeout=60)
    folder = Path(answer.json()["grants"]["outputs"]["out"][0]["path"]).parent
    assert [place.stat().st_uid for place in (folder, folder.parent)] == [4242, 0]
    assert not (folder.parent.parent / "before").exists()


def test_addresses_that_leave_their_folder_are_refused(hub: Hub, launcher: Launcher) -> None:
    give(hub, {"data": artifact("file:///data/../etc/passwd")}, {})
    done = begin(launcher, "def step(data: Input[Dataset]):\n    pass\n")
    assert done.returncode == 1
    assert "must be an absolute path without '..'" in done.stderr


@pytest.mark.parametrize(
    ("uri", "path", "code", "message"),
    [
        ("s3://bucket/r/t/0/out", "a/b", 200, ""),
        ("s3://bucket/r/t/0/made-by-get-uri", "", 200, ""),
        ("s3://bucket/r/t/0/../1/out", "", 403, "is none of this step's outputs"),
        ("s3://bucket/r/other/0/out", "", 403, "is none of this step's outputs"),
        ("s3://bucket/r/t/0/out", "../../1/out", 422, "leaves the artifact's folder"),
        ("s3://bucket/r/t/0/out", "/etc/passwd", 422, "leaves the artifact's folder"),
        ("s3://bucket/r/t/0/out", "a//b", 422, "leaves the artifact's folder"),
    ],
)
def test_addresses_are_made_for_files_of_the_steps_own_artifacts_only(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, *, uri: str, path: str, code: int, message: str
) -> None:
    import httpx  # noqa: PLC0415

    for name, value in {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret-key", "AWS_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(name, value)
    give(hub, {}, {"out": artifact("s3://bucket/r/t/0/out")})
    headers = {"Authorization": f"Bearer {hub.verifier.known}"}
    body = {"protocol": 1, "side": "outputs", "uri": uri, "files": [{"path": path, "size": 1}]}
    answer = httpx.post(hub.address + "/apis/kedge.dev/v1/staging/transfers", json=body, headers=headers, timeout=60)
    assert answer.status_code == code, answer.text
    assert message in answer.text
    assert "secret-key" not in answer.text


def test_a_step_that_knows_its_paths_speaks_to_nobody(launcher: Launcher, hub: Hub) -> None:
    data = place(hub, "data", "abc")
    outputs = {
        "model": artifact(hub.uri("r", "model"), "system.Model"),
        "metrics": artifact(hub.uri("r", "metrics"), "system.Metrics"),
    }
    give(hub, {"data": artifact(data)}, outputs, parameters=("Output",))
    given = hub.backend.assignment.executor_input
    step = {"code": "exec", "executorInput": given, "grants": hub.store.grants_in_place(given, ""), "terminationMessage": True}
    launcher.code(TRAIN)
    done = launcher.start(step, "run", KEDGE_HUB="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert (hub.store.folder / "r" / "model").read_text() == "ABC"
    assert launcher.message["outputs"] == {"Output": 3}
    (model,) = launcher.message["artifacts"]["model"]
    assert (model["uri"], model["digest"]) == (hub.uri("r", "model"), "sha256:" + hashlib.sha256(b"ABC").hexdigest())
    assert hub.store.check_in_place(model["uri"], model["digest"], model["size"]) == ""
    assert (hub.backend.begins, hub.backend.commits) == (0, [])


def test_what_does_not_fit_into_the_message_is_committed_over_the_network(launcher: Launcher, hub: Hub) -> None:
    give(hub, {}, {"model": artifact(hub.uri("r", "model"), "system.Model")})
    given = hub.backend.assignment.executor_input
    launcher.code("def step(model: Output[Model]):\n    model.metadata['note'] = 'ä' * 3000\n")
    step = {"code": "exec", "executorInput": given, "grants": hub.store.grants_in_place(given, ""), "terminationMessage": True}
    done = launcher.start(step, "run")
    assert done.returncode == 0, done.stderr
    assert committed(hub)["artifacts"]["model"][0]["metadata"] == {"note": "ä" * 3000}
    assert not (launcher.folder / "termination-log").exists()


def test_a_step_of_another_user_than_the_paths_are_for_asks(launcher: Launcher, hub: Hub) -> None:
    give(hub, {}, {"model": artifact(hub.uri("r", "model"), "system.Model")})
    given = hub.backend.assignment.executor_input
    grants = {**(hub.store.grants_in_place(given, "") or {}), "user": os.geteuid() + 1}
    launcher.code("def step(model: Output[Model]):\n    open(model.path, 'w').close()\n")
    done = launcher.start({"code": "exec", "executorInput": given, "grants": grants, "terminationMessage": True}, "run")
    assert done.returncode == 0, done.stderr
    assert hub.backend.begins == 1
