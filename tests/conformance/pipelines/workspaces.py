# type: ignore
# fmt: off
"""A workspace: named in arguments, texts and command lines, shared by the steps of a run and not seen by others of its steps."""

from kedge import dsl


@dsl.component
def write(folder: str, text: str):
    import os

    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{text}", "w") as file:
        file.write(text)


@dsl.component
def look(folder: str) -> list:
    import os

    return sorted(os.listdir(folder))


@dsl.component
def has_none() -> bool:
    import os

    return not os.path.exists("/kfp-" + "workspace")


@dsl.container_component
def show(said: dsl.OutputPath(str)):
    place = dsl.WORKSPACE_PATH_PLACEHOLDER
    return dsl.ContainerSpec("busybox", ["sh", "-c", f'mkdir -p "$(dirname "$0")"; cat {place}/notes/a > "$0"'], [said])


@dsl.pipeline(pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def pipeline() -> list:
    place = dsl.WORKSPACE_PATH_PLACEHOLDER + "/notes"
    first = write(folder=place, text="a")
    with dsl.ParallelFor(["b", "c"]) as text:
        rest = write(folder=place, text=text).after(first)
    shown = show().after(first)
    has_none().after(first)
    return look(folder=place).after(rest, shown).output


EXPECTED = {"kind": "PersistentVolumeClaim", "outputs": {"Output": ["a", "b", "c"]}, "returned": {"show": {"said": "a"}, "has-none": {"Output": True}}}
