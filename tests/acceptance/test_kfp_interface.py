"""Every public name and argument of `kfp` 2.17's language is Kedge's too: changing the import line is enough.

The unmodified package is asked for the names of its modules and for the signatures of what is called; ours must take each call
that its own take. What differs on purpose stands in the tables below, each with its reason.
"""

import importlib
import inspect
import json
import subprocess
from typing import Any

import pytest
from environments import client_environment

KFP = ["kfp==2.17.0", "kfp-kubernetes==2.17.0"]
# Module of kfp -> ours.
MODULES = {
    "kfp.dsl": "kedge.dsl",
    "kfp.kubernetes": "kedge.dsl.kubernetes",
    "kfp.compiler": "kedge.compiler",
    "kfp.components": "kedge.components",
}

# Names that are not there, or whose signature differs. Module and name (and method), without "kfp." -> why.
_MADE = "made by calling a component, by decorators and loaders; never by users"
_PROTO = "a protobuf message, or of the compiler's own; kedge.compile() writes a pipeline as a file"
_OBJECTS = "objects of kind Pipeline and PipelineVersion, which the host does not serve"
DIFFERENT = {
    "compiler.KubernetesManifestOptions": _OBJECTS,
    "compiler.Compiler.compile(kubernetes_manifest_options)": _OBJECTS,
    "compiler.Compiler.compile(kubernetes_manifest_format)": _OBJECTS,
    "components.BaseComponent.__init__": _MADE,
    "components.ContainerComponent.__init__": _MADE,
    "components.PythonComponent.__init__": _MADE,
    "dsl.PipelineTask.__init__": _MADE,
    "components.BaseComponent.pipeline_spec": _PROTO,
    "components.BaseComponent.platform_spec": _PROTO,
    "dsl.PipelineTask.channel_inputs": _PROTO,
    "dsl.PipelineTask.platform_spec": _PROTO,
    "dsl.PipelineTask.register_pipeline_channels": _PROTO,
    "dsl.TaskConfigPassthrough.to_proto": _PROTO,
    "components.BaseComponent.execute": "only Python components have a function to call",
    "components.BaseComponent.required_inputs": "component.interface.inputs says which have no default",
    "components.YamlComponent": "what is loaded is a BaseComponent like any other",
}

# Runs under kfp's interpreter. Arguments: modules. It answers with the public names of each: what they are, their parameters,
# and those of their methods.
DESCRIBE = """
import importlib, inspect, json, sys, warnings

warnings.simplefilter("ignore")


def parameters(made):
    try:
        found = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):
        return None
    return [[p.name, p.kind.name, p.default is not p.empty] for p in found if p.name != "self"]


def described(made):
    members = {}
    if inspect.isclass(made):
        for name, member in vars(made).items():
            if name == "__init__" or not name.startswith("_"):
                members[name] = parameters(member) if inspect.isfunction(member) else None
    return {"parameters": None if inspect.isclass(made) or not callable(made) else parameters(made), "members": members}


answer = {}
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    answer[name] = {each: described(getattr(module, each)) for each in module.__all__}
json.dump(answer, sys.stdout)
"""


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    """What kfp has."""
    python = client_environment("kfp", KFP)
    done = subprocess.run([python, "-c", DESCRIBE, *MODULES], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def differences(theirs: dict[str, Any]) -> dict[str, str]:
    """Where a call that kfp takes is not one of ours."""
    found: dict[str, str] = {}
    for name, names in theirs.items():
        module = importlib.import_module(MODULES[name])
        for each, about in names.items():
            place = f"{name.removeprefix('kfp.')}.{each}"
            ours = getattr(module, each, None)
            if ours is None or each not in module.__all__:
                found[place] = "is not there"
                continue
            found |= uncallable(place, about["parameters"], ours)
            for member, parameters in about["members"].items():
                own = getattr(ours, member, None)
                if own is None and not instance_attribute(ours, member):
                    found[f"{place}.{member}"] = "is not there"
                elif own is not None:
                    found |= uncallable(f"{place}.{member}", parameters, own)
    return found


def instance_attribute(cls: Any, name: str) -> bool:
    """Whether objects of a class get the attribute when they are made."""
    code = getattr(getattr(cls, "__init__", None), "__code__", None)
    return code is not None and name in code.co_names


def uncallable(place: str, parameters: list[list[Any]] | None, ours: Any) -> dict[str, str]:
    """Which of their arguments our own function does not take in the same way."""
    if parameters is None or not callable(ours):
        return {}
    own = inspect.signature(ours).parameters
    free = {parameter.kind for parameter in own.values()}
    positional = [p.name for p in own.values() if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
    found: dict[str, str] = {}
    count = 0
    for name, kind, optional in parameters:
        if kind in ("VAR_POSITIONAL", "VAR_KEYWORD"):
            continue
        if name not in own:
            if inspect.Parameter.VAR_KEYWORD not in free:
                found[f"{place}({name})"] = "is not taken"
        elif kind == "POSITIONAL_OR_KEYWORD" and (count >= len(positional) or positional[count] != name):
            found[f"{place}({name})"] = "is not taken in the same position"
        elif optional and own[name].default is inspect.Parameter.empty:
            found[f"{place}({name})"] = "must be given"
        count += kind == "POSITIONAL_OR_KEYWORD"
    known = {name for name, _, _ in parameters}
    variadic = any(kind in ("VAR_POSITIONAL", "VAR_KEYWORD") for _, kind, _ in parameters)
    for parameter in own.values():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if required and parameter.name not in known and parameter.name != "self" and not variadic:
            found[f"{place}({parameter.name})"] = "must be given, and kfp has no such argument"
    return found


def test_ours_takes_every_call_that_kfp_takes_but_for_what_differs_on_purpose(theirs: dict[str, Any]) -> None:
    found = differences(theirs)
    unknown = {place: says for place, says in found.items() if not any(place.startswith(known) for known in DIFFERENT)}
    assert not unknown


def test_each_difference_on_purpose_still_is_one(theirs: dict[str, Any]) -> None:
    found = differences(theirs)
    assert [known for known in DIFFERENT if not any(place.startswith(known) for place in found)] == []
