"""``kedge debug``: the step that runs again here is given what the real one was given."""

import asyncio
from pathlib import Path

import pytest

from kedge.client import kubeconfig
from kedge.client.http import HttpClient
from kedge.kube.core import CONFIG_MAP, SECRET
from kedge.kube.kinds import Kind, Obj
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(120)

PIPELINE = """
from kedge import dsl
from kedge.dsl import kubernetes

@dsl.component
def source(model: dsl.Output[dsl.Model]):
    model.metadata["rows"] = 3
    with open(model.path, "w") as file:
        file.write("weights")

@dsl.component(task_config_passthroughs=[
    dsl.TaskConfigField.RESOURCES,
    dsl.TaskConfigField.KUBERNETES_TOLERATIONS,
    dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.ENV, apply_to_task=True),
])
def look(words: list, run: str, config: dsl.TaskConfig, model: dsl.Input[dsl.Model], made: dsl.Output[dsl.Dataset]) -> str:
    import os
    print(config)
    print(words, run, model.metadata, open(model.path).read(), made.metadata)
    for name in ("PLAIN", "FILLED", "FOLLOWS", "WORD", "LEVEL", "OWN_RUN"):
        print(name, os.environ.get(name))
    with open(made.path, "w") as file:
        file.write("rows")
    return "done"

@dsl.pipeline
def told(rate: float = 0.5):
    words = look(words=["a", rate], run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, model=source().outputs["model"])
    words.set_cpu_limit("1").set_env_variable("PLAIN", "it is $5").set_env_variable("FILLED", f"rate={rate}")
    words.set_env_variable("FOLLOWS", "$(PLAIN)")
    kubernetes.add_toleration(words, key="gpu", operator="Exists")
    kubernetes.use_secret_as_env(words, secret_name="words", secret_key_to_env={"word": "WORD"})
    kubernetes.use_config_map_as_env(words, config_map_name="levels", config_map_key_to_env={"level": "LEVEL"})
    kubernetes.use_field_path_as_env(words, env_name="OWN_RUN", field_path="metadata.labels['kedge.dev/run']")
"""


def test_a_step_that_is_debugged_sees_the_inputs_the_task_config_and_the_variables_of_the_real_one(
    either_host: RunningHost, tmp_path: Path
) -> None:
    path = tmp_path / "told.py"
    path.write_text(PIPELINE)
    asyncio.run(_make(either_host, SECRET, {"metadata": {"name": "words"}, "stringData": {"word": "hidden"}}))
    asyncio.run(_make(either_host, CONFIG_MAP, {"metadata": {"name": "levels"}, "data": {"level": "high"}}))
    either_host.cli("run", str(path), "--name", "told", check=True)
    real = either_host.cli("logs", "told", "look", check=True).stdout
    again = either_host.cli("debug", "told", "look", "--no-debugger")
    assert again.returncode == 0, again.stderr
    assert again.stdout == real.replace("***", "hidden")


async def _make(host: RunningHost, kind: Kind, obj: Obj) -> None:
    access = kubeconfig.load(Path(host.host.kubeconfig))
    async with HttpClient(access) as api:
        await api.create(kind, {**obj, "metadata": {**obj["metadata"], "namespace": access.namespace}})
