# type: ignore
# fmt: off
"""A workspace of which only the size is said."""

from kedge import dsl


@dsl.component
def write(folder: str):
    open(folder + "/notes", "w").close()


@dsl.container_component
def show():
    return dsl.ContainerSpec("busybox", ["ls", dsl.WORKSPACE_PATH_PLACEHOLDER])


@dsl.pipeline(pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def pipeline():
    show().after(write(folder=dsl.WORKSPACE_PATH_PLACEHOLDER))
