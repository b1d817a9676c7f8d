# type: ignore
# fmt: off
"""Parts of items of lists that come from inputs, outputs and constants, in texts within branches, exit handlers and inner loops."""

from typing import Dict, List

from kedge import dsl


@dsl.component
def rows() -> List[Dict[str, str]]:
    return [{"word": "a", "kind": "x"}, {"word": "b", "kind": "y"}]


@dsl.component
def echo(text: str) -> str:
    return text


@dsl.component
def clean():
    pass


@dsl.pipeline
def of_input(given: List[Dict[str, str]], sep: str):
    with dsl.ParallelFor(given) as row:
        with dsl.If(row.kind == "x"):
            echo(text=f"{row.word}{sep}{row.kind}")
        with dsl.Elif(row.kind == "y"):
            with dsl.If(row.word != "a"):
                echo(text=f"{sep}{row.word}")


@dsl.pipeline
def pipeline(sep: str = "-"):
    made = rows()
    of_input(given=made.output, sep=sep)
    with dsl.ExitHandler(clean()):
        with dsl.ParallelFor(made.output) as row:
            echo(text=f"exit {row.word}")
            with dsl.ParallelFor([{"n": 1}, {"n": 2}]) as inner:
                echo(text=f"{row.word}{inner.n}{sep}")
    with dsl.ParallelFor([{"word": "p", "n": 1}, {"word": "q", "n": 2}]) as row:
        with dsl.If(row.n == 1):
            first = echo(text=f"{row.word}{row.n}")
            echo(text=f"{first.output}{sep}{row.word}")


EXPECTED = {
    "returned": {
        "echo": [{"Output": "exit a"}, {"Output": "exit b"}, {"Output": "a-x"}],
        "echo-2": [{"Output": "a1-"}, {"Output": "a2-"}, {"Output": "b1-"}, {"Output": "b2-"}, {"Output": "-b"}],
        "echo-3": [{"Output": "p1"}], "echo-4": [{"Output": "p1-p"}],
    },
}
