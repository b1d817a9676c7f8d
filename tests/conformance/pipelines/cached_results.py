# type: ignore
# fmt: off
"""What was done before with the same inputs is not done again; other inputs, another environment or no caching run it."""

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def write(way: str, n: int, out: Output[Dataset]) -> str:
    import uuid

    with open(out.path, "w") as file:
        file.write(str(n))
    return uuid.uuid4().hex


@dsl.component
def read(table: Input[Dataset], way: str) -> str:
    with open(table.path) as file:
        return file.read()


@dsl.component
def same(a: str, b: str, c: str, d: str, e: str) -> list:
    return [a == b, a == c, a == d, a == e]


@dsl.pipeline
def pipeline(way: str) -> list:
    a = write(way=way, n=1)
    b = write(way=way, n=1).after(a)
    c = write(way=way, n=2).after(a)
    d = write(way=way, n=1).after(a).set_caching_options(False)
    e = write(way=way, n=1).after(a).set_env_variable("OTHER", "x")
    one = read(table=a.outputs["out"], way=way)
    read(table=b.outputs["out"], way=way).after(one)
    return same(
        a=a.outputs["Output"], b=b.outputs["Output"], c=c.outputs["Output"], d=d.outputs["Output"], e=e.outputs["Output"]
    ).output


ARGUMENTS = {"way": ""}
EXPECTED = {
    "cache": True, "outputs": {"Output": [True, False, False, False]},
    "tasks": {"write": "SUCCEEDED", "write-2": "CACHED", "write-3": "SUCCEEDED", "write-4": "SUCCEEDED", "write-5": "SUCCEEDED", "read": "SUCCEEDED", "read-2": "CACHED"},
}
