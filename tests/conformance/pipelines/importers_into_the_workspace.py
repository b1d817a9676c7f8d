# type: ignore
# fmt: off
"""Artifacts that importers bring into the workspace: files and folders, read at one place by functions and by commands."""

from kedge import dsl
from kedge.dsl import Dataset, Input


@dsl.component
def place(folder: str, name: str) -> str:
    import os

    os.makedirs(f"{folder}/tables/inner", exist_ok=True)
    for inner in ("one.txt", "tables/a.txt", "tables/inner/b.txt"):
        with open(f"{folder}/{inner}", "w") as file:
            file.write(f"contents of {inner}")
    return f"file://{folder}/{name}"


@dsl.component
def read(data: Input[Dataset], note: str) -> list:
    with open(data.path + ".note", "w") as file:
        file.write(note)
    with open(data.path) as file:
        return [file.read(), data.path.startswith("/kfp-" + "workspace/.artifacts/file/"), data.path.endswith("/one.txt")]


@dsl.component
def read_folder(data: Input[Dataset]) -> list:
    import os

    return sorted(name for _, _, names in os.walk(data.path) for name in names)


@dsl.container_component
def show(data: Input[Dataset], said: dsl.OutputPath(str)):
    command = 'mkdir -p "$(dirname "$1")"; cat "$0" "$0.note" > "$1"; test "$0" != "${0#/kfp-workspace/}"'
    return dsl.ContainerSpec("busybox", ["sh", "-c", command], [data.path, said])


@dsl.pipeline(pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def pipeline(folder: str) -> list:
    file = place(folder=folder, name="one.txt")
    tables = place(folder=folder, name="tables").after(file)
    one = dsl.importer(artifact_uri=file.output, artifact_class=Dataset, download_to_workspace=True).after(tables)
    tables = dsl.importer(artifact_uri=tables.output, artifact_class=Dataset, download_to_workspace=True)
    first = read(data=one.output, note=" and a note")
    show(data=one.output).after(first)
    show(data=one.output).after(first)
    read_folder(data=tables.output)
    read_folder(data=tables.output)
    return first.output


ARGUMENTS = {"folder": ""}
EXPECTED = {
    "outputs": {"Output": ["contents of one.txt", True, True]},
    "returned": {
        "show": {"said": "contents of one.txt and a note"}, "show-2": {"said": "contents of one.txt and a note"},
        "read-folder": {"Output": ["a.txt", "b.txt"]}, "read-folder-2": {"Output": ["a.txt", "b.txt"]},
    },
}
