# type: ignore
"""Steps whose files are staged: Python components, and a program in an image that holds nothing else."""

import os

from kedge import dsl
from kedge.dsl import Dataset, Input, Output, OutputPath
from kedge.dsl import kubernetes

STATIC = "kedge.test/static:2"
INDEX = os.environ.get("TINY_INDEX", "http://index.example/simple")


@dsl.component
def rows(text: str, out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write(text)


@dsl.container_component
def shout(data: Input[Dataset], out: Output[Dataset], size: OutputPath(int)):
    return dsl.ContainerSpec(image=STATIC, command=["/static"], args=["-in", data.path, "-out", out.path, "-word", size])


@dsl.component
def read(data: Input[Dataset], size: int) -> str:
    with open(data.path) as file:
        return f"{file.read()} {size}"


@dsl.pipeline
def carriers(text: str = "rows") -> str:
    shouted = shout(data=rows(text=text).outputs["out"])
    return read(data=shouted.outputs["out"], size=shouted.outputs["size"]).output


@dsl.container_component
def measure(text: str, size: OutputPath(int)):
    return dsl.ContainerSpec(image=STATIC, command=["/static"], args=["-word", size, text])


@dsl.pipeline
def parameters(text: str = "four") -> int:
    first = measure(text=text).outputs["size"]
    return measure(text=f"{first}").outputs["size"]


@dsl.container_component
def forget(out: Output[Dataset], size: OutputPath(int)):
    return dsl.ContainerSpec(image=STATIC, command=["/static"], args=["-out", out.path, "text"])


@dsl.pipeline
def forgets():
    forget()


@dsl.container_component
def wait(seconds: int, out: Output[Dataset]):
    return dsl.ContainerSpec(image=STATIC, command=["/static"], args=["-deaf", "-seconds", seconds, "-out", out.path, "text"])


@dsl.pipeline
def waits(seconds: int = 0):
    wait(seconds=seconds)


@dsl.container_component
def keep(out: Output[Dataset]):
    return dsl.ContainerSpec(image=STATIC, command=["/static"], args=["-private", "-out", out.path, "text"])


@dsl.pipeline
def private():
    keep()


@dsl.pipeline
def private_of_another():
    kubernetes.set_security_context(keep(), run_as_user=2000)


@dsl.component(packages_to_install=["tiny"], pip_index_urls=[INDEX], pip_trusted_hosts=[INDEX.split("/")[2].split(":")[0]])
def homely() -> str:
    import os
    import pathlib

    import tiny

    pathlib.Path.home().joinpath("here").write_text("mine")
    return f"{tiny.WORD} {os.getuid()}"


@dsl.pipeline
def at_home() -> str:
    return homely().output


@dsl.component
def nap(seconds: float, out: Output[Dataset]):
    import time

    time.sleep(seconds)
    with open(out.path, "w") as file:
        file.write("rested")


@dsl.pipeline
def naps(seconds: float = 1.0):
    nap(seconds=seconds)
