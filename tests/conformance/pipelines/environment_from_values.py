# type: ignore
# fmt: off
"""Environment variables from a pipeline's input, an output and the item of a loop, alone and in texts."""

from kedge import dsl


@dsl.component
def word() -> str:
    return "it's \"here\""


@dsl.component
def look() -> str:
    import os

    return os.environ["VALUE"]


@dsl.pipeline
def pipeline(rate: float) -> str:
    with dsl.ParallelFor([{"n": 1}, {"n": 2}]) as row:
        look().set_env_variable("VALUE", f"{row.n} of {rate}")
    look().set_env_variable("VALUE", rate)
    return look().set_env_variable("VALUE", word().output).output


ARGUMENTS = {"rate": 0.5}
# kfp refuses these; its users have asked for them for years.
EXPECTED = {
    "ways": ("kedge",), "outputs": {"Output": "it's \"here\""},
    "returned": {"look": [{"Output": "1 of 0.5"}, {"Output": "2 of 0.5"}], "look-2": {"Output": "0.5"}},
}
