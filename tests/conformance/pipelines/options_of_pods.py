# type: ignore
# fmt: off
"""Labels, annotations, fields of the Pod, empty folders, where it may run, and as whom."""

import os

from kedge import dsl
from kedge.dsl import kubernetes


@dsl.component
def look() -> dict:
    import os

    with open("/scratch/file", "w") as file:
        file.write("written")
    names = ("TEAM", "NOTE", "NAMESPACE", "ALL_LABELS")
    return {**{name: os.environ[name] for name in names}, "files": os.listdir("/scratch"), "memory": os.path.isdir("/more")}


@dsl.component
def on_this_node(where: str) -> str:
    return where


@dsl.pipeline
def pipeline(selector: dict = {"kubernetes.io/os": "linux"}, tolerations: list = [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}], nothing: dict = {}):
    task = look()
    kubernetes.add_pod_label(task, "example.com/team", "blue")
    kubernetes.add_pod_annotation(task, "example.com/note", "two words")
    kubernetes.use_field_path_as_env(task, "TEAM", "metadata.labels['example.com/team']")
    kubernetes.use_field_path_as_env(task, "NOTE", "metadata.annotations['example.com/note']")
    kubernetes.use_field_path_as_env(task, "NAMESPACE", "metadata.namespace")
    kubernetes.use_field_path_as_env(task, "ALL_LABELS", "metadata.labels['app.kubernetes.io/managed-by']")
    kubernetes.empty_dir_mount(task, "scratch", "/scratch", size_limit="1Gi")
    kubernetes.empty_dir_mount(task, "more", "/more", medium="Memory")
    kubernetes.set_timeout(task, 100)
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_image_pull_secrets(task, ["registry"])
    kubernetes.set_security_context(task, run_as_user=os.getuid(), run_as_group=os.getgid())

    placed = on_this_node(where="by constants")
    kubernetes.add_node_selector(placed, "kubernetes.io/os", "linux")
    kubernetes.add_toleration(placed, "gpu", "Equal", "yes", "NoSchedule")
    kubernetes.add_node_affinity(placed, match_expressions=[{"key": "disk", "operator": "In", "values": ["ssd"]}], weight=4)

    by_value = on_this_node(where="by values")
    kubernetes.add_node_selector(by_value, "kubernetes.io/os", "plan9")  # what the other says goes before it
    kubernetes.add_node_selector_json(by_value, selector)
    kubernetes.add_toleration_json(by_value, tolerations)
    kubernetes.add_node_affinity_json(by_value, nothing)


EXPECTED = {
    "returned": {
        "look": {"Output": {"TEAM": "blue", "NOTE": "two words", "NAMESPACE": "{namespace}", "ALL_LABELS": "kedge", "files": ["file"], "memory": True}},
        "on-this-node": {"Output": "by constants"},
        "on-this-node-2": {"Output": "by values"},
    },
}
