"""Good and bad objects of Kubeflow's own kinds, made from the schemas of the definitions that its projects publish.

The definitions come from the projects' Go modules when a test needs them; nothing of them lies here. An object has every field
that its schema asks for, and some more; a bad one breaks one rule at one place. The same schemas give the same objects always.
"""

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Obj = dict[str, Any]
Path_ = tuple[str | int, ...]

MODULES = {
    "github.com/kubeflow/trainer/v2@v2.0.0": "manifests/base/crds",
    "github.com/kubeflow/katib@v0.19.0": "manifests/v1beta1/components/crd",
    "github.com/kubeflow/training-operator@v1.8.1": "manifests/base/crds",
    "github.com/kserve/kserve@v0.15.0": "config/crd/full",
}
"""By module and version, where its definitions lie."""
EACH = 6
"""Objects of a definition."""
_DEEP = 7


def definitions() -> Iterator[Obj]:
    """The definitions of all modules; the module cache keeps them."""
    for module, folder in MODULES.items():
        for file in sorted((_fetched(module) / folder).glob("*.yaml")):
            for each in yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader):  # ten times as fast as safe_load
                if each and each.get("kind") == "CustomResourceDefinition":
                    yield each


@cache
def _fetched(module: str) -> Path:
    go = shutil.which("go")
    assert go is not None, "Kubeflow's definitions come as Go modules, and there is no Go to fetch them with"
    done = subprocess.run([go, "mod", "download", "-json", module], capture_output=True, text=True, check=True, cwd="/")
    return Path(json.loads(done.stdout)["Dir"])


def version_of(definition: Obj) -> Obj:
    """The version that is stored."""
    return next(each for each in definition["spec"]["versions"] if each["storage"])


def objects(definition: Obj) -> Iterator[tuple[str, Obj]]:
    """By name, a good object and bad ones."""
    version = version_of(definition)
    schema: Obj = version["schema"]["openAPIV3Schema"]
    parts = {key: each for key, each in (schema.get("properties") or {}).items() if key not in {"apiVersion", "kind", "metadata"}}
    needed = {*(schema.get("required") or ()), "spec"} & set(parts)
    good: Obj = {
        "apiVersion": f"{definition['spec']['group']}/{version['name']}",
        "kind": definition["spec"]["names"]["kind"],
        **{key: _good(parts[key], 0) for key in sorted(needed)},
    }
    yield "good", good
    breaks = [each for key in sorted(needed) for each in _breaks(parts[key], good[key], (key,))]
    step = max(1, len(breaks) // (EACH - 1))
    for place, how, value in breaks[::step][: EACH - 1]:
        yield f"{how} {'.'.join(map(str, place))}", _broken(good, place, value)


def _good(schema: Obj, depth: int) -> Any:
    if "enum" in schema or "default" in schema:
        return schema["enum"][0] if "enum" in schema else copy.deepcopy(schema["default"])
    kind = "integer" if schema.get("x-kubernetes-int-or-string") else schema.get("type")
    if kind == "object":
        return _struct(schema, depth)
    if kind == "array":
        return [_good(schema["items"], depth + 1) for _ in range(max(1, schema.get("minItems", 1)))]
    if kind in {"integer", "number"}:
        return max(1, schema.get("minimum", 1))
    return True if kind == "boolean" else _text(schema)


def _struct(schema: Obj, depth: int) -> Obj:
    properties: Obj = schema.get("properties") or {}
    wanted = set(schema.get("required") or ())
    if depth < _DEEP and not schema.get("x-kubernetes-validations"):  # and some that have no parts of their own
        plain = [key for key in sorted(properties) if properties[key].get("type") in {"string", "integer", "boolean"}]
        wanted |= set(plain[:3])
    return {key: _good(properties[key], depth + 1) for key in sorted(wanted) if key in properties}


def _text(schema: Obj) -> str:
    form = schema.get("format")
    if form == "date-time":
        return "2026-01-02T03:04:05Z"
    return "a" * max(1, schema.get("minLength", 1)) if form is None else "YQ=="


_WRONG = {"object": "text", "array": "text", "string": 7, "integer": "text", "number": "text", "boolean": "text"}


def _breaks(schema: Obj, value: Any, place: Path_) -> Iterator[tuple[Path_, str, Any]]:
    """Where an object can be broken: the place, how, and the value that is wrong there (`None` takes it away)."""
    kind = schema.get("type")
    if kind in _WRONG and not schema.get("x-kubernetes-int-or-string"):
        yield place, "type", _WRONG[kind]
    if "enum" in schema:
        yield place, "enum", "none-of-those"
    if "minimum" in schema:
        yield place, "minimum", schema["minimum"] - 1
    if "maxLength" in schema:
        yield place, "length", "a" * (schema["maxLength"] + 1)
    if isinstance(value, dict):
        yield from _breaks_below(schema, value, place)
    elif isinstance(value, list) and value:
        yield from _breaks(schema["items"], value[0], (*place, 0))


def _breaks_below(schema: Obj, value: Obj, place: Path_) -> Iterator[tuple[Path_, str, Any]]:
    properties: Obj = schema.get("properties") or {}
    for key in schema.get("required") or ():
        if "default" not in properties.get(key, {}):
            yield (*place, key), "missing", None
    for key, each in sorted(properties.items()):
        if key in value:
            yield from _breaks(each, value[key], (*place, key))


def _broken(good: Obj, place: Path_, value: Any) -> Obj:
    made = copy.deepcopy(good)
    inner: Any = made
    for step in place[:-1]:
        inner = inner[step]
    if value is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return made
