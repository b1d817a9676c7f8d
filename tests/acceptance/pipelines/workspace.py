# type: ignore
# fmt: off
"""A workspace, named in arguments and command lines."""

from kedge import dsl


@dsl.component
def write(folder: str):
    open(folder + "/notes", "w").close()


@dsl.component
def read(data: dsl.Input[dsl.Dataset]):
    print(open(data.path).read())


@dsl.container_component
def show():
    return dsl.ContainerSpec("busybox", ["ls", dsl.WORKSPACE_PATH_PLACEHOLDER])


@dsl.pipeline(pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(
    size="1Gi", kubernetes=dsl.KubernetesWorkspaceConfig(pvcSpecPatch={"accessModes": ["ReadWriteMany"], "storageClassName": "fast"}),
)))
def pipeline():
    show().after(write(folder=dsl.WORKSPACE_PATH_PLACEHOLDER))
    data = dsl.importer(artifact_uri="s3://bucket/data", artifact_class=dsl.Dataset, download_to_workspace=True)
    read(data=data.output)
