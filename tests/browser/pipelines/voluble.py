# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""A step that writes more than anybody reads, and what is no text."""

from kedge import dsl


@dsl.component
def talk_much(count: int):
    import sys

    for number in range(count - 6):
        print(f"line {number}")
    print("\x1b[1;32mbold and green\x1b[0m, and plain again")
    sys.stdout.flush()
    sys.stdout.buffer.write(b"no text: \xff\xfe\n")
    sys.stdout.buffer.flush()
    print("long " + "x" * 30000)
    print("<img src=x onerror=alert(1)>")
    print("the line before")
    print("the end")


@dsl.pipeline(name="voluble")
def voluble(count: int):
    talk_much(count=count)
