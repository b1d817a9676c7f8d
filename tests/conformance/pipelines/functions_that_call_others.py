# type: ignore
# fmt: off
"""additional_funcs travel with the function; imports, defaults and classes inside of it work."""

from kedge import dsl


def twice(n: int) -> int:
    return 2 * n


def thrice(n: int) -> int:
    return twice(n) + n


@dsl.component(additional_funcs=[twice, thrice])
def work(n: int) -> str:
    import dataclasses

    @dataclasses.dataclass
    class Pair:
        a: int
        b: int

    return str(Pair(twice(n), thrice(n)).b)


@dsl.pipeline
def pipeline() -> str:
    return work(n=5).output


EXPECTED = {"outputs": {"Output": "15"}}
