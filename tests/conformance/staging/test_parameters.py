"""Steps with parameters only: no call to the hub, and every way in which a function can go wrong."""

import json
from typing import Any

import pytest
from staged import Hub, Launcher, committed

ADD = "def step(a: int, b: int = 3) -> int:\n    return a + b\n"


def test_one_parameter_out_travels_in_the_termination_message(launcher: Launcher, hub: Hub) -> None:
    done = launcher.run(ADD, {"a": 1}, ("Output",), terminationMessage=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert launcher.message == {"kedge": 1, "outputs": {"Output": 4}}
    assert hub.backend.begins == 0
    assert hub.backend.commits == []


def test_an_output_too_long_for_the_message_is_committed_instead(launcher: Launcher, hub: Hub) -> None:
    done = launcher.run("def step() -> str:\n    return 'ä' * 3000\n", {}, ("Output",), terminationMessage=True)
    assert done.returncode == 0, done.stderr
    assert not (launcher.folder / "termination-log").exists()
    assert committed(hub)["parameters"] == {"Output": "ä" * 3000}


def test_several_outputs_are_committed_over_http(launcher: Launcher, hub: Hub) -> None:
    source = (
        "class Both(NamedTuple):\n    total: int\n    text: str\n\n"
        "def step(a: int, path: OutputPath(float)) -> Both:\n"
        "    open(path, 'w').write('0.5')\n    return Both(a + 1, 'done')\n"
    )
    done = launcher.run(source, {"a": 1}, ("total", "text", "path"))
    assert done.returncode == 0, done.stderr
    assert committed(hub)["parameters"] == {"total": 2, "text": "done", "path": 0.5}


def test_a_step_without_outputs_says_nothing(launcher: Launcher, hub: Hub) -> None:
    done = launcher.run("def step():\n    print('hello')\n")
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert hub.backend.commits == []
    assert not (launcher.folder / "termination-log").exists()


@pytest.mark.parametrize(
    ("annotation", "given", "seen"),
    [
        ("int", 3.0, "3"),
        ("float", 3, "3.0"),
        ("bool", True, "True"),
        ("str", "x", "'x'"),
        ("str", 3, "'3'"),
        ("List[int]", [1, 2], "[1, 2]"),
        ("list", "[1, 2]", "[1, 2]"),
        ("Dict[str, int]", {"a": 1}, "{'a': 1}"),
        ("dict", '{"a": 1}', "{'a': 1}"),
        ("Optional[int]", 2.0, "2"),
        ("Optional[int]", None, "None"),
        ("Literal['a', 'b']", "a", "'a'"),
        ("Union[int, str]", "a", "'a'"),
        ("'int'", 3.0, "3"),
        ("PipelineTaskFinalStatus", {"state": "FAILED", "error": {"code": 3}}, None),
    ],
)
def test_a_value_arrives_as_its_annotation_says(launcher: Launcher, annotation: str, given: Any, seen: str | None) -> None:
    done = launcher.run(f"def step(x: {annotation}):\n    print(repr(x))\n", {"x": given})
    assert done.returncode == 0, done.stderr
    if seen is not None:
        assert done.stdout == seen + "\n"
    else:
        assert "state='FAILED'" in done.stdout
        assert "error_code=3" in done.stdout


def test_an_optional_input_that_was_given_nothing_is_none(launcher: Launcher) -> None:
    done = launcher.run("def step(x: Optional[int], y: int = 2, *, z: str = 'q'):\n    print(x, y, z)\n")
    assert done.stdout == "None 2 q\n", done.stderr


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "def step() -> int:\n    return 'no'\n",
            (
                "output 'Output': the function returned 'no' of type str, but it is declared as int. "
                "Return an int, or change the annotation."
            ),
        ),
        (
            "def step() -> int:\n    return True\n",
            (
                "output 'Output': the function returned True of type bool, but it is declared as int. "
                "Return an int, or change the annotation."
            ),
        ),
        (
            "def step() -> str:\n    return None\n",
            (
                "output 'Output': the function returned None of type NoneType, but it is declared as str. "
                "Return a str, or change the annotation."
            ),
        ),
        (
            "def step() -> dict:\n    return {'a': {1, 2}}\n",
            (
                "output 'Output': {'a': {1, 2}} cannot be recorded as a parameter: Object of type set is not JSON serializable. "
                "Parameters are JSON: text, finite numbers, booleans, lists and dicts of them. "
                "Write anything else to an artifact."
            ),
        ),
        (
            "def step() -> float:\n    return float('nan')\n",
            "output 'Output': nan cannot be recorded as a parameter: Out of range float values are not JSON compliant",
        ),
        (
            "def step(Output: OutputPath(int)):\n    pass\n",
            "output 'Output': the function wrote no file at ",
        ),
        (
            "def step(Output: OutputPath(int)):\n    open(Output, 'w').write('many')\n",
            (
                "output 'Output': its file holds 'many', which is not an int, as it is declared. "
                "Write an int, or change the type in OutputPath(…)."
            ),
        ),
        (
            "def step(a: int) -> int:\n    return a\n",
            (
                "input 'a': 'x' (str) is not an int, as the function's annotation says. "
                "Give another value, or change the annotation."
            ),
        ),
        (
            "def step(b: int) -> int:\n    return b\n",
            "input 'b' was given no value, and the function has no default for it.",
        ),
        (
            "import sys\ndef step() -> int:\n    sys.exit(0)\n",
            "output 'Output': the function returned None of type NoneType",
        ),
        (
            "def other() -> int:\n    return 1\n",
            "the source of this step, /home/me/pipeline.py, defines no function 'step'.",
        ),
    ],
    ids=lambda value: None if "\n" in value else value[:60],
)
def test_what_does_not_fit_its_declaration_fails_with_a_sentence(launcher: Launcher, source: str, message: str) -> None:
    done = launcher.run(source, {"a": "x"}, ("Output",), terminationMessage=True)
    assert done.returncode == 1
    assert launcher.message["error"]["message"].startswith(message)
    assert done.stderr.startswith("kedge: " + message)


