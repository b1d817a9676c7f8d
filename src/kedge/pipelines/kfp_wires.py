"""Values that kfp's compiler hands on wrongly, put right before anybody checks the pipeline.

In the IR a group (a loop, a branch) sees only its inputs. When only *parts* of a loop's item are used, or the item only in
texts, kfp mistakes two things, and no backend can run the result as it stands:

- an inner loop takes its list from the outer one, which is never given it: it is handed down, because its name says from where;
- a loop's own item is also taken from outside of the loop, where it is not: such inputs are left out;
- so is a part of an item, as if the task that made the list gave it out: who wants it finds it in the item.

Before 2.14 it forgets the values in texts within lists and mappings: its own mark for them stays behind, and is made a reference.

Options for Kubernetes refer to values as well. kfp-kubernetes before 2.14 writes each as if its task stood in the pipeline's own
DAG: within a group the value is handed down, and the option refers to it there.
"""

import re
from collections.abc import Iterator
from typing import Any

from kedge.pipelines.spec import ITEM_PART

Json = dict[str, Any]
_PREFIX = "pipelinechannel--"
_ITEM = "loop-item"
_MARK = re.compile(r"\{\{channel:task=([^;]*);name=([^;]*);type=[^;]*;\}\}")


def mend(pipeline: Json) -> bool:
    """Put right, in place, what groups and their tasks take.

    Args:
        pipeline: A PipelineSpec whose shape has been checked.

    Returns:
        Whether anything was wrong.
    """
    wires = _Wires(pipeline)
    wrong = wires.refer_in_texts() | wires.leave_out_items() | wires.leave_out_parts()
    missing = list(wires.missing())
    for component, name, declared in missing:
        wires.hand_down(component, name, declared)
    return wrong or bool(missing)


def mend_options(pipeline: Json, executors: Json) -> bool:
    """Put right, in place, what options of executors refer to.

    Args:
        pipeline: A PipelineSpec whose shape has been checked.
        executors: Options for Kubernetes by executor.

    Returns:
        Whether the pipeline had to hand anything down.
    """
    wires, changed = _Wires(pipeline), False
    for component, task in wires.tasks():
        label = pipeline.get("components", {}).get(task["componentRef"].get("name", ""), {}).get("executorLabel", "")
        for source in _sources(executors.get(label)):
            changed = wires.refer(component, source) or changed
    return changed


def _sources(value: Any) -> Iterator[Json]:
    """Where values in options come from."""
    if isinstance(value, list):
        for item in value:
            yield from _sources(item)
    elif isinstance(value, dict):
        if isinstance(value.get("componentInputParameter"), str) or isinstance(value.get("taskOutputParameter"), dict):
            yield value
        else:
            yield from _sources(list(value.values()))


