"""What people read when a pipeline is wrong: what, where, why, and how to fix it. The whole text, each with its line."""

# ruff: noqa: E501  # a message is compared as it is read

import linecache
from itertools import count
from typing import Any

import pytest

from kedge import dsl

HEAD = """\
from typing import *
from kedge import dsl
from kedge.dsl import *
@dsl.component
def number(n: int = 1) -> int:
    return n
@dsl.component
def text(t: str, kind: Literal["a", "b"] = "a") -> str:
    return t
@dsl.component
def make(table: Output[Dataset], model: Output[Model]):
    pass
@dsl.component
def use(table: Input[Dataset]):
    pass
@dsl.component
def both() -> NamedTuple("Both", [("x", int), ("y", str)]):
    return (1, "a")
@dsl.component
def total(ns: List[int]) -> int:
    return 1
@dsl.component
def tell(status: PipelineTaskFinalStatus):
    pass
"""
FIRST = HEAD.count("\n") + 1  # the line that a case's own code begins at
_numbers = count()


def run(code: str) -> dict[str, Any]:
    """Run a file of this text, as an import would."""
    name = f"case{next(_numbers)}.py"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": "case"}
    exec(compile(code, name, "exec", dont_inherit=True), namespace)  # noqa: S102  # the text is ours
    return namespace


def pipeline(*lines: str, signature: str = "n: int, t: str, ns: List[int]") -> str:
    return f"@dsl.pipeline\ndef p({signature}):\n" + "".join(f"    {line}\n" for line in lines)


