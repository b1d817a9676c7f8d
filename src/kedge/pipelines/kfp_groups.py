"""Groups that kfp's compiler has thrown together, taken apart again.

kfp calls a group by its number (``condition-2``), and finds it by that when it puts its tasks into it. Where a sub-pipeline that
it has taken in before has a group of the same number, they come to lie in that one, and the group's own component
(``comp-condition-2-2``) stays empty. What the two take, give and declare is right, and tells whose a task is: by the inputs that
it takes, by the outputs that are taken from it, by the tasks that it is connected with, by another copy of the same sub-pipeline.
Where one doubt is left, nothing is changed: the empty group is then refused, with what to do.

A pipeline to which that happened may itself be taken in, several times and under new names. Then an empty group's tasks lie in
the group that has the tasks it gives the outputs of, in the same copy of that pipeline.
"""

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
_GROUP = re.compile(r"(comp-(?:condition-branches|condition|for-loop|exit-handler)-\d+)(?:-\d+)*")
_OWN, _OTHERS = "own", "others"


def separate(pipeline: Json) -> bool:
    """Give empty groups their tasks back, in place.

    Args:
        pipeline: A PipelineSpec whose shape has been checked.

    Returns:
        Whether there was such a group, and no doubt.
    """
    components: dict[str, Json] = pipeline.get("components", {})
    empty: dict[str, list[str]] = {}
    for name, component in components.items():
        if (found := _GROUP.fullmatch(name)) and "executorLabel" not in component and not _dag(component).get("tasks"):
            empty.setdefault(found[1], []).append(name)
    if not empty or _have_lost_tasks(pipeline):
        return False
    changed = False
    for base, names in empty.items():
        for name in names:
            alone = len(names) == 1 and _dag(components.get(base, {})).get("tasks")
            found = base if alone else _in_the_same_copy(components, name, base)
            if found is not None:
                changed = _Mixture(components, components[name], components[found]).separate() or changed
    return changed


def _in_the_same_copy(components: dict[str, Json], empty: str, base: str) -> str | None:
    """The group that has the tasks which an empty one gives the outputs of: the only one below the nearest group around it."""
    gives = set(_values(_dag(components[empty]).get("outputs"), "producerSubtask"))
    around, known = [empty], set[str]()
    while gives and len(around) == 1 and around[0] not in known:  # groups may contain themselves, which is refused later
        known.add(around[0])
        around = [name for name, component in components.items() if around[0] in _parts(component)]
        below, left = set(around), list(around)
        while left:
            more = _parts(components.get(left.pop(), {})) - below
            below |= more
            left += more
        groups = [name for name in sorted(below) if (match := _GROUP.fullmatch(name)) and match[1] == base]
        found = [name for name in groups if gives <= _dag(components.get(name, {})).get("tasks", {}).keys()]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _parts(component: Json) -> set[str]:
    """The components of a group's tasks."""
    return {str(task["componentRef"].get("name")) for task in _dag(component).get("tasks", {}).values()}


def _have_lost_tasks(pipeline: Json) -> bool:
    """Whether a task has come to lie upon another of its name: then nobody takes the other's component."""
    components: dict[str, Json] = pipeline.get("components", {})
    groups = [pipeline["root"], *components.values()]
    return bool(components.keys() - set[str]().union(*map(_parts, groups)))


class _Mixture:
    """Two groups whose tasks lie in the second."""

    def __init__(self, components: dict[str, Json], own: Json, others: Json) -> None:
        self._components = components
        self._groups = {_OWN: own, _OTHERS: others}
        self._tasks: dict[str, Json] = others["dag"]["tasks"]
        self._whose: dict[str, str] = {}

    def separate(self) -> bool:
        """Give the first its tasks; whether that was possible without a doubt."""
        if not (self._by_what_they_take_and_give() and self._by_their_neighbours() and self._by_another_copy()):
            return False
        left, known = self._tasks.keys() - self._whose.keys(), set(self._whose.values())
        if len(left) == 1 and len(known) == 1:  # a group is not empty
            self._whose[left.pop()] = _OTHERS if known == {_OWN} else _OWN
        if left or set(self._whose.values()) != {_OWN, _OTHERS}:
            return False
        own = [name for name, side in self._whose.items() if side == _OWN]
        self._groups[_OWN].setdefault("dag", {})["tasks"] = {name: self._tasks.pop(name) for name in own}
        return True

    def _say(self, task: str, side: str) -> bool:
        """Note whose a task is; whether that agrees with what is known."""
        return self._whose.setdefault(task, side) == side

    def _by_what_they_take_and_give(self) -> bool:
        gives = {side: set(_values(_dag(group).get("outputs"), "producerSubtask")) for side, group in self._groups.items()}
        declared = {side: _declared(group) for side, group in self._groups.items()}
        if not gives[_OWN] | gives[_OTHERS] <= self._tasks.keys() or gives[_OWN] & gives[_OTHERS]:
            return False
        found = [(name, side) for side, names in gives.items() for name in names]
        for name, task in self._tasks.items():
            inputs = task.get("inputs", {})
            taken = {*_values(inputs, "componentInputParameter"), *_values(inputs, "componentInputArtifact")}
            # What neither has, kfp forgot to hand down: see `kfp_wires`.
            found += [(name, _OWN)] * bool(taken & (declared[_OWN] - declared[_OTHERS]))
            found += [(name, _OTHERS)] * bool(taken & (declared[_OTHERS] - declared[_OWN]))
        return all([self._say(*one) for one in found])  # noqa: C419  # every one is noted, also after a doubt

    def _by_their_neighbours(self) -> bool:
        beside = [
            (name, other)
            for name, task in self._tasks.items()
            for other in {*task.get("dependentTasks", ()), *_values(task.get("inputs", {}), "producerTask")} & self._tasks.keys()
        ]
        for _ in self._tasks:
            for one, other in [*beside, *((other, one) for one, other in beside)]:
                if one in self._whose and not self._say(other, self._whose[one]):
                    return False
        return True

    def _by_another_copy(self) -> bool:
        others = self._groups[_OTHERS]
        for component in self._components.values():
            tasks = _dag(component).get("tasks", {}).keys()
            same = component.get("inputDefinitions") == others.get("inputDefinitions")
            if same and _dag(component).get("outputs") == _dag(others).get("outputs") and tasks and tasks < self._tasks.keys():
                return all([self._say(name, _OTHERS if name in tasks else _OWN) for name in self._tasks])  # noqa: C419  # every one is noted, also after a doubt
        return True


def _dag(component: Json) -> Json:
    return component.get("dag", {})


def _declared(component: Json) -> set[str]:
    inputs = component.get("inputDefinitions", {})
    return {*inputs.get("parameters", {}), *inputs.get("artifacts", {})}


def _values(value: Any, key: str) -> Iterator[str]:
    """All texts that stand under a key, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, key)
    elif isinstance(value, dict):
        if isinstance(value.get(key), str):
            yield value[key]
        for item in value.values():
            yield from _values(item, key)
