# type: ignore
# fmt: off
"""after(): a task waits for tasks, for a loop's and for a sub-pipeline, whether it takes anything of them or not."""

from kedge import dsl


@dsl.component
def note(folder: str, name: str, slow: float = 0.0, after_name: str = ""):
    import time

    time.sleep(slow)
    # Where two tasks may run at once, one waits here for the other's name: what comes out is the same on every machine.
    while after_name and after_name not in open(f"{folder}/log").read():
        time.sleep(0.1)
    with open(f"{folder}/log", "a") as file:
        file.write(name + " ")


@dsl.component
def read(folder: str) -> str:
    with open(f"{folder}/log") as file:
        return file.read()


@dsl.component
def n_is_one(n: int) -> int:
    return n


@dsl.pipeline
def inner(folder: str):
    note(folder=folder, name="inner", slow=0.2)


@dsl.pipeline
def pipeline(folder: str) -> str:
    first = note(folder=folder, name="first", slow=0.2)
    sub = inner(folder=folder).after(first)
    with dsl.ParallelFor([1]) as n:
        looped = note(folder=folder, name=f"loop", slow=0.2).after(sub)
    with dsl.If(n_is_one(n=1).output == 1):
        note(folder=folder, name="branch").after(looped)
    last = note(folder=folder, name="last", after_name="branch").after(looped)
    return read(folder=folder).after(last).output


ARGUMENTS = {"folder": ""}
EXPECTED = {"outputs": {"Output": "first inner loop branch last "}}
