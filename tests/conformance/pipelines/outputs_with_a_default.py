# type: ignore
# fmt: off
"""Outputs behind inputs that have defaults: Python wants one of them too, and None says nothing."""

from kedge import dsl


@dsl.component
def write(n: int = 1, text: dsl.OutputPath(str) = None, data: dsl.Output[dsl.Dataset] = None, folder: dsl.OutputPath("Model") = None):
    for path in (text, data.path, folder):
        with open(path, "w") as file:
            file.write(f"{n}")


@dsl.component
def read(text: str, data: dsl.Input[dsl.Dataset] = None, folder: dsl.InputPath("Model") = None) -> str:
    return text + open(data.path).read() + open(folder).read()


@dsl.container_component
def echo(n: int = 2, text: dsl.OutputPath(str) = None):
    return dsl.ContainerSpec(image="alpine", command=["sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$0" > "$1"'], args=[n, text])


@dsl.pipeline
def pipeline() -> str:
    echo()
    made = write(n=3)
    return read(text=made.outputs["text"], data=made.outputs["data"], folder=made.outputs["folder"]).output


EXPECTED = {"outputs": {"Output": "333"}, "returned": {"echo": {"text": "2"}}}
