# type: ignore
# fmt: off
"""An init container that prepares a folder, and one that stays beside the step as a sidecar, for Python and other steps."""

from kedge import dsl
from kedge.dsl import kubernetes


@dsl.component
def look() -> list:
    import time

    for _ in range(600):
        try:
            return [open("/scratch/prepared").read(), open("/scratch/beside").read()]
        except FileNotFoundError:
            time.sleep(0.1)


@dsl.container_component
def show(said: dsl.OutputPath(str)):
    return dsl.ContainerSpec("busybox", ["sh", "-c", 'mkdir -p "$(dirname "$0")"; cat /scratch/prepared > "$0"'], [said])


@dsl.pipeline
def pipeline():
    for task in (look(), show()):
        kubernetes.empty_dir_mount(task, "scratch", "/scratch")
        kubernetes.add_init_container(
            task, "prepare", "busybox", ["sh", "-c"], ['printf %s "$WORD" > /made/prepared'], env={"WORD": "hello"},
            volume_mounts={"scratch": "/made"},
        )
        kubernetes.add_init_container(
            task, "beside", "busybox", ["sh", "-c", "printf here > /made/beside; while true; do sleep 1; done"],
            volume_mounts={"scratch": "/made"}, restart_policy="Always",
        )


# kfp has these from the release after 2.17.
EXPECTED = {"ways": ("kedge",), "returned": {"look": {"Output": ["hello", "here"]}, "show": {"said": "hello"}}}