# id: (code, line of the error counted from the code's first, text of the message without the line "where")
ARGUMENTS = {
    "an argument of another type": (
        pipeline("text(t=number().output)"),
        3,
        (
            'Task "text" in pipeline "p" gets output "Output" of task "number", which is an int, for the argument "t".\n'
            '  why:   "t" of component "text" is a str.\n'
            '  fix:   Pass a str, or change the annotation of "t".'
        ),
    ),
    "an input of the pipeline of another type": (
        pipeline("text(t=n)"),
        3,
        (
            'Task "text" in pipeline "p" gets the pipeline\'s input "n", which is an int, for the argument "t".\n'
            '  why:   "t" of component "text" is a str.\n'
            '  fix:   Pass a str, or change the annotation of "t".'
        ),
    ),
    "a constant of another type": (
        pipeline("number(n='seven')"),
        3,
        (
            'Task "number" in pipeline "p" gets \'seven\', which is a str, for the argument "n".\n'
            '  why:   "n" of component "number" is an int.\n'
            '  fix:   Pass an int, or change the annotation of "n".'
        ),
    ),
    "a constant that JSON cannot say": (
        pipeline("total(ns=[1, {2, 3}])"),
        3,
        (
            'Task "total" in pipeline "p" gets a value that cannot be sent to a step ({2, 3} at [1] is a set, which JSON cannot say) '
            'for the argument "ns".\n'
            '  why:   "ns" of component "total" is a List[int].\n'
            '  fix:   Pass a List[int], or change the annotation of "ns".'
        ),
    ),
    "True is no number": (
        pipeline("number(n=True)"),
        3,
        (
            'Task "number" in pipeline "p" gets True, which is a bool, for the argument "n".\n'
            '  why:   "n" of component "number" is an int.\n'
            '  fix:   Pass an int, or change the annotation of "n".'
        ),
    ),
    "not one of the literals": (
        pipeline("text(t='x', kind='c')"),
        3,
        (
            'Task "text" in pipeline "p" gets \'c\', which is not one of "a", "b", for the argument "kind".\n'
            '  why:   "kind" of component "text" is a str.\n'
            '  fix:   Pass one of "a", "b".'
        ),
    ),
    "a missing argument": (
        pipeline("text()"),
        3,
        (
            'Task "text" in pipeline "p" is missing the argument "t" (str).\n'
            "  why:   It has no default.\n"
            "  fix:   Pass t=…, or give it a default in the component."
        ),
    ),
    "an argument with a slip": (
        pipeline("text(t='x', kin='a')"),
        3,
        'Task "text" in pipeline "p" has no input "kin".\n  why:   Its inputs are "t", "kind".\n  fix:   Did you mean "kind"?',
    ),
    "an unknown argument": (
        pipeline("number(epochs=3)"),
        3,
        (
            'Task "number" in pipeline "p" has no input "epochs".\n'
            '  why:   Its inputs are "n".\n'
            '  fix:   Remove "epochs", or add it to the component.'
        ),
    ),
    "an argument without name": (
        pipeline("text('x')"),
        3,
        (
            'Component "text" is called with 1 argument(s) that have no name.\n'
            "  why:   In a pipeline each input is given by its name.\n"
            "  fix:   Write text(t=…, kind=…)."
        ),
    ),
    "None for what is needed": (
        pipeline("text(t=None)"),
        3,
        (
            'Task "text" in pipeline "p" gets None for the argument "t".\n'
            '  why:   "t" of component "text" is a str.\n'
            "  fix:   Pass a value, or annotate it Optional[...] in the component."
        ),
    ),
    "a constant for an artifact": (
        pipeline("use(table='s3://bucket/x')"),
        3,
        (
            'Task "use" in pipeline "p" gets \'s3://bucket/x\', a constant str, for the argument "table".\n'
            '  why:   "table" of component "use" is a Dataset.\n'
            "  fix:   Pass an output of another task; files from outside come in through dsl.importer(...)."
        ),
    ),
    "an artifact of another type": (
        pipeline("use(table=make().outputs['model'])"),
        3,
        (
            'Task "use" in pipeline "p" gets output "model" of task "make", which is a Model, for the argument "table".\n'
            '  why:   "table" of component "use" is a Dataset.\n'
            '  fix:   Pass a Dataset, or change the annotation of "table".'
        ),
    ),
    "a task for one of its outputs": (
        pipeline("made = make()", "use(table=made)"),
        4,
        (
            'Task "use" in pipeline "p" gets the task "make" itself for the argument "table".\n'
            '  why:   "table" of component "use" is a Dataset.\n'
            "  fix:   Pass its .output or .outputs[…]."
        ),
    ),
    "an artifact in a text": (
        pipeline("made = make()", "text(t=f\"{made.outputs['table']}\")"),
        4,
        (
            'Output "table" of task "make" is an artifact (Dataset) and was put into a text.\n'
            "  why:   An artifact has no value that a text could hold.\n"
            "  fix:   Give it to an Input[...] of a component, which can use its .uri or .path."
        ),
    ),
    "the output of a task with two": (
        pipeline("text(t=both().output)"),
        3,
        (
            'Task "both" has 2 outputs, not one: .output is not defined.\n'
            '  why:   Its outputs are "x", "y".\n'
            '  fix:   Use task.outputs["…"].'
        ),
    ),
    "the output of a task with none": (
        pipeline("text(t=use(table=make().outputs['table']).output)"),
        3,
        (
            'Task "use" has no output, not one: .output is not defined.\n'
            "  why:   Its outputs are none.\n"
            "  fix:   Let the component return something, or order tasks with .after()."
        ),
    ),
    "an output that is not there": (
        pipeline("text(t=both().outputs['z'])"),
        3,
        (
            'Task "both" has no output "z".\n'
            '  why:   Its outputs are "x", "y".\n'
            "  fix:   Correct the name, or add the output to the component."
        ),
    ),
}

