# type: ignore
# fmt: off
"""Container components in loops and branches: their files, optional arguments, concatenated texts, outputs collected."""

from typing import List, Optional

from kedge import dsl


@dsl.container_component
def shell(word: str, made: dsl.OutputPath(str), out: dsl.Output[dsl.Dataset], more: Optional[str] = None):
    return dsl.ContainerSpec(
        image="alpine",
        command=["sh", "-c", 'mkdir -p "$(dirname "$1")" "$(dirname "$2")"; printf "%s" "$0" > "$1"; printf "file %s" "$*" > "$2"'],
        args=[word, made, out.path, dsl.IfPresentPlaceholder(input_name="more", then=["--more", more], else_=["--none"])],
    )


@dsl.container_component
def cat(data: dsl.Input[dsl.Dataset], text: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="alpine", command=["sh", "-c", 'mkdir -p "$(dirname "$1")"; tail -c 6 "$0" > "$1"'], args=[data.path, text])


@dsl.component
def join(words: List[str]) -> str:
    return ",".join(words)


@dsl.pipeline
def pipeline(extra: str = "e") -> str:
    with dsl.ParallelFor(["a", "b c"]) as word:
        one = shell(word=word, more=extra)
        cat(data=one.outputs["out"])
        with dsl.If(word == "a"):
            two = shell(word=f"{word}!")
            cat(data=two.outputs["out"])
    return join(words=dsl.Collected(one.outputs["made"])).output


EXPECTED = {"outputs": {"Output": "a,b c"}, "returned": {"cat": [{"text": "more e"}, {"text": "more e"}], "cat-2": [{"text": "--none"}]}}
