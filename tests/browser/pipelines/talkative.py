# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""A step that has much to say."""

from kedge import dsl


@dsl.component
def talk():
    for number in range(2500):
        print(f"line {number}")
    for number in range(100):
        print(f"{number} %", end="\r")
    print("100 %")


@dsl.pipeline(name="talkative")
def talkative():
    talk()