FLOW = {
    "a circle of after": (
        pipeline("a = number()", "b = number().after(a)", "c = number().after(b)", "a.after(c)"),
        5,
        (
            'The tasks of pipeline "p" wait for each other: number after number-3 after number-2 after number.\n'
            "  why:   None of them could ever start.\n"
            "  fix:   Remove one of the .after() calls or arguments between them."
        ),
    ),
    "a channel as a condition of Python": (
        pipeline("if number().output == 1:", "    number()"),
        3,
        (
            'The condition output "Output" of task "number" == 1 is used as if it were true or false already.\n'
            "  why:   The values are known only when the pipeline runs; this code runs once, before.\n"
            "  fix:   Use it in `with dsl.If(...):`; nest two of them for `and`, use dsl.Elif for `or`."
        ),
    ),
    "a channel taken for true": (
        pipeline("if number().output:", "    number()"),
        3,
        (
            'Output "Output" of task "number" is used as if it were true or false already.\n'
            "  why:   Its value is known only when the pipeline runs; this code runs once, before.\n"
            "  fix:   Use `with dsl.If(channel == True):` instead of `if channel:`; compare with None inside of a component."
        ),
    ),
    "a calculation with a channel": (
        pipeline("number(n=n + 1)"),
        3,
        (
            'The pipeline\'s input "n" is calculated with.\n'
            "  why:   Its value is known only when the pipeline runs.\n"
            '  fix:   Calculate inside of a component; a text is put together as f"{channel} and more".'
        ),
    ),
    "a text that is added to an output": (
        pipeline("text(t='one' + text(t='two').output)"),
        3,
        (
            'Output "Output" of task "text" is calculated with.\n'
            "  why:   Its value is known only when the pipeline runs.\n"
            '  fix:   Calculate inside of a component; a text is put together as f"{channel} and more".'
        ),
    ),
    "a calculation with a loop's item": (
        pipeline("with dsl.ParallelFor([1, 2]) as i:", "    number(n=2 * i)"),
        4,
        (
            'The item of loop "for-loop-1" is calculated with.\n'
            "  why:   Its value is known only when the pipeline runs.\n"
            '  fix:   Calculate inside of a component; a text is put together as f"{channel} and more".'
        ),
    ),
    "a loop of Python over a channel": (
        pipeline("for one in ns:", "    number(n=one)"),
        3,
        (
            'The pipeline\'s input "ns" is iterated over.\n'
            "  why:   Its items are known only when the pipeline runs.\n"
            "  fix:   Use `with dsl.ParallelFor(channel) as item:`."
        ),
    ),
    "a comparison of two types": (
        pipeline("with dsl.If(n == 'one'):", "    number()"),
        3,
        (
            "A condition compares the pipeline's input \"n\", an int, == 'one', a str.\n"
            "  why:   They are of different types and would never be equal.\n"
            "  fix:   Compare with an int."
        ),
    ),
    "a comparison of a list": (
        pipeline("with dsl.If(ns == [1]):", "    number()"),
        3,
        (
            'A condition compares the pipeline\'s input "ns" == [1]; the pipeline\'s input "ns", a List[int], cannot be compared.\n'
            "  why:   Conditions compare text, numbers and booleans.\n"
            "  fix:   Compute the answer in a component and compare its output."
        ),
    ),
    "a condition that is no comparison": (
        pipeline("with dsl.If(n):", "    number()"),
        3,
        (
            'dsl.If got the pipeline\'s input "n", which is no comparison.\n'
            "  why:   The condition is evaluated when the pipeline runs.\n"
            "  fix:   Compare a task's output or an input of the pipeline: `with dsl.If(channel == True):`."
        ),
    ),
    "an Else without If": (
        pipeline("number()", "with dsl.Else():", "    number()"),
        4,
        (
            "dsl.Else follows something else.\n"
            "  why:   It is the other way to go of the dsl.If or dsl.Elif right before it.\n"
            "  fix:   Put it directly behind that block, without tasks between."
        ),
    ),
    "an empty block": (
        pipeline("with dsl.If(n == 1):", "    pass"),
        3,
        "The block of dsl.If has no tasks.\n  fix:   Call a component in it, or remove it.",
    ),
    "an output of a branch outside of it": (
        pipeline("with dsl.If(n == 1):", "    one = number()", "number(n=one.output)"),
        5,
        (
            '"number-2" uses output "Output" of task "number", which is made in a branch ("condition-1") that it is not in.\n'
            "  why:   When the branch is not taken there is no value.\n"
            "  fix:   Use it inside of the branch, or give every branch one and use dsl.OneOf."
        ),
    ),
    "after a task of a branch": (
        pipeline("with dsl.If(n == 1):", "    one = number()", "number().after(one)"),
        5,
        (
            'Task "number-2" runs after "number", which stands in a branch that "number-2" is not in.\n'
            "  why:   When the branch is not taken, that task never runs.\n"
            "  fix:   Move the task into the branch."
        ),
    ),
    "an output of a loop outside of it": (
        pipeline("with dsl.ParallelFor([1]) as item:", "    one = number(n=item)", "number(n=one.output)"),
        5,
        (
            '"number-2" uses output "Output" of task "number", which is made in a loop ("for-loop-1") that it is not in.\n'
            "  why:   The loop makes one for every item.\n"
            "  fix:   Use dsl.Collected(...) for the list of all, or use it inside of the loop."
        ),
    ),
    "a loop's item outside of it": (
        pipeline("with dsl.ParallelFor([1]) as item:", "    number(n=item)", "number(n=item)"),
        5,
        (
            '"number-2" uses the item of loop "for-loop-1", which is made in a loop ("for-loop-1") that it is not in.\n'
            "  why:   The loop makes one for every item.\n"
            "  fix:   Use dsl.Collected(...) for the list of all, or use it inside of the loop."
        ),
    ),
    "an output of an exit handler's block outside of it": (
        pipeline("with dsl.ExitHandler(text(t='end')):", "    one = number()", "number(n=one.output)"),
        5,
        (
            '"number-2" uses output "Output" of task "number", which is made in an exit handler\'s block ("exit-handler-1") '
            "that it is not in.\n"
            "  why:   When the block fails there is no value.\n"
            "  fix:   Use it inside of the block."
        ),
    ),
    "collected where nothing is": (
        pipeline("one = number()", "total(ns=dsl.Collected(one.output))"),
        4,
        (
            'dsl.Collected(output "Output" of task "number") is used where there is nothing to collect.\n'
            "  why:   It is used in the same iteration, or its task is in no loop.\n"
            "  fix:   Use it after the loop's block; within the loop use the output itself."
        ),
    ),
    "collected through a branch": (
        pipeline(
            "with dsl.ParallelFor([1]) as item:",
            "    with dsl.If(item == 1):",
            "        one = number()",
            "total(ns=dsl.Collected(one.output))",
        ),
        6,
        (
            '"total" uses dsl.Collected(output "Output" of task "number"), which is made in a branch ("condition-2") that it is not in.\n'
            "  why:   dsl.Collected cannot collect through a branch.\n"
            "  fix:   Collect the output of a task that stands directly in the loop."
        ),
    ),
    "a choice without Else": (
        pipeline(
            "with dsl.If(n == 1):",
            "    a = number()",
            "with dsl.Elif(n == 2):",
            "    b = number()",
            "number(n=dsl.OneOf(a.output, b.output))",
        ),
        7,
        (
            "dsl.OneOf chooses between branches without an Else.\n"
            "  why:   When no condition holds there would be no value.\n"
            "  fix:   Add `with dsl.Else():` with a task that gives the value then."
        ),
    ),
    "a choice of some branches": (
        pipeline(
            "with dsl.If(n == 1):", "    a = number()", "with dsl.Else():", "    b = number()", "number(n=dsl.OneOf(a.output))"
        ),
        7,
        (
            "dsl.OneOf got 1 outputs, which are not one of each branch of an If/Elif/Else.\n"
            "  why:   Whichever branch is taken must give the value.\n"
            "  fix:   Pass one output from every branch of the same If/Elif/Else."
        ),
    ),
    "a choice of different types": (
        pipeline(
            "with dsl.If(n == 1):",
            "    a = number()",
            "with dsl.Else():",
            "    b = text(t='x')",
            "text(t=dsl.OneOf(a.output, b.output))",
        ),
        7,
        (
            'dsl.OneOf got output "Output" of task "number", an int, and output "Output" of task "text", a str.\n'
            "  why:   Whatever reads it must know its type.\n"
            "  fix:   Let all branches give the same type."
        ),
    ),
    "a loop over no list": (
        pipeline("with dsl.ParallelFor(n) as item:", "    number()"),
        3,
        (
            'dsl.ParallelFor loops over the pipeline\'s input "n", which is an int.\n'
            "  why:   It needs a list.\n"
            "  fix:   Annotate that output or input as a list, such as List[str] or List[Dataset]."
        ),
    ),
    "a loop over nothing": (
        pipeline("with dsl.ParallelFor([]) as item:", "    number()"),
        3,
        "dsl.ParallelFor got an empty list.\n  why:   Its tasks would never run.\n  fix:   Pass at least one item.",
    ),
    "a loop over a list with a channel in it": (
        pipeline("with dsl.ParallelFor([1, {'a': [n]}]) as item:", "    number()"),
        3,
        (
            'Item 1 of dsl.ParallelFor holds the pipeline\'s input "n".\n'
            "  why:   The items of a list that is written down are fixed before the pipeline runs.\n"
            "  fix:   Let a step make the list: a component that takes the value and returns a list; loop over its output."
        ),
    ),
    "a field that the items do not have": (
        pipeline("with dsl.ParallelFor([{'a': 1}, {'a': 2, 'b': 3}]) as item:", "    number(n=item.b)"),
        4,
        (
            'The items of loop "for-loop-1" have no field "b".\n'
            '  why:   They have "a".\n'
            "  fix:   Correct the name, or add the field to every item."
        ),
    ),
    "a field of the wrong type": (
        pipeline("with dsl.ParallelFor([{'a': 'x'}]) as item:", "    number(n=item.a)"),
        4,
        (
            'Task "number" in pipeline "p" gets field "a" of the item of loop "for-loop-1", which is a str, for the argument "n".\n'
            '  why:   "n" of component "number" is an int.\n'
            '  fix:   Pass an int, or change the annotation of "n".'
        ),
    ),
    "a final status without an end": (
        pipeline("tell()"),
        3,
        (
            'Task "tell" takes a PipelineTaskFinalStatus ("status"), but does not run at the end of anything.\n'
            "  why:   Only a task that runs whether others fail or not can be told how they ended.\n"
            "  fix:   Use it as `with dsl.ExitHandler(task):`, or let it follow one task and call .ignore_upstream_failure()."
        ),
    ),
    "ignoring a failure that brings a value": (
        pipeline("one = text(t='x')", "text(t=one.output).ignore_upstream_failure()"),
        4,
        (
            'Task "text-2" ignores failures before it, but its input "t" comes from output "Output" of task "text" and has no default.\n'
            "  why:   When that task fails there is no value to give.\n"
            '  fix:   Give "t" a default in the component.'
        ),
    ),
    "a pipeline without tasks": (
        pipeline("pass"),
        1,
        'Pipeline "p" has no tasks.\n  fix:   Call at least one component in it.',
    ),
    "a returned constant": (
        "@dsl.pipeline\ndef p() -> int:\n    number()\n    return 3\n",
        1,
        (
            'Pipeline "p" returns 3 as "Output".\n'
            "  why:   What a pipeline returns is known only when it has run.\n"
            "  fix:   Return an output of a task: `return task.output`."
        ),
    ),
    "a returned value of another type": (
        "@dsl.pipeline\ndef p() -> str:\n    return number().output\n",
        1,
        (
            'Pipeline "p" returns output "Output" of task "number", an int, as "Output".\n'
            '  why:   "Output" is annotated str.\n'
            "  fix:   Change the return annotation of the pipeline, or return another output."
        ),
    ),
    "a returned value without annotation": (
        "@dsl.pipeline\ndef p():\n    return number().output\n",
        1,
        (
            'Pipeline "p" returns <output "Output" of task "number": int>, but its function has no return annotation.\n'
            "  why:   Whoever calls it must know the type.\n"
            "  fix:   Annotate what it returns: def pipeline(...) -> int:"
        ),
    ),
    "a pipeline called like a function": (
        "@dsl.pipeline\ndef p():\n    number()\np()\n",
        4,
        (
            'Pipeline "p" was called outside of a pipeline.\n'
            "  why:   Calling it makes a task of another pipeline.\n"
            "  fix:   To run it: kedge.run(pipeline, name=value, …). To test its components, call those."
        ),
    ),
}

