"""Python steps: the real launcher in a real environment, forked or started anew."""

import base64
import json
from typing import Any

import pytest
from tests.conformance.node.conftest import Node, terminated

from kedge.kube.core import CONFIG_MAP
from kedge.kube.kinds import Obj
from kedge.launcher import bundle


def step(node: Node, name: str, source: str = "def f(number: int) -> int:\n    return number + 1\n", **more: Any) -> Obj:
    """Create the Pod of a step with one parameter in and one out."""
    if not node.api.list(CONFIG_MAP, "default").items:
        data = {"launcher.pyz": base64.b64encode(bundle.build()).decode()}
        meta = {"name": "kedge-launcher-0123456789", "namespace": "default"}
        node.api.create(CONFIG_MAP, {"metadata": meta, "immutable": True, "binaryData": data})
    code = {"function": "f", "source": source, "filename": "pipeline.py", "firstLine": 1, "project": None}
    node.config_map(f"{name}-code", {"f.json": json.dumps(code)}, immutable=True)
    out = "/tmp/kedge/outputs"  # noqa: S108  # a Pod's own
    outputs = {"parameters": {"Output": {"outputFile": f"{out}/parameters/Output"}}, "outputFile": f"{out}/executor_output.json"}
    told = {
        "protocol": 1,
        "run": "r",
        "task": "t",
        "attempt": 0,
        "code": "f",
        "begin": False,
        "terminationMessage": True,
        "executorInput": {"inputs": {"parameterValues": {"number": 1}}, "outputs": outputs},
    }
    container = {
        "image": "python:3",
        "command": ["python3", "/kedge/launcher/launcher.pyz"],
        "args": ["run"],
        "env": [
            {"name": "KEDGE_HUB", "value": "http://127.0.0.1:9"},
            {"name": "KEDGE_STEP", "value": json.dumps(told)},
            *more.pop("env", []),
        ],
        "volumeMounts": [
            {"name": "launcher", "mountPath": "/kedge/launcher", "readOnly": True},
            {"name": "code", "mountPath": "/kedge/code", "readOnly": True},
        ],
    }
    volumes = [
        {"name": "launcher", "configMap": {"name": "kedge-launcher-0123456789"}},
        {"name": "code", "configMap": {"name": f"{name}-code"}},
    ]
    return node.pod(name, container=container, volumes=volumes, **more)


def _started(pod: Obj) -> tuple[str, str]:
    condition = next(each for each in pod["status"]["conditions"] if each["type"] == "kedge.dev/Started")
    return pod["metadata"]["annotations"]["kedge.dev/started"], condition["reason"]


async def test_a_step_is_forked_and_its_result_arrives(node: Node) -> None:
    step(node, "p")
    pod = await node.ended("p")
    assert json.loads(terminated(pod)["message"]) == {"kedge": 1, "outputs": {"Output": 2}}
    assert _started(pod) == ("fork", "Fork")
    used = json.loads(pod["metadata"]["annotations"]["kedge.dev/used"])
    assert list(used) == ["main"]
    assert used["main"]["cpuSeconds"] >= 0
    assert used["main"]["peakMemoryBytes"] > 1 << 20


@pytest.mark.parametrize("variable", ["PYTHONHASHSEED", "OMP_NUM_THREADS", "TZ"])
async def test_a_step_that_may_not_be_forked_is_started_anew_and_the_status_says_why(node: Node, variable: str) -> None:
    source = f"def f(number: int) -> str:\n    import os\n    return os.environ['{variable}']\n"
    step(node, "p", source, env=[{"name": variable, "value": "0"}])
    pod = await node.ended("p")
    assert json.loads(terminated(pod)["message"])["outputs"] == {"Output": "0"}
    assert _started(pod) == ("exec", "ExecVariable")
    condition = next(each for each in pod["status"]["conditions"] if each["type"] == "kedge.dev/Started")
    assert variable in condition["message"]


async def test_both_starts_look_the_same_from_inside(node: Node) -> None:
    """What a function can see of its process, but for its pid."""
    source = """
def f(number: int) -> dict:
    import os, signal, sys
    return {
        "argv": sys.argv[1:],
        "executable": os.path.basename(os.path.dirname(os.path.dirname(sys.executable))),
        "prefix": sys.prefix,
        "cwd": os.path.basename(os.getcwd()),
        "tmp": sorted(os.listdir("/tmp")),
        "leader": os.getsid(0) == os.getpid(),
        "umask": os.umask(0o022),
        "stdin": os.readlink("/proc/self/fd/0"),
        "signals": [str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)],
        "names": sorted(set(os.environ) - {"LC_ALL", "LC_CTYPE"}),
        "modules": sorted({name.partition(".")[0] for name in sys.modules} & {"numpy", "asyncio", "ssl", "http", "email"}),
        "path": [os.path.basename(entry) for entry in sys.path],
    }
"""
    step(node, "forked", source)
    step(node, "anew", source, env=[{"name": "LC_ALL", "value": "C.UTF-8"}])
    forked, anew = [await node.ended(name) for name in ("forked", "anew")]
    assert (_started(forked)[0], _started(anew)[0]) == ("fork", "exec")
    outputs = [json.loads(terminated(pod)["message"])["outputs"] for pod in (forked, anew)]
    assert outputs[0] == outputs[1]


async def test_a_step_that_raises_says_where(node: Node) -> None:
    step(node, "p", "def f(number: int) -> int:\n    raise ValueError('no')\n")
    pod = await node.ended("p")
    assert terminated(pod)["exitCode"] == 1
    error = json.loads(terminated(pod)["message"])["error"]
    assert (error["type"], error["message"]) == ("ValueError", "no")
    assert "ValueError: no" in await node.log("p")


async def test_a_forked_step_outlives_the_hub(node: Node) -> None:
    """Its interpreter belongs to the supervisor, not to the hub."""
    source = """
def f(number: int) -> int:
    import os, time
    while not os.path.exists("/tmp/go"):
        time.sleep(0.01)
    return number + 1
"""
    step(node, "p", source)
    pod = await node.running("p")
    await node.restart()
    (node.settings.home / "node" / "pods" / pod["metadata"]["uid"] / "tmp" / "go").touch()
    pod = await node.ended("p")
    assert json.loads(terminated(pod)["message"])["outputs"] == {"Output": 2}
    assert _started(pod)[0] == "fork"