def test_a_traceback_shows_the_users_file_and_lines_and_nothing_of_the_launcher(launcher: Launcher) -> None:
    source = "def step():\n    x = 1\n    inner(x)\n\ndef inner(x):\n    raise ValueError(f'not {x}')\n"
    done = launcher.run(source)
    assert done.returncode == 1
    trace = (
        "Traceback (most recent call last):\n"
        '  File "/home/me/pipeline.py", line 14, in step\n    inner(x)\n'
        "  File \"/home/me/pipeline.py\", line 17, in inner\n    raise ValueError(f'not {x}')\n"
        "ValueError: not 1\n"
    )
    shown = "".join(line for line in done.stderr.splitlines(keepends=True) if set(line.strip()) - {"^", "~"})
    assert shown == trace
    error = launcher.message["error"]
    assert (error["type"], error["message"]) == ("ValueError", "not 1")
    assert "line 17, in inner" in error["traceback"]


def test_a_name_of_the_file_around_the_function_is_missed_with_a_word_on_what_to_do(launcher: Launcher) -> None:
    done = launcher.run("def step():\n    return Helper()\n")
    assert done.returncode == 1
    trace, _, hint = done.stderr.partition("kedge: ")
    assert trace.endswith("NameError: name 'Helper' is not defined\n")
    assert hint.startswith("a step has its function and what that imports, and nothing else of the file or notebook around it.")
    assert launcher.message["error"]["message"] == "name 'Helper' is not defined"


def test_a_syntax_error_names_the_users_line(launcher: Launcher) -> None:
    done = launcher.run("def step():\n    return (\n")
    assert done.returncode == 1
    assert 'File "/home/me/pipeline.py", line 13' in done.stderr
    assert "launcher" not in done.stderr


def test_chained_exceptions_are_shown_with_their_causes(launcher: Launcher) -> None:
    source = "def step():\n    try:\n        {}['a']\n    except KeyError as error:\n        raise ValueError('b') from error\n"
    done = launcher.run(source)
    assert "KeyError: 'a'" in done.stderr
    assert "direct cause" in done.stderr
    assert str(launcher.app) not in done.stderr


@pytest.mark.parametrize(("code", "status"), [("3", 3), ("'bye'", 1), ("300", 44)])
def test_the_users_exit_code_is_kept(launcher: Launcher, code: str, status: int) -> None:
    done = launcher.run(f"import sys\ndef step():\n    sys.exit({code})\n")
    assert done.returncode == status
    assert launcher.message["error"]["type"] == "SystemExit"


def test_sys_exit_0_without_outputs_is_a_success(launcher: Launcher) -> None:
    assert launcher.run("import sys\ndef step():\n    sys.exit(0)\n").returncode == 0


def test_a_long_error_is_cut_to_what_a_termination_message_holds(launcher: Launcher) -> None:
    done = launcher.run("def step():\n    raise ValueError('€\\n' * 5000)\n")
    assert done.returncode == 1
    raw = (launcher.folder / "termination-log").read_bytes()
    assert len(raw) <= 4096
    assert json.loads(raw)["error"]["message"].endswith("…")
    assert done.stderr.count("€\n") == 5000


