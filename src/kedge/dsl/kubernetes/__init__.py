"""What a task asks of Kubernetes: the names and the behaviour of ``kfp.kubernetes``.

    from kedge import dsl
    from kedge.dsl import kubernetes

    @dsl.pipeline
    def patient(secret: str):
        kubernetes.use_secret_as_env(fetch(), secret, {"password": "PASSWORD"})

Each function adds an option to ``task.platform_config["kubernetes"]`` and returns the task. Names of Secrets, ConfigMaps and
claims may be texts, parameters, outputs of tasks, or texts with those in them. The compiler writes the options beside the
pipeline, in the document's second part.

`CreatePVC` and `DeletePVC` are components: they make tasks that have no container, and are carried out by the run's controller.
"""

from .data import (
    use_config_map_as_env,
    use_config_map_as_volume,
    use_field_path_as_env,
    use_secret_as_env,
    use_secret_as_volume,
)
from .nodes import (
    add_node_affinity,
    add_node_affinity_json,
    add_node_selector,
    add_node_selector_json,
    add_pod_affinity,
    add_pod_affinity_json,
    add_toleration,
    add_toleration_json,
)
from .pods import (
    add_init_container,
    add_pod_annotation,
    add_pod_label,
    set_image_pull_policy,
    set_image_pull_secrets,
    set_priority_class,
    set_scheduler,
    set_security_context,
    set_timeout,
)
from .volumes import (
    CreatePVC,
    DeletePVC,
    add_ephemeral_volume,
    empty_dir_mount,
    enable_shared_memory,
    mount_pvc,
)

__all__ = [
    "CreatePVC",
    "DeletePVC",
    "add_ephemeral_volume",
    "add_init_container",
    "add_node_affinity",
    "add_node_affinity_json",
    "add_node_selector",
    "add_node_selector_json",
    "add_pod_affinity",
    "add_pod_affinity_json",
    "add_pod_annotation",
    "add_pod_label",
    "add_toleration",
    "add_toleration_json",
    "empty_dir_mount",
    "enable_shared_memory",
    "mount_pvc",
    "set_image_pull_policy",
    "set_image_pull_secrets",
    "set_priority_class",
    "set_scheduler",
    "set_security_context",
    "set_timeout",
    "use_config_map_as_env",
    "use_config_map_as_volume",
    "use_field_path_as_env",
    "use_secret_as_env",
    "use_secret_as_volume",
]
