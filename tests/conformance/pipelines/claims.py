# type: ignore
# fmt: off
"""Claims that are made, shared by steps through mounts, named by outputs in groups and loops too, and deleted."""

from kedge import dsl
from kedge.dsl import kubernetes


@dsl.component
def write(text: str):
    with open(f"/data/{text}", "w") as file:
        file.write(text)


@dsl.component
def look() -> list:
    import os

    return sorted(os.listdir("/data"))


@dsl.container_component
def show(said: dsl.OutputPath(str)):
    return dsl.ContainerSpec("busybox", ["sh", "-c", 'mkdir -p "$(dirname "$0")"; cat /here/one > "$0"'], [said])


@dsl.pipeline
def pipeline(flag: str = "yes") -> list:
    asked = {"access_modes": ["ReadWriteOnce"], "size": "1Gi", "storage_class_name": "standard"}
    claim = kubernetes.CreatePVC(pvc_name_suffix="-data", **asked)
    one = kubernetes.mount_pvc(write(text="one"), claim.outputs["name"], "/data")
    with dsl.If(flag == "yes"):
        two = kubernetes.mount_pvc(write(text="two"), claim.outputs["name"], "/data")
        two.after(one)
    with dsl.ParallelFor(["three", "four"]) as text:
        kubernetes.mount_pvc(write(text=text), claim.outputs["name"], "/data", sub_path="inner")
    shown = kubernetes.mount_pvc(show().after(one), claim.outputs["name"], "/here")
    found = kubernetes.mount_pvc(look().after(shown), claim.outputs["name"], "/data", sub_path="")
    with dsl.ParallelFor([1, 2]):
        own = kubernetes.CreatePVC(**asked)
        inside = kubernetes.mount_pvc(write(text="own"), own.outputs["name"], "/data")
        alone = kubernetes.mount_pvc(look().after(inside), own.outputs["name"], "/data")
        kubernetes.DeletePVC(pvc_name=own.outputs["name"]).after(alone)
    kubernetes.DeletePVC(pvc_name=claim.outputs["name"]).after(found)
    return found.output


EXPECTED = {"kind": "PersistentVolumeClaim", "returned": {"show": {"said": "one"}, "look-2": [{"Output": ["own"]}, {"Output": ["own"]}]}}