def test_scalars_of_numpys_kind_are_taken_as_the_numbers_that_they_are(launcher: Launcher) -> None:
    source = "class Scalar:\n    ndim = 0\n    def item(self): return 7\n\ndef step() -> int:\n    return Scalar()\n"
    assert launcher.run(source, {}, ("Output",), terminationMessage=True).returncode == 0
    assert launcher.message["outputs"] == {"Output": 7}


def test_output_reaches_the_log_line_by_line(launcher: Launcher) -> None:
    done = launcher.run("def step():\n    import os\n    print('before')\n    os._exit(9)\n")
    assert (done.returncode, done.stdout) == (9, "before\n")


def test_classes_of_a_step_can_be_pickled(launcher: Launcher) -> None:
    source = (
        "class Point:\n    x = 1\n\ndef step() -> int:\n    import pickle\n    return pickle.loads(pickle.dumps(Point())).x\n"
    )
    assert launcher.run(source, {}, ("Output",), terminationMessage=True).returncode == 0, launcher.message


def test_future_imports_of_the_header_hold_for_the_function(launcher: Launcher) -> None:
    launcher.code("def step(a: int) -> int:\n    return a\n")
    path = launcher.folder / "code" / "exec.json"
    document = json.loads(path.read_text())
    document["source"] = "from __future__ import annotations\n" + document["source"].replace("a: int", "a: 'Undefined'")
    path.write_text(json.dumps(document))
    given = {"inputs": {"parameterValues": {"a": 2}}, "outputs": {"parameters": {"Output": {"outputFile": "/tmp/o"}}}}  # noqa: S108
    done = launcher.start({"code": "exec", "executorInput": given, "terminationMessage": True}, "run")
    assert done.returncode == 0, done.stderr


def test_what_a_step_has_of_kedge_and_kfp_and_what_it_says_where_the_rest_cannot_be_brought(launcher: Launcher) -> None:
    source = (
        "def step():\n"
        "    import kedge, kfp\n"
        "    from kedge import dsl as ours\n"
        "    print(ours.Dataset is dsl.Dataset, kfp.dsl is dsl, ours.component is not None)\n"
        "    missing = [lambda: kedge.Client, lambda: kfp.Client, lambda: dsl.nothing, lambda: __import__('kfp.compiler')]\n"
        "    for attempt in missing:\n"
        "        try:\n            attempt()\n"
        "        except (AttributeError, ImportError) as error:\n            print(str(error).splitlines()[0])\n"
    )
    done = launcher.run(source, environment={"KEDGE_UV": "/bin/false"})
    lines = done.stdout.splitlines()
    assert lines[0] == "True True True", done.stderr
    assert lines[1].startswith("kedge.Client is not there inside a step: steps have only kedge.dsl.")
    for line, name in zip(lines[2:], ("kfp.Client", "kfp.dsl.nothing", "kfp.compiler"), strict=True):
        assert line.startswith(f"{name} is not part of what Kedge runs steps with, and the kfp package could not be installed")


def test_it_must_be_started_by_kedge(launcher: Launcher) -> None:
    done = launcher.start({}, "run", KEDGE_STEP="")
    assert done.returncode == 1
    assert done.stderr == "kedge: KEDGE_STEP is not set: the launcher runs only inside a step's Pod, which Kedge makes.\n"
    assert launcher.start({}, "walk").returncode == 2
    assert "speaks staging protocol 9" in launcher.start({"protocol": 9}, "run").stderr
    assert "code could not be read" in launcher.start({"code": "none", "executorInput": {}}, "run").stderr


def test_what_a_step_leaves_open_or_for_its_end_is_written(launcher: Launcher) -> None:
    place = launcher.folder / "left"
    place.mkdir()
    source = (
        "def step() -> str:\n"
        "    import atexit, threading, time\n"
        "    global log, raw\n"
        f"    log = open({str(place / 'log')!r}, 'w')\n"
        "    log.write('never closed')\n"
        f"    raw = open({str(place / 'raw')!r}, 'wb')\n"
        "    raw.write(b'nor this')\n"
        f"    atexit.register(lambda: open({str(place / 'end')!r}, 'w').write('at the end'))\n"
        f"    threading.Thread(target=lambda: (time.sleep(0.2), open({str(place / 'thread')!r}, 'w').write('late'))).start()\n"
        "    return 'done'\n"
    )
    done = launcher.run(source, {}, ("Output",), terminationMessage=True)
    assert done.returncode == 0, done.stderr
    written = {file.name: file.read_text() for file in place.iterdir()}
    assert written == {"log": "never closed", "raw": "nor this", "end": "at the end", "thread": "late"}
