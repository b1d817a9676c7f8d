# type: ignore
# fmt: off
"""A component is told what its task was configured with; its own Pod gets the fields that say so."""

from kedge import dsl
from kedge.dsl import kubernetes


@dsl.component(
    task_config_passthroughs=[
        dsl.TaskConfigField.RESOURCES, dsl.TaskConfigField.KUBERNETES_TOLERATIONS, dsl.TaskConfigField.KUBERNETES_NODE_SELECTOR,
        dsl.TaskConfigField.KUBERNETES_AFFINITY, dsl.TaskConfigField.ENV,
        dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.KUBERNETES_VOLUMES, apply_to_task=True),
    ],
)
def launch(n: int, task_config: dsl.TaskConfig) -> list:
    import os

    volumes = [{key: value for key, value in volume.items() if key != "name"} for volume in task_config.volumes]
    return [
        n, task_config.resources, task_config.tolerations, task_config.node_selector, task_config.affinity, task_config.env, volumes,
        [mount["mountPath"] for mount in task_config.volume_mounts], os.environ.get("COLOUR"), os.path.isdir("/scratch"),
    ]


@dsl.component(task_config_passthroughs=[dsl.TaskConfigPassthrough(dsl.TaskConfigField.ENV, apply_to_task=True)])
def both(config: dsl.TaskConfig) -> list:
    import os

    return [config.env, config.resources, os.environ.get("COLOUR")]


@dsl.component
def untold(config: dsl.TaskConfig) -> bool:
    return config.env is None and config.resources is None


@dsl.pipeline
def pipeline(cpu: str = "2", colour: str = "green") -> list:
    task = launch(n=3).set_cpu_limit(cpu).set_memory_request("64Mi").set_env_variable("COLOUR", "red")
    task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit("8")
    kubernetes.add_node_selector(task, label_key="disk", label_value="ssd")
    kubernetes.add_toleration(task, key="gpu", operator="Exists", effect="NoSchedule")
    kubernetes.add_node_affinity(task, match_expressions=[{"key": "zone", "operator": "In", "values": ["a"]}])
    kubernetes.empty_dir_mount(task, volume_name="scratch", mount_path="/scratch")
    both().set_env_variable("COLOUR", "blue")
    untold().set_env_variable("COLOUR", "grey")
    return task.output


EXPECTED = {
    "outputs": {
        "Output": [
            3,
            {"limits": {"cpu": "2", "nvidia.com/gpu": "8"}, "requests": {"memory": "64Mi"}},
            [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            {"disk": "ssd"},
            {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]},
            ]}}},
            [{"name": "COLOUR", "value": "red"}],
            [{"emptyDir": {}}],
            ["/scratch"],
            None,
            True,
        ],
    },
    "returned": {"both": {"Output": [[{"name": "COLOUR", "value": "blue"}], None, "blue"]}, "untold": {"Output": True}},
}
