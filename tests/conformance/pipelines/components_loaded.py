# type: ignore
# fmt: off
"""A component and a whole pipeline that were compiled before, loaded from their YAML and used more than once."""

import os
import tempfile
from typing import List

from kedge import components, dsl
from kedge import compiler


@dsl.component
def double(n: int, plus: int = 0) -> int:
    return 2 * n + plus


@dsl.pipeline
def doubles(numbers: List[int], plus: int = 1) -> List[int]:
    first = double(n=1)
    with dsl.ParallelFor(numbers) as n:
        each = double(n=n, plus=plus).after(first)
    return dsl.Collected(each.output)


with tempfile.TemporaryDirectory() as folder:
    component_file, pipeline_file = os.path.join(folder, "component.yaml"), os.path.join(folder, "pipeline.yaml")
    compiler.Compiler().compile(double, component_file)
    compiler.Compiler().compile(doubles, pipeline_file)
    loaded = components.load_component_from_file(component_file)
    with open(pipeline_file) as file:
        loaded_pipeline = components.load_component_from_text(file.read())


@dsl.component
def total(numbers: List[int], extra: int) -> int:
    return sum(numbers) + extra


@dsl.pipeline
def pipeline(extra: int = 1000) -> int:
    one = loaded_pipeline(numbers=[1, 2])
    two = loaded_pipeline(numbers=one.output, plus=0)
    own = loaded(n=5, plus=extra)
    return total(numbers=two.output, extra=own.output).output


EXPECTED = {"outputs": {"Output": 1026}}
