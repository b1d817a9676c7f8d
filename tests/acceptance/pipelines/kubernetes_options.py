# type: ignore
# fmt: off
"""Every option of kfp.kubernetes, with names from constants, inputs, outputs and items, in groups too."""

from kedge import dsl
from kedge.dsl import kubernetes


@dsl.component
def name() -> str:
    return "settings"


@dsl.component
def everything(text: str = "a") -> str:
    return text


@dsl.component
def inside(text: str = "a") -> str:
    return text


@dsl.component
def of_item(text: str = "a") -> str:
    return text


@dsl.pipeline
def pipeline(secret: str = "one", selector: dict = {}, tolerations: list = []):
    made = name()
    task = everything()
    kubernetes.use_secret_as_env(task, "fixed", {"user": "USER_NAME", "password": "PASSWORD"})
    kubernetes.use_secret_as_env(task, secret, {"user": "OTHER"}, optional=True)
    kubernetes.use_secret_as_volume(task, made.output, "/etc/secret")
    kubernetes.use_config_map_as_env(task, made.output, {"level": "LEVEL"}, optional=True)
    kubernetes.use_config_map_as_volume(task, "fixed", "/etc/config")
    kubernetes.use_field_path_as_env(task, "POD", "metadata.name")
    kubernetes.add_node_selector(task, "disk", "ssd")
    kubernetes.add_node_selector_json(task, selector)
    kubernetes.add_toleration(task, "gpu", "Equal", "yes", "NoExecute", 5)
    kubernetes.add_toleration_json(task, tolerations)
    kubernetes.add_toleration_json(task, [{"key": "a", "operator": "Exists", "toleration_seconds": 7}, {"key": "b"}])
    kubernetes.add_node_affinity(task, match_expressions=[{"key": "disk", "operator": "In", "values": ["ssd"]}], weight=4)
    kubernetes.add_node_affinity(task, match_fields=[{"key": "metadata.name", "operator": "Exists"}])
    kubernetes.add_node_affinity_json(task, {"preferredDuringSchedulingIgnoredDuringExecution": []})
    kubernetes.add_pod_label(task, "team", "blue")
    kubernetes.add_pod_label(task, "stage", "test")
    kubernetes.add_pod_annotation(task, "note", "a b")
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_image_pull_secrets(task, ["registry", secret])
    kubernetes.set_timeout(task, 60)
    kubernetes.set_security_context(task, run_as_user=1000, run_as_non_root=True)
    kubernetes.set_security_context(task, run_as_group=0)
    kubernetes.empty_dir_mount(task, "scratch", "/scratch", "Memory", "1Gi")
    kubernetes.empty_dir_mount(task, "more", "/more")
    kubernetes.add_ephemeral_volume(task, "own", "/own", ["ReadWriteOnce"], "1Gi", labels={"a": "b"}, annotations={"c": "d"})
    kubernetes.add_ephemeral_volume(task, "fast", "/fast", ["ReadWriteOnce"], "1Gi", storage_class_name="fast")
    claim = kubernetes.CreatePVC(pvc_name_suffix="-data", access_modes=["ReadWriteOnce"], size="1Gi", annotations={"a": "b"})
    kubernetes.mount_pvc(task, claim.outputs["name"], "/data")
    kubernetes.mount_pvc(task, "lasting", "/lasting", sub_path="part")
    kubernetes.mount_pvc(task, secret, "/named")
    with dsl.If(secret == "one"):
        branch = inside()
        kubernetes.use_secret_as_env(branch, made.output, {"user": "USER_NAME"})
        kubernetes.use_secret_as_env(branch, secret, {"user": "OTHER"})
        kubernetes.mount_pvc(branch, claim.outputs["name"], "/data")
    with dsl.ParallelFor(["one", "two"]) as item:
        kubernetes.use_secret_as_volume(of_item(), item, "/etc/secret")
    kubernetes.set_timeout(kubernetes.set_timeout(name(), 5), 0)
    kubernetes.DeletePVC(pvc_name=claim.outputs["name"]).after(task)
