# type: ignore
# fmt: off
"""Files that travel in a component's source: one file, a folder, and modules in it; a folder's place is also where imports look."""

import os
import tempfile

from kedge import dsl

# Made when the pipeline is compiled.
HERE = tempfile.mkdtemp()
os.mkdir(os.path.join(HERE, "inner"))
for name, text in {"words.txt": "one two", "counting_words.py": "def count(text):\n    return len(text.split())\n", "inner/more.txt": "three"}.items():
    with open(os.path.join(HERE, name), "w") as file:
        file.write(text)


@dsl.component(embedded_artifact_path=os.path.join(HERE, "words.txt"))
def file(words: dsl.EmbeddedInput[dsl.Dataset], twice: bool = False) -> str:
    with open(words.path) as found:
        return found.read() * (1 + twice)


@dsl.component(embedded_artifact_path=HERE)
def folder(files: dsl.EmbeddedInput[dsl.Artifact], out: dsl.Output[dsl.Dataset]) -> int:
    import os

    from counting_words import count

    with open(os.path.join(files.path, "words.txt")) as found, open(os.path.join(files.path, "inner", "more.txt")) as more:
        text = found.read() + " " + more.read()
    with open(out.path, "w") as written:
        written.write(text)
    return count(text)


@dsl.component(embedded_artifact_path=HERE)
def modules(text: str) -> int:
    from counting_words import count

    return count(text)


@dsl.pipeline
def pipeline() -> int:
    with dsl.ParallelFor([True, False]) as twice:
        file(twice=twice)
    return modules(text=f"{file().output} {folder().outputs['Output']}").output


EXPECTED = {"outputs": {"Output": 3}, "returned": {"file": [{"Output": "one twoone two"}, {"Output": "one two"}], "file-2": {"Output": "one two"}, "folder": {"Output": 3}}}