COMPONENTS = {
    "a parameter without type": (
        "@dsl.component\ndef f(x):\n    pass\n",
        1,
        (
            'Parameter "x" of f() has no type.\n'
            "  fix:   Annotate it: x: str. Use str, int, float, bool, list, dict, Literal[...], Optional[...] of these, an artifact "
            "(Input[Dataset], Output[Model], List[Dataset]), InputPath(...) or OutputPath(...)."
        ),
    ),
    "a type that does not travel": (
        "@dsl.component\ndef f(x: bytes):\n    pass\n",
        1,
        (
            'Parameter "x" of f() is annotated bytes, which no pipeline can carry.\n'
            "  fix:   Use str, int, float, bool, list, dict, Literal[...], Optional[...] of these, an artifact "
            "(Input[Dataset], Output[Model], List[Dataset]), InputPath(...) or OutputPath(...)."
        ),
    ),
    "a default of another type": (
        "@dsl.component\ndef f(x: int = 'one'):\n    pass\n",
        1,
        (
            "Parameter \"x\" of f() has the default 'one', which is a str, but its type is int.\n"
            "  fix:   Change the default or the annotation."
        ),
    ),
    "a default that is no literal": (
        "@dsl.component\ndef f(x: Literal['a', 'b'] = 'c'):\n    pass\n",
        1,
        'Parameter "x" of f() has the default \'c\', but allows only "a", "b".',
    ),
    "an artifact with a default": (
        "@dsl.component\ndef f(x: Input[Dataset] = 'x'):\n    pass\n",
        1,
        "Parameter \"x\" of f() is an artifact with the default 'x'.\n  fix:   The only default of an artifact is None.",
    ),
    "an input that is no artifact": (
        "@dsl.component\ndef f(x: Input[int]):\n    pass\n",
        1,
        (
            'Parameter "x" of f() is annotated Input[int], which is no artifact type.\n'
            "  why:   Input[...] and Output[...] are for artifacts.\n"
            "  fix:   Parameters are annotated with their plain type, such as int; outputs with OutputPath(int)."
        ),
    ),
    "the path of a parameter": (
        "@dsl.component\ndef f(x: InputPath(str)):\n    pass\n",
        1,
        'Parameter "x" of f() is the path of a str.\n  why:   Parameters come by value.\n  fix:   Write x: str.',
    ),
    "a list as an output artifact": (
        "@dsl.component\ndef f(x: Output[List[Dataset]]):\n    pass\n",
        1,
        (
            'Parameter "x" of f() writes a list of artifacts.\n'
            "  why:   A step writes artifacts that are known by name.\n"
            "  fix:   Declare one Output[...] for each, or write them in a dsl.ParallelFor and use dsl.Collected."
        ),
    ),
    "any number of parameters": (
        "@dsl.component\ndef f(*xs: int):\n    pass\n",
        1,
        (
            "f() takes *args or **kwargs.\n"
            "  why:   Every input of a component has a name and a type of its own.\n"
            "  fix:   List the parameters one by one."
        ),
    ),
    "an image to be built": (
        "@dsl.component(target_image='x')\ndef f():\n    pass\n",
        1,
        (
            "@dsl.component got target_image='x'.\n"
            "  why:   Kedge does not support this option.\n"
            "  fix:   Build the image yourself and name it as base_image."
        ),
    ),
    "a file to embed that is not there": (
        "@dsl.component(embedded_artifact_path='not/there.csv')\ndef f():\n    pass\n",
        1,
        (
            "embedded_artifact_path='not/there.csv' does not exist.\n"
            "  why:   It is looked for in the working directory and beside {file}.\n"
            "  fix:   Correct the path."
        ),
    ),
    "an embedded input without anything embedded": (
        "@dsl.component\ndef f(files: dsl.EmbeddedInput[Dataset]):\n    pass\n",
        1,
        (
            'Parameter "files" of f() is an EmbeddedInput.\n'
            "  why:   Nothing is embedded in the component.\n"
            "  fix:   Write @dsl.component(embedded_artifact_path=…)."
        ),
    ),
    "an embedded input of a parameter's type": (
        "@dsl.component\ndef f(files: dsl.EmbeddedInput[str]):\n    pass\n",
        1,
        (
            'Parameter "files" of f() is annotated EmbeddedInput[str], which is no artifact type.\n'
            "  fix:   Write EmbeddedInput[Dataset]."
        ),
    ),
    "an embedded input of a container": (
        "@dsl.container_component\ndef f(files: dsl.EmbeddedInput[Dataset]):\n    return dsl.ContainerSpec('i')\n",
        1,
        (
            'Parameter "files" of f() is an EmbeddedInput.\n'
            "  why:   Only the source of a Python component carries files.\n"
            "  fix:   Make it an Input[...] and import the files."
        ),
    ),
    "a notebook that is not there": (
        "@dsl.notebook_component(notebook_path='train.ipynb')\ndef f():\n    pass\n",
        1,
        (
            "notebook_path='train.ipynb' does not exist.\n"
            "  why:   It is looked for in the working directory and beside {file}.\n"
            "  fix:   Correct the path."
        ),
    ),
    "a notebook that is none": (
        "@dsl.notebook_component(notebook_path='pyproject.toml')\ndef f():\n    pass\n",
        1,
        (
            "notebook_path='pyproject.toml' has no notebook (.ipynb).\n"
            "  why:   One notebook is run.\n"
            "  fix:   Name the notebook's file, or a folder that holds one."
        ),
    ),
    "a configuration handed on that is none": (
        "@dsl.component(task_config_passthroughs=['ENV'])\ndef f():\n    pass\n",
        1,
        (
            "task_config_passthroughs got 'ENV'.\n"
            "  why:   It lists parts of a task's configuration.\n"
            "  fix:   Use dsl.TaskConfigField.RESOURCES or dsl.TaskConfigPassthrough(field=…, apply_to_task=True)."
        ),
    ),
    "a pipeline that asks for a task's configuration": (
        "@dsl.pipeline\ndef p(config: dsl.TaskConfig):\n    number()\n",
        1,
        (
            'Parameter "config" of pipeline p() is for components.\n'
            "  why:   Only a step is told its own configuration and files.\n"
            "  fix:   Move it to the component."
        ),
    ),
    "a pause that is none": (
        pipeline("number().set_debug_pause(before=False, after=False)"),
        3,
        ('Task "number" is to pause neither before nor after.\n  fix:   Pass before=True or after=True, or remove it.'),
    ),
    "a text for a list of packages": (
        "@dsl.component(packages_to_install='pandas')\ndef f():\n    pass\n",
        1,
        (
            "@dsl.component got packages_to_install='pandas'.\n  why:   It is a list of texts.\n"
            '  fix:   Write packages_to_install=["…"].'
        ),
    ),
    "a command line that is none": (
        "@dsl.container_component\ndef f():\n    return 'echo'\n",
        1,
        (
            "f() returned 'echo'.\n"
            "  why:   It says which command line to run.\n"
            "  fix:   Return dsl.ContainerSpec(image=…, command=[…], args=[…])."
        ),
    ),
    "an artifact in a command line": (
        "@dsl.container_component\ndef f(x: Input[Dataset]):\n    return dsl.ContainerSpec('alpine', ['cat', x])\n",
        1,
        (
            'Container component "f" puts a whole artifact into its command line.\n'
            "  why:   A command line takes text.\n"
            "  fix:   Use its .path, .uri or .metadata[…]."
        ),
    ),
}