class _Wires:
    def __init__(self, pipeline: Json) -> None:
        self._components: dict[str, Json] = {"": pipeline["root"], **pipeline.get("components", {})}

    def refer_in_texts(self) -> bool:
        """Let texts within constants refer to values, which tasks then take; whether there were such."""
        wrong = False
        for component, task in list(self.tasks()):
            sources = task.get("inputs", {}).get("parameters", {})
            constants = [
                source["runtimeValue"] for source in sources.values() if "constant" in (source.get("runtimeValue") or {})
            ]
            taken: dict[str, Json] = {}
            for value in constants:
                value["constant"] = self._referring(value["constant"], component, taken)
            wrong = wrong or bool(taken)
            for name, source in taken.items():
                sources.setdefault(name, source)
        return wrong

    def _referring(self, value: Any, component: str, taken: dict[str, Json]) -> Any:
        if isinstance(value, list):
            return [self._referring(item, component, taken) for item in value]
        if isinstance(value, dict):
            return {key: self._referring(item, component, taken) for key, item in value.items()}
        if not isinstance(value, str) or "{{channel:" not in value:
            return value

        def reference(mark: re.Match[str]) -> str:
            name = _PREFIX + "-".join(filter(None, mark.groups()))
            whole, part, field = name.partition(ITEM_PART)
            declared = self._declared(whole.removeprefix(_PREFIX)) or self._output(*mark.groups())
            if declared is None:
                return mark[0]
            source = taken[name] = self._source(component, whole, declared)
            if part:
                source["parameterExpressionSelector"] = f'parseJson(string_value)["{field}"]'
            return "{{$.inputs.parameters['" + name + "']}}"

        return _MARK.sub(reference, value)

    def leave_out_items(self) -> bool:
        """Leave out the items of loops that are taken where there are none; whether there were such."""
        wrong: dict[str, None] = {}
        for component, task in self.tasks():
            known, sources = _inputs(self._components[component]), task.get("inputs", {}).get("parameters", {})
            for key, source in list(sources.items()):
                name = source.get("componentInputParameter", "")
                if _ITEM in name and ITEM_PART not in name and name not in known and not self._is_around(component, name):
                    del sources[key]
                    wrong[key] = None
        # What was left out comes from the loop itself, further in.
        for component in self._components.values():
            for name in wrong.keys() & _inputs(component).keys() if "dag" in component else ():
                _inputs(component)[name]["isOptional"] = True
        return bool(wrong)

    def leave_out_parts(self) -> bool:
        """Leave out parts of items that a loop takes from the task which made its list; whether there were such."""
        wrong: list[tuple[Json, str]] = []
        for component, task in self.tasks():
            sources, beside = task.get("inputs", {}).get("parameters", {}), self._components[component]["dag"]["tasks"]
            inner = self._components.get(task["componentRef"].get("name", ""), {})
            for key, source in sources.items() if "dag" in inner else ():
                output = source.get("taskOutputParameter", {})
                producer = beside.get(output.get("producerTask", ""), {}).get("componentRef", {}).get("name", "")
                given = self._components.get(producer, {}).get("outputDefinitions", {}).get("parameters", {})
                if ITEM_PART in str(output.get("outputParameterKey", "")) and output["outputParameterKey"] not in given:
                    wrong += [(sources, key), (_inputs(inner), key)]
        for holder, key in wrong:
            holder.pop(key, None)
        return bool(wrong)

    def _is_around(self, component: str, name: str) -> bool:
        """Whether a group around this one has the input; groups may contain each other, which is refused later."""
        around, left = {component}, [component]
        while left:
            inner = left.pop()
            outer = {other for other, task in self.tasks() if task["componentRef"].get("name") == inner} - around
            if any(name in _inputs(self._components[other]) for other in outer):
                return True
            around |= outer
            left += outer
        return False

    def missing(self) -> Iterator[tuple[str, str, Json]]:
        """Inputs that tasks take from a group that does not have them: the group's component, the name, how it is declared."""
        for component, task in self.tasks():
            known, inner = (
                _inputs(self._components[component]),
                _inputs(self._components.get(task["componentRef"].get("name", ""), {})),
            )
            for key, source in task.get("inputs", {}).get("parameters", {}).items():
                name = source.get("componentInputParameter", "")
                if name.startswith(_PREFIX) and name not in known and ITEM_PART not in name:
                    yield component, name, inner.get(key, {"parameterType": "STRING"})

    def tasks(self) -> Iterator[tuple[str, Json]]:
        """All tasks, each with the component whose DAG it stands in."""
        for name, component in self._components.items():
            for task in component.get("dag", {}).get("tasks", {}).values():
                yield name, task

    def refer(self, component: str, source: Json) -> bool:
        """Let a source of a task's options refer to what the task's group has; whether that had to be handed down first."""
        group = self._components[component]
        output = source.get("taskOutputParameter")
        if output is not None:
            producer, key = str(output.get("producerTask")), str(output.get("outputParameterKey"))
            if producer in group["dag"]["tasks"]:
                return False
            name, declared = f"{_PREFIX}{producer}-{key}", self._output(producer, key)
        else:
            plain = source["componentInputParameter"].removeprefix(_PREFIX)
            if source["componentInputParameter"] in _inputs(group) or ITEM_PART in plain:
                return False
            name, declared = _PREFIX + plain, self._declared(plain)
        if declared is None:
            return False  # said when the options are checked
        missing = name not in _inputs(group)
        self.hand_down(component, name, declared)
        source.pop("taskOutputParameter", None)
        source["componentInputParameter"] = name
        return missing

    def _output(self, producer: str, key: str) -> Json | None:
        for _, task in (found for found in self._named_tasks() if found[0] == producer):
            outputs = self._components.get(task["componentRef"].get("name", ""), {}).get("outputDefinitions", {})
            if key in outputs.get("parameters", {}):
                return {"parameterType": outputs["parameters"][key].get("parameterType", "STRING")}
        return None

    def _named_tasks(self) -> Iterator[tuple[str, Json]]:
        for component in self._components.values():
            yield from component.get("dag", {}).get("tasks", {}).items()

    def _declared(self, plain: str) -> Json | None:
        for component in self._components.values():
            for name in (plain, _PREFIX + plain):
                if "dag" in component and name in _inputs(component):
                    return {"parameterType": _inputs(component)[name].get("parameterType", "STRING")}
        return None

    def hand_down(self, component: str, name: str, declared: Json) -> None:
        """Give a group an input, from wherever its name says."""
        group = self._components[component]
        if component == "" or name in _inputs(group):
            return
        group.setdefault("inputDefinitions", {}).setdefault("parameters", {})[name] = declared
        for outer, task in list(self.tasks()):
            if task["componentRef"].get("name") == component:
                source = self._source(outer, name, declared)
                task.setdefault("inputs", {}).setdefault("parameters", {})[name] = source

    def _source(self, component: str, name: str, declared: Json) -> Json:
        group = self._components[component]
        plain = name[len(_PREFIX) :]
        if plain in _inputs(group):
            return {"componentInputParameter": plain}
        for task_name, task in group["dag"]["tasks"].items():
            outputs = (
                self._components.get(task["componentRef"].get("name", ""), {}).get("outputDefinitions", {}).get("parameters", {})
            )
            for output in outputs:
                if plain == f"{task_name}-{output}":
                    return {"taskOutputParameter": {"producerTask": task_name, "outputParameterKey": output}}
        self.hand_down(component, name, declared)
        return {"componentInputParameter": name}


def _inputs(component: Json) -> Json:
    return component.get("inputDefinitions", {}).get("parameters", {})
