# type: ignore
"""What a task is configured with, handed on by its component; pauses."""

from kedge import dsl
from kedge.dsl import kubernetes


@dsl.component(
    base_image="python:3.11",
    task_config_passthroughs=[
        dsl.TaskConfigField.RESOURCES,
        dsl.TaskConfigField.KUBERNETES_TOLERATIONS,
        dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.ENV, apply_to_task=True),
    ],
)
def launch(n: int, config: dsl.TaskConfig) -> str:
    return str(config)


@dsl.pipeline
def pipeline(cpu: str = "1"):
    task = launch(n=1).set_cpu_limit(cpu).set_env_variable("A", "b").set_debug_pause(before=True)
    kubernetes.add_toleration(task, key="gpu", operator="Exists")
