# type: ignore
# fmt: off
"""A component.yaml of kfp 1.x: every placeholder of it, defaults written as text, names with blanks."""

from kedge import components, dsl
from kedge.dsl import Dataset, Input, Output

join = components.load_component_from_text("""
name: Join words
description: Joins.
inputs:
- {name: First Word, type: String}
- {name: count, type: Integer, default: '3'}
- {name: ratio, type: Float, default: '0.5'}
- {name: sure, type: Boolean, default: 'True'}
- {name: nickname, type: String, optional: true}
- {name: table, type: Dataset}
outputs:
- {name: said, type: String}
- {name: copy, type: Dataset}
implementation:
  container:
    image: busybox
    command:
    - sh
    - -c
    - |
      mkdir -p "$(dirname "$0")" "$(dirname "$1")"
      cp "$2" "$1"
      shift 2
      for one in "$@"; do printf "[%s]" "$one"; done > "$0"
    - {outputPath: said}
    - {outputPath: copy}
    - {inputPath: table}
    args:
    - {inputValue: First Word}
    - {inputValue: count}
    - {inputValue: ratio}
    - {inputValue: sure}
    - {concat: ['<', {inputValue: First Word}, '>']}
    - if:
        cond: {isPresent: nickname}
        then: [--nickname, {inputValue: nickname}]
        else: [--none]
""")


@dsl.component
def write(out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write("rows")


@dsl.component
def read(copy: Input[Dataset], one: str, two: str) -> list:
    with open(copy.path) as file:
        return [file.read(), one, two]


@dsl.pipeline
def pipeline(word: str) -> list:
    table = write().outputs["out"]
    a = join(first_word=word, table=table)
    b = join(first_word="b", count=4, nickname="x", table=a.outputs["copy"])
    return read(copy=b.outputs["copy"], one=a.outputs["said"], two=b.outputs["said"]).output


ARGUMENTS = {"word": "two words"}
EXPECTED = {
    "outputs": {
        "Output": [
            "rows", "[two words][3][0.5][true][<two words>][--none]", "[b][4][0.5][true][<b>][--nickname][x]",
        ]
    }
}