SETTINGS = {
    "memory in words": (
        pipeline("number().set_memory_limit('much')"),
        3,
        'Task "number" is given \'much\' of memory.\n  fix:   Write it as Kubernetes does: "512Mi", "2G".',
    ),
    "processors in words": (
        pipeline("number().set_cpu_limit('two')"),
        3,
        'Task "number" is given \'two\' of CPU.\n  fix:   Write it as Kubernetes does: "0.5", "2", "500m".',
    ),
    "retries that are no number": (
        pipeline("number().set_retry(-1)"),
        3,
        'Task "number" is set to retry -1 times.\n  fix:   Pass a whole number from 0.',
    ),
    "a wait without unit": (
        pipeline("number().set_retry(1, backoff_duration='30')"),
        3,
        'Task "number" is set to retry after \'30\'.\n  why:   It is a time.\n  fix:   Write "30s", "5m", "1h" or "7d".',
    ),
    "a time for results that is none": (
        pipeline("number().set_caching_options(True, ttl='soon')"),
        3,
        'Task "number" is set to use results again for \'soon\'.\n  why:   It is a time.\n  fix:   Write "30s", "5m", "1h" or "7d".',
    ),
    "no time for results": (
        pipeline("number().set_caching_options(True, ttl='0s')"),
        3,
        'Task "number" is set to use results again for no time.\n  fix:   Pass enable_caching=False, and no ttl.',
    ),
    "a time for results that are not used": (
        pipeline("number().set_caching_options(False, ttl='1h')"),
        3,
        'Task "number" has a ttl but caching is off.\n  fix:   Pass enable_caching=True, or no ttl.',
    ),
    "a variable that is no text": (
        pipeline("number().set_env_variable('X', 1)"),
        3,
        'Task "number" is given 1 for environment variable "X".\n  fix:   Pass text: \'1\'.',
    ),
    "resources of a pipeline": (
        "@dsl.pipeline\ndef inner():\n    number()\n" + pipeline("inner().set_cpu_limit('1')"),
        6,
        'Task "inner" is pipeline "inner", which has no container to configure.\n  fix:   Set it on the tasks inside of that pipeline.',
    ),
    "after what is no task": (
        pipeline("number().after('other')"),
        3,
        "Task \"number\" is told to run after 'other', which is no task.\n  fix:   Pass what calling a component returned.",
    ),
}


CASES = {**ARGUMENTS, **FLOW, **COMPONENTS, **SETTINGS}


@pytest.mark.parametrize("case", CASES)
def test_the_message_says_what_where_why_and_how_to_fix_it(case: str) -> None:
    code, line, text = CASES[case]
    with pytest.raises(dsl.DslError) as caught:
        run(HEAD + code)
    filename = caught.value.where.filename
    what, _, rest = text.replace("{file}", filename).partition("\n")
    where = f"  where: {filename}:{FIRST + line - 1}"
    assert str(caught.value) == "\n".join([what, where, *([rest] if rest else [])])


def test_a_type_error_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        run(HEAD + pipeline("text(t=1)"))


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match=r"module 'kedge\.dsl' has no attribute 'Pipelin'"):
        _ = dsl.Pipelin  # pyright: ignore[reportAttributeAccessIssue]  # that it is missing is the point
