# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""If, Elif, Else and OneOf; every operator; nesting."""

from kedge import dsl


@dsl.component
def flip(seed: int = 1) -> str:
    return "heads"


@dsl.component
def weigh() -> float:
    return 1.5


@dsl.component
def write(text: str, out: dsl.Output[dsl.Dataset]) -> str:
    return text


@dsl.component
def read(text: str, table: dsl.Input[dsl.Dataset]):
    pass


@dsl.pipeline
def pipeline(side: str, limit: int = 3, sure: bool = True, ratio: float = 0.5) -> str:
    coin = flip(seed=limit)
    with dsl.If(coin.output == "heads", name="heads it is"):
        heads = write(text="h")
        with dsl.If(limit > 3):
            write(text=coin.output)
    with dsl.Elif(coin.output == side):
        mine = write(text=side)
    with dsl.Else():
        rest = write(text=f"neither {side}")
    said = dsl.OneOf(heads.outputs["Output"], mine.outputs["Output"], rest.outputs["Output"])
    read(text=said, table=dsl.OneOf(heads.outputs["out"], mine.outputs["out"], rest.outputs["out"]))
    with dsl.If(sure == True):  # noqa: E712
        flip()
    with dsl.If(ratio != 0.25):
        flip()
    with dsl.If(weigh().output < ratio):
        flip()
    with dsl.If(limit >= 0.5):
        flip()
    with dsl.Condition(limit <= limit):
        flip()
    with dsl.If("its" != side):
        flip()
    return said
